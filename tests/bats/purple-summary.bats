#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What is left of a run: why it ended, what it used and was denied; in the summary of purple run, in
# purple ps -a, in purple profile show, and in the folder of the history.

load helpers

setup() {
	requires root jq private_etc python3
	purple_setup
	rm -rf "$runs"
	profile </dev/null
}

runs=/var/lib/purple/runs

# profile <YAML: p.yaml, in which programs of the host run, and more.
profile() {
	{
		printf 'name: %s\n' "$ID"
		host_files
		cat
	} >p.yaml
}

# sandbox OPTION... -- COMMAND...: `run`s it under p.yaml; stderr apart.
sandbox() {
	run --separate-stderr purple_ run --profile ./p.yaml --name "$ID" "$@"
}

assert_says() { # TEXT: somewhere in stderr
	output=$stderr
	assert_contains "$1"
}

# record FILTER: of the newest record.
record() {
	local files
	files=("$runs"/*.json)
	jq -er "$1" "${files[-1]}"
}

check_schema() {
	jq -c . "$runs"/*.json >records.jsonl
	python3 -W ignore "$PURPLE_SRCDIR/tests/unit/validate_lines.py" "$PURPLE_SRCDIR/docs/run.schema.json" records.jsonl
}

# reason [ID]: of the run that is over, as ps -a has it.
reason() {
	purple_ ps -a --format json | jq -er --arg id "${1:-$ID}" 'first(.[] | select(.id == $id)) | .end.reason'
}

has_reason() {
	[[ $(reason) == "$1" ]]
}

@test "a run that ends by itself is recorded with its status, what it used, and nothing else of it stays" {
	sandbox -- sh -c 'sleep 0.3 & wait; exit 7'
	assert_status 7
	assert_equal "$stderr" ""
	assert_equal "$(stat -c %a /var/lib/purple/runs)" 700
	assert_equal "$(stat -c %a "$runs"/*.json)" 600
	assert_equal "$(record '[.id, .root, .end.reason, .end.status, .policies[0], .command[0]] | join(" ")')" \
		"$ID $PURPLE_ROOT exited 7 $ID sh"
	record '.duration_ms >= 300 and .duration_ms < 100000 and .usage.cpu_ns > 0 and .denied == 0 and .lost == 0'
	record '.usage.memory_peak > 0 and .usage.processes_peak >= 2'
	check_schema
	[[ ! -e $PURPLE_ROOT/$ID ]]
	has_reason exited
	run purple_ ps -a
	assert_contains "[exited with status 7]"
	run purple_ ps
	assert_lacks "$ID"
}

@test "--summary: text of few lines within 80 columns, json that is the record, none, and a file" {
	profile <<<'resources: { memory_limit_bytes: 200M, pids_limit: 50 }'
	sandbox --summary text -- sh -c 'echo out; exit 3'
	assert_status 3
	assert_output out
	[[ $stderr == "purple: $ID: exited with status 3, after "*" s"$'\n'"  used     memory "*" of 200 MB, cpu "*", processes "*" of 50" ]]
	(($(wc -L <<<"$stderr") <= 80))
	sandbox --summary=json --summary-file sum.json -- true
	assert_equal "$(jq -r .id <<<"$stderr")" "$ID"
	assert_equal "$(jq -c . sum.json)" "$(jq -c . <<<"$stderr")"
	assert_equal "$(record .)" "$(jq . sum.json)"
	sandbox --summary none -- true
	assert_equal "$stderr" ""
	sandbox --quiet -- true
	assert_equal "$stderr" ""
	sandbox --quiet --summary text -- true
	assert_says "exclude each other"
	sandbox --summary xml -- true
	assert_says "expected text, json or none"
}

@test "on a terminal the summary is there without being asked for" {
	requires script
	run script -qec "'$PURPLE' --root '$PURPLE_ROOT' run -p ./p.yaml --name $ID -- true" /dev/null
	assert_status 0
	assert_contains "purple: $ID: exited with status 0, after "
	run script -qec "'$PURPLE' --root '$PURPLE_ROOT' run -q -p ./p.yaml --name $ID -- echo only" /dev/null
	assert_contains only
	assert_lacks purple:
}

@test "a time-out, lack of memory, purple stop and a signal to purple run are told from one another" {
	local line
	profile <<<$'resources:\n  session_timeout_seconds: 1\n  memory_limit_bytes: 40M'
	line=$(grep -n session_timeout p.yaml | cut -d: -f1)
	sandbox -- sleep 100
	assert_status 124
	assert_equal "$(record '[.end.reason, .end.by, .end.setting, .end.policy] | join(" ")')" \
		"timeout purple run resources.session_timeout_seconds ./p.yaml:$line"
	profile <<<$'resources:\n  memory_limit_bytes: 40M'
	line=$(grep -n memory_limit p.yaml | cut -d: -f1)
	sandbox -- sh -c 'head -c 256M /dev/zero | tail; sleep 1'
	assert_status 137
	assert_equal "$(record '[.end.reason, .end.setting, .end.policy] | join(" ")')" \
		"oom resources.memory_limit_bytes ./p.yaml:$line"
	has_reason oom
	in_background sleep 100
	purple_ stop "$ID"
	wait "$SUPERVISOR" || true
	assert_equal "$(record '.end | [.reason, .by] | join(" ")')" "stopped SIGTERM, by root"
	in_background sleep 100
	kill -INT "$SUPERVISOR"
	wait "$SUPERVISOR" || true
	assert_equal "$(record '.end | [.reason, .by, .status] | join(" ")')" "stopped SIGINT to purple run 130"
	in_background sleep 100
	kill -KILL "$SUPERVISOR"
	wait "$SUPERVISOR" || true
	wait_for 10 has_detail "purple run was killed"
	sandbox -- sh -c 'kill -SEGV $$'
	assert_equal "$(record '.end | [.reason, .status] | join(" ")')" "signaled 139"
}

# in_background COMMAND...: sets SUPERVISOR, and waits until the sandbox runs.
in_background() {
	"$PURPLE" --root "$PURPLE_ROOT" run --profile ./p.yaml --name "$ID" -- "$@" >/dev/null 2>&1 </dev/null 3>&- &
	SUPERVISOR=$!
	wait_for 10 is_running
}

is_running() {
	[[ $(purple_ ps -q) == "$ID" && ! -e $PURPLE_ROOT/$ID/start.sock ]]
}

has_detail() {
	[[ $(record .end.detail 2>/dev/null) == "$1" ]]
}

@test "denials are grouped by rule, with the policy's line and the command that says more" {
	profile <<<$'network:\n  allow_outgoing: ["203.0.113.1"]\n  blocked_ips: [192.0.2.0/24]'
	local line command
	line=$(grep -n blocked_ips p.yaml | cut -d: -f1)
	sandbox --summary text -- bash -c 'for i in 1 2 3; do : >/dev/tcp/192.0.2.1/443; done; : >/dev/tcp/198.51.100.1/80' 2>/dev/null
	assert_equal "$(record .denied)" 4
	assert_equal "$(record '.denials | length')" 2
	assert_equal "$(record '.denials[0] | [.count, .target, .policy] | join(" ")')" "3 192.0.2.1:443 $ID"
	[[ $(record '.denials[0].reference') == ./p.yaml:$line:* ]]
	[[ $stderr == *"denied   4 times"*"3 x 192.0.2.1:443: "*"./p.yaml:$line:"* ]]
	check_schema
	# The command works as it stands there.
	command=$(record '.denials[0].command')
	run bash -c "${PURPLE@Q} ${command#purple }"
	assert_contains "192.0.2.1:443/tcp: denied"
	policy_install "$ID" <p.yaml
	run purple_ profile show "$ID"
	assert_contains "#     3 x 192.0.2.1:443: "
	assert_contains ", 4 denied: exited with status"
}

@test "purple run tells denials as they happen, with rule and command, and not more than is readable" {
	profile <<<$'network:\n  allow_outgoing: ["203.0.113.1"]\n  blocked_ips: [192.0.2.0/24]'
	local line
	line=$(grep -n blocked_ips p.yaml | cut -d: -f1)
	"$PURPLE" --root "$PURPLE_ROOT" run --profile ./p.yaml --name "$ID" -- \
		bash -c ': >/dev/tcp/192.0.2.1/443; exec sleep 1000' >out 2>err </dev/null 3>&- &
	SUPERVISOR=$!
	# While it runs.
	wait_for 10 grep -q "^purple: denied: " err
	kill -0 "$SUPERVISOR"
	grep -q "^purple: denied: the connection with 192.0.2.1:443: .*192.0.2.0/24 (./p.yaml:$line:[0-9]*); see: purple policy why /.*/p.yaml 192.0.2.1:443$" err
	[[ ! -s out ]]
	purple_ stop "$ID"
	wait "$SUPERVISOR" || true
	# One that ends at once is told of all the same; many are told by their number.
	sandbox -- bash -c 'for ((i = 1; i < 60; i++)); do : >/dev/tcp/192.0.2.$i/443; done'
	assert_says "purple: denied: the connection with 192.0.2.1:443"
	(($(grep -c "^purple: denied" <<<"$stderr") < 40))
	sandbox --quiet -- bash -c ': >/dev/tcp/192.0.2.1/443' 
	assert_lacks "purple: denied"
	# In the terminal's raw mode a line begins where lines begin.
	run script -qec "'$PURPLE' --root '$PURPLE_ROOT' run -p ./p.yaml --name $ID -- bash -c ': >/dev/tcp/192.0.2.1/443; sleep 1'" /dev/null
	assert_contains $'192.0.2.1:443\r\n'
}

@test "the newest thousand runs are kept, and a folder that cannot be used changes nothing but a warning" {
	local i
	mkdir -m 0700 "$runs"
	for i in {1000..2005}; do
		printf '{"id":"old-%s","ended":"2020","end":{"reason":"exited"}}\n' "$i" >"$runs/2020-$i.json"
	done
	sandbox -- true
	assert_equal "$(find "$runs" -name '*.json' | wc -l)" 1000
	[[ -e $runs/2020-2005.json && ! -e $runs/2020-1000.json ]]
	assert_equal "$(record .id)" "$ID"
	rm -rf "$runs"
	echo >"$runs"
	sandbox -- sh -c 'exit 5'
	assert_status 5
	assert_says "purple: the run is not recorded: "
	rm "$runs"
}

@test "containers of the runtime are recorded at delete, where a policy holds" {
	policy_install "$ID" <p.yaml
	make_bundle
	set_command sleep 100
	purple_rt --policy "$ID" run -d --bundle "$BUNDLE" "$ID"
	purple_rt kill "$ID" KILL
	wait_status stopped
	run purple_ ps -a
	assert_contains "[stopped (SIGKILL, by root)]"
	purple_rt delete "$ID"
	assert_equal "$(record '[.id, .end.reason] | join(" ")')" "$ID stopped"
	rm -f "$runs"/*
	purple_rt run -d --bundle "$BUNDLE" "$ID"
	purple_rt delete -f "$ID"
	[[ -z $(ls "$runs") ]]
}
