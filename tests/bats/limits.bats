#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Limits that end a container under an engine, which has nobody standing in front of it: a session's
# time-out, lack of memory, the loss of who records it. Each with its reason in the history.

load helpers

setup() {
	requires root jq private_etc
	purple_setup
	make_bundle
	rm -rf "$runs"
}

runs=/var/lib/purple/runs

# policy <YAML: the policy `limits`, under which `start` runs.
policy() {
	{
		echo 'name: limits'
		cat
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
}

state() {
	jq -r "$1 // 0" "$PURPLE_ROOT/$ID/state.json"
}

# ended REASON SETTING [DETAIL|any]: deletes the stopped container, whose record says that.
ended() {
	local file key detail='.detail // ""'
	[[ ${3:-} != any ]] || detail='"any"'
	wait_for 30 is_status stopped
	run "$PURPLE" --root "$PURPLE_ROOT" ps -a
	assert_contains "($2, "
	purple_rt delete "$ID"
	file=$(echo "$runs"/*.json)
	assert_equal "$(jq -r ".end | [.reason, .setting, $detail] | join(\" \")" "$file")" "$1 $2 ${3:-}"
	key=${2##*.}
	[[ $1 != audit ]] || key=audit:
	assert_equal "$(jq -r .end.policy "$file")" "/etc/purple/policies/limits.yaml:$(grep -n "$key" p.yaml | cut -d: -f1)"
}

# The monitor's child that has rights to write files: not the warden, nor who ends connections.
recorder() {
	local pid
	for pid in $(pgrep -P "$(state .monitorPid)"); do
		[[ $(awk '/^Uid/ { print $2 }' "/proc/$pid/status") != 0 ]] || echo "$pid"
	done
}

is_gone() {
	! kill -0 "$1" 2>/dev/null || [[ $(awk '/^State/ { print $2 }' "/proc/$1/status" 2>/dev/null) == Z ]]
}

@test "session_timeout_seconds ends a container that nobody stands in front of, frozen or not" {
	policy <<<$'resources:\n  session_timeout_seconds: 4'
	local warden
	start 'sleep 1000'
	warden=$(state .wardenPid)
	grep -q purple-warden "/proc/$warden/comm"
	# What it keeps of root: to kill.
	assert_equal "$(awk '/^CapEff/ { print $2 }' "/proc/$warden/status")" 0000000000000020
	assert_equal "$(awk '/^Uid/ { print $2, $3 }' "/proc/$warden/status")" "65534 65534"
	[[ ! -e $PURPLE_ROOT/$ID/events.jsonl ]]
	purple_rt pause "$ID"
	ended timeout resources.session_timeout_seconds
	wait_for 10 is_gone "$warden"
}

@test "a container that ends before its time leaves nobody who waits for it" {
	policy <<<$'resources:\n  session_timeout_seconds: 1000'
	local warden
	start 'sleep 1000'
	warden=$(state .wardenPid)
	purple_rt kill "$ID" KILL
	wait_for 10 is_gone "$warden"
	wait_status stopped
	purple_rt delete "$ID"
}

@test "lack of memory ends the whole container, and not the process alone that the kernel chose" {
	policy <<<$'resources:\n  memory_limit_bytes: 48M'
	start 'sh -c "head -c 200m /dev/zero | tail" & sleep 1000'
	ended oom resources.memory_limit_bytes
}

@test "a fork bomb gets no further than pids_limit, and the record has how far it came" {
	policy <<<$'resources:\n  pids_limit: 20'
	start 'sh -c "while :; do sleep 1000 & done" 2>/dev/null & exec sleep 1000'
	wait_for 20 has_processes 19
	purple_rt delete --force "$ID"
	assert_equal "$(jq -r '[.usage.processes_peak, .usage.processes_limit, .end.reason] | join(" ")' "$runs"/*.json)" \
		"20 20 stopped"
}

@test "the time-out holds when the monitor is killed, which has it where there are network rules" {
	policy <<<$'resources:\n  session_timeout_seconds: 6\nnetwork:\n  allow_outgoing: ["192.0.2.1"]'
	start 'trap exit TERM; while :; do sleep 0.1; done'
	assert_equal "$(state .wardenPid)" 0
	kill -KILL "$(state .monitorPid)"
	ended timeout resources.session_timeout_seconds
}

# audited [WHAT]: a policy that is recorded, and what is done when it cannot be.
audited() {
	mkdir -p "$BATS_TEST_TMPDIR/log"
	policy <<-END
		audit:
		  log_path: $BATS_TEST_TMPDIR/log/a.jsonl
		  on_log_failure: ${1:-stop}
	END
}

@test "an audited container ends when the monitor is killed" {
	audited
	start 'sleep 1000'
	kill -KILL "$(state .monitorPid)"
	ended audit audit.on_log_failure "who records it died"
}

# Stopped first: none of them sees another one's death.
kill_at_once() {
	kill -STOP "$@"
	kill -KILL "$@"
}

@test "an audited container ends whichever of those who record it die at once" {
	local monitor recorder warden
	audited
	for who in 'monitor warden' 'recorder warden' 'monitor recorder' warden; do
		rm -f "$runs"/*
		new_id
		start 'sleep 1000'
		monitor=$(state .monitorPid)
		recorder=$(recorder)
		warden=$(pgrep -P "$monitor" -x purple-warden)
		# shellcheck disable=SC2046 # names of variables
		kill_at_once $(for name in $who; do echo "${!name}"; done)
		ended audit audit.on_log_failure any
	done
}

@test "when all who record it are gone at once, nothing can be added to it, and purple run ends it" {
	audited
	start 'sleep 1000'
	kill_at_once "$(state .monitorPid)" $(pgrep -P "$(state .monitorPid)")
	run purple_rt exec "$ID" true
	[[ $status != 0 ]]
	assert_contains "who records it has died"
	ended audit audit.on_log_failure "who records it died"
	printf 'filesystem:\n  immutable_paths: [{ host_path: /usr }, { host_path: /bin }, { host_path: /lib }, { host_path: /lib64 }]\n' >>p.yaml
	new_id
	"$PURPLE" --root "$PURPLE_ROOT" run --profile ./p.yaml --name "$ID" -- sleep 1000 >run.out 2>&1 3>&- &
	local supervisor=$!
	wait_for 30 is_status running
	kill_at_once "$(state .monitorPid)" $(pgrep -P "$(state .monitorPid)")
	wait_for 30 is_gone "$supervisor"
	grep -q "who records it died" run.out || { cat run.out; return 1; }
}

@test "what init left behind in another pid namespace ends with it, if it is recorded or has its time" {
	local other left
	# As that of another container.
	unshare --pid --fork sleep 1000 3>&- &
	other=$!
	wait_for 10 pgrep -P "$other"
	edit_config '.linux.namespaces |= map(if .type == "pid" then .path = $p else . end)' \
		--arg p "/proc/$(pgrep -P "$other")/ns/pid"
	for kind in audited time; do
		if [[ $kind == audited ]]; then
			audited
		else
			policy <<<$'resources:\n  session_timeout_seconds: 1000'
		fi
		new_id
		start 'sleep 1000 >/dev/null 2>&1 & while :; do sleep 1000; done'
		wait_for 20 has_processes 3
		mapfile -t left < <(purple_rt ps --format json "$ID" | jq '.[]')
		kill -KILL "$(state .pid)"
		for pid in "${left[@]}"; do wait_for 20 is_gone "$pid"; done
		purple_rt delete "$ID"
	done
	kill -KILL "$(pgrep -P "$other")"
	wait "$other" || true
}

has_processes() {
	(($(purple_rt ps --format json "$ID" | jq length) >= $1))
}

@test "an audited container ends when its recorder is killed, unless the policy says continue" {
	audited
	start 'sleep 1000'
	kill -KILL "$(recorder)"
	ended audit audit.on_log_failure "its log cannot be written"
	rm -f "$runs"/*
	audited continue
	start 'sleep 1000'
	kill -KILL "$(recorder)"
	wait_for 20 grep -q recorder_died "$PURPLE_ROOT/$ID/events.jsonl"
	is_status running
}

@test "Podman: session_timeout_seconds ends a container, and the history has why" {
	load podman
	podman_setup
	policy <<<$'resources:\n  session_timeout_seconds: 2'
	podman_ run -d --name "$ID" --annotation io.purple.policy=limits "$IMAGE" sh -c 'trap exit TERM; while :; do sleep 0.1; done' >cid
	wait_for 30 has_exited
	wait_for 20 eval '[[ -n $(ls "$runs" 2>/dev/null) ]]'
	assert_equal "$(jq -r '[.id, .end.reason] | join(" ")' "$runs"/*.json)" "$(<cid) timeout"
	podman_teardown
}

has_exited() {
	[[ $(podman_ inspect --format '{{.State.Status}}' "$ID") == exited ]]
}
