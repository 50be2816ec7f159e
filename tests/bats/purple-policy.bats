#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# purple policy: check, compile and schema.

load helpers

setup() {
	requires jq
	purple_setup
}

policy_file() { # FILE <YAML without the paths of the host
	{
		printf 'name: p\n'
		host_files
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
	policy_file p.yaml <<<'enforcement: audit'
	run "$PURPLE" policy check p.yaml
	assert_status 0
	assert_contains "note: policy p.yaml:"
	assert_contains "enforcement: audit"
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

@test "compile: the sockets that a policy cannot grant, with stock runc too" {
	requires root runc python3
	policy_file p.yaml <<-END
		network: { isolated: true }
		syscalls: { allow: [socket, io_uring_setup] }
	END
	run "$PURPLE" policy compile p.yaml --bundle b
	assert_status 0
	python3 -c 'import json, sys
config = json.load(open("b/config.json"))
config["process"]["args"] = ["python3", "-c", sys.argv[1]]
json.dump(config, open("b/config.json", "w"))' 'import socket
for family, kind, proto in (1, 1, 0), (2, 1, 0), (16, 3, 0), (16, 3, 15), (17, 3, 0), (40, 1, 0):
    try:
        socket.socket(family, kind, proto)
        print("ok")
    except OSError as e:
        print(e.errno)'
	run runc --root "$PWD/runc" run --bundle b "$ID-runc"
	assert_output $'ok\nok\nok\n1\n1\n1'
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

# TARGET VERDICT "REASON"
why() {
	run "$PURPLE" policy why p.yaml "$1"
	case $2 in
	denied) assert_status 3 ;;
	*) assert_status 0 ;;
	esac
	assert_contains ": $2"$'\n'
	assert_contains "$3"
}

@test "why says which rule decides, and where it stands" {
	cat >p.yaml <<-'END'
		name: p
		network:
		  allow_outgoing:
		    - "api.example.com:443"
		    - "*.example.org:8000-8010"
		    - "203.0.113.0/24:443"
		    - "[2001:db8::/32]:53/udp"
		    - "10.1.0.0/16:5432/tcp"
		  blocked_ips: [203.0.113.66]
		  blocked_domains: [ads.example.org]
	END
	why api.example.com:443 allowed 'p.yaml:4:7: network.allow_outgoing: api.example.com:443'
	assert_contains "has to begin with a name that is allowed"
	why API.example.com:443/tcp allowed 'api.example.com:443/tcp: allowed'
	why api.example.com:80 denied "api.example.com:443 does not cover this port"
	why api.example.com:443/udp denied "UDP 443 by name needs /udp in the rule"
	why x.example.org:8005/udp allowed 'p.yaml:5:7: network.allow_outgoing: *.example.org:8000-8010'
	why example.org:8005 denied "no rule in network.allow_outgoing allows it"
	why ads.example.org:8005 denied 'p.yaml:10:21: network.blocked_domains: ads.example.org'
	why a.ads.example.org:8005 denied 'p.yaml:10:21: network.blocked_domains: ads.example.org'
	why 203.0.113.7:443 allowed 'p.yaml:6:7: network.allow_outgoing: 203.0.113.0/24:443'
	why 203.0.113.66:443 denied 'p.yaml:9:17: network.blocked_ips: 203.0.113.66'
	why 203.0.113.7:80 denied "203.0.113.0/24:443 does not cover this port"
	why '[2001:db8::1]:53/udp' allowed '[2001:db8::1]:53/udp: allowed'
	why '[2001:db8::1]:53' denied "does not cover this port"
	why 198.51.100.1:443 denied "allowed while it is an address of a name that is allowed"
	why 10.1.2.3:5432 allowed 'p.yaml:8:7: network.allow_outgoing: 10.1.0.0/16:5432/tcp'
	why 10.1.2.3:80 denied "10.0.0.0/8 is reserved (private network)"
	why 169.254.169.254:80 denied "169.254.169.254/32 is reserved (cloud metadata)"
	why '[64:ff9b::cb00:7142]:443' denied reserved
	why 127.0.0.1:8080 allowed "the loopback device is the agent's own"
	why localhost:8080 allowed "the loopback device is the agent's own"
}

@test "why: without an allow list, and without a network" {
	printf 'name: p\nnetwork:\n  blocked_ips: [203.0.113.0/24]\n' >p.yaml
	why 203.0.113.9:1/udp denied 'p.yaml:3:17: network.blocked_ips: 203.0.113.0/24'
	why 10.0.0.1:1 allowed "nothing blocks it"
	why example.org:1 allowed "nothing blocks it"
	why '[fd00:ec2::254]:80' denied "reserved (cloud metadata)"
	printf 'name: p\nnetwork:\n  isolated: true\n' >p.yaml
	why 203.0.113.9:1 denied "p.yaml:3:3: network.isolated: the agent has a loopback device alone"
	why '[::1]:1' allowed "agent's own"
	printf 'name: p\n' >p.yaml
	why example.org:1 denied "no network section"
}

@test "why refuses what is not one place with a port, and policies that are none" {
	local target
	printf 'name: p\nnetwork: { isolated: false }\n' >p.yaml
	for target in example.org 443 10.0.0.0/8:443 '*.example.org:443' example.org:80-90 https://example.org \
		'2001:db8::1' 1.2.3:80 example.org:0 ''; do
		run "$PURPLE" policy why p.yaml "$target"
		assert_status 1
	done
	printf 'name: p\nnetwork: { isolatd: false }\n' >p.yaml
	run "$PURPLE" policy why p.yaml example.org:443
	assert_status 1
	assert_contains "p.yaml:2:12: unknown key 'isolatd'"
	run "$PURPLE" policy why --strict p.yaml example.org:443
	assert_status 1
}

@test "check warns of what a network's rules take away again" {
	policy_file p.yaml <<-'END'
		network: { allow_outgoing: ["443"] }
		capabilities: { add: [CAP_NET_RAW] }
		syscalls: { allow: [bpf, io_uring_setup] }
	END
	run "$PURPLE" policy check p.yaml
	assert_contains "capabilities.add: 'CAP_NET_RAW' is dropped all the same"
	assert_contains "syscalls.allow: 'bpf' is denied all the same"
	assert_contains "syscalls.allow: 'io_uring_setup' is denied all the same"
}

# An example of purple-policy(5).
example() { # NAME
	"$PURPLE" policy man | awk -v name="$1" '
		$0 == ".\\\" example: " name { found = 1 }
		/^\.fi$/ { found = shown = 0 }
		shown { gsub(/\\-/, "-"); print }
		found && /^\.nf$/ { shown = 1 }'
}

@test "the manual's example of providers and prices passes check, which reads the prices too" {
	requires private_etc # the prices that Purple comes with
	example prices >prices.json
	example policy | sed "s|/etc/purple/prices-vllm.json|$PWD/prices.json|" >team-red.yaml
	run jq -r '.models[].id' prices.json
	assert_output qwen3-coder
	run "$PURPLE" policy check --strict team-red.yaml
	assert_status 0
	assert_contains "team-red.yaml: ok"
	assert_lacks warning

	sed -i 's/"input"/"inputs"/' prices.json
	run "$PURPLE" policy check team-red.yaml
	assert_status 1
	assert_contains "error: $PWD/prices.json: "
	assert_contains "unknown key 'inputs'"
	assert_lacks ": ok"
}

@test "README's policies pass check" {
	local section
	for section in "A policy" "Budgets for LLM calls"; do
		awk -v section="## $section" '
			/^## / { here = $0 == section }
			here && /^    [a-z]/ && !shown { shown = 1 }
			shown && !/^    / { exit }
			shown { print substr($0, 5) }' "$PURPLE_SRCDIR/README.md" >policy.yaml
		grep -q '^name:' policy.yaml || sed -i '1i name: policy' policy.yaml
		run "$PURPLE" policy check policy.yaml
		assert_status 0
		assert_contains "policy.yaml: ok"
	done
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
		why
		why x.yaml
	END
	run "$PURPLE" policy
	assert_status 1
}

@test "diff says which of two policies is stricter, rule by rule" {
	printf 'name: a\nresources: { pids_limit: 10 }\nnetwork: { allow_outgoing: ["192.0.2.0/24:443"] }\n' >a.yaml
	printf 'name: b\nresources: { pids_limit: 9 }\nnetwork: { allow_outgoing: ["192.0.2.0/25:443"] }\n' >b.yaml
	run "$PURPLE" policy diff a.yaml b.yaml
	assert_status 1
	assert_contains $'stricter  resources.pids_limit\n          10 -> 9\n'
	assert_contains "stricter  network: 192.0.2.128 port 443/tcp"
	assert_contains "allowed by 192.0.2.0/24:443 (a.yaml:3:29) -> denied: no rule speaks of it"
	assert_contains "b.yaml is stricter than a.yaml in all in which they differ: 2 stricter, 0 looser, 0 other"
	run "$PURPLE" policy diff b.yaml a.yaml
	assert_status 1
	assert_contains "a.yaml is looser than b.yaml in all"
	run "$PURPLE" policy diff a.yaml a.yaml
	assert_status 0
	assert_contains "a.yaml and a.yaml say the same"
	run "$PURPLE" policy diff a.yaml missing.yaml
	assert_status 1
	assert_contains "missing.yaml"
	run "$PURPLE" policy diff --strict a.yaml b.yaml
	assert_status 1
	assert_contains "takes no options"
}
