#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# linux.seccomp: every action, argument conditions, flags, the listener, and what is refused.

load helpers

setup() {
	requires root busybox jq seccomp
	purple_setup
	make_bundle
}

# seccomp DEFAULT RULES-JSON [MORE]: the profile; MORE is a jq object with further members.
seccomp() {
	edit_config '.linux.seccomp = {defaultAction: $d, architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"],
		syscalls: $r} + $m' --arg d "$1" --argjson r "$2" --argjson m "${3:-{\}}"
}

# deny NAME ACTION [MORE-OF-THE-RULE]
deny() {
	seccomp SCMP_ACT_ALLOW "[{\"names\": [\"$1\"], \"action\": \"$2\" ${3:-}}]"
}

refused() { # MESSAGE
	run purple_rt create --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "$1"
	no_traces "$(test_prefix)"
}

@test "the filter is on the program and what exec starts, and allows what it should" {
	deny mkdirat SCMP_ACT_ERRNO
	set_command sleep 1000
	create_container
	purple_rt start "$ID"
	wait_for 5 grep -q sleep "/proc/$(cat pid)/comm"
	assert_equal "$(awk '/^Seccomp:/ { print $2 }' "/proc/$(cat pid)/status")" 2
	assert_equal "$(purple_rt exec "$ID" awk '/^Seccomp:/ { print $2 }' /proc/self/status)" 2
}

@test "ERRNO gives EPERM, or the number in errnoRet" {
	deny 'mkdir","mkdirat' SCMP_ACT_ERRNO
	run_script 'mkdir /tmp/x'
	assert_contains "Operation not permitted"
	deny 'mkdir","mkdirat' SCMP_ACT_ERRNO ', "errnoRet": 28'
	run_script 'mkdir /tmp/x'
	assert_contains "No space left on device"
}

@test "defaultErrnoRet is what the default action gives" {
	# Everything but what a shell that makes a folder needs.
	edit_config '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["chmod", "fchmodat"], action: "SCMP_ACT_ERRNO", errnoRet: 38}]}'
	run_script 'chmod 0 /tmp'
	assert_contains "Function not implemented"
	requires strace
	strace -f -qq -o calls -e trace=all busybox sh -c 'echo hello; busybox mkdir /proc/x' 2>/dev/null || true
	local names
	names=$(sed -E 's/^[0-9]+ +([a-z_0-9]+)\(.*/\1/;t;d' calls | grep -v mkdir | sort -u | jq -R . | jq -s '. + ["exit_group", "exit", "rt_sigreturn", "set_tid_address", "set_robust_list", "capset", "capget", "prctl", "close_range", "getcwd", "readlinkat", "seccomp", "write", "writev", "sendmsg", "close"]')
	edit_config '.linux.seccomp = {defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: 28, syscalls: [{names: $n, action: "SCMP_ACT_ALLOW"}]}' --argjson n "$names"
	run_script 'echo hello; busybox mkdir /tmp/x'
	assert_contains hello
	assert_contains "No space left on device"
}

@test "KILL_PROCESS and KILL end the process with SIGSYS, TRAP sends it" {
	local action
	for action in SCMP_ACT_KILL_PROCESS SCMP_ACT_KILL_THREAD SCMP_ACT_KILL SCMP_ACT_TRAP; do
		deny 'mkdir","mkdirat' "$action"
		run_script 'mkdir /tmp/x; echo $?'
		# 128 + SIGSYS
		assert_equal "$action ${lines[-1]}" "$action 159"
		[[ ! -e $BUNDLE/rootfs/tmp/x ]]
	done
}

@test "LOG and ALLOW let the call through" {
	local action
	for action in SCMP_ACT_LOG SCMP_ACT_ALLOW; do
		seccomp SCMP_ACT_ALLOW "[{\"names\": [\"mkdir\", \"mkdirat\"], \"action\": \"$action\"}]"
		run_script 'mkdir /dev/shm/x && echo made'
		assert_output made
	done
}

@test "TRACE without a tracer is ENOSYS" {
	deny 'mkdir","mkdirat' SCMP_ACT_TRACE ', "errnoRet": 5'
	run_script 'mkdir /dev/shm/x'
	assert_contains "Function not implemented"
}

@test "argument conditions decide: each operator" {
	# kill(2) with signal 0 tells: argument 1 is the number.
	check() { # OP VALUE DENIED-NUMBERS [VALUETWO]
		local n denied=''
		deny kill SCMP_ACT_ERRNO ", \"errnoRet\": 28, \"args\": [{\"index\": 1, \"op\": \"$1\", \"value\": $2 ${4:+, \"valueTwo\": $4}}]"
		run_script 'trap "" 10 12 14 15; for n in 10 12 14 15; do kill -$n $$ 2>/dev/null || echo $n; done'
		assert_equal "$1: $(tr '\n' ' ' <<<"$output")" "$1: $3"
	}
	check SCMP_CMP_EQ 12 "12 "
	check SCMP_CMP_NE 12 "10 14 15 "
	check SCMP_CMP_LT 12 "10 "
	check SCMP_CMP_LE 12 "10 12 "
	check SCMP_CMP_GT 12 "14 15 "
	check SCMP_CMP_GE 12 "12 14 15 "
	# The value is the mask, valueTwo what it must leave: 12, 14 and 15 have bit 2.
	check SCMP_CMP_MASKED_EQ 4 "12 14 15 " 4
}

@test "two conditions on different arguments hold together" {
	deny kill SCMP_ACT_ERRNO ', "args": [{"index": 0, "op": "SCMP_CMP_EQ", "value": 1}, {"index": 1, "op": "SCMP_CMP_EQ", "value": 10}]'
	run_script 'trap "" 10 12; kill -10 1 2>/dev/null || echo denied; kill -12 1 && echo other signal;
		sleep 5 & kill -10 $! && echo other process; kill $!'
	assert_output $'denied\nother signal\nother process'
}

@test "names that no kernel has are skipped" {
	seccomp SCMP_ACT_ALLOW '[{"names": ["no_such_call", "mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]'
	run_script 'mkdir /dev/shm/x'
	assert_contains "Operation not permitted"
}

@test "a filter that allows nothing but what the program needs is loaded with and without noNewPrivileges" {
	local nnp
	for nnp in true false; do
		edit_config '.process.noNewPrivileges = $n' --argjson n "$nnp"
		edit_config '.linux.seccomp = {defaultAction: "SCMP_ACT_ERRNO", syscalls: [{names: ["execve", "exit_group", "exit",
			"arch_prctl", "brk", "mmap", "munmap", "mprotect", "write", "writev", "read", "close", "fstat", "newfstatat", "set_tid_address",
			"set_robust_list", "rseq", "prlimit64", "readlinkat", "readlink", "getrandom", "rt_sigprocmask", "getuid", "ioctl", "prctl", "capset", "capget", "sendmsg", "sendto", "close_range", "openat", "getcwd", "faccessat", "faccessat2", "lseek"], action: "SCMP_ACT_ALLOW"}]}'
		set_command echo fine
		run purple_rt run --bundle "$BUNDLE" "$ID"
		assert_status 0
		assert_output fine
	done
}

@test "flags are taken, and unknown ones refused" {
	local flag
	for flag in $("$PURPLE_RUNTIME" features | jq -r '.linux.seccomp.supportedFlags[]'); do
		# This one needs a listener.
		[[ $flag != SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV ]] || continue
		seccomp SCMP_ACT_ALLOW '[{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]' "{\"flags\": [\"$flag\"]}"
		run_script 'mkdir /dev/shm/x'
		assert_contains "Operation not permitted"
	done
	seccomp SCMP_ACT_ALLOW '[]' '{"flags": ["SECCOMP_FILTER_FLAG_NO_SUCH"]}'
	refused SECCOMP_FILTER_FLAG_NO_SUCH
}

@test "what makes no sense is refused by name" {
	deny mkdir SCMP_ACT_DANCE
	refused SCMP_ACT_DANCE
	seccomp SCMP_ACT_DANCE '[]'
	refused SCMP_ACT_DANCE
	deny mkdir SCMP_ACT_ERRNO ', "args": [{"index": 6, "op": "SCMP_CMP_EQ", "value": 1}]'
	refused "linux.seccomp.syscalls[0].args[0].index"
	deny mkdir SCMP_ACT_ERRNO ', "args": [{"index": 0, "op": "SCMP_CMP_ALMOST", "value": 1}]'
	refused SCMP_CMP_ALMOST
	seccomp SCMP_ACT_ALLOW '[{"names": [], "action": "SCMP_ACT_ERRNO"}]'
	refused "linux.seccomp.syscalls[0].names: must not be empty"
	seccomp SCMP_ACT_ALLOW '[]' '{"architectures": ["SCMP_ARCH_ABACUS"]}'
	refused SCMP_ARCH_ABACUS
	deny mkdir SCMP_ACT_NOTIFY
	refused listenerPath
	seccomp SCMP_ACT_ALLOW '[]' '{"listenerPath": "relative"}'
	refused "linux.seccomp.listenerPath: must be absolute"
	seccomp SCMP_ACT_ALLOW '[]' '{"listenerMetadata": "x"}'
	refused "listenerMetadata: needs listenerPath"
	deny mkdir SCMP_ACT_ERRNO ', "errnoRet": 99999'
	refused errnoRet
}

@test "the kernel refuses system calls of an architecture that is not listed" {
	[[ $(uname -m) == x86_64 ]] || skip "needs x86-64"
	requires python3
	deny mkdir SCMP_ACT_ERRNO
	# getpid by the 32 bit entry: int 0x80 with eax 20, exit 0 by the 64 bit one.
	python3 - "$BUNDLE/rootfs/bin/call32" <<-'END'
		import os, struct, sys
		code = bytes.fromhex("b814000000" "cd80" "31ff" "b83c000000" "0f05")
		base, head = 0x400000, 0x78
		elf = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, base + head, 0x40, 0, 0, 0x40, 0x38, 1, 0, 0, 0)
		elf += struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, head + len(code), head + len(code), 0x1000)
		open(sys.argv[1], "wb").write(elf + code)
		os.chmod(sys.argv[1], 0o755)
	END
	run_script 'call32; echo $?'
	assert_equal "${lines[-1]}" 159
	edit_config 'del(.linux.seccomp)'
	run_script 'call32; echo $?'
	# Without a filter the call goes through, or this kernel has no 32 bit entry at all.
	[[ ${lines[-1]} == 0 || ${lines[-1]} == 139 ]]
}

# --- the listener ---------------------------------------------------------------------------------

# An agent at agent.sock: answers N notifications with the errno given (0: let it through), and
# writes what it was told to agent.json.
start_agent() { # N ERRNO
	cat >agent.py <<-'END'
		import array, ctypes, fcntl, json, os, socket, struct, sys
		n, error = int(sys.argv[1]), int(sys.argv[2])
		s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
		s.bind("agent.sock")
		s.listen(1)
		print("ready", flush=True)
		c, _ = s.accept()
		data, anc, _, _ = c.recvmsg(1 << 20, socket.CMSG_SPACE(4))
		fds = array.array("i")
		fds.frombytes(anc[0][2][:4])
		open("agent.new", "wb").write(data)
		os.rename("agent.new", "agent.json")
		NOTIF, RESP = 80, 24
		RECV = 0xC0502100
		SEND = 0xC0182101
		for _ in range(n):
		    buf = bytearray(NOTIF)
		    fcntl.ioctl(fds[0], RECV, buf)
		    id, pid, flags, nr = struct.unpack_from("<QIIi", buf)
		    with open("agent.calls", "a") as f:
		        f.write(f"{pid} {nr}\n")
		    fcntl.ioctl(fds[0], SEND, struct.pack("<QqiI", id, 0, -error, 0 if error else 1))
	END
	rm -f agent.out
	python3 agent.py "$1" "$2" >agent.out 2>&1 3>&- &
	AGENT=$!
	wait_for 10 grep -q ready agent.out
}

@test "an agent at listenerPath gets the state and decides the calls of NOTIFY" {
	requires python3
	start_agent 1 28
	deny 'mkdir","mkdirat' SCMP_ACT_NOTIFY
	edit_config '.linux.seccomp += {listenerPath: $p, listenerMetadata: "meta \"data\""} | .annotations = {a: "b"}' \
		--arg p "$PWD/agent.sock"
	run_script 'mkdir /dev/shm/x; ls /dev/shm'
	assert_contains "No space left on device"
	wait "$AGENT"
	jq -e --arg id "$ID" --arg b "$BUNDLE" '.fds == ["seccompFd"] and .metadata == "meta \"data\"" and .pid > 0
		and (.ociVersion | startswith("1.")) and .state.id == $id and .state.bundle == $b
		and .state.pid == .pid and .state.annotations.a == "b" and (.state.status | length > 0)' agent.json
	# One call, of a process of the container.
	assert_equal "$(wc -l <agent.calls)" 1
}

@test "an agent can let a call go on, and exec reports to it too" {
	requires python3
	start_agent 1 0
	deny 'mkdir","mkdirat' SCMP_ACT_NOTIFY
	edit_config '.linux.seccomp.listenerPath = $p' --arg p "$PWD/agent.sock"
	run_script 'mkdir /dev/shm/x && ls /dev/shm'
	assert_status 0
	assert_output x
	wait "$AGENT"
	rm agent.sock agent.json agent.calls
	start_agent 0 0
	set_command sleep 1000
	create_container
	purple_rt start "$ID"
	wait "$AGENT"
	rm agent.sock agent.json
	start_agent 1 28
	run purple_rt exec "$ID" mkdir /dev/shm/y
	assert_contains "No space left on device"
	wait "$AGENT"
	jq -e '.state.status == "running"' agent.json
}

@test "an agent that is not there fails create, which undoes everything" {
	deny mkdir SCMP_ACT_NOTIFY
	edit_config '.linux.seccomp.listenerPath = $p' --arg p "$PWD/agent.sock"
	refused listenerPath
	assert_contains "$PWD/agent.sock"
}
