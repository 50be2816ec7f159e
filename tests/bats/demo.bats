#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The demonstration (contrib/demo): what README's first command shows.

load helpers

setup() {
	requires root private_etc gateway python3 jq
	purple_setup
	# Where `make install` puts it.
	DEMO=/usr/share/purple/demo
	mkdir -p "$DEMO"
	cp "$PURPLE_SRCDIR"/contrib/demo/* "$DEMO"
	rm -f /etc/purple/prices.json
	unset OPENAI_API_KEY ANTHROPIC_API_KEY OPENAI_BASE_URL ANTHROPIC_BASE_URL DEMO_MODEL
}

teardown() {
	[[ -z ${PROVIDER:-} ]] || kill "$PROVIDER"
	rm -f /etc/purple/prices.json
	purple_teardown
}

# What the demonstration leaves is not the machine's: this file has a mount namespace of its own.
setup_file() {
	[[ -z ${PURPLE_PRIVATE_ETC:-} ]] || mount -t tmpfs -o mode=1777 purple-test /var/tmp
}

# What is true of each demonstration that went well.
assert_story() {
	assert_status 0
	assert_lacks WRONG
	assert_contains "  denied   reach the cloud's metadata service"
	assert_contains "  works    call 1: "
	assert_contains "  works    call 5: "
	assert_contains "  refused  call "
	assert_contains "  stopped  by Purple (SIGTERM)"
	assert_contains "  killed   at its memory limit"
	assert_contains "result.txt: the answer is 42"
	assert_equal "$(grep -c '  refused  call ' <<<"$output")" 1
	# 80 columns, and no colours where nobody looks.
	run awk 'length > 80 || /\033/' <<<"$output"
	assert_output ""
}

@test "the demonstration needs no key: calls are metered, the budget ends, the agent is stopped" {
	local story
	PURPLE=$PURPLE run "$DEMO/demo"
	story=$output
	assert_story
	# The agent's key is not the provider's, and what is spent is within the limit.
	[[ $story == *"API key in my environment: purple-"* ]]
	[[ $story != *sk-demo* ]]
	run "$PURPLE" usage --policy demo-agent --format json
	assert_status 0
	jq -e 'map(.cost) | add | . > 0 and . <= 50000000000' <<<"$output"
}

# In the place of a real provider, for which this key is good.
start_provider() {
	mkfifo port
	"$PURPLE_SRCDIR/tests/provider/provider.py" --key-sent sk-test-real-key --log calls.jsonl \
		>port 2>/dev/null </dev/null 3>&- &
	PROVIDER=$!
	read -r PORT <port
}

@test "with OPENAI_API_KEY the same demonstration calls OpenAI, whose key the agent never sees" {
	local story
	start_provider
	PURPLE=$PURPLE OPENAI_API_KEY=sk-test-real-key OPENAI_BASE_URL=http://127.0.0.1:$PORT/v1 run "$DEMO/demo"
	story=$output
	assert_story
	[[ $story == *"- name: openai"*"api_key_env: OPENAI_API_KEY"*"gpt-4.1-mini: "*" calls, "* ]]
	[[ $story != *sk-test-real-key* ]]
}

@test "with ANTHROPIC_API_KEY it calls Anthropic" {
	local story
	start_provider
	PURPLE=$PURPLE ANTHROPIC_API_KEY=sk-test-real-key ANTHROPIC_BASE_URL=http://127.0.0.1:$PORT run "$DEMO/demo"
	story=$output
	assert_story
	[[ $story == *"- name: anthropic"*"api_key_env: ANTHROPIC_API_KEY"*"claude-haiku-4-5: "*" calls, "* ]]
	[[ $story != *sk-test-real-key* ]]
}

@test "the demonstration's agent tries nothing where it is not in a sandbox" {
	# Without privileges, should it try.
	run setpriv --reuid=65534 --regid=65534 --clear-groups "$DEMO/agent"
	assert_status 2
	assert_contains "purple run --profile demo-agent"
	assert_lacks denied
}
