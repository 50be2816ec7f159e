#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# purple network test: what the rules of a container make of a connection, by trying it from inside.

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
	policy t <<-'END'
		network:
		  dns_servers: [198.51.100.1]
		  allow_outgoing:
		    - api.test:8080
		    - 192.0.2.12:80
		    - 192.0.2.12:81
		    - 192.0.2.12:853
		    - 192.0.2.10:9999/udp
		    - private.test
		    - "[2001:db8:9::10]:25"
		  blocked_ips: [192.0.2.13]
		  blocked_domains: [evil.test]
	END
	start_under t 'exec sleep 1000'
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

# tested TARGET: sets status and output.
tested() {
	run purple_ network test "$ID" "$1"
}

P=/etc/purple/policies/t.yaml

@test "an address: allowed or denied, by which rule, and whether the far end answers" {
	tested 192.0.2.12:80
	assert_status 0
	assert_contains "192.0.2.12:80/tcp: allowed"
	assert_contains "192.0.2.12: answered"
	assert_contains "$P:6:7: network.allow_outgoing: 192.0.2.12:80"
	tested 192.0.2.12:81
	assert_status 0
	assert_contains "192.0.2.12: allowed; the far end refuses"
	tested 192.0.2.11:80
	assert_status 1
	assert_contains "192.0.2.11:80/tcp: denied"
	assert_contains "no rule in network.allow_outgoing allows it"
	tested 169.254.169.254:80
	assert_status 1
	assert_contains "a reserved address"
	tested '[2001:db8:9::10]:25'
	assert_status 0
	assert_contains "2001:db8:9::10: answered"
	tested 192.0.2.10:9999/udp
	assert_status 0
	assert_contains "192.0.2.10: sent"
	# Really, and from the container's address.
	wait_for 10 grep -q '^::ffff:203.0.113.2 ' datagrams
	tested 192.0.2.12:9999/udp
	assert_status 1
	tested 127.0.0.1:80
	assert_status 0
	assert_contains "the loopback device is the container's own"
	# What the kernel makes of the ports of DNS is not of the rules.
	tested 192.0.2.11:53
	assert_status 0
	assert_contains "port 53 is led to the forwarder of names"
	tested 192.0.2.12:853
	assert_status 1
	assert_contains "a port of DNS: names are asked for at the forwarder alone"
	tested 127.0.0.1:853
	assert_status 0
}

@test "a name: asked of the forwarder, with the addresses that it gives" {
	tested api.test:8080
	assert_status 0
	assert_contains "api.test:8080/tcp: allowed"
	assert_contains "name: 192.0.2.10, 2001:db8:9::10"
	assert_contains "192.0.2.10: answered"
	assert_contains "$P:5:7: network.allow_outgoing: api.test:8080"
	# By now an address of a name, as for the container's own programs.
	tested 192.0.2.10:8080
	assert_status 0
	assert_contains "$P:5:7"
	tested api.test:80
	assert_status 1
	assert_contains "no rule in network.allow_outgoing allows it"
	tested other.test:80
	assert_status 1
	assert_contains "the forwarder says NXDOMAIN"
	tested www.evil.test:80
	assert_status 1
	assert_contains "network.blocked_domains: evil.test"
	tested private.test:80
	assert_status 1
	assert_contains "gives no address"
	run grep -c other.test dns.log
	assert_output 0
	kill -KILL "$(jq -r .dnsPid "$PURPLE_ROOT/$ID/state.json")"
	tested api.test:8080
	assert_status 1
	assert_contains "the forwarder does not answer"
}

@test "what it denies is told as its own, and nothing of it stays in the container" {
	local before
	before=$(wc -l <"$(cgroup_dir "$PID")/cgroup.procs")
	tested 192.0.2.11:80
	assert_status 1
	wait_for 10 grep -q purple-test "$PURPLE_ROOT/$ID/events.jsonl"
	run jq -r 'select(.process.name == "purple-test") | .verdict' "$PURPLE_ROOT/$ID/events.jsonl"
	assert_output deny
	assert_equal "$(wc -l <"$(cgroup_dir "$PID")/cgroup.procs")" "$before"
}

@test "what cannot be tested is an error, with another exit code" {
	local target
	for target in api.test 192.0.2.0/24:80 '*.test:80' 192.0.2.12:80-90 192.0.2.12:0; do
		tested "$target"
		assert_status 2
	done
	run purple_ network test nobody 192.0.2.12:80
	assert_status 2
	assert_contains "does not exist"
	policy plain <<<'network: { allow_outgoing: ["192.0.2.12:80"] }'
	start_under plain 'exec sleep 1000'
	tested api.test:80
	assert_status 2
	assert_contains "no rule of the container speaks of names"
	purple_rt kill "$ID" KILL
	wait_status stopped
	tested 192.0.2.12:80
	assert_status 2
	assert_contains stopped
	policy closed <<<'network: { isolated: true }'
	start_under closed 'exec sleep 1000'
	tested 192.0.2.12:80
	assert_status 2
	assert_contains "has no network filter"
}
