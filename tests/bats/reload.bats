#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# purple policy reload: new rules for the network of a container that runs. What they deny ends at
# once, what they allow goes on, and at no moment neither of the two sets of rules holds.

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
	# The host's Python, for clients that keep connections.
	mkdir -p "$BUNDLE/rootfs/usr" "$BUNDLE/rootfs/work" work
	local dir
	for dir in lib lib32 lib64; do
		[[ ! -e /$dir ]] || ln -s "usr/$dir" "$BUNDLE/rootfs/$dir"
	done
	cp "$PURPLE_SRCDIR/tests/bats/helpers/streams.py" work/
	add_mount /usr /usr rbind,ro
	add_mount "$PWD/work" /work
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

# echo_server: on port 7000 of all addresses of the world; datagrams are told in the file counts.
echo_server() {
	: >counts
	nsenter --net="$PWD/world.net" python3 work/streams.py server 7000 counts >server.out 2>&1 3>&- &
	WORLD+=($!)
	wait_for 10 grep -q ready server.out
}

# clients KIND:TARGET...: in a container under the policy t; waits until all of them are up.
clients() {
	start_under t "exec /usr/bin/python3 /work/streams.py client /work $*"
	local client
	for client; do
		wait_for 20 said "$client" up
	done
}

# said KIND:TARGET TEXT: a client has told this about itself.
said() {
	grep -qx "${1%%:*} ${1#*:} $2" out
}

in_it() {
	run purple_rt exec "$ID" "$@"
}

reload() {
	run purple_ policy reload "$@" "$ID"
}

pinned() {
	find /sys/fs/bpf/purple/*/containers -mindepth 1 2>/dev/null | sort
}

state_of() {
	jq -r "$1" "$PURPLE_ROOT/$ID/state.json"
}

is_gone() {
	[[ ! -d /proc/$1 ]] || grep -q zombie "/proc/$1/status"
}

@test "a monitor that is stopped does not hold up a reload" {
	rules 'allow_outgoing: ["192.0.2.10:80", "192.0.2.12:80"]'
	start_under t 'exec sleep 1000'
	local monitor
	monitor=$(state_of .monitorPid)
	kill -STOP "$monitor"
	rules 'allow_outgoing: ["192.0.2.10:80"]'
	reload
	kill -CONT "$monitor"
	assert_status 0
	in_it agent connect 192.0.2.12 80
	assert_output EPERM
}

@test "connections that the new rules deny end at once, busy or idle; what they allow goes on" {
	echo_server
	rules 'allow_outgoing: ["192.0.2.10:7000", "192.0.2.11:7000"]'
	clients busy:192.0.2.10:7000 idle:192.0.2.10:7000 busy:192.0.2.11:7000 idle:192.0.2.11:7000
	rules 'allow_outgoing: ["192.0.2.10:7000", "192.0.2.12:7000"]'
	reload
	assert_status 0
	# The monitor may have been quicker with the busy one.
	[[ $output == "$ID: generation 2 of the network's rules holds: t, 2 rules; "[12]" connection"*" that they deny ended" ]]
	wait_for 10 said busy:192.0.2.11:7000 ECONNABORTED
	wait_for 10 said idle:192.0.2.11:7000 ECONNABORTED
	in_it agent connect 192.0.2.11 7000
	assert_output EPERM
	in_it agent connect 192.0.2.12 7000
	assert_output ok
	in_it agent connect 192.0.2.10 7000
	assert_output ok
	# The devices have the new rules, too.
	in_net cont "$PURPLE_TEST_DIR/agent" udp 192.0.2.11 7000
	touch work/go
	wait_for 10 said idle:192.0.2.10:7000 answered
	touch work/stop
	wait_for 10 said busy:192.0.2.10:7000 whole
	run cat counts
	assert_output ""
	# What is denied since is told with the generation's place.
	wait_for 10 eval 'jq -se '\''any(.[]; .type == "rules" and .rules.generation == 2)'\'' "$PURPLE_ROOT/$ID/events.jsonl" >/dev/null'
}

@test "names: what was learned of one that stays holds, one that is removed fails, a new one works" {
	echo_server
	rules 'allow_outgoing: ["api.test:7000", "other.test:7000"], dns_servers: [198.51.100.1]'
	start_under t 'nslookup api.test; nslookup other.test
		/usr/bin/python3 /work/streams.py server 5353 /dev/null &
		until agent connect 127.0.0.1 5353 | grep -qx ok; do sleep 0.1; done
		/usr/bin/python3 /work/streams.py client /work busy:192.0.2.10:7000 idle:192.0.2.10:7000 busy:192.0.2.11:7000 idle:127.0.0.1:5353 &
		exec sleep 1000'
	wait_for 20 said idle:192.0.2.10:7000 up
	wait_for 20 said busy:192.0.2.11:7000 up
	wait_for 20 said idle:127.0.0.1:5353 up
	local before after
	before=$(state_of .dnsPid)
	rules 'allow_outgoing: ["api.test:7000", "third.test:7000"], dns_servers: [198.51.100.1]'
	reload
	assert_status 0
	assert_contains "1 connection that they deny ended"
	wait_for 10 said busy:192.0.2.11:7000 ECONNABORTED
	after=$(state_of .dnsPid)
	[[ $before != "$after" ]]
	wait_for 10 is_gone "$before"
	assert_equal "$(cat "/proc/$after/comm")" purple-dns
	# Nobody has asked since.
	in_it agent connect 192.0.2.10 7000
	assert_output ok
	in_it agent connect 192.0.2.12 7000
	assert_output EPERM
	in_it nslookup other.test 198.51.100.1
	assert_lacks 192.0.2.11
	in_it agent connect 192.0.2.11 7000
	assert_output EPERM
	in_it nslookup third.test 198.51.100.1
	assert_contains 192.0.2.12
	in_it agent connect 192.0.2.12 7000
	assert_output ok
	touch work/go
	wait_for 10 said idle:192.0.2.10:7000 answered
	# On its own loopback a port of DNS is like any other.
	wait_for 10 said idle:127.0.0.1:5353 answered
	# Without names there is no forwarder, and with names again there is one.
	rules 'allow_outgoing: ["192.0.2.12:7000"]'
	reload
	assert_status 0
	wait_for 10 is_gone "$after"
	assert_equal "$(state_of .dnsPid)" 0
	in_it agent connect 192.0.2.10 7000
	assert_output EPERM
	rules 'allow_outgoing: ["api.test:7000"], dns_servers: [198.51.100.1]'
	reload
	assert_status 0
	in_it nslookup api.test 192.0.2.12
	assert_contains 192.0.2.10
	# It lived through the first reload alone.
	wait_for 10 said busy:192.0.2.10:7000 ECONNABORTED
}

@test "a reload that fails leaves the old rules, all of them, and nothing else" {
	rules 'allow_outgoing: ["api.test:8080", "192.0.2.12:80"], dns_servers: [198.51.100.1]'
	start_under t 'nslookup api.test; exec sleep 1000'
	local state pins rules_file dns kept
	wait_for 10 grep -q 192.0.2.10 out
	state=$(<"$PURPLE_ROOT/$ID/state.json")
	rules_file=$(<"$PURPLE_ROOT/$ID/network.json")
	pins=$(pinned)
	dns=$(state_of .dnsPid)
	unchanged() {
		((status != 0)) || return
		assert_equal "$(<"$PURPLE_ROOT/$ID/state.json")" "$state"
		assert_equal "$(<"$PURPLE_ROOT/$ID/network.json")" "$rules_file"
		assert_equal "$(pinned)" "$pins"
		assert_equal "$(cat "/proc/$dns/comm")" purple-dns
		in_it sh -c 'agent connect 192.0.2.10 8080; agent connect 192.0.2.12 80; agent connect 192.0.2.11 80'
		assert_output $'ok\nok\nEPERM'
	}
	kept=$(</etc/purple/policies/t.yaml)
	rules 'allow_outgoing: ["192.0.2.300"]'
	reload
	assert_contains "/etc/purple/policies/t.yaml:2:"
	unchanged
	rules 'isolated: true'
	reload
	assert_contains "its network is isolated"
	unchanged
	rules 'allow_outgoing: ["third.test"]'
	mount -t tmpfs purple-test /usr/libexec/purple
	reload
	umount /usr/libexec/purple
	assert_contains purple-dns
	unchanged
	printf '%s\nresources: { pids_limit: 10 }\n' "$kept" >/etc/purple/policies/t.yaml
	reload --strict
	assert_contains "policy /etc/purple/policies/t.yaml: resources: not as when the container was started"
	unchanged
	rm /etc/purple/policies/t.yaml
	reload
	assert_contains "cannot be read"
	unchanged
	reload --policy nobody
	assert_contains 'policy "nobody" is unknown'
	unchanged
	run purple_ policy reload nobody
	assert_contains "does not exist"
	# Nor for those that have no rules, or have ended.
	printf '%s\n' "$kept" >/etc/purple/policies/t.yaml
	purple_rt kill "$ID" KILL
	wait_status stopped
	reload
	assert_status 1
	assert_contains stopped
	policy t <<<'network: { isolated: true }'
	start_under t 'exec sleep 1000'
	reload
	assert_status 1
	assert_contains "has no network filter"
}

@test "what is not the network holds from the next start, and the reload says so" {
	rules 'allow_outgoing: ["192.0.2.10:80"]'
	start_under t 'exec sleep 1000'
	policy t <<-'END'
		# Another place, another order, and the same.
		network: { allow_outgoing: ["192.0.2.11:80"] }
		resources: { pids_limit: 10 }
		syscalls: { deny: [personality] }
	END
	reload
	assert_status 0
	assert_contains "warning: policy /etc/purple/policies/t.yaml: resources, syscalls: not as when the container was started"
	assert_contains "generation 2"
	in_it sh -c 'agent connect 192.0.2.10 80; agent connect 192.0.2.11 80'
	assert_output $'EPERM\nok'
	# It still is not.
	reload
	assert_contains "warning: "
	start_under t 'exec sleep 1000'
	reload --strict
	assert_status 0
	assert_lacks warning
}

@test "--policy takes the place of what was chosen; the administrator's default holds besides" {
	settings_install <<<'default_policy: base'
	policy base <<<'network: { allow_outgoing: ["192.0.2.0/24"], blocked_ips: [192.0.2.12] }'
	rules 'allow_outgoing: ["192.0.2.10:80"]'
	set_command sleep 1000
	edit_config '.annotations["io.purple.policy"] = "t"'
	new_id
	create_container
	purple_rt start "$ID"
	tried() {
		in_it sh -c 'for a in 10 11 12; do agent connect 192.0.2.$a 80; done; agent connect 10.1.2.3 80'
	}
	tried
	assert_output $'ok\nEPERM\nEPERM\nEPERM'
	policy wide <<<'network: { allow_outgoing: ["80", "10.0.0.0/8"] }'
	# The annotation's holds, too.
	reload --policy wide
	assert_status 0
	assert_contains "base, t, wide"
	tried
	assert_output $'ok\nEPERM\nEPERM\nEPERM'
	run purple_ explain "$ID"
	assert_contains "wide (/etc/purple/policies/wide.yaml), chosen by policy reload"
	# Under a policy that was named, another name is in its place.
	purple_rt delete --force "$ID"
	edit_config 'del(.annotations)'
	rm /etc/purple/purple.yaml
	start_under t 'exec sleep 1000'
	cp /etc/purple/policies/wide.yaml wide.yaml
	reload --policy ./wide.yaml
	assert_status 0
	tried
	assert_output $'ok\nok\nok\nok'
	# Which is read again from where it was.
	sed -i 's/"80", //' wide.yaml
	(cd / && run purple_ policy reload "$ID")
	tried
	assert_output $'EPERM\nEPERM\nEPERM\nok'
	run purple_ network show "$ID"
	assert_contains "generation 3"
	assert_contains "10.0.0.0/8"
	reload --policy t
	tried
	assert_output $'ok\nEPERM\nEPERM\nEPERM'
}

@test "allow_incoming: who is in stays as long as the port does" {
	rules 'allow_outgoing: ["192.0.2.10:80"], allow_incoming: [9001]'
	start_under t 'exec /usr/bin/python3 /work/streams.py server 9001 /work/counts'
	wait_for 10 grep -q ready out
	mkdir from
	nsenter --net="$PWD/world.net" python3 work/streams.py client from busy:203.0.113.2:9001 idle:203.0.113.2:9001 >clients.out 3>&- &
	WORLD+=($!)
	wait_for 10 grep -qx "busy 203.0.113.2:9001 up" clients.out
	wait_for 10 grep -qx "idle 203.0.113.2:9001 up" clients.out
	rules 'allow_outgoing: ["192.0.2.11:80"], allow_incoming: [9001, 9002]'
	reload
	assert_status 0
	assert_lacks ended
	touch from/go
	wait_for 10 grep -qx "idle 203.0.113.2:9001 answered" clients.out
	rules 'allow_outgoing: ["192.0.2.11:80"], allow_incoming: [9002]'
	reload
	assert_contains "ended"
	run in_net world "$ROOTFS/bin/busybox" nc -w 2 203.0.113.2 9001
	((status != 0))
	run grep -x "busy 203.0.113.2:9001 whole" clients.out
	assert_output ""
}

@test "twenty reloads under traffic: to what is allowed nothing is lost, to what is denied nothing passes" {
	echo_server
	local always='"192.0.2.10:7000/tcp", "192.0.2.10:7000/udp", "api.test:7000"'
	rules "allow_outgoing: [$always], dns_servers: [198.51.100.1]"
	clients busy:192.0.2.10:7000 udp:192.0.2.10:7000 udp:192.0.2.12:7000
	in_it nslookup api.test 198.51.100.1
	assert_contains 192.0.2.10
	# From outside of the group, as a socket that was made elsewhere: held by the devices alone.
	cp -r work outside
	rm -f outside/stop
	nsenter --net="$PWD/cont.net" python3 work/streams.py client outside udp:192.0.2.12:7000 >outside.out 3>&- &
	WORLD+=($!)
	wait_for 10 grep -q up outside.out
	local i
	for i in {1..20}; do
		rules "allow_outgoing: [$always, \"192.0.2.11:$((7000 + i))\"], dns_servers: [198.51.100.1]"
		purple_ policy reload "$ID"
	done
	assert_equal "$(state_of .networkGeneration)" 21
	touch work/stop outside/stop
	wait_for 10 said busy:192.0.2.10:7000 whole
	wait_for 10 eval 'grep -q "^udp 192.0.2.12:7000 sent" out && grep -q "^udp 192.0.2.10:7000 sent" out'
	wait_for 10 grep -q "sent.*refused" outside.out
	local sent
	sent=$(sed -n 's/^udp 192.0.2.10:7000 sent \([0-9]*\) refused 0$/\1/p' out)
	((sent > 20))
	wait_for 10 eval '(($(grep -c "^192.0.2.10 " counts) >= sent))'
	assert_equal "$(grep -c '^192.0.2.10 ' counts)" "$sent"
	grep -Eq '^udp 192.0.2.12:7000 sent 0 refused [0-9]+$' out
	run grep -v '^192.0.2.10 ' counts
	assert_output ""
	# Maps of generations that are gone are not kept, and nothing is when the container is.
	assert_equal "$(find /sys/fs/bpf/purple/*/containers/* -mindepth 1 -type d | wc -l)" 1
	local dns
	dns=$(state_of .dnsPid)
	purple_rt delete --force "$ID"
	assert_equal "$(pinned)" ""
	wait_for 10 is_gone "$dns"
}

@test "two reloads at a time: one after the other, and reloads while the container ends leave nothing" {
	rules 'allow_outgoing: ["api.test:80"], dns_servers: [198.51.100.1]'
	start_under t 'exec sleep 1000'
	local i pids=()
	for i in 1 2 3; do
		nsenter --net="$PWD/host.net" "$PURPLE" --root "$PURPLE_ROOT" policy reload "$ID" >"reload.$i" 2>&1 3>&- &
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		wait "$i"
	done
	assert_equal "$(sed -n 's/.*generation \([0-9]*\) .*/\1/p' reload.? | sort | xargs)" "2 3 4"
	# As one that was killed before the switch leaves it: the folder is ahead of the filter.
	jq '.networkGeneration = 5' "$PURPLE_ROOT/$ID/state.json" >state.new
	cp state.new "$PURPLE_ROOT/$ID/state.json"
	run purple_ network show "$ID"
	assert_status 1
	assert_contains "a reload was interrupted"
	reload
	assert_status 0
	assert_contains "generation 5"
	run purple_ network show "$ID"
	assert_status 0
	local dns
	for i in 1 2 3 4; do
		nsenter --net="$PWD/host.net" "$PURPLE" --root "$PURPLE_ROOT" policy reload "$ID" >/dev/null 2>&1 3>&- &
		pids=($!)
		purple_rt kill "$ID" KILL
		wait "${pids[0]}" || true
		wait_status stopped
		dns=$(state_of .dnsPid)
		purple_rt delete --force "$ID"
		wait_for 10 is_gone "$dns"
		assert_equal "$(pinned)" ""
		start_under t 'exec sleep 1000'
	done
}
