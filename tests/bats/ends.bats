#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What can end an audited run, or takes something from it: each is told alike in purple ps -a, in the
# summary of purple run, and in the audit.

load helpers
load gateway

setup() {
	requires root jq private_etc python3 cgroup_v2_tree
	purple_setup
	rm -rf "$runs"
	LOG=$PWD/logs/$ID.jsonl
	_gateway_pids=()
}

teardown() {
	gateway_teardown
	! mountpoint -q logs || umount logs
	purple_teardown
}

runs=/var/lib/purple/runs

# profile <YAML: p.yaml, audited, in which programs of the host run, and more.
profile() {
	{
		printf 'name: %s\n' "$ID"
		host_files
		printf 'audit: { log_path: "%s" }\n' "$LOG"
		cat
	} >p.yaml
}

# sandbox SCRIPT [POLICY]: stderr apart.
sandbox() {
	run --separate-stderr purple_ run --summary text --profile "${2:-./p.yaml}" --name "$ID" -- bash -c "$1"
}

# begin SCRIPT: in the background. end: waits for it, and sets stderr as sandbox does.
begin() {
	TEST_PROVIDER_KEY=sk-test "$PURPLE" --root "$PURPLE_ROOT" run --summary text --profile ./p.yaml --name "$ID" -- bash -c "$1" >out 2>err </dev/null 3>&- &
	SUPERVISOR=$!
	wait_for 30 eval '[[ $(purple_ ps -q) == "$ID" && ! -e $PURPLE_ROOT/$ID/start.sock ]]'
}

end() {
	wait "$SUPERVISOR" || true
	stderr=$(<err)
}

state() {
	jq -e "$1" "$PURPLE_ROOT/$ID/state.json"
}

# says TEXT: as ps -a and the summary have it.
says() {
	output=$stderr
	assert_contains "purple: $ID: $1"
	run purple_ ps -a
	assert_contains "[$1"
}

# record FILTER: of the newest record.
record() {
	local files
	files=("$runs"/*.json)
	jq -er "$1" "${files[-1]}"
}

# audited FILTER: a line of the log.
audited() {
	[[ -n $(jq -c "select($1)" "$LOG") ]] || {
		echo "no line: $1"
		jq -c '[.type, .event.action]' "$LOG" | sort | uniq -c
		return 1
	}
}

@test "a time-out, lack of memory and a fork bomb: why is in ps -a, the summary and the audit" {
	profile <<<$'resources:\n  session_timeout_seconds: 1'
	sandbox 'sleep 600'
	assert_status 124
	says "stopped: its time was over"
	audited '.type == "stop" and .event.action == "timeout" and .rule.name == "resources.session_timeout_seconds"'
	rm -r logs
	profile <<<$'resources:\n  memory_limit_bytes: 40M'
	sandbox 'head -c 256M /dev/zero | tail; sleep 1'
	assert_status 137
	says "killed: out of memory"
	audited '.type == "stop" and .event.action == "oom" and (.rule.reference | startswith("./p.yaml:"))'
	audited '.type == "limit" and (.event.action | startswith("oom"))'
	rm -r logs
	# It is held, and goes on.
	profile <<<$'resources:\n  pids_limit: 20'
	sandbox 'exec python3 -c "if 1:
		import os, time
		for i in range(40):
			try:
				if os.fork() == 0: time.sleep(1); os._exit(0)
			except OSError: pass
		time.sleep(1)
		os._exit(5)"'
	assert_status 5
	says "exited with status 5"
	[[ $stderr == *"processes 20 of 20"* ]]
	assert_equal "$(record '[.usage.processes_peak, .usage.processes_limit] | join(" ")')" "20 20"
	audited '.type == "limit" and .event.action == "pids_max"'
	audited '.type == "usage" and .usage.processes_refused > 0'
}

@test "a full log and the monitor's death: why is in ps -a, the summary and the audit" {
	mkdir -m 0700 logs
	mount -t tmpfs -o size=64k,mode=0700 none logs
	profile </dev/null
	# The note of it has the policy's path, however long that is.
	sandbox 'while :; do cat /missing 2>/dev/null; done' "$(printf './%.0s' {1..1500})p.yaml"
	says "stopped: what it did could not be recorded"
	[[ $stderr == *"log cannot be written"* && $stderr == *"p.yaml:"* ]]
	assert_equal "$(record '.end | [.reason, .setting] | join(" ")')" "audit audit.on_log_failure"
	(($(record '.end.policy | length') > 3000))
	# What the log has of it is whole; that it lacks the rest is to be seen.
	run purple_ audit verify "$LOG"
	assert_status 0
	[[ -z $(jq -c 'select(.type == "end")' "$LOG") ]]
	umount logs
	begin 'sleep 600'
	kill -KILL "$(state .monitorPid)"
	end
	says "stopped: what it did could not be recorded"
	assert_equal "$(record '.end | [.reason, .setting] | join(" ")')" "audit audit.on_log_failure"
	audited '.type == "monitor_died"'
}

@test "the gateway's death: calls end, which is in the summary and the audit, and the agent goes on" {
	requires gateway
	provider_start
	profile <<-END
		network: { isolated: true }
		ai_policy:
		  budget: { max_tokens: 1000, on_exceeded: stop }
		  llm_apis:
		    providers: [{ name: openai, endpoints: ["http://127.0.0.1:$PROVIDER_PORT/v1"], api_key_env: TEST_PROVIDER_KEY }]
	END
	begin 'sleep 3; exit 4'
	kill -KILL "$(state .gatewayPid)"
	end
	says "exited with status 4"
	record '.llm.incomplete'
	audited '.type == "gateway_died" and (.error.message | contains("cannot call an LLM"))'
}
