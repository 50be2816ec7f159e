#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# mounts of config.json: types, sources, destinations and every group of options.

load helpers
load spec

setup() {
	spec_setup
	SRC=$PWD/src
	mkdir -m 0777 "$SRC"
	echo content >"$SRC/file"
}

teardown() {
	spec_teardown
}

# A source with a tmpfs mounted at sub.
nested_source() {
	host_mount "$SRC/sub" -t tmpfs -o mode=0777 pt-sub
	echo inner >"$SRC/sub/inner"
}

has_option() { # PID PATH OPTION
	[[ ,$(mount_options_of "$1" "$2"), == *,$3,* ]] || {
		echo "$2 has $(mount_options_of "$1" "$2"), not $3"
		return 1
	}
}

lacks_option() {
	[[ ,$(mount_options_of "$1" "$2"), != *,$3,* ]] || {
		echo "$2 has $(mount_options_of "$1" "$2")"
		return 1
	}
}

# --- flags ----------------------------------------------------------------------------------------

@test "each flag of a mount is set on it, also in its r form" {
	local o
	for o in ro nosuid nodev noexec nosymfollow noatime nodiratime; do
		add_mount "/m/$o" "$SRC" bind "$o"
		# rro is the r form of ro, and so on.
		add_mount "/m/r$o" "$SRC" rbind "r$o"
	done
	add_mount /m/relatime "$SRC" bind noatime relatime
	add_mount /m/strictatime "$SRC" bind strictatime
	add_mount /m/rrelatime "$SRC" rbind rrelatime
	start_sleeper
	for o in ro nosuid nodev noexec nosymfollow noatime nodiratime; do
		has_option "$PID" "/m/$o" "$o"
		has_option "$PID" "/m/r$o" "$o"
	done
	has_option "$PID" /m/relatime relatime
	lacks_option "$PID" /m/relatime noatime
	# Access times that are always written are what no word stands for.
	lacks_option "$PID" /m/strictatime relatime
	lacks_option "$PID" /m/strictatime noatime
	has_option "$PID" /m/rrelatime relatime
	# Seen from inside as from outside.
	run purple_rt exec "$ID" grep ' /m/noexec ' /proc/self/mountinfo
	assert_contains noexec
}

@test "without options a bind has the flags of its source, and the opposites take them away" {
	host_mount "$SRC/sub" -t tmpfs -o ro,nosuid,nodev,noexec,noatime,mode=0777 pt-sub
	add_mount /m/same "$SRC/sub" bind
	add_mount /m/opposite "$SRC/sub" bind rw suid dev exec atime
	start_sleeper
	local o
	for o in nosuid nodev noexec; do
		has_option "$PID" /m/same "$o"
		lacks_option "$PID" /m/opposite "$o"
	done
	has_option "$PID" /m/same ro
	has_option "$PID" /m/same noatime
	has_option "$PID" /m/opposite rw
	lacks_option "$PID" /m/opposite noatime
}

@test "of contradicting options the last one wins" {
	add_mount /m/a "$SRC" bind ro rw
	add_mount /m/b "$SRC" bind rw ro
	add_mount /m/c "$SRC" bind noexec exec nosuid suid
	add_mount /m/d "$SRC" bind noatime strictatime relatime
	start_sleeper
	has_option "$PID" /m/a rw
	has_option "$PID" /m/b ro
	lacks_option "$PID" /m/c noexec
	lacks_option "$PID" /m/c nosuid
	has_option "$PID" /m/d relatime
}

@test "ro, noexec, nodev, nosuid and nosymfollow hold against the container's root" {
	cp "$BUNDLE/rootfs/bin/busybox" "$SRC/busybox"
	mknod "$SRC/null" c 1 3
	ln -s file "$SRC/link"
	add_mount /m/ro "$SRC" bind ro
	add_mount /m/noexec "$SRC" bind noexec
	add_mount /m/nodev "$SRC" bind nodev
	add_mount /m/nosymfollow "$SRC" bind nosymfollow
	add_mount /m/none "$SRC" bind
	run_script '
		echo x 2>/dev/null >/m/none/new && echo "plain: write"
		/m/none/busybox true && echo "plain: exec"
		echo x 2>/dev/null >/m/none/null && echo "plain: device"
		cat /m/none/link >/dev/null && echo "plain: link"
		echo x 2>/dev/null >/m/ro/new2 || echo "ro: no"
		/m/noexec/busybox true 2>/dev/null || echo "noexec: no"
		echo x 2>/dev/null >/m/nodev/null || echo "nodev: no"
		cat /m/nosymfollow/link 2>/dev/null || echo "nosymfollow: no"'
	assert_status 0
	assert_output 'plain: write
plain: exec
plain: device
plain: link
ro: no
noexec: no
nodev: no
nosymfollow: no'
	[[ ! -e $SRC/new2 && -e $SRC/new ]]
}

@test "nosuid takes the setuid bit's effect away, without it the bit has one" {
	# Not busybox's: it gives such rights up by itself.
	add_host_tools
	cp -L /usr/bin/id "$SRC/id"
	chmod 4755 "$SRC/id"
	edit_config '.process.noNewPrivileges = false | .process.user = {uid: 1000, gid: 1000}
		| .process.capabilities.bounding += ["CAP_SETUID"]'
	add_mount /m/suid "$SRC" bind suid
	add_mount /m/nosuid "$SRC" bind nosuid
	run_script '/m/suid/id -u; /m/nosuid/id -u'
	assert_status 0
	assert_output $'0\n1000'
}

@test "ro is for the mount itself, rro for the whole tree" {
	nested_source
	add_mount /m/ro "$SRC" rbind ro
	add_mount /m/rro "$SRC" rbind rro
	add_mount /m/rro-rw "$SRC" rbind rro rw
	run_script '
		for m in ro rro rro-rw; do
			for d in /m/$m /m/$m/sub; do
				if echo x 2>/dev/null >$d/w; then echo "$d writable"; else echo "$d not"; fi
			done
		done'
	assert_status 0
	assert_output '/m/ro not
/m/ro/sub writable
/m/rro not
/m/rro/sub not
/m/rro-rw writable
/m/rro-rw/sub not'
	# The host's own mounts are as they were.
	echo x >"$SRC/sub/host"
}

@test "the r forms of the other flags reach mounts below, the plain forms do not" {
	nested_source
	local o
	for o in nosuid nodev noexec nosymfollow noatime; do
		add_mount "/m/$o" "$SRC" rbind "$o"
		add_mount "/m/r$o" "$SRC" rbind "r$o"
	done
	start_sleeper
	for o in nosuid nodev noexec nosymfollow noatime; do
		lacks_option "$PID" "/m/$o/sub" "$o"
		has_option "$PID" "/m/r$o/sub" "$o"
	done
	# And they clear, too.
	purple_rt delete --force "$ID"
	new_id
	mount -o remount,nosuid,noexec "$SRC/sub"
	add_mount /m/clear "$SRC" rbind rsuid rexec rdev rrw
	start_sleeper
	lacks_option "$PID" /m/clear/sub nosuid
	lacks_option "$PID" /m/clear/sub noexec
}

@test "bind takes one mount, rbind the mounts below it too" {
	nested_source
	add_mount /m/bind "$SRC" bind
	add_mount /m/rbind "$SRC" rbind
	run_script 'ls /m/bind/sub | wc -l; cat /m/rbind/sub/inner'
	assert_status 0
	assert_output $'0\ninner'
}

# --- propagation ----------------------------------------------------------------------------------

@test "propagation is what the options say, in mountinfo" {
	host_mount "$SRC/sub" -t tmpfs pt-sub
	mount --make-shared "$SRC/sub"
	local o
	for o in private rprivate slave rslave shared rshared unbindable runbindable; do
		add_mount "/m/$o" "$SRC/sub" rbind "$o"
	done
	start_sleeper
	assert_equal "$(propagation_of "$PID" /m/private)" ""
	assert_equal "$(propagation_of "$PID" /m/rprivate)" ""
	[[ $(propagation_of "$PID" /m/slave) == master:* ]]
	[[ $(propagation_of "$PID" /m/rslave) == master:* ]]
	# Members of a group of their own, which receives from the host and does not send.
	[[ $(propagation_of "$PID" /m/shared) == shared:*\ master:* ]]
	[[ $(propagation_of "$PID" /m/rshared) == shared:*\ master:* ]]
	[[ $(propagation_of "$PID" /m/unbindable) == unbindable* ]]
	[[ $(propagation_of "$PID" /m/runbindable) == unbindable* ]]
}

@test "what the host mounts later appears below a slave, and not below a private mount" {
	host_mount "$SRC/sub" -t tmpfs pt-sub
	mount --make-shared "$SRC/sub"
	mkdir "$SRC/sub/late"
	add_mount /m/slave "$SRC/sub" rbind rslave
	add_mount /m/private "$SRC/sub" rbind rprivate
	start_sleeper
	host_mount "$SRC/sub/late" -t tmpfs pt-late
	echo hello >"$SRC/sub/late/file"
	run purple_rt exec "$ID" sh -c 'cat /m/slave/late/file; cat /m/private/late/file 2>&1 | grep -c "No such"'
	assert_output $'hello\n1'
}

@test "what the container mounts does not reach the host, unless root and mount are shared" {
	host_mount "$SRC/sub" -t tmpfs pt-sub
	mount --make-shared "$SRC/sub"
	mkdir "$SRC/sub/in"
	edit_config '.process.capabilities |= map_values(. + ["CAP_SYS_ADMIN"])'
	add_mount /m/s "$SRC/sub" rbind rshared
	set_script 'mount -t tmpfs pt-in /m/s/in && touch /m/s/in/made && exec sleep 1000'
	create_container
	purple_rt start "$ID"
	wait_for 5 grep -q sleep "/proc/$(cat pid)/comm"
	[[ ! -e $SRC/sub/in/made ]]
	purple_rt delete --force "$ID"
	new_id
	edit_config '.linux.rootfsPropagation = "shared"'
	create_container
	purple_rt start "$ID"
	wait_for 5 grep -q sleep "/proc/$(cat pid)/comm"
	[[ -e $SRC/sub/in/made ]]
	keep_mount "$SRC/sub/in"
}

@test "no mount of the container is left with, or seen by, the host" {
	add_tmpfs /m/t
	start_sleeper
	assert_equal "$(grep -c "$BUNDLE" /proc/self/mountinfo)" 0
	run purple_rt exec "$ID" cat /proc/self/mountinfo
	assert_lacks "$PWD/root"
	# The old root is gone: the container's mounts are all there is.
	assert_equal "$(awk '$5 == "/"' <<<"$output" | wc -l)" 1
}

# --- tmpfs, remount, sources and destinations -----------------------------------------------------

@test "tmpfs takes the options of its file system" {
	add_tmpfs /m/t size=1m mode=0750 uid=7 gid=8 nr_inodes=20 nosuid noexec
	start_sleeper
	run purple_rt exec "$ID" sh -c 'stat -c "%a %u %g" /m/t; df -k /m/t | tail -n 1 | awk "{ print \$2 }"
		dd if=/dev/zero of=/m/t/big bs=64k count=32 2>/dev/null || echo full; awk "\$5 == \"/m/t\"" /proc/self/mountinfo'
	assert_equal "${lines[0]}" "750 7 8"
	assert_equal "${lines[1]}" 1024
	assert_equal "${lines[2]}" full
	assert_contains "nosuid,noexec"
	assert_contains "nr_inodes=20"
}

@test "options may come several in one string, as in fstab" {
	add_tmpfs /m/t "nosuid,size=1m,mode=0700" noexec
	start_sleeper
	has_option "$PID" /m/t nosuid
	has_option "$PID" /m/t noexec
	run purple_rt exec "$ID" stat -c %a /m/t
	assert_output 700
}

@test "flags of the file system itself are set: sync, dirsync, lazytime" {
	local o
	for o in sync dirsync lazytime; do
		add_tmpfs "/m/$o" "$o"
		add_tmpfs "/m/no$o" "$o" "$([[ $o == sync ]] && echo async || echo no$o)"
	done
	# There is no opposite of dirsync.
	edit_config '.mounts |= map(select(.destination != "/m/nodirsync"))'
	start_sleeper
	for o in sync dirsync lazytime; do
		awk -v p="/m/$o" '$5 == p' "/proc/$PID/mountinfo" | grep -q "[ ,]$o\\b"
	done
	for o in sync lazytime; do
		run ! grep -q " /m/no$o .*[ ,]$o\\b" "/proc/$PID/mountinfo"
	done
}

@test "a tmpfs without mode has the mode of what it covers" {
	add_tmpfs /tmp
	add_tmpfs /m/new
	run_script 'stat -c %a /tmp /m/new'
	assert_output $'1777\n755'
}

@test "a read-only tmpfs can still hold the mount points of others" {
	add_tmpfs /m/t ro
	add_mount /m/t/inner "$SRC" bind
	run_script 'cat /m/t/inner/file; touch /m/t/x 2>&1 | grep -o "Read-only"'
	assert_output $'content\nRead-only'
}

@test "tmpcopyup brings what the tmpfs covers, with owners and modes, and leaves the image alone" {
	mkdir -p "$BUNDLE/rootfs/data/dir"
	echo text >"$BUNDLE/rootfs/data/dir/file"
	chmod 0646 "$BUNDLE/rootfs/data/dir/file"
	chown 12:34 "$BUNDLE/rootfs/data/dir/file"
	ln -s dir/file "$BUNDLE/rootfs/data/link"
	add_tmpfs /data tmpcopyup
	run_script 'cat /data/link; stat -c "%a %u %g" /data/dir/file; echo changed >/data/dir/file && cat /data/dir/file'
	assert_status 0
	assert_output $'text\n646 12 34\nchanged'
	assert_equal "$(cat "$BUNDLE/rootfs/data/dir/file")" text
}

@test "remount changes the options of what is mounted there" {
	add_tmpfs /m/t size=1m
	edit_config '.mounts += [{destination: "/m/t", options: ["remount", "ro", "noexec"]}]'
	add_mount /m/b "$SRC" bind
	edit_config '.mounts += [{destination: "/m/b", options: ["remount", "bind", "ro", "nodev"]}]'
	start_sleeper
	has_option "$PID" /m/t ro
	has_option "$PID" /m/t noexec
	has_option "$PID" /m/b ro
	has_option "$PID" /m/b nodev
	touch "$SRC/still-writable"
	edit_config '.mounts[-1].destination = "/home"'
	new_id
	run create_container
	assert_status 1
	assert_contains "nothing is mounted there"
}

@test "files can be bound, over a file and where there is none" {
	echo mine >"$SRC/hosts"
	echo image >"$BUNDLE/rootfs/etc/hosts"
	add_mount /etc/hosts "$SRC/hosts" bind ro
	add_mount /made/for/it "$SRC/file" bind
	run_script 'cat /etc/hosts /made/for/it; echo changed >/made/for/it; echo x 2>/dev/null >/etc/hosts || echo ro'
	assert_output $'mine\ncontent\nro'
	assert_equal "$(cat "$SRC/file")" changed
	assert_equal "$(cat "$BUNDLE/rootfs/etc/hosts")" image
}

@test "a relative source is meant from the bundle, a relative destination from the root" {
	mkdir "$BUNDLE/data"
	echo here >"$BUNDLE/data/file"
	add_mount /m/rel data bind
	add_mount m/dest "$SRC" bind
	cd /
	run_script 'cat /m/rel/file /m/dest/file'
	assert_output $'here\ncontent'
}

@test "mounts are made in the order given: the later one covers the earlier" {
	mkdir "$SRC/two"
	echo two >"$SRC/two/file"
	add_mount /m "$SRC" bind
	add_mount /m "$SRC/two" bind
	run_script 'cat /m/file'
	assert_output two
}

@test "links of the image do not take a mount out of the root" {
	mkdir outside
	ln -s "$PWD/outside" "$BUNDLE/rootfs/abs"
	ln -s ../../../../../../../.."$PWD/outside" "$BUNDLE/rootfs/dots"
	add_mount /abs/x "$SRC" bind
	add_mount /dots/y "$SRC" bind
	add_mount /abs/f "$SRC/file" bind
	run_script 'cat /abs/x/file /dots/y/file /abs/f'
	assert_output $'content\ncontent\ncontent'
	assert_equal "$(ls outside)" ""
}

@test "proc, sysfs, mqueue, devpts and cgroup mounts are what they are called" {
	run_script 'awk "{ for (i = 7; \$i != \"-\"; i++); print \$5, \$(i + 1) }" /proc/self/mountinfo
		ls /dev/mqueue /dev/pts; ls /sys/class/net'
	assert_status 0
	assert_contains "/proc proc"
	assert_contains "/sys sysfs"
	assert_contains "/dev/mqueue mqueue"
	assert_contains "/dev/pts devpts"
	assert_contains "/sys/fs/cgroup"
	# sysfs of the new network namespace.
	assert_equal "${lines[-1]}" lo
}

@test "a cgroup mount shows the container's own groups, read-only" {
	requires cgroup_v1
	edit_config '.linux.resources.pids.limit = 77'
	run_script 'cat /sys/fs/cgroup/pids/pids.max; echo 5 2>/dev/null >/sys/fs/cgroup/pids/pids.max || echo "read-only"
		cat /sys/fs/cgroup/pids/cgroup.procs | grep -c "^1\$"'
	assert_output $'77\nread-only\n1'
}

# --- id-mapped mounts -----------------------------------------------------------------------------

@test "a mount's own id mappings show its files with other owners" {
	requires idmap userns
	chown 5000:6000 "$SRC/file"
	add_mount /m/mapped "$SRC" bind
	edit_config '.mounts[-1] += {uidMappings: [{containerID: 5000, hostID: 0, size: 1}],
		gidMappings: [{containerID: 6000, hostID: 0, size: 1}]}'
	add_mount /m/plain "$SRC" bind
	run_script 'stat -c %u:%g /m/mapped/file /m/plain/file'
	assert_output $'0:0\n5000:6000'
}

@test "idmap takes the container's mappings, for its mount; ridmap for the tree" {
	requires idmap userns
	nested_source
	user_namespace
	add_mount /home "$SRC" rbind idmap
	add_mount /var/tmp "$SRC" rbind ridmap
	add_mount /root "$SRC" rbind
	run_script 'for d in /home /var/tmp /root; do stat -c "%u" $d/file $d/sub/inner; done; touch /home/new'
	assert_status 0
	# Root's files are root's in an id-mapped mount, and nobody's in others.
	assert_output $'0\n65534\n0\n0\n65534\n65534'
	assert_equal "$(stat -c %u "$SRC/new")" 0
}

@test "wrong id mappings of mounts are refused" {
	requires idmap
	refused '.mounts += [{destination: "/m", source: "/dev", options: ["bind"], uidMappings: [{containerID: 0, hostID: 1, size: 1}]}]' \
		"uidMappings and gidMappings need each other"
	refused '.mounts += [{destination: "/m", source: "/dev", options: ["bind", "idmap"]}]' \
		"option 'idmap' needs uidMappings and gidMappings"
	refused '.mounts += [{destination: "/m", source: "/proc", options: ["bind"],
		uidMappings: [{containerID: 0, hostID: 1, size: 1}], gidMappings: [{containerID: 0, hostID: 1, size: 1}]}]' \
		"the file system does not support id-mapped mounts"
}

# --- wrong values ---------------------------------------------------------------------------------

@test "wrong mounts are refused, by name and reason" {
	refused '.mounts += [{destination: "/m", source: "/nonexistent/dir", options: ["bind"]}]' \
		"the source '/nonexistent/dir' does not exist"
	refused '.mounts += [{destination: "/m", options: ["bind"]}]' "source: is required for a bind mount on '/m'"
	refused '.mounts += [{destination: "/m", type: "bind"}]' "source: is required for a bind mount on '/m'"
	refused '.mounts += [{destination: "", source: "/dev", options: ["bind"]}]' "destination: must not be empty"
	refused '.mounts += [{source: "/dev", options: ["bind"]}]' "mounts[7].destination"
	refused '.mounts += [{destination: "/m", source: "/dev"}]' "neither a type nor option 'bind' is given"
	refused '.mounts += [{destination: "/m", source: "/dev", options: ["bind", "nosiud"]}]' "did you mean 'nosuid'?"
	refused '.mounts += [{destination: "/m", source: "/dev", options: ["bind", "sync"]}]' "'sync' belongs to the file system"
	refused '.mounts += [{destination: "/m", source: "/dev", options: ["bind", "tmpcopyup"]}]' "only a mount of type tmpfs"
	refused '.mounts += [{destination: "/m", type: "proc", options: ["tmpcopyup"]}]' "only a mount of type tmpfs"
	refused '.mounts += [{destination: "/m", source: "/dev", options: ["bind", "mand"]}]' "'mand' is not supported"
	refused '.mounts += [{destination: "/m", source: "/dev", options: ["bind", "copy-symlink"]}]' "'copy-symlink' is not supported"
	refused '.mounts += [{destination: "/m", type: "nosuchfs", source: "x"}]' "nosuchfs"
	refused '.mounts += [{destination: "/m", type: "tmpfs", options: ["size=wrong"]}]' "size=wrong"
	refused '.mounts += [{destination: "/m", type: "tmpfs", options: ["nosuchoption"]}]' "nosuchoption"
	refused '.mounts += [{destination: "/", source: "/dev", options: ["bind"]}]' "the destination is the root itself"
	refused '.mounts += [{destination: "/bin/..", source: "/dev", options: ["bind"]}]' "the destination is the root itself"
	refused '.mounts += [{destination: "/m", type: 5}]' "mounts[7].type"
	refused '.mounts += [{destination: "/m", type: "tmpfs", options: "ro"}]' "mounts[7].options"
}

@test "a directory is not bound on a file, nor a file on a directory" {
	touch "$BUNDLE/rootfs/a-file"
	refused '.mounts += [{destination: "/a-file", source: "/dev", options: ["bind"]}]' "/a-file"
	refused '.mounts += [{destination: "/home", source: "/etc/passwd", options: ["bind"]}]' "/home"
	[[ -f $BUNDLE/rootfs/a-file && -d $BUNDLE/rootfs/home ]]
}

@test "what stands in /proc cannot be covered, also not through a link of the image" {
	refused '.mounts += [{destination: "/proc/self/attr", source: "/dev", options: ["bind"]}]' "mounts below /proc are refused"
	refused '.mounts += [{destination: "/proc", type: "tmpfs"}]' "only procfs may be mounted there"
	refused '.mounts += [{destination: "/proc", source: "/dev", options: ["bind"]}]' "only procfs may be mounted on /proc"
	ln -s proc/self "$BUNDLE/rootfs/way"
	refused '.mounts += [{destination: "/way/attr", source: "/dev", options: ["bind"]}]' "leads into a procfs"
	add_mount /proc/uptime "$SRC/file" bind
	run_script 'cat /proc/uptime'
	assert_output content
}

@test "when /proc is a link of the image, nothing is mounted through it" {
	rmdir "$BUNDLE/rootfs/proc"
	ln -s tmp "$BUNDLE/rootfs/proc"
	refused '.' "a symbolic link is in the way"
}
