#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# linux.netDevices of config.json. "The host" is a network namespace of the test's own here: the
# devices are pairs of veth made in it, and the runtime is run in it.

load helpers
load spec

setup() {
	requires ip
	spec_setup
	holder --net
	# The end that goes, and the one that stays.
	host_ip link add pt0 mtu 1400 address 02:00:00:00:00:07 type veth peer name pt1
	host_ip addr add 192.0.2.7/24 dev pt0
	host_ip addr add 2001:db8::7/64 dev pt0
	host_ip addr add 169.254.7.7/16 scope link dev pt0
	host_ip link set pt0 up
	host_ip link set pt1 up
	edit_config '.linux.netDevices = {pt0: {}}'
}

teardown() {
	spec_teardown
}

host_ip() {
	nsenter -t "$HOLDER" -n ip "$@"
}

# The runtime where the devices are.
purple_rt() {
	nsenter -t "$HOLDER" -n "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" "$@"
}

container_ip() {
	nsenter -t "$PID" -n ip "$@"
}

has_device() { # NAME
	host_ip link show "$1" >/dev/null
}

lacks_device() { # NAME
	[[ -z $(host_ip -o link show "$1" 2>/dev/null) ]]
}

# --- what is moved --------------------------------------------------------------------------------

@test "a device is the container's, up, with its addresses, MTU and hardware address" {
	start_sleeper
	run purple_rt exec "$ID" ip addr show pt0
	assert_status 0
	assert_contains "UP"
	assert_contains "mtu 1400"
	assert_contains 02:00:00:00:00:07
	assert_contains "inet 192.0.2.7/24"
	assert_contains "inet6 2001:db8::7/64 scope global"
	# An address of this link alone means nothing there.
	assert_lacks 169.254.7.7
	assert_equal "$(container_ip -br addr show pt0 | grep -o 192.0.2.7/24)" 192.0.2.7/24
	lacks_device pt0
	has_device pt1
	run purple_rt exec "$ID" ls /sys/class/net
	assert_contains pt0
}

@test "traffic goes through it" {
	host_ip addr add 192.0.2.1/24 dev pt1
	edit_config '.process.capabilities |= map_values(. + ["CAP_NET_RAW"])'
	run_script 'ping -c 1 -w 5 192.0.2.1'
	assert_status 0
	assert_contains "1 packets received"
}

@test "a device has another name in the container where config.json says so" {
	edit_config '.linux.netDevices.pt0.name = "eth0"'
	start_sleeper
	run purple_rt exec "$ID" ip addr show eth0
	assert_status 0
	assert_contains 02:00:00:00:00:07
	assert_contains LOWER_UP
	assert_contains "inet 192.0.2.7/24"
	local peer
	peer=$(host_ip -o link show pt1)
	assert_equal "$(container_ip -br link | cut -d' ' -f1 | tr '\n' ' ')" "lo eth0@if${peer%%:*} "
}

@test "a name with %d gets the first free number" {
	host_ip link add pt2 type veth peer name pt3
	edit_config '.linux.netDevices = {pt0: {name: "net%d"}, pt2: {name: "net%d"}}'
	run_script 'ls /sys/class/net; cat /sys/class/net/net0/address'
	assert_status 0
	assert_output $'lo\nnet0\nnet1\n02:00:00:00:00:07'
}

@test "devices go to a network namespace that is joined, and stay there" {
	local host=$HOLDER joined
	holder --net
	joined=$HOLDER HOLDER=$host
	edit_config '.linux.namespaces |= map(if .type == "network" then .path = $p else . end)
		| .linux.netDevices.pt0.name = "eth0"' --arg p "/proc/$joined/ns/net"
	run_script 'cat /sys/class/net/eth0/address'
	assert_output 02:00:00:00:00:07
	# Who made the namespace has the device when the container is gone.
	run nsenter -t "$joined" -n ip addr show eth0
	assert_contains 192.0.2.7/24
	lacks_device pt0
}

@test "a container in a user namespace gets devices too" {
	requires userns
	user_namespace
	chown -R 100000:100000 "$BUNDLE/rootfs"
	start_sleeper
	run purple_rt exec "$ID" ip addr show pt0
	assert_contains 192.0.2.7/24
	assert_contains UP
}

@test "hooks find the devices, and so do sysctls" {
	cat >hook <<-'END'
		#!/bin/sh
		pid=$(jq -r .pid) && nsenter -t "$pid" -n ip link show pt0 >"$1"
	END
	chmod +x hook
	edit_config '.hooks.createRuntime = [{path: $h, args: ["hook", $o], env: ["PATH=" + $p]}]
		| .linux.sysctl = {"net.ipv4.conf.pt0.forwarding": "1"}' \
		--arg h "$PWD/hook" --arg o "$PWD/seen" --arg p "$PATH"
	run_script 'cat /proc/sys/net/ipv4/conf/pt0/forwarding'
	assert_output 1
	grep -q 02:00:00:00:00:07 seen
}

# --- what goes wrong ------------------------------------------------------------------------------

@test "wrong devices are refused by name, before anything is made" {
	refused '.linux.netDevices = {"a/b": {}}' "linux.netDevices: 'a/b' is no name of a network device"
	refused '.linux.netDevices.pt0.name = "a name"' "linux.netDevices.pt0.name: 'a name'"
	refused '.linux.netDevices.pt0.name = "%s"' "linux.netDevices.pt0.name: '%s'"
	refused '.linux.netDevices.pt0.name = 5' "linux.netDevices.pt0.name: expected a string"
	refused '.linux.netDevices = ["pt0"]' "linux.netDevices: expected an object"
	refused 'del(.linux.namespaces[] | select(.type == "network"))' "linux.netDevices: needs a network namespace"
	refused '.linux.netDevices = {nosuch: {}}' "network device 'nosuch': No such device"
	has_device pt0
}

@test "a device is not renamed in the host's own namespace" {
	refused '.linux.namespaces |= map(if .type == "network" then .path = "/proc/self/ns/net" else . end)
		| .linux.netDevices.pt0.name = "eth0"' "the container has no network namespace of its own"
	has_device pt0
}

@test "a name that the container has already is refused, and the device stays" {
	refused '.linux.netDevices.pt0.name = "lo"' "the container has a network device 'lo' already"
	has_device pt0
	assert_equal "$(host_ip -br addr show pt0 | grep -o 192.0.2.7/24)" 192.0.2.7/24
}

@test "a create that fails gives back what it took, with its name and addresses" {
	host_ip link add pt2 type veth peer name pt3
	# The second one fails.
	refused '.linux.netDevices = {pt0: {name: "eth0"}, pt2: {name: "eth0"}}' "network device 'pt2'"
	has_device pt0
	has_device pt2
	assert_equal "$(host_ip -br addr show pt0 | grep -o 192.0.2.7/24)" 192.0.2.7/24
	# What comes after it fails.
	refused '.linux.netDevices.pt0.name = "eth0" | .hooks.createRuntime = [{path: "/bin/false"}]' "createRuntime"
	has_device pt0
	assert_equal "$(host_ip -br addr show pt0 | grep -o 2001:db8::7/64)" 2001:db8::7/64
	refused '.process.args = ["/no/such"]' "no such file"
	has_device pt0
}

@test "a policy that isolates the network refuses a device of the host" {
	requires private_etc
	policy_install isolated <<<$'name: isolated\nnetwork: { isolated: true }'
	set_command true
	run purple_rt --policy isolated run --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "the network is isolated, and linux.netDevices asks for the host's device 'pt0'"
	has_device pt0
	# No network section means isolated.
	policy_install silent <<<'name: silent'
	run purple_rt --policy silent run --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "the network is isolated"
}
