#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A user namespace without uidMappings and gidMappings, whose mappings the runtime chooses, and id-
# mapped mounts beside user namespaces.

load helpers
load spec

setup() {
	requires userns
	spec_setup
}

teardown() {
	spec_teardown
}

new_userns() {
	edit_config '.linux.namespaces += [{type: "user"}]'
}

# A line of /proc/PID/[ug]id_map with single blanks.
map_of() { # PID FILE
	awk '{ print $1, $2, $3 }' "/proc/$1/$2"
}

# --- chosen mappings ------------------------------------------------------------------------------

@test "for root a user namespace without mappings has every id as itself" {
	new_userns
	start_sleeper
	[[ $(readlink "/proc/$PID/ns/user") != "$(readlink /proc/self/ns/user)" ]]
	assert_equal "$(map_of "$PID" uid_map)" "$(awk '{ print $1, $1, $3 }' /proc/self/uid_map)"
	assert_equal "$(map_of "$PID" gid_map)" "$(awk '{ print $1, $1, $3 }' /proc/self/gid_map)"
	run purple_rt exec "$ID" sh -c 'id -u; stat -c %u /bin/busybox; echo 1 2>/dev/null >/proc/sys/kernel/printk || echo denied'
	assert_output $'0\n0\ndenied'
	edit_config '.process.user = {uid: 1234, gid: 5678}'
	run_script 'id -u; id -g'
	assert_output $'1234\n5678'
}

@test "within a user namespace its ids are the ones that are mapped" {
	new_userns
	edit_config '.linux.resources = {} | del(.linux.cgroupsPath)
		| (.mounts[] | select(.type == "sysfs")) = {destination: "/sys", source: "/sys", options: ["rbind", "ro"]}
		| (.mounts[] | select(.type == "devpts") | .options) -= ["gid=5"]
		| .mounts |= map(select(.type != "cgroup")) | .process.args = ["cat", "/proc/self/uid_map"]'
	run unshare --user --map-root-user --mount "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" --cgroup-manager disabled \
		run --bundle "$BUNDLE" "$ID"
	assert_status 0
	assert_equal "$(awk '{ print $1, $2, $3 }' <<<"$output")" "0 0 1"
}

@test "one kind of mapping alone is a mistake" {
	new_userns
	refused '.linux.uidMappings = [{containerID: 0, hostID: 0, size: 1}]' "linux.gidMappings: is required beside linux.uidMappings"
	refused '.linux.gidMappings = [{containerID: 0, hostID: 0, size: 1}]' "linux.uidMappings: is required beside linux.gidMappings"
}

# A bundle that nobody can run: its own root file system, no groups, no network.
ordinary_bundle() {
	requires ordinary_user
	as_user true
	USER_ROOT=$BATS_TEST_TMPDIR/user/root
	edit_config '.linux.resources = {} | del(.linux.cgroupsPath)
		| .linux.namespaces |= map(select(.type != "network"))
		| (.mounts[] | select(.type == "sysfs")) = {destination: "/sys", source: "/sys", options: ["rbind", "ro"]}
		| (.mounts[] | select(.type == "devpts") | .options) -= ["gid=5"]
		| .mounts |= map(select(.type != "cgroup"))'
	new_userns
	chown -R 65534:65534 "$BUNDLE"
}

# granted LINE: what run_as_user finds in /etc/subuid and /etc/subgid.
granted() {
	echo "$1" >"$BATS_TEST_TMPDIR/subid"
}

# run_as_user WORD...: `run`s a container with this command as an ordinary user.
run_as_user() {
	local home=$BATS_TEST_TMPDIR/user
	set_command "$@"
	chown 65534:65534 "$BUNDLE/config.json"
	new_id
	run unshare --mount --propagation private bash -c '
		for file in /etc/subuid /etc/subgid; do
			[[ ! -e $file ]] || mount --bind "$0" "$file" || exit
		done
		exec "$@"' "$BATS_TEST_TMPDIR/subid" \
		env -i PATH="$PATH" HOME="$home" XDG_RUNTIME_DIR="$home/run" setpriv --reuid=65534 --regid=65534 --clear-groups -- \
		"$PURPLE_RUNTIME" --root "$USER_ROOT" run --bundle "$BUNDLE" "$ID"
}

@test "for an ordinary user the own id is the process's" {
	granted ''
	ordinary_bundle
	run_as_user sh -c 'cat /proc/self/uid_map /proc/self/gid_map | tr -s " "'
	assert_status 0
	assert_output $' 0 65534 1\n 0 65534 1'
	edit_config '.process.user = {uid: 77, gid: 88}'
	run_as_user sh -c 'id -u; id -g; stat -c %u:%g /bin/busybox; cat /proc/self/uid_map | tr -s " "'
	assert_output $'77\n88\n77:88\n 77 65534 1'
}

@test "an ordinary user gets the ids that subuid and subgid grant, around the own one" {
	requires subids
	[[ -e /etc/subuid && -e /etc/subgid ]] || skip "needs newuidmap"
	granted 'nobody:300000:1000'
	ordinary_bundle
	run_as_user sh -c 'cat /proc/self/uid_map /proc/self/gid_map | tr -s " "'
	assert_status 0
	assert_output $' 0 65534 1\n 1 300000 1000\n 0 65534 1\n 1 300000 1000'
	edit_config '.process.user = {uid: 5, gid: 5, additionalGids: [7]}'
	run_as_user sh -c 'id -u; id -G; cat /proc/self/uid_map | tr -s " "'
	assert_status 0
	assert_output $'5\n5 7\n 0 300000 5\n 5 65534 1\n 6 300005 995'
	# Mappings of config.json may use them too; what is not granted is refused.
	edit_config '.process.user = {uid: 3, gid: 3}
		| .linux.uidMappings = [{containerID: 0, hostID: 300000, size: 10}] | .linux.gidMappings = .linux.uidMappings'
	run_as_user sh -c 'id -u; cat /proc/self/gid_map | tr -s " "'
	assert_status 0
	assert_output $'3\n 0 300000 10'
	edit_config '.linux.uidMappings[0].hostID = 400000'
	run_as_user true
	assert_status 1
	assert_contains "linux.uidMappings: newuidmap:"
}

@test "an ordinary user's exec in a created container is refused with the reason, until start" {
	ordinary_bundle
	set_command sleep 1000
	local user_rt=(as_user "$PURPLE_RUNTIME" --root "$USER_ROOT")
	"${user_rt[@]}" create --bundle "$BUNDLE" "$ID" </dev/null >out 2>&1
	run "${user_rt[@]}" exec "$ID" id -u
	assert_status 255
	assert_output "an ordinary user cannot exec in a container that is only created: start it first"
	"${user_rt[@]}" start "$ID"
	run "${user_rt[@]}" exec "$ID" id -u
	assert_status 0
	assert_output 0
	"${user_rt[@]}" delete --force "$ID"
}

# --- id-mapped mounts beside a user namespace -----------------------------------------------------

@test "a mount's own mappings hold beside a user namespace, and are those to the host's ids" {
	requires idmap
	local src=$BATS_TEST_TMPDIR/src
	mkdir -p "$src"
	host_mount "$src" -t tmpfs tmpfs
	mkdir "$src/below"
	host_mount "$src/below" -t tmpfs tmpfs
	touch "$src/file" "$src/below/file"
	chown 1000:1001 "$src/file" "$src/below/file"
	user_namespace
	chown -R 100000:100000 "$BUNDLE/rootfs"
	# What is 1000 on the disk is 105000 of the host for this mount, and so 5000 in the container.
	add_mount /home "$src" rbind idmap
	edit_config '.mounts[-1] += {uidMappings: [{containerID: 1000, hostID: 105000, size: 10}],
		gidMappings: [{containerID: 1000, hostID: 105000, size: 10}]}'
	add_mount /root "$src" rbind ridmap
	edit_config '.mounts[-1] += {uidMappings: [{containerID: 1000, hostID: 106000, size: 10}],
		gidMappings: [{containerID: 1000, hostID: 106000, size: 10}]}'
	run_script 'stat -c %u:%g /home/file /home/below/file /root/file /root/below/file'
	assert_status 0
	assert_output $'5000:5001\n65534:65534\n6000:6001\n6000:6001'
	assert_equal "$(stat -c %u:%g "$src/file")" 1000:1001
}

@test "id-mapped mounts follow chosen mappings too" {
	requires idmap
	local src=$BATS_TEST_TMPDIR/src
	mkdir -p "$src"
	touch "$src/file"
	chown 7:8 "$src/file"
	new_userns
	add_mount /home "$src" bind idmap
	run_script 'stat -c %u:%g /home/file'
	assert_output 7:8
	refused '.mounts[-1].uidMappings = [{containerID: 0, hostID: 1, size: 1}]' "uidMappings and gidMappings need each other"
}
