#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# purple monitor: what it shows of sandboxes, as lines and on a screen, and how it leaves a terminal.

load helpers

setup() {
	requires root jq
	purple_setup
	mountpoint -q /sys/fs/bpf || mount -t bpf -o mode=0700 purple-test /sys/fs/bpf
}

# screen SIZE STEP... [-- OPTION...]: `run`s the monitor on a terminal; see helpers/screen.py.
screen() {
	# Debian's Python, whatever else is in PATH: python3-pyte is its module.
	/usr/bin/python3 -c 'import pyte' 2>/dev/null || skip "needs python3-pyte"
	run /usr/bin/python3 "$PURPLE_SRCDIR/tests/bats/helpers/screen.py" "$@" \
		-- "$PURPLE" --root "$PURPLE_ROOT" monitor --interval 0.2
}

# agent SCRIPT: runs it in the sandbox ID, and waits for its denials; sets SUPERVISOR.
agent() {
	{
		printf 'name: watched\n'
		host_files
		printf 'network: { allow_outgoing: ["127.0.0.1:1"] }\n'
		printf 'resources: { memory_limit_bytes: "64M", pids_limit: 20 }\n'
	} >p.yaml
	# Not by a function: $! would be a shell's.
	"$PURPLE" --root "$PURPLE_ROOT" run --profile ./p.yaml --name "$ID" -- bash -c "$1" \
		>agent.out 2>agent.err </dev/null 3>&- &
	SUPERVISOR=$!
	wait_for 10 grep -qs '"verdict":"deny"' "$PURPLE_ROOT/$ID/events.jsonl" || {
		cat agent.err
		return 1
	}
}

# A state folder without a container, as one that has ended leaves it: stopped ID [JQ-FILTER].
stopped() {
	mkdir -p "$PURPLE_ROOT/$1"
	jq -n --arg id "$1" "{ociVersion: \"1.2.0\", id: \$id, bundle: \"/\", rootfs: \"/\", pid: 2147483647,
		pidStart: 1, created: \"2026-11-22T10:00:00.000000000Z\", policies: [{name: \"p\", path: \"/p.yaml\",
		chosenBy: \"the test\", sections: {}}]} | ${2:-.}" >"$PURPLE_ROOT/$1/state.json"
}

@test "monitor shows what a sandbox uses and is denied, as lines and on a screen, until it is gone" {
	agent 'while :; do echo >/dev/tcp/192.0.2.1/80; done 2>/dev/null'
	run purple_ monitor --once
	assert_status 0
	assert_contains "1 sandbox"
	assert_contains "$ID"
	echo "$output"
	grep -qE "^$ID +watched +running +[0-9.]+ +[0-9.]+[KM]?/64M +[0-9]+/20 +[0-9.kM]+ +- +- +-\$" <<<"$output"
	assert_contains "$ID: denied connect tcp to 192.0.2.1 port 80, by bash"
	run purple_ monitor --once --format json
	assert_status 0
	jq -e --arg id "$ID" '.sandboxes | length == 1 and (.[0] | .id == $id and .status == "running"
		and .policies == "watched" and .cpu_percent > 0 and .memory.limit == 67108864
		and .memory.usage > 0 and .pids.limit == 20 and .pids.current > 0
		and .network.denied > 0 and (has("llm") | not) and .pid > 0)' <<<"$output"
	jq -e '.events[-1] | .verdict == "deny" and .destination.ip == "192.0.2.1"' <<<"$output"

	screen 80x24 see "${ID:0:8}.* watched +running" see 'denied connect tcp' \
		press e see 'Events of pt-' press s see 'by cpu' \
		press '\r' see 'network rules' see 'allow_outgoing: 127.0.0.1:1' \
		resize 100x60 see 'events, the newest first' press '\x1b' see 'CPU%' \
		resize 30x8 see 'running' resize 5x2 resize 80x24 see 'q quit' \
		run "'$PURPLE_RUNTIME' --root '$PURPLE_ROOT' pause '$ID'" see frozen \
		run "'$PURPLE_RUNTIME' --root '$PURPLE_ROOT' resume '$ID'" gone frozen \
		press '\r' see 'network rules' run "kill $SUPERVISOR" see 'The sandbox is gone' \
		press h see 'No sandbox is there' press q
	assert_status 0
	assert_equal "${lines[-1]}" 0
	wait "$SUPERVISOR" || true
}

@test "monitor leaves the terminal as it was, on signals, a crash and a hang-up" {
	screen 80x24 see 'No sandbox' signal TERM
	assert_equal "$output" -15
	screen 80x24 see 'No sandbox' press '\x03'
	assert_equal "$output" -2
	screen 80x24 see 'No sandbox' press '?' see 'this help' signal SEGV
	assert_equal "$output" -11
	screen 80x24 see 'No sandbox' hangup
	assert_status 0
	# A terminal that cannot show a screen gets lines.
	requires script
	TERM=dumb script -qfc "exec '$PURPLE' --root '$PURPLE_ROOT' monitor --interval 0.1" typescript \
		</dev/null >/dev/null 2>&1 3>&- &
	local pid=$!
	wait_for 10 grep -qs '0 sandboxes' typescript
	kill "$pid"
	wait "$pid" || true
	[[ $(cat typescript) != *$'\e'* ]]
}

@test "monitor prints a block each interval into a pipe, and ends with who reads it" {
	local status
	stopped "$ID"
	set +e
	"$PURPLE" --root "$PURPLE_ROOT" monitor --interval 0.1 | grep -m 3 "^$ID" >lines.out
	status="${PIPESTATUS[*]}"
	set -e
	assert_equal "$status" "0 0"
	assert_equal "$(wc -l <lines.out)" 3
	"$PURPLE" --root "$PURPLE_ROOT" monitor --interval 0.1 --format json | head -n 2 >json.out
	assert_equal "$(jq -r '.sandboxes[0].status' json.out)" $'stopped\nstopped'
}

@test "monitor shows tokens, costs and the tightest budget of a sandbox from the ledger" {
	requires ledger_fill
	stopped "$ID" '.gatewayPid = 2147483647 | .gatewayStart = 1'
	jq -n --arg id "$ID" '{container: $id, session: "\($id)@2026-11-22T10:00:00.000000000Z", port: 1, policies: [
		{name: "p", file: "p.yaml", maxCost: 4000000000000, onExceeded: "deny", blockUnknown: true, scope: "session", period: "always",
			providers: [{name: "openai", format: "openai", endpoints: ["https://api.openai.com/v1"]}]},
		{name: "q", file: "q.yaml", maxTokens: 1000, onExceeded: "deny", blockUnknown: true, scope: "policy", period: "always",
			providers: [{name: "openai", format: "openai", endpoints: ["https://api.openai.com/v1"]}]}]}' \
		>"$PURPLE_ROOT/$ID/gateway.json"
	run purple_ monitor --once --ledger ledger.db --format json
	assert_status 0
	jq . <<<"$output"
	"$PURPLE_LEDGER_FILL" ledger.db \
		"container=$ID,scope=policy,policy=q,max_tokens=1000,in=700,out=50,spent=1250000000000"
	run purple_ monitor --once --ledger ledger.db --format json
	assert_status 0
	echo "$output"
	assert_equal "$(jq -c '.sandboxes[0] | [.llm.calls, .llm.tokens, .llm.cost_text]' <<<"$output")" '[1,750,"$1.25"]'
	assert_equal "$(jq -c '[.sandboxes[0].budgets[] | [.percent, .tokens_limit // .cost_limit_text]]' <<<"$output")" \
		'[[0,"$4.00"],[75,1000]]'
	run purple_ monitor --once --ledger ledger.db
	assert_contains '  $1.25 '
	assert_contains '75%'
	head -c 10000 /dev/zero >ledger.db
	run purple_ monitor --once --ledger ledger.db
	assert_status 0
	assert_contains "tokens and costs are not known: "
}

@test "monitor prints no byte of a sandbox's that speaks to a terminal, and says what it cannot read" {
	stopped "$ID" '.policies[0].name = "p\u001b[2J\u009b"'
	printf '{"@timestamp":"2026-11-22T10:00:00.000000Z","type":"dns","verdict":"deny","dns":{"question":{"name":"a\\u001b]0;x\\u0007b\\u202e","type":"A"},"response_code":"REFUSED"}}\n{"half' \
		>"$PURPLE_ROOT/$ID/events.jsonl"
	mkdir "$PURPLE_ROOT/$ID-broken"
	echo '{' >"$PURPLE_ROOT/$ID-broken/state.json"
	run purple_ monitor --once
	assert_status 0
	assert_lacks $'\e'
	assert_lacks $'\a'
	assert_contains 'a?]0;x?b'
	assert_contains 'p?[2J?'
	grep -qE "^$ID-broken +- +\? .*state.json" <<<"$output"
	screen 80x24 see 'denied lookup of a\?\]0;x\?b\?' see 'p\?\[2J' press q
	assert_equal "${lines[-1]}" 0
	rm -r "${PURPLE_ROOT:?}/$ID-broken"
}

@test "monitor refuses what it does not know" {
	local words
	while read -r -a words; do
		run purple_ monitor --once "${words[@]}"
		assert_status 1
		[[ -n $output ]]
	done <<-'END'
		--interval 0
		--interval 0.05
		--interval 1s
		--interval 4000
		--format xml
		container
	END
}
