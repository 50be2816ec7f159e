#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# purple-gateway as a program: which calls pass, with which credentials, how answers come back, and
# what the process is left with.

load helpers
load gateway

setup() {
	requires root python3 jq curl gateway
	purple_setup
	provider_start
	gateway_config gateway.json
}

teardown() {
	gateway_teardown
	purple_teardown
}

# sent HEADER: what the provider got as this header in the last request.
sent() {
	tail -n 1 requests.jsonl | jq -r --arg name "$1" '[.headers[] | select(.[0] | ascii_downcase == $name) | .[1]] | join("|")'
}

@test "the provider gets its own key in its own way, and nothing of the agent's" {
	gateway_start
	chat "scenario: plain out=5" -H "api-key: other" -H "OpenAI-Organization: org-1" \
		-H "X-HTTP-Method-Override: DELETE" -H "Cookie: a=b" -H "Connection: close, x-title" \
		-H "OpenAI-Beta: yes"
	assert_equal "$status" 200
	assert_equal "$(jq -r '.choices[0].message.content' <<<"$output")" "text wort text wort text "
	assert_equal "$(sent authorization)" "Bearer $GATEWAY_KEY"
	assert_equal "$(sent openai-beta)" yes
	assert_equal "$(sent accept-encoding)" identity
	local name
	for name in api-key openai-organization x-http-method-override cookie x-api-key expect; do
		assert_equal "$name $(sent $name)" "$name "
	done

	credential="x-api-key: $GATEWAY_PLACEHOLDER"
	gateway_post /anthropic/v1/messages '{"model":"claude-sonnet-4-5","max_tokens":64,"messages":[{"role":"user","content":"scenario: plain out=5"}]}' \
		-H "anthropic-version: 2023-06-01"
	assert_equal "$status" 200
	assert_equal "$(sent x-api-key)" "$GATEWAY_KEY"
	assert_equal "$(sent authorization)" ""
	assert_equal "$(sent anthropic-version)" 2023-06-01

	credential="Authorization:"
	gateway_post "/gemini/v1beta/models/gemini-2.5-flash:generateContent?key=$GATEWAY_PLACEHOLDER&x=1" \
		'{"contents":[{"parts":[{"text":"scenario: plain out=5"}]}]}'
	assert_equal "$status" 200
	assert_equal "$(sent x-goog-api-key)" "$GATEWAY_KEY"
	run cat requests.jsonl
	[[ $output != *"$GATEWAY_PLACEHOLDER"* ]]
	# Without the usage, as Google would have it, nothing could be metered.
	credential="x-goog-api-key: $GATEWAY_PLACEHOLDER"
	gateway_post "/gemini/v1beta/models/gemini-2.5-flash:generateContent?fields=candidates&%24fields=x&alt=proto&callback=f" \
		'{"contents":[{"parts":[{"text":"scenario: plain out=5"}]}]}'
	assert_equal "$status" 200
	assert_equal "$(tail -n 1 requests.jsonl | jq -r .path)" "/v1beta/models/gemini-2.5-flash:generateContent"

	unset credential
	gateway_post "/azure/openai/deployments/gpt-5-mini/chat/completions?api-version=1" \
		'{"model":"gpt-5-mini","messages":[{"role":"user","content":"scenario: plain out=5 flavor=azure"}]}'
	assert_equal "$status" 200
	assert_equal "$(sent api-key)" "$GATEWAY_KEY"
}

@test "without the container's own placeholder nothing passes" {
	local credential
	gateway_start
	for credential in "Authorization:" "Authorization: Bearer $GATEWAY_KEY" "Authorization: Bearer" \
		"Authorization: Bearer ${GATEWAY_PLACEHOLDER}x" "Authorization: Bearer ${GATEWAY_PLACEHOLDER%?}" \
		"Authorization: Basic $GATEWAY_PLACEHOLDER" "x-api-key: ${GATEWAY_PLACEHOLDER^^}"; do
		chat "scenario: plain"
		refused 401 key
	done
	assert_equal "$(wc -l <requests.jsonl)" 0
}

@test "calls that are not in the table are refused, in the provider's own format" {
	gateway_start
	gateway_post /openai/v1/files '{}'
	refused 404 route
	gateway_post /openai/v1/chat/completions/../files '{}' --path-as-is
	refused 404 route
	gateway_post /openai/v1/chat/completions '{}' -X PUT
	refused 404 route
	gateway_post /anthropic/v1/chat/completions '{}'
	refused 404 route
	assert_equal "$(jq -r .type <<<"$output")" error
	gateway_post /gemini/v1beta/models/x:batchGenerateContent '{}'
	refused 404 route
	assert_equal "$(jq -r .error.status <<<"$output")" NOT_FOUND
	gateway_post /v1/chat/completions '{}'
	refused 403 provider
	gateway_post /OpenAI/v1/chat/completions '{}'
	refused 403 provider
	gateway_post /openai/openai/deployments/gpt-5-nano/chat/completions '{"model":"gpt-5"}'
	refused 404 route
	gateway_post /openai/v1/responses '' -X GET -H 'Upgrade: websocket' -H 'Connection: Upgrade'
	refused 426 upgrade
	assert_equal "$(wc -l <requests.jsonl)" 0
	chat "scenario: plain out=5"
	assert_equal "$status" 200
}

@test "where a policy lets providers pass that it does not name, they get the agent's own key alone" {
	gateway_config gateway.json '.policies[0] += { blockUnknown: false, providers: [.policies[0].providers[1]] }'
	gateway_start
	# The one that is named has its key, and wants the placeholder.
	gateway_post /anthropic/v1/messages '{"model":"claude-sonnet-4-5","max_tokens":64,"messages":[{"role":"user","content":"scenario: plain out=5"}]}'
	assert_equal "$status" 200
	# Others are not told the placeholder, which is of no use to them.
	chat "scenario: plain"
	refused 401 key
	[[ $output == *"a key of their own"* ]]
	gateway_post /nobody/v1/chat/completions '{}'
	refused 403 provider
}

@test "lists of models pass and cost nothing" {
	gateway_start
	run curl -sS --max-time 60 -H "Authorization: Bearer $GATEWAY_PLACEHOLDER" "$GATEWAY_URL/openai/v1/models"
	assert_status 0
	assert_equal "$(jq -r .object <<<"$output")" list
	gateway_end
	run "$PURPLE" usage --ledger ledger.db --format json
	assert_equal "$(jq length <<<"$output")" 0
}

@test "an answer passes while it is made" {
	gateway_start
	python3 - "$GATEWAY_URL" "$GATEWAY_PLACEHOLDER" <<-'EOF'
		import http.client, json, sys
		host = sys.argv[1].removeprefix("http://")
		c = http.client.HTTPConnection(host, timeout=60)
		c.request("POST", "/openai/v1/chat/completions", json.dumps({"model": "gpt-5-mini", "stream": True,
		    "messages": [{"role": "user", "content": "scenario: stall out=50 after=5"}]}),
		    {"Authorization": "Bearer " + sys.argv[2]})
		answer = c.getresponse()
		assert answer.status == 200
		# The provider says no more after these.
		for _ in range(3):
		    assert answer.readline().startswith(b"data: {")
		    assert answer.readline() == b"\n"
	EOF
}

@test "who does not read makes the provider wait, and not the gateway hold" {
	gateway_start
	python3 - "$GATEWAY_URL" "$GATEWAY_PLACEHOLDER" "$GATEWAY_PID" <<-'EOF'
		import json, socket, sys, time
		host, port = sys.argv[1].removeprefix("http://").split(":")
		body = json.dumps({"model": "gpt-5-mini", "stream": True, "messages": [
		    {"role": "user", "content": "scenario: endless chunk=2000"}]})
		head = ("POST /openai/v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + sys.argv[2] +
		    "\r\nContent-Length: %d\r\n\r\n" % len(body))
		def ticks():
		    fields = open("/proc/%s/stat" % sys.argv[3]).read().rsplit(")")[1].split()
		    return int(fields[11]) + int(fields[12])
		open_ones = []
		for _ in range(2):
		    s = socket.create_connection((host, int(port)))
		    s.sendall((head + body).encode())
		    s.recv(100)
		    open_ones.append(s)
		# Until it has nothing more to do: buffers of the kernel are full.
		before, end = -1, time.monotonic() + 60
		while before != ticks() and time.monotonic() < end:
		    before = ticks()
		    time.sleep(1)
		assert time.monotonic() < end, "it never comes to rest"
	EOF
	memory_at_most 40
	chat "scenario: plain out=5"
	assert_equal "$status" 200
}

@test "an answer of 40 MB passes, byte for byte, without being held" {
	gateway_start
	chat "scenario: huge size=40000000"
	assert_equal "$status" 200
	(($(stat -c %s answer) >= 40000000))
	memory_at_most 40
	gateway_end
	check_ledger
}

@test "64 streams at once, over TLS, take little memory" {
	make_certificate provider IP:127.0.0.1
	provider_start --tls-port 0 --cert provider.pem --key provider.key
	# With as many authorities as a host trusts.
	local n
	for ((n = 0; n < 150; n++)); do
		cat provider.pem
	done >many.pem
	[[ ! -e /etc/ssl/certs/ca-certificates.crt ]] || cat /etc/ssl/certs/ca-certificates.crt >>many.pem
	gateway_config gateway.json ".policies[0].providers[0].endpoints = [\"https://127.0.0.1:$PROVIDER_TLS_PORT/v1\"]"
	gateway_start gateway.json --ca-file "$PWD/many.pem"
	load_calls --url "$GATEWAY_URL/openai" --stream --count 64 --parallel 64 --max 400 \
		--prompt "scenario: plain out=60 delay=0.02"
	assert_equal "$(jq -c '[.["200"], .whole]' <<<"$output")" "[64,64]"
	memory_at_most 40
	gateway_end
	check_ledger
}

@test "usage that the gateway asked for is not shown to who did not" {
	local stream='{"model":"gpt-5-mini","stream":true,"messages":[{"role":"user","content":"scenario: plain out=5"}]'
	gateway_start
	gateway_post /openai/v1/chat/completions "$stream}"
	assert_equal "$status" 200
	[[ $output != *usage* && $output == *'data: [DONE]'* ]]
	tail -n 1 requests.jsonl | jq -e '.body | fromjson | .stream_options.include_usage'
	gateway_post /openai/v1/chat/completions "$stream"',"stream_options":{"include_usage":true}}'
	[[ $output == *'"usage":{'* ]]
}

@test "a provider that quotes the key does not tell it to the agent" {
	gateway_start
	chat "scenario: echo"
	((status >= 400))
	[[ $output == *'***'* && $output != *"$GATEWAY_KEY"* ]]
	grep -q "$GATEWAY_KEY" head && return 1
	chat "scenario: echo split=1"
	[[ $output != *"$GATEWAY_KEY"* ]]
}

@test "redirects and compressed answers are refused" {
	gateway_start
	chat "scenario: redirect"
	refused 502 upstream
	assert_equal "$(wc -l <requests.jsonl)" 1
	chat "scenario: gzip"
	refused 502 upstream
	chat "scenario: plain out=5"
	assert_equal "$status" 200
}

@test "the process has no privileges, and holds its keys where nobody looks" {
	gateway_start
	chat "scenario: plain out=5"
	run cat "/proc/$GATEWAY_PID/status"
	[[ $output == *"NoNewPrivs:"$'\t'1* && $output == *"Seccomp:"$'\t'2* ]]
	[[ $output == *CapPrm:$'\t'0000000000000000* && $output == *CapBnd:$'\t'0000000000000000* ]]
	(($(awk '/^Uid:/ { print $2 }' "/proc/$GATEWAY_PID/status") > 0))
	assert_equal "$(awk '/^Max core file size/ { print $6 }' "/proc/$GATEWAY_PID/limits")" 0
	# Not dumpable: its memory belongs to root alone.
	assert_equal "$(stat -c %u "/proc/$GATEWAY_PID/environ")" 0
	run grep -a "$GATEWAY_KEY" "/proc/$GATEWAY_PID/cmdline" "/proc/$GATEWAY_PID/environ" ledger.db ledger.db-wal gateway.log
	assert_status 1
}

# stored TYPE: what llm.jsonl has of it, put together.
stored() {
	jq -rj --arg type "$1" 'select(.type == $type) | .content' llm.jsonl
}

@test "prompts and answers are stored where a policy says so, without what must not leave" {
	local key
	key=sk-ant-api03-$(printf 'Ab1%.0s' {1..31})AA
	gateway_config gateway.json '.policies[0] += { logPrompts: true, logResponses: true, scan: true }'
	gateway_start gateway.json --content llm.jsonl
	chat "a marker Ω, $key scenario: plain out=5"
	assert_equal "$status" 200
	assert_equal "$(stored llm_response)" "$output"
	[[ $(stored llm_prompt) == *"a marker Ω, [REDACTED:"* && $(stored llm_prompt) != *"$key"* ]]
	# In parts, no character torn.
	: >llm.jsonl
	jq -n --arg p "$(printf 'Ω€%.0s' {1..9000}) scenario: plain out=4000" \
		'{ model: "gpt-5-mini", stream: true, messages: [{ role: "user", content: $p }] }' >body
	gateway_post /openai/v1/chat/completions @body
	assert_equal "$status" 200
	cmp <(stored llm_response) answer
	assert_equal "$(stored llm_prompt | jq -r '.messages[0].content' | md5sum)" "$(jq -r '.messages[0].content' body | md5sum)"
	(($(jq -r .type llm.jsonl | grep -c llm_prompt) > 2))
	assert_equal "$(stat -c %a llm.jsonl)" 600
}

@test "where no policy wants them stored, no byte of prompts and answers is written anywhere" {
	gateway_config gateway.json '.policies[0] += { logTokens: true, logCosts: true, scan: true }'
	gateway_start gateway.json --content llm.jsonl --events events.jsonl
	chat "the-marker-of-a-prompt scenario: plain out=5"
	assert_equal "$status" 200
	gateway_post /openai/v1/chat/completions '{"model":"gpt-5-mini","messages":"the-marker-of-a-prompt"'
	refused 400 request
	chat "the-marker-of-a-prompt scenario: cut after=20"
	gateway_end
	run grep -rla -e the-marker-of-a-prompt -e "text wort" ledger.db* events.jsonl llm.jsonl gateway.log gateway.json
	assert_status 1
	assert_equal "$(stat -c %s llm.jsonl)" 0
	(($(wc -l <events.jsonl) >= 3))
}

@test "a configuration that cannot be right is refused with the reason" {
	gateway_keys
	echo '{"container":"c"}' >bad.json
	run "$PURPLE_GATEWAY" --config bad.json --listen 127.0.0.1:0
	assert_status 1
	[[ $output == *bad.json* ]]
	run "$PURPLE_GATEWAY" --config gateway.json --listen nowhere
	assert_status 1
	[[ $output == *"'nowhere' is not ADDRESS:PORT"* ]]
	printf '{"openai":"a\\nb"}' >keys.json
	run "$PURPLE_GATEWAY" --config gateway.json --keys keys.json --listen 127.0.0.1:0
	assert_status 1
	[[ $output == *"key of 'openai'"* ]]
	run "$PURPLE_GATEWAY" --config gateway.json
	assert_status 1
}

@test "the first gateway of a host makes the ledger's folder, for root alone" {
	gateway_config gateway.json ".ledger = \"$PWD/lib/ledger.db\""
	gateway_start gateway.json
	chat "scenario: plain out=5"
	assert_equal "$status" 200
	gateway_end
	assert_equal "$(stat -c %a lib)" 700
	run "$PURPLE" usage --ledger lib/ledger.db --format json
	assert_equal "$(jq '[.[].calls] | add' <<<"$output")" 1
}
