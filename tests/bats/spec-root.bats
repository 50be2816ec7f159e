#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# root, devices, maskedPaths and sysctl of config.json: the finer points, after those of
# runtime-mounts and runtime-namespaces.

load helpers
load spec

setup() {
	spec_setup
}

teardown() {
	spec_teardown
}

# --- root -----------------------------------------------------------------------------------------

@test "a read-only root cannot be made writable again by a container without the rights" {
	edit_config '.root.readonly = true | .process.capabilities |= map_values(. + ["CAP_DAC_OVERRIDE", "CAP_FOWNER"])'
	run_script 'mount -o remount,rw / 2>&1; touch /new 2>&1 | grep -o "Read-only"'
	assert_contains Read-only
	[[ ! -e $BUNDLE/rootfs/new ]]
}

@test "a root that is missing, no directory or the host's own is refused" {
	refused '.root.path = "nowhere"' nowhere
	refused '.root.path = "config.json"' "config.json"
	refused '.root.path = "/"' "root.path is the host's own root"
	refused 'del(.root.path)' "root.path"
	refused '.root = "rootfs"' "root"
}

# --- devices --------------------------------------------------------------------------------------

@test "of device rules the last that matches decides, and those of every container come after them" {
	# /dev/mem by another name, and kmsg: harmless to open, and allowed to no container.
	edit_config '.linux.devices = [{type: "c", path: "/dev/kmsg", major: 1, minor: 11}]
		| .process.capabilities |= map_values(. + ["CAP_SYSLOG", "CAP_DAC_OVERRIDE"])'
	run_script 'echo x >/dev/null && echo "null is"; head -c 1 /dev/zero >/dev/null && echo "zero is"; : </dev/urandom && echo "urandom is"'
	assert_output $'null is\nzero is\nurandom is'
	edit_config '.linux.resources.devices += [{allow: true, type: "c", major: 1, minor: 11, access: "r"}]'
	run_script 'exec 3</dev/kmsg && echo opened'
	assert_contains opened
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

@test "wrong devices are refused" {
	refused '.linux.devices = [{type: "c", path: "/dev/x", major: 1}]' "linux.devices[0].minor: is required"
	refused '.linux.devices = [{type: "c", path: "/dev/x", major: 4096, minor: 1}]' "linux.devices[0].major: is out of range"
	refused '.linux.devices = [{type: "c", path: "/dev/x", major: 1, minor: -1}]' "linux.devices[0].minor: is out of range"
	refused '.linux.devices = [{type: "c", path: "/bin/busybox", major: 1, minor: 3}]' "another file is there"
	refused '.linux.resources.devices += [{allow: true, type: "p"}]' "linux.resources.devices[1].type"
	refused '.linux.resources.devices += [{allow: true, access: "rx"}]' "linux.resources.devices[1].access"
	refused '.linux.resources.devices += [{access: "r"}]' "linux.resources.devices[1].allow"
	[[ -f $BUNDLE/rootfs/bin/busybox ]]
}

# --- masked and read-only paths -------------------------------------------------------------------

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

@test "a sysctl that sets what another member sets, or of a shared ipc namespace, is refused" {
	refused '.linux.sysctl = {"": "1"}' "linux.sysctl: a key must not be empty"
	refused '.linux.sysctl = {"kernel.hostname": "x"}' "kernel.hostname"
	refused '.linux.sysctl = {"net.ipv4.ip_forward": 1}' "linux.sysctl"
	drop_namespace ipc
	refused '.linux.sysctl = {"kernel.msgmax": "4000"}' "the container has no ipc namespace of its own"
}
