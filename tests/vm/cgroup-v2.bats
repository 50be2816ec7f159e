#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Limits of a host with cgroup v2 alone and all its controllers: tests/vm/run. What cgroup.bats
# shows of v1, of v2.

load ../bats/helpers

setup() {
	requires root busybox jq cgroup_v2
	[[ -e /sys/fs/cgroup/cgroup.controllers ]] || skip "needs cgroup v2 with controllers"
	purple_setup
	make_bundle
	set_command sleep 1000
	edit_config '.linux.cgroupsPath = $p' --arg p "/$ID"
	GROUP=/sys/fs/cgroup/$ID
}

start_container() {
	create_container
	purple_rt start "$ID"
	INIT=$(<"$BATS_TEST_TMPDIR/pid")
}

resources() {
	edit_config '.linux.resources += $r' --argjson r "$1"
}

of() { # FILE
	cat "$GROUP/$1"
}

# The disk that the root file system is on.
root_disk() {
	local dev
	dev=$(findmnt -no MAJ:MIN /)
	echo "${dev// /}"
}

@test "limits are in the files when create returns, and where they are needed controllers are on" {
	resources '{"memory": {"limit": 67108864, "swap": 100663296, "reservation": 33554432},
		"cpu": {"shares": 1024, "quota": 50500, "period": 100000, "burst": 10000, "cpus": "0", "mems": "0"},
		"pids": {"limit": 33}, "hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}],
		"unified": {"memory.high": "60000000", "memory.oom.group": "1"}}'
	create_container
	assert_equal "$(of memory.max)" 67108864
	assert_equal "$(of memory.swap.max)" 33554432
	assert_equal "$(of memory.low)" 33554432
	assert_equal "$(of memory.high)" 59998208
	assert_equal "$(of memory.oom.group)" 1
	assert_equal "$(of cpu.weight)" 100
	assert_equal "$(of cpu.max)" "50500 100000"
	assert_equal "$(of cpu.max.burst)" 10000
	assert_equal "$(of cpuset.cpus)" 0
	assert_equal "$(of cpuset.mems)" 0
	assert_equal "$(of pids.max)" 33
	assert_equal "$(of hugetlb.2MB.max)" 4194304
}

@test "block I/O limits reach io.max" {
	local disk
	disk=$(root_disk)
	resources '{"blockIO": {"throttleWriteBpsDevice": [{"major": '"${disk%:*}"', "minor": '"${disk#*:}"', "rate": 1048576}],
		"throttleReadIOPSDevice": [{"major": '"${disk%:*}"', "minor": '"${disk#*:}"', "rate": 500}]}}'
	create_container
	assert_equal "$(of io.max)" "$disk rbps=max wbps=1048576 riops=500 wiops=max"
}

@test "the memory limit holds, and an update of it too" {
	resources '{"memory": {"limit": 33554432, "swap": 33554432}}'
	run_script 'dd if=/dev/zero of=/dev/null bs=8M count=1 2>/dev/null && echo small'
	assert_status 0
	assert_output small
	run_script 'dd if=/dev/zero of=/dev/null bs=128M count=1 2>/dev/null && echo big; exit 9'
	assert_status 9
	assert_lacks big
	set_command sleep 1000
	start_container
	echo '{"memory": {"limit": 268435456, "swap": 268435456}}' | purple_rt update -r - "$ID"
	assert_equal "$(of memory.max)" 268435456
	assert_equal "$(of memory.swap.max)" 0
	run purple_rt exec "$ID" dd if=/dev/zero of=/dev/null bs=128M count=1
	assert_status 0
}

@test "the pids limit holds; 0 is a limit and -1 none" {
	resources '{"pids": {"limit": 5}}'
	run_script 'n=0; for i in 1 2 3 4 5 6 7 8; do sleep 20 & n=$((n + 1)); echo $n; done'
	assert_lacks 8
	assert_contains 1
	resources '{"pids": {"limit": 0}}'
	set_command sleep 1000
	new_id
	edit_config '.linux.cgroupsPath = $p' --arg p "/$ID"
	GROUP=/sys/fs/cgroup/$ID
	create_container
	assert_equal "$(of pids.max)" 0
	echo '{"pids": {"limit": -1}}' | purple_rt update -r - "$ID"
	assert_equal "$(of pids.max)" max
}

@test "a container with one process at most starts" {
	resources '{"pids": {"limit": 1}}'
	run_script 'echo alone'
	assert_status 0
	assert_output alone
}

@test "pause, kill while paused, and sub-groups with processes of the container" {
	start_container
	mkdir "$GROUP/a" "$GROUP/a/b"
	purple_rt exec --detach --pid-file "$BATS_TEST_TMPDIR/second" "$ID" sleep 2000
	cat "$BATS_TEST_TMPDIR/second" >"$GROUP/a/b/cgroup.procs"
	assert_equal "$(purple_rt ps --format json "$ID" | jq length)" 2
	purple_rt pause "$ID"
	assert_equal "$(container_status)" paused
	grep -qx 'frozen 1' "$GROUP/cgroup.events"
	purple_rt kill "$ID" KILL
	wait_status stopped
	purple_rt delete "$ID"
	[[ ! -e $GROUP ]]
	[[ ! -e /proc/$(<"$BATS_TEST_TMPDIR/second") ]]
}

@test "devices by BPF: denied before the program runs, mknod too, and update leaves them" {
	mknod "$BUNDLE/rootfs/mem" c 1 1
	mknod "$BUNDLE/rootfs/null" c 1 3
	edit_config '.linux.resources.devices = [{allow: false, access: "rwm"}]
		| .process.capabilities |= map_values(. + ["CAP_MKNOD"])'
	start_container
	purple_rt exec "$ID" dd if=/null of=/dev/null count=1
	run purple_rt exec "$ID" dd if=/mem of=/dev/null count=1
	assert_status 1
	assert_contains "not permitted"
	echo '{"devices": [{"allow": true, "access": "rwm"}]}' | purple_rt update -r - "$ID"
	run purple_rt exec "$ID" dd if=/mem of=/dev/null count=1
	assert_status 1
}

@test "inside, the group is the root of the view, and read-only unless asked" {
	run_script 'cat /proc/self/cgroup; ls -d /sys/fs/cgroup/cgroup.procs; mkdir /sys/fs/cgroup/x'
	[[ $status != 0 ]]
	assert_contains "0::/"
	assert_contains /sys/fs/cgroup/cgroup.procs
	assert_contains "Read-only"
}

@test "what systemd does to its own groups takes no limit away" {
	resources '{"memory": {"limit": 67108864}, "cpu": {"quota": 50000, "period": 100000, "shares": 512, "cpus": "0"},
		"pids": {"limit": 33}, "hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}],
		"unified": {"io.max": "'"$(root_disk)"' riops=500"}}'
	start_container
	local before
	before=$(limits)
	[[ $before == *"cpu.max 50000 100000"* && $before == *"cpuset.cpus 0"* && $before == *"riops=500"* ]]
	# A unit that needs controllers comes and goes, and the manager looks at all groups anew.
	systemd-run --quiet --wait --collect -p CPUWeight=50 -p AllowedCPUs=0-1 -p IOWeight=50 -p MemoryMax=100M true
	assert_equal "$(limits)" "$before"
	systemctl daemon-reload
	assert_equal "$(limits)" "$before"
	systemctl daemon-reexec
	assert_equal "$(limits)" "$before"
}

# Every limit's file of GROUP, in one text.
limits() {
	local file
	for file in memory.max cpu.max cpu.weight cpuset.cpus pids.max hugetlb.2MB.max io.max; do
		echo "$file $(of "$file")"
	done 2>&1
}

@test "a program over its memory limit goes on in its swap, and is killed when that is full too" {
	resources '{"memory": {"limit": 33554432, "swap": 134217728}}'
	# A file of a tmpfs is memory that can only go to swap.
	edit_config '.mounts += [{destination: "/tmp", type: "tmpfs", source: "tmpfs"}]'
	run_script 'dd if=/dev/zero of=/tmp/x bs=1M count=64 2>/dev/null; ls -l /tmp/x | grep -o 67108864'
	assert_status 0
	assert_output 67108864
	run_script 'exec dd if=/dev/zero of=/tmp/x bs=1M count=200'
	assert_status 137
}

@test "memory.oom.group ends every process of the container, and is told as an event" {
	resources '{"memory": {"limit": 33554432, "swap": 33554432}, "unified": {"memory.oom.group": "1"}}'
	set_script 'sleep 1000 & while [ ! -e /go ]; do sleep 0.1; done; dd if=/dev/zero of=/dev/null bs=128M count=1; sleep 1000'
	start_container
	# shellcheck disable=SC2094 # the name of a command
	"$PURPLE_RUNTIME" --root "$PURPLE_ROOT" events --interval 1h "$ID" >events 2>&1 </dev/null 3>&- &
	local events=$!
	wait_for 10 eval 'ls -l /proc/$events/fd 2>/dev/null | grep -q inotify'
	: >"$BUNDLE/rootfs/go"
	wait_status stopped
	wait "$events"
	grep -q '"type":"oom"' events
	assert_equal "$(of cgroup.procs)" ""
	assert_equal "$(of memory.events | sed -n 's/^oom_group_kill //p')" 1
}

@test "a quota throttles, and pressure is counted" {
	resources '{"cpu": {"quota": 10000, "period": 100000}}'
	set_script 'while :; do :; done'
	start_container
	wait_for 20 eval '(($(figure cpu.throttling.throttledPeriods) > 3))'
	wait_for 20 eval '(($(figure cpu.psi.some.total) > 0))'
}

figure() { # NAME
	purple_rt events --stats "$ID" | jq ".data.$1"
}

@test "a group mounted to be written belongs to the container's user: sub-groups, and no limit" {
	edit_config '.linux.namespaces += [{type: "user"}, {type: "cgroup"}] | .linux.namespaces |= unique_by(.type)
		| .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 1000}] | .linux.gidMappings = .linux.uidMappings
		| (.mounts[] | select(.type == "cgroup")).options -= ["ro"]'
	resources '{"pids": {"limit": 33}}'
	set_script 'cd /sys/fs/cgroup && mkdir a && echo $$ >a/cgroup.procs && echo +pids >cgroup.subtree_control &&
		echo 5 >a/pids.max && cat a/pids.max; echo 99 >pids.max; cat pids.max'
	new_id
	edit_config '.linux.cgroupsPath = $p' --arg p "/$ID"
	run purple_rt run --bundle "$BUNDLE" "$ID"
	assert_contains $'5\n'
	assert_contains "Permission denied"
	assert_equal "${lines[-1]}" 33
	# Without the mount, nothing is given away.
	edit_config '(.mounts[] | select(.type == "cgroup")).options += ["ro"]'
	set_command sleep 1000
	start_container
	assert_equal "$(stat -c %u "/sys/fs/cgroup/$ID" "/sys/fs/cgroup/$ID/cgroup.procs" | sort -u)" 0
}
