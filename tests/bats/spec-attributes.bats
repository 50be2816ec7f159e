#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# scheduler, ioPriority, execCPUAffinity, memoryPolicy, personality, labels of security modules and
# intelRdt of config.json and of exec's process file.

load helpers
load spec

setup() {
	spec_setup
}

teardown() {
	spec_teardown
}

# Field N (policy is 41, nice 19, rt_priority 40) of /proc/PID/stat. Names have no spaces here.
stat_field() { # PID N
	cut -d' ' -f "$2" "/proc/$1/stat"
}

# process_file JQ: process.json, a complete process object with these changes.
process_file() {
	jq -n "{terminal: false, user: {uid: 0, gid: 0}, args: [\"sleep\", \"1000\"],
		env: [\"PATH=/bin\"], cwd: \"/\"} | $1" >process.json
}

# exec_file JQ: runs that process detached; sets EXEC to its pid.
exec_file() {
	process_file "$1"
	rm -f exec.pid
	purple_rt exec --process process.json --detach --pid-file exec.pid "$ID" </dev/null >out 2>&1 || {
		cat out
		return 1
	}
	EXEC=$(<exec.pid)
	wait_for 5 grep -q sleep "/proc/$EXEC/comm"
}

# exec_refused JQ TEXT
exec_refused() {
	process_file "$1"
	run purple_rt exec --process process.json "$ID"
	echo "exec refused: $1"
	assert_status 255
	assert_contains "$2"
}

# --- scheduler ------------------------------------------------------------------------------------

@test "the scheduling policy and the nice value are the process's, and its children's" {
	edit_config '.process.scheduler = {policy: "SCHED_BATCH", nice: 7}'
	start_sleeper
	assert_equal "$(stat_field "$PID" 41) $(stat_field "$PID" 19)" "3 7"
	run_script 'cut -d" " -f 19,41 /proc/self/stat; (cut -d" " -f 19,41 /proc/self/stat)'
	assert_output $'7 3\n7 3'
	edit_config '.process.scheduler = {policy: "SCHED_IDLE"}'
	run_script 'cut -d" " -f 41 /proc/self/stat'
	assert_output 5
}

@test "a nice value below the caller's is given by the runtime's right, not the container's" {
	edit_config '.process.scheduler = {policy: "SCHED_OTHER", nice: -5} | .process.capabilities = {}'
	run_script 'cut -d" " -f 19,41 /proc/self/stat'
	assert_output "-5 0"
	requires userns
	user_namespace
	run_script 'cut -d" " -f 19,41 /proc/self/stat'
	assert_output "-5 0"
}

@test "realtime policies have their priority, and children lose it with RESET_ON_FORK" {
	# A group of cgroup v1 has time for them only if it is given some.
	[[ ! -e /sys/fs/cgroup/cpu/cpu.rt_runtime_us ]] ||
		edit_config '.linux.cgroupsPath = $p | .linux.resources.cpu = {realtimeRuntime: 10000, realtimePeriod: 1000000}' \
			--arg p "/$ID"
	edit_config '.process.scheduler = {policy: "SCHED_FIFO", priority: 3, flags: ["SCHED_FLAG_RESET_ON_FORK"]}'
	start_sleeper
	assert_equal "$(stat_field "$PID" 41) $(stat_field "$PID" 40)" "1 3"
	purple_rt delete --force "$ID"
	edit_config '.process.scheduler.policy = "SCHED_RR"'
	set_script 'cut -d" " -f 40,41 /proc/self/stat; cut -d" " -f 40,41 /proc/$$/stat; true'
	run purple_rt run --bundle "$BUNDLE" "$ID"
	assert_output $'0 0\n3 2'
}

@test "SCHED_DEADLINE is set with its times" {
	edit_config '.process.scheduler = {policy: "SCHED_DEADLINE", runtime: 1000000, deadline: 50000000, period: 100000000}'
	# Processes that are confined to a part of the CPUs cannot be admitted.
	edit_config 'del(.linux.resources.cpu)'
	start_sleeper
	assert_equal "$(stat_field "$PID" 41)" 6
	run chrt -p "$PID"
	assert_contains 1000000/50000000/100000000
}

@test "wrong schedulers are refused by name" {
	refused '.process.scheduler = {policy: "SCHED_FAIR"}' "process.scheduler.policy: 'SCHED_FAIR' is unknown"
	refused '.process.scheduler = {policy: "SCHED_ISO"}' "SCHED_ISO is not supported"
	refused '.process.scheduler = {nice: 1}' "process.scheduler.policy: is required"
	refused '.process.scheduler = {policy: "SCHED_OTHER", nice: 20}' "process.scheduler.nice: must be from -20 to 19"
	refused '.process.scheduler = {policy: "SCHED_FIFO"}' "process.scheduler.priority: must be from 1 to 99"
	refused '.process.scheduler = {policy: "SCHED_OTHER", priority: 1}' "process.scheduler.priority"
	refused '.process.scheduler = {policy: "SCHED_OTHER", runtime: 1}' "are for SCHED_DEADLINE"
	refused '.process.scheduler = {policy: "SCHED_OTHER", flags: ["SCHED_FLAG_X"]}' "process.scheduler.flags[0]"
	# The kernel's no: runtime above deadline.
	refused '.process.scheduler = {policy: "SCHED_DEADLINE", runtime: 3000000, deadline: 2000000, period: 2000000}' \
		"cannot set process.scheduler (SCHED_DEADLINE): Invalid argument"
}

@test "a process of exec has its own scheduler and I/O priority" {
	start_sleeper
	exec_file '.scheduler = {policy: "SCHED_BATCH", nice: 9} | .ioPriority = {class: "IOPRIO_CLASS_BE", priority: 6}'
	assert_equal "$(stat_field "$EXEC" 41) $(stat_field "$EXEC" 19)" "3 9"
	assert_equal "$(ionice -p "$EXEC")" "best-effort: prio 6"
	# And the container's own process still has none.
	assert_equal "$(stat_field "$PID" 41) $(stat_field "$PID" 19)" "0 $(stat_field $$ 19)"
	exec_refused '.scheduler = {policy: "SCHED_X"}' "process.scheduler.policy"
	exec_refused '.scheduler = {policy: "SCHED_DEADLINE", runtime: 3000000, deadline: 2000000, period: 2000000}' \
		"cannot set process.scheduler"
	exec_refused '.ioPriority = {class: "IOPRIO_CLASS_RT", priority: 8}' "process.ioPriority.priority"
}

# --- ioPriority -----------------------------------------------------------------------------------

@test "the I/O priority is the process's, and its children's" {
	edit_config '.process.ioPriority = {class: "IOPRIO_CLASS_IDLE"}'
	start_sleeper
	assert_equal "$(ionice -p "$PID")" idle
	edit_config '.process.ioPriority = {class: "IOPRIO_CLASS_BE", priority: 5}'
	run_script 'ionice -p $$; (ionice)'
	assert_output $'best-effort: prio 5\nbest-effort: prio 5'
	edit_config '.process.ioPriority = {class: "IOPRIO_CLASS_RT", priority: 1}'
	run_script 'ionice -p $$'
	assert_output "realtime: prio 1"
	refused '.process.ioPriority = {class: "IOPRIO_CLASS_NONE"}' "process.ioPriority.class: 'IOPRIO_CLASS_NONE' is unknown"
	refused '.process.ioPriority = {priority: 1}' "process.ioPriority.class: is required"
	refused '.process.ioPriority.priority = 8' "process.ioPriority.priority: must be from 0 to 7"
}

# --- execCPUAffinity ------------------------------------------------------------------------------

cpus_of() { # PID
	sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' "/proc/$1/status"
}

@test "the final CPU affinity holds for processes of exec, not for init" {
	edit_config '.process.execCPUAffinity = {final: "0"}'
	start_sleeper
	assert_equal "$(cpus_of "$PID")" "$(cpus_of $$)"
	# From config.json where no process file says otherwise.
	run purple_rt exec "$ID" grep Cpus_allowed_list /proc/self/status
	assert_output $'Cpus_allowed_list:\t0'
	exec_file '.execCPUAffinity = {final: "0-1"}'
	assert_equal "$(cpus_of "$EXEC")" "$(taskset -c 0-1 grep Cpus_allowed_list /proc/self/status | cut -f2)"
	exec_file '.'
	assert_equal "$(cpus_of "$EXEC")" "$(cpus_of $$)"
}

@test "the initial CPU affinity holds on the way into the container's group, and no longer" {
	requires strace
	start_sleeper
	exec_file '.execCPUAffinity = {initial: "0"}'
	assert_equal "$(cpus_of "$EXEC")" "$(cpus_of "$PID")"
	process_file '.args = ["true"] | .execCPUAffinity = {initial: "0", final: "0"}'
	strace -f -o trace -e trace=sched_setaffinity,clone3 "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" \
		exec --process process.json "$ID"
	# The runtime's own, the process of the container, that process's.
	run awk '/sched_setaffinity\(0, .*\[0[] ]/ { print "initial" } /clone3\(.*CLONE_INTO_CGROUP/ { print "group" }
		/sched_setaffinity\([1-9][0-9]*, .*\[0[] ]/ { print "final" }' trace
	assert_output $'initial\ngroup\nfinal'
}

@test "wrong CPU affinities are refused by name" {
	refused '.process.execCPUAffinity = {initial: "a"}' "process.execCPUAffinity.initial: 'a' is no list of CPUs"
	refused '.process.execCPUAffinity = {final: "3-1"}' "process.execCPUAffinity.final: '3-1'"
	start_sleeper
	exec_refused '.execCPUAffinity = {final: "1,"}' "process.execCPUAffinity.final: '1,'"
	exec_refused '.execCPUAffinity = {initial: "8191"}' "cannot set process.execCPUAffinity.initial to CPUs 8191"
	exec_refused '.execCPUAffinity = {final: "8191"}' "cannot set process.execCPUAffinity.final to CPUs 8191"
}

# --- memoryPolicy ---------------------------------------------------------------------------------

@test "the memory policy is that of the container's processes, of exec too" {
	[[ -e /proc/self/numa_maps ]] || skip "needs a NUMA kernel"
	local mode
	for mode in bind interleave prefer; do
		case $mode in
		bind) edit_config '.linux.memoryPolicy = {mode: "MPOL_BIND", nodes: "0", flags: ["MPOL_F_STATIC_NODES"]}' ;;
		interleave) edit_config '.linux.memoryPolicy = {mode: "MPOL_INTERLEAVE", nodes: "0"}' ;;
		prefer) edit_config '.linux.memoryPolicy = {mode: "MPOL_PREFERRED", nodes: "0"}' ;;
		esac
		new_id
		start_sleeper
		grep -q " ${mode}[^ ]*:0 " "/proc/$PID/numa_maps"
		run purple_rt exec "$ID" grep -c " ${mode}[^ ]*:0 " /proc/self/numa_maps
		assert_status 0
		((output > 0))
		purple_rt delete --force "$ID"
	done
	edit_config '.linux.memoryPolicy = {mode: "MPOL_DEFAULT"}'
	run_script 'grep -c " default " /proc/self/numa_maps'
	assert_status 0
}

@test "wrong memory policies are refused by name" {
	refused '.linux.memoryPolicy = {mode: "MPOL_X"}' "linux.memoryPolicy.mode: 'MPOL_X' is unknown"
	refused '.linux.memoryPolicy = {nodes: "0"}' "linux.memoryPolicy.mode: is required"
	refused '.linux.memoryPolicy = {mode: "MPOL_BIND"}' "linux.memoryPolicy.nodes: is required"
	refused '.linux.memoryPolicy = {mode: "MPOL_BIND", nodes: "zero"}' "linux.memoryPolicy.nodes: 'zero'"
	refused '.linux.memoryPolicy = {mode: "MPOL_BIND", nodes: "0", flags: ["x"]}' "linux.memoryPolicy.flags[0]"
	refused '.linux.memoryPolicy = {mode: "MPOL_BIND", nodes: "1023"}' "cannot set linux.memoryPolicy (MPOL_BIND, nodes 1023)"
}

@test "every mode and flag that features lists is known" {
	local name
	for name in $("$PURPLE_RUNTIME" features | jq -r '.linux.memoryPolicy.modes[]'); do
		edit_config '.linux.memoryPolicy = {mode: $m} + if ["MPOL_DEFAULT", "MPOL_LOCAL"] | index($m) then {} else {nodes: "0"} end' \
			--arg m "$name"
		run_script true
		# An older kernel has not all of them.
		((status == 0)) || assert_contains "cannot set linux.memoryPolicy ($name"
	done
	for name in $("$PURPLE_RUNTIME" features | jq -r '.linux.memoryPolicy.flags[]'); do
		edit_config '.linux.memoryPolicy = {mode: "MPOL_BIND", nodes: "0", flags: [$f]}' --arg f "$name"
		run_script true
		((status == 0)) || assert_contains "cannot set linux.memoryPolicy (MPOL_BIND"
	done
}

# --- personality ----------------------------------------------------------------------------------

@test "the execution domain LINUX32 shows a 32-bit machine, in exec too" {
	local machine
	machine=$(uname -m)
	edit_config '.linux.personality = {domain: "LINUX32"}'
	start_sleeper
	assert_equal "$(<"/proc/$PID/personality")" 00000008
	run purple_rt exec "$ID" uname -m
	assert_output "$(setarch linux32 uname -m)"
	edit_config '.linux.personality = {domain: "LINUX"}'
	run_script 'uname -m; cat /proc/self/personality'
	assert_output "$machine"$'\n00000000'
	# What the caller has is not the container's then.
	set_command cat /proc/self/personality
	new_id
	run setarch -R "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" run --bundle "$BUNDLE" "$ID"
	assert_output 00000000
	refused '.linux.personality = {domain: "BSD"}' "linux.personality.domain: 'BSD' is unknown"
	refused '.linux.personality = {flags: []}' "linux.personality.domain: is required"
	refused '.linux.personality.flags = ["ADDR_NO_RANDOMIZE"]' "linux.personality.flags[0]: 'ADDR_NO_RANDOMIZE' is unknown"
}

# --- labels ---------------------------------------------------------------------------------------

@test "a label that cannot be applied is refused with the words that Podman knows" {
	local member
	# Either the module is off, or it has no such label.
	refused '.process.apparmorProfile = "pt-no-such-profile"' '`/proc/thread-self/attr/apparmor/exec`'
	refused '.process.selinuxLabel = "pt:no:such:label"' '`/proc/thread-self/attr/exec`'
	start_sleeper
	exec_refused '.apparmorProfile = "pt-no-such-profile"' '`/proc/thread-self/attr/apparmor/exec`'
	exec_refused '.selinuxLabel = "pt:no:such:label"' '`/proc/thread-self/attr/exec`'
	for member in .process.apparmorProfile .process.selinuxLabel .linux.mountLabel; do
		refused "$member = 7" "${member#.}: expected a string"
	done
}

@test "a label for mounts is refused where SELinux is off" {
	if has selinux; then
		refused '.linux.mountLabel = "pt:no:such:label"' "pt:no:such:label"
	else
		refused '.linux.mountLabel = "system_u:object_r:container_file_t:s0"' "SELinux is not enabled on this host"
	fi
}

@test "an AppArmor profile confines the process, of exec too" {
	requires apparmor
	edit_config '.process.apparmorProfile = "unconfined"'
	start_sleeper
	grep -q unconfined "/proc/$PID/attr/current"
	run purple_rt exec "$ID" cat /proc/self/attr/current
	assert_contains unconfined
}

# --- intelRdt -------------------------------------------------------------------------------------

@test "intelRdt without resctrl is refused with the reason, and wrong members by name" {
	refused '.linux.intelRdt = {closID: "a/b"}' "linux.intelRdt.closID: 'a/b' is no name of a group"
	refused '.linux.intelRdt = {closID: ".."}' "linux.intelRdt.closID"
	refused '.linux.intelRdt = {memBwSchema: "L3:0=f"}' "linux.intelRdt.memBwSchema"
	refused '.linux.intelRdt = {schemata: ["nonsense"]}' "linux.intelRdt.schemata[0]"
	refused '.linux.intelRdt = {enableMonitoring: "yes"}' "linux.intelRdt.enableMonitoring"
	[[ $(stat -fc %t /sys/fs/resctrl 2>/dev/null) == 7655821 ]] ||
		refused '.linux.intelRdt = {closID: "gold"}' "linux.intelRdt is not possible: resctrl is not mounted at /sys/fs/resctrl"
	refused '.linux.intelRdt = {closID: "pt-no-such-group"}' "linux.intelRdt"
}

# A mount namespace, of HOLDER, in which a folder is at the place of resctrl, with one group: the
# files are plain ones, that the file system is resctrl is what strace tells the runtime there.
fake_resctrl() {
	requires strace no_sanitizer
	mkdir -p "$BATS_TEST_TMPDIR/fs"
	holder --mount
	nsenter -t "$HOLDER" -m sh -ec '
		mount -t tmpfs fs "$1"
		mkdir -p "$1/cgroup" "$1/resctrl/gold/mon_groups"
		mount --rbind /sys/fs/cgroup "$1/cgroup"
		mount --rbind "$1" /sys/fs
		printf "MB:0=50\nL3:0=3\n" >/sys/fs/resctrl/gold/schemata
		: >/sys/fs/resctrl/gold/tasks' sh "$BATS_TEST_TMPDIR/fs"
	GOLD=/proc/$HOLDER/root/sys/fs/resctrl/gold
}

rdt_rt() {
	local order=2158650700000000 # RESCTRL_SUPER_MAGIC as the machine has it in memory
	[[ $(printf '\1\0' | od -An -tu2) -eq 1 ]] || order=0000000007655821
	nsenter -t "$HOLDER" -m --wd="$PWD" strace -qq -o /dev/null -P /sys/fs/resctrl -e trace=fstatfs \
		-e inject=fstatfs:poke_exit=@arg2=$order "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" "$@"
}

@test "update writes the schemata of the container's group, and puts them back when the rest fails" {
	fake_resctrl
	edit_config '.linux.intelRdt = {closID: "gold"}'
	set_command sleep 1000
	rdt_rt create --bundle "$BUNDLE" --pid-file pid "$ID" </dev/null >out 2>&1 || {
		cat out
		return 1
	}
	assert_equal "$(<"$GOLD/tasks")" "$(<pid)"
	rdt_rt update --l3-cache-schema "L3:0=f" --mem-bw-schema "MB:0=20" "$ID"
	assert_equal "$(<"$GOLD/schemata")" $'L3:0=f\nMB:0=20'
	# Beside limits of the other kinds, and of a document.
	rdt_rt update --mem-bw-schema "MB:0=30" --pids-limit 44 "$ID"
	assert_equal "$(head -n 1 "$GOLD/schemata")" "MB:0=30"
	[[ ! -e $(cgroup_dir "$(<pid)" pids)/pids.max ]] ||
		assert_equal "$(<"$(cgroup_dir "$(<pid)" pids)/pids.max")" 44
	printf 'MB:0=50\nL3:0=3\n' >"$GOLD/schemata"
	rdt_rt update --l3-cache-schema "L3:0=7" --resources - "$ID" <<<'{"pids": {"limit": 45}}'
	assert_equal "$(head -n 1 "$GOLD/schemata")" "L3:0=7"
	printf 'MB:0=50\nL3:0=3\n' >"$GOLD/schemata"
	run rdt_rt update --l3-cache-schema "L3:0=1" --cpuset-cpus 100000 "$ID"
	assert_status 1
	assert_contains "cpu"
	assert_equal "$(<"$GOLD/schemata")" $'MB:0=50\nL3:0=3'
	rm "$GOLD/schemata"
	run rdt_rt update --l3-cache-schema "L3:0=1" --pids-limit 46 "$ID"
	assert_status 1
	assert_contains "group 'gold'"
	[[ ! -e $(cgroup_dir "$(<pid)" pids)/pids.max ]] ||
		assert_equal "$(<"$(cgroup_dir "$(<pid)" pids)/pids.max")" 45
	# Once resctrl is unmounted.
	run purple_rt update --l3-cache-schema "L3:0=1" "$ID"
	assert_status 1
	assert_contains "linux.intelRdt"
	rdt_rt delete --force "$ID"
	[[ -e $GOLD/tasks ]] # the group is not the container's own
}

@test "update of schemata is refused for a container without intelRdt, and wrong ones by name" {
	start_sleeper
	run purple_rt update --l3-cache-schema "L3:0=f" --pids-limit 44 "$ID"
	assert_status 1
	assert_contains "created without linux.intelRdt"
	[[ ! -e $(cgroup_dir "$PID" pids)/pids.max ]] ||
		[[ $(<"$(cgroup_dir "$PID" pids)/pids.max") != 44 ]]
	run purple_rt update --mem-bw-schema "L3:0=f" "$ID"
	assert_status 1
	assert_contains "linux.intelRdt.memBwSchema"
	run purple_rt update --mem-bw-schema "" "$ID"
	assert_status 1
	assert_contains "--mem-bw-schema: '' is not a schema"
	run purple_rt update --l3-cache-schema nonsense "$ID"
	assert_status 1
	assert_contains "--l3-cache-schema: 'nonsense' is not a schema"
}
