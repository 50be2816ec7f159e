#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Ways around a network policy: each is tried by a program (tests/bypass) without the policy, where
# it has to get through, and under it, where nothing of it may be seen outside. Under the policy it
# is tried three times: as the container's root, as nobody, and from outside of the container by
# root with all powers, in the container's group and network: there the filter alone holds.

load bypass

setup_file() {
	bypass_build
}

setup() {
	purple_setup
	world_setup
	make_generous_bundle
	edit_config '.linux.namespaces |= map(select(.type != "network"))
		| .linux.namespaces += [{ type: "network", path: $p }]' --arg p "$PWD/cont.net"
	bypass_setup
}

teardown() {
	world_teardown
	purple_teardown
	[[ -z ${EXTRA_BPFFS:-} ]] || umount "$BATS_TEST_TMPDIR/pins" /sys/fs/bpf
}

purple_rt() {
	in_net host "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" "$@"
}

# In a fresh container: OPTIONS of the runtime, and the user.
contained() { # USER POLICY GROUP...
	local user=$1 policy=$2 status=0
	shift 2
	set_command bypass "$@"
	cp "$BUNDLE/config.json" before.json
	edit_config '.process.user = { uid: $u, gid: $u }' --argjson u "$user"
	new_id
	if [[ -n $policy ]]; then
		purple_rt --policy "$policy" run --bundle "$BUNDLE" "$ID" || status=$?
	else
		purple_rt run --bundle "$BUNDLE" "$ID" || status=$?
	fi
	mv before.json "$BUNDLE/config.json"
	return "$status"
}

# In the group and network of ID, with what the host gives its root.
outside() { # GROUP...
	local group
	group=$(cgroup_dir "$PID")
	nsenter --net="$PWD/cont.net" sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$group" "$PURPLE_TEST_DIR/bypass" "$@"
}

STANDARD='allow_outgoing: ["192.0.2.10:80", "192.0.2.10:9999/udp", "[2001:db8:9::10]:80",
	"[2001:db8:9::10]:9999/udp", "api.test:8080", "*.sub.test"], dns_servers: [198.51.100.1]'

# attempts GROUP...: all four times. RULES is the policy's network section.
attempts() {
	BYPASS_GROUPS=$*
	policy t <<<"network: { ${RULES:-$STANDARD} }"
	bypass_attempts control contained 0 ""
	bypass_attempts root contained 0 t
	bypass_attempts nobody contained 65534 t
	start_under t 'exec sleep 1000'
	bypass_attempts outside outside
	purple_rt delete --force "$ID"
}

# holds NAME EXPECTED...: prints the table in any case.
holds() {
	echo "--- $*"
	bypass_judge "$@"
}

@test "TCP, fast open, and ports and addresses that look like somebody else's" {
	attempts tcp
	holds root
	holds nobody
	holds outside
}

@test "UDP: addresses in messages, many at once, by splice and corked" {
	attempts udp
	holds root
	holds nobody
	holds outside
}

@test "raw sockets, ping, packets in packets" {
	attempts raw
	holds root
	holds nobody
	holds outside
}

@test "packet sockets: frames of all kinds" {
	attempts packet
	holds root
	holds nobody
	holds outside
}

@test "fragments" {
	attempts fragments
	holds root
	holds nobody
	holds outside
}

@test "IPv4 options, source routes and IPv6 extension headers" {
	attempts headers
	holds root
	holds nobody
	holds outside
}

@test "io_uring" {
	attempts io_uring
	holds root
	holds nobody
	# Here it may be used: the packets are held.
	holds outside io_uring/setup
}

@test "the filter at the container's own end of the device, where the other end is not the runtime's" {
	# As with pasta. Frames that pass by the queue of the device pass by the filter as well there:
	# nobody in a container of Purple's can send such.
	purple_rt() { "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" "$@"; }
	attempts packet raw fragments multicast
	holds root
	holds nobody
	holds outside packet/past-queue packet/own-type-past-queue
}

@test "other protocols and families of sockets" {
	attempts protocols
	holds root
	holds nobody
}

@test "multicast, broadcast and joining groups" {
	attempts multicast
	holds root
	holds nobody
	holds outside
}

@test "metadata and private addresses in all notations, with all else open" {
	RULES='allow_outgoing: ["0.0.0.0/0", "::/0"]' attempts metadata
	holds root
	holds nobody
	holds outside
}

@test "DNS to other servers and ports, over TCP, and what questions carry" {
	attempts dns
	holds root
	holds nobody
	holds outside
}

@test "namespaces, control groups, programs of the kernel, tunnels" {
	# An attempt takes what is in it away.
	mount -t bpf -o mode=0700 purple-test /sys/fs/bpf
	EXTRA_BPFFS=1
	mkdir pins
	add_mount "$PWD/host.net" /foreign.net bind,rw
	add_mount /sys/fs/cgroup/unified /groups
	add_mount "$PWD/pins" /pins
	BYPASS_GROUPS=escapes
	policy t <<<"network: { $STANDARD }"
	bypass_attempts control contained 0 ""
	mount --bind /sys/fs/bpf pins
	keep_mount "$PWD/pins"
	bypass_attempts nobody contained 65534 t
	bypass_attempts root contained 0 t
	holds nobody
	holds root
}

# with_socket NUMBER COMMAND...: that descriptor is a datagram socket of the host's network.
with_socket() {
	cat >with_socket.py <<-'END'
		import os, socket, sys
		s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		os.dup2(s.fileno(), int(sys.argv[1]))
		os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
		os.execv(sys.argv[2], sys.argv[2:])
	END
	in_net host python3 "$PWD/with_socket.py" "$@"
}

@test "sockets of the host that the runtime was given" {
	purple_rt() { with_socket 3 "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" "$@"; }
	BYPASS_GROUPS=inherited
	bypass_attempts control contained 0 ""
	grep -q "inherited/descriptor wire ok" control.said
	[[ -s control.seen ]]
	local refused="is a socket of the host's network" network
	for network in "$STANDARD" "isolated: true"; do
		policy t <<<"network: { $network }"
		new_id
		run purple_rt --policy t create --bundle "$BUNDLE" "$ID"
		assert_status 1
		assert_contains "policy t: network: descriptor 3 $refused"
		run "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" state "$ID"
		((status != 0))
		assert_contains "does not exist"
		# The program's stdio is no other thing.
		run with_socket 1 "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" --policy t create --bundle "$BUNDLE" "$ID"
		assert_contains "descriptor 1 $refused"
	done
	purple_rt() { in_net host "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" "$@"; }
	policy t <<<"network: { $STANDARD }"
	start_under t 'exec sleep 1000'
	run with_socket 3 "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" exec --preserve-fds 1 "$ID" bypass inherited
	assert_contains "descriptor 3 $refused"
	run purple_rt exec "$ID" echo works
	assert_output works
}

@test "a socket of the container's network that somebody outside passes to it" {
	cat >give.py <<-'END'
		import ctypes, os, socket, sys
		libc = ctypes.CDLL(None, use_errno=True)
		home = os.open("/proc/self/ns/net", os.O_RDONLY)
		# Whoever else is in the network would have its devices left alone.
		assert libc.setns(os.open(sys.argv[1], os.O_RDONLY), 0) == 0
		given = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		assert libc.setns(home, 0) == 0
		listener = socket.socket(socket.AF_UNIX)
		listener.bind("sockets/give")
		listener.listen()
		os.chmod("sockets/give", 0o777)
		open("given", "w").close()
		while True:
		    c, _ = listener.accept()
		    socket.send_fds(c, [b"x"], [given.fileno()])
		    c.close()
	END
	mkdir sockets
	chmod 0755 sockets
	add_mount "$PWD/sockets" /sockets
	python3 give.py cont.net >give.out 2>&1 3>&- &
	WORLD+=($!)
	wait_for 20 test -e given
	attempts passed
	holds root
	holds nobody
	holds outside
}

# knock ADDRESS PORT PROTOCOL: what a program that waits there says to somebody from outside.
knock() {
	cat >knock.py <<-'END'
		import socket, sys
		address, port, kind = sys.argv[1], int(sys.argv[2]), sys.argv[3]
		s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET,
		                  socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
		# Long enough where something is to come; where not, it is waited for in vain.
		s.settimeout(float(sys.argv[4]))
		try:
		    s.connect((address, port))
		    s.send(b"hello\n")
		    print(s.recv(100).decode().strip() or "closed")
		except OSError:
		    print("nothing")
	END
	in_net world python3 "$PWD/knock.py" "$@"
}

@test "a shell that waits for somebody from outside" {
	local kind address in_time
	# Each for whoever comes, again and again.
	cat >"$BUNDLE/rootfs/wait.sh" <<-'END'
		nc -ll -p 4444 -e echo shell &
		nc -ll -p 53 -e echo shell &
		exec bypass answer 4445
	END
	set_command sh /wait.sh
	new_id
	create_container
	purple_rt start "$ID"
	for address in 203.0.113.2 2001:db8:2::2; do
		wait_for 10 eval "[[ \$(knock $address 4444 tcp 5) == shell ]]"
	done
	wait_for 10 eval '[[ $(knock 203.0.113.2 4445 udp 1) == shell ]]'
	purple_rt delete --force "$ID"
	policy t <<<"network: { $STANDARD }"
	start_under t 'exec sh /wait.sh'
	# It waits: from inside it is reached.
	wait_for 10 eval '[[ $(purple_rt exec "$ID" nc -w 2 127.0.0.1 4444) == shell ]]'
	for address in 203.0.113.2 2001:db8:2::2; do
		assert_equal "$(knock $address 4444 tcp 1)" nothing
		assert_equal "$(knock $address 53 tcp 1)" nothing
	done
	assert_equal "$(knock 203.0.113.2 4445 udp 1)" nothing
	assert_equal "$(knock 203.0.113.2 4445 udp 1)" nothing
}

@test "names: answers that lead to reserved addresses, and aliases of blocked names" {
	local name address
	policy t <<<'network: { allow_outgoing: ["*.test:80"], dns_servers: [198.51.100.1] }'
	start_under t 'exec sleep 1000'
	in_it() { run purple_rt exec "$ID" "$@"; }
	for name in private meta loop any link group translated mapped; do
		in_it nslookup "$name.test" 198.51.100.1
		for address in 10.1. 169.254 127.0.0.1 0.0.0.0 fe80: 224.0.0. ff02: 64:ff9b :ffff: "Address: ::"; do
			assert_lacks "$address"
		done
	done
	grep -q "query.* translated.test" dns.log
	# Of an answer with both, the one is there and the other is not.
	in_it nslookup mixed.test 198.51.100.1
	assert_contains 192.0.2.10
	assert_lacks 169.254
	for address in 10.1.2.3 169.254.169.254 ::ffff:169.254.169.254 64:ff9b::a9fe:a9fe; do
		in_it agent connect "$address" 80
		assert_output EPERM
	done
	in_it agent connect 192.0.2.10 80
	assert_output ok
	purple_rt delete --force "$ID"
	policy t <<<'network: { isolated: false, blocked_domains: [third.test], dns_servers: [198.51.100.1] }'
	start_under t 'exec sleep 1000'
	in_it nslookup alias.test 198.51.100.1
	assert_lacks 192.0.2.12
	wait_for 10 eval '[[ $(purple_rt exec "$ID" agent connect 192.0.2.12 80) == EPERM ]]'
	in_it agent connect 192.0.2.11 80
	assert_output ok
}
