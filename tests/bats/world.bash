# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A network for tests: three namespaces of the test's own.
#
#   host.net   where the runtime runs: 198.51.100.2, 2001:db8:1::2
#   cont.net   for the container to join: 203.0.113.2, 2001:db8:2::2
#   world.net  between them, with servers on 192.0.2.10 to .12, 2001:db8:9::10, 10.1.2.3 and the
#              metadata address, over TCP on ports 25, 80, 8080 to 8082, over UDP on 9999; DNS for
#              the host on 198.51.100.1
#
# What arrives at the UDP port is in the file datagrams, what DNS is asked in dns.log.

# In one of the three: in_net NAME COMMAND...
in_net() {
	nsenter --net="$BATS_TEST_TMPDIR/$1.net" "${@:2}"
}

world_link() { # NAME WORLD-ADDRESS ADDRESS WORLD-ADDRESS6 ADDRESS6
	in_net world ip link add "to-$1" type veth peer name eth0
	in_net world ip link set eth0 netns "$BATS_TEST_TMPDIR/$1.net"
	in_net world ip address add "$2/24" dev "to-$1"
	in_net world ip address add "$4/64" dev "to-$1" nodad
	in_net world ip link set "to-$1" up
	in_net "$1" ip address add "$3/24" dev eth0
	in_net "$1" ip address add "$5/64" dev eth0 nodad
	in_net "$1" ip link set lo up
	in_net "$1" ip link set eth0 up
	in_net "$1" ip route add default via "$2"
	in_net "$1" ip -6 route add default via "$4"
}

world_servers() {
	cat >world.py <<-'END'
		import select, socket, sys
		listeners, log = [], open("datagrams", "a", buffering=1)
		for port in (25, 80, 8080, 8081, 8082):
		    s = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
		    listeners.append(s)
		u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
		u.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
		u.bind(("::", 9999))
		open("world.ready", "w").close()
		while True:
		    for s in select.select(listeners + [u], [], [])[0]:
		        if s is u:
		            data, who = u.recvfrom(100)
		            log.write(who[0] + " " + data.decode() + "\n")
		            u.sendto(data, who)
		        else:
		            c, _ = s.accept()
		            try:
		                c.sendall(b"hello\n")
		            except OSError:
		                pass # gone already
		            c.close()
	END
	rm -f world.ready
	# Not by the function: $! would be a shell's.
	nsenter --net="$PWD/world.net" python3 world.py >world.out 2>&1 3>&- &
	WORLD+=($!)
	nsenter --net="$PWD/world.net" dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --user=root \
		--pid-file= --bind-interfaces --listen-address=198.51.100.1 --log-queries \
		--log-facility="$PWD/dns.log" --local-ttl=100 \
		--host-record=api.test,192.0.2.10,2001:db8:9::10 --host-record=other.test,192.0.2.11 \
		--host-record=third.test,192.0.2.12 --host-record=private.test,10.1.2.3 \
		--host-record=meta.test,169.254.169.254 --cname=alias.test,third.test \
		--host-record=loop.test,127.0.0.1,::1 --host-record=any.test,0.0.0.0,:: \
		--host-record=link.test,169.254.7.7,fe80::7 --host-record=group.test,224.0.0.7,ff02::7 \
		--host-record=translated.test,64:ff9b::a9fe:a9fe --host-record=mapped.test,::ffff:169.254.169.254 \
		--host-record=mixed.test,192.0.2.10 --host-record=mixed.test,169.254.169.254 \
		>dnsmasq.out 2>&1 3>&- &
	WORLD+=($!)
	wait_for 20 test -e world.ready
	wait_for 20 grep -q started dns.log
}

# Makes it all, and has purple_rt and purple_ run in host.net.
world_setup() {
	requires root private_etc python3 jq cgroup_v2_tree
	command -v dnsmasq >/dev/null || skip "needs the program dnsmasq"
	WORLD=()
	local name address
	for name in host cont world; do
		touch "$name.net"
		unshare --net="$PWD/$name.net" true
	done
	in_net world ip link set lo up
	world_link host 198.51.100.1 198.51.100.2 2001:db8:1::1 2001:db8:1::2
	world_link cont 203.0.113.1 203.0.113.2 2001:db8:2::1 2001:db8:2::2
	for address in 192.0.2.10/32 192.0.2.11/32 192.0.2.12/32 2001:db8:9::10/128 2001:db8:9::11/128 \
		10.1.2.3/32 169.254.169.254/32; do
		in_net world ip address add "$address" dev lo nodad 2>/dev/null ||
			in_net world ip address add "$address" dev lo
	done
	world_servers
}

world_teardown() {
	local pid name
	for pid in "${WORLD[@]}"; do
		kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	for name in host cont world; do
		umount "$BATS_TEST_TMPDIR/$name.net" 2>/dev/null || true
	done
}

# libexec_without PROGRAM: Purple's helper programs but this one, until `umount -l /usr/libexec/purple`.
libexec_without() {
	mount -t tmpfs purple-test /usr/libexec/purple
	cp -R "$PURPLE_LIBEXEC/." /usr/libexec/purple
	rm "/usr/libexec/purple/$1"
}
