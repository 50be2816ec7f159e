#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The shipped policies: each one starts a container under an engine, and holds.

load policy

setup_file() {
	agent_build
}

SHIPPED=/usr/share/purple/policies
STARTS=(secure-agent simple-ai-test code-analyst cicd-worker honeypot ai-dev-safe data-retriever)
# Those that need API keys, too; their logs are in /var/log/purple.
AUDITED=(ai-dev-team api-monitoring budget-enforcement production-secure)

@test "every shipped policy is looked at here" {
	run bash -c "cd $SHIPPED && printf '%s\n' *.yaml | sed 's/.yaml//' | sort | tr '\n' ' '"
	assert_output "$(printf '%s\n' "${STARTS[@]}" "${AUDITED[@]}" | sort | tr '\n' ' ')"
}

@test "those that need nothing but this version start, and hold" {
	local name
	export ANTHROPIC_API_KEY=sk-test-2
	make_generous_bundle
	mkdir -p "$BUNDLE/rootfs/usr" "$BUNDLE/rootfs/sbin"
	for name in "${STARTS[@]}"; do
		echo "$name"
		run_under "$name" 'echo started; grep -E "CapBnd|NoNewPrivs|Seccomp:" /proc/self/status || while read k v; do
			case $k in CapBnd:|NoNewPrivs:|Seccomp:) echo "$k	$v";; esac; done </proc/self/status'
		assert_contains started
		assert_contains $'CapBnd:\t0000000000000000'
		assert_contains $'NoNewPrivs:\t1'
		assert_contains $'Seccomp:\t2'
	done
	run_under honeypot '/bin/true; echo $?'
	assert_equal "${lines[-1]}" 126
}

@test "those that are audited start with their API keys, and their logs say so" {
	local name
	requires gateway
	make_generous_bundle
	mkdir -p "$BUNDLE/rootfs/usr" "$BUNDLE/rootfs/sbin" /etc/purple/keys
	# The logs are the host's: the test has a folder of its own in their place.
	mkdir -p /var/log/purple "$BATS_TEST_TMPDIR/logs"
	mount --bind "$BATS_TEST_TMPDIR/logs" /var/log/purple
	echo sk-test-0123456789 >/etc/purple/keys/anthropic
	export OPENAI_API_KEY=sk-test-1 ANTHROPIC_API_KEY=sk-test-2 GEMINI_API_KEY=sk-test-3
	for name in "${AUDITED[@]}"; do
		echo "$name"
		run_under "$name" 'echo started'
		assert_contains started
		[[ $(jq -r .type "$BATS_TEST_TMPDIR/logs/$name.jsonl" | head -1) == start ]]
		grep -q '"type":"end"' "$BATS_TEST_TMPDIR/logs/$name.jsonl"
	done
	umount /var/log/purple
}

@test "each key that this version cannot enforce is refused with its line" {
	make_bundle
	local text
	policy t <<<$'ai_policy:\n  budget:\n    max_tokens: 5'
	assert_refused t 2:1 ai_policy
	policy t <<<$'ai_policy:\n  rate_limits:\n    requests_per_minute: 5'
	assert_refused t 2:1 ai_policy
	policy t <<<$'ai_policy:\n  llm_apis:\n    providers:\n      - name: mine'
	assert_refused t 5:9 ai_policy.llm_apis.providers
	policy t <<<$'ai_policy:\n  llm_apis:\n    providers:\n      - { name: mine, format: openai }'
	assert_refused t 5:9 ai_policy.llm_apis.providers
	policy t <<<$'ai_policy:\n  llm_apis:\n    providers:\n      - { name: mine, format: openai, endpoints: ["*.x.org"] }'
	assert_refused t 5:9 ai_policy.llm_apis.providers.endpoints
	policy t <<<$'ebpf_monitoring:\n  trace_files: true'
	assert_refused t 2:1 ebpf_monitoring
	policy t <<<'enforcement: audit'
	assert_refused t 2:1 enforcement
}

@test "a document that is no policy is refused: two documents, aliases, no name, binary, empty" {
	make_bundle
	policy bad <<<$'---\nname: two'
	assert_refused bad 2:1 document
	policy bad <<<$'filesystem: &a { scratch_paths: [/tmp] }'
	assert_refused bad 2:13 ""
	local text
	for text in '' 'description: x' $'name: \x01' '[1, 2]' 'name: [' 'name: a: b' $'name: bad\n\tx: 1'; do
		policy_install bad <<<"$text"
		new_id
		run purple_rt --policy bad create --bundle "$BUNDLE" "$ID"
		((status != 0))
		[[ $output =~ /etc/purple/policies/bad.yaml:[0-9]+:[0-9]+:\  ]] || { echo "$text: $output"; return 1; }
	done
}
