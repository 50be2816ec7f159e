#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# linux.namespaces, uidMappings, gidMappings and timeOffsets of config.json: the finer points, after
# those of runtime-namespaces.

load helpers
load spec

setup() {
	spec_setup
}

teardown() {
	spec_teardown
}

@test "a container joins the namespaces of another one, as in a pod" {
	local first=$ID pid file
	start_sleeper
	pid=$PID
	edit_config '{network: "net", ipc: "ipc", uts: "uts"} as $file
		| .linux.namespaces |= map(if $file[.type] then .path = "/proc/\($p)/ns/\($file[.type])" else . end)' --arg p "$pid"
	new_id
	edit_config '.hostname = "second"'
	start_sleeper
	for file in net ipc uts; do
		assert_equal "$(readlink "/proc/$PID/ns/$file")" "$(readlink "/proc/$pid/ns/$file")"
	done
	[[ $(readlink "/proc/$PID/ns/pid") != $(readlink "/proc/$pid/ns/pid") ]]
	run purple_rt exec "$first" hostname
	assert_output second
}

@test "PID 1 of a new pid namespace is the container's program, and it sees no other process" {
	run_script 'echo $$; ls /proc | grep -c "^[0-9]"'
	assert_status 0
	# The shell, ls and grep.
	assert_equal "${lines[0]}" 1
	((lines[1] <= 3))
}

@test "a network namespace that is joined is left as it is: its loopback stays down" {
	holder --net
	edit_config '.linux.namespaces |= map(if .type == "network" then .path = $p else . end)' \
		--arg p "/proc/$HOLDER/ns/net"
	run_script 'ip -o link show lo'
	assert_status 0
	assert_contains "lo: <LOOPBACK>"
}

@test "a new cgroup namespace shows the container's own group as the root" {
	run_script 'sed "s/.*://" /proc/self/cgroup | sort -u'
	assert_status 0
	assert_output /
	drop_namespace cgroup
	run_script 'cat /proc/self/cgroup'
	assert_contains "$ID"
}

# --- user namespaces ------------------------------------------------------------------------------

@test "root of a user namespace has its capabilities there and nowhere else" {
	requires userns
	user_namespace
	edit_config '.process.capabilities |= map_values(. + ["CAP_SYS_ADMIN"])'
	run_script 'hostname inside && hostname; mount -t tmpfs none /mnt 2>&1 || mount -t tmpfs none /tmp && echo mounted
		echo 1 >/proc/sys/kernel/printk_devkmsg 2>&1; dmesg >/dev/null 2>&1 && echo "reads the log"; true'
	assert_contains inside
	assert_contains mounted
	assert_lacks "reads the log"
	[[ $(hostname) != inside ]]
}

@test "a user namespace with a path is joined, and its root becomes the container's" {
	requires userns
	holder --user --map-root-user
	edit_config '.linux.namespaces += [{type: "user", path: $p}]' --arg p "/proc/$HOLDER/ns/user"
	# A single id is mapped: no tty group.
	edit_config '(.mounts[] | select(.type == "devpts") | .options) -= ["gid=5"]'
	start_sleeper
	assert_equal "$(readlink "/proc/$PID/ns/user")" "$(readlink "/proc/$HOLDER/ns/user")"
	run purple_rt exec "$ID" id -u
	assert_output 0
}

@test "a network namespace joined beside a new user namespace is joined with the host's rights" {
	requires userns
	holder --net
	user_namespace
	edit_config '.linux.namespaces |= map(if .type == "network" then .path = $p else . end)
		| (.mounts[] | select(.destination == "/sys") | .options) = ["ro", "nosuid"]' \
		--arg p "/proc/$HOLDER/ns/net"
	start_sleeper
	assert_equal "$(readlink "/proc/$PID/ns/net")" "$(readlink "/proc/$HOLDER/ns/net")"
}

# --- time -----------------------------------------------------------------------------------------

@test "wrong timeOffsets are refused" {
	edit_config '.linux.namespaces += [{type: "time"}]'
	refused '.linux.timeOffsets = {monotonic: {nanosecs: 1000000000}}' "nanosecs: must be below 10^9"
	# Beyond what the kernel takes: the clock would be negative.
	refused '.linux.timeOffsets = {monotonic: {secs: -100000000000}}' "time"
}

# --- wrong values ---------------------------------------------------------------------------------

@test "wrong namespaces are refused with the place of the fault" {
	refused '.linux.namespaces += [{type: "net"}]' "linux.namespaces[6].type: 'net' is unknown"
	refused '.linux.namespaces += [{path: "/proc/self/ns/user"}]' "linux.namespaces[6].type"
	refused '.linux.namespaces[1].path = 5' "linux.namespaces[1].path"
	refused '.linux.namespaces = {pid: {}}' "linux.namespaces"
}

@test "without a mount namespace nothing is mounted on the host: it is refused" {
	drop_namespace mount
	refused '.' "needs a mount namespace"
	refused 'del(.linux.maskedPaths, .linux.readonlyPaths)' "mount namespace"
	refused 'del(.linux.maskedPaths, .linux.readonlyPaths, .mounts)' "mount namespace"
}

@test "wrong id mappings are refused with the place of the fault" {
	user_namespace
	refused 'del(.linux.gidMappings)' "linux.gidMappings: is required"
	refused '.linux.uidMappings += [{containerID: 5, hostID: 900000, size: 1}]' "linux.uidMappings[1]: overlaps with [0]"
	refused '.linux.gidMappings += [{containerID: 70000, hostID: 100001, size: 1}]' "linux.gidMappings[1]: overlaps with [0]"
	refused '.linux.uidMappings[0].hostID = 4294967295' "linux.uidMappings[0]: reaches beyond the last id"
}
