#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The container's cgroup: where it is, its limits, update, freezing, its end; through the v1
# hierarchies of a hybrid host, and on a view of the host that has cgroup2 alone.

load helpers

setup() {
	requires root busybox jq
	purple_setup
	make_bundle
	set_command sleep 1000
}

start_container() {
	create_container "$@"
	purple_rt start "$ID"
	INIT=$(<pid)
}

# v1 CONTROLLER FILE: what the container's group says.
v1() {
	cat "$(cgroup_dir "$INIT" "$1")/$2"
}

# resources JSON: linux.resources of the config, with the devices that are there.
resources() {
	edit_config '.linux.resources += $r' --argjson r "$1"
}

# --- where it is ----------------------------------------------------------------------------------

@test "cgroupsPath is taken exactly, in every hierarchy, before create returns" {
	edit_config '.linux.cgroupsPath = $p' --arg p "/$ID-parent/sub/group"
	create_container
	local path n=0
	while IFS=: read -r _ _ path; do
		assert_equal "$path" "/$ID-parent/sub/group"
		n=$((n + 1))
	done <"/proc/$(<pid)/cgroup"
	((n >= 1))
	purple_rt delete --force "$ID"
	[[ -z $(find /sys/fs/cgroup -type d -path "*$ID-parent/sub/group") ]]
	# The parents are the engine's, and stay.
	find /sys/fs/cgroup -depth -type d -path "*/$ID-parent*" -exec rmdir {} +
}

@test "without cgroupsPath the group is /purple-ID; a relative one is below /purple" {
	edit_config 'del(.linux.cgroupsPath)'
	create_container
	assert_equal "$(cut -d: -f3 "/proc/$(<pid)/cgroup" | sort -u)" "/purple-$ID"
	purple_rt delete --force "$ID"
	edit_config '.linux.cgroupsPath = $p' --arg p "$ID-rel"
	create_container
	assert_equal "$(cut -d: -f3 "/proc/$(<pid)/cgroup" | sort -u)" "/purple/$ID-rel"
}

@test "a cgroupsPath that leads out of the tree, or is a systemd slice, is refused by name" {
	local path
	for path in /.. /a/../../b / "system.slice:purple:$ID" ..; do
		edit_config '.linux.cgroupsPath = $p' --arg p "$path"
		new_id
		run purple_rt create --bundle "$BUNDLE" "$ID"
		assert_status 1
		assert_contains cgroup
		[[ ! -e $PURPLE_ROOT/$ID ]]
	done
}

@test "a group with processes in it is not taken over, and its processes live on" {
	edit_config '.linux.cgroupsPath = $p' --arg p "/$ID-shared"
	start_container
	run purple_rt create --bundle "$BUNDLE" "$ID-b"
	assert_status 1
	assert_contains "is in use"
	is_status running "$ID"
	[[ ! -e $PURPLE_ROOT/$ID-b ]]
}

@test "on a hybrid host there is a group in the unified tree beside the v1 ones, gone at delete" {
	requires cgroup_v1 cgroup_v2_tree
	start_container
	local unified dir
	unified=$(cgroup_dir "$INIT")
	[[ $unified == /sys/fs/cgroup/unified/purple-$ID ]]
	grep -qx "$INIT" "$unified/cgroup.procs"
	for dir in cpu memory pids devices freezer blkio cpuset; do
		grep -qx "$INIT" "$(cgroup_dir "$INIT" "$dir")/cgroup.procs"
	done
	purple_rt delete --force "$ID"
	[[ ! -e $unified ]]
	[[ -z $(find /sys/fs/cgroup -type d -name "$ID") ]]
}

@test "sub-groups that the container's processes left are removed with it" {
	requires cgroup_v1
	start_container
	mkdir -p "$(cgroup_dir "$INIT" pids)/a/b/c" "$(cgroup_dir "$INIT")/x/y"
	purple_rt exec --detach "$ID" sleep 1000
	local child
	child=$(purple_rt ps --format json "$ID" | jq --argjson i "$INIT" 'map(select(. != $i))[0]')
	echo "$child" >"$(cgroup_dir "$INIT" pids)/a/b/c/cgroup.procs"
	echo "$child" >"$(cgroup_dir "$INIT")/x/y/cgroup.procs"
	run purple_rt delete --force "$ID"
	assert_status 0
	[[ -z $(find /sys/fs/cgroup -type d -path "*$ID*") ]]
	[[ ! -e /proc/$child ]]
}

# --- limits ---------------------------------------------------------------------------------------

@test "limits are in the v1 files when create returns" {
	requires cgroup_v1
	resources '{"memory": {"limit": 67108864, "swap": 100663296, "reservation": 33554432},
		"cpu": {"shares": 512, "quota": 50000, "period": 100000, "cpus": "0", "mems": "0"},
		"pids": {"limit": 33}}'
	create_container
	INIT=$(<pid)
	assert_equal "$(v1 memory memory.limit_in_bytes)" 67108864
	assert_equal "$(v1 memory memory.soft_limit_in_bytes)" 33554432
	[[ ! -e $(cgroup_dir "$INIT" memory)/memory.memsw.limit_in_bytes ]] ||
		assert_equal "$(v1 memory memory.memsw.limit_in_bytes)" 100663296
	assert_equal "$(v1 cpu cpu.shares)" 512
	assert_equal "$(v1 cpu cpu.cfs_quota_us)" 50000
	assert_equal "$(v1 cpu cpu.cfs_period_us)" 100000
	assert_equal "$(v1 cpuset cpuset.cpus)" 0
	assert_equal "$(v1 cpuset cpuset.mems)" 0
	assert_equal "$(v1 pids pids.max)" 33
}

@test "the memory limit holds: a process that takes more is killed, one that takes less is not" {
	requires cgroup_v1
	resources '{"memory": {"limit": 33554432, "swap": 33554432}}'
	run_script 'dd if=/dev/zero of=/dev/null bs=8M count=1 2>/dev/null && echo small'
	assert_status 0
	assert_output small
	run_script 'dd if=/dev/zero of=/dev/null bs=128M count=1 2>/dev/null && echo big; exit 9'
	assert_status 9
	assert_output "" || [[ $output != *big* ]]
}

@test "the pids limit holds" {
	requires cgroup_v1
	resources '{"pids": {"limit": 5}}'
	run_script 'n=0; for i in 1 2 3 4 5 6 7 8; do sleep 5 & n=$((n + 1)); echo $n; done'
	[[ $output != *8* ]]
	assert_contains "1"
}

@test "pids.limit 0 is a limit, -1 is none, absent leaves it alone" {
	requires cgroup_v1
	resources '{"pids": {"limit": -1}}'
	create_container
	INIT=$(<pid)
	assert_equal "$(v1 pids pids.max)" max
	purple_rt delete --force "$ID"
	edit_config 'del(.linux.resources.pids)'
	create_container
	INIT=$(<pid)
	assert_equal "$(v1 pids pids.max)" max
	purple_rt delete --force "$ID"
	resources '{"pids": {"limit": 0}}'
	create_container
	INIT=$(<pid)
	assert_equal "$(v1 pids pids.max)" 0
	purple_rt start "$ID"
	is_status running "$ID"
	run purple_rt exec "$ID" sh -c 'echo a | cat'
	((status != 0))
}

@test "block I/O throttles are set for the device" {
	requires cgroup_v1
	local device
	device=$(awk '$1 ~ /^[0-9]+:0$/ || 1 { print; exit }' /sys/block/*/dev | head -1)
	resources "{\"blockIO\": {\"throttleReadBpsDevice\": [{\"major\": ${device%:*}, \"minor\": ${device#*:}, \"rate\": 1048576}],
		\"throttleWriteIOPSDevice\": [{\"major\": ${device%:*}, \"minor\": ${device#*:}, \"rate\": 100}]}}"
	create_container
	INIT=$(<pid)
	assert_equal "$(v1 blkio blkio.throttle.read_bps_device)" "$device 1048576"
	assert_equal "$(v1 blkio blkio.throttle.write_iops_device)" "$device 100"
}

@test "a limit that the kernel refuses fails create, names the member, and leaves nothing" {
	requires cgroup_v1
	local limit
	for limit in '{"cpu": {"cpus": "999"}}' '{"cpu": {"mems": "77"}}' '{"memory": {"limit": 4096}}' \
		'{"blockIO": {"throttleReadBpsDevice": [{"major": 999, "minor": 9, "rate": 5}]}}' \
		'{"hugepageLimits": [{"pageSize": "3MB", "limit": 5}]}' '{"cpu": {"quota": 1, "period": 1}}'; do
		make_bundle
		resources "$limit"
		new_id
		run purple_rt create --bundle "$BUNDLE" "$ID"
		if ((status == 0)); then # a limit of one page is a limit: init is killed, or it is not
			purple_rt delete --force "$ID"
			echo "taken: $limit"
			return 1
		fi
		[[ $output == *linux.resources* || $output == *cgroup* || $output == *"died unexpectedly"* ]]
		[[ ! -e $PURPLE_ROOT/$ID ]]
	done
}

# Whether limits of a controller can be set here: in a v1 hierarchy of its own, or passed on by v2.
has_controller() {
	[[ -d /sys/fs/cgroup/$1 ]] || cat /sys/fs/cgroup/{,unified/}cgroup.controllers 2>/dev/null | grep -qw "$1"
}

# limit_is_set_or_refused CONTROLLER RESOURCES MEMBER FILE VALUE: FILE is v1's or v2's name.
limit_is_set_or_refused() {
	local name file found=()
	make_bundle
	resources "$2"
	new_id
	if ! has_controller "$1"; then
		run create_container
		echo "$2"
		assert_status 1
		assert_contains "$3"
		[[ ! -e $PURPLE_ROOT/$ID ]]
		return
	fi
	create_container
	INIT=$(<pid)
	for name in $4; do
		for file in "$(cgroup_dir "$INIT" "$1")/$name" "$(cgroup_dir "$INIT")/$name"; do
			[[ ! -e $file ]] || found+=("$(<"$file")")
		done
	done
	assert_equal "${found[*]}" "$5"
	purple_rt delete --force "$ID"
}

@test "limits of huge pages and RDMA are set where the controller is, and refused by name where not" {
	limit_is_set_or_refused hugetlb '{"hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}]}' \
		linux.resources.hugepageLimits "hugetlb.2MB.limit_in_bytes hugetlb.2MB.max" 4194304
	# No such device is a fault where the controller is, too.
	make_bundle
	resources '{"rdma": {"pt-none": {"hcaHandles": 3}}}'
	run create_container
	assert_status 1
	assert_contains linux.resources.rdma
	resources '{"rdma": {"mlx5_1": {}}}'
	run create_container
	assert_status 1
	assert_contains "linux.resources.rdma.mlx5_1: needs a name, and hcaHandles or hcaObjects"
}

@test "unified keys are written where cgroup v2 has their controller, and refused by name where not" {
	if has cgroup_v2; then
		resources '{"unified": {"memory.high": "64000000", "pids.max": "77"}}'
		create_container
		INIT=$(<pid)
		assert_equal "$(<"$(cgroup_dir "$INIT")/memory.high")" 63999488
		assert_equal "$(<"$(cgroup_dir "$INIT")/pids.max")" 77
		purple_rt delete --force "$ID"
	else
		resources '{"unified": {"memory.high": "64000000"}}'
		run create_container
		assert_status 1
		assert_contains linux.resources.unified
		assert_contains memory
	fi
	local key
	for key in '' a/b ../memory.max cgroup.procs memory.no-such-file; do
		make_bundle
		resources "$(jq -n --arg k "$key" '{unified: {($k): "1"}}')"
		new_id
		run create_container
		echo "key '$key'"
		assert_status 1
		assert_contains linux.resources.unified
		[[ ! -e $PURPLE_ROOT/$ID ]]
	done
}

@test "devices: what the config denies cannot be opened, the defaults can" {
	device_rules
	run_script "$DEVICE_SCRIPT"
	devices_are_as_ruled
	# Without the rules all of it works: it is they that deny.
	edit_config '.linux.resources.devices = [{allow: true, access: "rwm"}]'
	run_script "$DEVICE_SCRIPT"
	assert_contains tun-write
	assert_contains loop-read
}

# Rules that let one device be read, and another one not be opened at all.
device_rules() {
	[[ -c /dev/net/tun && -c /dev/loop-control ]] || skip "needs /dev/net/tun and /dev/loop-control"
	resources '{"devices": [{"allow": false, "access": "rwm"},
		{"allow": true, "type": "c", "major": 10, "minor": 200, "access": "r"}]}'
	edit_config '.linux.devices = [{path: "/dev/tun", type: "c", major: 10, minor: 200, fileMode: 438},
		{path: "/dev/loop", type: "c", major: 10, minor: 237, fileMode: 438}]'
	DEVICE_SCRIPT='true </dev/tun && echo tun-read; true >/dev/tun && echo tun-write
		true </dev/loop && echo loop-read; true </dev/zero >/dev/null && echo zero'
}

devices_are_as_ruled() {
	assert_contains tun-read
	assert_contains zero
	assert_lacks tun-write
	assert_lacks loop-read
}

# --- update ---------------------------------------------------------------------------------------

@test "update changes what it names, from a file and from stdin; zero and absent change nothing" {
	requires cgroup_v1
	resources '{"memory": {"limit": 67108864, "swap": 67108864}, "cpu": {"shares": 512}, "pids": {"limit": 33}}'
	start_container
	echo '{"pids": {"limit": 44}, "cpu": {"shares": 0, "quota": 0}, "memory": {"limit": 0, "kernel": 0, "reservation": 0}}' >limits
	purple_rt update --resources limits "$ID"
	assert_equal "$(v1 pids pids.max)" 44
	assert_equal "$(v1 cpu cpu.shares)" 512
	assert_equal "$(v1 memory memory.limit_in_bytes)" 67108864
	echo '{"memory": {"limit": 134217728, "swap": 134217728}}' | purple_rt update --resources - "$ID"
	assert_equal "$(v1 memory memory.limit_in_bytes)" 134217728
	# Down again: the order of the two v1 files is the other one.
	echo '{"memory": {"limit": 33554432, "swap": 33554432}}' | purple_rt update --resources=- "$ID"
	assert_equal "$(v1 memory memory.limit_in_bytes)" 33554432
	assert_equal "$(v1 pids pids.max)" 44
	echo '{"pids": {"limit": -1}}' | purple_rt update -r - "$ID"
	assert_equal "$(v1 pids pids.max)" max
}

@test "update takes each limit as an option, as runc and crun do" {
	requires cgroup_v1
	resources '{"memory": {"limit": 67108864, "swap": 67108864}, "pids": {"limit": 33}}'
	start_container
	purple_rt update --memory 128M --memory-swap 256mib --memory-reservation 33554432 --cpu-period 50000 \
		--cpu-quota 25000 --cpu-share 512 --cpuset-cpus 0 --cpuset-mems 0 --pids-limit 44 "$ID"
	assert_equal "$(v1 memory memory.limit_in_bytes)" 134217728
	assert_equal "$(v1 memory memory.memsw.limit_in_bytes)" 268435456
	assert_equal "$(v1 memory memory.soft_limit_in_bytes)" 33554432
	assert_equal "$(v1 cpu cpu.cfs_period_us) $(v1 cpu cpu.cfs_quota_us) $(v1 cpu cpu.shares)" "50000 25000 512"
	assert_equal "$(v1 cpuset cpuset.cpus) $(v1 cpuset cpuset.mems)" "0 0"
	assert_equal "$(v1 pids pids.max)" 44
	purple_rt update --memory-swap -1 --pids-limit=-1 --cpu-quota -1 "$ID"
	assert_equal "$(v1 memory memory.limit_in_bytes) $(v1 cpu cpu.cfs_quota_us) $(v1 pids pids.max)" "134217728 -1 max"
	(($(v1 memory memory.memsw.limit_in_bytes) > 1 << 50))
}

@test "update names the option that is wrong, and changes nothing" {
	resources '{"pids": {"limit": 33}}'
	start_container
	local option value
	while read -r option value; do
		run purple_rt update --pids-limit 44 "--$option" "$value" "$ID"
		assert_status 1
		assert_contains "$option"
		assert_contains "'$value'"
	done <<-END
		memory 1x
		memory -2
		memory 9999999T
		memory M
		memory-swap 1.5G
		memory-reservation --5
		cpu-period -1
		cpu-quota 1s
		cpu-share 0x10
		blkio-weight many
	END
	run purple_rt update "$ID"
	assert_status 1
	assert_contains "--resources"
	run purple_rt update --resources - --memory 64M "$ID" <<<'{}'
	assert_status 1
	assert_contains "exclude each other"
	[[ ! -e $(cgroup_dir "$INIT" pids)/pids.max ]] || assert_equal "$(v1 pids pids.max)" 33
}

@test "update ignores devices, as CRI sends them" {
	start_container
	echo '{"devices": [{"allow": false, "access": "rwm"}]}' | purple_rt update --resources - "$ID"
	run purple_rt exec "$ID" sh -c 'true </dev/zero && echo zero'
	assert_output zero
}

# --- freezing and figures -------------------------------------------------------------------------

@test "pause stops the processes, seen in the kernel's files, and resume lets them go on" {
	requires cgroup_v1
	edit_config '.root.readonly = false'
	set_script 'n=0; while :; do n=$((n + 1)); echo $n >/tmp/n; done'
	start_container
	local a b
	purple_rt pause "$ID"
	assert_equal "$(v1 freezer freezer.state)" FROZEN
	a=$(<"$BUNDLE/rootfs/tmp/n")
	sleep 0.3
	b=$(<"$BUNDLE/rootfs/tmp/n")
	assert_equal "$a" "$b"
	purple_rt resume "$ID"
	assert_equal "$(v1 freezer freezer.state)" THAWED
	wait_for 5 counts_on "$b"
}

counts_on() {
	local n
	n=$(<"$BUNDLE/rootfs/tmp/n")
	[[ -n $n && $n != "$1" ]]
}

@test "a paused container is deleted by --force, however it was frozen" {
	start_container
	purple_rt pause "$ID"
	run purple_rt delete --force "$ID"
	assert_status 0
	[[ -z $(find /sys/fs/cgroup -type d -path "*$ID*") ]]
}

# --- cgroup2 alone --------------------------------------------------------------------------------

# v2_view SCRIPT: runs a script where /sys/fs/cgroup is the cgroup2 mount and nothing else is. The
# script has rt (the runtime), ID, BUNDLE and DIR (the container's group), and stops at an error.
v2_view() {
	export ID BUNDLE ROOT=$PURPLE_ROOT DIR=/sys/fs/cgroup/purple-$ID
	run unshare --mount --propagation private bash -euc '
		umount -R /sys/fs/cgroup
		mount -t cgroup2 cgroup2 /sys/fs/cgroup
		rt() { "$PURPLE_RUNTIME" --root "$ROOT" "$@"; }
		create() { rt create --bundle "$BUNDLE" --pid-file pid "$ID" </dev/null >out 2>err || { cat err; false; }; }
		'"$1"'
		echo the-end' 3>&-
	assert_status 0
	assert_contains the-end
}

@test "v2 alone: create puts init into its group, state and delete work, nothing is left" {
	requires cgroup_v2_tree
	v2_view '
		create
		[[ $(cat $DIR/cgroup.procs) == $(cat pid) ]]
		rt start "$ID"
		[[ $(rt state "$ID" | jq -r .status) == running ]]
		[[ $(rt ps --format json "$ID") == "[$(cat pid)]" ]]
		rt delete --force "$ID"
		[[ ! -e $DIR ]]'
}

@test "v2 alone: pause freezes the group, state says paused, resume thaws, SIGKILL reaches a frozen one" {
	requires cgroup_v2_tree
	v2_view '
		create
		rt start "$ID"
		rt pause "$ID"
		grep -q "frozen 1" $DIR/cgroup.events
		[[ $(rt state "$ID" | jq -r .status) == paused ]]
		rt resume "$ID"
		grep -q "frozen 0" $DIR/cgroup.events
		[[ $(rt state "$ID" | jq -r .status) == running ]]
		rt pause "$ID"
		rt kill "$ID" KILL
		for i in {1..800}; do [[ $(rt state "$ID" | jq -r .status) == stopped ]] && break; sleep 0.05; done
		rt delete "$ID"
		[[ ! -e $DIR ]]'
}

@test "v2 alone: kill --all reaches every process of the group" {
	requires cgroup_v2_tree
	set_script 'sleep 1000 & sleep 1000 & wait'
	v2_view '
		create
		rt start "$ID"
		for i in {1..800}; do (($(wc -l <$DIR/cgroup.procs) == 3)) && break; sleep 0.05; done
		(($(wc -l <$DIR/cgroup.procs) == 3))
		rt kill --all "$ID" KILL
		for i in {1..800}; do [[ -z $(cat $DIR/cgroup.procs) ]] && break; sleep 0.05; done
		[[ -z $(cat $DIR/cgroup.procs) ]]
		rt delete "$ID"'
}

@test "v2 alone: device rules hold, by BPF" {
	requires cgroup_v2_tree
	device_rules
	set_script "$DEVICE_SCRIPT"
	v2_view 'rt run --bundle "$BUNDLE" "$ID" </dev/null'
	devices_are_as_ruled
}

@test "v2 alone: a limit whose controller is not there fails create, by name, and leaves nothing" {
	requires cgroup_v1 cgroup_v2_tree
	local limit
	for limit in '{"memory": {"limit": 67108864}}' '{"pids": {"limit": 5}}' '{"cpu": {"quota": 50000, "period": 100000}}'; do
		make_bundle
		resources "$limit"
		v2_view '
			if create; then exit 9; fi
			grep -Eq "memory|pids|cpu" err
			grep -q "cgroup.controllers\|controller" err
			[[ ! -e $DIR && ! -e $ROOT/$ID ]]'
	done
}

@test "without any cgroup mount a container runs that asks for no limit, and one that does is refused" {
	edit_config 'del(.linux.resources, .linux.cgroupsPath)'
	local view='umount -R /sys/fs/cgroup; "$PURPLE_RUNTIME" --root "$ROOT" run --bundle "$BUNDLE" "$ID" </dev/null'
	export ID BUNDLE ROOT=$PURPLE_ROOT
	set_command echo hello
	run unshare --mount --propagation private bash -c "$view"
	assert_status 0
	assert_output hello
	resources '{"pids": {"limit": 5}}'
	run unshare --mount --propagation private bash -c "$view"
	assert_status 1
	assert_contains "linux.resources"
	[[ ! -e $PURPLE_ROOT/$ID ]]
}
