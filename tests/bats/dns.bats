#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# purple-dns: the resolver of a container whose policy speaks of names. It runs as the runtime
# starts it (network_dns_start), with a real map; "the container" and "the host" are network
# namespaces of the test's own. Upstream servers are dnsmasq, and one that answers badly.

load helpers
load spec

setup() {
	requires root forwarder python3 jq ip dig dnsmasq
	purple_setup
	holder --net
	IN=$HOLDER
	holder --net
	OUT=$HOLDER
	in_container ip link set lo up
	on_host ip link set lo up
}

teardown() {
	[[ -z ${CTL:-} ]] || exec {CTL}>&-
	[[ -z ${FORWARDER:-} ]] || wait_for 5 ended "$FORWARDER"
	spec_teardown
}

in_container() {
	nsenter -t "$IN" -n "$@"
}

on_host() {
	nsenter -t "$OUT" -n "$@"
}

is_gone() {
	[[ ! -e /proc/$1 ]]
}

# start_process FILE COMMAND...: until the test ends; its output goes to FILE.
start_process() {
	local file=$1
	shift
	"$@" </dev/null >"$file" 2>&1 3>&- &
	_background="${_background:-} $!"
}

# bad_upstream [ADDRESS]: helpers/dns_upstream.py; what it is asked is in upstream.log.
bad_upstream() {
	: >>upstream.log
	start_process "upstream$1" nsenter -t "$OUT" -n \
		python3 "$PURPLE_SRCDIR/tests/bats/helpers/dns_upstream.py" "${1:-127.0.0.1}" upstream.log
	wait_for 10 grep -q ready "upstream$1"
}

# start_dnsmasq ADDRESS LINE...: with these lines of configuration.
start_dnsmasq() {
	printf '%s\n' no-resolv no-hosts bind-interfaces user=root log-queries log-facility=- \
		"listen-address=$1" "${@:2}" >dnsmasq.conf
	start_process dnsmasq.out nsenter -t "$OUT" -n dnsmasq --keep-in-foreground --pid-file= --conf-file=dnsmasq.conf
	wait_for 10 grep -q started dnsmasq.out
}

# start_forwarder ARGUMENT...: of tests/dns/dns_start. Sets FORWARDER, PORT, CTL and STARTER.
start_forwarder() {
	[[ " $*" == *" upstream="* ]] || set -- "$@" upstream=127.0.0.1
	mkfifo ctl
	nsenter -t "$OUT" -n "$PURPLE_DNS_START" "/proc/$IN/ns/net" events.json "$@" <ctl >forwarder.out 2>forwarder.err 3>&- &
	STARTER=$!
	_background="${_background:-} $STARTER"
	exec {CTL}>ctl
	wait_for 10 forwarder_spoke
	cat forwarder.err
	read -r FORWARDER PORT <forwarder.out
}

forwarder_spoke() {
	[[ -s forwarder.out || -s forwarder.err ]]
}

# ask NAME [DIG-ARGUMENT...]: sets CODE to what the forwarder says, and ANSWERS to the data of the
# records, sorted, in one line.
ask() {
	output=$(in_container dig @127.0.0.1 -p "$PORT" +tries=1 +time=30 +noall +comments +answer +authority "$@" {CTL}>&-)
	CODE=$(sed -n 's/.*status: \([A-Z]*\),.*/\1/p' <<<"$output")
	ANSWERS=$(awk '/^;; AUTHORITY/ { exit } /^[^;]/ && NF { print $NF }' <<<"$output" | sort | xargs)
}

# expect NAME CODE ANSWERS [DIG-ARGUMENT...]
expect() {
	ask "$1" "${@:4}"
	if [[ $CODE != "$2" || $ANSWERS != "$3" ]]; then
		echo "$1: $CODE '$ANSWERS', not $2 '$3'"
		echo "$output"
		return 1
	fi
}

# The map, a line for each address.
dump_map() {
	local seen
	seen=$(grep -c '^$' forwarder.out)
	echo dump >&"$CTL"
	wait_for 5 has_dumps $((seen + 1)) || return
	awk -v n=$((seen + 1)) 'NR > 1 && NF && blank == n - 1 { print } !NF { blank++ }' forwarder.out
}

has_dumps() {
	(($(grep -c '^$' forwarder.out) >= $1))
}

# learned ADDRESS...: these are all that the map has.
learned() {
	local got
	got=$(dump_map | awk '{ print $1 }' | sort | xargs)
	if [[ $got != "$(printf '%s\n' "$@" | sort | xargs)" ]]; then
		echo "learned: $got"
		return 1
	fi
}

# event NAME FILTER: the last event of the name, through jq.
event() {
	jq -rs --arg name "$1" "[.[] | select(.name == \$name)] | last | $2" events.json
}

# asked NAME...: the bad upstream was asked for these, once each.
asked() {
	assert_equal "$(awk '{ print $2 }' upstream.log | xargs)" "$*"
}

# --- names ----------------------------------------------------------------------------------------

@test "a name that is allowed is answered, and its addresses are known before that" {
	bad_upstream
	start_forwarder 'allow=api.example.org:443-443=7'
	expect api.example.org NOERROR 192.0.2.7
	run dump_map
	assert_contains "192.0.2.7 [443-443 rule=7 flags=0 life="
	expect api.example.org NOERROR 2001:db8::7 AAAA
	learned 192.0.2.7 2001:db8::7
	assert_equal "$(event api.example.org '[.verdict, .rule, .rcode, .query, .answers[]] | join(" ")')" \
		"allow 7 NOERROR AAAA 2001:db8::7"
	# Asked with a name in lower case, whoever asks; told as it was asked.
	ask API.Example.ORG +question
	assert_contains API.Example.ORG
	assert_equal "$ANSWERS" 192.0.2.7
	asked api.example.org api.example.org api.example.org
}

@test "names of the container's own lead to one address, whatever else is said of them" {
	bad_upstream
	start_forwarder allow=www.example.org block=openai.com own=api.openai.com own=www.example.org at=127.80.1.2
	expect api.openai.com NOERROR 127.80.1.2
	expect API.OpenAI.com NOERROR 127.80.1.2
	expect www.example.org NOERROR 127.80.1.2
	expect api.openai.com NOERROR 127.80.1.2 +tcp
	# No other kind of record: no IPv6, no hint that leads past the address.
	expect api.openai.com NOERROR "" AAAA
	expect api.openai.com NOERROR "" TYPE65
	expect api.openai.com NOERROR "" TYPE64
	expect api.openai.com NOERROR "" TXT
	expect www.example.org NOERROR "" AAAA
	assert_equal "$(event api.openai.com '[.verdict, .rcode, .reason] | join(" ")')" \
		"allow NOERROR a name of the container's own"
	assert_equal "$(grep -c -e api.openai.com -e www.example.org upstream.log)" 0
	# The names themselves, and none below or above them.
	expect x.api.openai.com NXDOMAIN ""
	expect openai.com NXDOMAIN ""
}

@test "for a name that is not allowed nobody is asked" {
	bad_upstream
	start_forwarder 'allow=api.example.org' 'allow=*.wild.example.org'
	local name
	for name in secret.evil.example example.org x.api.example.org apiexample.org wild.example.org org localhost .; do
		expect "$name" NXDOMAIN ""
	done
	# A dot inside a label is none between labels.
	expect 'a\.wild.example.org' NXDOMAIN ""
	expect 'x\.api.example.org' NXDOMAIN ""
	expect 'a\000.wild.example.org' NXDOMAIN ""
	learned
	assert_equal "$(cat upstream.log)" ""
	assert_equal "$(event secret.evil.example '[.verdict, .rcode, .reason] | join(" ")')" "deny NXDOMAIN not listed"
	expect a.wild.example.org NOERROR 192.0.2.7
	expect a.b.wild.example.org NOERROR 192.0.2.7
}

@test "only addresses are looked up" {
	bad_upstream
	start_forwarder 'allow=*.example.org'
	local kind
	for kind in TXT MX NS SRV HTTPS SVCB ANY CNAME NULL TYPE65280; do
		expect api.example.org NOERROR "" "$kind" +notcp
	done
	expect 1.2.0.192.in-addr.arpa NXDOMAIN "" PTR
	expect api.example.org REFUSED "" -c CH
	assert_equal "$(cat upstream.log)" ""
	learned
	expect v4only.example.org NOERROR "" AAAA
	expect v4only.example.org NOERROR 192.0.2.7
}

@test "a blocked name is refused, with what is below it, and its addresses are learned as denied" {
	bad_upstream
	start_forwarder fallback=allow 'block=blocked.example=3'
	expect blocked.example NXDOMAIN ""
	expect www.blocked.example NXDOMAIN ""
	assert_equal "$(event www.blocked.example '[.verdict, .rule, .reason] | join(" ")')" "deny 3 blocked"
	wait_for 10 map_has "192.0.2.7 \[0-131071 rule=3 flags=1"
	wait_for 10 map_has "2001:db8::7 \[0-131071 rule=3 flags=1"
	wait_for 10 grep -q "www.blocked.example" upstream.log
	# Others are answered, and nothing is learned of them.
	expect n1.other.example NOERROR 198.51.0.1
	learned 192.0.2.7 2001:db8::7
	# A chain through a blocked name is blocked.
	expect viablocked.other.example NXDOMAIN ""
	assert_equal "$(event viablocked.other.example .reason)" "an alias of a blocked name"
}

map_has() {
	dump_map | grep -q "$1"
}

@test "where addresses of blocked names are not denied, nobody asks for them" {
	bad_upstream
	start_forwarder 'allow=*.example.org' 'allow=*.blocked.example'
	expect viablocked.example.org NOERROR "192.0.2.66 cdn.blocked.example."
	learned 192.0.2.66
}

@test "a policy that only records: names that it does not list are resolved, and told" {
	bad_upstream
	start_forwarder fallback=audit 'allow=api.example.org=2' 'block=blocked.example=3'
	expect n1.other.example NOERROR 198.51.0.1
	assert_equal "$(event n1.other.example '[.verdict, .rcode] | join(" ")')" "audit NOERROR"
	expect api.example.org NOERROR 192.0.2.7
	assert_equal "$(event api.example.org '[.verdict, .rule] | join(" ")')" "allow 2"
	expect www.blocked.example NXDOMAIN ""
}

@test "dnsmasq as the upstream server: addresses, aliases, names that there are not" {
	start_dnsmasq 127.0.0.1 local=/example.org/ host-record=api.example.org,192.0.2.10,2001:db8::10 \
		cname=alias.example.org,api.example.org local-ttl=600
	start_forwarder 'allow=*.example.org'
	expect api.example.org NOERROR 192.0.2.10
	expect api.example.org NOERROR 2001:db8::10 AAAA
	expect alias.example.org NOERROR "192.0.2.10 api.example.org."
	expect nothing.example.org NXDOMAIN ""
	expect api.example.org NOERROR 192.0.2.10 +tcp
	expect evil.example.com NXDOMAIN ""
	learned 192.0.2.10 2001:db8::10
	assert_equal "$(grep -c evil dnsmasq.out)" 0
}

@test "IPv6: a program asks over it, and so does the forwarder" {
	bad_upstream ::1
	start_forwarder upstream=::1 'allow=*.example.org'
	output=$(in_container dig @::1 -p "$PORT" +tries=1 +time=30 +short api.example.org)
	assert_equal "$output" 192.0.2.7
	output=$(in_container dig @::1 -p "$PORT" +tcp +tries=1 +time=30 +short api.example.org)
	assert_equal "$output" 192.0.2.7
}

# --- what upstream servers say --------------------------------------------------------------------

@test "answers to other questions are not taken, and the wait goes on" {
	bad_upstream
	start_forwarder 'allow=*.example.org'
	local how
	for how in wrongid wrongname noquestion garbage; do
		expect "$how.example.org" NOERROR 192.0.2.7
	done
	learned 192.0.2.7
}

@test "records that do not belong to the question are not learned" {
	bad_upstream
	start_forwarder 'allow=*.example.org'
	expect extra.example.org NOERROR 192.0.2.7
	learned 192.0.2.7
}

@test "chains that do not end are an error" {
	bad_upstream
	start_forwarder 'allow=*.example.org'
	expect loop.example.org SERVFAIL ""
	expect long.example.org SERVFAIL ""
	assert_equal "$(event long.example.org .reason)" "the answer is broken"
	learned
}

@test "sixteen addresses are taken" {
	bad_upstream
	start_forwarder 'allow=*.example.org'
	ask many.example.org
	assert_equal "$(wc -w <<<"$ANSWERS")" 16
	assert_equal "$(dump_map | wc -l)" 16
}

@test "answers that point inside lose these addresses" {
	bad_upstream
	start_forwarder 'allow=*.example.org' deny=10.0.0.0/8 deny=fc00::/7
	expect rebind.example.org NOERROR ""
	expect rebind6.example.org NOERROR "" AAAA
	expect mapped.example.org SERVFAIL "" AAAA
	learned
	assert_equal "$(event rebind.example.org '[.verdict, .rule, (.removed | length)] | join(" ")')" "deny reserved 5"
	expect mixed.example.org NOERROR 192.0.2.7
	assert_equal "$(event mixed.example.org '[.verdict, .answers[], .removed[]] | join(" ")')" "allow 192.0.2.7 10.1.2.3"
	learned 192.0.2.7
}

@test "a rule for such addresses lifts that" {
	bad_upstream
	start_forwarder 'allow=*.example.org' deny=10.0.0.0/8 open=10.1.0.0/16 open=169.254.169.254/32
	expect rebind.example.org NOERROR "10.1.2.3 169.254.169.254"
	learned 10.1.2.3 169.254.169.254
}

@test "an answer that is cut short is asked for again over TCP" {
	bad_upstream
	start_forwarder 'allow=*.example.org'
	expect big.example.org NOERROR 192.0.2.7
	assert_equal "$(cut -d' ' -f1-2 upstream.log | xargs)" "udp big.example.org tcp big.example.org"
	expect truncated.example.org SERVFAIL ""
	learned 192.0.2.7
}

@test "another server is asked where one fails, refuses, or does not answer" {
	bad_upstream
	start_dnsmasq 127.0.0.2 address=/example.org/192.0.2.99
	start_forwarder upstream=127.0.0.1 upstream=127.0.0.2 'allow=*.example.org'
	local how
	for how in servfail refused truncated silent; do
		expect "$how.example.org" NOERROR 192.0.2.99
	done
	# Known to the first one.
	expect api.example.org NOERROR 192.0.2.7
}

@test "a server that is not there, or that never answers, ends in an error" {
	bad_upstream
	start_forwarder 'allow=*.example.org'
	expect silent.example.org SERVFAIL ""
	assert_equal "$(event silent.example.org '[.verdict, .reason] | join(" ")')" "error no name server answers"
	asked silent.example.org silent.example.org silent.example.org
	# EDNS may be what it does not know.
	expect formerr.example.org SERVFAIL ""
	assert_equal "$(grep formerr upstream.log | cut -d' ' -f 6 | xargs)" "1232 0"
}

@test "each try has an id and a source port of its own" {
	bad_upstream
	start_forwarder 'allow=*.example.org'
	local i
	for i in {1..24}; do
		expect "n$i.example.org" NOERROR "198.51.0.$i"
	done
	# Of 24 random ones nearly all differ.
	(($(cut -d' ' -f4 upstream.log | sort -u | wc -l) > 20))
	(($(cut -d' ' -f5 upstream.log | sort -u | wc -l) > 20))
}

@test "how long an entry lives: as its record says, within bounds" {
	bad_upstream
	start_forwarder 'allow=*.example.org'
	ask ttl5.example.org
	[[ $output == *"ttl5.example.org.	5	IN"* ]]
	local life
	life=$(dump_map | sed -n 's/.*life=\([0-9]*\).*/\1/p')
	((life > 30 && life <= 65))
	ask ttl99999.example.org
	[[ $output == *"ttl99999.example.org.	3600	IN"* ]]
	life=$(dump_map | sed -n 's/.*life=\([0-9]*\).*/\1/p')
	((life > 3000 && life <= 3605))
	# A shorter one does not take life away.
	ask ttl5.example.org
	life=$(dump_map | sed -n 's/.*life=\([0-9]*\).*/\1/p')
	((life > 3000))
	# A name that there is not: for how long, the zone says.
	expect missing.example.org NXDOMAIN ""
	[[ $output == *"example.org.		77	IN	SOA	ns.example.org. host.example.org. 1 2 3 4 77"* ]]
}

@test "addresses that several names have: each rule holds" {
	bad_upstream
	start_forwarder 'allow=a.example.org:443-443=1' 'allow=b.example.org:80-80=2'
	expect a.example.org NOERROR 192.0.2.7
	expect b.example.org NOERROR 192.0.2.7
	expect a.example.org NOERROR 192.0.2.7
	run dump_map
	assert_contains "[443-443 rule=1"
	assert_contains "[80-80 rule=2"
	assert_equal "$(grep -o rule= <<<"$output" | wc -l)" 2
}

@test "a full map: what would expire first makes room, and the event says so" {
	bad_upstream
	start_forwarder entries=8 'allow=*.example.org'
	local i
	for i in {1..12}; do
		expect "n$i.example.org" NOERROR "198.51.0.$i"
	done
	assert_equal "$(dump_map | wc -l)" 8
	map_has "198.51.0.12 "
	assert_equal "$(event n12.example.org .displaced)" 1
	assert_equal "$(event n2.example.org .displaced)" null
}

# --- programs that ask ----------------------------------------------------------------------------

@test "an answer that is too long for a datagram is marked, and comes over TCP" {
	bad_upstream
	start_forwarder 'allow=*.example.org'
	ask wide.example.org AAAA +noedns +ignore
	assert_contains " tc "
	assert_equal "$ANSWERS" ""
	ask wide.example.org AAAA +noedns
	assert_equal "$(wc -w <<<"$ANSWERS")" 17
	ask wide.example.org AAAA +bufsize=1232 +ignore
	assert_equal "$(wc -w <<<"$ANSWERS")" 17
}

# ask_raw SCRIPT: Python with q(id, name) and the port; in the container.
ask_raw() {
	in_container python3 - "$PORT" <<-END {CTL}>&-
		import socket, struct, sys, time
		port = int(sys.argv[1])
		def q(number, name, kind=1):
		    return (struct.pack(">6H", number, 0x100, 1, 0, 0, 0)
		            + b"".join(bytes([len(x)]) + x.encode() for x in name.split(".")) + b"\0"
		            + struct.pack(">HH", kind, 1))
		def framed(data):
		    return struct.pack(">H", len(data)) + data
		def tcp():
		    s = socket.create_connection(("127.0.0.1", port), 30)
		    s.settimeout(30)
		    return s
		def answer(s):
		    n = s.recv(2, socket.MSG_WAITALL)
		    return s.recv(struct.unpack(">H", n)[0], socket.MSG_WAITALL) if len(n) == 2 else None
		def udp():
		    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		    s.settimeout(30)
		    s.connect(("127.0.0.1", port))
		    return s
		$1
	END
}

@test "several questions on one connection, in pieces, and from one who has ended its half" {
	bad_upstream
	start_forwarder 'allow=*.example.org'
	run ask_raw '
s = tcp()
data = b"".join(framed(q(i, "n%d.example.org" % i)) for i in range(1, 31))
for i in range(0, len(data), 7):
    s.sendall(data[i:i + 7])
s.shutdown(socket.SHUT_WR)
got = sorted(struct.unpack(">H", answer(s)[:2])[0] for _ in range(30))
print(got == list(range(1, 31)), s.recv(1))'
	assert_output "True b''"
}

@test "connections that stay idle make room for others" {
	bad_upstream
	start_forwarder 'allow=*.example.org'
	run ask_raw '
idle = [tcp() for _ in range(40)]
for s in idle[:5]:
    s.sendall(b"\0")
s = tcp()
s.sendall(framed(q(1, "api.example.org")))
print(len(answer(s)) > 12)
print(idle[0].recv(1))'
	assert_output "True
b''"
}

@test "odd messages: an error or no answer, and others are served" {
	bad_upstream
	start_forwarder 'allow=*.example.org'
	run ask_raw '
s = udp()
header = lambda flags, *counts: struct.pack(">6H", 7, flags, *counts)
def code(data):
    s.send(data)
    return s.recv(2000)[3] & 15
good = q(7, "api.example.org")
print(code(header(0x100, 2, 0, 0, 0) + good[12:] * 2), code(header(0x100, 0, 0, 0, 0)),
      code(header(0x100, 1, 0, 0, 0)), code(good[:-3]), code(header(0x2900, 1, 0, 0, 0) + good[12:]),
      code(header(0x100, 1, 0, 0, 0) + b"\xc0\x0c\0\1\0\1"), code(good + b"x" * 3000))
for silent in b"", b"x", header(0x8100, 1, 0, 0, 0) + good[12:]:
    s.send(silent)
t = tcp()
t.sendall(b"\0\0")
print(t.recv(1))
t = tcp()
t.sendall(b"\xff\xff" + b"x" * 3000)
try:
    print(t.recv(1))
except ConnectionResetError:
    print(b"")
s.send(good)
print(s.recv(2000)[3] & 15)'
	assert_output "1 1 1 1 4 1 1
b''
b''
0"
}

@test "who asks too much is told to wait" {
	bad_upstream
	start_forwarder 'allow=*.example.org'
	run ask_raw '
s = udp()
for i in range(5000):
    s.send(q(i, "not.listed.example"))
    if s.recv(512)[3] & 15 == 5:
        print("refused", i >= 100)
        break
t = time.monotonic()
while True:
    s.send(q(1, "api.example.org"))
    if s.recv(512)[3] & 15 == 0:
        print("served again")
        break
    if time.monotonic() - t > 60:
        break
    time.sleep(0.02)'
	assert_output "refused True
served again"
	assert_equal "$(event api.example.org '.limited > 0')" true
}

# relay: port 53 of the container's loopback, as the filter of the kernel does it.
relay() {
	cat >relay.py <<-'END'
		import socket, sys
		inside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		inside.bind(("127.0.0.1", 53))
		print("ready", flush=True)
		while True:
		    data, peer = inside.recvfrom(4096)
		    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		    s.connect(("127.0.0.1", int(sys.argv[1])))
		    s.send(data)
		    inside.sendto(s.recv(4096), peer)
	END
	start_process relay.out nsenter -t "$IN" -n python3 relay.py "$PORT"
	wait_for 10 grep -q ready relay.out
	echo nameserver 127.0.0.1 >resolv.conf
}

# resolve PROGRAM NAME: getaddrinfo() by a program of this libc; prints what it says and for how
# many seconds it thought.
resolve() {
	# shellcheck disable=SC2016 # the inner shell expands
	in_container unshare --mount sh -c 'mount --bind resolv.conf /etc/resolv.conf && exec "$@"' - "$@"
}

@test "programs of glibc and of musl are told at once that a name is not allowed" {
	requires musl-gcc
	cat >resolve.c <<-'END'
		#include <arpa/inet.h>
		#include <netdb.h>
		#include <stdio.h>
		#include <time.h>
		int main(int argc, char **argv)
		{
			struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *l;
			struct timespec a, b;
			char text[64] = "";
			clock_gettime(CLOCK_MONOTONIC, &a);
			int r = getaddrinfo(argv[1], "443", &hints, &l);
			clock_gettime(CLOCK_MONOTONIC, &b);
			if (r == 0)
				for (; l; l = l->ai_next)
					if (l->ai_family == AF_INET)
						inet_ntop(AF_INET, &((struct sockaddr_in *)l->ai_addr)->sin_addr, text, 64);
			puts(r == EAI_NONAME ? "no name" : r ? gai_strerror(r) : text);
			return (b.tv_sec - a.tv_sec) >= 2;
		}
	END
	gcc -o resolve-glibc resolve.c
	musl-gcc -static -o resolve-musl resolve.c
	bad_upstream
	start_forwarder 'allow=*.example.org' deny=10.0.0.0/8
	relay
	local libc
	for libc in glibc musl; do
		run resolve "./resolve-$libc" api.example.org
		assert_output 192.0.2.7
		assert_status 0
		# Both libraries try again after seconds where they are told REFUSED: a try is enough.
		run resolve "./resolve-$libc" secret.evil.example
		assert_output "no name"
		assert_equal "$(grep -c secret.evil.example events.json)" "$([[ $libc == glibc ]] && echo 2 || echo 4)"
		run resolve "./resolve-$libc" mixed.example.org
		assert_output 192.0.2.7
	done
}

# --- the process ----------------------------------------------------------------------------------

@test "it is nobody's, without capabilities, in an empty root, with a filter" {
	bad_upstream
	start_forwarder 'allow=*.example.org'
	run cat "/proc/$FORWARDER/status"
	assert_contains "Uid:	65534	65534	65534	65534"
	assert_contains "Gid:	65534	65534	65534	65534"
	assert_contains "Groups:	 "
	local set
	for set in Inh Prm Eff Bnd Amb; do
		assert_contains "Cap$set:	0000000000000000"
	done
	assert_contains "NoNewPrivs:	1"
	assert_contains "Seccomp:	2"
	assert_contains "Threads:	1"
	assert_equal "$(grep -E '^Groups' "/proc/$FORWARDER/status" | awk '{ print NF }')" 1
	assert_equal "$(ls -A "/proc/$FORWARDER/root/")" ""
	assert_equal "$(wc -l <"/proc/$FORWARDER/mountinfo")" 1
	assert_contains_mount ro
	run cat "/proc/$FORWARDER/limits"
	[[ $output =~ "Max processes"\ +0\ +0 ]]
	[[ $output =~ "Max core file size"\ +0\ +0 ]]
	assert_equal "$(wc -c <"/proc/$FORWARDER/environ")" 0
	# Its sockets are in the container's namespace, itself it is not.
	assert_equal "$(readlink "/proc/$FORWARDER/ns/net")" "$(readlink "/proc/$OUT/ns/net")"
	assert_equal "$(stat -c %U "/proc/$FORWARDER/mem")" root # not dumpable
	# Nothing but what it was started with.
	run ls -l "/proc/$FORWARDER/fd"
	assert_equal "$(grep -c socket: <<<"$output")" 5
	assert_equal "$(grep -c bpf-map <<<"$output")" 1
	assert_equal "$(grep -c pidfd <<<"$output")" 1
	assert_equal "$(grep -c eventpoll <<<"$output")" 1
	assert_equal "$(grep -c events.json <<<"$output")" 1
	assert_equal "$(grep -c /dev/null <<<"$output")" 4
	assert_equal "$(grep -c -- '->' <<<"$output")" 13
}

assert_contains_mount() {
	grep -q " / / $1," "/proc/$FORWARDER/mountinfo"
}

@test "it ends with the connection to who started it" {
	bad_upstream
	start_forwarder 'allow=*.example.org'
	kill -0 "$FORWARDER"
	kill -9 "$STARTER"
	wait_for 5 is_gone "$FORWARDER"
}

@test "it ends with the container" {
	bad_upstream
	background sleep 1000
	local init=$BACKGROUND
	start_forwarder "init=$init" 'allow=*.example.org'
	expect api.example.org NOERROR 192.0.2.7
	kill -9 "$init"
	wait_for 5 ended "$FORWARDER"
}

@test "started to stay, it ends with the container alone" {
	bad_upstream
	background sleep 1000
	local init=$BACKGROUND i
	start_forwarder stays=yes "init=$init" 'allow=*.example.org'
	kill -9 "$STARTER"
	wait_for 5 is_gone "$STARTER"
	for i in 1 2 3; do
		expect "n$i.example.org" NOERROR "198.51.0.$i"
		expect "n$i.example.org" NOERROR "198.51.0.$i" +tcp
	done
	kill -9 "$init"
	wait_for 5 ended "$FORWARDER"
}

# Gone, but for who waits for it.
ended() {
	[[ ! -e /proc/$1 ]] || grep -q '^State:	Z' "/proc/$1/status"
}

@test "where it cannot start, the reason is told" {
	run on_host "$PURPLE_DNS_START" "/proc/$IN/ns/uts" events.json upstream=127.0.0.1 </dev/null
	assert_status 2
	assert_contains "cannot start the forwarder of names: cannot enter the container's network namespace: Invalid argument"
	run on_host "$PURPLE_DNS_START" "/proc/$IN/ns/net" events.json upstream=ns.example.org </dev/null
	assert_status 2
	assert_contains "'ns.example.org' is no address"
}

@test "a container without IPv6 has the sockets of IPv4" {
	bad_upstream
	in_container sh -c 'echo 1 >/proc/sys/net/ipv6/conf/lo/disable_ipv6'
	start_forwarder 'allow=*.example.org'
	expect api.example.org NOERROR 192.0.2.7
	assert_equal "$(find "/proc/$FORWARDER/fd" -lname 'socket:*' | wc -l)" 3
}

@test "a container that has taken all free ports does not keep it from starting" {
	bad_upstream
	in_container sh -c 'echo "40000 40003" >/proc/sys/net/ipv4/ip_local_port_range'
	in_container python3 -c 'import socket, time
taken = [socket.socket(type=socket.SOCK_DGRAM) for _ in range(4)]
for number, s in enumerate(taken):
    s.bind(("127.0.0.1", 40000 + number))
print("taken", flush=True)
time.sleep(1000)' >taken 2>&1 3>&- &
	_background="${_background:-} $!"
	wait_for 10 grep -q taken taken
	start_forwarder 'allow=*.example.org'
	((PORT >= 854 && PORT < 1024))
	expect api.example.org NOERROR 192.0.2.7 +tcp
}
