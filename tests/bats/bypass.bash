# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# The bypass program (tests/bypass) and who judges what it did: a sniffer at the outside end.
#
#   bypass_setup                        in setup, after world_setup: the container's network has its
#                                       device's other end on a bridge where the runtime runs, and
#                                       behind the bridge is the world
#   bypass_attempts NAME PREFIX...      runs `PREFIX... GROUP...` for BYPASS_GROUPS, which is the
#                                       program in a container or wherever; keeps what it said and
#                                       what was seen as NAME
#   bypass_judge NAME [EXPECTED...]     prints a line for each attempt, and fails unless each of NAME
#                                       was held, and its twin without the policy (`control`) got
#                                       through; EXPECTED are those that are known to get through

load policy
load world

# Called by setup_file: builds the program, once a run.
bypass_build() {
	agent_build
	(
		flock 9
		[[ -e $PURPLE_TEST_DIR/bypass ]] && exit
		if [[ -n ${PURPLE_TEST_BYPASS:-} ]]; then
			cp "$PURPLE_TEST_BYPASS" "$PURPLE_TEST_DIR/bypass.new" || exit
		else
			gcc -std=gnu17 -O1 -static -o "$PURPLE_TEST_DIR/bypass.new" "$PURPLE_SRCDIR"/tests/bypass/*.c || exit
		fi
		mv "$PURPLE_TEST_DIR/bypass.new" "$PURPLE_TEST_DIR/bypass"
	) 9>"$PURPLE_TEST_DIR/bypass.lock"
	[[ -e $PURPLE_TEST_DIR/bypass ]]
}

bypass_setup() {
	local net address
	in_net world ip link del to-cont
	in_net host ip link add br0 type bridge mcast_snooping 0
	in_net host ip link add to-cont type veth peer name eth0 netns "$BATS_TEST_TMPDIR/cont.net" 2>/dev/null || {
		in_net host ip link add to-cont type veth peer name eth1
		in_net host ip link set eth1 netns "$BATS_TEST_TMPDIR/cont.net" name eth0
	}
	for address in 198.51.100.2/24 2001:db8:1::2/64; do
		in_net host ip address del "$address" dev eth0 || true
		in_net host ip address add "$address" dev br0 nodad 2>/dev/null || in_net host ip address add "$address" dev br0
	done
	for net in eth0 to-cont; do
		in_net host ip link set "$net" master br0 up
	done
	in_net host ip link set br0 up
	in_net host ip route replace default via 198.51.100.1
	in_net host ip -6 route replace default via 2001:db8:1::1
	in_net world ip address add 203.0.113.1/24 dev to-host
	in_net world ip address add 2001:db8:2::1/64 dev to-host nodad
	in_net cont ip address add 203.0.113.2/24 dev eth0
	in_net cont ip address add 2001:db8:2::2/64 dev eth0 nodad
	in_net cont ip link set eth0 up
	in_net cont ip route add default via 203.0.113.1
	in_net cont ip -6 route add default via 2001:db8:2::1
	# Nothing waits for an answer of the link.
	address=$(in_net world ip -json link show to-host | jq -r '.[0].address')
	in_net cont ip neigh replace 203.0.113.1 lladdr "$address" dev eth0 nud permanent
	in_net cont ip neigh replace 2001:db8:2::1 lladdr "$address" dev eth0 nud permanent
	in_net cont sh -c 'echo "0 2147483647" >/proc/sys/net/ipv4/ping_group_range
		echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start
		# What the kernel tells the link of groups is told once and soon: none of it is left for
		# the next one who looks.
		echo 1 >/proc/sys/net/ipv4/igmp_qrv; echo 1 >/proc/sys/net/ipv6/mld_qrv
		for i in ipv4/conf/eth0/igmpv3 ipv6/conf/eth0/mldv2; do
			echo 10 >/proc/sys/net/${i}_unsolicited_report_interval
		done'
	cp "$PURPLE_TEST_DIR/bypass" "$BUNDLE/rootfs/bin/bypass"
}

# Whether all that NAME's attempts send has been seen.
all_seen() {
	! awk '$3 ~ /^wire/ && $4 == "ok" { print $1 }' "$1.said" | grep -vxFf <(cut -d ' ' -f 1 "$1.seen") >/dev/null
}

bypass_attempts() { # NAME PREFIX...
	local name=$1
	shift
	nsenter --net="$PWD/world.net" python3 "$PURPLE_SRCDIR/tests/bypass/sniff.py" to-host "$name.seen" \
		>"$name.sniffer" 2>&1 3>&- &
	local sniffer=$!
	WORLD+=("$sniffer")
	wait_for 20 grep -q ready "$name.sniffer"
	# shellcheck disable=SC2086 # words
	"$@" $BYPASS_GROUPS >"$name.said" 2>"$name.err" </dev/null || { cat "$name.said" "$name.err"; return 1; }
	# What the kernel sends a little later is waited for where it has to come.
	[[ $name != control ]] || wait_for 5 all_seen control || true
	kill -TERM "$sniffer"
	wait "$sniffer"
}

# Errors by which a kernel says that it has no such protocol.
BYPASS_LACKING='EPROTONOSUPPORT|ESOCKTNOSUPPORT|EAFNOSUPPORT|ENOPROTOOPT|EINVAL|EOPNOTSUPP|EPFNOSUPPORT'

bypass_judge() { # NAME EXPECTED...
	local name=$1
	shift
	awk -v lacking="^($BYPASS_LACKING)\$" -v expected=" $* " '
		FILENAME == ARGV[1] { seen_free[$1] = 1; next }
		FILENAME == ARGV[2] { seen[$1] = 1; next }
		FILENAME == ARGV[3] { free[$1] = $4; next }
		{
			wire = $3 ~ /^wire/
			got = wire ? ($1 in seen) : $4 == "ok"
			control = wire ? ($1 in seen_free) : free[$1] == "ok"
			known = index(expected, " " $2 " ")
			if (!control && $3 ~ /[?]$/ && free[$1] ~ lacking)
				verdict = "absent from this kernel"
			else if (!control)
				verdict = "INCONCLUSIVE: without the policy it says " free[$1]
			else if (got)
				verdict = known ? "known to get through" : "GOT THROUGH"
			else
				verdict = known ? "HELD, though it is said to get through" : "held"
			printf "%-34s %-10s %s\n", $2, $4, verdict
			n++
			if (verdict ~ /^[A-Z]/)
				bad = 1
			if (verdict == "held" || known)
				good++
		}
		END { exit bad || !n || !good }
	' control.seen "$name.seen" control.said "$name.said"
}
