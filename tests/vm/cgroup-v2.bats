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
