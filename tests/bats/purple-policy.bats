#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# purple policy: check, compile and schema.

load helpers

setup() {
	requires jq
	purple_setup
}

policy_file() { # FILE <YAML without the paths of the host
	local dir
	{
		printf 'name: p\nfilesystem:\n  immutable_paths:\n'
		for dir in /usr /bin /sbin /lib /lib64; do
			[[ ! -d $dir ]] || printf '    - host_path: %s\n' "$dir"
		done
		printf '  scratch_paths: [/tmp]\n'
		cat
	} >"$1"
}

@test "check accepts every shipped policy" {
	run "$PURPLE" policy check "$PURPLE_SRCDIR"/policies/*.yaml
	assert_status 0
	assert_equal "$(grep -c ': ok$' <<<"$output")" "$(find "$PURPLE_SRCDIR/policies" -name '*.yaml' | wc -l)"
}

@test "check names file, line and column of a fault, with a suggestion, and goes on" {
	printf 'name: a\nnetwork:\n  blockd_ips: [1.2.3.4]\n' >a.yaml
	policy_file p.yaml </dev/null
	run "$PURPLE" policy check a.yaml p.yaml missing.yaml
	assert_status 1
	assert_contains "a.yaml:3:3: unknown key 'blockd_ips'"
	assert_contains "did you mean 'blocked_ips'?"
	assert_contains "p.yaml: ok"
	assert_contains "missing.yaml"
	assert_lacks "a.yaml: ok"
}

@test "check notes what this version cannot enforce, and accepts it" {
	policy_file p.yaml <<<'network: { allow_outgoing: ["443"] }'
	run "$PURPLE" policy check p.yaml
	assert_status 0
	assert_contains "note: policy p.yaml:"
	assert_contains "network.allow_outgoing"
}

@test "check --strict fails on warnings, which check alone only prints" {
	policy_file p.yaml </dev/null
	run "$PURPLE" policy check p.yaml
	assert_status 0
	assert_contains "warning: "
	run "$PURPLE" policy check --strict p.yaml
	assert_status 1
	policy_file p.yaml <<<'resources: { memory_limit_bytes: 64M }'
	run "$PURPLE" policy check --strict p.yaml
	assert_output "p.yaml: ok"
	assert_status 0
}

@test "compile prints a plain OCI configuration with the policy's filter and limits" {
	policy_file p.yaml <<-END
		resources: { memory_limit_bytes: 64M, pids_limit: 20 }
		syscalls: { deny: [ptrace] }
	END
	run --separate-stderr "$PURPLE" policy compile p.yaml
	assert_status 0
	assert_equal "$(jq -c .process.args <<<"$output")" '["sh"]'
	assert_equal "$(jq .linux.resources.pids.limit <<<"$output")" 20
	assert_equal "$(jq .linux.resources.memory.limit <<<"$output")" $((64 << 20))
	assert_equal "$(jq -r .linux.seccomp.defaultAction <<<"$output")" SCMP_ACT_ERRNO
	assert_equal "$(jq '[.linux.seccomp.syscalls[] | select(.names | index("ptrace"))] | length' <<<"$output")" 0
	assert_equal "$(jq '[.. | objects | keys[] | select(test("purple"; "i"))] | length' <<<"$output")" 0
}

@test "compile --bundle makes a bundle that purple-runtime and stock runc run alike" {
	requires root runc python3
	policy_file p.yaml <<<'resources: { pids_limit: 20 }'
	run "$PURPLE" policy compile p.yaml --bundle b
	assert_status 0
	BUNDLE=$PWD/b
	# Not with jq: it does not keep numbers of 64 bits.
	python3 -c 'import json, sys
config = json.load(open("b/config.json"))
config["process"]["args"] = ["sh", "-c", sys.argv[1]]
json.dump(config, open("b/config.json", "w"))' \
		'exec 2>&1; touch /x; echo hi >/tmp/x && cat /tmp/x; unshare --user true; grep CapEff /proc/self/status'
	run purple_rt run --bundle b "$ID"
	local ours=$output
	assert_contains "Read-only file system"
	assert_contains hi
	assert_contains "Operation not permitted"
	run runc --root "$PWD/runc" run --bundle b "$ID-runc"
	assert_output "$ours"
}

@test "compile writes conditions on one argument so that stock runc and crun take all of them" {
	requires root runc
	policy_file p.yaml <<<'resources: { pids_limit: 20 }'
	run --separate-stderr "$PURPLE" policy compile p.yaml
	# Of rules that name an argument twice, either condition would do.
	assert_equal "$(jq -c '[.linux.seccomp.syscalls[] | select((.args // []) | map(.index) | length != (unique | length)) | .names]' \
		<<<"$output")" '[]'
	((${#output} > 1000))
}

@test "compile --bundle does not overwrite a config.json" {
	policy_file p.yaml </dev/null
	mkdir b && echo mine >b/config.json
	run "$PURPLE" policy compile p.yaml --bundle b
	assert_status 1
	assert_contains "exists already"
	assert_equal "$(<b/config.json)" mine
	[[ ! -e b/rootfs ]]
}

@test "compile refuses what plain OCI cannot express, with its line, and writes nothing" {
	local line
	policy_file p.yaml <<-END
		syscalls:
		  deny: [execve]
	END
	line=$(grep -n execve p.yaml | cut -d: -f1)
	run "$PURPLE" policy compile p.yaml --bundle b
	assert_status 1
	assert_contains "p.yaml:$line:"
	[[ ! -e b ]]
	policy_file p.yaml <<<'resources: { session_timeout_seconds: 5 }'
	run "$PURPLE" policy compile p.yaml
	assert_status 1
	assert_contains "session_timeout_seconds"
	policy_file p.yaml <<<'network: { allow_outgoing: ["443"] }'
	run "$PURPLE" policy compile p.yaml
	assert_status 1
	assert_contains "network.allow_outgoing"
}

@test "schema prints the JSON Schema of the language" {
	run --separate-stderr "$PURPLE" policy schema
	assert_status 0
	jq -e '."$schema" and .properties.filesystem and .properties.network' <<<"$output"
}

@test "wrong words and options are refused" {
	local args
	while read -r args; do
		# shellcheck disable=SC2086 # words
		run "$PURPLE" policy $args
		assert_status 1
	done <<-END
		frobnicate
		check
		compile
		compile a b
		schema x
		check --bundle b x.yaml
		compile --strict x.yaml
	END
	run "$PURPLE" policy
	assert_status 1
}
