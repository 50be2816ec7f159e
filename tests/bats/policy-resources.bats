#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Policy key `resources`: the limits hold, the agent does not get round them, and bad values are
# refused.

load policy

setup_file() {
	agent_build
}

# What an agent could do about its own group, if it were let: write the limit files, leave the
# group for its parent's. Prints what succeeded.
ESCAPE='for f in /sys/fs/cgroup/*/memory.limit_in_bytes /sys/fs/cgroup/*/memory.memsw.limit_in_bytes \
		/sys/fs/cgroup/*/pids.max /sys/fs/cgroup/*/cpu.cfs_quota_us /sys/fs/cgroup/memory.max \
		/sys/fs/cgroup/pids.max /sys/fs/cgroup/cpu.max; do
		[ ! -e $f ] || { echo -1 >$f || echo max >$f; } 2>/dev/null && [ -e $f ] && echo "wrote $f"
	done
	for f in $(find /sys/fs/cgroup /proc/1/root/sys/fs/cgroup -name cgroup.procs 2>/dev/null); do
		echo $$ 2>/dev/null >$f && echo "moved by $f"
	done
	for c in memory pids cpu; do
		mkdir -p /tmp/m && mount -t cgroup -o $c x /tmp/m && echo "mounted $c"
		mkdir /sys/fs/cgroup/$c/sub && echo "made a group"
	done 2>/dev/null
	mount -t cgroup2 x /tmp/m 2>/dev/null && echo "mounted v2"
	mount -o remount,rw /sys/fs/cgroup 2>/dev/null && echo remounted
	mount -o remount,rw,bind /sys/fs/cgroup 2>/dev/null && echo remounted'

# --- memory_limit_bytes ---------------------------------------------------------------------------

@test "memory_limit_bytes: the smaller of policy and engine is the group's limit, swap included" {
	make_bundle
	policy t <<<'resources: { memory_limit_bytes: 64M }'
	local engine want
	for engine in 0 33554432 536870912 -1; do
		want=67108864
		((engine != 33554432)) || want=33554432
		edit_config '.linux.resources.memory = { limit: $l, swap: (if $l == -1 then -1 else $l * 2 end) }' --argjson l "$engine"
		[[ $engine != 0 ]] || edit_config 'del(.linux.resources.memory)'
		start_under t 'exec sleep 1000'
		assert_equal "$(memory_limit_of "$PID")" "$want"
		if [[ -e $(cgroup_dir "$PID" memory)/memory.memsw.limit_in_bytes ]]; then
			assert_equal "$(<"$(cgroup_dir "$PID" memory)/memory.memsw.limit_in_bytes")" "$want"
		elif [[ -e $(cgroup_dir "$PID")/memory.swap.max ]]; then
			assert_equal "$(<"$(cgroup_dir "$PID")/memory.swap.max")" 0
		fi
	done
}

@test "memory_limit_bytes: an agent that needs more is killed" {
	make_generous_bundle
	policy t <<<'resources: { memory_limit_bytes: 64M }'
	run_under t 'exec agent memory 100'
	assert_status 137
	run_under t 'exec agent memory 40'
	assert_output survived
	run_free 'exec agent memory 100'
	assert_output survived
}

@test "memory_limit_bytes: not by many processes, files in memory, shared memory, or scratch" {
	make_generous_bundle
	policy t <<-END
		resources: { memory_limit_bytes: 64M }
		filesystem: { scratch_paths: [/tmp] }
	END
	run_under t 'agent memory 120 4'
	assert_lacks survived
	run_under t 'agent memfd 100'
	assert_lacks survived
	run_under t 'agent memfd 40'
	assert_output survived
	run_under t 'dd if=/dev/zero of=/dev/shm/x bs=1M count=100 2>/dev/null && echo survived'
	assert_lacks survived
	run_under t 'dd if=/dev/zero of=/tmp/x bs=1M count=100 2>/dev/null && echo survived'
	assert_lacks survived
	run_free 'agent memory 120 4; agent memfd 100'
	assert_output $'survived\nsurvived'
}

@test "memory_limit_bytes: the agent cannot raise it, leave its group, or be spared by the killer" {
	make_generous_bundle
	policy t <<-END
		resources: { memory_limit_bytes: 64M, pids_limit: 50, cpu_shares: 1 }
		filesystem: { scratch_paths: [/tmp] }
	END
	run_under t "$ESCAPE"'
		( echo -1000 >/proc/self/oom_score_adj ) 2>/dev/null && echo spared
		agent memory 100'
	assert_lacks wrote
	assert_lacks moved
	assert_lacks mounted
	assert_lacks made
	assert_lacks spared
	assert_lacks survived
	run_free "$ESCAPE"
	assert_contains mounted
}

@test "memory_limit_bytes: a process that is added counts as well" {
	make_generous_bundle
	policy t <<<'resources: { memory_limit_bytes: 64M }'
	start_under t 'exec sleep 1000'
	run purple_rt exec "$ID" agent memory 100
	assert_status 137
}

@test "an update does not take a limit above the policy's" {
	make_bundle
	policy t <<<'resources: { memory_limit_bytes: 64M, pids_limit: 20, cpu_shares: 0.5 }'
	start_under t 'exec sleep 1000'
	local big
	for big in '{"memory":{"limit":536870912,"swap":536870912}}' '{"memory":{"limit":-1,"swap":-1}}' \
		'{"pids":{"limit":1000}}' '{"pids":{"limit":-1}}' '{"cpu":{"quota":200000,"period":100000}}' \
		'{"cpu":{"quota":-1}}' '{"cpu":{"period":1000}}' \
		'{"unified":{"memory.max":"max","pids.max":"max","cpu.max":"max"}}'; do
		run purple_rt update --resources - "$ID" <<<"$big"
		echo "$big: $output"
		assert_equal "$(memory_limit_of "$PID")" 67108864
		assert_equal "$(pids_limit_of "$PID")" 20
		(($(cpu_limit_of "$PID") <= 500))
	done
	# Below it, one may go, and back.
	purple_rt update --resources - "$ID" <<<'{"memory":{"limit":33554432,"swap":33554432},"pids":{"limit":10}}'
	assert_equal "$(memory_limit_of "$PID") $(pids_limit_of "$PID")" "33554432 10"
	purple_rt update --resources - "$ID" <<<'{"pids":{"limit":15}}'
	assert_equal "$(pids_limit_of "$PID")" 15
}

@test "memory_limit_bytes: bad values are refused with line and column" {
	bad_value 3:23 "memory_limit_bytes" <<<$'resources:\n  memory_limit_bytes: lots'
	bad_value 3:23 "memory_limit_bytes" <<<$'resources:\n  memory_limit_bytes: -1'
	bad_value 3:23 "memory_limit_bytes" <<<$'resources:\n  memory_limit_bytes: 0'
	bad_value 3:23 "memory_limit_bytes" <<<$'resources:\n  memory_limit_bytes: 99999999999G'
	bad_value 3:23 "memory_limit_bytes" <<<$'resources:\n  memory_limit_bytes: .nan'
	bad_value 3:3 "did you mean 'memory_limit_bytes'" <<<$'resources:\n  memory_limit_byte: 1G'
}

# --- cpu_shares -----------------------------------------------------------------------------------

@test "cpu_shares: a hard quota, the smaller of policy's and engine's" {
	make_bundle
	policy t <<<'resources: { cpu_shares: 0.5 }'
	local engine
	for engine in '{}' '{ quota: 200000, period: 100000 }' '{ quota: -1 }' '{ quota: 5000, period: 10000 }'; do
		edit_config ".linux.resources.cpu = $engine"
		start_under t 'exec sleep 1000'
		assert_equal "$(cpu_limit_of "$PID")" 500
	done
	edit_config '.linux.resources.cpu = { quota: 10000, period: 100000 }'
	start_under t 'exec sleep 1000'
	assert_equal "$(cpu_limit_of "$PID")" 100
}

@test "cpu_shares: scheduling in real time, which knows no quota, is refused, for exec too" {
	make_generous_bundle
	policy t <<<'resources: { cpu_shares: 0.5 }'
	start_under t 'exec sleep 1000'
	jq -n '{user: {uid: 0, gid: 0}, args: ["true"], env: ["PATH=/bin"], cwd: "/",
		scheduler: {policy: "SCHED_DEADLINE", runtime: 1000000, deadline: 2000000, period: 2000000}}' >process.json
	run purple_rt exec --process process.json "$ID"
	assert_status 255
	assert_contains "SCHED_DEADLINE is refused where the CPU is limited"
	edit_config '.process.scheduler = {policy: "SCHED_RR", priority: 1}'
	run_under t true
	assert_status 1
	assert_contains "SCHED_RR is refused where the CPU is limited"
	edit_config '.process.scheduler = {policy: "SCHED_BATCH"}'
	run_under t 'cut -d" " -f 41 /proc/self/stat'
	assert_output 3
}

@test "cpu_shares: an agent does not get more, with several processes, priorities, or its files" {
	make_generous_bundle
	policy t <<-END
		resources: { cpu_shares: 0.3 }
		filesystem: { scratch_paths: [/tmp] }
	END
	run_under t "$ESCAPE"'
		[ "$(agent call sched_setscheduler 0 1 b:4)" != ok ] || echo realtime
		[ "$(agent call setpriority 0 0 -20)" != ok ] || echo nice
		agent spin 3 & agent spin 3 & wait'
	assert_lacks wrote
	assert_lacks moved
	assert_lacks realtime
	assert_lacks nice
	local sum=$((lines[-1] + lines[-2]))
	echo "the two had $sum of 3000 ms"
	((sum > 0 && sum < 1500))
}

@test "cpu_shares: bad values are refused with line and column" {
	bad_value 3:15 "cpu_shares" <<<$'resources:\n  cpu_shares: 0'
	bad_value 3:15 "cpu_shares" <<<$'resources:\n  cpu_shares: -1'
	bad_value 3:15 "cpu_shares" <<<$'resources:\n  cpu_shares: .inf'
	bad_value 3:15 "cpu_shares" <<<$'resources:\n  cpu_shares: half'
}

# --- pids_limit -----------------------------------------------------------------------------------

@test "pids_limit: the smaller of policy's and engine's" {
	make_bundle
	policy t <<<'resources: { pids_limit: 20 }'
	local engine want
	for engine in '{}' '{ limit: -1 }' '{ limit: 1000 }' '{ limit: 10 }'; do
		want=20
		[[ $engine != *' 10 '* ]] || want=10
		edit_config ".linux.resources.pids = $engine"
		[[ $engine != '{}' ]] || edit_config 'del(.linux.resources.pids)'
		start_under t 'exec sleep 1000'
		assert_equal "$(pids_limit_of "$PID")" "$want"
	done
}

@test "pids_limit: fork bombs and thread bombs end at the limit, also in added processes" {
	make_generous_bundle
	policy t <<-END
		resources: { pids_limit: 20 }
		filesystem: { scratch_paths: [/tmp] }
	END
	run_under t "$ESCAPE"'
		agent fork-bomb; i=0
		until [ "$(ls -d /proc/[0-9]* | wc -l)" -lt 5 ] || [ $((i += 1)) -gt 100 ]; do sleep 0.1; done; agent thread-bomb'
	assert_lacks wrote
	assert_lacks moved
	local count
	for count in "${lines[@]: -2}"; do
		[[ $count == *EAGAIN ]]
		((${count% *} > 5 && ${count% *} < 20))
	done
	run_free 'agent fork-bomb | cut -d " " -f 1'
	((output > 100))

	start_under t 'exec sleep 1000'
	run purple_rt exec "$ID" agent fork-bomb
	[[ $output == *EAGAIN ]]
	((${output% *} < 20))
}

@test "pids_limit: bad values are refused with line and column" {
	bad_value 3:15 "pids_limit" <<<$'resources:\n  pids_limit: 0'
	bad_value 3:15 "pids_limit" <<<$'resources:\n  pids_limit: 1.5'
	bad_value 3:15 "pids_limit" <<<$'resources:\n  pids_limit: 4194305'
	bad_value 3:15 "pids_limit" <<<$'resources:\n  pids_limit: many'
}

# --- block_io_limit -------------------------------------------------------------------------------

@test "block_io_limit: writing to an output path is held to the rate, in how many processes ever" {
	make_generous_bundle
	mkdir output
	[[ -b $(findmnt -no SOURCE -T output) ]] || skip "needs a file system on a block device"
	policy t <<-END
		filesystem: { output_paths: [{ host_path: $PWD/output, sandbox_path: /out }] }
		resources: { block_io_limit: 4MBps }
	END
	run_under t 'agent direct-write /out/a 6 & agent direct-write /out/b 6 & wait'
	assert_status 0
	echo "$output"
	# 12 MB at 4 MB a second, of which the kernel may let the first second pass.
	((lines[0] > 1500 || lines[1] > 1500))
}

@test "block_io_limit: a limit of the engine's is only lowered" {
	make_generous_bundle
	mkdir output
	local disk major minor
	disk=$(findmnt -no MAJ:MIN -T output | tr -d ' ')
	[[ -b $(findmnt -no SOURCE -T output) ]] || skip "needs a file system on a block device"
	[[ -d /sys/fs/cgroup/blkio ]] || skip "needs cgroup v1 controllers"
	major=${disk%:*} minor=${disk#*:}
	policy t <<-END
		filesystem: { output_paths: [{ host_path: $PWD/output, sandbox_path: /out }] }
		resources: { block_io_limit: 4MBps }
	END
	local rate want
	for rate in 1000000 900000000 0; do
		want=4194304
		((rate != 1000000)) || want=1000000
		edit_config ".linux.resources.blockIO = { throttleWriteBpsDevice: [{ major: $major, minor: $minor, rate: $rate }] }"
		start_under t 'exec sleep 1000'
		assert_equal "$(<"$(cgroup_dir "$PID" blkio)/blkio.throttle.write_bps_device")" "$disk $want"
		assert_equal "$(<"$(cgroup_dir "$PID" blkio)/blkio.throttle.read_bps_device")" "$disk 4194304"
	done
}

@test "block_io_limit: bad values are refused with line and column" {
	bad_value 3:19 "block_io_limit" <<<$'resources:\n  block_io_limit: fast'
	bad_value 3:19 "block_io_limit" <<<$'resources:\n  block_io_limit: 0MBps'
	bad_value 3:19 "block_io_limit" <<<$'resources:\n  block_io_limit: -5MBps'
}

# --- session_timeout_seconds ----------------------------------------------------------------------

@test "session_timeout_seconds: bad values are refused with line and column" {
	bad_value 3:28 "session_timeout_seconds" <<<$'resources:\n  session_timeout_seconds: 0'
	bad_value 3:28 "session_timeout_seconds" <<<$'resources:\n  session_timeout_seconds: soon'
}
