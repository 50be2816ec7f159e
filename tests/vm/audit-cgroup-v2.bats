#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What an audited container meets of its limits on a host with cgroup v2 alone: tests/vm/run. What
# limits.bats and audit.bats show of v1, of v2: memory.events, pids.events, cpu.stat.

load ../bats/helpers

runs=/var/lib/purple/runs

setup() {
	requires root busybox jq private_etc cgroup_v2
	[[ -e /sys/fs/cgroup/cgroup.controllers ]] || skip "needs cgroup v2 with controllers"
	purple_setup
	make_bundle
	LOG=$BATS_TEST_TMPDIR/log/a.jsonl
	rm -rf "$runs"
}

# policy RESOURCES: lines below `resources`, of a policy that is recorded.
policy() {
	{
		printf 'name: limits\naudit:\n  log_path: %s\n  detail_level: [resource]\n' "$LOG"
		printf 'resources:\n%s\n' "$1"
	} >p.yaml
	policy_install limits <p.yaml
}

# start SCRIPT: as an engine does it, and waits until it runs.
start() {
	set_script "$1"
	purple_rt --policy limits create --bundle "$BUNDLE" "$ID" >out 2>&1 </dev/null || {
		cat out
		return 1
	}
	purple_rt start "$ID"
	GROUP=/sys/fs/cgroup$(cut -d: -f3 "/proc/$(jq .pid "$PURPLE_ROOT/$ID/state.json")/cgroup")
}

# ended REASON SETTING: waits, and deletes the container, whose record says that.
ended() {
	wait_for 60 is_status stopped
	run "$PURPLE" --root "$PURPLE_ROOT" ps -a
	assert_contains "($2, "
	purple_rt delete "$ID"
	assert_equal "$(jq -r '.end | [.reason, .setting] | join(" ")' "$runs"/*.json)" "$1 $2"
}

has_line() {
	[[ -n $(jq -c "select($1)" "$LOG") ]] && return
	echo "no line: $1"
	cat "$LOG"
	return 1
}

@test "lack of memory: the kernel kills the whole container, and the log, the history and the summary say so" {
	policy '  memory_limit_bytes: 48M'
	start 'sh -c "head -c 200m /dev/zero | tail" & sleep 1000'
	assert_equal "$(cat "$GROUP/memory.max" "$GROUP/memory.oom.group" | paste -sd' ')" "50331648 1"
	ended oom resources.memory_limit_bytes
	has_line '.type == "limit" and .event.action == "oom" and .count > 0'
	has_line '.type == "limit" and .event.action == "oom_kill" and .count > 0'
	has_line '.type == "limit" and .event.action == "memory_max" and .count > 0'
	has_line '.type == "usage" and .usage.oom_kills > 0'
	has_line '.type == "end"'
	run "$PURPLE" --root "$PURPLE_ROOT" audit verify "$LOG"
	assert_status 0
}

@test "lack of memory in purple run: the summary has it" {
	policy '  memory_limit_bytes: 48M'
	printf 'filesystem:\n  immutable_paths: [{ host_path: /usr }, { host_path: /bin }, { host_path: /lib }, { host_path: /lib64 }]\n' >>p.yaml
	run "$PURPLE" --root "$PURPLE_ROOT" run --profile ./p.yaml --name "$ID" -- sh -c 'head -c 200m /dev/zero | tail; sleep 1000'
	assert_status 137
	assert_contains "memory_limit_bytes"
	has_line '.type == "usage" and .usage.oom_kills > 0'
}

@test "memory.high and memory that has to be freed are told, and end nothing" {
	policy '  memory_limit_bytes: 128M'
	edit_config '.linux.resources.unified = {"memory.high": "16777216"}'
	start 'dd if=/dev/zero of=/dev/null bs=24M count=1 2>/dev/null; until [ -e /stop ]; do sleep 1; done; exit 3'
	wait_for 60 has_high
	has_line '.type == "limit" and .event.action == "memory_high" and .count > 0'
	touch "$BUNDLE/rootfs/stop"
	wait_for 60 is_status stopped
	purple_rt delete "$ID"
	has_line '.type == "usage" and .usage.memory_peak > 1000000 and .usage.oom_kills == 0'
}

has_high() {
	grep -q memory_high "$LOG"
}

@test "processes that are not made, and a CPU that is throttled" {
	policy '  pids_limit: 10'
	edit_config '.linux.resources.cpu = {"quota": 5000, "period": 100000}'
	start 'sh -c "while :; do sleep 1000 & done" 2>/dev/null & while :; do :; done'
	wait_for 60 grep -q pids_max "$LOG"
	wait_for 60 grep -q cpu_throttled "$LOG"
	assert_equal "$(cat "$GROUP/pids.max")" 10
	purple_rt delete --force "$ID"
	has_line '.type == "limit" and .event.action == "cpu_throttled" and .throttled > 0'
	has_line '.type == "usage" and .usage.processes_refused > 0 and .usage.throttled_ns > 0'
	assert_equal "$(jq -r '[.usage.processes_limit, .end.reason] | join(" ")' "$runs"/*.json)" "10 stopped"
}

@test "session_timeout_seconds ends all of it, with what does not hear signals" {
	policy '  session_timeout_seconds: 2'
	start 'trap "" TERM; sh -c "trap \"\" TERM; sleep 1000" & while :; do sleep 1; done'
	purple_rt pause "$ID"
	ended timeout resources.session_timeout_seconds
	[[ ! -e $GROUP ]]
	has_line '.type == "end"'
}

@test "who records dies whole: nothing of the container goes on" {
	policy '  pids_limit: 100'
	start 'while :; do sleep 1; done'
	local monitor
	monitor=$(jq .monitorPid "$PURPLE_ROOT/$ID/state.json")
	kill -KILL "$monitor"
	ended audit audit.on_log_failure
}
