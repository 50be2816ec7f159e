#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Policy keys `syscalls.default_deny`, `allow`, `deny` and `on_violation`: they hold, the agent does
# not get round them, and bad values are refused. advanced_rules: policy-advanced-rules.bats.

load policy

setup_file() {
	agent_build
}

# The calls that a shell and the agent need.
ESSENTIAL="read, write, writev, close, open, openat, fstat, newfstatat, stat, lstat, lseek, mmap, munmap,
  mprotect, brk, execve, exit_group, arch_prctl, set_tid_address, set_robust_list, rseq, prlimit64,
  readlink, readlinkat, getrandom, rt_sigaction, rt_sigprocmask, rt_sigreturn, getuid, geteuid, getgid,
  getegid, getpid, getppid, getcwd, fcntl, ioctl, dup2, dup3, wait4, clone, fork, vfork, uname, prctl, gettid,
  tgkill, futex, pipe, pipe2, access, faccessat, faccessat2, poll, ppoll, umask"

@test "deny: a call fails with EPERM, and the others work" {
	make_generous_bundle
	policy t <<-END
		filesystem: { scratch_paths: [/tmp] }
		syscalls: { deny: [mkdir, mkdirat] }
	END
	run_under t 'mkdir /tmp/x; agent call mkdirat -100 s:/tmp/y 0700; touch /tmp/f && ls /tmp'
	assert_output $'mkdir: can\'t create directory \'/tmp/x\': Operation not permitted\nEPERM\nf'
	run_free 'agent call mkdirat -100 s:/tmp/y 0700'
	assert_output ok
}

@test "deny: not by the 32-bit or x32 call tables, garbage in registers, or io_uring" {
	make_generous_bundle
	policy t <<-END
		filesystem: { scratch_paths: [/tmp] }
		syscalls: { deny: [mkdir, mkdirat] }
	END
	# i386: mkdir is 39; x32: mkdir is 83 with bit 30 set; the number's upper half is ignored.
	local script='agent call32 39 s:/tmp/i386 0700
		agent call 0x40000053 s:/tmp/x32 0700
		agent call 0x100000053 s:/tmp/upper 0700
		agent call io_uring_setup 8 b:120
		ls /tmp'
	run_under t "$script"
	assert_lacks ok
	assert_equal "${lines[3]}" EPERM
	assert_equal "${#lines[@]}" 4
	if [[ $(uname -m) == x86_64 ]]; then
		run_free 'agent call32 39 s:/tmp/i386 0700; ls /tmp'
		assert_output $'ok\ni386'
	fi
}

@test "deny: the agent can neither remove nor loosen the filter" {
	make_generous_bundle
	policy t <<-END
		filesystem: { scratch_paths: [/tmp] }
		syscalls: { deny: [mkdir, mkdirat] }
	END
	run_under t 'agent loosen mkdirat -100 s:/tmp/x 0700; agent loosen getpid'
	assert_output $'disable: EINVAL\nanother: ok\nEPERM\ndisable: EINVAL\nanother: ok\nok'
}

@test "deny: holds for processes that are added to the container, however they ask" {
	make_generous_bundle
	policy t <<-END
		filesystem: { scratch_paths: [/tmp] }
		syscalls: { deny: [mkdir, mkdirat] }
	END
	start_under t 'exec sleep 1000'
	run purple_rt exec "$ID" agent call mkdirat -100 s:/tmp/x 0700
	assert_output EPERM
	jq '.process | .args = ["agent", "call", "mkdirat", "-100", "s:/tmp/x", "0700"]' \
		"$BUNDLE/config.json" >process.json
	run purple_rt exec --process process.json "$ID"
	assert_output EPERM
	run purple_rt exec "$ID" grep -E 'Seccomp:|NoNewPrivs' /proc/self/status
	assert_output $'NoNewPrivs:\t1\nSeccomp:\t2'
}

@test "the default profile refuses what opens the kernel" {
	make_generous_bundle
	policy t <<<'filesystem: { scratch_paths: [/tmp] }'
	local script='for call in "bpf 0 b:120 120" "keyctl 0 0" "userfaultfd 1" "perf_event_open b:120 0 -1 -1 0" \
			"io_uring_setup 8 b:120" "kexec_load 0 0 0 0" "init_module 0 0 s:" "swapon s:/x 0" \
			"unshare 0x10000000" "sethostname s:x 1" "process_vm_readv 1 0 0 0 0 0" \
			"socket 40 1 0" "socket 17 3 0" "socket 2 3 255" "socket 16 3 9"; do
			echo "$(agent call $call) $call"
		done
		agent ptrace'
	run_under t "$script"
	assert_equal "$(grep -vc EPERM <<<"$output")" 0
	assert_equal "${#lines[@]}" 16
	run_free 'agent call unshare 0x10000000; agent ptrace; agent call sethostname s:x 1'
	assert_output $'ok\nok\nok'
}

@test "default_deny: only the calls of allow, and everything else gives EPERM" {
	make_generous_bundle
	policy t <<-END
		syscalls:
		  default_deny: true
		  allow: [$ESSENTIAL]
	END
	run_under t 'echo hello; agent call getppid; agent call getpriority 0 0; agent call socket 1 1 0; agent call sync'
	assert_status 0
	assert_output $'hello\nok\nEPERM\nEPERM\nEPERM'
	run_under t 'agent call32 20; agent call 0x4000006e; agent call clone3 0 0'
	assert_lacks ok
	# deny beats allow.
	policy t <<-END
		syscalls:
		  default_deny: true
		  allow: [$ESSENTIAL]
		  deny: [getppid]
	END
	run_under t 'agent call getppid; agent call getpid'
	assert_output $'EPERM\nok'
}

@test "default_deny: the engine's own, looser or stricter filter changes nothing about it" {
	make_generous_bundle
	policy t <<-END
		syscalls:
		  default_deny: true
		  allow: [$ESSENTIAL]
	END
	edit_config '.linux.seccomp = { defaultAction: "SCMP_ACT_ALLOW" }'
	run_under t 'agent call getpriority 0 0'
	assert_output EPERM
	edit_config '.linux.seccomp.syscalls = [
		{ names: ["getpriority"], action: "SCMP_ACT_ALLOW" },
		{ names: ["getppid"], action: "SCMP_ACT_ERRNO", errnoRet: 71 }]'
	run_under t 'agent call getpriority 0 0; agent call getppid'
	assert_output $'EPERM\nEPROTO'
}

@test "on_violation: kill ends the process with SIGSYS, in whatever thread or process" {
	make_generous_bundle
	policy t <<-END
		filesystem: { scratch_paths: [/tmp] }
		syscalls: { deny: [mkdir, mkdirat], on_violation: kill }
	END
	run_under t 'exec agent call mkdirat -100 s:/tmp/x 0700'
	assert_status 159
	run_under t 'trap "" SYS; agent call mkdirat -100 s:/tmp/x 0700; echo $?; ls /tmp'
	assert_contains 159
	assert_lacks ok
	run_under t 'agent call32 39 s:/tmp/x 0700; echo $?; ls /tmp'
	[[ $(uname -m) != x86_64 ]] || assert_contains 159
	policy t <<-END
		filesystem: { scratch_paths: [/tmp] }
		syscalls: { deny: [mkdir, mkdirat], on_violation: deny }
	END
	run_under t 'exec agent call mkdirat -100 s:/tmp/x 0700'
	assert_status 0
	assert_output EPERM
}

# --- deny: [execve] -------------------------------------------------------------------------------

@test "deny: [execve] lets the agent itself start, and no other program" {
	make_generous_bundle
	policy t <<<'syscalls: { deny: [execve] }'
	run_under t 'echo started; /bin/ls /; echo $?; /bin/busybox true; echo $?'
	assert_status 0
	assert_equal "${lines[0]}" started
	assert_equal "$(grep -c '^126$' <<<"$output")" 2
	assert_contains "Operation not permitted"
	run_free '/bin/busybox true; echo $?'
	assert_output 0
}

@test "deny: [execve]: not by execveat, a descriptor, memory, a script, vfork, or a raised limit" {
	make_generous_bundle
	policy t <<-END
		syscalls: { deny: [execve] }
		filesystem: { scratch_paths: [/tmp] }
		capabilities: { default_drop: false }
	END
	local how
	for how in execve execveat-path execveat-fd memfd memfd-path vfork; do
		set_command agent exec "$how" /bin/agent call getpid
		new_id
		run purple_rt --policy t run --bundle "$BUNDLE" "$ID"
		assert_output EPERM
		new_id
		run purple_rt run --bundle "$BUNDLE" "$ID"
		assert_output ok
	done
	# The descriptor through which the agent itself was started cannot be had again.
	set_command agent exec-any-fd /bin/agent call getpid
	new_id
	run purple_rt --policy t run --bundle "$BUNDLE" "$ID"
	assert_contains "setrlimit EPERM"
	assert_lacks $'\nok'
	assert_contains EPERM
	new_id
	run purple_rt run --bundle "$BUNDLE" "$ID"
	assert_contains ok
}

@test "deny: [execve]: a script starts, and its interpreter cannot exec" {
	make_generous_bundle
	printf '#!/bin/sh\necho script\n/bin/true || echo denied\n' >"$BUNDLE/rootfs/bin/agent.sh"
	chmod +x "$BUNDLE/rootfs/bin/agent.sh"
	policy t <<<'syscalls: { deny: [execve] }'
	set_command agent.sh
	new_id
	run purple_rt --policy t run --bundle "$BUNDLE" "$ID"
	assert_equal "${lines[0]}" script
	assert_equal "${lines[-1]}" denied
}

@test "deny: [execve]: a process that the engine adds can be started, and cannot exec either" {
	make_generous_bundle
	policy t <<<'syscalls: { deny: [execve] }'
	# The shell waits by itself: it cannot start `sleep`.
	start_under t 'read x </dev/zero; while :; do :; done'
	run purple_rt exec "$ID" sh -c 'echo added; /bin/true || echo denied'
	assert_equal "${lines[0]}" added
	assert_equal "${lines[-1]}" denied
	run purple_rt exec "$ID" agent exec-any-fd /bin/agent call getpid
	assert_contains "setrlimit EPERM"
	assert_lacks $'\nok'
	# Not even when the engine hands it larger limits and more rights.
	jq '.process | .args = ["agent", "exec-any-fd", "/bin/agent", "call", "getpid"]
		| .rlimits = [{ type: "RLIMIT_NOFILE", soft: 1048576, hard: 1048576 }]' \
		"$BUNDLE/config.json" >process.json
	run purple_rt exec --process process.json "$ID"
	assert_lacks $'\nok'
}

@test "deny: [execve] with default_deny, where execve is just not allowed" {
	make_generous_bundle
	policy t <<-END
		syscalls:
		  default_deny: true
		  allow: [${ESSENTIAL/execve, /}]
	END
	run_under t 'echo started; /bin/true || echo denied'
	assert_equal "${lines[0]}" started
	assert_equal "${lines[-1]}" denied
}

# --- bad values -----------------------------------------------------------------------------------

@test "syscalls: bad values are refused with line and column" {
	bad_value 3:10 "did you mean 'ptrace'" <<<$'syscalls:\n  deny: [ptrac]'
	bad_value 4:7 "no_such_call" <<<$'syscalls:\n  allow:\n    - no_such_call'
	bad_value 3:17 "default_deny" <<<$'syscalls:\n  default_deny: maybe'
	bad_value 3:17 "on_violation" <<<$'syscalls:\n  on_violation: panic'
	bad_value 3:3 "did you mean 'deny'" <<<$'syscalls:\n  denny: [ptrace]'
	bad_value 3:10 "allow" <<<$'syscalls:\n  allow: read'
	bad_value 4:3 "deny" <<<$'syscalls:\n  deny: [read]\n  deny: [write]'
	bad_value 2:11 "syscalls" <<<$'syscalls: [read]'
}
