#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Policy key `network`: rules for addresses and names hold in the container's own network, and
# nothing is open where the filter cannot be had.

load policy
load world

setup_file() {
	agent_build
}

setup() {
	purple_setup
	world_setup
	# A test takes it away.
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

# tries [ADDRESS PORT]...: what connecting gives, a word each.
tries() {
	local script=
	while (($#)); do
		script+="agent connect $1 $2; "
		shift 2
	done
	run_under t "$script"
	assert_status 0
	output=$(tr '\n' ' ' <<<"$output")
	output=${output% }
}

@test "allow_outgoing: addresses, prefixes, ports and ranges of both families, and nothing else" {
	rules 'allow_outgoing: ["192.0.2.10:8080", "192.0.2.11/32:8081-8082", "[2001:db8:9::10]:80"]'
	run_free 'agent connect 192.0.2.12 8080; agent connect 2001:db8:9::11 80'
	assert_output $'ok\nok'
	tries 192.0.2.10 8080 192.0.2.10 8081 192.0.2.11 8080 192.0.2.11 8081 192.0.2.11 8082 \
		192.0.2.12 8080 2001:db8:9::10 80 2001:db8:9::10 8080 2001:db8:9::11 80 203.0.113.1 80
	assert_output "ok EPERM EPERM ok ok EPERM ok EPERM EPERM EPERM"
	# The same addresses as IPv6 has them.
	tries ::ffff:192.0.2.10 8080 ::ffff:192.0.2.10 8081 ::ffff:192.0.2.12 8080
	assert_output "ok EPERM EPERM"
	rules 'allow_outgoing: ["8080", "25/udp"]'
	tries 192.0.2.10 8080 192.0.2.12 8080 2001:db8:9::11 8080 192.0.2.10 25
	assert_output "ok ok ok EPERM"
}

@test "allow_outgoing: UDP is held to the same rules, and what is denied does not leave" {
	run_free 'agent udp 192.0.2.10 9999; agent udp 192.0.2.12 9999'
	assert_output $'ok\nok'
	wait_for 10 eval '(($(wc -l <datagrams) == 2))'
	rules 'allow_outgoing: ["192.0.2.10:9999/udp", "192.0.2.11:9999/tcp"]'
	run_under t 'agent udp 192.0.2.10 9999; agent udp 192.0.2.11 9999; agent udp 192.0.2.12 9999
		agent udp ::ffff:192.0.2.12 9999; agent udp 2001:db8:9::10 9999; agent udp 192.0.2.10 9999'
	assert_output $'ok\nEPERM\nEPERM\nEPERM\nEPERM\nok'
	wait_for 10 eval '(($(wc -l <datagrams) >= 4))'
	assert_equal "$(wc -l <datagrams)" 4
}

@test "blocked_ips beat every allow, and with them alone the rest is open" {
	rules 'allow_outgoing: ["192.0.2.0/24"], blocked_ips: [192.0.2.11]'
	tries 192.0.2.10 8080 192.0.2.11 8080 192.0.2.12 25
	assert_output "ok EPERM ok"
	rules 'isolated: false, blocked_ips: [192.0.2.11, "2001:db8:9::11"]'
	tries 192.0.2.10 25 192.0.2.11 25 10.1.2.3 25 2001:db8:9::10 25 2001:db8:9::11 25
	assert_output "ok EPERM ok ok EPERM"
}

@test "metadata, link-local and private addresses are reached only by a rule that names them" {
	local r
	run_free 'agent connect 169.254.169.254 80; agent connect 10.1.2.3 80'
	assert_output $'ok\nok'
	for r in 'allow_outgoing: ["80"]' 'allow_outgoing: ["0.0.0.0/0"]'; do
		rules "$r"
		tries 169.254.169.254 80 10.1.2.3 80 192.0.2.10 80
		assert_output "EPERM EPERM ok"
	done
	rules 'isolated: false'
	tries 169.254.169.254 80 10.1.2.3 80
	assert_output "EPERM ok"
	rules 'allow_outgoing: ["169.254.169.254:80", "10.1.0.0/16:80"]'
	tries 169.254.169.254 80 10.1.2.3 80 10.2.2.3 80
	assert_output "ok ok EPERM"
}

@test "the container's own loopback is free, and the host's is not" {
	rules 'allow_outgoing: ["192.0.2.10:80"]'
	run_under t "$ASKS_ITSELF"
	assert_output yes
	edit_config '.linux.namespaces |= map(select(.type != "network"))'
	nsenter --net="$PWD/host.net" "$ROOTFS/bin/busybox" nc -ll -p 7777 -e echo open 3>&- &
	WORLD+=($!)
	wait_for 10 in_net host "$PURPLE_TEST_DIR/agent" connect 127.0.0.1 7777
	run_free 'agent connect 127.0.0.1 7777'
	assert_output ok
	tries 127.0.0.1 7777 ::1 7777 198.51.100.2 7777 192.0.2.10 80
	assert_output "EPERM EPERM EPERM ok"
}

@test "allow_incoming: others reach the ports that are named, over TCP and no other" {
	rules 'allow_outgoing: ["192.0.2.10:80"], allow_incoming: [9001]'
	start_under t 'nc -ll -p 9002 -e echo two & exec nc -ll -p 9001 -e echo one'
	wait_for 10 eval '[[ $(in_net world "$ROOTFS/bin/busybox" nc -w 2 203.0.113.2 9001) == one ]]'
	run in_net world "$ROOTFS/bin/busybox" nc -w 2 203.0.113.2 9002
	((status != 0))
	assert_lacks two
	run purple_rt exec "$ID" nc -w 2 127.0.0.1 9002
	assert_output two
}

@test "names: what the policy allows resolves and opens its addresses, nothing else is even asked" {
	rules 'allow_outgoing: ["api.test:8080", "*.sub.test"], dns_servers: [198.51.100.1]'
	start_under t 'exec sleep 1000'
	in_it() { run purple_rt exec "$ID" "$@"; }
	in_it agent connect 192.0.2.10 8080
	assert_output EPERM
	# Any server that is asked is the forwarder.
	in_it nslookup api.test 192.0.2.11
	assert_contains 192.0.2.10
	assert_contains 2001:db8:9::10
	in_it agent connect 192.0.2.10 8080
	assert_output ok
	in_it agent connect 2001:db8:9::10 8080
	assert_output ok
	in_it agent connect 192.0.2.10 80
	assert_output EPERM
	in_it nslookup other.test 198.51.100.1
	assert_lacks 192.0.2.11
	in_it nslookup secret-data.example.org
	assert_lacks 192.0.2
	in_it agent connect 192.0.2.11 8080
	assert_output EPERM
	grep -q "query.* api.test" dns.log
	run grep -E "other.test|secret-data" dns.log
	assert_output ""
	# Other ports that DNS has are closed, and an address that is allowed serves no DNS.
	in_it agent connect 192.0.2.10 853
	assert_output EPERM
}

@test "names: an answer that leads to private or metadata addresses opens nothing" {
	rules 'allow_outgoing: ["private.test", "meta.test", "alias.test"], dns_servers: [198.51.100.1]'
	start_under t 'exec sleep 1000'
	in_it() { run purple_rt exec "$ID" "$@"; }
	in_it nslookup private.test 198.51.100.1
	assert_lacks 10.1.2.3
	in_it nslookup meta.test 198.51.100.1
	assert_lacks 169.254
	in_it agent connect 10.1.2.3 80
	assert_output EPERM
	in_it agent connect 169.254.169.254 80
	assert_output EPERM
	in_it nslookup alias.test 198.51.100.1
	assert_contains 192.0.2.12
	in_it agent connect 192.0.2.12 80
	assert_output ok
}

@test "names: blocked_domains do not resolve, with the names below them; the rest does" {
	rules 'isolated: false, blocked_domains: [other.test], dns_servers: [198.51.100.1]'
	start_under t 'exec sleep 1000'
	in_it() { run purple_rt exec "$ID" "$@"; }
	in_it nslookup other.test 198.51.100.1
	assert_lacks 192.0.2.11
	in_it nslookup api.test 198.51.100.1
	assert_contains 192.0.2.10
	in_it agent connect 192.0.2.10 80
	assert_output ok
	in_it agent connect 192.0.2.11 80
	assert_output EPERM
}

@test "names: with the forwarder dead there is no DNS, and no other way" {
	rules 'allow_outgoing: ["api.test:8080", "192.0.2.12:80"], dns_servers: [198.51.100.1]'
	start_under t 'exec sleep 1000'
	local dns
	dns=$(jq -r .dnsPid "$PURPLE_ROOT/$ID/state.json")
	assert_equal "$(cat "/proc/$dns/comm")" purple-dns
	kill -KILL "$dns"
	wait_for 10 eval "[[ ! -d /proc/$dns ]] || grep -q zombie /proc/$dns/status"
	run purple_rt exec "$ID" sh -c 'timeout 10 nslookup api.test 198.51.100.1; agent connect 192.0.2.10 8080; agent connect 198.51.100.1 53; agent connect 192.0.2.12 80'
	assert_lacks 192.0.2.10$'\n'
	assert_equal "${lines[-3]} ${lines[-1]}" "EPERM ok"
	assert_lacks "ok"$'\n'"ok"
}

@test "purple network show: the rules with their places and counts, and what names led to" {
	rules 'allow_outgoing: ["api.test:8080", "192.0.2.12:80"], dns_servers: [198.51.100.1]'
	start_under t 'exec sleep 1000'
	purple_rt exec "$ID" sh -c 'nslookup api.test >/dev/null; agent connect 192.0.2.10 8080; agent connect 192.0.2.12 80
		agent connect 192.0.2.12 80; agent connect 192.0.2.11 80; agent connect 169.254.169.254 80'
	run purple_ network show "$ID"
	assert_status 0
	assert_contains "generation 1 of t; what none speaks of is denied"
	[[ $output =~ \ 1\ +0\ +0\ +0\ \ allow_outgoing:\ api.test:8080\ \ \(/etc/purple/policies/t.yaml:2: ]]
	[[ $output =~ \ 2\ +0\ +0\ +0\ \ allow_outgoing:\ 192.0.2.12:80 ]]
	[[ $output =~ \ 0\ +1\ +1\ +0\ \ no\ rule ]]
	[[ $output =~ \ 0\ +1\ +1\ +0\ \ reserved\ addresses ]]
	assert_contains "192.0.2.10 tcp 8080 allowed for api.test:8080, "
	assert_contains "2001:db8:9::10 tcp 8080 allowed for api.test:8080, "
	# The test's namespaces are joined by a veth pair whose other end is not the host's.
	assert_contains "device: eth0, at the container's end: filtered"
	purple_ network show --json "$ID" >shown.json
	jq -e '.container == $id and .generation == 1 and .policies == ["t"] and .otherwise == "denied"
		and .forwarder.running and .monitor.running and .forwarder.port > 0
		and (.rules | map([.list, .rule, .allowed, .denied])) == [["allow_outgoing", "api.test:8080", 1, 0], ["allow_outgoing", "192.0.2.12:80", 2, 0]]
		and (.rules | all(.policy == "t" and (.place | startswith("/etc/purple/policies/t.yaml:2:"))))
		and (.others[:2] | map([.rule, .denied, .events, .lost + .limited])) == [["no rule", 1, 1, 0], ["reserved addresses", 1, 1, 0]]
		and (.names | map([.address, .verdict, .protocol, .firstPort, .lastPort, .rule]) | sort)
			== [("192.0.2.10", "2001:db8:9::10") as $a | ("tcp", "udp") as $p | [$a, "allowed", $p, 8080, 8080, "api.test:8080"]]
		and (.names | all(.secondsLeft > 0 and .secondsLeft <= 105))
		and .devices == [{ name: "eth0", at: "container", filtered: true }]' --arg id "$ID" shown.json ||
		{ cat shown.json; return 1; }
	# Who is dead is said to be.
	kill -KILL "$(jq .forwarder.pid shown.json)" "$(jq .monitor.pid shown.json)"
	wait_for 10 eval 'purple_ network show --json "$ID" | jq -e ".forwarder.running == false and .monitor.running == false" >/dev/null'
	run purple_ network show "$ID"
	assert_contains "which is dead: nothing resolves"
	assert_contains "which is not running: nothing is recorded"
	policy t <<<'network: { isolated: true }'
	start_under t 'exec sleep 1000'
	run purple_ network show "$ID"
	assert_status 1
	assert_contains "has no network filter"
	run purple_ network show nobody
	assert_status 1
	assert_contains "does not exist"
}

@test "a process that is added is filtered, sockets of other kinds are refused, and links cannot be undone" {
	rules 'allow_outgoing: ["192.0.2.10:80"]'
	start_under t 'exec sleep 1000'
	run purple_rt exec --cap CAP_NET_RAW --cap CAP_NET_ADMIN "$ID" sh -c 'agent connect 192.0.2.12 80
		agent call socket 17 3 0x300; agent call socket 2 3 1; agent call socket 2 2 1
		agent call socket 40 1 0; agent call socket 10 3 58; agent call socket 2 1 132; agent call bpf 0 0 0
		agent call io_uring_setup 1 0; agent call unshare 0x40000000; agent setns /proc/1/ns/net'
	assert_lacks ok
	local net
	for net in world host; do
		run purple_rt exec "$ID" ls "$PWD/$net.net"
		((status != 0))
	done
}

@test "what has no socket in the container does not leave its devices either" {
	rules 'allow_outgoing: ["192.0.2.10:9999/udp"]'
	start_under t 'exec sleep 1000'
	# From outside of the group, as a socket that was made elsewhere.
	in_net cont "$PURPLE_TEST_DIR/agent" udp 192.0.2.12 9999
	in_net cont "$PURPLE_TEST_DIR/agent" udp 192.0.2.10 9999
	wait_for 10 grep -q . datagrams
	in_net cont "$PURPLE_TEST_DIR/agent" udp 192.0.2.12 9999
	in_net cont "$PURPLE_TEST_DIR/agent" udp 192.0.2.10 9999
	wait_for 10 eval '(($(wc -l <datagrams) >= 2))'
	assert_equal "$(wc -l <datagrams)" 2
}

@test "nothing is left when the container is gone, nor when it could not be made" {
	pinned() { find /sys/fs/bpf/purple/*/containers -mindepth 1 2>/dev/null | wc -l; }
	rules 'allow_outgoing: ["api.test:8080"], dns_servers: [198.51.100.1]'
	start_under t 'exec sleep 1000'
	(($(pinned) > 10))
	local dns
	dns=$(jq -r .dnsPid "$PURPLE_ROOT/$ID/state.json")
	purple_rt delete --force "$ID"
	assert_equal "$(pinned)" 0
	wait_for 10 eval "[[ ! -d /proc/$dns ]] || grep -q zombie /proc/$dns/status"
	set_command /no/such/program
	new_id
	run purple_rt --policy t create --bundle "$BUNDLE" "$ID"
	((status != 0))
	assert_equal "$(pinned)" 0
}

@test "what a container left whose state is lost is found by doctor, and removed by --fix" {
	pinned() { find /sys/fs/bpf/purple/*/containers -mindepth 1 2>/dev/null | wc -l; }
	leftovers() { purple_ doctor --format json "$@" 2>/dev/null | jq -r '.[] | select(.check == "leftover filters") | .status'; }
	rules 'allow_outgoing: ["192.0.2.10:80"]'
	start_under t 'exec sleep 1000'
	assert_equal "$(leftovers || true)" ok
	local dir groups
	groups=$(jq -r '.cgroup | [.unified, .v1[]?] | unique | .[]' "$PURPLE_ROOT/$ID/state.json")
	kill -KILL "$PID"
	for dir in $groups; do
		wait_for 10 eval "rmdir '$dir' 2>/dev/null || [[ ! -d '$dir' ]]"
	done
	rm -r "${PURPLE_ROOT:?}/$ID"
	assert_equal "$(leftovers || true)" broken
	assert_equal "$(leftovers --fix || true)" ok
	assert_equal "$(pinned)" 0
	assert_equal "$(leftovers || true)" ok
}

@test "where the filter cannot be had, the container does not start" {
	rules 'allow_outgoing: ["api.test:8080"]'
	refused() {
		new_id
		run timeout 30 nsenter --net="$PWD/host.net" "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" --policy t "$@" \
			create --bundle "$BUNDLE" "$ID"
		((status != 0))
		assert_contains "policy t: network"
		assert_contains "$WANTED"
		run purple_rt state "$ID"
		((status != 0))
	}
	# One over another: the run's own, the file's.
	while mountpoint -q /sys/fs/bpf; do
		umount /sys/fs/bpf
	done
	WANTED="mount -t bpf bpf /sys/fs/bpf" refused
	mount -t bpf -o mode=0700 purple-test /sys/fs/bpf
	local program
	for program in purple-network-load purple-monitor purple-dns; do
		libexec_without "$program"
		WANTED=$program refused
		umount -l /usr/libexec/purple
	done
	WANTED=cgroup2 refused --cgroup-manager disabled
}

@test "podman: the filter holds in a container that Podman made, and in podman exec" {
	podman_setup
	rules 'allow_outgoing: ["192.0.2.10:80", "api.test:8080"], dns_servers: [198.51.100.1]'
	in_net host podman run -d --name "$ID" --network "ns:$PWD/cont.net" --annotation io.purple.policy=t \
		-v "$PURPLE_TEST_DIR/agent:/bin/agent:ro" localhost/busybox sleep 1000 >/dev/null
	local a
	for a in "192.0.2.10 80" "192.0.2.12 80" "192.0.2.10 8080"; do
		# shellcheck disable=SC2086 # two words
		run in_net host podman exec "$ID" agent connect $a
		[[ $a == "192.0.2.10 80" ]] && assert_output ok || assert_output EPERM
	done
	in_net host podman exec "$ID" nslookup api.test >out
	grep -q 192.0.2.10 out
	run in_net host podman exec "$ID" agent connect 192.0.2.10 8080
	assert_output ok
	in_net host podman rm -f -t 0 "$ID" >/dev/null
}

@test "purple run: isolated: false has a way out by pasta, under the filter, and leaves nothing" {
	command -v pasta >/dev/null || skip "needs the program pasta"
	cp "$PURPLE_TEST_DIR/agent" agent
	cat >p.yaml <<-END
		name: t
		filesystem: { immutable_paths: [{ host_path: /usr }, { host_path: /bin }, { host_path: /lib }, { host_path: /lib64 },
			{ host_path: $PWD/agent, sandbox_path: /agent }] }
		network: { allow_outgoing: ["192.0.2.10:80", "api.test:8080"], dns_servers: [198.51.100.1] }
	END
	run purple_ run --quiet --profile ./p.yaml --name "$ID" -- /bin/sh -c '/agent connect 192.0.2.10 80
		/agent connect 192.0.2.12 80; /agent connect 192.0.2.10 8080; /agent connect 169.254.169.254 80
		getent ahostsv4 api.test; /agent connect 192.0.2.10 8080; getent hosts other.test'
	assert_contains $'ok\nEPERM\nEPERM\nEPERM'
	assert_contains 192.0.2.10
	assert_equal "${lines[-1]}" ok
	run pgrep -f "pasta.*$PURPLE_ROOT/"
	assert_output ""
	run grep -e "$PURPLE_ROOT" -e /netns/purple- /proc/self/mountinfo
	assert_output ""
	# The folder itself is there only where pasta's own rules ask for it.
	run bash -c "[[ ! -d /run/user/0/netns ]] || find /run/user/0/netns -name 'purple-*' -newer p.yaml"
	assert_output ""
}
