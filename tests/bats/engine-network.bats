#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Network rules under containerd and Docker: with Purple in runc's place, and for containerd's stock runc
# with purple-network-hook in the container's configuration.

load policy
load engine

setup_file() {
	agent_build
	engine_setup containerd ctr dockerd runc python3 dnsmasq
	export DOCKER=/usr/bin/docker DOCKER_HOST=unix://$ENGINE_DIR/docker.sock
	export DOCKER_CONFIG=$ENGINE_DIR/client
	cp "$PURPLE_TEST_DIR/agent" "$ENGINE_DIR/image/bin/agent"
	start_world
	start_containerd '"io.containerd.grpc.v1.cri"'
	jq -n --arg path "$PURPLE_RUNTIME" '{ iptables: false, runtimes: { rules: { path: $path, runtimeArgs: ["--policy", "t"] } } }' \
		>"$ENGINE_DIR/daemon.json"
	engine_namespaces
	start_daemon dockerd "${ENGINE[@]}" dockerd \
		--config-file "$ENGINE_DIR/daemon.json" --data-root "$ENGINE_DIR/data" \
		--exec-root "$ENGINE_DIR/exec" --pidfile "$ENGINE_DIR/docker.pid" --host "$DOCKER_HOST" \
		--containerd "$CONTAINERD_SOCKET" --storage-driver vfs
	daemon_up 30 dockerd docker_ version
	tar -C "$ENGINE_DIR/image" -c . | docker_ import --change 'CMD ["sh"]' \
		--change 'ENV PATH=/bin:/usr/bin' - "$IMAGE" >/dev/null
}

# Servers in a network namespace beside the engines': TCP on 8080 and UDP on 9999 of 192.0.2.10 and
# 192.0.2.12; DNS at the engines' end.
start_world() {
	cat >"$ENGINE_DIR/world.py" <<-'END'
		import socket, threading
		def datagrams():
		    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		    u.bind(("0.0.0.0", 9999))
		    open("world.ready", "w").close()
		    while True:
		        data, who = u.recvfrom(100)
		        print(who[0], data.decode(), file=open("datagrams", "a"))
		s = socket.create_server(("0.0.0.0", 8080))
		threading.Thread(target=datagrams, daemon=True).start()
		while True:
		    s.accept()[0].close()
	END
	engine_namespaces
	start_daemon world "${ENGINE[@]}" env --chdir="$ENGINE_DIR" unshare --net python3 world.py
	wait_for 20 test -e "$ENGINE_DIR/world.ready"
	local world
	world=$(<"$ENGINE_DIR/world.pid")
	in_engine ip link add to-world type veth peer name eth0 netns "/proc/$world/ns/net"
	in_engine ip address add 198.51.100.1/24 dev to-world
	in_engine ip link set to-world up
	in_engine ip route add 192.0.2.0/24 via 198.51.100.2
	in_engine nsenter --net="/proc/$world/ns/net" sh -e -c 'ip link set lo up; ip address add 192.0.2.10/32 dev lo
		ip address add 192.0.2.12/32 dev lo; ip address add 198.51.100.2/24 dev eth0; ip link set eth0 up
		ip route add default via 198.51.100.1'
	start_daemon names "${ENGINE[@]}" dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --user=root \
		--pid-file= --bind-interfaces --listen-address=198.51.100.1 --log-facility=- --local=/test/ --local-ttl=100 \
		--host-record=api.test,192.0.2.12
	daemon_up 20 names grep -q started "$ENGINE_DIR/names.log"
}

teardown_file() {
	[[ -n ${ENGINE_DIR:-} ]] || return 0
	stop_daemon dockerd
	stop_daemon world
	stop_daemon names
	engine_teardown
}

setup() {
	purple_setup
	mountpoint -q /sys/fs/bpf || mount -t bpf -o mode=0700 purple-test /sys/fs/bpf
}

teardown() {
	local ids
	ids=$(docker_ ps -aq --no-trunc --filter "name=$(test_prefix)")
	# shellcheck disable=SC2086 # one word per id
	[[ -z $ids ]] || docker_ rm -f -v $ids >/dev/null
	in_engine ip link del ctr0 2>/dev/null || true
	[[ ! -e net ]] || in_engine umount "$PWD/net"
	purple_teardown
}

docker_() {
	timeout 150 "$DOCKER" "$@"
}

# A network namespace for ctr's containers, its other end in the engines'.
make_network() {
	touch net
	in_engine unshare --net="$PWD/net" true
	in_engine ip link add ctr0 type veth peer name eth0
	in_engine ip link set eth0 netns "$PWD/net"
	in_engine ip address add 203.0.113.1/24 dev ctr0
	in_engine ip link set ctr0 up
	in_engine nsenter --net="$PWD/net" sh -c 'ip link set lo up; ip address add 203.0.113.2/24 dev eth0
		ip link set eth0 up; ip route add default via 203.0.113.1'
}

# A configuration for `ctr run --config`: what ctr would write, with the file of contrib/. Its group would be
# the one above those of all containers of the name space.
ctr_configuration() { # JQ-FILTER [ARGUMENT...]
	ctr_ oci spec | jq -s --arg hook "$PURPLE_NETWORK_HOOK" --arg root "$ENGINE_DIR/image" --arg net "$PWD/net" \
		--arg script "$SCRIPT" --arg name "$(test_prefix)" '.[0] * .[1] | .hooks[][].path = $hook | .root = { path: $root, readonly: true }
		| .linux.cgroupsPath = "/\($name)"
		| .process.terminal = false | .process.env = ["PATH=/bin"] | .process.args = ["sh", "-c", $script]
		| .linux.namespaces |= map(if .type == "network" then . + { path: $net } else . end) | '"$1" "${@:2}" \
		- "$PURPLE_SRCDIR/contrib/containerd-network-hook.json" >config.json
}

# run_ctr RUNTIME OPTION...: `run`s a container of config.json.
run_ctr() {
	new_id
	run --separate-stderr ctr_ run --rm --runc-binary "$1" --fifo-dir "$BATS_TEST_TMPDIR/fifo" "${@:2}" \
		--config config.json "$ID"
	printf 'status %d, stderr: %s\n' "$status" "$stderr"
}

left_behind() {
	find /sys/fs/bpf/purple/*/containers -mindepth 1 2>/dev/null
	find /run/purple -mindepth 1 -maxdepth 1
	find /sys/fs/cgroup -type d -name "purple-$ID"
}

nothing_left() {
	[[ -z $(left_behind) ]]
}

SCRIPT='agent connect 192.0.2.10 8080; agent connect 192.0.2.12 8080; agent udp 192.0.2.10 9999
	nslookup api.test 192.0.2.10 2>/dev/null | grep -c 192.0.2.12; agent connect 192.0.2.12 8080'
RULES='network: { allow_outgoing: ["192.0.2.10:8080", "api.test:8080"], dns_servers: [198.51.100.1] }'

@test "containerd: under stock runc with the hook the rules hold; what it cannot hold does not start" {
	make_network
	policy t <<<"$RULES"
	ctr_configuration 'del(.hooks)'
	run_ctr runc
	assert_output $'ok\nok\nok\n0\nok'
	# CAP_NET_RAW, which containerd gives, is no way out here.
	ctr_configuration '.annotations["io.purple.policy"] = "t"'
	jq -e '.process.capabilities.bounding | index("CAP_NET_RAW")' config.json
	run_ctr runc
	assert_output $'ok\nEPERM\nEPERM\n1\nok'
	wait_for 10 nothing_left
	# The administrator's word, in the file's arguments.
	ctr_configuration '.hooks[][].args += ["--policy", "t"]'
	run_ctr runc
	assert_output $'ok\nEPERM\nEPERM\n1\nok'
	ctr_configuration '.annotations["io.purple.policy"] = "t" | .process.capabilities.bounding += ["CAP_NET_ADMIN"]'
	run_ctr runc
	((status != 0))
	assert_equal "$output" ""
	[[ $stderr == *"the container has CAP_NET_ADMIN"* ]]
	ctr_configuration '.annotations["io.purple.policy"] = "t" | del(.linux.seccomp)'
	run_ctr runc
	((status != 0))
	[[ $stderr == *AF_VSOCK* ]]
	wait_for 10 nothing_left
}

@test "containerd: under Purple the rules hold" {
	make_network
	policy t <<<"$RULES"
	ctr_configuration '.annotations["io.purple.policy"] = "t" | del(.hooks)'
	run_ctr "$PURPLE_RUNTIME"
	assert_output $'ok\nEPERM\nEPERM\n1\nok'
	wait_for 10 nothing_left
	# With the hook besides, too: it finds its work done.
	ctr_configuration '.annotations["io.purple.policy"] = "t"'
	run_ctr "$PURPLE_RUNTIME"
	assert_output $'ok\nEPERM\nEPERM\n1\nok'
	wait_for 10 nothing_left
}

@test "Docker: under Purple the rules hold on its bridge, in docker exec, and for --privileged" {
	policy t <<<"$RULES"
	new_id
	run docker_ run --rm --name "$ID" "$IMAGE" sh -c "$SCRIPT"
	assert_output $'ok\nok\nok\n0\nok'
	run docker_ run --rm --name "$ID" --runtime rules "$IMAGE" sh -c "$SCRIPT"
	assert_output $'ok\nEPERM\nEPERM\n1\nok'
	run docker_ run --rm --name "$ID" --runtime rules --privileged "$IMAGE" sh -c "$SCRIPT"
	assert_output $'ok\nEPERM\nEPERM\n1\nok'
	docker_ run -d --name "$ID" --runtime rules "$IMAGE" sleep 1000 >/dev/null
	run docker_ exec --privileged "$ID" sh -c "$SCRIPT"
	assert_output $'ok\nEPERM\nEPERM\n1\nok'
	docker_ rm -f "$ID" >/dev/null
	wait_for 10 nothing_left
}
