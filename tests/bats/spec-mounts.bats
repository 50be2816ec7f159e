#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# mounts of config.json: the finer points of types, sources, destinations and options, after those
# of runtime-mounts.

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

# --- propagation ----------------------------------------------------------------------------------

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

@test "what the host mounts below the root reaches a root that is a slave, and no other" {
	local shared=$BATS_TEST_TMPDIR/shared value
	host_mount "$shared" -t tmpfs pt-shared
	mount --make-shared "$shared"
	cp -a "$BUNDLE/rootfs" "$shared/rootfs"
	edit_config '.root.path = $p' --arg p "$shared/rootfs"
	for value in slave rslave private rprivate unbindable runbindable; do
		echo "$value"
		edit_config '.linux.rootfsPropagation = $p' --arg p "$value"
		new_id
		start_sleeper
		mount -t tmpfs pt-new "$shared/rootfs/home"
		if [[ $value == *slave ]]; then
			grep -q pt-new "/proc/$PID/mountinfo"
			purple_rt exec "$ID" touch /home/new
			[[ -e $shared/rootfs/home/new ]]
		else
			run grep pt-new "/proc/$PID/mountinfo"
			assert_status 1
		fi
		purple_rt delete --force "$ID"
		umount "$shared/rootfs/home"
	done
}

@test "an unbindable root cannot be bound, others can; rshared is shared" {
	edit_config '.process.capabilities |= map_values(. + ["CAP_SYS_ADMIN"]) | .linux.rootfsPropagation = "private"'
	run_script 'mount --bind / /home && ls -d /home/bin'
	assert_output /home/bin
	edit_config '.linux.rootfsPropagation = "runbindable"'
	run_script 'mount --bind / /home'
	((status != 0))
	edit_config '.linux.rootfsPropagation = "rshared"'
	start_sleeper
	[[ $(propagation_of "$PID" /) == shared:* ]]
	refused '.linux.rootfsPropagation = "public"' "linux.rootfsPropagation: 'public' is unknown"
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

@test "a read-only tmpfs can still hold the mount points of others" {
	add_tmpfs /m/t ro
	add_mount /m/t/inner "$SRC" bind
	run_script 'cat /m/t/inner/file; touch /m/t/x 2>&1 | grep -o "Read-only"'
	assert_output $'content\nRead-only'
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

# --- id-mapped mounts -----------------------------------------------------------------------------

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

@test "id mappings of a mount whose file system has none are refused" {
	requires idmap
	refused '.mounts += [{destination: "/m", source: "/proc", options: ["bind"],
		uidMappings: [{containerID: 0, hostID: 1, size: 1}], gidMappings: [{containerID: 0, hostID: 1, size: 1}]}]' \
		"the file system does not support id-mapped mounts"
}

# --- wrong values ---------------------------------------------------------------------------------

@test "wrong mounts are refused, by name and reason" {
	refused '.mounts += [{destination: "/m", options: ["bind"]}]' "source: is required for a bind mount on '/m'"
	refused '.mounts += [{destination: "/m", type: "bind"}]' "source: is required for a bind mount on '/m'"
	refused '.mounts += [{destination: "", source: "/dev", options: ["bind"]}]' "destination: must not be empty"
	refused '.mounts += [{source: "/dev", options: ["bind"]}]' "mounts[7].destination"
	refused '.mounts += [{destination: "/m", source: "/dev", options: ["bind", "nosiud"]}]' "did you mean 'nosuid'?"
	refused '.mounts += [{destination: "/m", source: "/dev", options: ["bind", "sync"]}]' "'sync' belongs to the file system"
	refused '.mounts += [{destination: "/m", type: "proc", options: ["tmpcopyup"]}]' "only a mount of type tmpfs"
	refused '.mounts += [{destination: "/m", type: "tmpfs", options: ["nosuchoption"]}]' "nosuchoption"
	refused '.mounts += [{destination: "/bin/..", source: "/dev", options: ["bind"]}]' "the destination is the root itself"
	refused '.mounts += [{destination: "/m", type: 5}]' "mounts[7].type"
	refused '.mounts += [{destination: "/m", type: "tmpfs", options: "ro"}]' "mounts[7].options"
}

@test "a directory is not bound on a file" {
	touch "$BUNDLE/rootfs/a-file"
	refused '.mounts += [{destination: "/a-file", source: "/dev", options: ["bind"]}]' "/a-file"
	[[ -f $BUNDLE/rootfs/a-file ]]
}

@test "files of /proc that say nothing about security can be covered, what else is there cannot" {
	refused '.mounts += [{destination: "/proc/cmdline", source: "/etc/passwd", options: ["bind"]}]' "mounts below /proc are refused"
	refused '.mounts += [{destination: "/proc", type: "tmpfs"}]' "only procfs may be mounted there"
	refused '.mounts += [{destination: "/proc", source: "/dev", options: ["bind"]}]' "only procfs may be mounted on /proc"
	ln -s proc/self "$BUNDLE/rootfs/way"
	refused '.mounts += [{destination: "/way/attr", source: "/dev", options: ["bind"]}]' "leads into a procfs"
	add_mount /proc/uptime "$SRC/file" bind
	run_script 'cat /proc/uptime'
	assert_output content
}
