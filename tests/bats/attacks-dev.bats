#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Published attacks, and others of their class, by what an image has at /dev, and by what its links
# lead to /dev.

load attacks

# tests/defences/run demands that this still works where a defence is taken out.
@test "a harmless container runs" {
	harmless_container
}

# --- /dev is a link -------------------------------------------------------------------------------

# A folder of the host with the file that is to be replaced.
make_decoy() {
	echo decoy >"$OUTSIDE/ptmx"
	echo decoy >"$OUTSIDE/console"
	BEFORE=$(listing "$OUTSIDE")
}

@test "CVE-2026-41579: a /dev that is a link to the host changes nothing there" {
	make_decoy
	rmdir "$ROOTFS/dev"
	set_command true
	local target
	for target in "$OUTSIDE" "../../../../../../../../../..$OUTSIDE" "/proc/1/root$OUTSIDE" /proc/self/cwd; do
		echo "/dev -> $target"
		ln -sfn "$target" "$ROOTFS/dev"
		make_bundle "$BUNDLE" '.root.readonly = false | .process.args = ["true"]'
		run_or_refuse ""
		assert_outside_unharmed
		without_dev
		run_or_refuse ""
		assert_outside_unharmed
	done
}

@test "CVE-2026-47766: links below /dev lead to no device, file or link on the host" {
	make_decoy
	without_dev
	set_command true
	edit_config '.linux.devices = [{path: "/dev/sub/node", type: "c", major: 1, minor: 3, uid: 7, gid: 7, fileMode: 511}]'
	local name
	for name in null zero full random urandom tty ptmx console fd stdin stdout stderr core sub pts shm; do
		rm -rf "${ROOTFS:?}/dev"
		mkdir "$ROOTFS/dev"
		ln -s "$OUTSIDE/new-$name" "$ROOTFS/dev/$name"
		run_or_refuse ""
		ln -sfn "$OUTSIDE/ptmx" "$ROOTFS/dev/$name"
		run_or_refuse ""
		ln -sfn "$OUTSIDE" "$ROOTFS/dev/$name"
		run_or_refuse ""
		echo "$name"
		assert_outside_unharmed
	done
}

@test "a volume that a link of the image leads to /dev is not taken for the container's own" {
	make_decoy
	set_command true
	local dest target
	for dest in "/data /dev" "/data/dev /" "/dev/data /dev" "/data /dev/pts/.."; do
		read -r dest target <<<"$dest"
		echo "$dest by a link to $target"
		rm -rf "$ROOTFS/data"
		mkdir -p "$ROOTFS/dev"
		make_bundle "$BUNDLE" '.root.readonly = false | .process.args = ["true"]'
		[[ $dest != /dev/* ]] || without_dev
		ln -sfn "$target" "$ROOTFS${dest%/dev}"
		add_mount "$dest" "$OUTSIDE" bind
		run purple_rt run --bundle "$BUNDLE" "$ID"
		assert_status 1
		assert_contains "belongs to a mount of the host"
		assert_outside_unharmed
		rm -f "$ROOTFS/dev/data"
	done
}

@test "a mount of the host below the root's source is left alone" {
	without_dev
	mount --bind "$OUTSIDE" "$ROOTFS/dev"
	keep_mount "$ROOTFS/dev"
	_host_mounts=$ROOTFS/dev
	set_command true
	run purple_rt run --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "belongs to a mount of the host"
	assert_outside_unharmed
}

@test "the host's /dev bound to the container stays as it is, whatever the config asks for" {
	host_mount "$PWD/hostdev" -t tmpfs dev
	local name
	for name in "null 1 3" "zero 1 5" "full 1 7" "random 1 8" "urandom 1 9" "tty 5 0" "ptmx 5 2"; do
		# shellcheck disable=SC2086 # three words
		mknod -m 0666 hostdev/${name/ / c }
	done
	local before
	before=$(listing hostdev)
	edit_config '.mounts |= map(select(.destination | startswith("/dev") | not))'
	add_mount /dev "$PWD/hostdev" rbind
	set_command ls /dev
	run purple_rt run --bundle "$BUNDLE" "$ID"
	assert_status 0
	edit_config '.linux.devices = [{path: "/dev/null", type: "c", major: 1, minor: 3, uid: 7, gid: 7, fileMode: 511}]'
	run_or_refuse device
	edit_config '.linux.devices = [{path: "/dev/new", type: "c", major: 1, minor: 3}]'
	new_id
	run purple_rt run --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_equal "$(listing hostdev)" "$before"
}

# --- the console ----------------------------------------------------------------------------------

# As an engine with a terminal, in a container whose /dev has the terminals, but is the image's.
terminal_without_dev() {
	edit_config '.mounts |= map(select(.destination == "/dev/pts" or (.destination | startswith("/dev") | not)))
		| .process.terminal = true'
	mkdir -p "$ROOTFS/dev/pts"
}

@test "CVE-2026-88264: a /dev/console that is a link makes no file and covers none" {
	terminal_without_dev
	set_command stat -c %F /dev/console
	local target
	for target in "$OUTSIDE/made" "$OUTSIDE/secret" "../../../../../../../../../..$OUTSIDE/made" /etc/passwd \
		/proc/sysrq-trigger; do
		ln -sfn "$target" "$ROOTFS/dev/console"
		new_id
		run purple_rt run --bundle "$BUNDLE" "$ID"
		echo "/dev/console -> $target"
		assert_status 1
		assert_contains "/dev/console of the container is a symbolic link"
		assert_outside_unharmed
	done
	rm "$ROOTFS/dev/console"
	mkdir "$ROOTFS/dev/console"
	new_id
	run purple_rt run --bundle "$BUNDLE" "$ID"
	assert_status 1
	rmdir "$ROOTFS/dev/console"
	mkfifo "$ROOTFS/dev/console"
	new_id
	run timeout -s KILL 20 "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" run --bundle "$BUNDLE" "$ID"
	assert_status 0
	assert_contains "character special file"
}

@test "CVE-2025-52565: the terminal covers /dev/console itself, however fast it changes" {
	terminal_without_dev
	# Where the terminal is mounted. A mount goes with its file when that gets another name.
	set_script 'grep " - devpts " /proc/self/mountinfo | grep -vE " /dev/(pts|console|other) " | sed "s/^/bad: /"'
	: >"$ROOTFS/dev/console"
	ln -s /etc/passwd "$ROOTFS/dev/other"
	race "$ROOTFS/dev/console" "$ROOTFS/dev/other"
	while_racing console_race_try
	race_end
}

console_race_try() {
	new_id
	run timeout -s KILL 30 "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" run --bundle "$BUNDLE" "$ID"
	if ((status == 1)) && [[ $output == *symbolic\ link* ]]; then
		return 0
	fi
	[[ $output != *bad* ]]
	# What /etc/passwd says is not the terminal.
	assert_equal "$(cksum <"$ROOTFS/etc/passwd")" "$(cksum <"$PURPLE_TEST_DIR/rootfs/etc/passwd")"
}

@test "CVE-2025-52565: a terminal comes from a devpts, not from what the image calls one" {
	edit_config '.mounts |= map(select(.destination | startswith("/dev") | not)) | .process.terminal = true'
	mkdir -p "$ROOTFS/dev/pts"
	set_command true
	local kind
	for kind in link fifo file zero ptmx tty; do
		rm -f "$ROOTFS/dev/pts/ptmx"
		case $kind in
		link) ln -s /dev/tty "$ROOTFS/dev/pts/ptmx" ;;
		fifo) mkfifo "$ROOTFS/dev/pts/ptmx" ;;
		file) : >"$ROOTFS/dev/pts/ptmx" ;;
		zero) mknod "$ROOTFS/dev/pts/ptmx" c 1 5 ;;
		ptmx) mknod "$ROOTFS/dev/pts/ptmx" c 5 2 ;;
		tty) mknod "$ROOTFS/dev/pts/ptmx" c 5 0 ;;
		esac
		echo "$kind"
		new_id
		run timeout -s KILL 20 "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" run --bundle "$BUNDLE" "$ID"
		assert_status 1
		assert_contains "cannot open a terminal"
	done
}

# --- /dev/null ------------------------------------------------------------------------------------

@test "CVE-2026-88265: stdio that is /dev/null is not opened anew in the image, nor given away" {
	without_dev
	rm -rf "${ROOTFS:?}/dev"
	mkdir "$ROOTFS/dev"
	ln -s /etc/target "$ROOTFS/dev/null"
	echo inside >"$ROOTFS/etc/target"
	local null
	null=$(stat -c '%u:%g %a' /dev/null)
	edit_config '.process.user = {uid: 7, gid: 7} | .linux.maskedPaths = [] | .linux.readonlyPaths = []'
	set_script 'cat; echo out'
	# The default devices refuse such an image. A bind of its /dev is not looked at so.
	run purple_rt run --bundle "$BUNDLE" "$ID" </dev/null
	assert_status 1
	assert_contains "/dev/null"
	mv "$ROOTFS/dev" "$BUNDLE/dev"
	mkdir "$ROOTFS/dev"
	add_mount /dev "$BUNDLE/dev" bind
	new_id
	purple_rt run --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1
	assert_equal "$(stat -c '%u:%g' "$ROOTFS/etc/target")" 0:0
	assert_equal "$(cat "$ROOTFS/etc/target")" inside
	assert_equal "$(stat -c '%u:%g %a' /dev/null)" "$null"
	new_id
	run purple_rt run --bundle "$BUNDLE" "$ID" </dev/null
	assert_output out
}

masked_by_null() {
	new_id
	run timeout -s KILL 30 "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" run --bundle "$BUNDLE" "$ID"
	if ((status != 0)); then
		assert_status 1
		assert_contains /dev/null
	else
		assert_output $'1:3\n1:3'
	fi
}

@test "CVE-2025-31133: a masked file is covered by the null device and nothing else" {
	edit_config '.linux.maskedPaths = ["/proc/version", "/etc/masked"] | .linux.readonlyPaths = []'
	without_dev
	echo masked >"$ROOTFS/etc/masked"
	set_command stat -c %t:%T /proc/version /etc/masked
	rm -rf "${ROOTFS:?}/dev"
	mkdir "$ROOTFS/dev"
	# What runc would have bound: a file that the host listens to.
	ln -s /proc/sys/kernel/core_pattern "$ROOTFS/dev/null"
	run purple_rt run --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "cannot make device '/dev/null': another file is there"
	# And the race: a link when the mask is made, the device when it is looked at.
	mv "$ROOTFS/dev/null" "$ROOTFS/dev/link"
	mknod -m 0666 "$ROOTFS/dev/null" c 1 3
	race "$ROOTFS/dev/null" "$ROOTFS/dev/link"
	while_racing masked_by_null
	race_end
}

@test "CVE-2025-62161: a mask holds when the image has no /dev/null, or a wrong one" {
	edit_config '.linux.maskedPaths = ["/proc/version", "/etc/masked"]'
	echo masked >"$ROOTFS/etc/masked"
	set_command stat -c %t:%T /proc/version /etc/masked
	# The config's own /dev, a folder of the host: nothing is made in it.
	mkdir "$BUNDLE/dev"
	without_dev
	add_mount /dev "$BUNDLE/dev" bind
	local kind
	for kind in none file fifo zero link; do
		rm -f "$BUNDLE/dev/null"
		case $kind in
		file) echo fake >"$BUNDLE/dev/null" ;;
		fifo) mkfifo "$BUNDLE/dev/null" ;;
		zero) mknod "$BUNDLE/dev/null" c 1 5 ;;
		link) ln -s /proc/sys/kernel/core_pattern "$BUNDLE/dev/null" ;;
		esac
		echo "$kind"
		new_id
		run timeout -s KILL 20 "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" run --bundle "$BUNDLE" "$ID"
		assert_status 0
		assert_output $'1:3\n1:3'
	done
}
