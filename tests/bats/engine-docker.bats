#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Docker's engine with Purple as its default runtime: what a user of docker sees is what runc gives.

load engine

setup_file() {
	engine_setup containerd dockerd script
	# Of the same package as the daemon, whatever else is in PATH.
	export DOCKER=/usr/bin/docker DOCKER_HOST=unix://$ENGINE_DIR/docker.sock
	export DOCKER_CONFIG=$ENGINE_DIR/client
	start_containerd '"io.containerd.grpc.v1.cri"'
	jq --arg path "$PURPLE_RUNTIME" '.runtimes[].path = $path | ."default-runtime" = "purple" |
		.runtimes.agent = { path: $path, runtimeArgs: ["--policy", "agent"] }' \
		"$PURPLE_SRCDIR/contrib/docker-daemon.json" >"$ENGINE_DIR/daemon.json"
	start_dockerd
	tar -C "$ENGINE_DIR/image" -c . | docker_ import --change 'CMD ["sh"]' \
		--change 'ENV PATH=/bin:/usr/bin' - "$IMAGE" >/dev/null
}

start_dockerd() {
	engine_namespaces
	start_daemon dockerd "${ENGINE[@]}" dockerd \
		--config-file "$ENGINE_DIR/daemon.json" --data-root "$ENGINE_DIR/data" \
		--exec-root "$ENGINE_DIR/exec" --pidfile "$ENGINE_DIR/docker.pid" --host "$DOCKER_HOST" \
		--containerd "$CONTAINERD_SOCKET" --storage-driver vfs --live-restore
	daemon_up 30 dockerd docker_ version
}

teardown_file() {
	[[ -n ${ENGINE_DIR:-} ]] || return 0
	local ids
	ids=$(docker_ ps -aq 2>/dev/null)
	# shellcheck disable=SC2086 # one word per id
	[[ -z $ids ]] || docker_ rm -f $ids >/dev/null
	engine_teardown
}

setup() {
	purple_setup
	CIDS=()
}

# Removes the test's containers; the engine and the runtime have nothing left of them then.
teardown() {
	local id left=0 try traces=''
	local -a ids=()
	mapfile -t ids < <(docker_ ps -aq --no-trunc --filter "name=$(test_prefix)")
	((${#ids[@]} == 0)) || docker_ rm -f -v "${ids[@]}" >/dev/null || left=1
	purple_teardown || left=1
	for ((try = 0; try < 60 * ${PURPLE_TEST_SLOWNESS:-4}; try++)); do
		traces=$(for id in "${ids[@]}" "${CIDS[@]}"; do
			find "$ENGINE_DIR/exec/runtime-runc" "$ENGINE_DIR/containerd/state" /sys/fs/cgroup \
				-type d -name "$id" 2>/dev/null
		done)
		[[ -n $traces ]] || return "$left"
		sleep 0.05
	done
	echo "left behind: $traces"
	return 1
}

docker_() {
	timeout 150 "$DOCKER" "$@"
}

# run_docker OPTION... IMAGE [WORD...]: `run`s a fresh container to its end; output and stderr apart.
run_docker() {
	new_id
	run --separate-stderr docker_ run --rm --name "$ID" "$@"
}

# start_docker OPTION... IMAGE [WORD...]: a fresh container ID in the background; CID is the long id,
# PID its first process.
start_docker() {
	new_id
	CID=$(docker_ run -d --name "$ID" "$@")
	CIDS+=("$CID")
	PID=$(field '{{.State.Pid}}')
}

in_container() {
	run --separate-stderr docker_ exec "$ID" "$@"
}

field() {
	docker_ inspect --format "$1" "$ID"
}

is_field() {
	[[ $(field "$1") == "$2" ]]
}

has_event() {
	docker_ events --since 10m --until 0s --filter "container=$ID" --format '{{.Action}}' | grep -qx "$1"
}

log_has() {
	[[ $(docker_ logs "$ID" 2>&1) == *"$1"* ]]
}

on_a_terminal() {
	script -qec "stty rows 33 cols 111; $1" /dev/null | tr -d '\r\000'
	return "${PIPESTATUS[0]}"
}

assert_stderr_contains() {
	if [[ $stderr != *"$1"* ]]; then
		printf 'stderr lacks "%s":\n%s\n' "$1" "$stderr"
		return 1
	fi
}

# Of what /proc/PID/status says: those that this version of Docker has heard of.
capabilities_of() {
	local caps
	caps=$(awk '/^CapEff/ { print $2 }')
	printf '%x\n' $((0x$caps & 0x3fffffffff))
}

# The policies that the runtime says hold for CID.
effective_policy() {
	in_engine "$PURPLE_RUNTIME" --root "$ENGINE_DIR/exec/runtime-runc/moby" state "$CID" |
		jq -r '.annotations["io.purple.effective-policy"] // "none"'
}

# --- the daemon -----------------------------------------------------------------------------------

@test "docker info lists the runtimes, the default one, and reads its version" {
	run docker_ info --format '{{json .}}'
	assert_status 0
	assert_equal "$(jq -r .DefaultRuntime <<<"$output")" purple
	assert_equal "$(jq -r '.Runtimes.purple.path' <<<"$output")" "$PURPLE_RUNTIME"
	assert_equal "$(jq -r '.Runtimes.agent.runtimeArgs | join(" ")' <<<"$output")" "--policy agent"
	assert_equal "$(jq -r .RuncCommit.ID <<<"$output")" \
		"$("$PURPLE_RUNTIME" --version | sed -n 's/^commit: //p')"
	# What the daemon has to say against the runtime, it says in its log.
	run grep -E 'level=(warning|error).*purple' "$ENGINE_DIR/dockerd.log"
	assert_status 1
}

@test "containers live on when the daemon is restarted, and can be worked with then" {
	start_docker "$IMAGE" sh -c 'trap "exit 9" TERM; while :; do sleep 0.05; done'
	stop_daemon dockerd
	[[ -d /proc/$PID ]]
	start_dockerd
	assert_equal "$(field '{{.State.Running}} {{.State.Pid}}')" "true $PID"
	in_container echo still here
	assert_output "still here"
	docker_ stop -t 5 "$ID"
	assert_equal "$(field '{{.State.ExitCode}}')" 9
}

# --- run ------------------------------------------------------------------------------------------

@test "docker run passes on the exit code of the command, and of one ended by a signal" {
	local code
	for code in 0 3 255; do
		run_docker "$IMAGE" sh -c "exit $code"
		assert_status "$code"
		assert_equal "$output$stderr" ""
	done
	# The first process of a process namespace has no default action for a signal like this one.
	start_docker --pid host "$IMAGE" sleep 1000
	docker_ kill -s SEGV "$ID"
	assert_equal "$(docker_ wait "$ID")" 139
}

@test "docker run of a command that is not there gives 127, one that cannot be executed 126" {
	run_docker "$IMAGE" no-such-command
	assert_status 127
	assert_stderr_contains 'exec: "no-such-command": executable file not found in $PATH'
	run_docker "$IMAGE" /no/such/command
	assert_status 127
	assert_stderr_contains 'exec: "/no/such/command"'
	run_docker "$IMAGE" /etc/passwd
	assert_status 126
	assert_stderr_contains 'exec: "/etc/passwd": permission denied'
}

@test "stdout and stderr stay apart, in docker run and docker logs, and stdin reaches its end" {
	run_docker "$IMAGE" sh -c 'echo one; echo two >&2; printf no-newline'
	assert_status 0
	assert_output $'one\nno-newline'
	assert_equal "$stderr" two
	new_id
	docker_ run --name "$ID" "$IMAGE" sh -c 'echo out; echo err >&2; echo last' >/dev/null 2>&1
	run --separate-stderr docker_ logs "$ID"
	assert_output $'out\nlast'
	assert_equal "$stderr" err
	head -c 2000000 /dev/urandom >data
	new_id
	assert_equal "$(docker_ run --rm -i --name "$ID" "$IMAGE" cat <data | sha256sum)" "$(sha256sum <data)"
}

@test "docker run -t has a terminal of the caller's size, and exec -t another" {
	new_id
	run on_a_terminal "$DOCKER run --rm -it --name $ID $IMAGE sh -c '$SIZE_COMES tty; test -w /dev/console && echo console'"
	assert_status 0
	assert_contains "33 111"
	assert_contains "/dev/pts/0"
	assert_contains console
	start_docker -t "$IMAGE" sh -c 'tty; trap "stty size" WINCH; while :; do sleep 0.05; done'
	run on_a_terminal "$DOCKER exec -it $ID sh -c '$SIZE_COMES tty; exit 5'"
	assert_status 5
	assert_contains "33 111"
	assert_contains "/dev/pts/1"
	local seconds
	for seconds in 1 4 16; do
		run on_a_terminal "timeout $seconds $DOCKER attach --sig-proxy=false $ID"
		! log_has "33 111" || break
	done
	log_has "33 111"
}

@test "user, groups, folder, environment, host name and limits are the ones asked for" {
	run_docker --user 1000:1001 --group-add 55 --workdir /tmp/w -e A=b -h box --ulimit nofile=100:200 \
		--ulimit core=0 --oom-score-adj 500 "$IMAGE" \
		sh -c 'id -u; id -g; id -G; pwd; echo $A; hostname; ulimit -Sn; ulimit -Hn; cat /proc/self/oom_score_adj'
	assert_status 0
	assert_output $'1000\n1001\n1001 55\n/tmp/w\nb\nbox\n100\n200\n500'
	run_docker --user nobody "$IMAGE" id -u
	assert_output 65534
}

@test "volumes, tmpfs, read-only roots, shm and devices" {
	mkdir vol
	echo host >vol/file
	run_docker --read-only -v "$PWD/vol:/rw" -v "$PWD/vol:/ro:ro" --tmpfs /scratch:size=1m,noexec \
		-v /anonymous --shm-size 2m "$IMAGE" sh -c '
		cat /ro/file; echo container >/rw/new; cat /ro/new
		echo x >/ro/x || echo ro; echo x >/x || echo root-ro
		echo x >/scratch/x && grep " /scratch " /proc/mounts | grep -o "noexec.*size=1024k"
		echo x >/anonymous/x && echo volume; grep " /dev/shm " /proc/mounts | grep -o size=2048k'
	assert_output $'host\ncontainer\nro\nroot-ro\nnoexec,relatime,size=1024k\nvolume\nsize=2048k'
	assert_equal "$(<vol/new)" container
	run_docker --device /dev/net/tun:/dev/mine:r "$IMAGE" \
		sh -c '(exec 3</dev/mine) && echo reads; (exec 3>/dev/mine) || echo no; test -e /dev/kmsg || echo none'
	assert_output $'reads\nno\nnone'
}

@test "mount propagation: a slave volume sees what the host mounts later" {
	mkdir -p vol/sub
	keep_mount "$PWD/vol"
	in_engine mount --bind "$PWD/vol" "$PWD/vol"
	in_engine mount --make-shared "$PWD/vol"
	start_docker -v "$PWD/vol:/vol:rslave" "$IMAGE" sleep 1000
	in_engine mount -t tmpfs late "$PWD/vol/sub"
	in_container grep -c ' /vol/sub ' /proc/mounts
	assert_output 1
	docker_ rm -f "$ID"
	in_engine umount "$PWD/vol/sub" "$PWD/vol"
}

@test "capabilities: the default set, dropped, added, none for a user" {
	run_docker "$IMAGE" grep CapEff /proc/self/status
	assert_output $'CapEff:\t00000000a80425fb'
	run_docker --cap-drop ALL --cap-add NET_ADMIN "$IMAGE" grep CapEff /proc/self/status
	assert_output $'CapEff:\t0000000000001000'
	run_docker --user 1000 "$IMAGE" grep CapEff /proc/self/status
	assert_output $'CapEff:\t0000000000000000'
	run_docker --cap-drop CHOWN "$IMAGE" chown 1 /tmp
	assert_status 1
}

@test "security options: the default filter, none, a profile of one's own, no new privileges" {
	run_docker "$IMAGE" sh -c 'grep Seccomp: /proc/self/status; unshare -m true || echo denied'
	assert_output $'Seccomp:\t2\ndenied'
	run_docker --security-opt seccomp=unconfined "$IMAGE" grep Seccomp: /proc/self/status
	assert_output $'Seccomp:\t0'
	echo '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":28}]}' >profile.json
	run_docker --security-opt seccomp=profile.json --security-opt no-new-privileges "$IMAGE" \
		sh -c 'mkdir /tmp/x; grep NoNewPrivs /proc/self/status'
	assert_output $'NoNewPrivs:\t1'
	assert_stderr_contains "No space left on device"
}

@test "docker run --privileged has every capability, every device, no filter, and a writable /sys" {
	run_docker --privileged "$IMAGE" sh -c 'grep -E "CapEff|Seccomp:" /proc/self/status
		test -e /dev/kmsg && echo kmsg; mkdir /tmp/m; mount -t tmpfs x /tmp/m && echo mounted
		grep " /sys " /proc/mounts | grep -o "\brw\b"; ls -d /proc/kcore; test -c /dev/null && echo null'
	assert_status 0
	assert_equal "$(capabilities_of <<<"$output")" "$(capabilities_of </proc/self/status)"
	assert_contains $'Seccomp:\t0'
	assert_contains kmsg
	assert_contains mounted
	assert_contains rw
	run_docker "$IMAGE" sh -c 'head -c 1 /proc/kcore | wc -c; echo 1 >/proc/sys/kernel/pid_max || echo ro'
	assert_contains $'0\nro'
}

@test "namespaces of the host and of another container" {
	start_docker --ipc shareable "$IMAGE" sleep 1000
	local first=$ID ns
	for ns in pid net ipc; do
		run_docker "--$ns" "container:$first" "$IMAGE" readlink "/proc/self/ns/$ns"
		assert_output "$(docker_ exec "$first" readlink "/proc/self/ns/$ns")"
	done
	for ns in pid uts ipc; do
		run_docker "--$ns" host "$IMAGE" readlink "/proc/self/ns/$ns"
		assert_output "$(readlink "/proc/self/ns/$ns")"
	done
	run_docker --network host "$IMAGE" readlink /proc/self/ns/net
	assert_output "$(in_engine readlink /proc/self/ns/net)"
	run_docker "$IMAGE" sh -c 'echo $$; cat /proc/1/comm; ls -d /proc/[0-9]*0'
	assert_output $'1\nsh'
	run_docker --cgroupns private "$IMAGE" sed -n 's/^0:://p' /proc/self/cgroup
	assert_output /
}

@test "docker run --init has Docker's init reap what a container leaves" {
	[[ -x /usr/libexec/docker/docker-init || -x /usr/bin/docker-init ]] || command -v docker-init ||
		skip "needs the program docker-init"
	run_docker --init "$IMAGE" sh -c 'cat /proc/1/comm'
	assert_status 0
	assert_contains init
}

@test "sysctls and a hostname of one's own" {
	run_docker --sysctl net.ipv4.ip_forward=0 --sysctl kernel.msgmax=4096 "$IMAGE" \
		cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax
	assert_output $'0\n4096'
}

@test "cgroup namespaces and parents, device rules, block I/O, OOM settings, shared memory, groups and names" {
	run_docker --cgroupns host "$IMAGE" readlink /proc/self/ns/cgroup
	assert_output "$(readlink /proc/self/ns/cgroup)"
	run_docker --cgroupns private --ipc private --shm-size 3m --group-add 77 --group-add 88 --domainname example.org \
		--add-host box:10.1.2.3 --dns 10.9.8.7 --dns-search example.org --ulimit stack=65536:131072 --ulimit nproc=500 \
		--oom-score-adj 5 --label a=b --pids-limit -1 --read-only --tmpfs /run:exec,mode=0700 --stop-signal INT "$IMAGE" sh -c '
		readlink /proc/self/ns/cgroup; id -G; cat /proc/sys/kernel/domainname; grep -c 10.1.2.3 /etc/hosts
		grep ^search /etc/resolv.conf; grep ^nameserver /etc/resolv.conf; ulimit -s; grep "Max processes" /proc/self/limits | tr -s " " | cut -d " " -f 3; cat /proc/self/oom_score_adj
		stat -c %a /run; grep -o "size=3072k" /proc/mounts'
	assert_equal "$stderr" ""
	[[ ${lines[0]} != "$(readlink /proc/self/ns/cgroup)" ]]
	assert_equal "$(tail -n +2 <<<"$output")" $'0 77 88\nexample.org\n1\nsearch example.org\nnameserver 10.9.8.7\n64\n500\n5\n700\nsize=3072k'
	start_docker --cgroup-parent "/$ID-parent" --device-cgroup-rule "c 10:200 r" --cap-add MKNOD --oom-kill-disable -m 64m \
		--memory-reservation 32m --kernel-memory 0 --cpu-period 50000 --cpu-quota 20000 --cpuset-mems 0 "$IMAGE" sleep 1000
	[[ $(cgroup_dir "$PID" pids) == *"-parent/$CID" || $(cgroup_dir "$PID") == *"-parent/$CID" ]]
	assert_equal "$(limit_of "$PID" memory memory.soft_limit_in_bytes memory.low)" $((32 << 20))
	in_container sh -c 'mknod /tun c 10 200 && (exec 3</tun) && echo reads; (exec 3>/tun) || echo no; mknod /kmsg c 1 11 && (exec 3</kmsg) || echo none'
	assert_output $'reads\nno\nnone'
	docker_ rm -f "$ID" >/dev/null
	find /sys/fs/cgroup -depth -type d -name "*-parent" -path "*$(test_prefix)*" -exec rmdir {} + 2>/dev/null || true
}

@test "--security-opt: nothing of /proc hidden, and a filter that kills" {
	run_docker --security-opt systempaths=unconfined "$IMAGE" sh -c 'head -c 1 /proc/keys | wc -c; grep -c " /proc/sys " /proc/mounts'
	assert_output $'1\n0'
	echo '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_KILL_PROCESS"}]}' >kill.json
	run_docker --security-opt seccomp=kill.json "$IMAGE" sh -c 'mkdir /x; echo $?'
	assert_contains 159
}

# --- networks: prestart hooks ---------------------------------------------------------------------

# A script that gets it. (A static busybox has no resolver, which its wget calls for addresses too.)
get_page() {
	printf '%s' "printf 'GET /index.html HTTP/1.0\r\n\r\n' | busybox nc -w 5 $1 $2 | tail -n 1"
}

@test "the daemon's prestart hook gives a container its network, and two talk to each other" {
	start_docker -p 8080:80 "$IMAGE" sh -c 'echo hello >/tmp/index.html; exec httpd -f -p 80 -h /tmp'
	local ip
	ip=$(field '{{.NetworkSettings.IPAddress}}')
	run_docker "$IMAGE" sh -c "ip -o -4 addr show eth0 | grep -c inet; $(get_page "$ip" 80)"
	assert_status 0
	assert_output $'1\nhello'
	# The published port, on the daemon's side.
	assert_equal "$(in_engine sh -c "$(get_page 127.0.0.1 8080)")" hello
	run_docker --network none "$IMAGE" ls /sys/class/net
	assert_output lo
}

@test "a policy that isolates the network does so against the bridge, docker network connect and restart" {
	agent_policy
	start_docker --runtime agent -p 8081:80 "$IMAGE" sh -c 'trap "exit 0" TERM; while :; do sleep 0.05; done'
	docker_ network create "$(test_prefix)-net" >/dev/null
	docker_ network connect "$(test_prefix)-net" "$ID"
	in_container sh -c 'ip -o link | wc -l; ls /sys/class/net'
	assert_output $'1\nlo'
	docker_ restart -t 5 "$ID"
	in_container sh -c 'ip -o link | wc -l'
	assert_output 1
	docker_ rm -f "$ID"
	docker_ network rm "$(test_prefix)-net"
}

@test "a network made later is joined, with its names, and left again" {
	docker_ network create "$(test_prefix)-net" >/dev/null
	start_docker --network "$(test_prefix)-net" "$IMAGE" sleep 1000
	local peer=$ID ip
	ip=$(docker_ exec "$peer" ip -o -4 addr show eth0 | sed 's/.*inet \([0-9.]*\).*/\1/')
	[[ $ip == 172.* || $ip == 192.168.* ]]
	run_docker --network "$(test_prefix)-net" "$IMAGE" sh -c "ping -c 1 -W 5 $ip; cat /etc/resolv.conf"
	assert_status 0
	assert_contains "nameserver 127.0.0.11"
	ID=$peer
	docker_ network disconnect "$(test_prefix)-net" "$ID"
	in_container ls /sys/class/net
	assert_output lo
	docker_ rm -f "$ID"
	docker_ network rm "$(test_prefix)-net"
}

# --- exec -----------------------------------------------------------------------------------------

@test "docker exec: exit codes, streams, environment, user, folder, detached" {
	start_docker -e A=container "$IMAGE" sleep 1000
	in_container sh -c 'echo out; echo err >&2; exit 7'
	assert_status 7
	assert_output out
	assert_equal "$stderr" err
	# As under runc: this version of Docker makes 126 of it.
	in_container no-such-command
	((status == 126 || status == 127))
	assert_contains 'executable file not found in $PATH'
	in_container /etc/passwd
	assert_status 126
	run docker_ exec -e A=exec -u 1000:7 -w /tmp "$ID" sh -c 'echo $A; id -u; id -g; pwd; grep CapEff /proc/self/status'
	assert_output $'exec\n1000\n7\n/tmp\nCapEff:\t0000000000000000'
	assert_equal "$(docker_ exec --privileged "$ID" cat /proc/self/status | capabilities_of)" \
		"$(capabilities_of </proc/self/status)"
	assert_equal "$(echo through | docker_ exec -i "$ID" cat)" through
	run docker_ exec --env-file /dev/null --detach-keys ctrl-q "$ID" sh -c 'readlink /proc/self/ns/pid; cat /proc/self/oom_score_adj'
	assert_equal "${lines[0]}" "$(readlink "/proc/$PID/ns/pid")"
	docker_ exec -d "$ID" sh -c 'echo done >/tmp/detached'
	wait_for 5 docker_ exec "$ID" test -s /tmp/detached
	in_container sh -c 'kill -KILL $$'
	assert_status 137
}

@test "a health check runs in the container, and its outcome is known" {
	start_docker --health-cmd 'test -e /tmp/healthy' --health-interval 0.2s --health-retries 2 "$IMAGE" sleep 1000
	wait_for 10 is_field '{{.State.Health.Status}}' unhealthy
	in_container touch /tmp/healthy
	wait_for 10 is_field '{{.State.Health.Status}}' healthy
}

# --- signals and states ---------------------------------------------------------------------------

@test "docker stop, kill with a signal, restart and start again" {
	start_docker "$IMAGE" sh -c 'trap "echo got USR1" USR1; trap "echo got TERM; exit 7" TERM
		echo ready; while :; do sleep 0.05; done'
	wait_for 5 log_has ready
	docker_ kill -s USR1 "$ID"
	wait_for 5 log_has "got USR1"
	docker_ stop -t 5 "$ID"
	assert_equal "$(field '{{.State.Status}} {{.State.ExitCode}}')" "exited 7"
	log_has "got TERM"
	docker_ start "$ID"
	wait_for 5 is_field '{{.State.Status}}' running
	docker_ restart -t 5 "$ID"
	assert_equal "$(field '{{.State.Status}}')" running
	docker_ kill "$ID"
	assert_equal "$(docker_ wait "$ID")" 137
	run docker_ kill "$ID"
	assert_status 1
	assert_contains "is not running"
}

@test "a restart policy starts a failing container again" {
	start_docker --restart on-failure:2 "$IMAGE" sh -c 'echo try; exit 4'
	wait_for 15 is_field '{{.State.Status}} {{.RestartCount}} {{.State.ExitCode}}' "exited 2 4"
	assert_equal "$(docker_ logs "$ID" | grep -c try)" 3
}

has_lines_above() {
	(($(wc -l <"/proc/$PID/root/tmp/n") > $1))
}

@test "docker pause freezes, unpause thaws, and a paused container can be killed and removed" {
	start_docker "$IMAGE" sh -c 'while :; do echo >>/tmp/n; sleep 0.02; done'
	docker_ pause "$ID"
	assert_equal "$(field '{{.State.Status}}')" paused
	local n
	n=$(wc -l <"/proc/$PID/root/tmp/n")
	sleep 0.3
	assert_equal "$(wc -l <"/proc/$PID/root/tmp/n")" "$n"
	in_container true
	((status != 0))
	docker_ unpause "$ID"
	wait_for 5 has_lines_above "$n"
	docker_ pause "$ID"
	docker_ rm -f "$ID"
	[[ ! -d /proc/$PID ]]
}

@test "docker rm -f ends a container with the host's processes, and those it left running" {
	start_docker --pid host "$IMAGE" sh -c 'sleep 1234567 & exec sleep 1234567'
	wait_for 5 pgrep -P "$PID" -x sleep
	local child
	child=$(pgrep -P "$PID" -x sleep)
	docker_ rm -f "$ID"
	wait_for 5 process_gone "$child"
	process_gone "$PID"
}

@test "a container whose first process is killed from outside is known to have ended" {
	start_docker "$IMAGE" sleep 1000
	kill -KILL "$PID"
	assert_equal "$(docker_ wait "$ID")" 137
	assert_equal "$(field '{{.State.OOMKilled}}')" false
}

# --- resources ------------------------------------------------------------------------------------

@test "memory, swap, CPU, process and CPU set limits are the ones asked for, and update changes them" {
	start_docker -m 64m --memory-swap 128m --cpus 0.5 --cpu-shares 512 --pids-limit 50 --cpuset-cpus 0 "$IMAGE" sleep 1000
	assert_equal "$(limit_of "$PID" memory memory.limit_in_bytes memory.max)" $((64 << 20))
	assert_equal "$(limit_of "$PID" pids pids.max pids.max)" 50
	assert_equal "$(limit_of "$PID" cpu cpu.cfs_quota_us cpu.max | cut -d' ' -f1)" 50000
	assert_equal "$(limit_of "$PID" cpuset cpuset.cpus cpuset.cpus)" 0
	docker_ update -m 96m --memory-swap 200m --cpus 0.8 --pids-limit 60 --cpuset-cpus 0-1 "$ID"
	assert_equal "$(limit_of "$PID" memory memory.limit_in_bytes memory.max)" $((96 << 20))
	assert_equal "$(limit_of "$PID" pids pids.max pids.max)" 60
	assert_equal "$(limit_of "$PID" cpu cpu.cfs_quota_us cpu.max | cut -d' ' -f1)" 80000
	assert_equal "$(limit_of "$PID" cpuset cpuset.cpus cpuset.cpus)" 0-1
	# What was not named stays.
	docker_ update --cpu-shares 256 "$ID"
	assert_equal "$(limit_of "$PID" memory memory.limit_in_bytes memory.max)" $((96 << 20))
}

@test "a container killed for its memory is reported as such" {
	# The shim listens for it from start on.
	start_docker -m 16m --memory-swap 16m "$IMAGE" sh -c 'sleep 1; head -c 100m /dev/zero | tail'
	docker_ wait "$ID"
	wait_for 5 is_field '{{.State.OOMKilled}}' true
	# The times of events are whole seconds.
	wait_for 5 has_event oom
}

@test "docker top names the processes, and docker stats counts them" {
	start_docker -m 64m "$IMAGE" sh -c 'sleep 1000 & exec sleep 2000'
	run docker_ top "$ID" -o pid,args
	assert_status 0
	assert_contains "sleep 1000"
	assert_contains "sleep 2000"
	assert_contains "$PID"
	run docker_ stats --no-stream --format '{{.PIDs}} {{.MemUsage}}' "$ID"
	assert_status 0
	[[ $output == "2 "*"/ 64MiB" ]]
}

@test "many containers at once" {
	local i
	local -a pids=()
	new_id
	for i in 1 2 3 4 5 6 7 8; do
		docker_ run --rm --name "$ID-$i" --network none "$IMAGE" echo "number $i" >"out.$i" 2>&1 &
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		wait "$i"
	done
	assert_equal "$(cat out.*)" "$(printf 'number %d\n' 1 2 3 4 5 6 7 8)"
}

# --- build, copy ----------------------------------------------------------------------------------

@test "docker build runs its steps under Purple" {
	cat >Dockerfile <<-END
		FROM $IMAGE
		ENV WHO=builder
		RUN echo made by \$WHO >/made && mkdir /dir && chown 1000 /dir
		USER 1000
		WORKDIR /dir
		RUN touch file && grep -c docker /proc/self/cgroup >count
		CMD ["sh", "-c", "cat /made; ls /dir; id -u"]
	END
	DOCKER_BUILDKIT=0 docker_ build -q -t "$(test_prefix)" . >/dev/null
	run_docker "$(test_prefix)"
	assert_output $'made by builder\ncount\nfile\n1000'
	docker_ rmi "$(test_prefix)" >/dev/null
	printf 'FROM %s\nRUN exit 6\n' "$IMAGE" >Dockerfile
	DOCKER_BUILDKIT=0 run docker_ build .
	((status != 0))
	assert_contains "returned a non-zero code: 6"
	docker_ container prune -f >/dev/null
}

@test "docker cp into and out of a running container, also one with a read-only root" {
	start_docker --read-only --tmpfs /tmp -v /data "$IMAGE" sleep 1000
	echo text >file
	docker_ cp file "$ID:/data/file"
	in_container cat /data/file
	assert_output text
	docker_ cp "$ID:/etc/passwd" copy
	grep -q nobody copy
}

# --- policies -------------------------------------------------------------------------------------

@test "runtimeArgs choose the policy: docker run --runtime, docker exec, docker update" {
	agent_policy
	start_docker --runtime agent "$IMAGE" sleep 1000
	assert_equal "$(effective_policy)" agent
	assert_equal "$(limit_of "$PID" pids pids.max pids.max)" 77
	in_container sh -c 'mkdir /tmp/x; grep -E "CapEff|Seccomp:" /proc/self/status; ls /sys/class/net; echo x >/etc/x'
	assert_output $'CapEff:\t0000000000000000\nSeccomp:\t2\nlo'
	assert_stderr_contains "mkdir: can't create directory '/tmp/x': Operation not permitted"
	assert_stderr_contains "/etc/x: Read-only file system"
	run docker_ exec --privileged "$ID" mkdir /tmp/x
	assert_status 1
	# An update loosens nothing.
	run docker_ update --pids-limit 1000 "$ID"
	(($(limit_of "$PID" pids pids.max pids.max) <= 77))
	docker_ stop -t 0 "$ID"
}

@test "a policy holds for --privileged too" {
	agent_policy
	run_docker --runtime agent --privileged "$IMAGE" sh -c 'mkdir /tmp/x; grep CapEff /proc/self/status'
	assert_output $'CapEff:\t0000000000000000'
	assert_stderr_contains "Operation not permitted"
}

@test "a policy that Purple ships, and what it leaves an agent" {
	mkdir src
	echo code >src/main.c
	run_docker --runtime purple-code-analyst -v "$PWD/src:/src" "$IMAGE" \
		sh -c 'cat /src/main.c; echo x >/src/x; pwd; touch report && echo scratch; ls /sys/class/net'
	assert_status 0
	assert_contains code
	assert_contains scratch
	assert_stderr_contains "Read-only file system"
	assert_equal "$(ls src)" main.c
}

@test "a policy that is not installed keeps the container from starting, and the error says so" {
	run_docker --runtime agent "$IMAGE" true
	assert_status 125
	assert_stderr_contains 'policy "agent" is unknown'
}
