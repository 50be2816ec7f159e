#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What the network filter denies and the forwarder is asked stands in events.jsonl, told by
# `purple events`, with who, where, which rule and how often; and a connection that is denied ends.

load policy
load world

setup_file() {
	agent_build
}

setup() {
	purple_setup
	world_setup
	mountpoint -q /sys/fs/bpf || mount -t bpf -o mode=0700 purple-test /sys/fs/bpf
	make_generous_bundle
	edit_config '.linux.namespaces |= map(select(.type != "network"))
		| .linux.namespaces += [{ type: "network", path: $p }]' --arg p "$PWD/cont.net"
}

teardown() {
	world_teardown
	purple_teardown
}

purple_rt() {
	in_net host "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" "$@"
}

purple_() {
	in_net host "$PURPLE" --root "$PURPLE_ROOT" "$@"
}

# rules TEXT: the policy t with this in its network section.
rules() {
	policy t <<<"network: { $1 }"
}

# events JQ-FILTER: what it makes of the container's lines, one a line.
events() {
	jq -c "$1" "$PURPLE_ROOT/$ID/events.jsonl"
}

# await JQ-CONDITION: until a line is like that; sets LINE to the first one.
await() {
	wait_for 10 is_told "$1" || {
		cat "$PURPLE_ROOT/$ID/events.jsonl"
		return 1
	}
	LINE=$(events "select($1)" | head -n 1)
}
is_told() {
	[[ -n $(events "select($1)") ]]
}

# line_has JQ-EXPRESSION VALUE: of LINE.
line_has() {
	local got
	got=$(jq -r "$1" <<<"$LINE")
	[[ $got == "$2" ]] || {
		echo "$1 is '$got', not '$2', in $LINE"
		return 1
	}
}

@test "a denied connect() is an event with who, where, and the rule's line" {
	rules 'allow_outgoing: ["192.0.2.10:80"], blocked_ips: [192.0.2.12]'
	start_under t 'agent connect 192.0.2.12 8080; agent connect 192.0.2.11 25; agent connect 2001:db8:9::10 80
		exec agent connect 192.0.2.10 25'
	await '.destination.ip == "192.0.2.12"'
	line_has .type network
	line_has .verdict deny
	line_has .event.action connect
	line_has .container.id "$ID"
	line_has .destination.port 8080
	line_has .network.transport tcp
	line_has .network.type ipv4
	line_has .process.name agent
	line_has .user.id 0
	line_has .rule.name 192.0.2.12
	line_has .rule.reference "/etc/purple/policies/t.yaml:2:61"
	line_has .rule.ruleset t
	line_has .count 1
	await '.destination.ip == "192.0.2.11"'
	line_has .rule.name "no rule"
	line_has .rule.ruleset t
	await '.destination.ip == "2001:db8:9::10"'
	line_has .network.type ipv6
	# Whose pid is known: init's own.
	await '.destination.port == 25 and .destination.ip == "192.0.2.10"'
	line_has .process.pid "$PID"
	await '.type == "end"'
	line_has .denied 4
	assert_equal "$(events '.event.sequence' | tr '\n' ' ')" "1 2 3 4 5 6 "
	# When it was: not in the boot's time.
	(($(date +%s) - $(date +%s -d "$(jq -r '.["@timestamp"]' <<<"$LINE")") < 3600))
}
