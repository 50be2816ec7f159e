#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# containerd through its stock shim, by ctr and as Kubernetes' container runtime (CRI): Purple takes
# runc's place in the shim's settings, and nothing else changes.

load engine

setup_file() {
	# Debian's Python, whatever else is in PATH: python3-grpcio is its module.
	/usr/bin/python3 -c 'import grpc' 2>/dev/null || skip "needs python3-grpcio"
	engine_setup containerd ctr script
	local bin=$ENGINE_DIR/bin
	mkdir "$bin" "$ENGINE_DIR/cni" "$ENGINE_DIR/base"
	# One runtime handler for each policy: the program's name names it.
	local policy
	for policy in agent $(policy_names); do
		ln -s "$PURPLE_RUNTIME" "$bin/purple-runtime-$policy"
	done
	cat >"$ENGINE_DIR/cni/10-test.conflist" <<-END
		{ "cniVersion": "0.4.0", "name": "test", "plugins": [{ "type": "bridge", "bridge": "cni-test",
		  "isGateway": true, "ipam": { "type": "host-local", "dataDir": "$ENGINE_DIR/cni-leases",
		  "ranges": [[{ "subnet": "10.255.77.0/24" }]], "routes": [{ "dst": "0.0.0.0/0" }] } }] }
	END
	start_containerd '"io.containerd.snapshotter.v1.btrfs"' "$(cri_settings "$bin")"
	oci_image "$ENGINE_DIR/image" "$ENGINE_DIR/image.tar"
	local namespace
	local -a import=(images import)
	# containerd 2 unpacks with its default snapshotter otherwise.
	(($(containerd_config_version) == 2)) || import+=(--local)
	for namespace in default k8s.io; do
		ctr_ --namespace "$namespace" "${import[@]}" --snapshotter native \
			--base-name localhost/busybox "$ENGINE_DIR/image.tar" >/dev/null
	done
}

# cri_settings BIN: those of contrib/ for this containerd, with the program under test and links to
# it in BIN, and what the machine needs.
cri_settings() {
	local version contrib="s|/usr/bin/purple-runtime\"|$PURPLE_RUNTIME\"|; s|/usr/bin|$1|; /^version/d"
	version=$(containerd_config_version)
	sed "$contrib" "$PURPLE_SRCDIR/contrib/containerd-$((version - 1)).toml"
	if ((version == 2)); then
		cat <<-END
			[plugins."io.containerd.grpc.v1.cri"]
			  sandbox_image = "$IMAGE"
			  restrict_oom_score_adj = true
			  disable_apparmor = true
			  [plugins."io.containerd.grpc.v1.cri".cni]
			    bin_dir = "/usr/lib/cni"
			    conf_dir = "$ENGINE_DIR/cni"
			  [plugins."io.containerd.grpc.v1.cri".containerd]
			    snapshotter = "native"
			    default_runtime_name = "purple"
		END
	else
		cat <<-END
			[plugins."io.containerd.cri.v1.images"]
			  snapshotter = "native"
			  [plugins."io.containerd.cri.v1.images".pinned_images]
			    sandbox = "$IMAGE"
			[plugins."io.containerd.cri.v1.runtime"]
			  restrict_oom_score_adj = true
			  disable_apparmor = true
			  [plugins."io.containerd.cri.v1.runtime".cni]
			    bin_dirs = ["/usr/lib/cni"]
			    conf_dir = "$ENGINE_DIR/cni"
			  [plugins."io.containerd.cri.v1.runtime".containerd]
			    default_runtime_name = "purple"
		END
	fi
}

# The policies that Purple ships.
policy_names() {
	(cd "$PURPLE_SRCDIR/policies" && for policy in *.yaml; do echo "${policy%.yaml}"; done)
}

# oci_image ROOTFS TAR: an image in docker's archive form; the command is what a pod's sandbox needs.
oci_image() {
	local dir=$ENGINE_DIR/archive
	mkdir "$dir"
	tar -C "$1" -cf "$dir/layer.tar" .
	jq -n --arg sum "sha256:$(sha256sum <"$dir/layer.tar" | cut -d' ' -f1)" --arg arch "$(dpkg --print-architecture)" '{
		architecture: $arch, os: "linux", rootfs: { type: "layers", diff_ids: [$sum] },
		config: { Env: ["PATH=/bin:/usr/bin"], Cmd: ["sleep", "1000000"], WorkingDir: "/" } }' >"$dir/config.json"
	jq -n --arg tag "$IMAGE" '[{ Config: "config.json", RepoTags: [$tag], Layers: ["layer.tar"] }]' \
		>"$dir/manifest.json"
	tar -C "$dir" -cf "$2" manifest.json config.json layer.tar
}

teardown_file() {
	engine_teardown
}

setup() {
	purple_setup
	STARTED=() SANDBOXES=()
}

teardown() {
	local id left=0 try traces='' sandbox
	for sandbox in "${SANDBOXES[@]}"; do
		cri StopPodSandbox "{\"pod_sandbox_id\":\"$sandbox\"}" >/dev/null || left=1
		cri RemovePodSandbox "{\"pod_sandbox_id\":\"$sandbox\"}" >/dev/null || left=1
	done
	for id in $(ctr_ containers ls -q | grep "^$(test_prefix)-"); do
		ctr_ tasks rm -f "$id" >/dev/null 2>&1
		ctr_ containers rm "$id" || left=1
		STARTED+=("$id")
	done
	# The pods' groups are made and removed by who calls the CRI.
	find /sys/fs/cgroup -depth -type d -name "$(test_prefix)-pod*" -exec rmdir {} + 2>/dev/null
	purple_teardown || left=1
	for ((try = 0; try < 60 * ${PURPLE_TEST_SLOWNESS:-4}; try++)); do
		traces=$(for id in "${STARTED[@]}" "${SANDBOXES[@]}"; do
			find "$ENGINE_DIR/containerd/state" /sys/fs/cgroup -type d -name "$id" 2>/dev/null
			in_engine find /run/containerd/runc -mindepth 2 -name "$id" 2>/dev/null
		done)
		[[ -n $traces ]] || return "$left"
		sleep 0.05
	done
	echo "left behind: $traces"
	return 1
}

# --- ctr ------------------------------------------------------------------------------------------

# run_ctr OPTION... -- [WORD...]: `run`s a fresh container to its end; output and stderr apart.
# start_ctr: in the background; PID is its first process.
run_ctr() {
	ctr_arguments "$@"
	run --separate-stderr ctr_ run --rm "${arguments[@]}"
}

start_ctr() {
	ctr_arguments "$@"
	ctr_ run -d "${arguments[@]}" </dev/null >out 2>err || { cat out err; return 1; }
	STARTED+=("$ID")
	PID=$(ctr_ tasks ls | awk -v id="$ID" '$1 == id { print $2 }')
}

ctr_arguments() {
	new_id
	arguments=(--snapshotter native --runc-binary "$PURPLE_RUNTIME" --fifo-dir "$BATS_TEST_TMPDIR/fifo")
	while (($#)) && [[ $1 != -- ]]; do
		arguments+=("$1")
		shift
	done
	shift
	arguments+=("$IMAGE" "$ID" "$@")
}

# in_container WORD...: `run`s it with ctr tasks exec.
in_container() {
	_execs=$((${_execs:-0} + 1))
	run --separate-stderr ctr_ tasks exec --fifo-dir "$BATS_TEST_TMPDIR/fifo" --exec-id "e$_execs" "$ID" "$@"
}

task_status() {
	ctr_ tasks ls | awk -v id="$ID" '$1 == id { print $3 }'
}

is_task() {
	[[ $(task_status) == "$1" ]]
}

assert_stderr_contains() {
	if [[ $stderr != *"$1"* ]]; then
		printf 'stderr lacks "%s":\n%s\n' "$1" "$stderr"
		return 1
	fi
}

on_a_terminal() {
	script -qec "stty rows 33 cols 111; $1" /dev/null | tr -d '\r\000'
	return "${PIPESTATUS[0]}"
}

@test "ctr run passes on exit codes and streams, and comes back at once" {
	local code start
	for code in 0 3 255; do
		run_ctr -- sh -c "echo out; echo err >&2; exit $code"
		assert_status "$code"
		assert_output out
		assert_equal "$stderr" err
	done
	run_ctr -- sh -c 'kill -KILL $$; sh -c "kill -SEGV \$\$"; exit $?'
	assert_status 139
	# Whoever held the container's output open would keep the shim waiting.
	start=${EPOCHREALTIME/./}
	run_ctr -- sh -c 'sleep 600 & echo ended'
	assert_output ended
	((${EPOCHREALTIME/./} - start < 60000000))
}

@test "ctr run: the runtime's error is what the user reads, and nothing stays behind" {
	run_ctr -- no-such-command
	assert_status 1
	assert_stderr_contains 'exec: "no-such-command": executable file not found in $PATH'
	[[ $stderr != *"unable to retrieve OCI runtime error"* ]]
	run_ctr -- /etc/passwd
	assert_stderr_contains 'exec: "/etc/passwd": permission denied'
	run_ctr --mount type=bind,src=/no/such/place,dst=/x,options=rbind -- true
	assert_status 1
	assert_stderr_contains "/no/such/place"
	assert_equal "$(ctr_ tasks ls -q)" ""
}

@test "ctr run -t has a terminal of the caller's size" {
	new_id
	local options="-t --rm --snapshotter native --runc-binary $PURPLE_RUNTIME --fifo-dir $PWD/fifo"
	engine_namespaces
	run on_a_terminal "${ENGINE[*]} ctr --address $CONTAINERD_SOCKET run $options $IMAGE $ID sh -c '$SIZE_COMES tty; exit 5'"
	assert_status 5
	assert_contains "33 111"
	assert_contains /dev/pts/0
}

@test "ctr run's options: folder, environment, mounts, capabilities, limits" {
	mkdir vol
	run_ctr --cwd /tmp --env A=b --read-only --seccomp --mount "type=bind,src=$PWD/vol,dst=/vol,options=rbind:ro" \
		-- sh -c 'pwd; echo $A; echo x >/x || echo ro; touch /vol/x || echo vol-ro; grep Seccomp: /proc/self/status'
	assert_output $'/tmp\nb\nro\nvol-ro\nSeccomp:\t2'
	run_ctr --privileged -- grep CapEff /proc/self/status
	assert_output "CapEff:"$'\t'"$(awk '/^CapBnd/ { print $2 }' /proc/self/status)"
	run_ctr --cap-drop CAP_CHOWN -- chown 1 /tmp
	assert_status 1
	start_ctr --memory-limit $((64 << 20)) --cpus 0.5 --pid-file "$PWD/pidfile" -- sleep 1000
	assert_equal "$(<pidfile)" "$PID"
	assert_equal "$(limit_of "$PID" memory memory.limit_in_bytes memory.max)" $((64 << 20))
	assert_equal "$(limit_of "$PID" cpu cpu.cfs_quota_us cpu.max | cut -d' ' -f1)" 50000
	run_ctr --net-host --with-ns "pid:/proc/$PID/ns/pid" -- sh -c 'readlink /proc/self/ns/net; ps -o args | grep -c "sleep 100[0]"'
	assert_output "$(in_engine readlink /proc/self/ns/net)"$'\n1'
}

@test "ctr run: a user, and an AppArmor profile that the kernel cannot apply is refused" {
	# The client of containerd 1 has no --user yet.
	if (($(containerd_config_version) > 2)); then
		run_ctr --user 1000:7 --hostname box -- sh -c 'id -u; id -g; hostname; grep CapEff /proc/self/status'
		assert_output $'1000\n7\nbox\nCapEff:\t0000000000000000'
	fi
	has apparmor || {
		run_ctr --apparmor-default-profile test-profile -- echo ran
		assert_status 1
		assert_equal "$output" ""
		[[ ${stderr,,} == *apparmor* ]]
	}
}

@test "a task's life: ls, exec, ps, metrics, pause, resume, kill, rm" {
	start_ctr -- sh -c 'trap "exit 7" TERM; while :; do sleep 0.05; done'
	assert_equal "$(task_status)" RUNNING
	in_container sh -c 'echo out; echo err >&2; exit 9'
	assert_status 9
	assert_output out
	assert_equal "$stderr" err
	in_container no-such-command
	assert_status 1
	assert_stderr_contains 'executable file not found in $PATH'
	run ctr_ tasks exec --exec-id user --user 1000:7 "$ID" sh -c 'id -u; id -g; grep CapEff /proc/self/status'
	assert_output $'1000\n7\nCapEff:\t0000000000000000'
	run ctr_ tasks ps "$ID"
	assert_contains "$PID"
	run ctr_ tasks metrics --format json "$ID"
	assert_status 0
	(($(jq '(.pids.current // .Pids.Current) | tonumber' <<<"$output") >= 1))
	ctr_ tasks pause "$ID"
	assert_equal "$(task_status)" PAUSED
	in_container true
	assert_status 1
	run ctr_ tasks pause "$ID"
	assert_status 1
	ctr_ tasks resume "$ID"
	assert_equal "$(task_status)" RUNNING
	ctr_ tasks kill "$ID"
	wait_for 5 is_task STOPPED
	run ctr_ tasks kill "$ID"
	assert_status 1
	assert_contains "not found"
	run ctr_ tasks rm "$ID"
	assert_contains "exit code 7"
	ctr_ containers rm "$ID"
}

@test "a paused task can be killed, and rm -f removes a running one with all its processes" {
	start_ctr -- sleep 1000
	ctr_ tasks pause "$ID"
	ctr_ tasks kill -s KILL "$ID"
	wait_for 5 process_gone "$PID"
	start_ctr --with-ns "pid:/proc/self/ns/pid" -- sh -c 'sleep 1234567 & exec sleep 1234567'
	wait_for 5 pgrep -P "$PID" -x sleep
	local child
	child=$(pgrep -P "$PID" -x sleep)
	ctr_ tasks rm -f "$ID" || true
	wait_for 5 process_gone "$PID"
	wait_for 5 process_gone "$child"
}

@test "a checkpoint is made of what runs, or refused with the reason, and the container runs on" {
	start_ctr -- sleep 1000
	engine_namespaces
	run timeout 60 "${ENGINE[@]}" ctr --address "$CONTAINERD_SOCKET" tasks checkpoint --image-path "$PWD/images" "$ID"
	if has criu; then
		assert_status 0
		[[ -s images/inventory.img ]]
	else
		((status != 0 && status != 124))
		assert_contains CRIU
		assert_equal "$(task_status)" RUNNING
	fi
}

@test "a container killed for its memory makes an OOM event" {
	engine_namespaces
	timeout 300 "${ENGINE[@]}" ctr --address "$CONTAINERD_SOCKET" events >log 2>&1 3>&- &
	local events=$!
	wait_for 10 hears_events
	# The shim looks for OOM when the task is up.
	start_ctr --memory-limit $((16 << 20)) -- sh -c 'until [ -e /go ]; do sleep 0.1; done; head -c 100m /dev/zero | tail'
	in_container touch /go
	wait_for 5 grep -q "/tasks/oom.*$ID" log
	kill "$events"
}

hears_events() {
	ctr_ images label "$IMAGE" asked="$SECONDS" >/dev/null
	grep -q /images/update log
}

@test "containers live on when containerd is restarted" {
	start_ctr -- sh -c 'trap "exit 7" TERM; while :; do sleep 0.05; done'
	restart_containerd
	assert_equal "$(task_status)" RUNNING
	in_container echo still here
	assert_output "still here"
	ctr_ tasks kill "$ID"
	wait_for 5 is_task STOPPED
}

@test "the policy by annotation, and by the program's name" {
	agent_policy
	start_ctr --annotation io.purple.policy=agent -- sleep 1000
	assert_equal "$(limit_of "$PID" pids pids.max pids.max)" 77
	in_container mkdir /tmp/x
	assert_status 1
	assert_stderr_contains "Operation not permitted"
	run_ctr --runc-binary "$ENGINE_DIR/bin/purple-runtime-agent" -- \
		sh -c 'mkdir /tmp/x; grep CapEff /proc/self/status; ls /sys/class/net'
	assert_output $'CapEff:\t0000000000000000\nlo'
	assert_stderr_contains "Operation not permitted"
	run_ctr --annotation io.purple.policy=none-such -- true
	assert_status 1
	assert_stderr_contains 'policy "none-such" is unknown'
}

# --- CRI ------------------------------------------------------------------------------------------

cri() {
	/usr/bin/python3 "$PURPLE_SRCDIR/tests/bats/helpers/cri.py" "$CONTAINERD_SOCKET" "$@"
}

# sandbox [JQ-FILTER [HANDLER]]: a pod's sandbox, SANDBOX; the filter edits its configuration.
sandbox() {
	_pods=$((${_pods:-0} + 1))
	mkdir -p logs
	SANDBOX_CONFIG=$(jq -n --arg name "$(test_prefix)-pod$_pods" --arg logs "$PWD/logs" '{
		metadata: { name: $name, uid: $name, namespace: "test" }, hostname: "pod", log_directory: $logs,
		linux: { cgroup_parent: ("/" + $name), security_context: { namespace_options: { pid: 1 } } } }' |
		jq "${1:-.}")
	SANDBOX=$(cri RunPodSandbox "$(jq -n --argjson c "$SANDBOX_CONFIG" --arg h "${2:-}" \
		'{ config: $c, runtime_handler: $h }')" | jq -r .pod_sandbox_id)
	[[ -n $SANDBOX ]]
	SANDBOXES+=("$SANDBOX")
}

# pod_container SCRIPT [JQ-FILTER]: a container of it, CID, started; PID is its first process.
# pod_create makes it, and leaves the start to the caller.
pod_create() {
	_containers=$((${_containers:-0} + 1))
	CID=$(cri CreateContainer "$(jq -n --arg s "$SANDBOX" --argjson sc "$SANDBOX_CONFIG" --arg script "$1" \
		--arg image "$IMAGE" --arg n "c$_containers" '{ pod_sandbox_id: $s, sandbox_config: $sc, config: {
		metadata: { name: $n }, image: { image: $image }, command: ["sh", "-c", $script],
		log_path: ($n + ".log"), linux: { security_context: { namespace_options: { pid: 1 } } } } }' |
		jq ".config |= (${2:-.})")" | jq -r .container_id)
	[[ -n $CID ]]
	LOG=$PWD/logs/c$_containers.log
	STARTED+=("$CID")
}
pod_container() {
	pod_create "$@"
	cri StartContainer "{\"container_id\":\"$CID\"}" >/dev/null
	PID=$(container_info | jq -r '.info.info | fromjson | .pid')
}

container_info() {
	cri ContainerStatus "{\"container_id\":\"$CID\",\"verbose\":true}"
}

# The protocol leaves out what is 0.
container_ended() {
	[[ $(container_info | jq '.status.state // 0') == 2 ]]
}

exec_sync() { # WORD...: `run`s it in CID; the answer is JSON
	run cri ExecSync "$(jq -n --arg c "$CID" '{ container_id: $c, cmd: $ARGS.positional, timeout: 20 }' --args -- "$@")"
}

# What the container wrote, without the log's prefixes.
pod_log() {
	cut -d' ' -f4- "$LOG"
}

@test "CRI: a pod's containers share its network, IPC and host names, and each has its own processes" {
	sandbox
	local status address other_pid
	status=$(cri PodSandboxStatus "{\"pod_sandbox_id\":\"$SANDBOX\"}")
	address=$(jq -r .status.network.ip <<<"$status")
	[[ $address == 10.255.77.* ]]
	pod_container 'echo $$; hostname; ip -o -4 addr show eth0; echo err >&2; sleep 1000'
	# The two streams are copied each for itself.
	wait_for 5 grep -q "$address" "$LOG"
	wait_for 5 grep -q ' stderr F err' "$LOG"
	assert_equal "$(grep stdout "$LOG" | cut -d' ' -f4- | sed -n 1,2p)" $'1\npod'
	other_pid=$PID
	pod_container 'sleep 1000'
	local ns
	for ns in net ipc uts; do
		assert_equal "$(readlink "/proc/$PID/ns/$ns")" "$(readlink "/proc/$other_pid/ns/$ns")"
	done
	[[ $(readlink "/proc/$PID/ns/pid") != "$(readlink "/proc/$other_pid/ns/pid")" ]]
	[[ $(readlink "/proc/$PID/ns/mnt") != "$(readlink "/proc/$other_pid/ns/mnt")" ]]
	[[ $(cgroup_dir "$PID") == *"/$(test_prefix)-pod1/$CID" || $(cgroup_dir "$PID" memory) == *"/$(test_prefix)-pod1/$CID" ]]
}

@test "CRI: a pod that shares its processes; the last of a container's end with its first" {
	sandbox '.linux.security_context.namespace_options.pid = 0'
	pod_container 'echo $$; sleep 1234567 & exec sleep 7654321' \
		'.linux.security_context.namespace_options.pid = 0'
	wait_for 5 pgrep -P "$PID" -x sleep
	local child
	child=$(pgrep -P "$PID" -x sleep)
	wait_for 5 grep -q stdout "$LOG"
	(($(pod_log) > 1))
	cri StopContainer "{\"container_id\":\"$CID\",\"timeout\":0}" >/dev/null
	wait_for 5 process_gone "$child"
	assert_equal "$(container_info | jq .status.exit_code)" 137
}

@test "CRI: the host's network, processes and IPC" {
	sandbox '.hostname = "" | .linux.security_context.namespace_options = { network: 2, pid: 2, ipc: 2 }'
	pod_container 'sleep 1000' '.linux.security_context.namespace_options = { network: 2, pid: 2, ipc: 2 }'
	local ns
	for ns in net ipc pid; do
		assert_equal "$(readlink "/proc/$PID/ns/$ns")" "$(in_engine readlink "/proc/self/ns/$ns")"
	done
}

@test "CRI: exec, exit codes and the reason of an end" {
	sandbox
	pod_container 'trap "exit 7" TERM; while :; do sleep 0.05; done'
	exec_sync sh -c 'echo out; echo err >&2; exit 5'
	assert_status 0
	assert_equal "$(jq -c . <<<"$output")" '{"stdout":"out\n","stderr":"err\n","exit_code":5}'
	exec_sync no-such-command
	assert_status 1
	assert_contains 'executable file not found in $PATH'
	exec_sync sh -c 'exit 0'
	assert_output '{}'
	cri StopContainer "{\"container_id\":\"$CID\",\"timeout\":10}" >/dev/null
	assert_equal "$(container_info | jq -c '[.status.exit_code, .status.reason]')" '[7,"Error"]'
	pod_container true
	wait_for 5 container_ended
	assert_equal "$(container_info | jq -r .status.reason)" Completed
	pod_create true '.command = ["/no/such"]'
	run cri StartContainer "{\"container_id\":\"$CID\"}"
	assert_status 1
	assert_contains 'exec: "/no/such": no such file or directory'
	pod_container 'until [ -e /go ]; do sleep 0.1; done; head -c 100m /dev/zero | tail' '.linux.resources.memory_limit_in_bytes = 16777216'
	exec_sync touch /go
	wait_for 10 container_ended
	assert_equal "$(container_info | jq -r .status.reason)" OOMKilled
}

@test "CRI: resources at the start and updated, with statistics" {
	sandbox
	pod_container 'sleep 1000' '.linux.resources = { cpu_period: 100000, cpu_quota: 50000, cpu_shares: 512,
		memory_limit_in_bytes: 67108864, oom_score_adj: 600, cpuset_cpus: "0" }'
	assert_equal "$(limit_of "$PID" memory memory.limit_in_bytes memory.max)" 67108864
	assert_equal "$(limit_of "$PID" cpu cpu.cfs_quota_us cpu.max | cut -d' ' -f1)" 50000
	assert_equal "$(<"/proc/$PID/oom_score_adj")" 600
	cri UpdateContainerResources "{\"container_id\":\"$CID\",\"linux\":{\"cpu_quota\":80000,
		\"cpu_period\":100000,\"memory_limit_in_bytes\":100663296,\"cpuset_cpus\":\"0-1\"}}"
	assert_equal "$(limit_of "$PID" memory memory.limit_in_bytes memory.max)" 100663296
	assert_equal "$(limit_of "$PID" cpu cpu.cfs_quota_us cpu.max | cut -d' ' -f1)" 80000
	assert_equal "$(limit_of "$PID" cpuset cpuset.cpus cpuset.cpus)" 0-1
	# The device rules came along, and changed nothing.
	exec_sync sh -c 'echo x >/dev/null && head -c 1 /dev/zero | wc -c'
	assert_equal "$(jq -r .stdout <<<"$output")" 1
	run cri ContainerStats "{\"container_id\":\"$CID\"}"
	assert_status 0
	(($(jq .stats.memory.working_set_bytes.value <<<"$output") > 0))
	(($(jq .stats.cpu.usage_core_nano_seconds.value <<<"$output") > 0))
}

@test "CRI: security: users, groups, capabilities, filters, masked paths, privileged" {
	sandbox '.linux.security_context.privileged = true'
	pod_container 'id -u; id -g; id -G; grep -E "Seccomp:|NoNewPrivs|CapEff" /proc/self/status; touch /x || echo ro; sleep 1000' \
		'.linux.security_context += { run_as_user: { value: 1000 }, run_as_group: { value: 7 },
		supplemental_groups: [55], no_new_privs: true, readonly_rootfs: true, seccomp: { profile_type: 0 } }'
	wait_for 5 grep -q "F ro" "$LOG"
	assert_equal "$(grep stdout "$LOG" | cut -d' ' -f4- | sort)" \
		$'1000\n7\n7 55\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\nro'
	pod_container 'grep CapEff /proc/self/status; sleep 1000' \
		'.linux.security_context.capabilities = { add_capabilities: ["NET_ADMIN"], drop_capabilities: ["ALL"] }'
	wait_for 5 grep -q CapEff "$LOG"
	assert_equal "$(pod_log)" $'CapEff:\t0000000000001000'
	pod_container 'grep CapEff /proc/self/status; test -e /dev/kmsg && echo kmsg; sleep 1000' \
		'.linux.security_context.privileged = true'
	wait_for 5 grep -q kmsg "$LOG"
	assert_equal "$(pod_log | head -1)" "CapEff:"$'\t'"$(awk '/^CapBnd/ { print $2 }' /proc/self/status)"
}

@test "CRI: a pod annotation names the policy of its containers, and the sandbox is told apart" {
	agent_policy
	settings_install <<<'kubernetes: true'
	sandbox '.annotations = { "io.purple.policy": "agent" }'
	pod_container 'mkdir /tmp/x; echo ended; sleep 1000'
	wait_for 5 grep -q ended "$LOG"
	wait_for 5 grep -q "Operation not permitted" "$LOG"
	assert_equal "$(limit_of "$PID" pids pids.max pids.max)" 77
	exec_sync mkdir /tmp/y
	assert_contains "Operation not permitted"
	# The sandbox holds the pod's network: the policy's limits are not its.
	assert_equal "$(in_engine "$PURPLE_RUNTIME" --root /run/containerd/runc/k8s.io state "$SANDBOX" |
		jq -r '.annotations["io.purple.effective-policy"] // "none"')" none
	assert_equal "$(in_engine "$PURPLE_RUNTIME" --root /run/containerd/runc/k8s.io state "$CID" |
		jq -r '.annotations["io.purple.effective-policy"]')" agent
}

@test "CRI: a runtime handler for each policy, as a RuntimeClass names it" {
	settings_install <<<'kubernetes: true'
	sandbox . purple-code-analyst
	pod_container 'mkdir /x; ls /sys/class/net; grep CapEff /proc/self/status; pwd; sleep 1000'
	wait_for 5 grep -q workspace "$LOG"
	wait_for 5 grep -q "Read-only file system" "$LOG"
	assert_equal "$(grep stdout "$LOG" | cut -d' ' -f4-)" $'lo\nCapEff:\t0000000000000000\n/workspace'
	assert_equal "$(limit_of "$PID" pids pids.max pids.max)" 256
	exec_sync unshare -m true
	assert_contains "Operation not permitted"
	# An update loosens nothing.
	cri UpdateContainerResources "{\"container_id\":\"$CID\",\"linux\":{\"memory_limit_in_bytes\":4294967296}}" || true
	(($(limit_of "$PID" memory memory.limit_in_bytes memory.max) <= 2 << 30))
}

@test "CRI: handlers of contrib/ hold their pods to their policies, or start nothing" {
	settings_install <<<'kubernetes: true'
	local name started=''
	for name in secure-agent honeypot ai-dev-safe; do
		sandbox '.linux.security_context.namespace_options = { network: 2, pid: 1 } | .hostname = ""' "purple-$name"
		# Itself, not by a shell: one of them lets no further program run.
		pod_create - '.command = ["sleep", "1000"] | .linux.security_context.namespace_options = { network: 2, pid: 1 }'
		run cri StartContainer "{\"container_id\":\"$CID\"}"
		# A policy that this version or this machine cannot enforce lets nothing start.
		if ((status == 0)); then
			assert_equal "$(in_engine "$PURPLE_RUNTIME" --root /run/containerd/runc/k8s.io state "$CID" |
				jq -r '.annotations["io.purple.effective-policy"]')" "$name"
			started+=" $name"
		else
			assert_contains "/usr/share/purple/policies/$name.yaml:"
		fi
		cri RemovePodSandbox "{\"pod_sandbox_id\":\"$SANDBOX\"}" >/dev/null
		unset 'SANDBOXES[-1]'
	done
	[[ $started == " secure-agent honeypot"* ]]
}

@test "CRI: a pod with a user namespace of its own, its files and its policy" {
	(($(containerd_config_version) > 2)) || skip "needs containerd 2"
	agent_policy
	settings_install <<<'kubernetes: true'
	local ids='{ uids: [{ host_id: 400000, container_id: 0, length: 65536 }], gids: [{ host_id: 400000, container_id: 0, length: 65536 }] }'
	mkdir vol
	chmod 0777 vol
	sandbox ".annotations = { \"io.purple.policy\": \"agent\" } | .linux.security_context.namespace_options.userns_options = $ids"
	pod_container 'tr -s " " </proc/self/uid_map; id -u; stat -c %u /bin/busybox /vol; grep CapEff /proc/self/status; ls /sys/class/net; sleep 1000' \
		".linux.security_context.namespace_options.userns_options = $ids |
		.mounts = [{ container_path: \"/vol\", host_path: \"$PWD/vol\", uidMappings: $ids.uids, gidMappings: $ids.gids }]"
	wait_for 5 grep -q ' lo$' "$LOG"
	assert_equal "$(pod_log)" $' 0 400000 65536\n0\n0\n0\nCapEff:\t0000000000000000\nlo'
	assert_equal "$(stat -c %u "/proc/$PID")" 400000
	assert_equal "$(limit_of "$PID" pids pids.max pids.max)" 77
	exec_sync id -u
	assert_equal "$(jq -r .stdout <<<"$output")" 0
}

@test "the settings in contrib/ agree with one another, and have a handler for each policy" {
	local expected
	expected=$( (echo purple && policy_names | sed 's/^/purple-/') | sort)
	run /usr/bin/python3 - "$PURPLE_SRCDIR/contrib" <<-'END'
		import json, sys, tomllib
		def load(name):
		    with open(f"{sys.argv[1]}/{name}", "rb") as f:
		        return json.load(f) if name.endswith("json") else tomllib.load(f)
		one = load("containerd-1.toml")["plugins"]["io.containerd.grpc.v1.cri"]["containerd"]["runtimes"]
		two = load("containerd-2.toml")["plugins"]["io.containerd.cri.v1.runtime"]["containerd"]["runtimes"]
		crio = load("crio.conf")["crio"]["runtime"]["runtimes"]
		docker = load("docker-daemon.json")["runtimes"]
		assert one == two
		assert load("crio.conf")["crio"]["runtime"].keys() == {"cgroup_manager", "conmon_cgroup", "runtimes"}
		# CRI-O wants the pod's group for conmon where no systemd makes one.
		assert load("crio.conf")["crio"]["runtime"]["cgroup_manager"] == "cgroupfs"
		assert load("crio.conf")["crio"]["runtime"]["conmon_cgroup"] == "pod"
		for runtime in crio.values():
		    assert runtime.keys() == {"runtime_path", "runtime_type", "runtime_root"}
		    assert runtime["runtime_type"] == "oci"
		assert list(one) == list(crio) == list(docker)
		for name, runtime in one.items():
		    assert runtime["options"]["BinaryName"] == crio[name]["runtime_path"]
		    assert runtime["options"]["BinaryName"] == "/usr/bin/purple-runtime" + name[len("purple"):]
		    assert docker[name].get("runtimeArgs", []) == (["--policy", name[7:]] if name[7:] else [])
		print("\n".join(sorted(one)))
	END
	assert_status 0
	assert_output "$expected"
	assert_equal "$(sed -n 's/^handler: //p' "$PURPLE_SRCDIR/contrib/kubernetes-runtimeclass.yaml" | sort)" "$expected"
	assert_equal "$(sed -n 's/^  name: //p' "$PURPLE_SRCDIR/contrib/kubernetes-runtimeclass.yaml" | sort)" "$expected"
}

@test "CRI: no sandbox of these tests is left" {
	assert_equal "$(cri ListPodSandbox '{}')" "{}"
}
