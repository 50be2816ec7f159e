#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Namespaces, new and joined by path, user namespaces with id maps, and what is set in them: names,
# clocks, kernel parameters.

load helpers

setup() {
	requires root busybox jq
	purple_setup
	make_bundle
}

# A running container over BUNDLE; sets PID.
start_sleeper() {
	set_command sleep 1000
	create_container
	purple_rt start "$ID"
	PID=$(cat pid)
}

ns() { # PID TYPE
	readlink "/proc/$1/ns/$2"
}

assert_same_ns() { # PID PID TYPE
	assert_equal "$3 $(ns "$1" "$3")" "$3 $(ns "$2" "$3")"
}

assert_other_ns() {
	if [[ $(ns "$1" "$3") == "$(ns "$2" "$3")" ]]; then
		echo "the $3 namespace is the same"
		return 1
	fi
}

# The rootfs for a container whose root is uid 100000 of the host.
map_users() {
	edit_config '.linux.namespaces += [{type: "user"}]
		| .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}]
		| .linux.gidMappings = [{containerID: 0, hostID: 200000, size: 65536}]'
}

@test "every type of namespace that is listed is a new one, the others are the host's" {
	requires timens
	edit_config '.linux.namespaces = (["pid", "network", "ipc", "uts", "mount", "cgroup", "time"] | map({type: .}))'
	start_sleeper
	local type
	for type in pid net ipc uts mnt cgroup time; do
		assert_other_ns "$PID" $$ "$type"
	done
	assert_same_ns "$PID" $$ user
	edit_config '.linux.namespaces = [{type: "mount"}] | del(.hostname)
		| .mounts |= map(select(.destination == "/proc" or .destination == "/dev"))'
	new_id
	start_sleeper
	for type in pid net ipc uts cgroup time user; do
		assert_same_ns "$PID" $$ "$type"
	done
	assert_other_ns "$PID" $$ mnt
}

@test "namespaces of another container are joined by path" {
	requires timens
	edit_config '.linux.namespaces = (["pid", "network", "ipc", "uts", "mount", "cgroup", "time"] | map({type: .}))'
	start_sleeper
	local first=$PID type
	new_id
	edit_config '.linux.namespaces = (
			{pid: "pid", network: "net", ipc: "ipc", uts: "uts", cgroup: "cgroup", time: "time"}
			| to_entries | map({type: .key, path: "/proc/\($p)/ns/\(.value)"})) + [{type: "mount"}]
		| del(.hostname)' --arg p "$first"
	start_sleeper
	for type in pid net ipc uts cgroup time; do
		assert_same_ns "$PID" "$first" "$type"
	done
	assert_other_ns "$PID" "$first" mnt
	# In the joined pid namespace the second one is an ordinary process.
	[[ $(awk '/^NSpid/ { print $NF }' "/proc/$PID/status") != 1 ]]
	run purple_rt exec "$ID" ps
	assert_contains "sleep 1000"
	purple_rt kill "$ID" KILL
	wait_status stopped
	kill -0 "$first"
}

@test "a user namespace is joined by path" {
	map_users
	start_sleeper
	local first=$PID
	new_id
	edit_config 'del(.linux.uidMappings, .linux.gidMappings)
		| .linux.namespaces |= map(if .type == "user" then .path = "/proc/\($p)/ns/user" else . end)' --arg p "$first"
	start_sleeper
	assert_same_ns "$PID" "$first" user
	assert_equal "$(awk '/^Uid/ { print $2 }' "/proc/$PID/status")" 100000
}

@test "a network namespace made by others, with its devices, is the container's" {
	unshare --net sh -c 'ip link add dummy7 type dummy 2>/dev/null || ip link set lo up; sleep 1000' 3>&- &
	local other=$!
	wait_for 5 eval '[[ $(readlink /proc/$other/ns/net) != $(readlink /proc/self/ns/net) ]]'
	edit_config '.linux.namespaces |= map(if .type == "network" then .path = "/proc/\($p)/ns/net" else . end)' \
		--arg p "$other"
	run_script 'readlink /proc/self/ns/net'
	local theirs
	theirs=$(readlink "/proc/$other/ns/net")
	pkill -P "$other" sleep || true
	kill "$other" 2>/dev/null || true
	assert_status 0
	assert_output "$theirs"
}

@test "a path that is no namespace, or one of another type, or missing, is refused by name" {
	edit_config '.linux.namespaces |= map(if .type == "network" then .path = "/proc/self/ns/uts" else . end)'
	run purple_rt create --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains /proc/self/ns/uts
	edit_config '.linux.namespaces |= map(if .type == "network" then .path = "/no/such/ns" else . end)'
	run purple_rt create --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains /no/such/ns
	edit_config '.linux.namespaces |= map(if .type == "network" then .path = "/etc/passwd" else . end)'
	run purple_rt create --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains /etc/passwd
	edit_config '.linux.namespaces |= map(if .type == "network" then .path = "relative" else . end)'
	run purple_rt create --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "linux.namespaces[1].path: must be absolute"
	no_traces "$(test_prefix)"
}

@test "an unknown namespace and one that is given twice are refused" {
	edit_config '.linux.namespaces += [{type: "pid"}]'
	run purple_rt create --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "'pid' is given twice"
	edit_config '.linux.namespaces[-1].type = "colour"'
	run purple_rt create --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "'colour' is unknown"
}

@test "a new network namespace has its loopback up and nothing else" {
	run_script 'cat /proc/net/dev | tail -n +3 | cut -d: -f1; ip addr show lo | head -n 2; ping -c 1 127.0.0.1 >/dev/null 2>&1; nc -w 1 127.0.0.1 9; echo $?'
	assert_contains LOOPBACK,UP
	assert_contains 127.0.0.1
	assert_lacks eth
}

# --- user namespaces ------------------------------------------------------------------------------

@test "in a user namespace the container's root is the mapped user outside" {
	map_users
	start_sleeper
	assert_equal "$(awk '/^Uid/ { print $2, $3, $4, $5 }' "/proc/$PID/status")" "100000 100000 100000 100000"
	assert_equal "$(awk '/^Gid/ { print $2, $3, $4, $5 }' "/proc/$PID/status")" "200000 200000 200000 200000"
	assert_equal "$(tr -s ' ' <"/proc/$PID/uid_map")" " 0 100000 65536"
	assert_equal "$(tr -s ' ' <"/proc/$PID/gid_map")" " 0 200000 65536"
	run purple_rt exec "$ID" sh -c 'id -u; id -g; cat /proc/self/uid_map | tr -s " "'
	assert_output $'0\n0\n 0 100000 65536'
}

@test "ids of the process are those inside the user namespace" {
	map_users
	edit_config '.process.user = {uid: 1000, gid: 1001, additionalGids: [5, 6]}'
	start_sleeper
	assert_equal "$(awk '/^Uid/ { print $2 }' "/proc/$PID/status")" 101000
	assert_equal "$(awk '/^Gid/ { print $2 }' "/proc/$PID/status")" 201001
	assert_equal "$(sed -n 's/^Groups:[[:space:]]*//p' "/proc/$PID/status")" "200005 200006 "
}

@test "several ranges of ids are mapped" {
	edit_config '.linux.namespaces += [{type: "user"}]
		| .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 10}, {containerID: 1000, hostID: 300000, size: 5}]
		| .linux.gidMappings = [{containerID: 0, hostID: 0, size: 1}, {containerID: 5, hostID: 5, size: 1}]
		| .process.user = {uid: 1003, gid: 5}'
	start_sleeper
	assert_equal "$(awk '/^Uid/ { print $2 }' "/proc/$PID/status")" 300003
	assert_equal "$(awk '/^Gid/ { print $2 }' "/proc/$PID/status")" 5
}

@test "an id that is not mapped is an error, not another id" {
	map_users
	edit_config '.process.user = {uid: 70000, gid: 0} | .process.args = ["id"]'
	run purple_rt run --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "cannot set uid 70000"
	no_traces "$(test_prefix)"
}

@test "a root of a user namespace has no power over the host: its files, its kernel settings" {
	map_users
	echo secret >secret
	chmod 0600 secret
	: >"$BUNDLE/rootfs/secret"
	edit_config '.mounts += [{destination: "/secret", source: $f, options: ["bind"]}]
		| .process.capabilities = (["bounding", "effective", "permitted"] | map({(.): ["CAP_DAC_OVERRIDE", "CAP_CHOWN", "CAP_SYS_ADMIN"]}) | add)
		| .process.noNewPrivileges = false | del(.linux.readonlyPaths)' --arg f "$PWD/secret"
	run_script 'cat /secret; chown 0 /secret; echo 1 >/proc/sys/vm/drop_caches; echo x >/proc/sys/kernel/core_pattern; true'
	echo "$output"; 	assert_lacks $'\nsecret'
	((${#lines[@]} == 4))
	assert_equal "$(grep -c 'ermission denied\|not permitted\|cannot create' <<<"$output")" 4
}

@test "mappings that make no sense are refused by name" {
	run_bad() { # FILTER MESSAGE
		make_bundle "$BUNDLE" "$1"
		run purple_rt create --bundle "$BUNDLE" "$ID"
		assert_status 1
		assert_contains "$2"
	}
	run_bad '.linux.uidMappings = [{containerID: 0, hostID: 1, size: 1}]' "linux.uidMappings: needs a user namespace"
	run_bad '.linux.namespaces += [{type: "user"}] | .linux.gidMappings = [{containerID: 0, hostID: 0, size: 1}]' \
		"linux.uidMappings: is required beside linux.gidMappings"
	local both='.linux.namespaces += [{type: "user"}] | .linux.gidMappings = [{containerID: 0, hostID: 0, size: 1}]'
	run_bad "$both | .linux.uidMappings = [{containerID: 0, hostID: 0, size: 0}]" "linux.uidMappings[0].size: must be above 0"
	run_bad "$both | .linux.uidMappings = [{containerID: 0, hostID: 0, size: 4294967295}, {containerID: 5, hostID: 9, size: 1}]" \
		"overlaps"
	run_bad "$both | .linux.uidMappings = [{containerID: 0, hostID: 4294967290, size: 100}]" "reaches beyond the last id"
	run_bad "$both | .linux.uidMappings = [{containerID: -1, hostID: 0, size: 1}]" "linux.uidMappings[0].containerID"
	run_bad "$both | .linux.uidMappings = [{containerID: 0, hostID: 4294967296, size: 1}]" "linux.uidMappings[0].hostID"
	no_traces "$(test_prefix)"
}

# --- names, clocks, sysctl ------------------------------------------------------------------------

@test "hostname and domainname are set inside and the host's stay" {
	local host
	host=$(hostname)
	edit_config '.hostname = "inside" | .domainname = "example.org"'
	run_script 'hostname; cat /proc/sys/kernel/domainname'
	assert_output $'inside\nexample.org'
	assert_equal "$(hostname)" "$host"
}

@test "a hostname without a uts namespace, or too long a one, is refused" {
	edit_config '.linux.namespaces |= map(select(.type != "uts"))'
	run purple_rt create --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "hostname: cannot be set without a uts namespace"
	edit_config 'del(.hostname) | .domainname = "x"'
	run purple_rt create --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "domainname: cannot be set without a uts namespace"
	make_bundle "$BUNDLE" '.hostname = "x" * 65'
	run purple_rt create --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "hostname: is longer than 64 bytes"
}

@test "a time namespace has the offsets of the config" {
	requires timens
	edit_config '.linux.namespaces += [{type: "time"}]
		| .linux.timeOffsets = {monotonic: {secs: 86400, nanosecs: 5}, boottime: {secs: 1000000}}'
	start_sleeper
	assert_equal "$(tr -s ' ' <"/proc/$PID/timens_offsets")" $'monotonic 86400 5\nboottime 1000000 0'
	# And the process is in it: its uptime is the host's and the offset.
	local inside host
	inside=$(purple_rt exec "$ID" cut -d. -f1 /proc/uptime)
	host=$(cut -d. -f1 /proc/uptime)
	((inside - host >= 999995 && inside - host <= 1000005))
}

@test "time offsets without a new time namespace, or of an unknown clock, are refused" {
	edit_config '.linux.timeOffsets = {monotonic: {secs: 1}}'
	run purple_rt create --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "linux.timeOffsets: needs a new time namespace"
	edit_config '.linux.namespaces += [{type: "time"}] | .linux.timeOffsets = {realtime: {secs: 1}}'
	run purple_rt create --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "realtime"
}

@test "sysctls of the container's namespaces are set, and the host's stay" {
	local forward shm
	forward=$(cat /proc/sys/net/ipv4/ip_forward)
	shm=$(cat /proc/sys/kernel/shmmni)
	edit_config '.linux.sysctl = {"net.ipv4.ip_forward": "1", "kernel.shmmni": "1234",
		"fs.mqueue.queues_max": "77", "net.ipv4.ip_local_port_range": "2000 3000"}'
	run_script 'cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmni /proc/sys/fs/mqueue/queues_max;
		cat /proc/sys/net/ipv4/ip_local_port_range | tr "\t" " "'
	assert_output $'1\n1234\n77\n2000 3000'
	assert_equal "$(cat /proc/sys/net/ipv4/ip_forward)" "$forward"
	assert_equal "$(cat /proc/sys/kernel/shmmni)" "$shm"
}

@test "sysctls that are the host's are refused by name, and so are those of shared namespaces" {
	local key
	for key in vm.swappiness kernel.core_pattern kernel.panic fs.file-max net kernel.shmmni.x \
		net/../vm/swappiness net..ipv4 ''; do
		edit_config '.linux.sysctl = {($k): "1"}' --arg k "$key"
		run purple_rt create --bundle "$BUNDLE" "$ID"
		assert_status 1
		assert_contains sysctl
		assert_contains "$key"
	done
	edit_config '.linux.sysctl = {"net.ipv4.ip_forward": "1"} | .linux.namespaces |= map(select(.type != "network"))'
	run purple_rt create --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "no network namespace of its own"
	edit_config '.linux.namespaces += [{type: "network", path: "/proc/self/ns/net"}]'
	run purple_rt create --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "no network namespace of its own"
	no_traces "$(test_prefix)"
}

@test "a sysctl that the kernel refuses fails create and names it" {
	edit_config '.linux.sysctl = {"net.ipv4.no_such_thing": "1"}'
	run purple_rt create --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "net.ipv4.no_such_thing"
	edit_config '.linux.sysctl = {"kernel.shmmni": "many"}'
	run purple_rt create --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "kernel.shmmni"
	no_traces "$(test_prefix)"
}
