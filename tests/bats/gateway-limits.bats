#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What happens when a budget is spent: the container is stopped, its calls are denied, or it is frozen
# until somebody raises the budget; alerts; who is told why; and that nothing of what is said to an LLM
# is written anywhere. The provider is tests/provider/provider.py on the host's loopback.

load helpers
load gateway

PROVIDER_KEY=sk-Marker-0123456789-of-the-real-key

setup() {
	requires root private_etc python3 jq busybox curl gateway
	purple_setup
	provider_start --key-sent "$PROVIDER_KEY"
	printf '%s\n' "$PROVIDER_KEY" >"$BATS_TEST_TMPDIR/key"
	chmod 0600 "$BATS_TEST_TMPDIR/key"
	make_bundle
	# call [PROMPT]: one of 420 tokens where nothing is said; prints how it went.
	cat >"$BUNDLE/rootfs/bin/call" <<-'END'
		#!/bin/sh
		answer=$(timeout 100 wget -q -O - --header "Authorization: Bearer $OPENAI_API_KEY" \
			--header 'Content-Type: application/json' --post-data \
			'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"'"${1:-scenario: plain in=20 out=400}"'"}]}' \
			"$OPENAI_BASE_URL/chat/completions" 2>&1) && echo "answered" || echo "refused: $answer"
	END
	chmod 0755 "$BUNDLE/rootfs/bin/call"
	rm -f /etc/purple/purple.yaml
}

teardown() {
	gateway_teardown
	purple_teardown
}

# agent_policy NAME BUDGET [MORE]: two calls are within 1000 tokens.
agent_policy() {
	policy_install "$1" <<-END
		name: $1
		network: { isolated: true }
		ai_policy:
		  budget: { $2 }
		  llm_apis:
		    providers:
		      - name: openai
		        endpoints: ["http://127.0.0.1:$PROVIDER_PORT/v1"]
		        api_key_file: $BATS_TEST_TMPDIR/key
		  ${3:-}
	END
}

# host_policy BUDGET: host.yaml, for purple run: programs of the host.
host_policy() {
	agent_policy host "$1"
	{
		host_files
	} | cat /etc/purple/policies/host.yaml - >host.yaml
}

# A call for such an agent.
# shellcheck disable=SC2016 # expanded there
curls='call() {
	curl -sf -m 100 -o /dev/null -H "Authorization: Bearer $OPENAI_API_KEY" -H "Content-Type: application/json" \
		-d "{\"model\":\"gpt-4o-mini\",\"messages\":[{\"role\":\"user\",\"content\":\"scenario: plain in=20 out=400\"}]}" \
		"$OPENAI_BASE_URL/chat/completions" && echo answered
	}; '

# start_agent POLICY SCRIPT: in the background; its output goes to `out`.
start_agent() {
	set_script "$2"
	new_id
	purple_rt --debug --log "$PWD/log" --policy "$1" create --bundle "$BUNDLE" "$ID" </dev/null >out 2>&1 || { cat out; return 1; }
	purple_rt start "$ID"
}

events_of() { # JQ-CONDITION
	jq -c "select($1)" "$PURPLE_ROOT/$ID/events.jsonl"
}
is_told() {
	[[ -n $(events_of "$1") ]]
}
told() {
	events_of "$1" | wc -l
}

# record JQ-FILTER: of what is left of the run ID.
record() {
	jq -er --arg id "$ID" "select(.id == \$id) | $1" /var/lib/purple/runs/*.json
}

check_schema() {
	python3 -W ignore "$PURPLE_SRCDIR/tests/unit/validate_lines.py" "$PURPLE_SRCDIR/docs/events.schema.json" "$1"
}

ps_has() { # JQ-FILTER VALUE
	local got
	got=$("$PURPLE" --root "$PURPLE_ROOT" ps --all --format json | jq -r --arg id "$ID" ".[] | select(.id == \$id) | $1")
	[[ $got == "$2" ]] || { echo "$1 is '$got', not '$2'"; return 1; }
}

is_status() {
	[[ $(purple_rt state "$ID" | jq -r .status) == "$1" ]]
}

spends='while :; do call; sleep 0.1; done'

@test "on_exceeded: stop ends the container, and ps and events say why" {
	agent_policy agent 'max_tokens: 1000, on_exceeded: stop, alert_at: [50]'
	# One that heeds SIGTERM.
	start_agent agent 'trap "echo told; exit 0" TERM; '"$spends"
	wait_status stopped 60
	assert_equal "$(grep -c answered out)" 2
	grep -q told out
	ps_has .limit.action stop
	ps_has .limit.text "the budget of policy agent is spent: 840 of 1000 tokens (ai_policy.budget, /etc/purple/policies/agent.yaml:4)"
	run "$PURPLE" --root "$PURPLE_ROOT" ps --all
	assert_contains "[stopped: its budget was spent (ai_policy.budget, "
	wait_for 20 is_told '.type == "gateway_stopped"'
	check_schema "$PURPLE_ROOT/$ID/events.jsonl"
	assert_equal "$(told '.type == "llm_call"')" 2
	assert_equal "$(told '.type == "budget_alert" and .budget.percent == 50')" 1
	assert_equal "$(told '.type == "budget_exceeded" and .budget.action == "stop"')" 1
	assert_equal "$(told '.type == "gateway_stopped" and .calls == 2 and .denied >= 1 and .tokens == 840 and
		.budgets[0].tokens == 840 and .budgets[0].tokens_limit == 1000')" 1
	assert_equal "$(told '.type == "gateway_died"')" 0
	run "$PURPLE" --root "$PURPLE_ROOT" events "$ID"
	echo "$output"
	assert_contains "call of openai gpt-4o-mini"
	assert_contains "budget_exceeded of $ID, 840 of 1000 tokens, action: stop: ai_policy.budget (/etc/purple/policies/agent.yaml:4)"
	run "$PURPLE" --root "$PURPLE_ROOT" events --type budget_alert "$ID"
	assert_contains "at 50 %, 840 of 1000 tokens"
	assert_equal "${#lines[@]}" 1
	purple_rt delete "$ID"
	assert_equal "$(record '[.end.reason, .end.policy, .llm.calls, .llm.tokens, .llm.budgets[0].tokens_limit] | join(" ")')" \
		"budget /etc/purple/policies/agent.yaml:4 2 840 1000"
}

@test "one that does not heed SIGTERM is ended with all its processes" {
	agent_policy agent 'max_tokens: 1000, on_exceeded: stop'
	start_agent agent 'trap "" TERM; sh -c "trap \"\" TERM; while :; do sleep 1; done" & '"$spends"
	wait_status stopped 90
	ps_has .limit.action stop
	run purple_rt ps "$ID"
	assert_lacks sleep
}

@test "purple run says that a budget stopped the agent, and ends with status 123" {
	host_policy 'max_tokens: 1000, on_exceeded: stop'
	run timeout 90 "$PURPLE" --root "$PURPLE_ROOT" run --no-tty --profile ./host.yaml --name "$ID" -- sh -c "$curls"'
		while :; do call; sleep 0.1; done'
	echo "$output"
	assert_status 123
	assert_contains "purple: stopped: the budget of policy host is spent: 840 of 1000 tokens (ai_policy.budget, ./host.yaml:4)"
	assert_contains "the policy sets it for each run anew"
	assert_equal "$(grep -c answered <<<"$output")" 2
}

@test "purple run says that the agent is frozen, and how it goes on" {
	host_policy 'max_tokens: 1000, on_exceeded: freeze'
	"$PURPLE" --root "$PURPLE_ROOT" run --no-tty --profile ./host.yaml --name "$ID" -- sh -c "$curls"'
		call; call; call; exit 7' >out 2>err </dev/null 3>&- &
	local pid=$!
	wait_for 60 grep -q frozen err
	cat err
	grep -qF "purple: frozen: the budget of policy host is spent: 840 of 1000 tokens" err
	grep -qF "to raise it: purple budget add $ID --tokens N" err
	"$PURPLE" budget add "$ID" --tokens 4000
	local status=0
	wait "$pid" || status=$?
	assert_equal "$status" 7
	assert_equal "$(grep -c answered out)" 3
	grep -qF "purple: there is budget for LLM calls again" err
}

@test "on_exceeded: deny refuses calls, and they pass again after purple budget add" {
	agent_policy agent 'max_tokens: 1000, on_exceeded: deny'
	start_agent agent 'while :; do sleep 1; done'
	run purple_rt exec "$ID" sh -c 'call; call; call; call'
	echo "$output"
	assert_equal "$(grep -c answered <<<"$output")" 2
	assert_contains "refused"
	is_status running
	ps_has .limit.action deny
	run "$PURPLE" budget add "$ID" --tokens 5000
	assert_status 0
	run purple_rt exec "$ID" sh -c 'call; call'
	assert_equal "$(grep -c answered <<<"$output")" 2
	wait_for 20 ps_has '.limit' null
	wait_for 20 is_told '.type == "budget_lifted"'
	check_schema "$PURPLE_ROOT/$ID/events.jsonl"
}

@test "on_exceeded: freeze stops it where it is, and purple budget add lets it go on as if nothing was" {
	agent_policy agent 'max_tokens: 1000, on_exceeded: freeze'
	start_agent agent 'call; call; call; call; echo end; while :; do sleep 1; done'
	wait_for 60 is_status paused
	ps_has .limit.action freeze
	assert_equal "$(grep -c answered out)" 2
	# Whoever thaws it without a budget does not get far.
	purple_rt resume "$ID"
	run "$PURPLE" budget add "$ID" --tokens 5000
	assert_status 0
	wait_for 60 grep -q end out
	cat out
	# The call that was under way has its answer.
	assert_equal "$(grep -c answered out)" 4
	assert_equal "$(grep -c refused out)" 0
	is_status running
	ps_has '.limit' null
	assert_equal "$(told '.type == "budget_exceeded" and .budget.action == "freeze"')" 1
	assert_equal "$(told '.type == "budget_lifted"')" 1
	check_schema "$PURPLE_ROOT/$ID/events.jsonl"
}

@test "a frozen container can be ended, and one whose gateway dies stays frozen" {
	agent_policy agent 'max_tokens: 1000, on_exceeded: freeze'
	start_agent agent "$spends"
	wait_for 60 is_status paused
	kill -KILL "$(jq .gatewayPid "$PURPLE_ROOT/$ID/state.json")"
	wait_for 20 is_told '.type == "gateway_died" and .frozen'
	check_schema "$PURPLE_ROOT/$ID/events.jsonl"
	is_status paused
	run "$PURPLE" --root "$PURPLE_ROOT" events --type gateway_died "$ID"
	assert_contains "the container stays frozen"
	purple_rt delete --force "$ID"
	[[ ! -e $PURPLE_ROOT/$ID ]]
	# What is known of its calls is what was told of them one by one.
	assert_equal "$(record '[.end.reason, .llm.incomplete, .llm.calls] | join(" ")')" "stopped true 2"
}

# hook_start: a webhook; what it gets goes to hook.jsonl. Sets HOOK_PORT.
hook_start() {
	python3 - >hook.port 2>hook.err 3>&- <<-'END' &
		import http.server
		class Hook(http.server.BaseHTTPRequestHandler):
		    def do_POST(self):
		        body = self.rfile.read(int(self.headers["Content-Length"]))
		        with open("hook.jsonl", "ab") as f:
		            f.write(body)
		        with open("hook.paths", "a") as f:
		            print(self.path, self.headers["Content-Type"], file=f)
		        self.send_response(204)
		        self.end_headers()
		server = http.server.HTTPServer(("127.0.0.1", 0), Hook)
		print(server.server_port, flush=True)
		server.serve_forever()
	END
	_gateway_pids+=("$!")
	wait_for 20 test -s hook.port
	HOOK_PORT=$(<hook.port)
}

lines_are() { # FILE N
	[[ -e $1 && $(wc -l <"$1") == "$2" ]]
}

@test "an alert command and a webhook hear of each threshold once, and of the end" {
	hook_start
	cat >alert <<-END
		#!/bin/sh
		cat >>$PWD/alerts.jsonl
		echo "\$1 \$PURPLE_EVENT \$PURPLE_POLICY \$PURPLE_BUDGET \$PURPLE_PERCENT \$PURPLE_TOKENS/\$PURPLE_TOKENS_LIMIT" >>$PWD/alerts
		env | cut -d= -f1 | sort >$PWD/alert.env
		id -u >$PWD/alert.user
	END
	chmod 0755 alert
	cat >/etc/purple/purple.yaml <<-END
		alerts:
		  command: ["$PWD/alert", "a \$(b)"]
		  webhook: http://127.0.0.1:$HOOK_PORT/services/T0?sig=x
	END
	agent_policy agent 'max_tokens: 1000, on_exceeded: stop, alert_at: [40, 80]'
	start_agent agent "$spends"
	local id=$ID
	wait_status stopped 60
	wait_for 30 lines_are alerts 3
	wait_for 30 lines_are hook.jsonl 3
	assert_equal "$(sort alerts)" "$(sort <<-END
		a \$(b) budget_alert agent $id 40 420/1000
		a \$(b) budget_alert agent $id 80 840/1000
		a \$(b) budget_exceeded agent $id  840/1000
	END
	)"
	assert_equal "$(jq -r .type hook.jsonl | sort | tr '\n' ' ')" "budget_alert budget_alert budget_exceeded "
	assert_equal "$(sort -u hook.paths)" "/services/T0?sig=x application/json"
	assert_equal "$(jq -r '.container.id' hook.jsonl alerts.jsonl | sort -u)" "$id"
	assert_equal "$(<alert.user)" 0
	check_schema alerts.jsonl
	check_schema hook.jsonl
	# Nothing of the gateway's or the engine's environment.
	assert_equal "$(grep -cvE '^(PATH|PWD|OLDPWD|SHLVL|_|PURPLE_[A-Z_]*)$' alert.env)" 0
	wait_for 20 is_told '.type == "gateway_stopped"'
	assert_equal "$(told '.type == "action_failed"')" 0
}

@test "an alert that fails is an event, and holds nothing up" {
	printf '#!/bin/sh\nexit 3\n' >alert
	chmod 0755 alert
	cat >/etc/purple/purple.yaml <<-END
		alerts: { command: ["$PWD/alert"], webhook: "http://127.0.0.1:1/x" }
	END
	agent_policy agent 'max_tokens: 10000, on_exceeded: stop, alert_at: [1]'
	start_agent agent 'call; call; echo end; while :; do sleep 1; done'
	wait_for 60 grep -q end out
	assert_equal "$(grep -c answered out)" 2
	wait_for 20 is_told '.type == "action_failed" and .action == "alert" and .error.message == "it ended with status 3"'
	wait_for 20 is_told '.type == "action_failed" and .action == "webhook"'
	check_schema "$PURPLE_ROOT/$ID/events.jsonl"
}

# Whatever holds a byte of it would hold this.
@test "what is said to an LLM is in no file that Purple wrote" {
	agent_policy agent 'max_tokens: 1000, on_exceeded: deny' \
		'monitoring: { log_tokens: true, log_costs: true }'
	# Put together where it is used: what the container is to run stands in its config.json.
	start_agent agent 'm=Xq7Prompt; m=${m}Marker; call "scenario: echo $m"; call "scenario: plain in=20 out=400 $m"
		call; call; call "$m"; echo end; while :; do sleep 1; done'
	wait_for 60 grep -q end out
	grep -q refused out
	# The provider saw it, so that it was there to be written.
	grep -q Xq7PromptMarker requests.jsonl
	wait_for 20 is_told '.type == "llm_call" and .gen_ai.usage.output_tokens > 0 and .cost > 0'
	run grep -rla Xq7PromptMarker "$PURPLE_ROOT" "$PWD/log" /var/lib/purple /etc/purple
	assert_output ""
	purple_rt kill "$ID" KILL
	wait_status stopped
	wait_for 20 is_told '.type == "gateway_stopped"'
	run grep -rla Xq7PromptMarker "$PURPLE_ROOT" "$PWD/log" /var/lib/purple
	assert_output ""
}
