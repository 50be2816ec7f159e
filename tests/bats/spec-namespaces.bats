#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# linux.namespaces, uidMappings, gidMappings and timeOffsets of config.json.

load helpers
load spec

setup() {
	spec_setup
}

teardown() {
	spec_teardown
}

# Files of /proc/PID/ns and what config.json calls them.
declare -gA type_of=([pid]=pid [net]=network [ipc]=ipc [uts]=uts [mnt]=mount [cgroup]=cgroup [time]=time)

@test "every namespace that is listed is a new one, inside and outside" {
	requires timens
	local file
	edit_config '.linux.namespaces += [{type: "time"}]'
	start_sleeper
	run purple_rt exec "$ID" sh -c 'for n in pid net ipc uts mnt cgroup time; do echo $n $(readlink /proc/1/ns/$n); done'
	assert_status 0
	for file in "${!type_of[@]}"; do
		[[ $(readlink "/proc/$PID/ns/$file") != $(readlink "/proc/self/ns/$file") ]]
		assert_contains "$file $(readlink "/proc/$PID/ns/$file")"
	done
	assert_equal "$(readlink "/proc/$PID/ns/user")" "$(readlink /proc/self/ns/user)"
}

@test "a namespace that is not listed is the host's" {
	local file
	edit_config 'del(.hostname)'
	for file in pid net ipc uts cgroup; do
		drop_namespace "${type_of[$file]}"
		start_sleeper
		assert_equal "$(readlink "/proc/$PID/ns/$file")" "$(readlink "/proc/self/ns/$file")"
		purple_rt delete --force "$ID"
		make_bundle
		edit_config 'del(.hostname)'
		new_id
	done
}

@test "a namespace with a path is joined" {
	requires timens
	local file
	holder --pid --net --ipc --uts --cgroup --time
	for file in pid net ipc uts cgroup; do
		edit_config '.linux.namespaces |= map(if .type == $t then .path = $p else . end)' \
			--arg t "${type_of[$file]}" --arg p "/proc/$HOLDER/ns/$file"
	done
	edit_config '.linux.namespaces += [{type: "time", path: $p}]' --arg p "/proc/$HOLDER/ns/time"
	start_sleeper
	for file in pid net ipc uts cgroup time; do
		assert_equal "$(readlink "/proc/$PID/ns/$file")" "$(readlink "/proc/$HOLDER/ns/$file")"
		[[ $(readlink "/proc/$PID/ns/$file") != $(readlink "/proc/self/ns/$file") ]]
	done
	# The mount namespace was not joined.
	[[ $(readlink "/proc/$PID/ns/mnt") != $(readlink "/proc/$HOLDER/ns/mnt") ]]
	[[ $(readlink "/proc/$PID/ns/mnt") != $(readlink /proc/self/ns/mnt) ]]
}

@test "a container joins the namespaces of another one, as in a pod" {
	local first=$ID pid file
	start_sleeper
	pid=$PID
	for file in net ipc uts; do
		edit_config '.linux.namespaces |= map(if .type == $t then .path = $p else . end)' \
			--arg t "${type_of[$file]}" --arg p "/proc/$pid/ns/$file"
	done
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

@test "a new network namespace has loopback, and it is up" {
	edit_config '.process.capabilities |= map_values(. + ["CAP_NET_RAW"])'
	run_script 'ip -o link; ip -o -4 addr; ping -c 1 -W 2 127.0.0.1'
	assert_status 0
	assert_contains "lo: <LOOPBACK,UP,LOWER_UP>"
	assert_contains "127.0.0.1/8"
	assert_contains "1 packets received"
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

@test "in a user namespace the container's root is the host's mapped id" {
	requires userns
	user_namespace
	mkdir -m 0777 shared
	edit_config '.mounts += [{destination: "/home", source: $o, options: ["bind"]}]' --arg o "$PWD/shared"
	set_script 'touch /home/mine; exec sleep 1000'
	create_container
	purple_rt start "$ID"
	wait_for 5 test -e shared/mine
	local pid
	pid=$(cat pid)
	[[ $(readlink "/proc/$pid/ns/user") != $(readlink /proc/self/ns/user) ]]
	assert_equal "$(awk '/^Uid/ { print $2, $3, $4, $5 }' "/proc/$pid/status")" "100000 100000 100000 100000"
	assert_equal "$(awk '/^Gid/ { print $2 }' "/proc/$pid/status")" 100000
	assert_equal "$(stat -c %u:%g shared/mine)" 100000:100000
	assert_equal "$(awk '{ print $1, $2, $3 }' "/proc/$pid/uid_map")" "0 100000 65536"
	assert_equal "$(awk '{ print $1, $2, $3 }' "/proc/$pid/gid_map")" "0 100000 65536"
}

@test "several ranges of id mappings are written as given" {
	requires userns
	edit_config '.linux.namespaces += [{type: "user"}]
		| .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 10}, {containerID: 1000, hostID: 200000, size: 5}]
		| .linux.gidMappings = [{containerID: 0, hostID: 300000, size: 20}]
		| .process.user = {uid: 1000, gid: 7}'
	start_sleeper
	assert_equal "$(awk '{ print $1, $2, $3 }' "/proc/$PID/uid_map")" $'0 100000 10\n1000 200000 5'
	assert_equal "$(awk '{ print $1, $2, $3 }' "/proc/$PID/gid_map")" "0 300000 20"
	assert_equal "$(awk '/^[UG]id/ { print $2 }' "/proc/$PID/status" | tr '\n' ' ')" "200000 300007 "
}

@test "a user that the mappings do not hold is an error" {
	requires userns
	user_namespace 100000 10
	edit_config '.process.user = {uid: 1000, gid: 0}'
	set_command true
	create_container
	run purple_rt start "$ID"
	assert_status 1
	assert_contains "cannot set uid 1000"
}

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

@test "timeOffsets move the clocks of the container, and of no one else" {
	requires timens
	local host
	edit_config '.linux.namespaces += [{type: "time"}]
		| .linux.timeOffsets = {monotonic: {secs: 5000, nanosecs: 7}, boottime: {secs: 1000000}}'
	start_sleeper
	host=$(cut -d. -f1 /proc/uptime)
	run purple_rt exec "$ID" cut -d. -f1 /proc/uptime
	assert_status 0
	((output >= host + 1000000 && output <= host + 1000020))
	(($(cut -d. -f1 /proc/uptime) < host + 20))
	assert_equal "$(awk '{ print $1, $2, $3 }' "/proc/$PID/timens_offsets")" \
		$'monotonic 5000 7\nboottime 1000000 0'
}

@test "wrong timeOffsets are refused" {
	refused '.linux.timeOffsets = {monotonic: {secs: 1}}' "linux.timeOffsets: needs a new time namespace"
	edit_config '.linux.namespaces += [{type: "time"}]'
	refused '.linux.timeOffsets = {realtime: {secs: 1}}' "clock 'realtime' is unknown"
	refused '.linux.timeOffsets = {monotonic: {nanosecs: 1000000000}}' "nanosecs: must be below 10^9"
	# Beyond what the kernel takes: the clock would be negative.
	refused '.linux.timeOffsets = {monotonic: {secs: -100000000000}}' "time"
}

# --- wrong values ---------------------------------------------------------------------------------

@test "wrong namespaces are refused with the place of the fault" {
	refused '.linux.namespaces += [{type: "net"}]' "linux.namespaces[6].type: 'net' is unknown"
	refused '.linux.namespaces += [{type: "pid"}]' "linux.namespaces[6].type: 'pid' is given twice"
	refused '.linux.namespaces += [{path: "/proc/self/ns/user"}]' "linux.namespaces[6].type"
	refused '.linux.namespaces[1].path = "run/x"' "linux.namespaces[1].path: must be absolute, not 'run/x'"
	refused '.linux.namespaces[1].path = "/nonexistent/ns"' "/nonexistent/ns"
	refused '.linux.namespaces[1].path = "/proc/self/ns/ipc"' "/proc/self/ns/ipc"
	refused '.linux.namespaces[1].path = "/etc/passwd"' "/etc/passwd"
}

@test "without a mount namespace nothing is mounted on the host: it is refused" {
	drop_namespace mount
	refused '.' "needs a mount namespace"
	refused 'del(.linux.maskedPaths, .linux.readonlyPaths)' "mount namespace"
	refused 'del(.linux.maskedPaths, .linux.readonlyPaths, .mounts)' "mount namespace"
}

@test "wrong id mappings are refused with the place of the fault" {
	refused '.linux.namespaces += [{type: "user"}]' "linux.uidMappings: is required for a new user namespace"
	refused '.linux.uidMappings = [{containerID: 0, hostID: 1, size: 1}]' "linux.uidMappings: needs a user namespace"
	user_namespace
	refused 'del(.linux.gidMappings)' "linux.gidMappings: is required"
	refused '.linux.uidMappings[0].size = 0' "linux.uidMappings[0].size: must be above 0"
	refused '.linux.uidMappings += [{containerID: 5, hostID: 900000, size: 1}]' "linux.uidMappings[1]: overlaps with [0]"
	refused '.linux.gidMappings += [{containerID: 70000, hostID: 100001, size: 1}]' "linux.gidMappings[1]: overlaps with [0]"
	refused '.linux.uidMappings[0].hostID = 4294967295' "linux.uidMappings[0]: reaches beyond the last id"
	refused '.linux.uidMappings[0].hostID = 4294967296' "hostID"
	refused '.linux.uidMappings[0].hostID = -1' "hostID"
}
