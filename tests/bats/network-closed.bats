#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Where the network filter cannot be had, or is lost: the container does not start and the error
# says why, or it has less of a network than before, and never more.

load policy
load world

# Of bpf().
MAP_CREATE=0 MAP_UPDATE_ELEM=2 PROG_LOAD=5 OBJ_PIN=6 LINK_CREATE=28
EPERM=1 ENOMEM=12 EACCES=13

setup_file() {
	agent_build
	gcc -std=gnu17 -O1 -static -o "$BATS_FILE_TMPDIR/refuse_bpf" "$PURPLE_SRCDIR/tests/bats/helpers/refuse_bpf.c"
}

setup() {
	requires cgroup_v2_tree
	purple_setup
	make_bundle
	set_command sleep 1000
	policy t <<<'network: { allow_outgoing: ["192.0.2.10:80"] }'
	# A test takes programs away; each has the BPF file system to itself.
	MOUNTED=()
	over /sys/fs/bpf -t bpf -o mode=0700 purple-test
}

teardown() {
	[[ -z ${WORLD:-} ]] || world_teardown
	purple_teardown
	local at
	for at in "${MOUNTED[@]}"; do
		umount -l "$at"
	done
}

# over FOLDER MOUNT-ARGUMENT...: until the test ends.
over() {
	mount "${@:2}" "$1"
	MOUNTED=("$1" "${MOUNTED[@]}")
}

# The folder of helper programs, to change.
own_libexec() {
	local program
	over /usr/libexec/purple -t tmpfs -o mode=0755 purple-test
	for program in "$PURPLE_LIBEXEC"/*; do
		cp "$program" /usr/libexec/purple
	done
}

# A helper program in which a command of bpf() fails.
hinder() { # PROGRAM COMMAND ERRNO
	own_libexec
	mv "/usr/libexec/purple/$1" "/usr/libexec/purple/$1.real"
	cat >"/usr/libexec/purple/$1" <<-END
		#!/bin/sh
		exec $BATS_FILE_TMPDIR/refuse_bpf $2 $3 /usr/libexec/purple/$1.real "\$@"
	END
	chmod 0755 "/usr/libexec/purple/$1"
}

# refused TEXT [PREFIX...]: create fails and says so; nothing is left of the container.
refused() {
	local text=$1
	shift
	new_id
	run timeout 60 "$@" "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" --policy t create --bundle "$BUNDLE" "$ID"
	((status != 0))
	assert_contains "${SAYS-policy t: network}"
	assert_contains "$text"
	run purple_rt state "$ID"
	((status != 0))
	assert_contains "does not exist"
	no_traces "$ID"
	[[ ! -d /sys/fs/bpf/purple ]] || assert_equal "$(find /sys/fs/bpf/purple/*/containers -mindepth 1 2>/dev/null | wc -l)" 0
}

# The same works when nothing is in its way.
works() {
	create_under t "exec sleep 1000"
	purple_rt delete --force "$ID"
}

@test "programs that the kernel's verifier refuses" {
	hinder purple-network-load $PROG_LOAD $EACCES
	refused "the kernel refuses the programs of the network filter (Permission denied)"
	[[ ! -e /sys/fs/bpf/purple/new ]]
	cp "$PURPLE_LIBEXEC/purple-network-load" /usr/libexec/purple
	works
}

@test "maps for which there is no memory, and pins that cannot be made" {
	hinder purple-network-load $MAP_CREATE $ENOMEM
	refused "the kernel refuses the programs of the network filter (Cannot allocate memory)"
	umount -l /usr/libexec/purple
	MOUNTED=("${MOUNTED[@]:1}")
	hinder purple-network-load $OBJ_PIN $EPERM
	refused "cannot pin the program"
	cp "$PURPLE_LIBEXEC/purple-network-load" /usr/libexec/purple
	works
}

@test "no maps are left, and no more can be made" {
	"$PURPLE_LIBEXEC/purple-network-load"
	rm -r /sys/fs/bpf/purple/*/spare/*
	hinder purple-network-load $MAP_CREATE $ENOMEM
	refused "Cannot allocate memory"
	cp "$PURPLE_LIBEXEC/purple-network-load" /usr/libexec/purple
	works
}

@test "a runtime that may not attach programs, fill maps or use bpf() at all" {
	refused "cannot attach 'network_out' to the group" "$BATS_FILE_TMPDIR/refuse_bpf" $LINK_CREATE $EPERM
	refused "network filter: cannot" "$BATS_FILE_TMPDIR/refuse_bpf" $MAP_UPDATE_ELEM $ENOMEM
	refused "cannot pin" "$BATS_FILE_TMPDIR/refuse_bpf" $OBJ_PIN $EPERM
	works
}

@test "a runtime that has CAP_SYS_ADMIN alone for bpf(), and one that has nothing" {
	set_script 'nc -w 5 192.0.2.12 80'
	run capsh --drop=cap_bpf,cap_perfmon -- -c 'exec "$@"' capsh "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" \
		--policy t run --bundle "$BUNDLE" "$ID"
	assert_contains "Operation not permitted"
	requires ordinary_user
	cp -a "$BUNDLE" user-bundle
	new_id
	run as_user unshare --user --map-root-user --mount "$PURPLE_RUNTIME" --root "$BATS_TEST_TMPDIR/user/run/purple" \
		--policy t create --bundle "$PWD/user-bundle" "$ID"
	((status != 0))
	assert_contains "policy t: network"
	[[ ! -e user/run/purple/$ID ]]
}

@test "/sys/fs/bpf is of another kind, or read-only" {
	over /sys/fs/bpf -t tmpfs purple-test
	refused "needs the BPF file system (mount -t bpf bpf /sys/fs/bpf)"
	over /sys/fs/bpf -t bpf -o ro purple-test
	refused "Read-only file system"
	umount /sys/fs/bpf
	umount /sys/fs/bpf
	MOUNTED=("${MOUNTED[@]:2}")
	works
	# With the programs there, and no place for a container's.
	mount -o remount,ro /sys/fs/bpf
	refused "Read-only file system"
	mount -o remount,rw /sys/fs/bpf
	works
}

@test "a host without cgroup2" {
	[[ -d /sys/fs/cgroup/unified ]] || skip "not a hybrid host"
	refused "the filter needs a group of cgroup2, and the container has none" \
		unshare --mount sh -c 'umount -l /sys/fs/cgroup/unified && exec "$@"' sh
	works
}

@test "helper programs that are not there" {
	own_libexec
	rm /usr/libexec/purple/purple-network-load
	refused "'/usr/libexec/purple/purple-network-load', which is not there"
	cp "$PURPLE_LIBEXEC/purple-network-load" /usr/libexec/purple
	rm /usr/libexec/purple/purple-dns
	policy t <<<'network: { allow_outgoing: ["api.test:80"], dns_servers: [192.0.2.53] }'
	refused purple-dns
	printf '#!/bin/sh\nexit 1\n' >/usr/libexec/purple/purple-dns
	chmod 0755 /usr/libexec/purple/purple-dns
	refused purple-dns
	cp "$PURPLE_LIBEXEC/purple-dns" /usr/libexec/purple
	works
}

@test "one rule more than there may be" {
	# 100,000 hold; each has its own address.
	many() {
		echo 'network:'
		echo '  allow_outgoing:'
		awk -v n="$1" 'BEGIN { for (i = 0; i < n; i++) printf "    - 11.%d.%d.%d:443\n", i / 65536, i / 256 % 256, i % 256 }'
	}
	many 100000 | policy t
	run "$PURPLE" policy check /etc/purple/policies/t.yaml
	assert_status 0
	works
	many 100001 | policy t
	run "$PURPLE" policy check /etc/purple/policies/t.yaml
	((status != 0))
	assert_contains "t.yaml:4:5: network.allow_outgoing has more than 100000 entries"
	SAYS="policy" refused "t.yaml:4:5: network.allow_outgoing has more than 100000 entries"
	# As many in two lists.
	{ many 70000; echo '  blocked_ips:'; many 70000 | sed -n 's/- 11\(.*\):443/- 12\1/p'; } | policy t
	SAYS="policy" refused "a container can have 100000 rules for its network, and this is one more"
}

# --- what is lost while it runs -------------------------------------------------------------------

purple_rt() {
	${WORLD:+in_net host} "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" "$@"
}

# A container in a world of its own, whose policy lets it send to UDP port 9999 of 192.0.2.10.
start_in_world() {
	world_setup
	make_generous_bundle
	edit_config '.linux.namespaces |= map(select(.type != "network"))
		| .linux.namespaces += [{ type: "network", path: $p }]' --arg p "$PWD/cont.net"
	policy t <<<'network: { allow_outgoing: ["192.0.2.10:9999/udp", "api.test:8080"], dns_servers: [198.51.100.1] }'
	start_under t 'exec sleep 1000'
}

# What the container sends to an address that is denied does not arrive; to one that is not, it does.
assert_closed() {
	local before
	before=$(wc -l <datagrams)
	purple_rt exec "$ID" sh -c 'agent udp 192.0.2.12 9999; agent udp 2001:db8:9::10 9999; agent udp 192.0.2.10 9999' || true
	wait_for 10 eval "((\$(wc -l <datagrams) > $before))"
	assert_equal "$(wc -l <datagrams)" $((before + 1))
}

doctor_says() { # CHECK
	"$PURPLE" --root "$PURPLE_ROOT" doctor --format json 2>/dev/null | jq -r --arg c "$1" '.[] | select(.check == $c) | .status'
}

@test "programs that somebody takes off a container's group: the wire holds, and doctor says so" {
	start_in_world
	assert_closed
	assert_equal "$(doctor_says "attached filters" || true)" ok
	local pins
	pins=$(echo /sys/fs/bpf/purple/*/containers/"$ID"-*)
	rm "$pins/network_out" "$pins/network_sendmsg4"
	wait_for 10 eval '[[ $(doctor_says "attached filters" || true) == broken ]]'
	# It is no leftover: --fix leaves what there still is of it.
	assert_equal "$(doctor_says "leftover filters" || true)" ok
	assert_closed
	rm "$pins"/network_*
	assert_closed
}

@test "the forwarder is killed: no name resolves any more, the rest is as it was, and show says so" {
	start_in_world
	purple_rt exec "$ID" nslookup api.test 198.51.100.1 >/dev/null
	run purple_rt exec "$ID" agent connect 192.0.2.10 8080
	assert_output ok
	local dns asked
	dns=$(jq -r .dnsPid "$PURPLE_ROOT/$ID/state.json")
	asked=$(grep -c query dns.log)
	kill -KILL "$dns"
	wait_for 10 eval "[[ ! -d /proc/$dns ]] || grep -q zombie /proc/$dns/status"
	run in_net host "$PURPLE" --root "$PURPLE_ROOT" network show "$ID"
	[[ $output =~ "names: process $dns, port "[0-9]+", which is dead: nothing resolves" ]]
	run purple_rt exec "$ID" timeout 20 nslookup api.test 198.51.100.1
	((status != 0))
	run purple_rt exec "$ID" timeout 20 nslookup other.test 192.0.2.11
	((status != 0))
	assert_equal "$(grep -c query dns.log)" "$asked"
	# What it had learned holds for its time, and no longer: that is in the kernel.
	run in_net host "$PURPLE" --root "$PURPLE_ROOT" network show "$ID"
	assert_contains "192.0.2.10 tcp 8080 allowed for api.test:8080, "
	assert_closed
}

@test "the runtime is killed at any of its calls to bpf(): what is left is closed, and can be deleted" {
	requires strace
	world_setup
	make_generous_bundle
	edit_config '.linux.namespaces |= map(select(.type != "network"))
		| .linux.namespaces += [{ type: "network", path: $p }]' --arg p "$PWD/cont.net"
	policy t <<<'network: { allow_outgoing: ["192.0.2.10:9999/udp"] }'
	set_command sleep 1000
	local n=0 i pid killed=0 create=("$PURPLE_RUNTIME" --root "$PURPLE_ROOT" --policy t create --bundle "$BUNDLE")
	# The first run loads the programs: later ones have them.
	in_net host "${create[@]}" "$ID" </dev/null >out 2>err
	purple_rt delete --force "$ID"
	new_id
	timeout 120 nsenter --net="$PWD/host.net" strace -qq -e trace=bpf -o trace "${create[@]}" "$ID" </dev/null >out 2>err
	purple_rt delete --force "$ID"
	n=$(grep -c '^bpf(' trace)
	((n > 40))
	for ((i = 1; i <= n; i += 4)); do
		new_id
		timeout 120 nsenter --net="$PWD/host.net" strace -qq -o /dev/null -e trace=bpf \
			-e inject="bpf:signal=SIGKILL:when=$i" "${create[@]}" "$ID" </dev/null >out 2>err && continue
		killed=$((killed + 1))
		# No process of it is left to send anything.
		pid=$(jq -r '.pid // 0' "$PURPLE_ROOT/$ID/state.json" 2>/dev/null || echo 0)
		[[ $pid == 0 || ! -d /proc/$pid ]] || wait_for 10 eval "[[ ! -d /proc/$pid ]]"
		purple_rt delete --force "$ID"
		assert_equal "$(find /sys/fs/bpf/purple/*/containers -mindepth 1 | wc -l)" 0
	done
	echo "killed $killed times at $n calls"
	((killed > n / 8))
	start_under t 'exec sleep 1000'
	assert_closed
}
