#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Mounts with every option, the root file system, devices, masked and read-only paths.

load helpers

setup() {
	requires root busybox jq
	purple_setup
	make_bundle
	mkdir src
	echo content >src/file
}

teardown() {
	local dir
	for dir in "${_sources[@]}"; do
		umount -R "$dir" || umount -R -l "$dir"
	done
	_sources=()
	purple_teardown
}

# A file system of its own at src, with another one below it, that the test's teardown takes away.
make_source() {
	mount -t tmpfs source src
	mount --make-private src
	_sources+=("$PWD/src")
	mkdir src/below
	mount -t tmpfs below src/below
	mount --make-private src/below
	keep_mount "$PWD/src"
	keep_mount "$PWD/src/below"
	echo content >src/file
	echo content >src/below/file
}

# add_mount DESTINATION OPTION...: binds src. A further word with = first changes a member.
add_mount() {
	local destination=$1
	shift
	edit_config '.mounts += [{destination: $d, source: $s, type: "bind", options: $ARGS.positional}]' \
		--arg d "$destination" --arg s "$PWD/src" --args -- "$@"
}

last_mount() { # FILTER: edits the mount that was added last
	edit_config ".mounts[-1] |= ($1)"
}

# mount_field PATH FIELD: of the topmost mount there, inside a container running as $PID.
flags_of() {
	awk -v p="$1" '$5 == p { flags = $6 } END { print flags }' "/proc/$PID/mountinfo"
}
tags_of() {
	awk -v p="$1" '$5 == p { t = ""; for (i = 7; $i != "-"; i++) t = t " " $i } END { print t }' "/proc/$PID/mountinfo"
}
has_flag() { # PATH FLAG
	[[ ,$(flags_of "$1"), == *,$2,* ]] || {
		echo "$1 lacks $2: $(flags_of "$1")"
		return 1
	}
}
lacks_flag() {
	[[ ,$(flags_of "$1"), != *,$2,* ]] || {
		echo "$1 has $2: $(flags_of "$1")"
		return 1
	}
}

start_sleeper() {
	set_command sleep 1000
	create_container
	purple_rt start "$ID"
	PID=$(cat pid)
}

refused() { # MESSAGE
	run purple_rt create --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "$1"
	no_traces "$(test_prefix)"
}

# --- options --------------------------------------------------------------------------------------

@test "ro binds are read-only inside and stay writable outside; rw ones are written through" {
	add_mount /ro bind ro
	add_mount /rw bind rw
	run_script 'cat /ro/file; echo new >/ro/file; echo new >/rw/other'
	assert_contains content
	assert_contains "Read-only file system"
	assert_equal "$(cat src/file src/other)" $'content\nnew'
}

@test "each attribute of a mount is set as asked for" {
	local flag
	for flag in ro nosuid nodev noexec nosymfollow nodiratime; do
		add_mount "/m-$flag" bind "$flag"
	done
	for flag in noatime relatime strictatime; do
		add_mount "/m-$flag" bind "$flag"
	done
	start_sleeper
	for flag in ro nosuid nodev noexec nosymfollow nodiratime noatime relatime; do
		has_flag "/m-$flag" "$flag"
	done
	lacks_flag /m-strictatime noatime
	lacks_flag /m-strictatime relatime
	lacks_flag /m-nodev ro
	lacks_flag /m-ro nosuid
}

@test "attributes of a new file system are set too" {
	edit_config '.mounts += [{destination: "/t", type: "tmpfs", source: "tmpfs",
		options: ["ro", "nosuid", "nodev", "noexec", "noatime", "nosymfollow", "size=64k", "mode=0710", "uid=5", "gid=6"]}]'
	start_sleeper
	local flag
	for flag in ro nosuid nodev noexec noatime nosymfollow; do
		has_flag /t "$flag"
	done
	assert_equal "$(purple_rt exec "$ID" stat -c '%a %u %g' /t)" "710 5 6"
	assert_equal "$(purple_rt exec "$ID" df -k /t | awk 'END { print $2 }')" 64
}

@test "the last of contradicting options wins" {
	add_mount /a bind ro rw noexec exec nosuid suid
	add_mount /b bind rw ro exec noexec noatime relatime
	start_sleeper
	lacks_flag /a ro
	lacks_flag /a noexec
	lacks_flag /a nosuid
	has_flag /b ro
	has_flag /b noexec
	has_flag /b relatime
}

@test "nosuid, nodev, noexec and nosymfollow mean what they say" {
	cp "$(command -v busybox)" src/busybox
	mknod src/null c 1 3
	ln -s file src/link
	add_mount /noexec bind noexec
	add_mount /nodev bind nodev
	add_mount /nosymfollow bind nosymfollow
	add_mount /plain bind
	run_script 'cat /plain/link; /plain/busybox true && echo runs; : </plain/null && echo opens
		/noexec/busybox true; (: </nodev/null); cat /nosymfollow/link'
	assert_contains $'content\nruns\nopens'
	assert_equal "$(grep -ci 'permission denied' <<<"$output")" 2
	assert_contains "Too many levels of symbolic links"
}

@test "bind takes the mount alone, rbind the mounts below it too" {
	make_source
	add_mount /one bind
	add_mount /all rbind
	run_script 'ls /one/below; cat /all/below/file'
	assert_status 0
	assert_output content
}

@test "ro leaves what is mounted below writable, rro does not; so for the other r options" {
	make_source
	local flag
	add_mount /ro rbind ro
	for flag in ro nosuid nodev noexec noatime nodiratime nosymfollow; do
		add_mount "/r$flag" rbind "r$flag"
	done
	start_sleeper
	has_flag /ro ro
	lacks_flag /ro/below ro
	for flag in ro nosuid nodev noexec noatime nodiratime nosymfollow; do
		has_flag "/r$flag" "$flag"
		has_flag "/r$flag/below" "$flag"
	done
	# The host's own mounts are as they were.
	PID=self
	lacks_flag "$PWD/src/below" ro
	echo still >src/below/file
}

@test "rrw and the other clearing r options take attributes away from the whole tree" {
	make_source
	mount -o remount,bind,ro,nosuid,nodev,noexec src
	mount -o remount,bind,ro,nosuid,nodev,noexec src/below
	add_mount /rw rbind rrw rsuid rdev rexec
	start_sleeper
	local flag dir
	for dir in /rw /rw/below; do
		for flag in ro nosuid nodev noexec; do
			lacks_flag "$dir" "$flag"
		done
	done
}

@test "a bind keeps the attributes of its source where nothing else is asked for" {
	make_source
	mount -o remount,bind,nosuid,nodev,noexec src
	add_mount /kept bind ro
	start_sleeper
	local flag
	for flag in ro nosuid nodev noexec; do
		has_flag /kept "$flag"
	done
}

@test "propagation options are set: shared, slave, private, unbindable, and for trees" {
	make_source
	mount --make-rshared src
	local p
	for p in private slave shared unbindable rprivate rslave rshared runbindable; do
		add_mount "/$p" rbind "$p"
	done
	start_sleeper
	[[ -z $(tags_of /private) && -z $(tags_of /rprivate) && -z $(tags_of /rprivate/below) ]]
	[[ $(tags_of /slave) == *master:* && $(tags_of /slave) != *shared:* ]]
	[[ $(tags_of /rslave/below) == *master:* && $(tags_of /rslave/below) != *shared:* ]]
	[[ $(tags_of /shared) == *shared:* ]]
	[[ $(tags_of /rshared/below) == *shared:* ]]
	[[ $(tags_of /unbindable) == *unbindable* && $(tags_of /unbindable/below) != *unbindable* ]]
	[[ $(tags_of /runbindable/below) == *unbindable* ]]
}

@test "mounts of the container do not reach the host, those of the host reach an rslave bind" {
	make_source
	mount --make-rshared src
	add_mount /slave rbind rslave
	edit_config '.process.capabilities = (["bounding", "effective", "permitted"] | map({(.): ["CAP_SYS_ADMIN"]}) | add)'
	start_sleeper
	mkdir src/later
	mount -t tmpfs later src/later
	keep_mount "$PWD/src/later"
	echo seen >src/later/file
	assert_equal "$(purple_rt exec "$ID" cat /slave/later/file)" seen
	purple_rt exec "$ID" mount -t tmpfs inside /slave/below
	[[ -e src/below/file ]]
	umount src/later
	run purple_rt exec "$ID" ls /slave/later/file
	((status != 0))
}

@test "tmpcopyup fills a tmpfs with what it covers, and changes stay in it" {
	mkdir -p "$BUNDLE/rootfs/data/sub"
	echo old >"$BUNDLE/rootfs/data/file"
	echo sub >"$BUNDLE/rootfs/data/sub/file"
	ln -s file "$BUNDLE/rootfs/data/link"
	chown 7:8 "$BUNDLE/rootfs/data/file"
	chmod 0640 "$BUNDLE/rootfs/data/file"
	edit_config '.mounts += [{destination: "/data", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup"]}]'
	run_script 'stat -c "%a %u %g" /data/file; cat /data/sub/file; readlink /data/link; echo new >/data/sub/file; cat /data/sub/file'
	assert_output $'640 7 8\nsub\nfile\nnew'
	assert_equal "$(cat "$BUNDLE/rootfs/data/sub/file")" sub
	edit_config '.mounts[-1] |= (.type = "bind" | .source = "/tmp" | .options = ["bind", "tmpcopyup"])'
	refused tmpcopyup
}

@test "a tmpfs without mode has that of the directory it covers" {
	edit_config '.mounts += [{destination: "/tmp", type: "tmpfs", source: "tmpfs"}]'
	run_script 'stat -c %a /tmp'
	assert_output 1777
}

@test "remount changes what an earlier mount set up" {
	add_mount /m bind
	add_mount /m bind remount ro nosuid
	edit_config '.mounts += [{destination: "/t", type: "tmpfs", source: "tmpfs", options: ["size=64k"]},
		{destination: "/t", type: "tmpfs", source: "tmpfs", options: ["remount", "size=128k", "noexec"]}]'
	start_sleeper
	has_flag /m ro
	has_flag /m nosuid
	has_flag /t noexec
	assert_equal "$(purple_rt exec "$ID" df -k /t | awk 'END { print $2 }')" 128
	purple_rt delete --force "$ID"
	add_mount /nothing-here bind remount ro
	refused /nothing-here
}

@test "a mount maps the ids of its files by its own mappings" {
	requires idmap
	make_source
	chown 1000:1001 src/file
	chown 1000:1001 src/below/file
	add_mount /mapped rbind
	last_mount '.uidMappings = [{containerID: 1000, hostID: 2000, size: 10}]
		| .gidMappings = [{containerID: 1000, hostID: 3000, size: 10}]'
	add_mount /idmap rbind idmap
	last_mount '.uidMappings = [{containerID: 1000, hostID: 4000, size: 10}]
		| .gidMappings = [{containerID: 1000, hostID: 4000, size: 10}]'
	add_mount /ridmap rbind ridmap
	last_mount '.uidMappings = [{containerID: 1000, hostID: 5000, size: 10}]
		| .gidMappings = [{containerID: 1000, hostID: 5000, size: 10}]'
	run_script 'stat -c "%u:%g" /mapped/file /idmap/file /idmap/below/file /ridmap/file /ridmap/below/file'
	assert_output $'2000:3001\n4000:4001\n1000:1001\n5000:5001\n5000:5001'
	assert_equal "$(stat -c '%u:%g' src/file)" 1000:1001
}

@test "idmap without mappings uses those of the container's user namespace" {
	requires idmap
	make_source
	chown 5:6 src/file
	chown -R 100000:100000 "$BUNDLE/rootfs"
	edit_config '.linux.namespaces += [{type: "user"}]
		| .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}]
		| .linux.gidMappings = .linux.uidMappings'
	add_mount /mapped bind idmap
	add_mount /plain bind
	run_script 'stat -c "%u:%g" /mapped/file /plain/file; echo new >/mapped/new'
	assert_status 0
	assert_output $'5:6\n65534:65534'
	assert_equal "$(stat -c '%u:%g' src/new)" 0:0
}

@test "mappings of a mount that are incomplete or senseless are refused by name" {
	add_mount /m bind
	last_mount '.uidMappings = [{containerID: 0, hostID: 1, size: 1}]'
	refused "uidMappings and gidMappings need each other"
	last_mount '.gidMappings = [{containerID: 0, hostID: 1, size: 0}]'
	refused "gidMappings[0].size: must be above 0"
	make_bundle
	add_mount /m bind idmap
	refused idmap
}

# --- sources and destinations ---------------------------------------------------------------------

@test "files are bound, and missing destinations are made: directories, and empty files" {
	add_mount /new/dir/deep bind
	add_mount /new/file.txt bind
	last_mount '.source += "/file"'
	run_script 'cat /new/dir/deep/file /new/file.txt'
	assert_output $'content\ncontent'
	[[ -d $BUNDLE/rootfs/new/dir/deep && -f $BUNDLE/rootfs/new/file.txt ]]
	assert_equal "$(stat -c %a "$BUNDLE/rootfs/new/dir" "$BUNDLE/rootfs/new/dir/deep")" $'755\n755'
}

@test "a relative source is meant from the bundle, a relative destination from /" {
	mkdir "$BUNDLE/data"
	echo here >"$BUNDLE/data/file"
	edit_config '.mounts += [{destination: "rel/dest", source: "data", options: ["bind"]}]'
	run_script 'cat /rel/dest/file'
	assert_output here
}

@test "a source that does not exist, and file over directory, are refused" {
	add_mount /m bind
	last_mount '.source = "/no/such/source"'
	refused "'/no/such/source' does not exist"
	last_mount '.source = $ENV.PWD + "/src/file" | .destination = "/tmp"'
	refused "/tmp"
	last_mount 'del(.source)'
	refused "source"
}

@test "destinations are resolved inside the root: links that lead out of it stay inside" {
	mkdir outside
	ln -s "$PWD/outside" "$BUNDLE/rootfs/absolute"
	ln -s ../../../../../../.. "$BUNDLE/rootfs/up"
	add_mount /absolute/made bind
	add_mount /up/upmade bind
	add_mount /../../dots bind
	run_script "cat '$PWD/outside/made/file' /upmade/file /dots/file"
	assert_status 0
	assert_output $'content\ncontent\ncontent'
	[[ -z $(ls -A outside) && ! -e /upmade && ! -e /dots ]]
}

@test "nothing is mounted over the root, on procfs, or below it, also not through a link" {
	add_mount / bind
	refused "the destination is the root itself"
	last_mount '.destination = "/proc"'
	refused "/proc"
	last_mount '.destination = "/proc/self/attr"'
	refused "/proc/self/attr"
	ln -s /proc/sys "$BUNDLE/rootfs/link"
	last_mount '.destination = "/link"'
	refused "/link"
	make_bundle
	rmdir "$BUNDLE/rootfs/proc"
	ln -s /tmp "$BUNDLE/rootfs/proc"
	refused "symbolic link"
}

@test "unknown options, types and combinations are refused" {
	add_mount /m bind no-such-option
	refused no-such-option
	last_mount '.options = ["bind", "copy-symlink"]'
	refused copy-symlink
	last_mount '.options = ["mand", "bind"]'
	refused mand
	last_mount '.type = "no-such-fs" | .options = []'
	refused no-such-fs
	last_mount 'del(.type)'
	refused "neither a type nor option 'bind'"
	last_mount '.type = "tmpfs" | .options = ["size=many"]'
	refused "size"
}

@test "mounts are made in their order: a later one covers an earlier one" {
	add_mount /m bind
	mkdir other
	echo other >other/file
	add_mount /m bind
	last_mount '.source = $ENV.PWD + "/other"'
	run_script 'cat /m/file'
	assert_output other
}

@test "paths with spaces, tabs and quotes are mounted" {
	mkdir $'od d\t"\\name'
	echo odd >$'od d\t"\\name/file'
	add_mount '/a b"c' bind
	last_mount '.source = $ENV.PWD + "/od d\t\"\\name"'
	run_script 'cat "/a b\"c/file"'
	assert_output odd
}

# --- the root -------------------------------------------------------------------------------------

@test "root.readonly holds for the root, and without it the root is written" {
	run_script 'touch /file'
	((status != 0))
	assert_contains "Read-only file system"
	edit_config '.root.readonly = false'
	run_script 'touch /file'
	assert_status 0
	[[ -e $BUNDLE/rootfs/file ]]
}

@test "root.path is relative to the bundle, or absolute, or behind a link" {
	mv "$BUNDLE/rootfs" "$BUNDLE/elsewhere"
	edit_config '.root.path = "elsewhere"'
	run_script 'echo ok'
	assert_output ok
	edit_config '.root.path = $x + "/elsewhere"' --arg x "$BUNDLE"
	run_script 'echo ok'
	assert_output ok
	ln -s elsewhere "$BUNDLE/link"
	edit_config '.root.path = "link"'
	run_script 'echo ok'
	assert_output ok
}

@test "the container sees no file system of the host, and cannot leave its root" {
	edit_config '.process.capabilities = (["bounding", "effective", "permitted"] | map({(.): ["CAP_SYS_CHROOT"]}) | add)'
	run_script 'ls /..; awk "{ print \$5 }" /proc/self/mountinfo; mkdir -p /dev/shm/x; cd /; chroot /dev/shm/x 2>/dev/null; ls -d ../../../work ../../../root/..; cat /proc/1/root/etc/hostname'
	assert_lacks "$BATS_TEST_TMPDIR"
	assert_lacks container_info
	assert_lacks /rootfs
}

@test "rootfsPropagation is set on the container's root, and an unknown one is refused" {
	local p
	for p in private shared slave unbindable rprivate rslave; do
		edit_config '.linux.rootfsPropagation = $p' --arg p "$p"
		new_id
		start_sleeper
		case $p in
		private | rprivate) [[ -z $(tags_of /) ]] ;;
		shared) [[ $(tags_of /) == *shared:* ]] ;;
		slave | rslave) [[ $(tags_of /) != *shared:* ]] ;;
		unbindable) [[ $(tags_of /) == *unbindable* ]] ;;
		esac
		purple_rt delete --force "$ID"
	done
	edit_config '.linux.rootfsPropagation = "sideways"'
	refused "linux.rootfsPropagation: 'sideways' is unknown"
}

@test "--no-pivot runs the container with its own root all the same" {
	set_script 'ls /; cat /proc/1/root/etc/passwd | head -n 1'
	run purple_rt run --no-pivot --bundle "$BUNDLE" "$ID"
	assert_status 0
	assert_contains proc
	assert_contains "root:x:0:0"
	assert_lacks boot
}

# --- devices --------------------------------------------------------------------------------------

@test "the default devices and links are there" {
	run_script 'for d in null zero full random urandom tty; do stat -c "%n %t:%T %a" /dev/$d; done
		for l in fd stdin stdout stderr ptmx; do readlink /dev/$l; done
		echo x >/dev/null; head -c 2 /dev/zero | wc -c; head -c 3 /dev/urandom | wc -c; echo x >/dev/full'
	assert_contains $'/dev/null 1:3 666\n/dev/zero 1:5 666\n/dev/full 1:7 666\n/dev/random 1:8 666\n/dev/urandom 1:9 666\n/dev/tty 5:0 666'
	assert_contains $'/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\npts/ptmx'
	assert_contains $'2\n3'
	assert_contains "No space left"
}

@test "linux.devices makes nodes with their mode and owner: character, block, pipe, in new folders" {
	edit_config '.linux.devices = [
		{type: "c", path: "/dev/sub/mine", major: 1, minor: 3, fileMode: 416, uid: 5, gid: 6},
		{type: "b", path: "/dev/disk", major: 7, minor: 9, fileMode: 384},
		{type: "u", path: "/dev/u", major: 1, minor: 5},
		{type: "p", path: "/dev/pipe", fileMode: 420, uid: 7}]'
	run_script 'stat -c "%F %t:%T %a %u:%g" /dev/sub/mine /dev/disk /dev/u /dev/pipe'
	assert_status 0
	assert_equal "${lines[0]}" "character special file 1:3 640 5:6"
	assert_equal "${lines[1]}" "block special file 7:9 600 0:0"
	[[ ${lines[2]} == "character special file 1:5 "* ]]
	[[ ${lines[3]} == "fifo 0:0 644 7:0" ]]
}

@test "devices that make no sense are refused by name" {
	edit_config '.linux.devices = [{type: "x", path: "/dev/x", major: 1, minor: 3}]'
	refused "linux.devices[0].type"
	edit_config '.linux.devices = [{type: "c", path: "dev/x", major: 1, minor: 3}]'
	refused "linux.devices[0].path"
	edit_config '.linux.devices = [{type: "c", path: "/dev/x", minor: 3}]'
	refused "linux.devices[0].major: is required"
	edit_config '.linux.devices = [{type: "c", path: "/dev/x", major: 1, minor: 1048576}]'
	refused "linux.devices[0].minor: is out of range"
	edit_config '.linux.devices = [{type: "c", path: "/dev/x", major: 1, minor: 3, fileMode: 1048576}]'
	refused "linux.devices[0].fileMode"
}

@test "a device that no rule allows cannot be opened, one that is allowed can" {
	edit_config '.linux.devices = [{type: "c", path: "/dev/kmsg2", major: 1, minor: 11, fileMode: 438},
			{type: "c", path: "/dev/null2", major: 1, minor: 3, fileMode: 438}]
		| .process.capabilities = (["bounding", "effective", "permitted"] | map({(.): ["CAP_MKNOD", "CAP_SYSLOG", "CAP_DAC_OVERRIDE"]}) | add)'
	run_script 'echo x >/dev/null2 && echo null; head -c 1 /dev/kmsg2; mknod /dev/own b 7 0 && head -c 1 /dev/own'
	assert_equal "${lines[0]}" null
	assert_equal "$(grep -c 'Operation not permitted' <<<"$output")" 2
	edit_config '.linux.resources.devices += [{allow: true, type: "c", major: 1, minor: 11, access: "r"}]'
	run_script '(: </dev/kmsg2) && echo open; (: >/dev/kmsg2)'
	assert_equal "${lines[0]}" open
	assert_contains "Operation not permitted"
}

@test "in a user namespace the default devices are the host's, bound" {
	edit_config '.linux.namespaces += [{type: "user"}]
		| .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}]
		| .linux.gidMappings = .linux.uidMappings'
	run_script 'echo x >/dev/null && head -c 4 /dev/zero | wc -c; stat -c %t:%T /dev/null'
	assert_status 0
	assert_output $'4\n1:3'
}

# --- masked and read-only paths -------------------------------------------------------------------

@test "masked files are empty, masked directories are empty and read-only, missing ones do no harm" {
	mkdir "$BUNDLE/rootfs/hidden"
	echo secret >"$BUNDLE/rootfs/hidden/file"
	echo secret >"$BUNDLE/rootfs/etc/secret"
	edit_config '.linux.maskedPaths = ["/hidden", "/etc/secret", "/no/such/path", "/proc/kcore", "/proc/keys"] | .root.readonly = false'
	run_script 'ls -A /hidden; cat /etc/secret; head -c 1 /proc/kcore; cat /proc/keys; touch /hidden/new; echo x >/etc/secret; umount /etc/secret; cat /etc/secret'
	assert_contains "Read-only file system"
	assert_lacks "secret"$'\n'
	assert_lacks _ses
	assert_equal "$(cat "$BUNDLE/rootfs/etc/secret" "$BUNDLE/rootfs/hidden/file")" $'secret\nsecret'
	[[ ! -e $BUNDLE/rootfs/hidden/new ]]
}

@test "root of a container cannot change the host's /dev/null through what masks a file" {
	local before
	before=$(stat -c '%a %u:%g' /dev/null)
	edit_config '.linux.maskedPaths = ["/proc/keys"] | .process.capabilities |= map_values(. + ["CAP_CHOWN", "CAP_FOWNER"])'
	run_script 'chmod 640 /proc/keys; chown 5:5 /proc/keys; touch -d @5 /proc/keys; echo x >/proc/keys && echo written'
	local after
	after=$(stat -c '%a %u:%g' /dev/null)
	chmod "${before% *}" /dev/null && chown "${before#* }" /dev/null # whatever the test finds
	assert_equal "$after" "$before"
	assert_contains "Read-only file system"
	assert_contains written
}

@test "a masked path that is a link masks what it leads to inside the root" {
	echo secret >"$BUNDLE/rootfs/etc/secret"
	ln -s /etc/secret "$BUNDLE/rootfs/link"
	edit_config '.linux.maskedPaths = ["/link"]'
	run_script 'cat /etc/secret /link'
	assert_status 0
	assert_output ""
}

@test "readonlyPaths cannot be written, with everything mounted below them" {
	mkdir "$BUNDLE/rootfs/data"
	edit_config '.root.readonly = false | .linux.readonlyPaths = ["/data", "/proc/sys", "/etc/passwd", "/no/such"]
		| .mounts += [{destination: "/data/below", type: "tmpfs", source: "tmpfs"}]'
	run_script 'touch /data/x; touch /data/below/x; echo x >/proc/sys/kernel/shmmni; echo x >>/etc/passwd; touch /fine && echo fine'
	assert_equal "$(grep -c 'Read-only file system' <<<"$output")" 4
	assert_equal "${lines[-1]}" fine
}

@test "masked and read-only paths need a mount namespace and absolute paths" {
	edit_config '.linux.maskedPaths = ["relative"]'
	refused "linux.maskedPaths[0]: must be absolute"
	edit_config '.linux.maskedPaths = [] | .linux.readonlyPaths = ["relative"]'
	refused "linux.readonlyPaths[0]: must be absolute"
	make_bundle "$BUNDLE" '.linux.namespaces |= map(select(.type != "mount"))'
	refused "mount namespace"
}

@test "a cgroup mount shows the container's own groups, read-only where asked" {
	requires cgroup_v1
	edit_config '.linux.resources.pids.limit = 77'
	run_script 'cat /sys/fs/cgroup/pids/pids.max; cat /sys/fs/cgroup/memory/cgroup.procs | head -n 1; mkdir /sys/fs/cgroup/memory/x; ls /sys/fs/cgroup'
	assert_contains $'77\n1\n'
	assert_contains "Read-only file system"
	assert_contains unified
	assert_lacks "$ID"
}
