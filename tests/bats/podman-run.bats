#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Real Podman: what a container gets from the options of `podman run`. Life and death of containers:
# podman-lifecycle.bats.

load helpers

setup_file() {
	podman_setup
}

# `run`s a container that is gone afterwards: [OPTION...] -- COMMAND...
run_once() {
	local options=()
	while [[ $1 != -- ]]; do
		options+=("$1")
		shift
	done
	shift
	new_id
	run podman_ run --rm --name "$ID" "${options[@]}" localhost/busybox "$@"
}

# A container that runs in the background: PID is its init.
start() {
	podman_ run -d --name "$ID" "$@" localhost/busybox sleep 1000 >/dev/null
	PID=$(podman_ inspect --format '{{.State.Pid}}' "$ID")
}

# --- exit codes and streams -----------------------------------------------------------------------

@test "exit codes are the command's; 127 for one that is missing, 126 for one that cannot run" {
	run_once -- true
	assert_status 0
	run_once -- sh -c 'exit 3'
	assert_status 3
	run_once -- sh -c 'sh -c "kill -9 \$\$"; exit $?'
	assert_status 137
	new_id
	run -127 podman_ run --rm --name "$ID" localhost/busybox no-such-command
	assert_contains 'executable file not found in $PATH'
	new_id
	run -127 podman_ run --rm --name "$ID" localhost/busybox /no/such/command
	run_once -- /etc/passwd
	assert_status 126
	assert_contains "permission denied"
	run_once -- /etc
	assert_status 126
	run find /run/purple -mindepth 1
	assert_output ""
}

@test "stdout and stderr are apart, with nothing of the runtime's in them" {
	new_id
	podman_ run --rm --name "$ID" localhost/busybox sh -c 'echo out; echo err >&2' >out 2>err
	assert_equal "$(<out)" out
	assert_equal "$(<err)" err
}

@test "-i: stdin arrives, and ends" {
	new_id
	run podman_ run -i --rm --name "$ID" localhost/busybox sh -c 'read a; echo "got $a"; cat | wc -c' < <(
		echo one
		head -c 1000000 /dev/zero
	)
	assert_status 0
	assert_output $'got one\n1000000'
}

# --- files ----------------------------------------------------------------------------------------

@test "--read-only: the root is read-only, --tmpfs and the engine's own places are not" {
	run_once --read-only --tmpfs /scratch:size=1m,mode=1777 -- sh -c 'touch /x /etc/x; touch /scratch/x /tmp/x /run/x && echo ok
		grep " /scratch " /proc/mounts; dd if=/dev/zero of=/scratch/big bs=1M count=2'
	assert_contains "/x: Read-only file system"
	assert_contains "/etc/x: Read-only file system"
	assert_contains ok
	assert_contains "size=1024k"
	assert_contains "No space left"
	run_once -- sh -c 'touch /x && echo writable'
	assert_output writable
}

@test "--tmpfs over a directory of the image has its files copied up, unless notmpcopyup" {
	run_once --tmpfs /etc -- sh -c 'cat /etc/passwd | head -n 1; stat -f -c %T /etc'
	assert_output $'root:x:0:0:root:/root:/bin/sh\ntmpfs'
	run_once --tmpfs /etc:notmpcopyup -- ls /etc/group
	assert_contains "No such file"
}

@test "-v: read-write, read-only, a file, nested, and with propagation" {
	mkdir -p data/sub
	echo file >data/file
	run_once -v "$PWD/data:/data" -- sh -c 'echo new >/data/new; cat /data/file'
	assert_output file
	assert_equal "$(<data/new)" new
	run_once -v "$PWD/data:/data:ro" -- touch /data/x
	assert_contains "Read-only file system"
	run_once -v "$PWD/data/file:/etc/one:ro" -- sh -c 'cat /etc/one; echo x >>/etc/one'
	assert_contains file
	assert_contains "Read-only file system"
	run_once -v "$PWD/data:/data:ro" -v "$PWD/data/sub:/data/sub" -- sh -c 'touch /data/x; touch /data/sub/x && echo ok'
	assert_contains "Read-only"
	assert_contains ok
	run_once -v "$PWD/missing:/data" -- true
	assert_status 125
}

@test "-v with propagation: a slave sees what the host mounts later, a private one does not" {
	local kind
	mkdir shared
	mount -t tmpfs shared shared
	keep_mount "$PWD/shared"
	mount --make-shared shared
	mkdir shared/in
	for kind in rslave rprivate; do
		new_id
		start -v "$PWD/shared:/data:$kind"
		mount -t tmpfs later shared/in
		local seen want=0
		[[ $kind != rslave ]] || want=1
		seen=$(podman_ exec "$ID" grep -c ' /data/in ' /proc/mounts || true)
		umount shared/in
		podman_ rm -f -t 0 "$ID" >/dev/null
		echo "$kind $seen"
		assert_equal "$seen" "$want"
	done
	umount shared
}

@test "--mount, and options nosuid, nodev, noexec" {
	mkdir data
	cp "$(command -v busybox)" data/busybox
	run_once --mount "type=bind,src=$PWD/data,dst=/data,ro" -- sh -c '/data/busybox echo runs; touch /data/x'
	assert_contains runs
	assert_contains "Read-only"
	run_once -v "$PWD/data:/data:noexec,nosuid,nodev" -- sh -c '/data/busybox true; grep " /data " /proc/mounts'
	assert_contains "Permission denied"
	assert_contains nosuid
	assert_contains nodev
	run_once --mount type=tmpfs,dst=/t,tmpfs-size=2m -- sh -c 'df -m /t | tail -n 1'
	[[ $output =~ ^tmpfs\ +2\  ]]
}

@test "--device: a device of the host, with the rights that are given" {
	run_once -- ls /dev/fuse
	assert_contains "No such file"
	run_once --device /dev/null:/dev/mine:r -- sh -c 'head -c 1 /dev/mine; ls -l /dev/mine | cut -c 1'
	assert_output c
	run_once --device /dev/zero:/dev/mine -- sh -c 'head -c 4 /dev/mine | wc -c'
	assert_output 4
	run_once --cap-add mknod -- sh -c 'mknod /dev/mine c 1 11 && cat /dev/mine'
	[[ $output == *"Operation not permitted"* ]]
}

@test "/proc and /sys: masked and read-only places" {
	run_once -- sh -c 'cat /proc/timer_list /proc/keys | wc -c; ls /sys/firmware | wc -l; echo x >/proc/sys/kernel/hostname; touch /sys/x'
	assert_equal "${lines[0]} ${lines[1]}" "0 0"
	assert_equal "$(grep -c "Read-only file system" <<<"$output")" 2
	run_once --security-opt unmask=ALL -- sh -c 'cat /proc/timer_list /proc/keys | wc -c'
	((output > 0))
	run_once --security-opt unmask=/proc/sys -- sh -c 'echo renamed >/proc/sys/kernel/hostname; hostname'
	[[ $output == *renamed* || $output == *"Permission denied"* || $output == *"Read-only"* ]]
	run_once --security-opt mask=/proc/uptime -- cat /proc/uptime
	assert_output ""
}

# --- rights ---------------------------------------------------------------------------------------

@test "--cap-drop and --cap-add: exactly these, in all sets that root has" {
	local sets='grep -E "Cap(Prm|Eff|Bnd)" /proc/self/status | cut -f 2 | sort -u'
	run_once --cap-drop all -- sh -c "$sets"
	assert_output 0000000000000000
	run_once --cap-drop all --cap-add net_raw,kill -- sh -c "$sets"
	assert_output 0000000000002020
	run_once --cap-drop all --cap-add chown --user 1000 -- sh -c 'grep -E "Cap(Eff|Amb)" /proc/self/status | cut -f 2 | sort -u'
	# An ordinary user keeps what was added by name.
	assert_output 0000000000000001
	run_once --cap-drop chown -- chown 1 /etc/passwd
	assert_contains "Operation not permitted"
	run_once -- chown 1 /etc/passwd
	assert_output ""
}

@test "--security-opt seccomp: a file of one's own, none, and Podman's default" {
	echo '{ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
		{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 71 }] }' >profile.json
	run_once --security-opt "seccomp=$PWD/profile.json" -- mkdir /x
	assert_contains "Protocol error"
	run_once --security-opt seccomp=unconfined -- grep Seccomp: /proc/self/status
	assert_output $'Seccomp:\t0'
	run_once -- grep Seccomp: /proc/self/status
	assert_output $'Seccomp:\t2'
	echo '{ "defaultAction": "SCMP_ACT_NO_SUCH" }' >bad.json
	run_once --security-opt "seccomp=$PWD/bad.json" -- true
	((status != 0))
}

@test "--security-opt no-new-privileges" {
	run_once --security-opt no-new-privileges -- grep NoNewPrivs /proc/self/status
	assert_output $'NoNewPrivs:\t1'
	run_once -- grep NoNewPrivs /proc/self/status
	assert_output $'NoNewPrivs:\t0'
}

@test "--privileged: all capabilities, no filter, all devices, nothing masked" {
	run_once --privileged -- sh -c 'grep -E "Seccomp:|CapEff" /proc/self/status; ls -d /dev/zero /dev/vcs 2>/dev/null; mount -t tmpfs x /mnt 2>&1 || mkdir /mnt; mkdir -p /m && mount -t tmpfs x /m && echo mounted'
	assert_contains $'Seccomp:\t0'
	assert_contains mounted
	assert_lacks $'CapEff:\t0000000000000000'
}

@test "--user, --group-add, --workdir, --env, --hostname, --entrypoint" {
	run_once --user 1000:1001 --group-add 7,8 -- sh -c 'id -u; id -g; id -G'
	assert_output $'1000\n1001\n1001 7 8'
	run_once --user nobody -- sh -c 'id -u; pwd'
	assert_equal "${lines[0]}" 65534
	run_once --workdir /var/tmp -- pwd
	assert_output /var/tmp
	run_once --env A=b --env 'C=d e' -- sh -c 'echo "$A $C"'
	assert_output "b d e"
	run_once --hostname agent -- sh -c 'hostname; uname -n'
	assert_output $'agent\nagent'
	run_once --entrypoint '["echo","entry"]' -- point
	assert_output "entry point"
	new_id
	run -127 podman_ run --rm --env PATH=/nowhere --name "$ID" localhost/busybox true
}

@test "--ulimit and --sysctl" {
	run_once --ulimit nofile=100:200 --ulimit core=0 --ulimit nproc=500:500 -- sh -c 'ulimit -n; ulimit -Hn; ulimit -c'
	assert_output $'100\n200\n0'
	run_once --sysctl kernel.shmmax=12345 --sysctl net.ipv4.ip_forward=1 --network none -- \
		cat /proc/sys/kernel/shmmax /proc/sys/net/ipv4/ip_forward
	assert_output $'12345\n1'
	run_once --sysctl kernel.panic=1 -- true
	((status != 0))
}

# --- namespaces -----------------------------------------------------------------------------------

@test "namespaces are the container's own, or the host's where that is asked" {
	local ns flag
	for ns in pid ipc uts net cgroup; do
		flag=$ns
		[[ $ns != net ]] || flag=network
		if [[ $ns == net ]]; then
			run_once --network none -- readlink /proc/self/ns/net
		else
			run_once --cgroupns private -- readlink "/proc/self/ns/$ns"
		fi
		assert_status 0
		[[ $output != "$(readlink "/proc/self/ns/$ns")" ]]
		[[ $ns != cgroup ]] || flag=cgroupns
		run_once "--$flag=host" -- readlink "/proc/self/ns/$ns"
		assert_output "$(readlink "/proc/self/ns/$ns")"
	done
	run_once --pid host -- sh -c "test -d /proc/$$ && echo seen"
	assert_output seen
}

@test "namespaces of another container are joined" {
	start --ipc shareable
	podman_ run --rm --name "$ID-2" --pid "container:$ID" --ipc "container:$ID" --network "container:$ID" \
		localhost/busybox sh -c 'ps | grep -c "sleep 1000"; for n in ipc net; do readlink /proc/self/ns/$n; done' >out
	assert_equal "$(sed -n 2p out)" "$(readlink "/proc/$PID/ns/ipc")"
	assert_equal "$(sed -n 3p out)" "$(readlink "/proc/$PID/ns/net")"
	assert_equal "$(($(head -n 1 out) >= 1))" 1
}

@test "--network none: loopback alone" {
	run_once --network none -- sh -c 'ip -o link | cut -d: -f2'
	assert_output " lo"
}

@test "--uidmap and --gidmap: root inside is another outside; files and rights agree" {
	requires userns
	# Podman has the image's files changed to the mapped ids.
	chmod 0711 "$PODMAN_DIR" "$PODMAN_DIR"/{storage,runroot,tmp}
	start --uidmap 0:100000:5000 --gidmap 0:200000:5000
	assert_equal "$(stat -c %u:%g "/proc/$PID")" 100000:200000
	run podman_ exec "$ID" sh -c 'id -u; stat -c %u:%g /etc/passwd; cat /proc/self/uid_map; touch /x && echo made'
	assert_equal "${lines[0]}" 0
	assert_equal "${lines[1]}" 0:0
	assert_equal "$(tr -s ' ' <<<"${lines[2]}")" " 0 100000 5000"
	assert_equal "${lines[3]}" made
	run podman_ exec --user 7 "$ID" id -u
	assert_output 7
	# Podman's clean-up of a container that ends, and its rm, can meet at the shm mount.
	wait_for 10 podman_ rm -f -t 0 "$ID"
	[[ $(readlink /proc/self/ns/user) != "" ]]
}

# --- hooks, annotations, pods ---------------------------------------------------------------------

@test "hooks of Podman's hooks_dir run in their stages, with the state on stdin" {
	local stage dir=$PODMAN_DIR/hooks
	cat >hook <<-END
		#!/bin/sh
		state=\$(cat)
		echo "\$1 \$(echo "\$state" | jq -r .status) \$(echo "\$state" | jq -r '.annotations.hooked')" >>$PWD/log
	END
	chmod +x hook
	for stage in prestart createRuntime createContainer startContainer poststart poststop; do
		[[ $stage != *Container ]] || continue # these run with the container's files
		jq -n --arg p "$PWD/hook" --arg s "$stage" --arg path "PATH=$PATH" '{ version: "1.0.0",
			hook: { path: $p, args: ["hook", $s], env: [$path] },
			when: { annotations: { "^hooked$": "^yes$" } }, stages: [$s] }' >"$dir/$ID-$stage.json"
	done
	run_once --annotation hooked=yes -- true
	local result=$status
	rm -f "$dir"/*.json
	assert_equal "$result" 0
	# Podman 5 makes createRuntime hooks of prestart ones, and sorts them with these.
	assert_equal "$(head -n 2 log | sort)" $'createRuntime creating yes\nprestart creating yes'
	assert_equal "$(tail -n +3 log)" $'poststart running yes\npoststop stopped yes'
}

@test "a hook that fails keeps the container from starting, and leaves nothing" {
	printf '#!/bin/sh\necho "no such luck" >&2\nexit 3\n' >hook
	chmod +x hook
	jq -n --arg p "$PWD/hook" '{ version: "1.0.0", hook: { path: $p },
		when: { annotations: { "^hooked$": "^fail$" } }, stages: ["createRuntime"] }' >"$PODMAN_DIR/hooks/$ID.json"
	run_once --annotation hooked=fail -- echo ran
	rm "$PODMAN_DIR/hooks"/*.json
	((status != 0))
	assert_contains "no such luck"
	assert_lacks ran
	run find /run/purple -mindepth 1
	assert_output ""
}

@test "annotations reach the runtime's state" {
	start --annotation some.key=some-value
	run "$PURPLE_RUNTIME" state "$(podman_ inspect --format '{{.Id}}' "$ID")"
	assert_status 0
	assert_equal "$(jq -r '.annotations["some.key"]' <<<"$output")" some-value
	assert_equal "$(jq -r .status <<<"$output")" running
	assert_equal "$(jq -r .pid <<<"$output")" "$PID"
}

@test "a pod: its containers share namespaces, and go with it" {
	local image=localhost/pause-$BATS_TEST_NUMBER
	printf 'FROM localhost/busybox\nCMD ["sleep", "1000"]\n' | podman_ build -q -t "$image" - >/dev/null
	podman_ pod create --name "$ID" --infra-image "$image" --infra-name "$ID-infra" --network none >/dev/null
	podman_ run -d --pod "$ID" --name "$ID-a" localhost/busybox sleep 1000 >/dev/null
	podman_ run -d --pod "$ID" --name "$ID-b" localhost/busybox sleep 1000 >/dev/null
	local a b
	a=$(podman_ inspect --format '{{.State.Pid}}' "$ID-a")
	b=$(podman_ inspect --format '{{.State.Pid}}' "$ID-b")
	assert_equal "$(readlink "/proc/$a/ns/net")" "$(readlink "/proc/$b/ns/net")"
	assert_equal "$(readlink "/proc/$a/ns/ipc")" "$(readlink "/proc/$b/ns/ipc")"
	[[ $(readlink "/proc/$a/ns/mnt") != $(readlink "/proc/$b/ns/mnt") ]]
	podman_ pod pause "$ID" >/dev/null
	podman_ pod unpause "$ID" >/dev/null
	podman_ pod rm -f -t 0 "$ID" >/dev/null
	[[ ! -d /proc/$a && ! -d /proc/$b ]]
	podman_ rmi -f "$image" >/dev/null
}

@test "--init: Podman's own init comes first" {
	[[ -x /usr/libexec/podman/catatonit ]] || skip "needs the program catatonit"
	run_once --init -- sh -c 'cat /proc/1/comm'
	assert_output podman-init
}

# --- limits ---------------------------------------------------------------------------------------

@test "-m: the limit is the group's; what needs more is killed, and Podman says so" {
	local dir file
	start -m 64m
	dir=$(cgroup_dir "$PID" memory) file=memory.limit_in_bytes
	[[ -e $dir/$file ]] || { dir=$(cgroup_dir "$PID") file=memory.max; }
	assert_equal "$(<"$dir/$file")" 67108864
	new_id
	run podman_ run --name "$ID" -m 32m localhost/busybox sh -c 'x=a; while :; do x=$x$x; done'
	assert_status 137
	# With cgroup v1, conmon 2.1.6 does not see it, under any runtime.
	! has cgroup_v2 || assert_equal "$(podman_ inspect --format '{{.State.OOMKilled}}' "$ID")" true
}

@test "--memory-swap and --memory-reservation" {
	local dir
	start -m 64m --memory-swap 96m --memory-reservation 48m
	dir=$(cgroup_dir "$PID" memory)
	if [[ -e $dir/memory.memsw.limit_in_bytes ]]; then
		assert_equal "$(<"$dir/memory.memsw.limit_in_bytes")" 100663296
		assert_equal "$(<"$dir/memory.soft_limit_in_bytes")" 50331648
	else
		assert_equal "$(<"$(cgroup_dir "$PID")/memory.swap.max")" 33554432
		assert_equal "$(<"$(cgroup_dir "$PID")/memory.low")" 50331648
	fi
}

@test "--pids-limit -1 and 0, which Podman writes as 0, are no limit" {
	local limit dir
	for limit in -1 0; do
		new_id
		start --pids-limit "$limit"
		dir=$(cgroup_dir "$PID" pids)
		[[ -e $dir/pids.max ]] || dir=$(cgroup_dir "$PID")
		assert_equal "$(<"$dir/pids.max")" max
		run podman_ exec "$ID" sh -c 'echo a | cat'
		assert_output a
	done
}

@test "--cpus, --cpu-shares, --cpuset-cpus, --pids-limit" {
	local dir
	start --cpus 0.5 --cpu-shares 512 --cpuset-cpus 0 --pids-limit 30
	dir=$(cgroup_dir "$PID" cpu)
	if [[ -e $dir/cpu.cfs_quota_us ]]; then
		assert_equal "$(<"$dir/cpu.cfs_quota_us") $(<"$dir/cpu.cfs_period_us")" "50000 100000"
		assert_equal "$(<"$dir/cpu.shares")" 512
		assert_equal "$(<"$(cgroup_dir "$PID" cpuset)/cpuset.cpus")" 0
		assert_equal "$(<"$(cgroup_dir "$PID" pids)/pids.max")" 30
	else
		dir=$(cgroup_dir "$PID")
		assert_equal "$(<"$dir/cpu.max")" "50000 100000"
		assert_equal "$(<"$dir/cpuset.cpus")" 0
		assert_equal "$(<"$dir/pids.max")" 30
	fi
	run podman_ exec "$ID" sh -c 'i=0; while [ $i -lt 60 ]; do sleep 1000 >/dev/null 2>&1 & i=$((i + 1)); done'
	assert_contains "fork"
}

@test "update --cpus, --memory: the running container's group follows" {
	local dir
	start --cpus 0.5
	podman_ update --cpus 0.8 --memory 100m "$ID" >/dev/null
	dir=$(cgroup_dir "$PID" cpu)
	if [[ -e $dir/cpu.cfs_quota_us ]]; then
		assert_equal "$(<"$dir/cpu.cfs_quota_us")" 80000
		assert_equal "$(<"$(cgroup_dir "$PID" memory)/memory.limit_in_bytes")" 104857600
	else
		assert_equal "$(<"$(cgroup_dir "$PID")/cpu.max")" "80000 100000"
		assert_equal "$(<"$(cgroup_dir "$PID")/memory.max")" 104857600
	fi
}

@test "--cgroups=disabled: it stays in the caller's group" {
	run_once --cgroups=disabled -- echo ran
	assert_status 0
	assert_output ran
	start --cgroups=disabled
	assert_equal "$(find /sys/fs/cgroup -type d -name "*$(podman_ inspect --format '{{.Id}}' "$ID")*")" ""
}

@test "--cgroups=disabled: limits, Podman's or a policy's, are refused rather than forgotten" {
	requires private_etc
	policy_install limited <<<'{ name: limited, resources: { pids_limit: 20 } }'
	run_once --cgroups=disabled --annotation io.purple.policy=limited -- echo ran
	((status != 0))
	assert_lacks ran
	assert_contains "linux.resources asks for limits, which need a cgroup, but cgroups are switched off"
	run_once --cgroups=disabled -m 64m -- echo ran
	assert_lacks ran
}

@test "--cgroup-parent: the group is below it, and gone afterwards" {
	local parent="/$ID-parent"
	start --cgroup-parent "$parent"
	[[ $(cgroup_dir "$PID" pids) == *"$parent/libpod-"* || $(cgroup_dir "$PID") == *"$parent/libpod-"* ]]
	podman_ rm -f -t 0 "$ID" >/dev/null
	assert_equal "$(find /sys/fs/cgroup -type d -name 'libpod-*' -path "*$parent*")" ""
	# Podman leaves the parent to its owner, and conmon in it ends a moment later.
	wait_for 5 parent_removed
}

parent_removed() {
	find /sys/fs/cgroup -depth -type d -path "*/$ID-parent*" -exec rmdir {} + 2>/dev/null
	[[ -z $(find /sys/fs/cgroup -type d -path "*/$ID-parent*") ]]
}
