#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# purple-policy-hook: under Podman with stock runc and crun a policy means what it means under
# purple-runtime, and what they cannot enforce keeps the container from starting.

load podman
load policy

setup_file() {
	podman_setup
	agent_build
}

setup() {
	requires private_etc python3
	purple_setup
	: "${PURPLE_POLICY_HOOK:?run the tests with tests/run}"
	make_hooks_dir
	# crun takes a hybrid host for a v2 one when a controller is left on the cgroup2 mount: it
	# runs where that is not seen.
	cat >crun-v1 <<-'END'
		#!/bin/sh
		exec unshare --mount sh -c 'umount /sys/fs/cgroup/unified 2>/dev/null; exec crun "$@"' - "$@"
	END
	chmod +x crun-v1
}

teardown() {
	podman_teardown
}

# make_hooks_dir [ARGUMENT...]: hooks.d with the hook, in the folder hooks.
make_hooks_dir() {
	mkdir -p hooks
	jq -n --arg path "$PURPLE_POLICY_HOOK" '{ version: "1.0.0", when: { always: true }, stages: ["precreate"],
		hook: { path: $path, args: (["purple-policy-hook"] + $ARGS.positional) } }' --args -- "$@" >hooks/purple.json
}

# foreign RUNTIME COMMAND-OF-PODMAN...: Podman with the hook and a stock runtime.
foreign() {
	local runtime=$1
	shift
	[[ $runtime != crun ]] || runtime=$PWD/crun-v1
	timeout --foreground -k 5 60 podman --hooks-dir "$PWD/hooks" --runtime "$runtime" "$@"
}

# run_foreign RUNTIME OPTION... IMAGE [WORD...]: see capture.
run_foreign() {
	local runtime=$1
	shift
	new_id
	capture foreign "$runtime" run --rm --name "$ID" "${WITH[@]}" "$@"
}

# alike OPTION... IMAGE WORD...: the container says the same under purple, and under runc and crun
# with the hook; sets output. Without a policy it says something else.
alike() {
	local ours
	run_podman "$@"
	assert_equal "$status" 0
	ours=$output
	run_foreign runc "$@"
	assert_output "$ours"
	run_foreign crun "$@"
	assert_output "$ours"
	local -a with=("${WITH[@]}")
	WITH=()
	run_foreign runc "$@"
	WITH=("${with[@]}")
	if [[ $output == "$ours" ]]; then
		echo "the policy changes nothing here: $output"
		return 1
	fi
	output=$ours
}

# hook [ARGUMENT...]: config.json of BUNDLE through the hook; see capture.
hook() {
	capture "$PURPLE_POLICY_HOOK" "$@" <"$BUNDLE/config.json"
}

# hook_refuses TEXT [ARGUMENT...]: not a byte on stdout, and TEXT on stderr.
hook_refuses() {
	local text=$1
	shift
	hook "$@"
	((status != 0)) || { echo "not refused"; return 1; }
	assert_equal "$output" ""
	assert_stderr_contains "$text"
}

assert_valid() { # FILE
	python3 -c 'import jsonschema' 2>/dev/null || skip "needs the program python3-jsonschema"
	python3 "$PURPLE_SRCDIR/tests/unit/validate_schema.py" \
		"$PURPLE_SRCDIR/tests/data/oci-schema/config-schema.json" "$1"
}

# --- the same as under purple-runtime -------------------------------------------------------------

@test "system calls: Purple's profile beside Podman's, call by call and argument by argument" {
	requires runc crun
	policy calls <<-END
		syscalls:
		  deny: [mkdirat, symlinkat]
		  advanced_rules:
		    - { syscall: prctl, action: deny, conditions: [{ arg: 0, op: eq, value: 15 }] }
		    - { syscall: fchmod, action: allow, conditions: [{ arg: 1, op: masked_eq, value: 0, mask: 0o6000 }] }
	END
	WITH=(--annotation io.purple.policy=calls)
	alike -v "$PURPLE_TEST_DIR/agent:/bin/agent:ro" "$IMAGE" sh -c 'for call in "mkdirat -1 0 0" "symlinkat 0 -1 0" "mknodat -1 0 0 0" "prctl 15 0" "prctl 3" "fchmod -1 0" \
			"fchmod -1 2048" "fchmod -1 0x100000000" \
			"unshare 0" "unshare 0x10000000" "unshare 0x80" "clone3 0 0" "socket 1 1 0" "socket 2 1 0" \
			"socket 2 3 0" "socket 2 0x80002 0" "socket 16 3 0" "socket 16 3 9" "socket 16 3 7" "socket 40 1 0" \
			"socket 0x100000002 1 0" "socket 17 3 0" "socketpair 1 1 0 0" "socketpair 2 1 0 0" \
			"personality 0xffffffff" "personality 0x40000" "personality 8" "ioctl -1 0x5412 0" "ioctl -1 0x541c 0" \
			"ioctl -1 0x5413 0" "ioctl -1 0x100005412 0" "ioctl -1 0xffffffff80000000 0" "ioctl -1 0x80005412 0" \
			"keyctl 0" "bpf 0" "io_uring_setup 1 0" "userfaultfd 0" "mount 0 0 0 0" "umount2 0 0" "ptrace 0 0" \
			"getpid" "kexec_load 0" "swapoff 0" "openat2 -1 0 0 0"; do
			echo "$call: $(agent call $call)"
		done'
	assert_contains "mkdirat -1 0 0: EPERM"
	assert_contains "mknodat -1 0 0 0: EFAULT"
	assert_contains "ioctl -1 0x5412 0: EPERM"
	assert_contains "ioctl -1 0x5413 0: EBADF"
	assert_contains "socket 2 3 0: EPERM"
	assert_contains "socket 16 3 9: EPERM"
}

@test "system calls: without a profile of the engine's, and with one of conditions and of other errors" {
	requires runc crun
	policy calls <<-END
		syscalls: { deny: [mkdirat] }
	END
	WITH=(--annotation io.purple.policy=calls)
	local -a words=(sh -c 'for call in "mkdirat -1 0 0" "getpriority 5 0" "getpriority 0 0" "ioctl -1 0x5412 0" "ioctl -1 0x5413 0" \
		"ioctl 0 0x5401 0" "socket 10 1 0" "getpgid 4" "bpf 0" "umask 0x12"; do
			echo "$call: $(agent call $call)"
		done')
	alike -v "$PURPLE_TEST_DIR/agent:/bin/agent:ro" --security-opt seccomp=unconfined "$IMAGE" "${words[@]}"
	echo '{ "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"], "syscalls": [
		{ "names": ["getpriority"], "action": "SCMP_ACT_ERRNO", "errnoRet": 71,
			"args": [{ "index": 0, "value": 2, "op": "SCMP_CMP_GT" }, { "index": 0, "value": 7, "op": "SCMP_CMP_LE" }] },
		{ "names": ["ioctl"], "action": "SCMP_ACT_ERRNO", "errnoRet": 72,
			"args": [{ "index": 1, "value": 21505, "op": "SCMP_CMP_EQ" }] },
		{ "names": ["mkdirat", "bpf"], "action": "SCMP_ACT_ERRNO", "errnoRet": 73 },
		{ "names": ["getpgid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 74,
			"args": [{ "index": 0, "value": 6, "valueTwo": 4, "op": "SCMP_CMP_MASKED_EQ" }] }] }' >profile.json
	alike -v "$PURPLE_TEST_DIR/agent:/bin/agent:ro" --security-opt "seccomp=$PWD/profile.json" "$IMAGE" "${words[@]}"
}

@test "files: read-only but for scratch and output paths, the policy's own mounts, masked files" {
	requires runc crun
	mkdir -p volume input/sub out
	echo input >input/sub/file
	policy files <<-END
		filesystem:
		  immutable_paths: [{ host_path: $PWD/input, sandbox_path: /input }, { sandbox_path: /opt }]
		  scratch_paths: [/scratch]
		  output_paths: [{ host_path: $PWD/out/deep, sandbox_path: /out }]
		  working_dir: /scratch
	END
	WITH=(--annotation io.purple.policy=files)
	alike --cap-add all -v "$PWD/volume:/volume" --tmpfs /mem "$IMAGE" sh -c 'pwd; for f in /file /volume/file /etc/hosts /etc/new \
			/input/sub/file /input/new /scratch/file /out/file /mem/file /dev/shm/file /proc/sysrq-trigger; do
			(echo text >>$f) 2>/dev/null && echo "$f is written" || echo "$f is not"
		done
		cat /input/sub/file; wc -c </proc/kcore; cp /bin/busybox /out/; /out/busybox true 2>&1 || echo "not executed"
		mount -o remount,rw / 2>&1; umount /input 2>&1; mknod /scratch/sda b 8 0 2>&1
		awk '"'"'$5 ~ "^/(out|input|scratch|volume)$" { n = split($6, o, ","); s = ""; for (i = 1; i <= n; i++)
			if (o[i] ~ "^(ro|nosuid|nodev|noexec)$") s = s " " o[i]; print $5 s }'"'"' /proc/self/mountinfo | sort'
	assert_contains "/out/file is written"
	assert_contains "/volume/file is not"
	assert_contains "/input/sub/file is not"
	assert_contains "not executed"
	assert_contains "/input ro nosuid nodev"
	assert_equal "$(stat -c %a out/deep)" 700
}

@test "capabilities, no_new_privs and devices, also for a privileged container" {
	requires runc crun
	policy caps <<-END
		capabilities: { default_drop: true, add: [NET_BIND_SERVICE, CHOWN] }
	END
	WITH=(--annotation io.purple.policy=caps)
	local -a words=(sh -c 'grep -E "Cap|NoNewPrivs|Seccomp:" /proc/self/status; cd /dev/shm
		for d in "8 0 b" "10 229 c" "1 11 c"; do set -- $d; mknod dev $3 $1 $2 2>&1; done
		ls /dev/sda /dev/vda /dev/fuse /dev/kmsg 2>/dev/null; echo text >/dev/null && echo null')
	alike "$IMAGE" "${words[@]}"
	alike --privileged --cap-add all "$IMAGE" "${words[@]}"
	assert_contains $'CapBnd:\t0000000000000401'
	assert_contains $'NoNewPrivs:\t1'
}

@test "limits: the smaller of both, in the kernel's files" {
	requires runc crun
	policy limits <<-END
		resources: { cpu_shares: 0.5, memory_limit_bytes: "64M", pids_limit: 40 }
	END
	local runtime pid
	for runtime in runc crun; do
		new_id
		foreign "$runtime" run -d --name "$ID" --pids-limit 0 --memory 1g --annotation io.purple.policy=limits \
			"$IMAGE" sleep 1000 >/dev/null
		pid=$(field '{{.State.Pid}}')
		assert_equal "$(memory_limit_of "$pid") $(pids_limit_of "$pid") $(cpu_limit_of "$pid")" "67108864 40 500"
		foreign "$runtime" rm -f -t 0 "$ID" >/dev/null
		new_id
		foreign "$runtime" run -d --name "$ID" --pids-limit 30 --memory 32m --cpus 0.25 \
			--annotation io.purple.policy=limits "$IMAGE" sleep 1000 >/dev/null
		pid=$(field '{{.State.Pid}}')
		assert_equal "$(memory_limit_of "$pid") $(pids_limit_of "$pid") $(cpu_limit_of "$pid")" "33554432 30 250"
		foreign "$runtime" rm -f -t 0 "$ID" >/dev/null
	done
}

@test "namespaces and network: an isolated container has loopback alone, whatever Podman shares" {
	requires runc crun
	policy isolated <<-END
		network: { isolated: true }
	END
	WITH=(--annotation io.purple.policy=isolated)
	alike --network host --pid host --ipc host --uts host "$IMAGE" sh -c 'sed 1,2d /proc/net/dev | cut -d : -f 1; echo $$
		ls /sys/class/net; ping -c 1 -W 5 127.0.0.1 >/dev/null 2>&1; hostname'
	assert_equal "${output:0:8}" $'    lo\n1'
	local net
	net=$(readlink /proc/self/ns/net)
	run_foreign runc --network host "$IMAGE" readlink /proc/self/ns/net
	[[ $output == net:* && $output != "$net" ]]
}

@test "a process of podman exec is under the same filter, files and limits" {
	requires runc crun
	policy held <<-END
		filesystem: { scratch_paths: [/tmp] }
		syscalls: { deny: [mkdir, mkdirat] }
		resources: { pids_limit: 40 }
	END
	local runtime
	for runtime in runc crun; do
		new_id
		foreign "$runtime" run -d --name "$ID" --annotation io.purple.policy=held "$IMAGE" sleep 1000 >/dev/null
		capture foreign "$runtime" exec --privileged "$ID" sh -c 'mkdir /tmp/dir; touch /file; touch /tmp/file && echo scratch; unshare -m true'
		assert_contains scratch
		assert_stderr_contains "mkdir: can't create directory '/tmp/dir': Operation not permitted"
		assert_stderr_contains "/file: Read-only file system"
		assert_stderr_contains "unshare: unshare(0x20000): Operation not permitted"
		foreign "$runtime" rm -f -t 0 "$ID" >/dev/null
	done
}

@test "under purple-runtime itself the hook's word and the runtime's are one" {
	policy twice <<-END
		filesystem: { scratch_paths: [/tmp] }
		syscalls: { deny: [mkdir, mkdirat] }
		network: { isolated: true }
	END
	WITH=(--annotation io.purple.policy=twice)
	run_podman "$IMAGE" sh -c 'mkdir /tmp/x 2>&1; touch /x 2>&1; cat /proc/net/dev'
	local ours=$output
	run_foreign "$PURPLE_RUNTIME" "$IMAGE" sh -c 'mkdir /tmp/x 2>&1; touch /x 2>&1; cat /proc/net/dev'
	assert_output "$ours"
}

# --- which policy ---------------------------------------------------------------------------------

@test "the administrator's default and argument hold; an annotation adds, if it is selectable" {
	requires runc
	policy no-mkdir <<<'syscalls: { deny: [mkdir, mkdirat] }'
	policy no-link <<<'syscalls: { deny: [symlink, symlinkat] }'
	local -a words=("$IMAGE" sh -c 'cd /dev/shm; mkdir dir 2>/dev/null && echo dir; ln -s a link 2>/dev/null && echo link; echo end')
	WITH=()
	run_foreign runc "${words[@]}"
	assert_output $'dir\nlink\nend'
	settings_install <<<$'default_policy: no-mkdir\nselectable: [no-mkdir]'
	run_foreign runc "${words[@]}"
	assert_output $'link\nend'
	make_hooks_dir --policy no-link
	run_foreign runc "${words[@]}"
	assert_output $'dir\nend'
	WITH=(--annotation io.purple.policy=no-mkdir)
	run_foreign runc "${words[@]}"
	assert_output end
	make_hooks_dir
	WITH=(--annotation io.purple.policy=no-link)
	run_foreign runc "${words[@]}"
	((status != 0))
	assert_equal "$output" ""
}

@test "without a policy the configuration comes out byte for byte" {
	make_bundle "" '.unknown = [1.50, "\u00e4"] | .vm = {}'
	printf '  \n' >>"$BUNDLE/config.json"
	cp "$BUNDLE/config.json" in.json
	"$PURPLE_POLICY_HOOK" <in.json >out.json
	cmp in.json out.json
	policy one <<<'{}'
	edit_config '.annotations["io.purple.policy"] = "one"'
	hook_refuses "vm"
	# A sandbox of Kubernetes, where the settings say that there are some.
	settings_install <<<$'default_policy: one\nkubernetes: true'
	edit_config '.annotations["io.kubernetes.cri.container-type"] = "sandbox"'
	cp "$BUNDLE/config.json" in.json
	"$PURPLE_POLICY_HOOK" <in.json >out.json
	cmp in.json out.json
}

# --- the document ---------------------------------------------------------------------------------

@test "members that Purple does not know survive; where they cannot, the configuration is refused" {
	policy one <<-END
		resources: { pids_limit: 40, memory_limit_bytes: 64M }
		filesystem: { scratch_paths: [/tmp] }
	END
	make_bundle
	edit_config '.root.path = $root | .new = { a: [1e3, null, "x"] } | .linux.new = 1 | .process.new = true
		| .linux.resources.new = "r" | .linux.resources.memory = { limit: 1099511627776, new: -1.0 }
		| .annotations["io.purple.policy"] = "one"' --arg root "$BUNDLE/rootfs"
	jq -c . <"$BUNDLE/config.json" | sed 's/\[1000,/[1e3,/' >config.new
	mv config.new "$BUNDLE/config.json"
	hook
	assert_equal "$status" 0
	jq -e '.new == { a: [1e3, null, "x"] } and .linux.new == 1 and .process.new == true
		and .linux.resources.new == "r" and .linux.resources.memory.new == -1
		and .linux.resources.memory.limit == 67108864 and .linux.resources.pids.limit == 40' <<<"$output"
	assert_contains '"a":[1e3,null,"x"]'
	# Nothing of Purple's own is in it, but the names of what holds.
	assert_equal "$(jq -c '[.. | objects | keys[] | select(test("purple"; "i"))] | unique' <<<"$output")" \
		'["io.purple.effective-policy","io.purple.policy"]'
	assert_equal "$(jq -r '.annotations["io.purple.effective-policy"]' <<<"$output")" one
	edit_config '.mounts[0].new = 1'
	hook_refuses "config.json: mounts.new: a member that is not known here, in a part that changes, would be lost"
	# In a list that stays as it is, it stays.
	edit_config 'del(.mounts[0].new) | .hooks.poststop = [{ path: "/bin/true", new: 1 }]'
	hook
	assert_equal "$(jq .hooks.poststop[0].new <<<"$output")" 1
	# What is known and cannot be carried out is refused as by the runtime.
	edit_config 'del(.hooks) | .linux.purplePolicySeccomp = []'
	hook_refuses "purplePolicySeccomp"
}

@test "the outcome is valid by the OCI schema, for every shipped policy that a foreign runtime can enforce" {
	make_bundle
	edit_config '.root.path = $root' --arg root "$BUNDLE/rootfs"
	local file name done=0
	for file in "$PURPLE_SRCDIR"/policies/*.yaml; do
		name=$(basename "$file" .yaml)
		policy_install "$name" <"$file"
		hook --policy "$name"
		if ((status != 0)); then
			assert_stderr_contains "$name.yaml:"
			continue
		fi
		printf '%s\n' "$output" >out.json
		assert_valid out.json
		done=$((done + 1))
	done
	policy full <<-END
		filesystem: { scratch_paths: [/tmp] }
		syscalls: { default_deny: false, deny: [mkdir], on_violation: kill }
		resources: { cpu_shares: 0.5, memory_limit_bytes: "64M", pids_limit: 40 }
		network: { isolated: true }
	END
	hook --policy full
	assert_equal "$status" 0
	printf '%s\n' "$output" >out.json
	assert_valid out.json
	jq -e '.linux.seccomp.defaultAction == "SCMP_ACT_KILL_PROCESS"
		and ([.linux.namespaces[] | select(.type == "network")] == [{ type: "network" }])' out.json
	# No rule names an argument twice: runtimes take that for two rules.
	jq -e '[.linux.seccomp.syscalls[] | select((.args // []) | map(.index) | length != (unique | length))] == []' out.json
}

@test "options of a mount that come in one string hold under runc as words" {
	requires runc
	policy files <<<'filesystem: { scratch_paths: [/tmp] }'
	mkdir data
	make_bundle
	edit_config '.root.path = $root | .ociVersion = "1.0.2" | .linux.cgroupsPath = "/purple/\($id)"
		| .mounts += [{ destination: "/data", type: "bind", source: $data, options: ["rbind,nosuid,ro,rro,nodev"] }]' \
		--arg root "$BUNDLE/rootfs" --arg data "$PWD/data" --arg id "$ID"
	set_script 'touch /data/file 2>&1; touch /tmp/file && echo scratch'
	hook --policy files
	assert_equal "$status" 0
	printf '%s\n' "$output" >"$BUNDLE/config.json"
	assert_equal "$(jq '[.mounts[].options // [] | .[] | select(contains(","))] | length' "$BUNDLE/config.json")" 0
	run runc --root "$PWD/runc" run --bundle "$BUNDLE" "$ID-runc"
	assert_output $'touch: /data/file: Read-only file system\nscratch'
}

# --- refusals -------------------------------------------------------------------------------------

@test "what a foreign runtime cannot enforce is refused, by file and line" {
	make_bundle
	edit_config '.root.path = $root' --arg root "$BUNDLE/rootfs"
	policy once <<<$'syscalls:\n  deny:\n    - execve'
	hook_refuses "/etc/purple/policies/once.yaml:4:7: syscalls: starting the agent and refusing every later execve" --policy once
	policy timed <<<$'resources:\n  session_timeout_seconds: 60'
	hook_refuses "/etc/purple/policies/timed.yaml:3:3: resources.session_timeout_seconds" --policy timed
	policy isolated <<<$'network:\n  isolated: true'
	edit_config '.hooks.createRuntime = [{ path: "/bin/true" }]'
	hook_refuses "/etc/purple/policies/isolated.yaml:3:3: network.isolated beside prestart and createRuntime hooks" --policy isolated
	policy open <<<$'network:\n  isolated: false'
	hook --policy open
	assert_equal "$status" 0
	# So many conditions on four arguments have no short form.
	policy wild <<-END
		syscalls:
		  advanced_rules:
		    - { syscall: prctl, action: deny, conditions: [{ arg: 1, op: neq, value: 5 }, { arg: 2, op: neq, value: 6 }, { arg: 3, op: neq, value: 7 }] }
	END
	edit_config 'del(.hooks)'
	hook_refuses "/etc/purple/policies/wild.yaml:4:7: syscalls: the rules for 'prctl'" --policy wild
}

@test "annotations by which another runtime would undo the policy are refused" {
	requires crun
	policy no-mkdir <<<'syscalls: { deny: [mkdir, mkdirat] }'
	# A filter that is one instruction: allow.
	local filter annotation
	filter=$(printf '\006\000\000\000\000\000\377\177' | base64)
	make_hooks_dir --log "$PWD/log"
	WITH=()
	run_foreign crun --annotation "run.oci.seccomp_bpf_data=$filter" "$IMAGE" sh -c 'mkdir /tmp/dir && echo made'
	assert_output made
	for annotation in "run.oci.seccomp_bpf_data=$filter" run.oci.keep_original_groups=1 run.oci.handler=krun \
		org.systemd.property.MemoryMax=infinity; do
		WITH=(--annotation io.purple.policy=no-mkdir --annotation "$annotation")
		run_foreign crun "$IMAGE" sh -c 'mkdir /tmp/dir && echo made'
		((status != 0))
		assert_equal "$output" ""
		grep -qF "annotation '${annotation%%=*}'" log
	done
	WITH=(--annotation io.purple.policy=no-mkdir)
	run_foreign crun --stop-signal INT "$IMAGE" sh -c 'mkdir /tmp/dir || echo not made'
	assert_output "not made"
}

@test "Podman does not start a container whose policy is refused" {
	requires runc
	policy once <<<$'syscalls:\n  deny: [execve]'
	make_hooks_dir --log "$PWD/log"
	local name
	for name in once nothing-like-this; do
		WITH=(--annotation "io.purple.policy=$name")
		run_foreign runc "$IMAGE" echo started
		((status != 0))
		assert_equal "$output" ""
		assert_stderr_contains "precreate"
	done
	# Podman does not say why; the log does.
	output=$(<log)
	assert_contains "/etc/purple/policies/once.yaml:3:10: "
	assert_contains 'policy "nothing-like-this" is unknown'
}

@test "paths: a link on the way to an output path, and what is relative, are refused" {
	mkdir real
	ln -s real link
	policy out <<<"filesystem: { output_paths: [{ host_path: $PWD/link/out, sandbox_path: /out }] }"
	make_bundle
	hook_refuses "root.path 'rootfs' is relative" --policy out
	edit_config '.root.path = $root' --arg root "$BUNDLE/rootfs"
	hook_refuses "link" --policy out
	[[ ! -e real/out ]]
	edit_config '.mounts += [{ destination: "/x", type: "bind", source: "some", options: ["bind"] }]'
	hook_refuses "source 'some' is relative" --policy out
}

@test "input that is no configuration, and arguments that are none, are refused" {
	BUNDLE=$PWD
	policy one <<<'{}'
	local text
	for text in '' '{' '[]' '{} {}' '{"annotations": 1}' '{"annotations": {"io.purple.policy": 1}}'; do
		printf '%s' "$text" >config.json
		hook_refuses "config.json"
	done
	echo '{"annotations": {"io.purple.policy": "one"}}' >config.json
	hook_refuses "ociVersion"
	make_bundle
	edit_config '.root.path = $root' --arg root "$BUNDLE/rootfs"
	hook_refuses 'policy name "../one" is not valid' --policy ../one
	hook_refuses 'policy "two" is unknown' --policy two
	hook_refuses "unknown option" --polcy one
	hook_refuses "unexpected argument" one
	capture "$PURPLE_POLICY_HOOK" --version
	assert_contains "purple-policy-hook version"
	capture "$PURPLE_POLICY_HOOK" --help
	assert_contains "--policy NAME"
}
