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
