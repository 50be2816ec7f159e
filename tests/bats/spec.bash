# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the spec-*.bats files share: they set the members of config.json one by one, look at the
# result from inside the container and from the host, and at what is said about wrong values.

spec_setup() {
	requires root busybox jq
	purple_setup
	make_bundle
}

# Processes that a test started are gone before its containers are looked for.
spec_teardown() {
	local pid
	for pid in ${_background:-}; do
		kill -9 "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	_background=
	local path left=0
	purple_teardown || left=1
	for path in ${_host_mounts:-}; do
		umount -R -l "$path" || left=1
	done
	_host_mounts=
	return "$left"
}

# host_mount PATH MOUNT-ARG...: mounts at PATH of the host until the test ends.
host_mount() {
	local path=$1
	shift
	mkdir -p "$path"
	mount "$@" "$path"
	keep_mount "$path"
	_host_mounts="$path ${_host_mounts:-}"
}

# add_mount DESTINATION SOURCE OPTION...: a further entry of mounts, a bind.
add_mount() {
	local destination=$1 source=$2
	shift 2
	edit_config '.mounts += [{destination: $d, source: $s, options: $ARGS.positional}]' \
		--arg d "$destination" --arg s "$source" --args -- "$@"
}

# add_tmpfs DESTINATION OPTION...
add_tmpfs() {
	local destination=$1
	shift
	edit_config '.mounts += [{destination: $d, type: "tmpfs", source: "tmpfs", options: $ARGS.positional}]' \
		--arg d "$destination" --args -- "$@"
}

# background COMMAND...: runs it until the test ends; sets BACKGROUND to its pid.
background() {
	"$@" </dev/null >"$BATS_TEST_TMPDIR/background" 2>&1 3>&- &
	BACKGROUND=$!
	_background="${_background:-} $BACKGROUND"
}

# holder UNSHARE-OPTION...: a process in new namespaces; sets HOLDER to the pid of one inside.
holder() {
	background unshare --fork --kill-child "$@" sleep 1000
	wait_for 5 has_child "$BACKGROUND"
	HOLDER=$(pgrep -P "$BACKGROUND")
	wait_for 5 grep -q sleep "/proc/$HOLDER/comm"
}

has_child() {
	pgrep -P "$1" >/dev/null
}

# A container over BUNDLE that sleeps; sets PID to its init.
start_sleeper() {
	set_command sleep 1000
	create_container
	purple_rt start "$ID"
	PID=$(cat "$BATS_TEST_TMPDIR/pid")
	wait_for 5 grep -q sleep "/proc/$PID/comm"
}

# refused FILTER TEXT: create of the config edited so fails, says TEXT and makes nothing. The
# config is as before afterwards.
refused() {
	local ID
	new_id
	rm -f "$BATS_TEST_TMPDIR/pid"
	cp "$BUNDLE/config.json" "$BATS_TEST_TMPDIR/config.saved"
	edit_config "$1"
	run create_container
	cp "$BATS_TEST_TMPDIR/config.saved" "$BUNDLE/config.json"
	echo "refused: $1"
	assert_status 1
	assert_contains "$2"
	[[ ! -e $PURPLE_ROOT/$ID ]]
	[[ ! -e $BATS_TEST_TMPDIR/pid ]]
}

# The host's programs inside the container, for tests that busybox is too small for.
add_host_tools() {
	requires python3
	local dir
	for dir in lib lib64; do
		[[ -L /$dir && ! -e $BUNDLE/rootfs/$dir ]] && ln -s "usr/$dir" "$BUNDLE/rootfs/$dir"
	done
	edit_config '.mounts += [{destination: "/usr", source: "/usr", options: ["rbind", "ro"]}]
		| .process.env = ["PATH=/bin:/usr/bin:/usr/sbin", "PYTHONDONTWRITEBYTECODE=1"]'
}

# No namespace of this type; what depends on it goes too.
drop_namespace() {
	edit_config '.linux.namespaces |= map(select(.type != $t))' --arg t "$1"
}

# user_namespace [FIRST [SIZE]]: a new one, in which 0 is uid FIRST (100000) of the host.
user_namespace() {
	edit_config '.linux.namespaces += [{type: "user"}]
		| .linux.uidMappings = [{containerID: 0, hostID: $first, size: $size}]
		| .linux.gidMappings = .linux.uidMappings' \
		--argjson first "${1:-100000}" --argjson size "${2:-65536}"
}

# The options that the kernel shows for a mount point of a process's mount namespace.
mount_options_of() { # PID PATH
	awk -v p="$2" '$5 == p { print $6 }' "/proc/$1/mountinfo" | tail -n 1
}

# "shared:1 master:2", or nothing.
propagation_of() { # PID PATH
	awk -v p="$2" '$5 == p { s = ""; for (i = 7; $i != "-"; i++) s = s $i " "; print s }' \
		"/proc/$1/mountinfo" | tail -n 1
}
