#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# root, devices, maskedPaths, readonlyPaths, rootfsPropagation and sysctl of config.json.

load helpers
load spec

setup() {
	spec_setup
}

teardown() {
	spec_teardown
}

# --- root -----------------------------------------------------------------------------------------

@test "root.readonly makes the root read-only, and what is mounted in it keeps its own word" {
	edit_config '.root.readonly = true'
	add_tmpfs /tmp
	run_script 'touch /new 2>&1 | grep -o "Read-only"; touch /tmp/new && echo "tmp is writable"; grep -c " / ro" /proc/self/mountinfo'
	assert_output $'Read-only\ntmp is writable\n1'
	[[ ! -e $BUNDLE/rootfs/new ]]
	edit_config '.root.readonly = false'
	run_script 'touch /new && echo written'
	assert_output written
	[[ -e $BUNDLE/rootfs/new ]]
}

@test "a read-only root cannot be made writable again by a container without the rights" {
	edit_config '.root.readonly = true | .process.capabilities |= map_values(. + ["CAP_DAC_OVERRIDE", "CAP_FOWNER"])'
	run_script 'mount -o remount,rw / 2>&1; touch /new 2>&1 | grep -o "Read-only"'
	assert_contains Read-only
	[[ ! -e $BUNDLE/rootfs/new ]]
}

@test "root.path may be absolute, relative or a link, and lie in any folder" {
	mv "$BUNDLE/rootfs" elsewhere
	edit_config '.root.path = $p' --arg p "$PWD/elsewhere"
	run_script 'echo absolute'
	assert_output absolute
	edit_config '.root.path = "../elsewhere"'
	run_script 'echo relative'
	assert_output relative
	ln -s ../elsewhere "$BUNDLE/link"
	edit_config '.root.path = "link"'
	run_script 'echo link'
	assert_output link
}

@test "a root that is missing, no directory or the host's own is refused" {
	refused '.root.path = "nowhere"' nowhere
	refused '.root.path = "config.json"' "config.json"
	refused '.root.path = "/"' "root.path is the host's own root"
	refused '.root.path = ""' "root.path: must not be empty"
	refused 'del(.root.path)' "root.path"
	refused 'del(.root)' "root"
	refused '.root = "rootfs"' "root"
}

@test "the container's root is a mount of its own, with nothing of the host above it" {
	edit_config '.process.capabilities |= map_values(. + ["CAP_SYS_CHROOT", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH"])'
	touch "$BUNDLE/beside"
	# The classic way out of a chroot.
	run_script 'mkdir -p /tmp/x; ls /..; cd /; chroot /tmp/x /bin/true 2>/dev/null; ls ../../../../../.. | sort | tr "\n" " "'
	assert_lacks beside
	assert_lacks config.json
	assert_contains "bin dev etc"
}

# --- rootfsPropagation ----------------------------------------------------------------------------

@test "rootfsPropagation is the propagation of the container's root" {
	local p
	for p in private rprivate slave rslave shared rshared unbindable; do
		edit_config '.linux.rootfsPropagation = $p' --arg p "$p"
		start_sleeper
		case $p in
		*private) assert_equal "$(propagation_of "$PID" /)" "" ;;
		*shared) [[ $(propagation_of "$PID" /) == shared:* ]] ;;
		*unbindable) [[ $(propagation_of "$PID" /) == unbindable* ]] ;;
		*slave) [[ $(propagation_of "$PID" /) != *shared:* ]] ;;
		esac
		purple_rt delete --force "$ID"
		new_id
	done
	refused '.linux.rootfsPropagation = "public"' "linux.rootfsPropagation: 'public' is unknown"
}

# --- devices --------------------------------------------------------------------------------------

@test "the devices that every container has are there, and work" {
	run_script 'for d in null zero full random urandom tty; do stat -c "%n %t:%T %a %F" /dev/$d; done
		for l in fd stdin stdout stderr ptmx; do echo "$l $(readlink /dev/$l)"; done
		echo x >/dev/null && head -c 3 /dev/zero | od -An -tx1; head -c 4 /dev/urandom | wc -c
		echo x 2>&1 >/dev/full | grep -o "No space"'
	assert_status 0
	assert_contains '/dev/null 1:3 666 character special file'
	assert_contains '/dev/zero 1:5 666 character special file'
	assert_contains '/dev/full 1:7 666 character special file'
	assert_contains '/dev/random 1:8 666 character special file'
	assert_contains '/dev/urandom 1:9 666 character special file'
	assert_contains '/dev/tty 5:0 666 character special file'
	assert_contains 'fd /proc/self/fd'
	assert_contains 'stdin /proc/self/fd/0'
	assert_contains 'stdout /proc/self/fd/1'
	assert_contains 'stderr /proc/self/fd/2'
	assert_contains 'ptmx pts/ptmx'
	assert_contains '00 00 00'
}

@test "linux.devices are made with their numbers, modes and owners" {
	edit_config '.linux.devices = [
		{type: "c", path: "/dev/mine", major: 1, minor: 3, fileMode: 432, uid: 11, gid: 12},
		{type: "u", path: "/dev/unbuffered", major: 1, minor: 5},
		{type: "b", path: "/dev/block", major: 7, minor: 200, fileMode: 384},
		{type: "p", path: "/dev/sub/pipe", fileMode: 420, uid: 5},
		{type: "c", path: "/outside-dev", major: 1, minor: 7}]
		| .linux.resources.devices += [{allow: true, access: "rwm"}]'
	start_sleeper
	run purple_rt exec "$ID" stat -c '%n %t:%T %a %u:%g %F' /dev/mine /dev/unbuffered /dev/block /dev/sub/pipe /outside-dev
	assert_status 0
	assert_output '/dev/mine 1:3 660 11:12 character special file
/dev/unbuffered 1:5 666 0:0 character special file
/dev/block 7:c8 600 0:0 block special file
/dev/sub/pipe 0:0 644 5:0 fifo
/outside-dev 1:7 666 0:0 character special file'
	# The same from the host.
	assert_equal "$(stat -c '%t:%T %a %u:%g' "/proc/$PID/root/dev/mine")" "1:3 660 11:12"
}

@test "the device rules hold: a device that no rule allows cannot be opened, one that is can" {
	# /dev/mem by another name, and kmsg: harmless to open, and allowed to no container.
	edit_config '.linux.devices = [{type: "c", path: "/dev/kmsg", major: 1, minor: 11}]
		| .process.capabilities |= map_values(. + ["CAP_SYSLOG", "CAP_DAC_OVERRIDE"])'
	run_script 'exec 3</dev/kmsg && echo opened; echo x >/dev/null && echo "null is"'
	assert_contains "Operation not permitted"
	assert_lacks opened
	run_script 'echo x >/dev/null && echo "null is"; head -c 1 /dev/zero >/dev/null && echo "zero is"; : </dev/urandom && echo "urandom is"'
	assert_output $'null is\nzero is\nurandom is'
	edit_config '.linux.resources.devices += [{allow: true, type: "c", major: 1, minor: 11, access: "r"}]'
	run_script 'exec 3</dev/kmsg && echo opened'
	assert_contains opened
	# Reading only.
	run_script 'exec 3>/dev/kmsg && echo opened'
	assert_contains "Operation not permitted"
	# A later rule takes it back.
	edit_config '.linux.resources.devices += [{allow: false, type: "c", major: 1, access: "r"}]'
	run_script 'exec 3</dev/kmsg && echo opened'
	assert_lacks opened
}

@test "what a container makes with mknod it still cannot open" {
	edit_config '.root.readonly = false | .process.capabilities |= map_values(. + ["CAP_MKNOD"])'
	run_script 'mknod /tmp/kmsg c 1 11 && echo made; exec 3</tmp/kmsg && echo opened'
	assert_contains made
	assert_lacks opened
	assert_contains "Operation not permitted"
}

@test "in a user namespace the host's devices stand in for those that cannot be made" {
	requires userns
	user_namespace
	run_script 'stat -c "%t:%T" /dev/null /dev/zero; echo x >/dev/null && echo works'
	assert_status 0
	assert_output $'1:3\n1:5\nworks'
}

@test "wrong devices are refused" {
	refused '.linux.devices = [{type: "x", path: "/dev/x", major: 1, minor: 1}]' "linux.devices[0].type: must be c, b, u or p, not 'x'"
	refused '.linux.devices = [{type: "c", path: "dev/x", major: 1, minor: 1}]' "linux.devices[0].path: must be absolute"
	refused '.linux.devices = [{type: "c", path: "/dev/x", minor: 1}]' "linux.devices[0].major: is required"
	refused '.linux.devices = [{type: "c", path: "/dev/x", major: 1}]' "linux.devices[0].minor: is required"
	refused '.linux.devices = [{type: "c", path: "/dev/x", major: 4096, minor: 1}]' "linux.devices[0].major: is out of range"
	refused '.linux.devices = [{type: "c", path: "/dev/x", major: 1, minor: -1}]' "linux.devices[0].minor: is out of range"
	refused '.linux.devices = [{type: "c", path: "/dev/x", major: 1, minor: 3, fileMode: 1000000}]' "linux.devices[0].fileMode"
	refused '.linux.devices = [{type: "c", path: "/bin/busybox", major: 1, minor: 3}]' "another file is there"
	refused '.linux.resources.devices += [{allow: true, type: "p"}]' "linux.resources.devices[1].type"
	refused '.linux.resources.devices += [{allow: true, access: "rx"}]' "linux.resources.devices[1].access"
	refused '.linux.resources.devices += [{access: "r"}]' "linux.resources.devices[1].allow"
	[[ -f $BUNDLE/rootfs/bin/busybox ]]
}

# --- masked and read-only paths -------------------------------------------------------------------

@test "maskedPaths are empty inside, files and folders, and untouched outside" {
	mkdir "$BUNDLE/rootfs/secret-dir"
	echo secret >"$BUNDLE/rootfs/secret-dir/file"
	echo secret >"$BUNDLE/rootfs/secret-file"
	edit_config '.linux.maskedPaths += ["/secret-dir", "/secret-file", "/not/there"]
		| .process.capabilities |= map_values(. + ["CAP_DAC_OVERRIDE"])'
	run_script 'ls -A /secret-dir; cat /secret-file; cat /proc/keys; cat /proc/timer_list; ls -A /sys/firmware
		touch /secret-dir/x 2>&1 | grep -o "Read-only"'
	assert_status 0
	assert_output Read-only
	assert_equal "$(cat "$BUNDLE/rootfs/secret-dir/file" "$BUNDLE/rootfs/secret-file")" $'secret\nsecret'
}

@test "readonlyPaths can be read and not written, with what is mounted below" {
	echo value >"$BUNDLE/rootfs/file"
	mkdir "$BUNDLE/rootfs/dir"
	edit_config '.root.readonly = false | .linux.readonlyPaths += ["/file", "/dir", "/not/there"]'
	add_tmpfs /dir/sub
	run_script 'cat /file; echo x 2>&1 >/file | grep -o "Read-only"; { echo x >/file; } 2>&1 | grep -o "Read-only"
		touch /dir/x 2>&1 | grep -o "Read-only"; { echo 1 >/proc/sys/net/ipv4/ip_forward; } 2>&1 | grep -o "Read-only"
		touch /other && echo "the rest is writable"'
	assert_contains value
	assert_contains "the rest is writable"
	(($(grep -c Read-only <<<"$output") >= 3))
	[[ ! -e $BUNDLE/rootfs/dir/x && $(cat "$BUNDLE/rootfs/file") == value ]]
	refused '.linux.maskedPaths += ["relative"]' "must be absolute, not 'relative'"
	refused '.linux.readonlyPaths += ["relative"]' "must be absolute, not 'relative'"
	refused '.linux.readonlyPaths = "/proc"' "linux.readonlyPaths"
}

@test "without masked and read-only paths nothing is masked" {
	edit_config 'del(.linux.maskedPaths, .linux.readonlyPaths)'
	run_script 'cat /proc/timer_list 2>/dev/null | head -n 1 | wc -l; grep -c "/proc/" /proc/self/mountinfo'
	assert_equal "${lines[-1]}" 0
}

@test "a masked path that is a link of the image is masked inside the root" {
	echo host >host-secret
	echo image >"$BUNDLE/rootfs/target"
	ln -s target "$BUNDLE/rootfs/link"
	ln -s "$PWD/host-secret" "$BUNDLE/rootfs/out"
	edit_config '.linux.maskedPaths += ["/link", "/out"]'
	run_script 'cat /target; cat /out 2>&1 | grep -c "No such"'
	assert_equal "$(cat host-secret)" host
}

# --- sysctl ---------------------------------------------------------------------------------------

@test "sysctl sets what belongs to the container's namespaces, and the host keeps its own" {
	local before
	before=$(cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax /proc/sys/fs/mqueue/msg_max)
	edit_config '.linux.sysctl = {"net.ipv4.ip_forward": "1", "kernel.msgmax": "4321", "fs.mqueue.msg_max": "17",
		"net/ipv4/ip_default_ttl": "33", "kernel.sem": "100 1000 10 20"}'
	start_sleeper
	run purple_rt exec "$ID" sh -c 'cd /proc/sys; cat net/ipv4/ip_forward kernel/msgmax fs/mqueue/msg_max net/ipv4/ip_default_ttl kernel/sem'
	assert_status 0
	assert_output $'1\n4321\n17\n33\n100\t1000\t10\t20'
	assert_equal "$(cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax /proc/sys/fs/mqueue/msg_max)" "$before"
	# From the host, in the container's namespace.
	assert_equal "$(nsenter -t "$PID" -i cat /proc/sys/kernel/msgmax)" 4321
}

@test "the domain name can be set as a sysctl" {
	edit_config '.linux.sysctl = {"kernel.domainname": "example.org"}'
	run_script 'cat /proc/sys/kernel/domainname'
	assert_output example.org
}

@test "a sysctl of the host, or of a namespace that the container shares, is refused" {
	refused '.linux.sysctl = {"vm.swappiness": "1"}' "sysctl 'vm.swappiness' is not in a separate kernel namespace"
	refused '.linux.sysctl = {"kernel.core_pattern": "|/x"}' "sysctl 'kernel.core_pattern' is not in a separate"
	refused '.linux.sysctl = {"net/../kernel/core_pattern": "x"}' "is not in a separate kernel namespace"
	refused '.linux.sysctl = {"net.nonexistent.key": "1"}' "net.nonexistent.key"
	refused '.linux.sysctl = {"net.ipv4.ip_forward": "not a number"}' "net.ipv4.ip_forward"
	refused '.linux.sysctl = {"": "1"}' "linux.sysctl: a key must not be empty"
	refused '.linux.sysctl = {"kernel.hostname": "x"}' "kernel.hostname"
	refused '.linux.sysctl = {"net.ipv4.ip_forward": 1}' "linux.sysctl"
	drop_namespace network
	refused '.linux.sysctl = {"net.ipv4.ip_default_ttl": "33"}' "the container has no network namespace of its own"
	edit_config '.linux.namespaces += [{type: "network", path: "/proc/self/ns/net"}]'
	refused '.linux.sysctl = {"net.ipv4.ip_default_ttl": "33"}' "the container has no network namespace of its own"
	drop_namespace ipc
	refused '.linux.sysctl = {"kernel.msgmax": "4000"}' "the container has no ipc namespace of its own"
	[[ $(cat /proc/sys/net/ipv4/ip_default_ttl) != 33 ]]
}
