#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Real clients of LLMs behind the gateway: the SDKs of OpenAI, Anthropic and Google as npm has them
# (tests/clients), with nothing but their own environment variables to lead them there.
#
# The tests need a registry of npm that can be reached; without one they are skipped, and say so.

load helpers
load gateway

setup() {
	requires root python3 jq curl node gateway
	purple_setup
	clients_install
	provider_start --key-sent "$GATEWAY_KEY"
}

teardown() {
	gateway_teardown
	purple_teardown
}

# no_errors: of the clients' output, every case went well.
no_errors() {
	assert_equal "$(jq -c 'select(.error) | [.id, .error]' <<<"$output")" ""
	assert_equal "$(jq -r .id <<<"$output" | sort)" "$(jq -r .id "$1" | sort)"
}

# Of all that the provider saw: its own key in each request, once, and the agent's placeholder nowhere.
keys_are_right() {
	jq -e --arg key "$GATEWAY_KEY" '[.path, .body, .headers[][]] | join(" ") | [scan($key)] | length == 1' \
		requests.jsonl >/dev/null
	run grep -c "$GATEWAY_PLACEHOLDER" requests.jsonl
	assert_output 0
	assert_equal "$(jq -r '.headers | map(select(.[0] | ascii_downcase == "accept-encoding")[1]) | join(",")' \
		requests.jsonl | sort -u)" identity
}

@test "what the provider billed is what the ledger has, to the picodollar, for every form of an answer" {
	local cases=$PURPLE_SRCDIR/tests/clients/cases.jsonl
	gateway_config gateway.json '.policies[0].maxCost = 9000000000000000 | .policies[0].maxTokens = 100000000'
	gateway_start
	# The case's name goes into the bill.
	jq -c '.prompt += " case=" + .id' "$cases" >cases.jsonl
	run_clients <cases.jsonl
	assert_status 0
	grep -v '^{' <<<"$output" >said || true
	output=$(grep '^{' <<<"$output")
	no_errors "$cases"
	# What the agent saw is what was said: texts whole, tools with all of their arguments.
	assert_equal "$(jq -c 'select(.id | test("^(embeddings|once|models)") | not)
		| select((.text // "") == "" and .tool == null) | .id' <<<"$output")" ""
	gateway_end
	check_ledger --one-by-one --max-cost 9000000000000000
	keys_are_right
}

# one ID: what the clients saw of a case, as JSON.
one() {
	jq -c --arg id "$1" 'select(.id == $id)' <<<"$seen"
}

# expect ID JQ: of what was seen of a case, this is true.
expect() {
	local found
	found=$(one "$1")
	jq -e "$2" <<<"$found" >/dev/null || {
		echo "case $1: not ($2): $found"
		return 1
	}
}

@test "errors of the provider reach the SDKs as they are, cost nothing, and hold no key" {
	gateway_config gateway.json '.policies[0].maxCost = 1000000000000'
	gateway_start
	run_clients <<-'END'
		{"id":"bad","sdk":"chat","model":"gpt-5-mini","prompt":"scenario: fail status=400"}
		{"id":"bad-stream","sdk":"responses","model":"gpt-5-mini","stream":true,"prompt":"scenario: fail status=400"}
		{"id":"echo-openai","sdk":"chat","model":"gpt-5-mini","prompt":"scenario: echo"}
		{"id":"echo-anthropic","sdk":"messages","model":"claude-haiku-4-5","prompt":"scenario: echo"}
		{"id":"echo-gemini","sdk":"generate","model":"gemini-2.5-pro","prompt":"scenario: echo status=400"}
		{"id":"overloaded","sdk":"messages","model":"claude-haiku-4-5","prompt":"scenario: fail status=529"}
		{"id":"broken","sdk":"chat","model":"gpt-5-mini","stream":true,"prompt":"scenario: fail status=500"}
		{"id":"later","sdk":"generate","model":"gemini-2.5-pro","prompt":"scenario: fail status=503"}
		{"id":"models","sdk":"models"}
		{"id":"count","sdk":"count","model":"claude-haiku-4-5","prompt":"hello"}
	END
	assert_status 0
	seen=$output
	expect bad '.status == 400 and .requests == 1 and (.error | test("scenario: status 400"))'
	expect bad-stream '.status == 400 and .requests == 1'
	expect echo-openai '.status == 401 and .requests == 1 and .code == "invalid_api_key"'
	expect echo-anthropic '.status == 401 and .requests == 1 and .kind == "AuthenticationError"'
	expect echo-gemini '.status == 400 and .requests == 1'
	expect overloaded '.status == 529 and .requests == 3'
	expect broken '.status == 500 and .requests == 3'
	expect later '.status == 503 and .requests == 1'
	expect models '.text == "gpt-5-mini"'
	expect count '.text != "" and (.error | not)'
	output=$seen
	assert_lacks "$GATEWAY_KEY"
	assert_lacks "${GATEWAY_KEY:0:20}"
	gateway_end
	check_ledger --one-by-one
	assert_equal "$(jq -c '[.calls, .cost]' <<<"${lines[0]}")" "[0,0]"
	keys_are_right
}

@test "answers that end early or say nothing of their usage are charged, by all SDKs' own streams" {
	gateway_config gateway.json '.policies[0].maxCost = 1000000000000'
	gateway_start
	run_clients <<-'END'
		{"id":"none-chat","sdk":"chat","model":"gpt-5-mini","prompt":"scenario: nousage out=50 in=9"}
		{"id":"none-chat-stream","sdk":"chat","model":"gpt-5-mini","stream":true,"prompt":"scenario: nousage out=50 in=9"}
		{"id":"none-responses","sdk":"responses","model":"gpt-5-mini","stream":true,"prompt":"scenario: nousage out=50 in=9"}
		{"id":"none-messages","sdk":"messages","model":"claude-haiku-4-5","prompt":"scenario: nousage out=50 in=9"}
		{"id":"none-gemini","sdk":"generate","model":"gemini-2.5-pro","stream":true,"prompt":"scenario: nousage out=50 in=9"}
		{"id":"cut-chat","sdk":"chat","model":"gpt-5-mini","stream":true,"prompt":"scenario: cut after=9 out=50 in=9"}
		{"id":"cut-responses","sdk":"responses","model":"gpt-5-mini","stream":true,"prompt":"scenario: cut after=20 out=50 in=9"}
		{"id":"cut-messages","sdk":"messages","model":"claude-haiku-4-5","stream":true,"prompt":"scenario: cut after=20 out=50 in=9"}
		{"id":"cut-gemini","sdk":"generate","model":"gemini-2.5-pro","stream":true,"prompt":"scenario: cut after=9 out=50 in=9"}
		{"id":"reset-chat","sdk":"chat","model":"gpt-5-mini","stream":true,"prompt":"scenario: reset after=9 out=50 in=9"}
		{"id":"inband-chat","sdk":"chat","model":"gpt-5-mini","stream":true,"prompt":"scenario: inband after=9 out=50 in=9"}
		{"id":"inband-responses","sdk":"responses","model":"gpt-5-mini","stream":true,"prompt":"scenario: inband after=20 out=50 in=9"}
		{"id":"inband-messages","sdk":"messages","model":"claude-haiku-4-5","stream":true,"prompt":"scenario: inband after=20 out=50 in=9"}
		{"id":"inband-gemini","sdk":"generate","model":"gemini-2.5-pro","stream":true,"prompt":"scenario: inband after=9 out=50 in=9"}
	END
	assert_status 0
	seen=$output
	local id
	for id in none-{chat,responses,messages,gemini}; do
		expect "$id" '.error | not'
	done
	for id in {cut,inband}-{chat,responses,messages,gemini} reset-chat; do
		expect "$id" '.requests == 1 and .events > 3'
		# genai takes a stream that just ends for a whole one.
		[[ $id == cut-gemini ]] || expect "$id" '.error'
	done
	gateway_end
	check_ledger --one-by-one
	assert_equal "$(jq '.estimated == .calls and .calls == 14' <<<"${lines[0]}")" true
}

@test "a client that stops reading pays for what the provider made" {
	gateway_config gateway.json '.policies[0].maxCost = 1000000000000'
	gateway_start
	run_clients <<-'END'
		{"id":"chat","sdk":"chat","model":"gpt-5-mini","stream":true,"abort":4,"prompt":"scenario: plain out=80"}
		{"id":"responses","sdk":"responses","model":"gpt-5-mini","stream":true,"abort":6,"prompt":"scenario: plain out=80"}
		{"id":"messages","sdk":"messages","model":"claude-haiku-4-5","stream":true,"abort":6,"prompt":"scenario: plain out=80"}
		{"id":"generate","sdk":"generate","model":"gemini-2.5-pro","stream":true,"abort":4,"prompt":"scenario: plain out=80"}
	END
	assert_status 0
	assert_equal "$(jq -s -c 'map(.error // .events)' <<<"$output")" "[4,6,6,4]"
	wait_for 20 nothing_open
	gateway_end
	check_ledger --one-by-one
	assert_equal "$(jq -c '[.calls, .estimated]' <<<"${lines[0]}")" "[4,0]"
}

@test "a budget that is spent: every SDK stops at its first request, and says why" {
	gateway_config gateway.json '.policies[0].maxTokens = 700'
	gateway_start
	run_clients <<-'END'
		{"id":"spend","sdk":"chat","model":"gpt-5-mini","prompt":"scenario: plain out=5000"}
		{"id":"chat","sdk":"chat","model":"gpt-5-mini","prompt":"hello"}
		{"id":"chat-stream","sdk":"chat","model":"gpt-5-mini","stream":true,"prompt":"hello"}
		{"id":"responses","sdk":"responses","model":"gpt-5-mini","prompt":"hello"}
		{"id":"responses-stream","sdk":"responses","model":"gpt-5-mini","stream":true,"prompt":"hello"}
		{"id":"messages","sdk":"messages","model":"claude-haiku-4-5","prompt":"hello"}
		{"id":"messages-stream","sdk":"messages","model":"claude-haiku-4-5","stream":true,"prompt":"hello"}
		{"id":"generate","sdk":"generate","model":"gemini-2.5-pro","prompt":"hello"}
		{"id":"generate-stream","sdk":"generate","model":"gemini-2.5-pro","stream":true,"prompt":"hello"}
	END
	assert_status 0
	seen=$output
	expect spend '.usage.completion_tokens < 700 and (.error | not)'
	local id
	for id in chat responses; do
		expect "$id" '.status == 429 and .code == "insufficient_quota" and .requests == 1'
		expect "$id-stream" '.status == 429 and .code == "insufficient_quota" and .requests == 1'
	done
	for id in messages{,-stream}; do
		expect "$id" '.status == 402 and .requests == 1 and (.error | test("billing_error"))'
	done
	for id in generate{,-stream}; do
		expect "$id" '.status == 429 and .requests == 1 and (.error | test("PurpleBudgetPerDay"))'
	done
	# Who is refused is told by what: the policy, and the sum.
	expect chat '.error | test("p\\.yaml|policy") and test("700")'
	gateway_end
	check_ledger --one-by-one --max-tokens 700
	assert_equal "$(grep -c '"method":"POST"' requests.jsonl)" 1
}

@test "a stream that reaches the limit ends with an error that the SDKs understand, and is not tried again" {
	local id limit
	gateway_config gateway.json '.policies[0].maxTokens = 2000'
	# A provider that keeps to no maximum.
	jq -n -c '{ id: "messages", sdk: "messages", model: "claude-haiku-4-5", more: { max_tokens: 400 } },
		{ id: "chat", sdk: "chat", model: "gpt-5-mini", more: { max_completion_tokens: 400 } },
		{ id: "responses", sdk: "responses", model: "gpt-5-mini", more: { max_output_tokens: 400 } },
		{ id: "generate", sdk: "generate", model: "gemini-2.5-pro", more: { maxOutputTokens: 400 } } |
		. + { stream: true, prompt: "scenario: plain out=9000 over=1" }' >over.jsonl
	for id in messages chat responses generate; do
		rm -f ledger.db*
		gateway_start
		run_clients < <(grep "\"$id\"" over.jsonl)
		assert_status 0
		seen=$output
		case $id in
		messages) expect messages '.requests == 1 and (.error | test("billing_error"))' ;;
		generate) expect generate '.requests == 1 and .error' ;;
		*) expect "$id" '.requests == 1 and .code == "insufficient_quota"' ;;
		esac
		gateway_end
		# All that was left is charged, but for what the request could have been. Gemini says
		# with each event how much there is by then: those that came in one piece with the one
		# that goes beyond the limit, a token each, have been generated as well.
		limit=2000
		[[ $id != generate ]] || limit=2100
		run python3 "$provider_py/ledger.py" check ledger.db --max-tokens "$limit"
		echo "$output"
		assert_status 0
		(($(jq .tokens <<<"${lines[0]}") > 1800))
	done
}

@test "a rate that is reached: OpenAI's and Anthropic's SDKs wait as long as they are told, and try again" {
	gateway_config gateway.json '.policies[0].tokensPerMinute = 1000'
	local id waits
	jq -n -c '{ id: "chat", sdk: "chat", model: "gpt-5-mini", more: { max_completion_tokens: 700 } },
		{ id: "messages", sdk: "messages", model: "claude-haiku-4-5", more: { max_tokens: 700 } },
		{ id: "generate", sdk: "generate", model: "gemini-2.5-pro", more: { maxOutputTokens: 700 } } |
		. + { parallel: 2, prompt: "scenario: plain out=10 wait=1.5" }' >rates.jsonl
	for id in chat messages generate; do
		gateway_start
		# Two at once hold more than the limit; the second passes when the first is over.
		run_clients < <(grep "\"$id\"" rates.jsonl)
		assert_status 0
		echo "$output"
		waits=$(jq -s -c 'map(.retry_after[]) | unique' <<<"$output")
		jq -e 'length > 0 and all(. >= 1 and . <= 60)' <<<"$waits"
		if [[ $id == generate ]]; then
			# Google's does not try again by itself; it is told when.
			jq -s -e '(map(.requests) | max) == 2 and (map(select(.error)) | length == 1 and
				all(.status == 429 and (.error | test("RetryInfo"))))' <<<"$output"
		else
			jq -s -e '(map(.requests) | max) > 2 and (map(.error) | any(. == null))' <<<"$output"
		fi
		gateway_end
	done
	check_ledger
}

@test "models and providers that are not allowed: told once, and nothing is sent" {
	gateway_config gateway.json '.policies[0].providers |= map(select(.name == "openai" or .name == "anthropic") | .models = ["gpt-5-mini", "claude-*"])'
	gateway_start
	run_clients <<-'END'
		{"id":"good","sdk":"chat","model":"gpt-5-mini","prompt":"hello"}
		{"id":"star","sdk":"messages","model":"claude-haiku-4-5","prompt":"hello"}
		{"id":"model","sdk":"chat","model":"gpt-5","prompt":"hello"}
		{"id":"model-responses","sdk":"responses","model":"gpt-6-sol","prompt":"hello"}
		{"id":"provider","sdk":"generate","model":"gemini-2.5-pro","prompt":"hello"}
		{"id":"other","sdk":"chat","provider":"xai","model":"grok-4.3","prompt":"hello"}
	END
	assert_status 0
	seen=$output
	expect good '.error | not'
	expect star '.error | not'
	expect model '.status == 404 and .code == "model_not_found" and .requests == 1'
	expect model-responses '.status == 400 and .requests == 1'
	expect provider '.error and .requests == 1'
	expect other '.error and .requests == 1'
	assert_equal "$(grep -c '"method":"POST"' requests.jsonl)" 2
}
