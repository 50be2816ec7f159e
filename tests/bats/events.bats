#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What the network filter denies and the forwarder is asked stands in events.jsonl, told by
# `purple events`, with who, where, which rule and how often; and a connection that is denied ends.

load policy
load world

setup_file() {
	agent_build
}

setup() {
	purple_setup
	world_setup
	mountpoint -q /sys/fs/bpf || mount -t bpf -o mode=0700 purple-test /sys/fs/bpf
	make_generous_bundle
	edit_config '.linux.namespaces |= map(select(.type != "network"))
		| .linux.namespaces += [{ type: "network", path: $p }]' --arg p "$PWD/cont.net"
}

teardown() {
	world_teardown
	purple_teardown
}

purple_rt() {
	in_net host "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" "$@"
}

purple_() {
	in_net host "$PURPLE" --root "$PURPLE_ROOT" "$@"
}

# rules TEXT: the policy t with this in its network section.
rules() {
	policy t <<<"network: { $1 }"
}

# events JQ-FILTER: what it makes of the container's lines, one a line.
events() {
	jq -c "$1" "$PURPLE_ROOT/$ID/events.jsonl"
}

# await JQ-CONDITION: until a line is like that; sets LINE to the first one.
await() {
	wait_for 10 is_told "$1" || {
		cat "$PURPLE_ROOT/$ID/events.jsonl"
		return 1
	}
	LINE=$(events "select($1)" | head -n 1)
}
# How many denials the lines stand for: of the container's own, and not of what the kernel itself
# sends on its device.
told() {
	jq -s '[.[] | select(.type == "network" and .event.action != "wire") | .count] | add // 0' \
		"$PURPLE_ROOT/$ID/events.jsonl"
}
# all_told N: so many are told or, as LINE has it, lost: with them may be some that the kernel sends.
all_told() {
	local all=$(($(told) + $(jq '.lost.full + .lost.limited' <<<"$LINE")))
	((all >= $1 && all < $1 + 100)) || {
		echo "$all instead of $1: $LINE"
		return 1
	}
}
is_told() {
	[[ -n $(events "select($1)") ]]
}

# line_has JQ-EXPRESSION VALUE: of LINE.
line_has() {
	local got
	got=$(jq -r "$1" <<<"$LINE")
	[[ $got == "$2" ]] || {
		echo "$1 is '$got', not '$2', in $LINE"
		return 1
	}
}

# All lines are as docs/events.schema.json says.
check_schema() {
	events . >lines.jsonl
	python3 - "$PURPLE_SRCDIR/docs/events.schema.json" lines.jsonl <<-'END'
		import json, jsonschema, sys
		validator = jsonschema.Draft202012Validator(json.load(open(sys.argv[1])))
		for line in open(sys.argv[2]):
		    for error in validator.iter_errors(json.loads(line)):
		        sys.exit(line + error.message)
	END
}

@test "a denied connect() is an event with who, where, and the rule's line" {
	rules 'allow_outgoing: ["192.0.2.10:80"], blocked_ips: [192.0.2.12]'
	start_under t 'agent connect 192.0.2.12 8080; agent connect 192.0.2.11 25; agent connect 2001:db8:9::10 80
		exec agent connect 192.0.2.10 25'
	await '.destination.ip == "192.0.2.12"'
	line_has .type network
	line_has .verdict deny
	line_has .event.action connect
	line_has .container.id "$ID"
	line_has .destination.port 8080
	line_has .network.transport tcp
	line_has .network.type ipv4
	line_has .process.name agent
	line_has .user.id 0
	line_has .rule.name 192.0.2.12
	line_has .rule.reference "/etc/purple/policies/t.yaml:2:61"
	line_has .rule.ruleset t
	line_has .count 1
	await '.destination.ip == "192.0.2.11"'
	line_has .rule.name "no rule"
	line_has .rule.ruleset t
	await '.destination.ip == "2001:db8:9::10"'
	line_has .network.type ipv6
	# Whose pid is known: init's own.
	await '.destination.port == 25 and .destination.ip == "192.0.2.10"'
	line_has .process.pid "$PID"
	await '.type == "end"'
	check_schema
	(($(jq .denied <<<"$LINE") >= 4))
	assert_equal "$(events '.event.sequence')" "$(seq "$(events . | wc -l)")"
	# When it was: not in the boot's time.
	(($(date +%s) - $(date +%s -d "$(jq -r '.["@timestamp"]' <<<"$LINE")") < 3600))
}

@test "each place where the filter denies has its events: datagrams, ports, sockets, options, packets" {
	rules 'allow_outgoing: ["192.0.2.10:80", "192.0.2.10:8080/udp"]'
	start_under t 'agent scan 192.0.2.11 9999 9999; agent call socket 2 2 136; agent ip-option; exec nc -ll -p 9002 -e echo open'
	await '.event.action == "send"'
	line_has .network.transport udp
	line_has .destination.ip 192.0.2.11
	line_has .destination.port 9999
	line_has .process.name agent
	await '.event.action == "socket"'
	line_has .network.iana_number 136
	line_has .rule.name "other protocols, raw sockets, DNS elsewhere"
	await '.event.action == "option"'
	line_has .process.name agent
	# From outside, to a port that is not open.
	wait_for 10 purple_rt exec "$ID" nc -w 2 127.0.0.1 9002
	run in_net world "$ROOTFS/bin/busybox" nc -w 1 203.0.113.2 9002
	await '.event.action == "packet-in"'
	line_has .source.ip 203.0.113.1
	line_has .destination.port 9002
	line_has .rule.name "ports that are not open"
	# By a socket that is not the container's: the device does not know whose it is.
	in_net cont "$PURPLE_TEST_DIR/agent" udp 192.0.2.12 9999
	await '.event.action == "wire" and .destination.ip == "192.0.2.12"'
	line_has .destination.port 9999
	line_has '.process // "nobody"' nobody
	check_schema
	# In the host's network a port is refused when it is bound.
	edit_config '.linux.namespaces |= map(select(.type != "network"))'
	start_under t 'exec nc -ll -p 7002 -e echo open'
	await '.event.action == "bind"'
	line_has .server.port 7002
	line_has .process.name nc
	line_has .rule.name "ports that are not open"
	check_schema
}

@test "names: what was asked for, what it led to, and the name with the address that is denied" {
	rules 'allow_outgoing: ["api.test:8080", "meta.test:80"], dns_servers: [198.51.100.1]'
	start_under t 'nslookup api.test; nslookup other.test; nslookup meta.test
		agent connect 192.0.2.10 80; agent connect 2001:db8:9::10 80; exec sleep 1000'
	await '.type == "dns" and .dns.question == { "name": "api.test", "type": "A" }'
	line_has .verdict allow
	line_has .dns.response_code NOERROR
	line_has '.dns.resolved_ip | join(" ")' 192.0.2.10
	line_has .rule.name api.test:8080
	line_has .rule.reference "/etc/purple/policies/t.yaml:2:29"
	await '.type == "dns" and .dns.question.name == "other.test"'
	line_has .verdict deny
	line_has .dns.response_code NXDOMAIN
	await '.type == "dns" and .dns.removed_ip'
	line_has '.dns.removed_ip | join(" ")' 169.254.169.254
	await '.destination.domain == "api.test" and .destination.ip == "192.0.2.10"'
	line_has .verdict deny
	line_has .destination.port 80
	await '.destination.domain == "api.test" and .destination.ip == "2001:db8:9::10"'
	check_schema
}

@test "alike denials are counted, and not told one by one" {
	rules 'allow_outgoing: ["192.0.2.10:80"]'
	start_under t 'exec sleep 1000'
	local sent=0
	once_more() {
		purple_rt exec "$ID" agent scan 192.0.2.11 9999 9999 >/dev/null && sent=$((sent + 1))
		(($(told) >= 10))
	}
	wait_for 30 once_more
	# The first at once, and then one a second with those that came between.
	assert_equal "$(events 'select(.destination.port == 9999) | .count' | head -n 1)" 1
	(($(told) <= sent))
	(($(events 'select(.destination.port == 9999)' | wc -l) < sent))
	check_schema
}

@test "who tries many addresses has some events, the rest is counted, and other rules have theirs" {
	rules 'allow_outgoing: ["192.0.2.10:80"], blocked_ips: [192.0.2.12]'
	start_under t 'agent scan 192.0.2.11 1 3000; agent scan 192.0.2.12 7 7; exec sleep 1000'
	await '.destination.ip == "192.0.2.12"'
	await '.type == "lost" and .lost.limited > 0'
	kill -KILL "$PID"
	await '.type == "end"'
	(($(jq .denied <<<"$LINE") >= 3001))
	local limited
	limited=$(jq .lost.limited <<<"$LINE")
	assert_equal "$(($(told) + limited))" 3001
	(($(told) >= 200 && $(told) < 3000))
	assert_equal "$(jq -s 'map(select(.type == "lost") | .lost.limited) | add' "$PURPLE_ROOT/$ID/events.jsonl")" "$limited"
	check_schema
}

@test "what the monitor is too slow for is counted and said" {
	local i list=
	for i in {1..20}; do
		list+="192.0.2.$((100 + i)), "
	done
	rules "isolated: false, blocked_ips: [$list]"
	start_under t 'exec sleep 1000'
	local monitor
	monitor=$(jq -r .monitorPid "$PURPLE_ROOT/$ID/state.json")
	kill -STOP "$monitor"
	purple_rt exec "$ID" sh -c 'for i in $(seq 101 120); do agent scan 192.0.2.$i 1 150; done' >out
	assert_equal "$(jq -s add out)" 3000
	kill -CONT "$monitor"
	await '.type == "lost" and .lost.full > 0'
	purple_rt kill "$ID" KILL
	await '.type == "end"'
	(($(jq .denied <<<"$LINE") >= 3000))
	all_told 3000
	check_schema
}

@test "enforcement: audit lets pass what rules deny and records it; metadata and all else stay denied" {
	policy t <<-'YAML'
		enforcement: audit
		syscalls: { default_deny: false, deny: [mkdirat, mkdir] }
		network: { allow_outgoing: ["192.0.2.10:80", "api.test:80"], blocked_ips: [192.0.2.12], dns_servers: [198.51.100.1] }
	YAML
	start_under t 'exec sleep 1000'
	run purple_rt exec "$ID" sh -c 'agent connect 192.0.2.10 80; agent connect 192.0.2.11 25; agent connect 192.0.2.12 25
		agent connect 169.254.169.254 80; mkdir /tmp/x || echo refused'
	assert_equal "${lines[*]:0:4}" "ok ok ok EPERM"
	assert_equal "${lines[-1]}" refused
	await '.verdict == "audit" and .destination.ip == "192.0.2.11"'
	line_has .rule.name "no rule"
	await '.verdict == "audit" and .destination.ip == "192.0.2.12"'
	line_has .rule.name 192.0.2.12
	await '.verdict == "deny" and .destination.ip == "169.254.169.254"'
	line_has .rule.name "reserved addresses"
	assert_equal "$(events 'select(.destination.ip == "192.0.2.10")')" ""
	run purple_rt exec "$ID" nslookup other.test
	assert_contains 192.0.2.11
	await '.type == "dns" and .dns.question.name == "other.test" and .verdict == "audit"'
	check_schema
	run purple_ policy check /etc/purple/policies/t.yaml
	assert_contains "enforcement: audit"
	assert_contains "all else of the policy is enforced"
	policy t <<<$'enforcement: audit\nnetwork: { isolated: true }'
	assert_refused t 2:1 "would record nothing"
}

@test "a TLS connection for a name that is not allowed ends at once, and does not hang" {
	nsenter --net="$PWD/world.net" "$ROOTFS/bin/busybox" nc -ll -p 443 -e cat >/dev/null 2>&1 3>&- &
	WORLD+=($!)
	rules 'allow_outgoing: ["api.test:443"], dns_servers: [198.51.100.1]'
	start_under t 'exec sleep 1000'
	wait_for 10 in_net world "$ROOTFS/bin/busybox" nc -w 1 192.0.2.10 443 </dev/null
	purple_rt exec "$ID" nslookup api.test
	# Were it not ended, it would wait for a quarter of an hour: its input has no end.
	mkfifo hello
	exec 4<>hello
	echo hello >&4
	run timeout 300 "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" exec "$ID" nc 192.0.2.10 443 <hello
	exec 4>&-
	((status != 124 && status != 137))
	await '.event.action == "packet-out"'
	line_has .rule.name "TLS without an allowed name"
	line_has .destination.domain api.test
	line_has .process.name nc
	((${#LINE} > 0 && $(jq .source.port <<<"$LINE") > 0))
	check_schema
}

@test "the monitor is nobody's process with next to nothing, and its child has one capability" {
	rules 'allow_outgoing: ["192.0.2.10:80"]'
	start_under t 'exec sleep 1000'
	local monitor cutter
	monitor=$(jq -r .monitorPid "$PURPLE_ROOT/$ID/state.json")
	cutter=$(pgrep -P "$monitor")
	of() { awk -v key="$2:" '$1 == key { print $2 }' "/proc/$1/status"; }
	local p
	for p in "$monitor" "$cutter"; do
		assert_equal "$(of "$p" Uid) $(of "$p" Gid) $(of "$p" Groups)" "65534 65534 "
		assert_equal "$(of "$p" NoNewPrivs) $(of "$p" Seccomp)" "1 2"
		assert_equal "$(of "$p" CapBnd) $(of "$p" CapInh) $(of "$p" CapAmb)" \
			"0000000000000000 0000000000000000 0000000000000000"
		assert_equal "$(ls -A "/proc/$p/root/")" ""
	done
	# Before Linux 5.19 it keeps CAP_BPF.
	[[ $(of "$monitor" CapPrm) == 0000000000000000 || $(of "$monitor" CapPrm) == 0000008000000000 ]]
	assert_equal "$(of "$cutter" CapPrm)" 0000000000001000
	assert_equal "$(stat -c '%a %u' "$PURPLE_ROOT/$ID/events.jsonl")" "600 0"
}

@test "nothing is left of a monitor when its container is deleted, and none has events of another's" {
	rules 'allow_outgoing: ["192.0.2.10:80"]'
	start_under t 'agent connect 192.0.2.11 81; exec sleep 1000'
	local first=$ID monitors=() p
	await '.destination.port == 81'
	make_generous_bundle "$BATS_TEST_TMPDIR/second"
	start_under t 'agent connect 192.0.2.11 82; exec sleep 1000'
	await '.destination.port == 82'
	assert_equal "$(events '.destination.port // empty')" 82
	assert_equal "$(events .container.id | sort -u)" "\"$ID\""
	for p in "$first" "$ID"; do
		monitors+=("$(jq -r .monitorPid "$PURPLE_ROOT/$p/state.json")")
	done
	monitors+=("$(pgrep -P "${monitors[0]}")" "$(pgrep -P "${monitors[1]}")")
	assert_equal "${#monitors[@]}" 4
	purple_rt delete --force "$ID"
	ID=$first
	assert_equal "$(events '.destination.port // empty')" 81
	purple_rt delete --force "$ID"
	for p in "${monitors[@]}"; do
		wait_for 10 is_gone "$p"
	done
	[[ ! -e $PURPLE_ROOT/$ID ]]
}
is_gone() {
	[[ ! -d /proc/$1 ]] || grep -q zombie "/proc/$1/status"
}

@test "with the monitor dead the rules hold, and network show, doctor and events say so" {
	rules 'allow_outgoing: ["192.0.2.10:80", "api.test:80"], dns_servers: [198.51.100.1]'
	start_under t 'exec sleep 1000'
	local monitor
	monitor=$(jq -r .monitorPid "$PURPLE_ROOT/$ID/state.json")
	run purple_ network show "$ID"
	assert_contains "monitor: process $monitor"
	assert_lacks "not running"
	kill -KILL "$monitor"
	wait_for 10 is_gone "$monitor"
	run purple_rt exec "$ID" sh -c 'agent connect 192.0.2.10 80; agent connect 192.0.2.11 80; nslookup api.test; agent connect 192.0.2.10 80'
	assert_equal "${lines[0]} ${lines[1]} ${lines[-1]}" "ok EPERM ok"
	run purple_ network show "$ID"
	assert_contains "monitor: process $monitor, which is not running: nothing is recorded"
	run --separate-stderr purple_ doctor --format json
	assert_equal "$(jq -r '.[] | select(.check == "network monitors") | .status' <<<"$output")" broken
	run purple_ events --follow "$ID"
	assert_status 1
	assert_contains "its monitor is not running"
	# One that listens no more is refused at once.
	run purple_rt exec "$ID" agent connect 192.0.2.11 81
	assert_output EPERM
}

@test "where the monitor cannot be had, the container does not start" {
	rules 'allow_outgoing: ["192.0.2.10:80"]'
	mount -t tmpfs purple-test /usr/libexec/purple
	cp "$PURPLE_LIBEXEC"/purple-{network-load,dns} /usr/libexec/purple/
	new_id
	run timeout 300 nsenter --net="$PWD/host.net" "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" --policy t create --bundle "$BUNDLE" "$ID"
	umount -l /usr/libexec/purple
	((status != 0))
	assert_contains "purple-monitor"
	run purple_rt state "$ID"
	((status != 0))
}

@test "who asks the monitor odd things gets an error, and it goes on" {
	rules 'allow_outgoing: ["192.0.2.10:80"]'
	start_under t 'exec sleep 1000'
	python3 - "$PURPLE_ROOT/$ID/monitor.sock" <<-'END'
		import array, os, socket, struct, sys
		def ask(message, fds=()):
		    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		    s.settimeout(60)
		    os.chdir(os.path.dirname(sys.argv[1]))
		    s.connect(os.path.basename(sys.argv[1]))
		    s.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])
		    return s.recv(2000)
		null = os.open("/dev/null", os.O_RDONLY)
		for message, fds in ((b"x", ()), (b"x" * 5000, ()), (struct.pack("II", 1, 2), ()), (struct.pack("II", 9, 2), (null,)),
		                     (struct.pack("II", 1, 2), (null, null)), (struct.pack("II", 2, 0), (null, null, null))):
		    answer = ask(message, fds)
		    assert answer[:1] == b"e", (message, answer)
	END
	run purple_rt exec "$ID" agent connect 192.0.2.11 81
	await '.destination.port == 81'
}

@test "a reload tells the monitor of other rules and of another forwarder" {
	rules 'allow_outgoing: ["192.0.2.10:80"]'
	start_under t 'exec sleep 1000'
	# As the runtime does: the rules' text and a map of their counts; a socket with lines.
	python3 - "$PURPLE_ROOT/$ID" <<-'END'
		import array, ctypes, json, os, platform, socket, struct, sys
		os.chdir(sys.argv[1])
		def ask(message, fds):
		    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		    s.settimeout(60)
		    s.connect("monitor.sock")
		    s.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))])
		    answer = s.recv(2000)
		    assert answer == b"r", answer
		bpf = {"x86_64": 321, "aarch64": 280}[platform.machine()]
		attributes = ctypes.create_string_buffer(struct.pack("IIII", 2, 4, 48, 64) + bytes(112))
		counts = ctypes.CDLL(None).syscall(bpf, 0, attributes, len(attributes))
		assert counts >= 0
		rules = os.memfd_create("rules")
		os.write(rules, json.dumps({"policies": [{"name": "new", "rules": [
		    {"kind": "block", "text": "192.0.2.99", "place": "new.yaml:9:9", "prefix": "192.0.2.99/32"}]}]}).encode())
		os.lseek(rules, 0, 0)
		ask(struct.pack("II", 1, 2), [rules, counts])
		ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		ask(struct.pack("II", 2, 0), [theirs.fileno()])
		for line in (b"no line at all", json.dumps({"name": "late.test", "query": "A", "verdict": "deny", "rule": 0,
		                                           "rcode": "NXDOMAIN", "answers": ["192.0.2.11"]}).encode()):
		    ours.send(line)
	END
	await '.type == "rules" and .rules.generation == 2'
	line_has '.rules.policies[0].name' new
	await '.dns.question.name == "late.test"'
	line_has .rule.reference new.yaml:9:9
	await '.type == "lost" and .lost.dns == 1'
	# What the rules of before decide is told with their names.
	purple_rt exec "$ID" agent connect 192.0.2.11 81
	await '.destination.port == 81'
	line_has .rule.ruleset t
	line_has .destination.domain late.test
	purple_rt kill "$ID" KILL
	await '.type == "end"'
	(($(jq .denied <<<"$LINE") >= 1))
	check_schema
}

@test "a reload that fails counts nothing twice" {
	rules 'allow_outgoing: ["192.0.2.10:80"], blocked_ips: [192.0.2.12]'
	start_under t 'agent scan 192.0.2.12 1 500; exec sleep 1000'
	await '.type == "lost" and .lost.limited > 0'
	rules 'allow_outgoing: ["api.test:80"], dns_servers: [198.51.100.1]'
	mount -t tmpfs purple-test /usr/libexec/purple
	run purple_ policy reload "$ID"
	umount /usr/libexec/purple
	((status != 0))
	assert_contains purple-dns
	# There and back.
	assert_equal "$(events 'select(.rules) | .rules.generation' | xargs)" "1 2 1"
	purple_rt exec "$ID" agent connect 192.0.2.11 81
	await '.destination.port == 81'
	purple_rt kill "$ID" KILL
	await '.type == "end"'
	# With what the kernel itself sends.
	(($(jq .denied <<<"$LINE") >= 501 && $(jq .denied <<<"$LINE") < 1000))
	assert_equal "$(($(told) + $(jq .lost.limited <<<"$LINE")))" 501
	check_schema
}

@test "what was denied before the container's end is told, also if its forwarder hangs" {
	local i list=
	for i in {1..20}; do
		list+="192.0.2.$((100 + i)), "
	done
	rules "allow_outgoing: [\"api.test:80\"], dns_servers: [198.51.100.1], blocked_ips: [$list]"
	start_under t 'exec sleep 1000'
	local monitor dns
	monitor=$(jq -r .monitorPid "$PURPLE_ROOT/$ID/state.json")
	dns=$(jq -r .dnsPid "$PURPLE_ROOT/$ID/state.json")
	kill -STOP "$monitor" "$dns"
	purple_rt exec "$ID" sh -c 'for i in $(seq 101 120); do agent scan 192.0.2.$i 201 350; done' >out
	purple_rt kill "$ID" KILL
	wait_status stopped
	kill -CONT "$monitor"
	await '.type == "end"'
	kill -CONT "$dns"
	(($(jq .lost.full <<<"$LINE") > 0))
	all_told 3000
}

@test "purple events: as text and as JSON, chosen by type and verdict, and followed to the end" {
	rules 'allow_outgoing: ["api.test:80"], dns_servers: [198.51.100.1]'
	start_under t 'nslookup api.test; agent connect 192.0.2.10 25; exec sleep 1000'
	await '.destination.port == 25'
	purple_ events --follow "$ID" >followed 2>&1 3>&- &
	WORLD+=($!)
	wait_for 10 grep -q 'port 25' followed
	run purple_ events "$ID"
	assert_status 0
	[[ ${lines[0]} == *" start rules of generation 1: t (enforce)" ]]
	assert_contains " allow lookup of api.test A, NOERROR 192.0.2.10: api.test:80 (/etc/purple/policies/t.yaml:2:29)"
	assert_contains " denied connect tcp to 192.0.2.10 port 25 (api.test), by agent (process "
	assert_contains "): no rule"
	run purple_ events --denied "$ID"
	assert_contains "port 25"
	assert_lacks "lookup of api.test A,"
	assert_lacks " start "
	run purple_ events --type dns "$ID"
	assert_contains api.test
	assert_lacks "port 25"
	run purple_ events --format json --denied "$ID"
	assert_equal "$(jq -r 'select(.destination.port == 25) | .destination.domain' <<<"$output")" api.test
	assert_equal "$(jq -r .verdict <<<"$output" | sort -u)" deny
	run purple_ events --type nothing "$ID"
	((status != 0))
	assert_contains "expected one of network, dns"
	purple_rt exec "$ID" agent connect 192.0.2.10 26
	wait_for 10 grep -q 'port 26' followed
	purple_rt kill "$ID" KILL
	# It ends by itself.
	wait "${WORLD[-1]}"
	# With what the kernel itself sends, however much that is.
	grep -Eq ' end ([2-9]|[1-9][0-9]+) denials in all' followed
	# Also when the container is deleted.
	start_under t 'agent connect 192.0.2.10 27; exec sleep 1000'
	purple_ events --follow "$ID" >followed 2>&1 3>&- &
	WORLD+=($!)
	wait_for 10 grep -q 'port 27' followed
	purple_rt delete --force "$ID"
	wait "${WORLD[-1]}"
	policy t <<<'network: { isolated: true }'
	start_under t 'exec sleep 1000'
	run purple_ events "$ID"
	assert_status 1
	assert_contains "has no events"
}
