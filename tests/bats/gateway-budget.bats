#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A budget is never overspent, and nothing is lost or charged twice: many calls at once, streams that
# do not say what they used, clients that hang up, providers without measure, gateways that share a
# budget, gateways that are killed. What was spent and reserved is looked at all the time.

load helpers
load gateway

# What a token of output costs of gpt-5-mini.
PICO_OUT=2000000

setup() {
	requires root python3 jq curl gateway
	purple_setup
	provider_start
}

teardown() {
	gateway_teardown
	purple_teardown
}

# watch_start OPTION...: looks at the ledger until watch_end. A limit, as ledger.py has it.
watch_start() {
	python3 "$provider_py/ledger.py" watch ledger.db "$@" >watch.out 2>&1 3>&- &
	WATCH_PID=$!
	_gateway_pids+=("$WATCH_PID")
	wait_for 20 grep -q watching watch.out
}
watch_end() {
	kill -TERM "$WATCH_PID"
	wait "$WATCH_PID" || { cat watch.out; return 1; }
	# It was really looking.
	(($(tail -n 1 watch.out | jq .looks) > 10))
}

all_billed() {
	[[ $(wc -l <bill.jsonl) == $(grep -c '"method":"POST"' requests.jsonl) ]]
}

# counted WORD: how many calls of the last load_calls saw it.
counted() {
	jq --arg word "$1" '.[$word] // 0' <<<"$output"
}

# spend LIMIT-OF-TOKENS: 97 to 98 % of them, in answers.
spend() {
	load_calls --url "$GATEWAY_URL/openai" --stream --count 22 --max $(($1 * 44 / 1000)) \
		--prompt "scenario: plain out=$1 chunk=200 in=10"
	assert_equal "$(counted whole)" 22
}

@test "64 calls at once with 1 % of the money left: never a picodollar too much" {
	local limit=$((100000 * PICO_OUT))
	gateway_config gateway.json ".policies[0].maxCost = $limit"
	gateway_start
	spend 100000
	load_calls --url "$GATEWAY_URL/openai" --count 5 --max 400 --prompt "scenario: plain out=400 in=10"
	watch_start --max-cost "$limit"
	load_calls --url "$GATEWAY_URL/openai" --stream --count 64 --parallel 64 \
		--prompt "scenario: plain out=2000 chunk=20 delay=0.005"
	watch_end
	# Some came through, and ended where the money did; the others were told why.
	(($(counted 200) >= 1 && $(counted 429) >= 55))
	assert_equal "$(counted broken)" 0
	assert_equal "$(($(counted "reason budget") + $(counted "reason rate")))" "$(counted 429)"
	# Later, when nobody holds anything any more, it is the budget that is spent.
	wait_for 20 nothing_open
	load_calls --url "$GATEWAY_URL/openai" --count 8 --max 400 --prompt "scenario: plain out=2000"
	(($(counted "reason budget") >= 5))
	assert_equal "$(counted "reason rate")" 0
	gateway_end
	check_ledger --max-cost "$limit"
	run "$PURPLE" budget show c --ledger ledger.db --format json
	assert_equal "$(jq -r '.[0] | .cost <= .cost_limit and .cost_reserved == 0' <<<"$output")" true
}

@test "64 calls at once with 2 % of the tokens left: never a token too much" {
	gateway_config gateway.json '.policies[0].maxTokens = 100000'
	gateway_start
	spend 100000
	watch_start --max-tokens 100000
	# Whatever comes before what: each takes 410, and there are no more than 3200.
	load_calls --url "$GATEWAY_URL/openai" --count 64 --parallel 64 --max 400 \
		--prompt "scenario: plain out=400 wait=0.2 in=10"
	watch_end
	(($(counted 200) >= 1 && $(counted 200) <= 7))
	gateway_end
	check_ledger --max-tokens 100000
}

@test "a maximum that is huge or absent is lowered to what is left" {
	local limit=$((3000 * PICO_OUT)) max
	gateway_config gateway.json ".policies[0].maxCost = $limit"
	gateway_start
	for max in 1000000000 9000000000000000000; do
		load_calls --url "$GATEWAY_URL/openai" --max "$max" --prompt "scenario: plain out=1000"
		assert_equal "$(counted 200)" 1
	done
	# The provider has more to say than there is money for.
	load_calls --url "$GATEWAY_URL/openai" --prompt "scenario: plain out=1000000"
	assert_equal "$(counted 200)" 1
	run jq -r '.body | fromjson | .max_completion_tokens' requests.jsonl
	((lines[0] > 2500 && lines[0] < 3000))
	((lines[1] > 1500 && lines[1] < 2000))
	((lines[2] > 500 && lines[2] < 1000))
	gateway_end
	check_ledger --one-by-one --max-cost "$limit"
}

@test "streams that do not say what they used are charged, and stay within the limit" {
	local limit=$((20000 * PICO_OUT))
	gateway_config gateway.json ".policies[0].maxCost = $limit"
	gateway_start
	watch_start --max-cost "$limit"
	load_calls --url "$GATEWAY_URL/openai" --stream --count 48 --parallel 16 --max 600 \
		--prompt "scenario: nousage out=600 chunk=10 in=10"
	watch_end
	(($(counted 200) >= 10 && $(counted 429) >= 1))
	gateway_end
	check_ledger --max-cost "$limit"
	run "$PURPLE" usage --ledger ledger.db --format json
	assert_equal "$(jq -r '.[0].estimated == .[0].calls' <<<"$output")" true
}

@test "who hangs up pays for what the provider made, and no more" {
	gateway_config gateway.json ".policies[0].maxCost = $((1000000 * PICO_OUT))"
	gateway_start
	load_calls --url "$GATEWAY_URL/openai" --stream --count 12 --parallel 12 --abort 3 --max 500 \
		--prompt "scenario: plain out=120 chunk=4 delay=0.002 in=10"
	assert_equal "$(counted aborted)" 12
	wait_for 30 nothing_open
	check_ledger
	# Read to their ends: each is what was billed, none a guess.
	assert_equal "$(jq '[.estimated, .calls, .cost == .billed]' -c <<<"${lines[0]}")" "[0,12,true]"
	# More than are read to their ends at a time: what is guessed is not too small.
	load_calls --url "$GATEWAY_URL/openai" --stream --count 40 --parallel 40 --abort 3 --max 500 \
		--prompt "scenario: plain out=120 chunk=4 delay=0.02 in=10"
	assert_equal "$(counted aborted)" 40
	wait_for 30 nothing_open
	gateway_end
	wait_for 30 all_billed
	check_ledger
}

@test "a provider without measure is stopped where the budget ends" {
	local limit=$((4000 * PICO_OUT))
	gateway_config gateway.json ".policies[0].maxCost = $limit"
	gateway_start
	watch_start --max-cost "$limit"
	load_calls --url "$GATEWAY_URL/openai" --stream --count 4 --parallel 4 --max 500 \
		--prompt "scenario: endless"
	watch_end
	assert_equal "$(counted 200)" 4
	assert_equal "$(counted stopped)" 4
	gateway_end
	run python3 "$provider_py/ledger.py" check ledger.db --max-cost "$limit"
	assert_status 0
}

@test "8 gateways share one budget" {
	local limit=$((30000 * PICO_OUT)) i urls=() pids=()
	for i in {1..8}; do
		gateway_config "gateway$i.json" ".container = \"c$i\" | .session = \"c$i@1\" |
			.policies[0] += { maxCost: $limit, scope: \"policy\" }"
		gateway_start "gateway$i.json"
		urls+=(--url "$GATEWAY_URL/openai")
		pids+=("$GATEWAY_PID")
	done
	watch_start --max-cost "$limit"
	load_calls "${urls[@]}" --stream --count 160 --parallel 32 --max 400 \
		--prompt "scenario: plain out=400 chunk=10"
	watch_end
	(($(counted 200) >= 40 && $(counted 429) >= 8))
	for GATEWAY_PID in "${pids[@]}"; do
		gateway_end
	done
	check_ledger --max-cost "$limit"
	assert_equal "$(jq '[.calls == .bills, .cost == .billed]' -c <<<"${lines[0]}")" "[true,true]"
	run "$PURPLE" budget show policy:p --ledger ledger.db --format json
	assert_equal "$(jq -r 'length' <<<"$output")" 1
}

@test "a gateway that is killed 50 times in the middle of streams loses nothing and charges nothing twice" {
	local limit=$((400000 * PICO_OUT)) calls=200
	gateway_config gateway.json ".policies[0].maxCost = $limit"
	gateway_command gateway.json
	load_calls --url /openai --stream --count 4 --parallel 4 --max 300 --kill 120 \
		--rounds 50 --seed 5 --prompt "scenario: plain out=240 chunk=6 delay=0.002" \
		-- "${gateway_argv[@]}"
	assert_equal "$(counted killed)" 50
	wait_for 30 all_billed
	# The next one finds what the last left.
	gateway_start
	load_calls --url "$GATEWAY_URL/openai" --max 300 --prompt "scenario: plain out=10"
	assert_equal "$(counted 200)" 1
	gateway_end
	check_ledger --max-cost "$limit"
	local found=${lines[0]}
	# Every request that reached the provider is one call; all that were under way were charged.
	assert_equal "$(jq '.open // 0' <<<"$found")" 0
	(($(jq .calls <<<"$found") <= calls + 1))
	(($(jq .calls <<<"$found") >= $(grep -c '"method":"POST"' requests.jsonl)))
	(($(jq .recovered <<<"$found") >= 50))
}

# gemini_list PROMPT: streamGenerateContent without alt=sse: one JSON list that grows; in list.json.
gemini_list() {
	curl -sS -m 120 -H "x-goog-api-key: $GATEWAY_PLACEHOLDER" -H "Content-Type: application/json" \
		-d "{\"contents\":[{\"parts\":[{\"text\":\"$1\"}]}],\"generationConfig\":{\"maxOutputTokens\":500}}" \
		"$GATEWAY_URL/gemini/v1beta/models/gemini-2.5-pro:streamGenerateContent" >list.json
}

@test "a stream that is one JSON list is metered as it passes, and is one where the budget ends it, too" {
	gateway_config gateway.json '.policies[0].maxTokens = 3000'
	gateway_start
	gemini_list "scenario: reasoning out=50 reasoning=70 split=1"
	assert_equal "$(jq -c '[length, .[-1].usageMetadata.thoughtsTokenCount]' list.json)" "[120,70]"
	wait_for 20 nothing_open
	check_ledger --one-by-one
	gemini_list "scenario: endless delay=0.001"
	assert_equal "$(jq -c '[(length > 100), .[-1].error.status]' list.json)" '[true,"RESOURCE_EXHAUSTED"]'
	gateway_end
	run python3 "$provider_py/ledger.py" check ledger.db --max-tokens 3000
	assert_status 0
}

@test "8 containers share the budget of their policy, and one whose gateway is killed takes nothing from the others" {
	requires private_etc busybox
	local i id ids=() pids=() ledger=/var/lib/purple/ledger.db
	printf 'key-of-the-provider\n' >key
	policy_install crowd <<-END
		name: crowd
		network: { isolated: true }
		ai_policy:
		  budget: { max_tokens: 12000, on_exceeded: deny, scope: policy }
		  llm_apis:
		    providers:
		      - name: openai
		        endpoints: ["http://127.0.0.1:$PROVIDER_PORT/v1"]
		        api_key_file: $PWD/key
	END
	make_bundle
	# Waits for the file `go`, then calls until it is told that there is no more.
	set_script 'until [ -e /go/now ]; do sleep 0.1; done; i=0 refused=0
		while [ $i -lt 40 ] && [ $refused -lt 5 ]; do
			i=$((i + 1))
			wget -q -O /dev/null --header "Authorization: Bearer $OPENAI_API_KEY" \
				--header "Content-Type: application/json" --post-data \
				"{\"model\":\"gpt-5-mini\",\"max_completion_tokens\":300,\"messages\":[{\"role\":\"user\",\"content\":\"scenario: plain in=20 out=300 wait=0.05\"}]}" \
				"$OPENAI_BASE_URL/chat/completions" 2>/dev/null || { refused=$((refused + 1)); sleep 0.2; }
		done; echo "$i $refused"'
	mkdir go
	edit_config ".mounts += [{ destination: \"/go\", type: \"bind\", source: \"$PWD/go\", options: [\"bind\", \"ro\"] }]"
	for i in {1..8}; do
		new_id
		ids+=("$ID")
		purple_rt --policy crowd create --bundle "$BUNDLE" "$ID" </dev/null >"out$i" 2>&1 || { cat "out$i"; return 1; }
		purple_rt start "$ID"
	done
	: >go/now
	# In the middle of it.
	wait_for 30 some_billed 8
	kill -KILL "$(jq -e .gatewayPid "$PURPLE_ROOT/${ids[0]}/state.json")"
	for id in "${ids[@]}"; do
		wait_for 60 is_status stopped "$id"
		purple_rt delete "$id"
	done
	# What the killed one had reserved is charged when the ledger is opened next.
	run "$PURPLE" usage --by policy --format json
	assert_equal "$(jq -c '[.[] | .key, .open]' <<<"$output")" '["crowd",0]'
	run python3 "$provider_py/ledger.py" check "$ledger" --bill bill.jsonl --max-tokens 12000
	echo "$output"
	assert_status 0
	# It was used up: what is left is less than an answer.
	(($(jq .tokens <<<"${lines[0]}") > 11000))
	(($("$PURPLE" usage --by container --format json | jq length) >= 7))
	run "$PURPLE" budget show policy:crowd --format json
	assert_equal "$(jq -c '[length, .[0].tokens <= 12000, .[0].tokens_reserved]' <<<"$output")" "[1,true,0]"
}

some_billed() {
	(($(wc -l <bill.jsonl) >= $1))
}
