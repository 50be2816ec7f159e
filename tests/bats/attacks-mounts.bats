#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Published attacks, and others of their class, on the mounts that the runtime makes: destinations
# that links lead elsewhere, also while they are looked up, and false /proc and /sys.

load attacks

teardown() {
	[[ ! -d ${_group:-/nonexistent} ]] || find "$_group" -depth -type d -exec rmdir {} +
	spec_teardown
}

# A folder that two containers share; the first one is whoever races here.
make_volume() {
	VOLUME=$BATS_TEST_TMPDIR/volume
	mkdir "$VOLUME"
	add_mount /vol "$VOLUME" bind
}

# A source of mounts, with a file by which it is known.
make_source() {
	mkdir source
	echo source >source/mark
	echo file >source-file
}

# tests/defences/run demands that this still works where a defence is taken out.
@test "a harmless container runs" {
	harmless_container
}

# --- destinations ---------------------------------------------------------------------------------

@test "CVE-2019-18837: destinations behind links stay in the container, and nothing is made outside" {
	make_source
	local up=../../../../../../../../../..
	local target
	for target in "$OUTSIDE" "$up$OUTSIDE" "/proc/self/root$OUTSIDE" "/proc/1/cwd$OUTSIDE" "/bin/$up$OUTSIDE"; do
		echo "by a link to $target"
		make_bundle "$BUNDLE" '.root.readonly = false'
		ln -sfn "$target" "$ROOTFS/link"
		ln -sfn "$target/new" "$ROOTFS/dangling"
		ln -sfn link "$ROOTFS/second"
		add_mount /link/dir "$PWD/source" bind
		add_mount /second/file "$PWD/source-file" bind
		add_mount /dangling "$PWD/source" bind
		add_mount "/bin/../../../../link/more" "$PWD/source" bind
		add_tmpfs /second/tmpfs mode=0700
		set_script 'cat /link/dir/mark /link/file /dangling/mark /link/more/mark'
		run_or_refuse "cannot mount"
		((status != 0)) || assert_output $'source\nfile\nsource\nsource'
		assert_outside_unharmed
	done
}

@test "CVE-2025-24965: files that are made in the image for mounts do not follow its links out" {
	make_source
	local name
	for name in etc/hosts etc/hostname etc/resolv.conf run/.containerenv .krun_config.json; do
		mkdir -p "$ROOTFS/run"
		ln -sfn "$OUTSIDE/new" "$ROOTFS/$name"
		make_bundle "$BUNDLE" '.root.readonly = false'
		add_mount "/$name" "$PWD/source-file" bind
		set_script "cat /$name"
		run purple_rt run --bundle "$BUNDLE" "$ID"
		assert_status 0
		assert_output file
		assert_outside_unharmed
		ln -sfn "$OUTSIDE/secret" "$ROOTFS/$name"
		new_id
		run purple_rt run --bundle "$BUNDLE" "$ID"
		assert_output file
		assert_outside_unharmed
		rm -rf "${ROOTFS:?}/$name" "$ROOTFS${OUTSIDE%/outside}"
	done
}

mount_race_try() {
	new_id
	run timeout -s KILL 30 "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" run --bundle "$BUNDLE" "$ID"
	assert_outside_unharmed
	if ((status != 0)); then
		assert_status 1
		assert_contains "cannot mount"
		return
	fi
	# What the config mounts is in the container, wherever the links led: twice, and once a file.
	assert_output $'2\n1'
}

# The attack of CVE-2021-30465: a folder of the volume, in which a mount is to be, changes places
# with a link to the host. The folder outside has what the lookup needs there.
race_mounts() {
	make_source
	make_volume
	mkdir -p "$VOLUME/dir/sub"
	: >"$VOLUME/dir/file"
	ln -s "$OUTSIDE" "$VOLUME/link"
	mkdir -p "$OUTSIDE/sub" "$OUTSIDE/dir"
	: >"$OUTSIDE/file"
	BEFORE=$(listing "$OUTSIDE")
	add_mount /vol/dir/sub "$PWD/source" bind
	add_mount /vol/dir/file "$PWD/source-file" bind
	add_mount /vol/link/dir "$PWD/source" bind
	set_script "awk '{ print \$4 }' /proc/self/mountinfo | grep -c '/source\$'
		awk '{ print \$4 }' /proc/self/mountinfo | grep -c '/source-file\$'"
	race "$VOLUME/dir" "$VOLUME/link"
	while_racing mount_race_try
	race_end
}

@test "CVE-2021-30465: mounts land in the container, however fast their destinations change" {
	race_mounts
}

mkdir_race_try() {
	new_id
	run timeout -s KILL 30 "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" run --bundle "$BUNDLE" "$ID"
	assert_outside_unharmed
	# What changes its name meanwhile is met again.
	until rm -rf "${VOLUME:?}"/*/new-dir "$VOLUME"/*/new-file "$ROOTFS${OUTSIDE%/outside}" 2>/dev/null; do :; done
	((status == 0)) || assert_contains "cannot mount"
}

@test "CVE-2024-45310: no file or directory is made on the host for a mount, in a race neither" {
	make_source
	make_volume
	mkdir "$VOLUME/dir"
	ln -s "$OUTSIDE" "$VOLUME/link"
	add_mount /vol/dir/new-dir/deep "$PWD/source" bind
	add_mount /vol/dir/new-file "$PWD/source-file" bind
	add_mount /vol/link/new-dir/deep "$PWD/source" bind
	set_command true
	race "$VOLUME/dir" "$VOLUME/link"
	while_racing mkdir_race_try
	race_end
}

@test "a link of the image cannot lead a mount over the root itself" {
	make_source
	ln -s / "$ROOTFS/top"
	ln -s . "$ROOTFS/here"
	set_script 'ls /..; ls /'
	local dest
	for dest in /top /here /top/here/top /bin/../top; do
		make_bundle "$BUNDLE" '.root.readonly = false'
		set_command true
		add_mount "$dest" "$PWD/source" bind
		new_id
		run purple_rt run --bundle "$BUNDLE" "$ID"
		assert_status 1
		assert_contains "the destination leads to the root itself"
	done
}

@test "tmpcopyup follows no link of the image, and copies none of the host's files" {
	mkdir -p "$ROOTFS/data/sub"
	ln -s "$OUTSIDE" "$ROOTFS/data/dir"
	ln -s "$OUTSIDE/secret" "$ROOTFS/data/file"
	mkfifo "$ROOTFS/data/fifo"
	ln -s "$OUTSIDE" "$ROOTFS/top"
	add_tmpfs /data tmpcopyup
	add_tmpfs /top tmpcopyup
	set_script 'stat -c "%n %F" /data/*; cat /data/file; ls /top'
	run timeout -s KILL 30 "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" run --bundle "$BUNDLE" "$ID"
	assert_contains "/data/dir symbolic link"
	assert_contains "/data/file symbolic link"
	assert_contains "/data/fifo fifo"
	assert_lacks secret$'\n'
	assert_equal "$(grep -c '^secret$' <<<"$output")" 0
	assert_outside_unharmed
}

copyup_race_try() {
	new_id
	run timeout -s KILL 30 "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" run --bundle "$BUNDLE" "$ID"
	assert_outside_unharmed
	assert_equal "$(grep -c '^secret$' <<<"$output")" 0
	((status == 0)) || assert_contains tmpcopyup
}

@test "tmpcopyup copies nothing of the host's, however fast what it copies changes" {
	make_volume
	mkdir -p "$VOLUME/tree/dir"
	echo inside >"$VOLUME/tree/dir/secret"
	ln -s "$OUTSIDE" "$VOLUME/tree/link"
	add_tmpfs /vol/tree tmpcopyup
	set_script 'for d in dir link; do [ -L /vol/tree/$d ] || cat /vol/tree/$d/secret; done'
	race "$VOLUME/tree/dir" "$VOLUME/tree/link"
	while_racing copyup_race_try
	race_end
}

# --- /proc and /sys -------------------------------------------------------------------------------

refused_mount() { # DESTINATION TEXT
	make_bundle "$BUNDLE" '.root.readonly = false'
	set_command true
	add_mount "$1" "$PWD/source" rbind
	new_id
	run purple_rt run --bundle "$BUNDLE" "$ID"
	echo "at $1"
	assert_status 1
	assert_contains "$2"
}

@test "CVE-2019-16884: no volume of an image stands where /proc is, or in it" {
	make_source
	mkdir -p source/self/attr source/sys/net
	refused_mount /proc "only procfs may be mounted"
	refused_mount /proc/self/attr "mounts below /proc are refused"
	refused_mount /proc/sys/net "mounts below /proc are refused"
	refused_mount //proc/./self/../1/attr "mounts below /proc are refused"
	ln -s proc "$ROOTFS/one"
	refused_mount /one "only procfs may be mounted"
	refused_mount /bin/../one "only procfs may be mounted"
	ln -s /proc/sys "$ROOTFS/two"
	refused_mount /two "leads into a procfs"
	refused_mount /two/net "leads into a procfs"
	ln -s ../proc/self/attr "$ROOTFS/three"
	refused_mount /three "leads into a procfs"
	make_bundle "$BUNDLE" '.mounts |= map(if .destination == "/proc" then .type = "tmpfs" else . end)'
	run purple_rt run --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "only procfs may be mounted"
}

# The kernel's own answers, with the masks on them.
proc_is_right() {
	set_script '[ ! -L /proc ] && [ ! -L /sys ] && [ "$(stat -f -c %T /proc)" = proc ] || echo not proc
		grep -c " - proc " /proc/self/mountinfo
		awk "\$5 == \"/proc/sys\" { print \$6 }" /proc/self/mountinfo | cut -c 1-2'
}

@test "CVE-2023-27561: a /proc that is a link is refused, wherever it leads" {
	make_volume
	set_command true
	mkdir -p "$VOLUME/proc" "$ROOTFS/other"
	rmdir "$ROOTFS/proc"
	local target
	for target in /vol/proc vol/proc /other other ../../other "$OUTSIDE" /proc2 /sys .; do
		ln -sfn "$target" "$ROOTFS/proc"
		new_id
		run purple_rt run --bundle "$BUNDLE" "$ID"
		echo "/proc -> $target"
		assert_status 1
		assert_contains "a symbolic link is in the way"
		assert_outside_unharmed
	done
}

@test "CVE-2023-28642: a tmpfs or volume behind a /proc that is a link hides no procfs from us" {
	make_source
	mkdir -p source/self/attr
	set_command true
	rmdir "$ROOTFS/proc"
	ln -s fake "$ROOTFS/proc"
	mkdir "$ROOTFS/fake"
	local config=$BATS_TEST_TMPDIR/config
	cp "$BUNDLE/config.json" "$config"
	local edit
	for edit in '.mounts |= [{destination: "/fake", type: "tmpfs", source: "tmpfs"}] + .' \
		'.mounts += [{destination: "/fake", type: "tmpfs", source: "tmpfs"}]' \
		'.mounts += [{destination: "/fake", source: $s, options: ["bind"]}]' \
		'.mounts |= [{destination: "/fake", source: $s, options: ["bind"]}] + .'; do
		cp "$config" "$BUNDLE/config.json"
		edit_config "$edit" --arg s "$PWD/source"
		new_id
		run purple_rt run --bundle "$BUNDLE" "$ID"
		assert_status 1
		assert_contains "a symbolic link is in the way"
	done
}

@test "CVE-2025-54867: a /sys that is a link is refused, wherever it leads" {
	set_command true
	rmdir "$ROOTFS/sys"
	local target
	for target in /other "$OUTSIDE" ../../../../../.. /proc /dev .; do
		ln -sfn "$target" "$ROOTFS/sys"
		new_id
		run purple_rt run --bundle "$BUNDLE" "$ID"
		echo "/sys -> $target"
		assert_status 1
		assert_contains "a symbolic link is in the way"
		assert_outside_unharmed
	done
}

proc_race_try() {
	new_id
	run timeout -s KILL 30 "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" run --bundle "$BUNDLE" "$ID"
	if ((status != 0)); then
		[[ $output == *"a symbolic link is in the way"* || $output == *"cannot mount"* ||
			$output == *"magic"* || $output == *"cannot open"* || $output == *"exec:"* ]] || {
			echo "$output"
			return 1
		}
		return 0
	fi
	# One procfs at an ordinary /proc, whose masks hold; or, when the name was swapped away
	# afterwards, none at that name.
	assert_lacks "unmasked"
}

@test "CVE-2019-19921: a /proc that is swapped for a link into a shared volume stays masked" {
	make_volume
	mkdir "$VOLUME/proc" "$ROOTFS/keep"
	ln -s /vol/proc "$ROOTFS/link"
	edit_config '.mounts |= [.[-1]] + .[:-1]'
	# Each procfs that the container has anywhere has a read-only sys, or is none that we see.
	set_script 'while read -r a b c d point rest; do
			case $rest in *" - proc "*) [ "$d" != / ] || ! (echo 1 >"$point/sys/kernel/panic_on_warn_none") 2>/dev/null || echo unmasked
				[ "$d" != / ] || [ "$point" = /proc ] || [ "$point" = /link ] || echo "unmasked: $point";; esac
		done </proc/self/mountinfo; true'
	race "$ROOTFS/proc" "$ROOTFS/link"
	while_racing proc_race_try
	race_end
}

@test "CVE-2025-52881: a sysctl is written to the kernel's own procfs, not to what stands at /proc" {
	# The image's own /proc, and none mounted over it.
	edit_config '.mounts |= map(select(.destination != "/proc"))
		| .linux.maskedPaths = [] | .linux.readonlyPaths = []
		| .linux.sysctl = {"net.ipv4.ip_unprivileged_port_start": "77", "kernel.msgmax": "7777"}'
	mkdir -p "$ROOTFS/proc/sys/net/ipv4" "$ROOTFS/proc/sys/kernel"
	echo fake >"$ROOTFS/etc/target"
	ln -s /etc/target "$ROOTFS/proc/sys/net/ipv4/ip_unprivileged_port_start"
	: >"$ROOTFS/proc/sys/kernel/msgmax"
	start_sleeper
	assert_equal "$(cat "$ROOTFS/etc/target")" fake
	[[ ! -s $ROOTFS/proc/sys/kernel/msgmax ]]
	assert_equal "$(nsenter -t "$PID" -n sysctl -n net.ipv4.ip_unprivileged_port_start)" 77
}

@test "CVE-2025-62596: what the runtime writes of a process goes to the host's procfs" {
	# No /proc but the image's, which has each file that a runtime writes.
	edit_config '.mounts |= map(select(.destination != "/proc"))
		| .linux.maskedPaths = [] | .linux.readonlyPaths = [] | .process.oomScoreAdj = 123'
	local file
	mkdir -p "$ROOTFS/proc/self/attr/apparmor" "$ROOTFS/proc/self/task" "$ROOTFS/proc/thread-self/attr"
	for file in oom_score_adj setgroups uid_map gid_map attr/exec attr/apparmor/exec attr/keycreate timens_offsets; do
		: >"$ROOTFS/proc/self/$file"
	done
	local before
	before=$(listing "$ROOTFS/proc")
	start_sleeper
	assert_equal "$(cat "/proc/$PID/oom_score_adj")" 123
	jq '.process | .args = ["true"]' "$BUNDLE/config.json" >process.json
	purple_rt exec --process process.json "$ID"
	assert_equal "$(listing "$ROOTFS/proc")" "$before"
}

# --- cgroups --------------------------------------------------------------------------------------

@test "CVE-2023-25809: an ordinary user's container cannot write the user's own groups" {
	requires ordinary_user cgroup_v2_tree
	local home=$BATS_TEST_TMPDIR/user top=/sys/fs/cgroup/unified group
	[[ -d $top ]] || top=/sys/fs/cgroup
	group=$top/$(test_prefix)-user
	mkdir "$group"
	chown -R 65534:65534 "$group"
	_group=$group
	as_user true
	make_rootfs "$home/rootfs"
	chown -R 65534:65534 "$home/rootfs"
	(cd "$home" && as_user "$PURPLE_RUNTIME" spec --rootless)
	BUNDLE=$home
	local try="for d in \$(find /sys/fs/cgroup -name '${group##*/}' 2>/dev/null); do mkdir \$d/made && echo made; done; echo done"
	edit_config '.process.terminal = false | .process.args = ["sh", "-c", $t]' --arg t "$try"
	# As it is written by spec, and where there is no mount for the groups: /sys alone.
	run as_user "$PURPLE_RUNTIME" run --bundle "$home" "$ID"
	local first=$output made
	edit_config '.mounts |= map(select(.destination != "/sys/fs/cgroup"))'
	run as_user "$PURPLE_RUNTIME" run --bundle "$home" "$ID"
	made=$(find "$group" -mindepth 1 -type d)
	echo "$first"
	assert_equal "$made" ""
	assert_lacks made$'\n'
	assert_contains "done"
	[[ $first == *"done"* ]]
}
