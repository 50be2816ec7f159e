#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What the check of names in TLS costs a connection. No test: it prints, and says no verdict.
#
#   tests/run --installed BUILD tests/bench/tls-names.bats
#
# A program in a container connects to port 443, sends a ClientHello, waits for a byte, and closes:
# without a policy, with a rule for the address (nothing is checked), and with one for the name. For
# each: the median time, and what the filter's programs at the group took of it by the kernel's own
# count (kernel.bpf_stats_enabled).

BATS_TEST_DIRNAME=$PURPLE_SRCDIR/tests/bats
load policy
load world

CONNECTIONS=3000

setup_file() {
	agent_build
}

setup() {
	requires bpftool
	purple_setup
	world_setup
	make_generous_bundle
	edit_config '.linux.namespaces |= map(select(.type != "network"))
		| .linux.namespaces += [{ type: "network", path: $p }]' --arg p "$PWD/cont.net"
	add_mount /usr /usr rbind,ro
	add_mount /usr/lib /lib rbind,ro
	[[ ! -d /usr/lib64 ]] || add_mount /usr/lib64 /lib64 rbind,ro
	STATS=$(</proc/sys/kernel/bpf_stats_enabled)
	echo 1 >/proc/sys/kernel/bpf_stats_enabled
}

teardown() {
	[[ -z ${STATS:-} ]] || echo "$STATS" >/proc/sys/kernel/bpf_stats_enabled
	world_teardown
	purple_teardown
}

purple_rt() {
	in_net host "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" "$@"
}

# Nanoseconds that the programs of the filter have run.
spent() {
	local pin total=0
	for pin in /sys/fs/bpf/purple/*/network_*; do
		[[ -e $pin ]] || continue
		total=$((total + $(bpftool --json prog show pinned "$pin" | jq '.run_time_ns // 0')))
	done
	echo "$total"
}

measure() { # WHAT [POLICY]
	local before
	before=$(spent)
	set_script "nslookup third.test >/dev/null; python3 /connect.py $CONNECTIONS"
	new_id
	run purple_rt ${2:+--policy "$2"} run --bundle "$BUNDLE" "$ID"
	assert_status 0
	printf '# %-22s median %6.1f us; of that the programs %5.2f us\n' "$1" "${lines[-1]}" \
		"$(awk -v ns=$(($(spent) - before)) -v n=$CONNECTIONS 'BEGIN { print ns / n / 1000 }')" >&3
}

@test "the check of a name in TLS" {
	cat >"$BUNDLE/rootfs/connect.py" <<-'END'
		import socket, ssl, sys, time
		out = ssl.MemoryBIO()
		o = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname="third.test")
		try:
		    o.do_handshake()
		except ssl.SSLWantReadError:
		    hello = out.read()
		times = []
		for _ in range(int(sys.argv[1])):
		    start = time.perf_counter()
		    s = socket.create_connection(("192.0.2.12", 443))
		    s.sendall(hello)
		    s.recv(1)
		    s.close()
		    times.append(time.perf_counter() - start)
		print(sorted(times)[len(times) // 2] * 1e6)
	END
	cat >serve.py <<-'END'
		import socket
		s = socket.create_server(("192.0.2.12", 443), backlog=100)
		open("listening", "w").close()
		while True:
		    c, _ = s.accept()
		    c.recv(4096)
		    c.send(b"x")
		    c.close()
	END
	nsenter --net="$PWD/world.net" python3 serve.py >serve.out 2>&1 3>&- &
	WORLD+=($!)
	wait_for 20 test -e listening
	policy a <<<'network: { allow_outgoing: ["192.0.2.12:443"], dns_servers: [198.51.100.1] }'
	policy n <<<'network: { allow_outgoing: ["third.test:443"], dns_servers: [198.51.100.1] }'
	measure "no policy"
	local i
	for i in 1 2 3; do
		measure "rule for the address" a
		measure "rule for the name" n
	done
}
