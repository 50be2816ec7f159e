#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The shipped policies: each one starts a container under an engine, or is refused with the line of
# what this version cannot enforce; nothing in between.

load policy

setup_file() {
	agent_build
}

SHIPPED=/usr/share/purple/policies
STARTS=(secure-agent simple-ai-test code-analyst cicd-worker honeypot)
REFUSED=(ai-dev-safe ai-dev-team api-monitoring budget-enforcement data-retriever production-secure)

@test "every shipped policy is looked at here" {
	run bash -c "cd $SHIPPED && printf '%s\n' *.yaml | sed 's/.yaml//' | sort | tr '\n' ' '"
	assert_output "$(printf '%s\n' "${STARTS[@]}" "${REFUSED[@]}" | sort | tr '\n' ' ')"
}

@test "those that need nothing but this version start, and hold" {
	local name
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

@test "those that need more are refused at the first line that this version cannot enforce" {
	local name line key
	make_generous_bundle
	while read -r name key; do
		echo "$name"
		line=$(grep -nE "^ *(${key##*.}):" "$SHIPPED/$name.yaml" | head -1 | cut -d: -f1)
		run_under "$name" 'echo started'
		((status != 0))
		assert_lacks started
		[[ $output =~ $SHIPPED/$name.yaml:([0-9]+):[0-9]+:\ $key ]] || { echo "$output"; return 1; }
		((BASH_REMATCH[1] == line || BASH_REMATCH[1] == line + 1))
		run purple_rt state "$ID"
		assert_contains "container does not exist"
	done <<-END
		ai-dev-safe resources.session_timeout_seconds
		ai-dev-team audit
		api-monitoring audit
		budget-enforcement audit
		data-retriever resources.session_timeout_seconds
		production-secure audit
	END
}

@test "each key that this version cannot enforce is refused with its line" {
	make_bundle
	local text
	policy t <<<$'audit:\n  enabled: true'
	assert_refused t 3:3 audit
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
	policy t <<<$'ebpf_monitoring:\n  enabled: true'
	assert_refused t 3:3 ebpf_monitoring
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
