#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# --systemd-cgroup on a host that systemd booted, with cgroup v2 alone: tests/vm/run.

load ../bats/helpers

setup() {
	requires root busybox jq
	[[ -d /run/systemd/system && -e /sys/fs/cgroup/cgroup.controllers ]] ||
		skip "needs a host with systemd and cgroup v2 alone"
	purple_setup
	make_bundle
	set_command sleep 1000
	SLICE=purpletest.slice
	UNIT=pt-$ID.scope
	edit_config '.linux.cgroupsPath = $p' --arg p "$SLICE:pt:$ID"
	GROUP=/sys/fs/cgroup/$SLICE/$UNIT
}

teardown() {
	local left=0
	purple_teardown || left=1
	systemctl stop "$SLICE" 2>/dev/null || true
	return "$left"
}

# As create_container, by systemd. Sets INIT.
create_with_systemd() {
	purple_rt --systemd-cgroup create --bundle "$BUNDLE" --pid-file "$BATS_TEST_TMPDIR/pid" "$ID" \
		</dev/null >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" || {
		cat "$BATS_TEST_TMPDIR/err"
		return 1
	}
	INIT=$(<"$BATS_TEST_TMPDIR/pid")
}

property() { # NAME [UNIT]
	systemctl show -p "$1" --value "${2:-$UNIT}"
}

resources() { # JSON
	edit_config '.linux.resources += $r' --argjson r "$1"
}

is_gone() { # UNIT
	[[ $(systemctl show -p LoadState --value "$1") == not-found ]]
}

@test "the container is a scope of its slice, delegated, and is there before create returns" {
	create_with_systemd
	assert_equal "$(cat "/proc/$INIT/cgroup")" "0::/$SLICE/$UNIT"
	assert_equal "$(cat "$GROUP/cgroup.procs")" "$INIT"
	assert_equal "$(property ActiveState)" active
	assert_equal "$(property Slice)" "$SLICE"
	assert_equal "$(property Delegate)" yes
	assert_equal "$(property CollectMode)" inactive-or-failed
	assert_equal "$(property ControlGroup)" "/$SLICE/$UNIT"
	assert_equal "$(container_status)" created
	# What follows needs no option: the state knows.
	purple_rt start "$ID"
	wait_status running
	purple_rt exec "$ID" true
	purple_rt pause "$ID"
	wait_for 5 grep -qx 'frozen 1' "$GROUP/cgroup.events"
	purple_rt resume "$ID"
	purple_rt delete --force "$ID"
	is_gone "$UNIT"
	[[ ! -e $GROUP ]]
}

@test "nested slices, a default slice, and names that have to be escaped" {
	edit_config '.linux.cgroupsPath = $p' --arg p "purpletest-a-b.slice:x:$ID"
	create_with_systemd
	assert_equal "$(cat "/proc/$INIT/cgroup")" \
		"0::/purpletest.slice/purpletest-a.slice/purpletest-a-b.slice/x-$ID.scope"
	purple_rt delete --force "$ID"
	systemctl stop purpletest-a-b.slice purpletest-a.slice
	edit_config '.linux.cgroupsPath = $p' --arg p "::a+b@$ID"
	create_with_systemd
	assert_equal "$(cat "/proc/$INIT/cgroup")" "0::/system.slice/a\\x2bb\\x40$ID.scope"
	purple_rt delete --force "$ID"
	edit_config 'del(.linux.cgroupsPath)'
	create_with_systemd
	assert_equal "$(cat "/proc/$INIT/cgroup")" "0::/system.slice/purple-$ID.scope"
}

@test "a path that is not slice:prefix:name is refused, and the form is refused without the option" {
	local path
	for path in /a/b a "a.slice:b" "a:b:c" "../x.slice:a:b"; do
		edit_config '.linux.cgroupsPath = $p' --arg p "$path"
		run purple_rt --systemd-cgroup create --bundle "$BUNDLE" "$ID"
		assert_status 1
		assert_contains cgroupsPath
		[[ ! -e $PURPLE_ROOT/$ID ]]
	done
	edit_config '.linux.cgroupsPath = "a.slice:b:c"'
	run purple_rt create --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "--systemd-cgroup"
	run purple_rt --systemd-cgroup --cgroup-manager cgroupfs create --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains contradicts
}

@test "limits are in the files, systemd knows them, and its reload leaves them" {
	resources '{"memory": {"limit": 67108864, "swap": 100663296, "reservation": 33554432},
		"cpu": {"shares": 512, "quota": 50500, "period": 100000, "cpus": "0", "mems": "0"},
		"pids": {"limit": 33}, "unified": {"memory.high": "60000000"}}'
	create_with_systemd
	local round weight
	for round in before after; do
		echo "$round a reload"
		assert_equal "$(cat "$GROUP/memory.max")" 67108864
		assert_equal "$(cat "$GROUP/memory.swap.max")" 33554432
		assert_equal "$(cat "$GROUP/memory.low")" 33554432
		assert_equal "$(cat "$GROUP/memory.high")" 59998208
		[[ $round == before ]] || assert_equal "$(cat "$GROUP/cpu.weight")" "$weight"
		weight=$(cat "$GROUP/cpu.weight")
		((weight < 100))
		# systemd keeps whole percents.
		[[ $round == after ]] || assert_equal "$(cat "$GROUP/cpu.max")" "50500 100000"
		[[ $round == before ]] || assert_equal "$(cat "$GROUP/cpu.max")" "51000 100000"
		assert_equal "$(cat "$GROUP/cpuset.cpus")" 0
		assert_equal "$(cat "$GROUP/pids.max")" 33
		systemctl daemon-reload
	done
	assert_equal "$(property MemoryMax)" 67108864
	assert_equal "$(property TasksMax)" 33
	assert_equal "$(property AllowedCPUs)" 0
}

@test "update sets limits that last, and takes them back" {
	resources '{"memory": {"limit": 67108864}, "pids": {"limit": 33}}'
	create_with_systemd
	purple_rt start "$ID"
	echo '{"memory": {"limit": 134217728}, "cpu": {"quota": 25000, "period": 50000},
		"pids": {"limit": -1}}' | purple_rt update --resources - "$ID"
	systemctl daemon-reload
	assert_equal "$(cat "$GROUP/memory.max")" 134217728
	assert_equal "$(cat "$GROUP/cpu.max")" "25000 50000"
	assert_equal "$(cat "$GROUP/pids.max")" max
	assert_equal "$(property MemoryMax)" 134217728
	echo '{"memory": {"limit": -1}}' | purple_rt update --resources - "$ID"
	systemctl daemon-reload
	assert_equal "$(cat "$GROUP/memory.max")" max
}

@test "devices: systemd has the list, the BPF program too, and a reload opens nothing" {
	mknod "$BUNDLE/rootfs/mem" c 1 1
	mknod "$BUNDLE/rootfs/null" c 1 3
	chmod 0666 "$BUNDLE/rootfs"/{mem,null}
	edit_config '.linux.resources.devices = [{allow: false, access: "rwm"}]'
	create_with_systemd
	purple_rt start "$ID"
	assert_equal "$(property DevicePolicy)" strict
	[[ $(property DeviceAllow) == *"/dev/char/1:3 rwm"* ]]
	local round
	for round in before after; do
		purple_rt exec "$ID" dd if=/null of=/dev/null count=1
		run purple_rt exec "$ID" dd if=/mem of=/dev/null count=1
		assert_status 1
		assert_contains "not permitted"
		systemctl daemon-reload
	done
	# What systemd cannot say, it does not stand in the way of: the program has it.
	purple_rt delete --force "$ID"
	edit_config '.linux.resources.devices = [{allow: true}, {allow: false, type: "c", major: 1, minor: 1}]'
	create_with_systemd
	purple_rt start "$ID"
	assert_equal "$(property DevicePolicy)" auto
	systemctl daemon-reload
	run purple_rt exec "$ID" dd if=/mem of=/dev/null count=1
	assert_status 1
	purple_rt exec "$ID" dd if=/null of=/dev/null count=1
}

@test "annotations set properties of the unit, and none that reach beyond it" {
	edit_config '.annotations["org.systemd.property.TimeoutStopSec"] = "7"
		| .annotations["org.systemd.property.Description"] = "'"'a name'"'"
		| .annotations["org.systemd.property.After"] = "['"'dbus.service'"']"'
	create_with_systemd
	assert_equal "$(property TimeoutStopUSec)" 7s
	assert_equal "$(property Description)" "a name"
	[[ $(property After) == *dbus.service* ]]
	purple_rt delete --force "$ID"
	edit_config '.annotations["org.systemd.property.OnFailure"] = "['"'poweroff.target'"']"'
	run purple_rt --systemd-cgroup create --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains OnFailure
	[[ ! -e $PURPLE_ROOT/$ID ]]
}

@test "a name that is taken is refused, and the container that has it lives on" {
	create_with_systemd
	purple_rt start "$ID"
	run purple_rt --systemd-cgroup create --bundle "$BUNDLE" "$ID-b"
	assert_status 1
	assert_contains "in use"
	[[ ! -e $PURPLE_ROOT/$ID-b ]]
	assert_equal "$(container_status)" running
	assert_equal "$(property ActiveState)" active
}

@test "the scope goes when the program ends, and delete is content with that" {
	set_command true
	create_with_systemd
	purple_rt start "$ID"
	wait_status stopped
	wait_for 10 is_gone "$UNIT"
	purple_rt delete "$ID"
	[[ ! -e $GROUP && ! -e $PURPLE_ROOT/$ID ]]
}

@test "a name ending in .slice is that slice, with the container in it" {
	edit_config '.linux.cgroupsPath = "::purpletest-c1.slice"'
	create_with_systemd
	assert_equal "$(cat "/proc/$INIT/cgroup")" "0::/purpletest.slice/purpletest-c1.slice"
	purple_rt delete --force "$ID"
	[[ ! -e /sys/fs/cgroup/purpletest.slice/purpletest-c1.slice ]]
}

@test "a runtime killed in the middle of create leaves what delete --force removes" {
	# A hook, which the runtime waits for, is where it is killed.
	mkfifo "$BATS_TEST_TMPDIR/fifo"
	edit_config '.hooks.createRuntime = [{path: "/bin/sh", args: ["sh", "-c", "echo $$ >" + $f + "; exec sleep 1000"]}]' \
		--arg f "$BATS_TEST_TMPDIR/fifo"
	"$PURPLE_RUNTIME" --root "$PURPLE_ROOT" --systemd-cgroup create --bundle "$BUNDLE" "$ID" \
		</dev/null >/dev/null 2>&1 3>&- &
	local pid=$! hook
	read -r hook <"$BATS_TEST_TMPDIR/fifo"
	kill -9 "$pid"
	wait "$pid" || true
	purple_rt delete --force "$ID"
	is_gone "$UNIT"
	[[ ! -e $GROUP && ! -e $PURPLE_ROOT/$ID ]]
	kill -9 "$hook" 2>/dev/null || true
}

@test "an ordinary user's containers are scopes of the user's own systemd" {
	id tester >/dev/null 2>&1 || skip "needs a host with systemd and cgroup v2 alone"
	wait_for 30 test -S /run/user/1000/bus
	user_namespace_for_tester
	chown -R tester: "$BUNDLE"
	chmod 0711 "$BATS_TEST_TMPDIR"
	mkdir -m 0700 "$BATS_TEST_TMPDIR/user"
	chown tester: "$BATS_TEST_TMPDIR/user"
	resources '{"memory": {"limit": 67108864}, "pids": {"limit": 33}}'
	edit_config '.linux.cgroupsPath = $p' --arg p "user.slice:pt:$ID"
	as_tester --systemd-cgroup create --bundle "$BUNDLE" --pid-file "$BATS_TEST_TMPDIR/user/pid" "$ID"
	local group
	group=$(sed -n 's/^0:://p' "/proc/$(<"$BATS_TEST_TMPDIR/user/pid")/cgroup")
	assert_equal "$group" "/user.slice/user-1000.slice/user@1000.service/user.slice/$UNIT"
	assert_equal "$(cat "/sys/fs/cgroup$group/memory.max")" 67108864
	assert_equal "$(cat "/sys/fs/cgroup$group/pids.max")" 33
	as_tester delete --force "$ID"
	[[ ! -e /sys/fs/cgroup$group ]]
}

# A user namespace with one id, the caller's own.
user_namespace_for_tester() {
	edit_config '.linux.namespaces += [{type: "user"}]
		| .linux.uidMappings = [{containerID: 0, hostID: 1000, size: 1}]
		| .linux.gidMappings = [{containerID: 0, hostID: 1000, size: 1}]
		| del(.linux.resources.devices)
		| .mounts |= map(select(.type != "devpts") | select(.type != "sysfs"))'
}

as_tester() {
	setpriv --reuid=1000 --regid=1000 --clear-groups env -i PATH="$PATH" HOME=/home/tester \
		XDG_RUNTIME_DIR=/run/user/1000 \
		"$PURPLE_RUNTIME" --root "$BATS_TEST_TMPDIR/user/root" "$@" </dev/null
}

@test "Podman with cgroup_manager=systemd: limits, pause, update, and nothing left" {
	podman_setup
	local conf=$BATS_TEST_TMPDIR/containers.conf
	sed 's/cgroup_manager = "cgroupfs"/cgroup_manager = "systemd"/' "$CONTAINERS_CONF" >"$conf"
	export CONTAINERS_CONF=$conf
	podman_ run -d --name "$ID" --memory 64m --pids-limit 50 localhost/busybox sleep 1000
	local pid group
	pid=$(podman_ inspect -f '{{.State.Pid}}' "$ID")
	group=/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$pid/cgroup")
	[[ $group == /sys/fs/cgroup/machine.slice/libpod-*.scope ]]
	assert_equal "$(cat "$group/memory.max")" 67108864
	assert_equal "$(cat "$group/pids.max")" 50
	podman_ pause "$ID"
	grep -qx 'frozen 1' "$group/cgroup.events"
	podman_ unpause "$ID"
	podman_ exec "$ID" true
	podman_ rm -f -t 0 "$ID"
	[[ ! -e $group ]]
}
