#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Policy key `network.isolated`: it holds, the agent does not get round it, and bad values are
# refused. What needs a filter is refused by name: policy-shipped.bats.

load policy

setup_file() {
	agent_build
	podman_setup
}

# Servers on the host's loopback and on an abstract socket, for the test's time.
host_servers() {
	SERVER_NAME=purple-test-$BATS_TEST_NUMBER-$$
	python3 -c '
import socket, sys, time
t = socket.socket(); t.bind(("127.0.0.1", 0)); t.listen(9)
u = socket.socket(socket.AF_UNIX); u.bind("\0" + sys.argv[1]); u.listen(9)
open(sys.argv[2], "w").write(str(t.getsockname()[1]) + "\n")
time.sleep(60)' "$SERVER_NAME" "$BATS_TEST_TMPDIR/port" 3>&- &
	SERVER_PID=$!
	wait_for 10 test -s "$BATS_TEST_TMPDIR/port"
	PORT=$(<"$BATS_TEST_TMPDIR/port")
}

teardown() {
	[[ -z ${SERVER_PID:-} ]] || kill "$SERVER_PID"
	purple_teardown
}

@test "a harmless container runs under policies of both kinds" {
	make_generous_bundle
	local isolated
	for isolated in true false; do
		policy t <<<"network: { isolated: $isolated }"
		run_under t 'echo ran'
		assert_output ran
	done
}

@test "isolated is the default, and leaves a loopback device alone that works" {
	make_generous_bundle
	local isolated
	for isolated in 'description: x' 'network: { isolated: true }' 'network: {}'; do
		policy t <<<"$isolated"
		run_under t 'ip -o link | cut -d: -f2; ip route; '"$ASKS_ITSELF"
		assert_status 0
		assert_output $' lo\nyes'
	done
}

@test "isolated: neither the host's loopback, nor its abstract sockets, in whatever namespace" {
	requires python3
	make_generous_bundle
	host_servers
	local script="agent connect 127.0.0.1 $PORT; agent abstract $SERVER_NAME; agent udp 8.8.8.8 53; ip -o link | wc -l"
	policy t <<<'network: { isolated: true }'
	# The engine gives the host's namespace: by leaving it out, or by joining it.
	edit_config '.linux.namespaces |= map(select(.type != "network"))'
	run_free "$script"
	assert_equal "${lines[0]} ${lines[1]}" "ok ok"
	run_under t "$script"
	assert_output $'ECONNREFUSED\nECONNREFUSED\nENETUNREACH\n1'
	edit_config '.linux.namespaces += [{ type: "network", path: $p }]' --arg p "/proc/$$/ns/net"
	run_under t "$script"
	assert_output $'ECONNREFUSED\nECONNREFUSED\nENETUNREACH\n1'
}

@test "isolated: false leaves the network that the engine gave" {
	requires python3
	make_generous_bundle
	host_servers
	edit_config '.linux.namespaces |= map(select(.type != "network"))'
	policy t <<<'network: { isolated: false }'
	run_under t "agent connect 127.0.0.1 $PORT"
	assert_output ok
}

@test "isolated: the agent cannot join or make another network, nor send past it" {
	make_generous_bundle
	policy t <<-END
		network: { isolated: true }
		capabilities: { default_drop: false }
	END
	edit_config '.linux.namespaces |= map(select(.type != "pid"))'
	run_under t 'for n in /proc/[0-9]*/ns/net; do agent setns $n; done | sort -u
		agent call unshare 0x40000000
		agent call socket 17 3 0x300; agent call socket 2 3 1; agent call socket 40 1 0'
	assert_lacks ok
	assert_contains EPERM
	run_free "agent setns /proc/$$/ns/net; agent call socket 17 3 0x300"
	assert_output $'ok\nok'
}

@test "isolated: a process that is added is in the same, empty network" {
	requires python3
	make_generous_bundle
	host_servers
	edit_config '.linux.namespaces |= map(select(.type != "network"))'
	policy t <<<'network: { isolated: true }'
	start_under t 'exec sleep 1000'
	run purple_rt exec "$ID" agent connect 127.0.0.1 "$PORT"
	assert_output ECONNREFUSED
	run purple_rt exec "$ID" sh -c 'ip -o link | wc -l'
	assert_output 1
	[[ $(readlink "/proc/$PID/ns/net") != "$(readlink /proc/self/ns/net)" ]]
}

@test "isolated: a network that a hook plugs in does not reach the agent" {
	make_generous_bundle
	cat >hook <<-'END'
		#!/bin/sh
		pid=$(jq -r .pid) && nsenter -t "$pid" -n ip link add plugged type veth peer name other
	END
	chmod +x hook
	edit_config '.hooks.createRuntime = [{ path: $h, env: ["PATH=" + $p] }]' --arg h "$PWD/hook" --arg p "$PATH"
	run_free 'ip -o link | grep -c plugged@'
	assert_output 1
	policy t <<<'network: { isolated: true }'
	run_under t 'ip -o link | wc -l'
	assert_status 0
	assert_output 1
}

@test "isolated: a network that an engine plugs in between create and start does not reach the agent" {
	make_generous_bundle
	local ids script='ip -o link | wc -l; ls /sys/class/net; exec sleep 1000'
	for ids in . '.linux.namespaces += [{ type: "user" }] |
		.linux.uidMappings = [{ containerID: 0, hostID: 0, size: 1000 }] | .linux.gidMappings = .linux.uidMappings'; do
		edit_config "$ids"
		set_script "$script"
		new_id
		create_container
		nsenter -t "$(<pid)" -n ip link add plugged type veth peer name other
		purple_rt start "$ID"
		wait_for 5 grep -q plugged out
		purple_rt delete --force "$ID"

		policy t <<<'network: { isolated: true }'
		create_under t "$script"
		nsenter -t "$PID" -n ip link add plugged type veth peer name other
		# A process that is added now would be in the engine's network.
		run -255 purple_rt exec "$ID" true
		assert_contains "cannot exec in a created container whose policy isolates its network"
		purple_rt start "$ID"
		wait_for 5 grep -q lo out
		assert_equal "$(<out)" $'1\nlo'
		run purple_rt exec "$ID" sh -c 'ip -o link | wc -l'
		assert_output 1
		purple_rt delete --force "$ID"
	done
}

@test "isolated: podman run --network host is isolated all the same, and so is podman exec" {
	requires python3
	host_servers
	policy t <<<'network: { isolated: true }'
	local script="agent connect 127.0.0.1 $PORT; agent abstract $SERVER_NAME; ip -o link | wc -l"
	run podman_ run --rm --network host --name "$ID-1" -v "$PURPLE_TEST_DIR/agent:/bin/agent:ro" \
		localhost/busybox sh -c "$script"
	assert_equal "${lines[0]} ${lines[1]}" "ok ok"
	podman_ --runtime-flag policy=t run -d --network host --name "$ID" \
		-v "$PURPLE_TEST_DIR/agent:/bin/agent:ro" localhost/busybox sh -c "$script; exec sleep 1000" >/dev/null
	run podman_ exec "$ID" sh -c "$script"
	assert_output $'ECONNREFUSED\nECONNREFUSED\n1'
	run podman_ logs "$ID"
	assert_output $'ECONNREFUSED\nECONNREFUSED\n1'
}

# The capabilities of a set that a status file shows, by number.
caps_of() { # FILE SET
	local bits number
	bits=0x$(sed -n "s/^$2:[[:space:]]*//p" "$1")
	for number in {0..40}; do
		((bits >> number & 1)) && printf '%s ' "$number"
	done
	return 0
}

@test "sockets are of the families that a network holds, also where the policy grants socket and io_uring" {
	make_generous_bundle
	# 16 3 15: NETLINK_KOBJECT_UEVENT; 17: AF_PACKET; 40: AF_VSOCK.
	local isolated script='agent call socket 16 3 15; agent call socket 17 3 0x300; agent call socket 40 1 0
		agent call io_uring_setup 1 b:120
		agent call socket 1 1 0; agent call socket 2 2 0; agent call socket 10 1 0; agent call socket 16 3 0'
	run_free "agent call socket 16 3 15"
	assert_output ok
	for isolated in true false; do
		policy t <<-END
			network: { isolated: $isolated }
			capabilities: { default_drop: false }
			syscalls: { allow: [socket, io_uring_setup] }
		END
		run_under t "$script"
		assert_output $'EPERM\nEPERM\nEPERM\nEPERM\nok\nok\nok\nok'
	done
}

@test "isolated: false takes away what gets round a filter, in every set, and in added processes" {
	make_generous_bundle
	policy t <<-END
		network: { isolated: false }
		capabilities: { default_drop: false }
		syscalls: { allow: [bpf, setns, mount, open_tree] }
	END
	local set
	start_under t 'exec sleep 1000'
	for set in CapInh CapPrm CapEff CapBnd CapAmb; do
		# NET_ADMIN, NET_RAW, SYS_MODULE, BPF
		run caps_of "/proc/$PID/status" "$set"
		[[ " $output" != *" 12 "* && " $output" != *" 13 "* && " $output" != *" 16 "* && " $output" != *" 39 "* ]]
	done
	run caps_of "/proc/$PID/status" CapBnd
	[[ " $output" == *" 21 "* ]]
	run purple_rt exec --cap CAP_NET_RAW "$ID" sh -c 'agent call bpf 0 b:120 120; agent setns /proc/self/ns/net
		mount -t tmpfs x /bin; agent call open_tree -100 s:/ 0; grep CapBnd /proc/self/status'
	assert_equal "${lines[*]:0:2} ${lines[3]}" "EPERM EPERM EPERM"
	assert_contains 'mount: permission denied'
	echo "${lines[-1]}" >status
	run caps_of status CapBnd
	[[ " $output" != *" 13 "* ]]
	run "$PURPLE" --root "$PURPLE_ROOT" explain "$ID"
	assert_contains "bpf, setns and mounting are denied"
	assert_contains "they get round a network's rules"
}

@test "network: bad values are refused with line and column" {
	bad_value 3:13 "isolated" <<<$'network:\n  isolated: perhaps'
	bad_value 3:3 "did you mean 'isolated'" <<<$'network:\n  isolate: true'
	bad_value 4:19 "contradict" <<<$'network:\n  isolated: true\n  allow_outgoing: ["443"]'
	bad_value 3:17 "blocked_ips" <<<$'network:\n  blocked_ips: [10.0.0.0/33]'
}
