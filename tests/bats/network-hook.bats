#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# purple-network-hook: the rules of `network` hold under Podman with stock runc and crun, by the hooks.d
# files that Purple ships; what the filter cannot hold does not start, and nothing is left behind.

load podman
load policy
load world

setup_file() {
	requires runc crun
	agent_build
	podman_setup
}

setup() {
	purple_setup
	: "${PURPLE_NETWORK_HOOK:?run the tests with tests/run}"
	world_setup
	mountpoint -q /sys/fs/bpf || mount -t bpf -o mode=0700 purple-test /sys/fs/bpf
	make_runtimes
	hooks network policy
	NETWORK=(--network "ns:$PWD/cont.net")
}

teardown() {
	[[ ! -s log ]] || { echo "the hooks said:"; cat log; }
	world_teardown
	podman_teardown
}

# crun takes a hybrid host for a v2 one when a controller is left on the cgroup2 mount: it runs where
# that is not seen, and its hook where it is.
make_runtimes() {
	cat >crun-v1 <<-'END'
		#!/bin/sh
		exec unshare --mount sh -c 'umount /sys/fs/cgroup/unified 2>/dev/null; exec crun "$@"' - "$@"
	END
	mkdir hook
	cat >hook/purple-network-hook <<-END
		#!/bin/sh
		exec nsenter --mount=/proc/$$/ns/mnt -- $PURPLE_NETWORK_HOOK "\$@"
	END
	chmod +x crun-v1 hook/purple-network-hook
}

# hooks NAME...: those of the files in oci-hooks.
hooks() {
	local -A programs=([network]=$PWD/hook/purple-network-hook [policy]=$PURPLE_POLICY_HOOK)
	local name
	rm -rf hooks.d
	mkdir hooks.d
	for name; do
		jq --arg path "${programs[$name]}" --arg log "$PWD/log" '.hook.path = $path | .hook.args += ["--log", $log]' \
			"$PURPLE_SRCDIR/oci-hooks/purple-$name.json.in" >"hooks.d/$name.json"
	done
}

# foreign RUNTIME COMMAND-OF-PODMAN...: Podman with the hooks and a stock runtime.
foreign() {
	local runtime=$1
	shift
	[[ $runtime != crun ]] || runtime=$PWD/crun-v1
	timeout --foreground -k 5 60 nsenter --net="$BATS_TEST_TMPDIR/host.net" podman --hooks-dir "$BATS_TEST_TMPDIR/hooks.d" \
		--runtime "$runtime" "$@"
}

# run_foreign RUNTIME OPTION... IMAGE WORD...: see capture.
run_foreign() {
	local runtime=$1
	shift
	new_id
	capture foreign "$runtime" run --rm --name "$ID" "${NETWORK[@]}" "${WITH[@]}" \
		-v "$PURPLE_TEST_DIR/agent:/bin/agent:ro" "$@"
}

start_foreign() {
	local runtime=$1
	shift
	new_id
	CID=$(foreign "$runtime" run -d --name "$ID" "${NETWORK[@]}" "${WITH[@]}" \
		-v "$PURPLE_TEST_DIR/agent:/bin/agent:ro" "$@")
}

rules() {
	policy t <<<"network: { $1 }"
	WITH=(--annotation io.purple.policy=t)
}

# What the filter leaves in bpffs, the state folders, the groups.
leftovers() {
	find /sys/fs/bpf/purple/*/containers -mindepth 1 2>/dev/null
	find /run/purple -mindepth 1 -maxdepth 1
	find /sys/fs/cgroup -type d -name "purple-$CID"
}

nothing_left() {
	[[ -z $(leftovers) ]]
}

gone() { # once the last container has ended
	CID=${CID:-none} wait_for 10 nothing_left || { leftovers; return 1; }
}

# A profile with which no AF_VSOCK socket can be made, and no packet socket, for containers without the policy hook.
write_profile() {
	jq .linux.seccomp "$PURPLE_SRCDIR/contrib/containerd-network-hook.json" >profile.json
	PROFILE=(--cap-drop NET_RAW --security-opt "seccomp=$PWD/profile.json")
}

# Without a policy there is another answer.
run_free_foreign() {
	local -a with=("${WITH[@]}")
	WITH=()
	run_foreign runc "$IMAGE" sh -c 'agent connect 192.0.2.12 80; agent connect 169.254.169.254 80'
	assert_output $'ok\nok'
	WITH=("${with[@]}")
}

refused() { # TEXT RUNTIME OPTION... IMAGE WORD...
	local text=$1
	shift
	: >log
	run_foreign "$@"
	((status != 0)) || { echo "not refused"; return 1; }
	assert_equal "$output" ""
	grep -qF -- "$text" log || { echo "no '$text' in:"; cat log; return 1; }
	CID=none gone
}

@test "addresses and names: under runc and crun the same as under Purple" {
	rules 'allow_outgoing: ["192.0.2.10:80", "api.test:8080"], dns_servers: [198.51.100.1]'
	run_free_foreign
	local runtime script='agent connect 192.0.2.10 80; agent connect 192.0.2.12 80; agent connect 192.0.2.10 8080
		nslookup api.test 192.0.2.11 | grep -c 192.0.2.10; agent connect 192.0.2.10 8080; agent connect 2001:db8:9::11 80
		agent udp 192.0.2.12 9999; agent connect 169.254.169.254 80; agent call socket 40 1 0
		agent call socket 0x100000028 1 0'
	for runtime in runc crun; do
		run_foreign "$runtime" "$IMAGE" sh -c "$script"
		assert_output $'ok\nEPERM\nEPERM\n1\nok\nEPERM\nEPERM\nEPERM\nEPERM\nEPERM'
		CID=none gone
	done
}

@test "purple network show, ps and doctor know the container; podman exec leads nowhere else; nothing is left of it" {
	rules 'allow_outgoing: ["192.0.2.10:80", "api.test:8080"], dns_servers: [198.51.100.1]'
	start_foreign runc "$IMAGE" sh -c 'agent connect 192.0.2.11 80; exec sleep 1000'
	run "$PURPLE" network show "$CID"
	assert_status 0
	assert_contains "allow_outgoing: 192.0.2.10:80"
	assert_contains "what none speaks of is denied"
	run "$PURPLE" ps
	assert_contains "$CID"
	# On a hybrid host it is in another group of cgroup2, and the filter at the device holds it.
	run foreign runc exec "$ID" timeout 3 agent connect 192.0.2.12 80
	assert_lacks ok
	run foreign runc exec "$ID" agent connect 192.0.2.10 80
	assert_output ok
	local dns
	dns=$(jq -r .dnsPid "/run/purple/$CID/state.json")
	assert_equal "$(cat "/proc/$dns/comm")" purple-dns
	# It is another runtime's.
	run "$PURPLE_RUNTIME" --root /run/purple delete --force "$CID"
	((status != 0))
	assert_contains "another runtime's"
	foreign runc rm -f -t 0 "$ID" >/dev/null
	gone
	wait_for 10 eval "[[ ! -d /proc/$dns ]] || grep -q zombie /proc/$dns/status"
}

@test "what a runtime leaves that runs no poststop hook is found by doctor, and in the way of nobody" {
	rules 'allow_outgoing: ["192.0.2.10:80"]'
	stale() { "$PURPLE" doctor --format json "$@" 2>/dev/null | jq -r '.[] | select(.check == "leftovers of hooks") | .status'; }
	jq '.stages = ["createRuntime"]' hooks.d/network.json >network.json
	mv network.json hooks.d/
	run_foreign runc "$IMAGE" agent connect 192.0.2.10 80
	assert_output ok
	CID=none
	run leftovers
	assert_contains /run/purple/
	assert_equal "$(stale || true)" broken
	assert_equal "$(stale --fix || true)" ok
	gone
	# Podman starts a container again under the same id.
	start_foreign runc "$IMAGE" sh -c 'agent connect 192.0.2.10 80; agent connect 192.0.2.12 80'
	foreign runc wait "$ID"
	foreign runc start "$ID" >/dev/null
	foreign runc wait "$ID"
	assert_equal "$(foreign runc logs "$ID")" $'ok\nEPERM\nok\nEPERM'
	"$PURPLE" doctor --fix >/dev/null 2>&1 || true
	gone
}

@test "isolated: nothing but the loopback device, whatever network the engine gave" {
	# The network hook alone: with the policy hook the container has no device to send by.
	write_profile
	policy t <<<'network: { isolated: true }'
	hooks network
	WITH=(--annotation io.purple.policy=t "${PROFILE[@]}")
	run_foreign runc "$IMAGE" sh -c 'agent connect 192.0.2.10 80; agent udp 192.0.2.10 9999; agent connect 198.51.100.1 53
		agent connect 2001:db8:9::10 80; '"$ASKS_ITSELF"'; ls /sys/class/net'
	assert_output $'EPERM\nEPERM\nEPERM\nEPERM\nyes\neth0\nlo'
	hooks network policy
	WITH=(--annotation io.purple.policy=t)
	run_foreign runc "$IMAGE" sh -c 'agent connect 192.0.2.10 80; ls /sys/class/net'
	assert_output $'EPERM\nlo'
}

@test "CAP_NET_RAW: packet sockets do not get past the host's end of a veth pair; without one it is refused" {
	hooks network
	write_profile
	rules 'allow_outgoing: ["192.0.2.10:80"]'
	gcc -std=gnu17 -O1 -static -o packet "$PURPLE_SRCDIR/tests/bats/helpers/packet.c"
	PROFILE=("${PROFILE[@]:2}" --cap-add NET_RAW -v "$PWD/packet:/bin/packet:ro")
	WITH+=("${PROFILE[@]}")
	refused "has CAP_NET_RAW, and a network device whose other end is not the host's" runc "$IMAGE" true
	touch raw.net
	keep_mount "$PWD/raw.net"
	unshare --net="$PWD/raw.net" true
	in_net host ip link add raw0 type veth peer name eth0 netns "$PWD/raw.net"
	in_net host ip address add 203.0.113.129/30 dev raw0
	in_net host ip link set raw0 up
	in_net raw ip address add 203.0.113.130/30 dev eth0
	in_net raw ip link set eth0 up
	NETWORK=(--network "ns:$PWD/raw.net")
	nsenter --net="$PWD/host.net" python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("0.0.0.0", 67))
open("ready", "w").close()
while True:
    data, who = s.recvfrom(100)
    print(who[0], data.decode().strip("\0"), file=open("heard", "a"))' >listener 2>&1 3>&- &
	WORLD+=($!)
	wait_for 10 test -e ready
	NETWORK=(--network none)
	refused "has CAP_NET_RAW, and no network device yet" runc "$IMAGE" true
	NETWORK=(--network "ns:$PWD/raw.net")
	run_foreign runc "$IMAGE" sh -c 'packet eth0 one; packet eth0 two bypass'
	assert_output $'sent\nsent'
	# What comes after them, from a container without a policy, is heard.
	in_net host "$BATS_TEST_DIRNAME/wire-off" raw0
	WITH=("${PROFILE[@]}")
	run_foreign runc "$IMAGE" packet eth0 three bypass
	assert_output sent
	wait_for 10 test -s heard
	assert_equal "$(<heard)" "203.0.113.130 three"
	umount "$PWD/raw.net"
}

@test "a bridge of Podman's: names and addresses, and CAP_NET_RAW is held at its end of the pair" {
	hooks network
	write_profile
	rules 'allow_outgoing: ["192.0.2.10:80", "api.test:8080"], dns_servers: [198.51.100.1]'
	NETWORK=(--network podman)
	WITH+=("${PROFILE[@]:2}" --cap-add NET_RAW)
	echo 1 | in_net host tee /proc/sys/net/ipv4/ip_forward >/dev/null
	in_net world ip route add 10.88.0.0/16 via 198.51.100.2
	run_foreign runc "$IMAGE" sh -c 'agent connect 192.0.2.10 80; agent connect 192.0.2.12 80
		nslookup api.test 192.0.2.11 >/dev/null; agent connect 192.0.2.10 8080'
	assert_output $'ok\nEPERM\nok'
	CID=none gone
}

unified_mount() {
	[[ ! -d /sys/fs/cgroup/unified ]] || { echo /sys/fs/cgroup/unified; return; }
	echo /sys/fs/cgroup
}

# start_init NETWORK: a process like a runtime's init, in namespaces of its own, and in the group GROUP of
# cgroup2; INIT is its pid.
start_init() {
	local starter
	mkdir "$GROUP"
	unshare --pid --mount --fork nsenter --net="$PWD/$1.net" sleep 1000 3>&- &
	starter=$!
	wait_for 10 pgrep -P "$starter" -x sleep
	INIT=$(pgrep -P "$starter" -x sleep)
	WORLD+=("$INIT")
	kill -KILL "$starter"
	wait "$starter" || true
	echo "$INIT" >"$GROUP/cgroup.procs"
}

hook() { # STATUS [PID]
	in_net host "$PURPLE_NETWORK_HOOK" <<<"{\"id\":\"$ID\",\"status\":\"$1\",\"bundle\":\"$BUNDLE\",\"pid\":${2:-0}}"
}

@test "a group of its own is the one that is filtered; devices that come before the start are too" {
	rules 'allow_outgoing: ["192.0.2.10:9999/udp"]'
	write_profile
	make_bundle
	edit_config '.annotations["io.purple.policy"] = "t" | .linux.seccomp = $p[0]
		| .process.capabilities |= map_values([])' --slurpfile p profile.json
	GROUP=$(unified_mount)/$ID
	in_net cont ip link set eth0 netns "$PWD/world.net"
	in_net world ip link set eth0 name late
	start_init cont
	hook creating "$INIT"
	assert_equal "$(cgroup_dir "$INIT")" "$GROUP"
	assert_equal "$(jq -r '.cgroup' "/run/purple/$ID/state.json")" null
	in_net world ip link set late netns "$PWD/cont.net"
	in_net cont ip link set late name eth0 up
	in_net cont ip address add 203.0.113.2/24 dev eth0
	in_net cont ip route add default via 203.0.113.1
	hook running "$INIT"
	# By sockets that are not of the group.
	in_net cont "$PURPLE_TEST_DIR/agent" udp 192.0.2.12 9999
	in_net cont "$PURPLE_TEST_DIR/agent" udp 192.0.2.10 9999
	wait_for 10 grep -q . datagrams
	assert_equal "$(wc -l <datagrams)" 1
	# The filter stays while there is somebody to filter.
	run timeout 60 env -i PATH="$PATH" "$PURPLE" ps
	assert_contains "$ID"
	kill -KILL "$INIT"
	hook stopped
	CID=none gone
	wait_for 10 rmdir "$GROUP"
}

# hook_refuses TEXT JQ-FILTER: the hook by itself, for INIT with a configuration that was changed.
hook_refuses() {
	cp "$BUNDLE/config.json" config.json
	edit_config "$2"
	capture hook creating "$INIT"
	mv config.json "$BUNDLE/config.json"
	((status != 0)) || { echo "not refused: $2"; return 1; }
	assert_stderr_contains "policy t: "
	assert_stderr_contains "$1"
	[[ ! -e /run/purple/$ID ]]
}

@test "what the filter cannot hold is refused, and says what to do" {
	rules 'allow_outgoing: ["192.0.2.10:80"]'
	hooks network
	refused "AF_VSOCK" runc "$IMAGE" true
	write_profile
	WITH+=("${PROFILE[@]}")
	refused "do not make it privileged" runc --privileged "$IMAGE" true
	make_bundle
	edit_config '.annotations["io.purple.policy"] = "t" | .linux.seccomp = $p[0]
		| .process.capabilities |= map_values([])' --slurpfile p profile.json
	GROUP=$(unified_mount)/$ID
	start_init cont
	local cap
	for cap in CAP_NET_ADMIN CAP_SYS_ADMIN CAP_BPF CAP_SYS_MODULE CAP_SYS_RAWIO; do
		hook_refuses "has $cap" ".process.capabilities.bounding = [\"$cap\"]"
	done
	hook_refuses "has CAP_NET_ADMIN" '.process.capabilities.ambient = ["cap_net_admin"]'
	hook_refuses "process.capabilities is missing" 'del(.process.capabilities)'
	hook_refuses "has no network namespace of its own" '.linux.namespaces |= map(select(.type != "network"))'
	hook_refuses "has no pid namespace of its own" '.linux.namespaces |= map(if .type == "pid" then .path = "/proc/1/ns/pid" else . end)'
	hook_refuses "has no mount namespace of its own" '.linux.namespaces |= map(if .type == "mount" then .path = "/proc/1/ns/mnt" else . end)'
	hook_refuses "shows a BPF file system" '.mounts += [{ type: "bpf", source: "bpf", destination: "/b" }]'
	hook_refuses "shows a BPF file system" '.mounts += [{ source: "/sys/fs/bpf", destination: "/b", options: ["bind", "ro"] }]'
	hook_refuses "control groups that can be written to" '.mounts += [{ type: "cgroup2", source: "c", destination: "/c" }]'
	hook_refuses "control groups that can be written to" '.mounts += [{ source: "/sys", destination: "/s", options: ["rbind", "ro"] }]'
	hook_refuses "control groups that can be written to" ".mounts += [{ source: \"$GROUP\", destination: \"/c\", options: [\"bind\"] }]"
	hook_refuses "control groups that can be written to" '.mounts += [{ type: "cgroup2", source: "c", destination: "/c", options: ["ro", "rw"] }]'
	hook_refuses "the mount on '/' shows " '.root.path = "/"'
	# What a killed runtime of Purple's has left is not a container that it is making.
	mkdir -p "/run/purple/$ID"
	echo "{\"ociVersion\":\"1.0.2\",\"id\":\"$ID\",\"bundle\":\"$BUNDLE\",\"pid\":0}" >"/run/purple/$ID/state.json"
	: >"/run/purple/$ID/lock"
	capture hook creating "$INIT"
	((status != 0))
	assert_stderr_contains "'$ID'"
	rm -r "/run/purple/$ID"
	ln -s / all
	hook_refuses "shows " ".mounts += [{ source: \"$PWD/all\", destination: \"/a\", options: [\"rbind\"] }]"
	hook_refuses "AF_VSOCK" 'del(.linux.seccomp)'
	hook_refuses "AF_VSOCK" '.linux.seccomp.syscalls[0].args[0] = { index: 0, value: 40, op: "SCMP_CMP_EQ" }'
	hook_refuses "AF_VSOCK" 'del(.linux.seccomp.syscalls[1])'
	# Who is in its namespaces.
	nsenter --net="$PWD/cont.net" sleep 1000 3>&- &
	WORLD+=($!)
	hook_refuses "is in the container's network namespace too" .
	kill "${WORLD[-1]}"
	wait "${WORLD[-1]}" || true
	nsenter --target "$INIT" --pid sleep 1000 3>&- &
	WORLD+=($!)
	wait_for 10 eval '(($(pgrep -c --ns "$INIT" --nslist pid) > 1))'
	hook_refuses "is in the container's pid namespace too" .
	kill -KILL "$INIT"
	wait_for 10 rmdir "$GROUP"
	NETWORK=(--network host)
	refused "has no network namespace of its own" runc "$IMAGE" true
	WITH=("${PROFILE[@]}" --annotation io.purple.policy=nothing-like-this)
	refused 'policy "nothing-like-this" is unknown' runc "$IMAGE" true
}

@test "where the filter cannot be had, the container does not start" {
	rules 'allow_outgoing: ["api.test:8080"]'
	libexec_without purple-dns
	refused purple-dns runc "$IMAGE" true
	umount -l /usr/libexec/purple
	while mountpoint -q /sys/fs/bpf; do
		umount /sys/fs/bpf
	done
	refused "mount -t bpf bpf /sys/fs/bpf" runc "$IMAGE" true
	mount -t bpf -o mode=0700 purple-test /sys/fs/bpf
	# The rules are refused by the policy hook where the other one is not there.
	hooks policy
	run_foreign runc "$IMAGE" true
	((status != 0))
	grep -qF "network.allow_outgoing" log
}

@test "the administrator's policies hold; under purple-runtime the hook has nothing to do; odd input is refused" {
	policy t <<<'network: { allow_outgoing: ["192.0.2.10:80"] }'
	settings_install <<<'default_policy: t'
	write_profile
	hooks network
	jq '.when = { always: true }' hooks.d/network.json >network.json
	mv network.json hooks.d/
	WITH=("${PROFILE[@]}")
	run_foreign runc "$IMAGE" sh -c 'agent connect 192.0.2.10 80; agent connect 192.0.2.12 80'
	assert_output $'ok\nEPERM'
	run_foreign "$PURPLE_RUNTIME" "$IMAGE" sh -c 'agent connect 192.0.2.10 80; agent connect 192.0.2.12 80'
	assert_output $'ok\nEPERM'
	CID=none gone
	local state
	for state in '' '{' '{}' '{"id":"x","status":"paused","bundle":"/"}' '{"id":"x","status":"creating","bundle":"/"}' \
		'{"id":"../x","status":"creating","bundle":"/","pid":1}' '{"id":"x","status":"creating","bundle":".","pid":1}'; do
		capture "$PURPLE_NETWORK_HOOK" <<<"$state"
		((status != 0))
		[[ $stderr == *"state"* || $stderr == *"id"* ]]
	done
	# Of a container that it does not know, it has nothing to take away.
	"$PURPLE_NETWORK_HOOK" <<<'{"id":"x","status":"stopped","bundle":"/","pid":0}'
	"$PURPLE_NETWORK_HOOK" <<<'{"id":"x","status":"running","bundle":"/","pid":1}'
	capture "$PURPLE_NETWORK_HOOK" --version
	assert_contains "purple-network-hook version"
	capture "$PURPLE_NETWORK_HOOK" --polcy t
	assert_stderr_contains "unknown option"
}
