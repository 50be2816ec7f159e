#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# purple audit: what people see of the logs of audited policies, and whether it is what was recorded.
# The lines come from a recorder (tests/audit/log_record) as the monitor would send them.

load helpers

LOGS=/var/log/purple/audit

setup() {
	requires root private_etc jq log_record
	purple_setup
	rm -rf "$LOGS"
}

audit() { "$PURPLE" --root "$PURPLE_ROOT" audit "$@"; }

# line ID MINUTE TYPE [MEMBERS]: a record of that minute of a day.
line() {
	printf '1{"@timestamp":"2026-03-01T10:%02d:00.000000Z","type":"%s","event":{"sequence":1},"container":{"id":"%s"}%s}\n' \
		"$2" "$3" "$1" "${4:+,$4}"
}

# denied ID MINUTE PORT
denied() {
	line "$1" "$2" network "\"verdict\":\"deny\",\"network\":{\"type\":\"ipv4\",\"transport\":\"tcp\"},\"destination\":{\"ip\":\"192.0.2.1\",\"port\":$3},\"rule\":{\"name\":\"a rule\",\"reference\":\"t.yaml:3:1\",\"ruleset\":\"t\"},\"count\":1"
}

# record ID LOG... <RECORDS
record() {
	"$PURPLE_LOG_RECORD" "$1" 0 "${@:2}" >record.out 9>&- || {
		cat record.out
		return 1
	}
	grep -qx 'lost: 0' record.out
}

# Of two policies, of which both hold for one container.
make_logs() {
	line one 1 start | record one "$LOGS/a.jsonl"
	line both 2 start | record both "$LOGS/a.jsonl" "$LOGS/b.jsonl"
	denied one 3 443 | record one "$LOGS/a.jsonl"
	{ denied both 4 80; line both 8 end; } | record both "$LOGS/a.jsonl" "$LOGS/b.jsonl"
	line one 9 end | record one "$LOGS/a.jsonl"
}

@test "audit prints the lines of all logs by time, each once" {
	make_logs
	run audit
	assert_status 0
	assert_output '2026-03-01T10:01:00.000000Z one start
2026-03-01T10:02:00.000000Z both start
2026-03-01T10:03:00.000000Z one denied tcp to 192.0.2.1 port 443: a rule (t.yaml:3:1)
2026-03-01T10:04:00.000000Z both denied tcp to 192.0.2.1 port 80: a rule (t.yaml:3:1)
2026-03-01T10:08:00.000000Z both end
2026-03-01T10:09:00.000000Z one end'
	run audit --format json
	assert_status 0
	assert_equal "$(jq -r '"\(.container.id) \(.type)"' <<<"$output" | paste -sd,)" \
		"one start,both start,one network,both network,both end,one end"
	assert_equal "$(jq -s '[.[] | select(.line.writer != .container.id)] | length' <<<"$output")" 0
}

# As where a recorder was slow with some of its lines.
@test "audit prints what is in two logs once, even where they have another order" {
	line one 5 start | record one "$LOGS/a.jsonl"
	line both 3 start | record both "$LOGS/a.jsonl" "$LOGS/b.jsonl"
	run audit
	assert_status 0
	assert_equal "${#lines[@]}" 2
}

@test "audit filters by container, policy, type, decision and time" {
	make_logs
	minutes() {
		audit --format json "$@" | jq -r '.["@timestamp"][14:16]' | paste -sd' '
	}
	assert_equal "$(minutes both)" "02 04 08"
	assert_equal "$(minutes --policy b)" "02 04 08"
	assert_equal "$(minutes --policy a --type network)" "03 04"
	assert_equal "$(minutes --decision denied)" "03 04"
	assert_equal "$(minutes one --decision denied)" "03"
	assert_equal "$(minutes --decision allowed)" ""
	assert_equal "$(minutes --since 2026-03-01T10:03 --until 2026-03-01T10:08:00Z)" "03 04"
	assert_equal "$(minutes --since 2026-03-02)" ""
	assert_equal "$(minutes --until 2026-03-01)" ""
	assert_equal "$(minutes --until 1m)" "01 02 03 04 08 09"
	run audit both
	assert_contains "10:04:00.000000Z denied tcp to"
}

@test "audit as CSV keeps what a sandbox chose in its cell" {
	denied one 1 80 | sed 's/"rule":{"name":"a rule"/"process":{"pid":7,"name":"=1+1\\"\\u001b[31m\\nx"},&/' |
		record one "$LOGS/a.jsonl"
	run audit --format csv
	assert_status 0
	assert_equal "${#lines[@]}" 2
	assert_contains '"7","'"'"'=1+1""?[31m?x",'
	assert_lacks $'\e'
	run audit
	assert_equal "${#lines[@]}" 1
	assert_lacks $'\e'
}

@test "audit finds the log that a policy names" {
	policy_install named <<<"name: named
audit: { enabled: true, log_path: $BATS_TEST_TMPDIR/logs/x.jsonl }"
	{ line one 1 start; line one 2 end; } | record one "$BATS_TEST_TMPDIR/logs/x.jsonl"
	run audit --policy named
	assert_status 0
	assert_equal "${#lines[@]}" 2
	run audit one
	assert_equal "${#lines[@]}" 2
	run audit verify --policy named
	assert_status 0
	assert_contains "logs/x.jsonl: 2 lines in 1 files are as they were written; number 2 has SHA-256 "
}

@test "audit tells each kind of line as text" {
	local who='"process":{"pid":7,"name":"sh"}'
	{
		line one 1 process '"process":{"pid":7,"name":"sh","executable":"/bin/sh","parent":{"pid":6},"args":["sh","-c","a b"],"capabilities":{"effective":["CAP_CHOWN"]}}' |
			sed 's/"sequence":1/&,"action":"exec"/'
		line one 2 process '"process":{"pid":7,"name":"sh","exit_code":3}' | sed 's/"sequence":1/&,"action":"exit"/'
		line one 3 file "\"verdict\":\"deny\",$who,\"file\":{\"path\":\"/etc/shadow\",\"access\":\"read\"},\"error\":{\"code\":\"EACCES\"}" |
			sed 's/"sequence":1/&,"action":"open"/'
		line one 4 file "\"verdict\":\"allow\",$who,\"file\":{\"path\":\"/a\",\"target_path\":\"/b\"}" | sed 's/"sequence":1/&,"action":"rename"/'
		line one 5 syscall "\"verdict\":\"deny\",$who,\"error\":{\"code\":\"EPERM\"},\"count\":3" | sed 's/"sequence":1/&,"action":"ptrace"/'
		line one 6 privilege "$who,\"user\":{\"id\":\"0\"},\"count\":1" | sed 's/"sequence":1/&,"action":"setuid"/'
		line one 7 syscalls '"process":{"pid":7},"calls":{"read":{"count":5},"openat":{"count":2,"failed":1}}'
		line one 8 limit '"count":2' | sed 's/"sequence":1/&,"action":"pids_max"/'
		line one 9 usage '"usage":{"memory_peak":4096,"cpu_ns":12}'
		line one 10 log_failed '"log":{"file":{"path":"/l"}},"error":{"message":"no space"}'
		line one 11 network '"verdict":"allow","network":{"type":"ipv4","transport":"tcp"},"destination":{"ip":"192.0.2.1","port":80},"process":{"pid":7,"name":"sh"}' |
			sed 's/"sequence":1/&,"action":"connect"/'
		line one 12 process '"process":{"pid":8,"name":"sh","parent":{"pid":7}}' | sed 's/"sequence":1/&,"action":"fork"/'
		line one 13 file "\"verdict\":\"allow\",$who,\"file\":{\"path\":\"/a\",\"mode\":\"4755\"}" | sed 's/"sequence":1/&,"action":"chmod"/'
		line one 14 file "\"verdict\":\"allow\",$who,\"file\":{\"path\":\"/a\",\"uid\":\"7\"}" | sed 's/"sequence":1/&,"action":"chown"/'
		line one 15 privilege "$who,\"user\":{\"id\":\"0\"},\"file\":{\"path\":\"none\",\"target_path\":\"/mnt\"}" | sed 's/"sequence":1/&,"action":"mount"/'
		line one 16 syscall '"verdict":"deny","count":12' | sed 's/"sequence":1/&,"action":"repeated"/'
		line one 17 lost '"lost":{"full":0,"limited":0,"dns":0,"log":0,"trace":5},"lost_events":{"open":5}'
	} | record one "$LOGS/a.jsonl"
	run audit one
	assert_status 0
	assert_equal "$(cut -d' ' -f 2- <<<"$output")" 'process start of /bin/sh (process 7) by process 6: sh -c a b, with CAP_CHOWN
process end of sh (process 7), status 3
denied open of /etc/shadow (read), by sh (process 7), EACCES
file rename of /a to /b, by sh (process 7)
denied system call ptrace by sh (process 7), EPERM, 3 times
privilege setuid by sh (process 7), user 0
syscalls of process 7: read 5, openat 2
limit: no more processes, 2 times
usage: memory_peak 4096, cpu_ns 12
log_failed: /l: no space
network connect tcp to 192.0.2.1 port 80, by sh (process 7)
process 8 made by sh (process 7)
file chmod of /a, mode 4755, by sh (process 7)
file chown of /a, user 7, by sh (process 7)
privilege mount of none to /mnt by sh (process 7), user 0
denied system call repeated, 12 times
lost not told one by one: 5 events (faster than they were read)'
}

@test "audit --follow goes on over rotations until nobody reads" {
	local log=$LOGS/a.jsonl recorder reader i
	mkfifo lines
	"$PURPLE_LOG_RECORD" one 3000 "$log" <lines >record.out 9>&- 3>&- &
	recorder=$!
	exec 9>lines
	denied one 0 1 >&9
	wait_for 10 test -s "$log"
	"$PURPLE" --root "$PURPLE_ROOT" audit --follow --format json >followed 9>&- 3>&- &
	reader=$!
	wait_for 10 grep -q '"port":1}' followed
	for ((i = 2; i <= 60; i++)); do denied one 1 "$i" >&9; done
	wait_for 10 grep -q '"port":60}' followed
	exec 9>&-
	wait "$recorder"
	kill "$reader"
	wait "$reader" || true
	assert_equal "$(jq -r .destination.port followed | paste -sd' ')" "$(seq -s' ' 60)"
	[[ -e $log.3 ]]
	run audit verify "$log.2"
	assert_status 0
	assert_contains "$log: 60 lines in"
}

@test "audit verify finds a line that was changed, removed, added or moved" {
	local log=$LOGS/a.jsonl i
	for ((i = 0; i < 9; i++)); do denied one "$i" 80; done | record one "$log"
	cp -a "$LOGS" saved
	run audit verify
	assert_status 0
	attack() { # SED-SCRIPT LINE TEXT
		rm -rf "$LOGS"
		cp -a saved "$LOGS"
		sed -i "$1" "$log"
		run audit verify "$log"
		assert_status 1
		assert_contains "$log:$2: $3"
	}
	attack '4s/192.0.2.1/192.0.2.2/' 4 "this line was changed"
	attack '9s/192.0.2.1/192.0.2.2/' 9 "this line was changed"
	attack '4d' 4 "line number 4 is missing before this line"
	attack '9d' 9 "lines number 9 to 9 are missing at the end"
	attack '5p' 6 "line number 5 comes behind number 5"
	attack '5{h;d};6G' 6 "line number 5 comes behind number 6"
	attack '5i {"type":"network"}' 5 "this line was not written by a recorder"
	attack '2s/"writer":"one"/"writer":"two"/' 2 "it speaks of another container"
	attack '2s/"id":"one"/"id":"two"/' 2 "it speaks of another container"
	# What was added or changed is not shown as a line of the log.
	attack '5i {"@timestamp":"2026-03-01T10:00:00.000000Z","type":"network","container":{"id":"one"}}' 5 "this line was not written by a recorder"
	run audit one
	assert_contains "(1 lines that no recorder wrote were left out"
	assert_equal "${#lines[@]}" 10
	# And not hidden by whoever goes on with it.
	attack '9d' 9 "lines number 9 to 9 are missing"
	line one 9 end | record one "$log"
	run audit verify "$log"
	assert_status 1
	assert_contains "$log:9: when this line was written, lines before it had been removed"
}

@test "audit verify tells what rotation removed from what somebody else did, and one log from another" {
	local log=$LOGS/a.jsonl file i
	# MAX-SIZE 3000: files of some ten lines, of which the newest eleven are kept.
	for ((i = 0; i < 150; i++)); do denied one 1 80; done >records
	"$PURPLE_LOG_RECORD" one 3000 "$log" <records >record.out
	[[ -e $log.10 && ! -e $log.11 ]]
	run audit verify "$log"
	assert_status 0
	assert_contains "on (those before it were removed by rotation)"
	run audit --type log_removed one
	assert_contains "log_removed by rotation: a.jsonl.11, "
	cp -a "$LOGS" saved
	found() { # TEXT
		run audit verify "$log"
		assert_status 1
		assert_contains "$1"
		rm -rf "$LOGS"
		cp -a saved "$LOGS"
	}
	rm "$log.10"
	found "$log.9:1: lines number 1 to "
	rm "$log.5"
	found "$log.4:1: lines number "
	rm "$log"
	found "are missing at the end"
	mv "$log.3" x && mv "$log.4" "$log.3" && mv x "$log.4"
	found "$log.4:1: lines number "
	cp "$log.9" "$log.11"
	found "$log.10:1: line number "
	rm "$log.head"
	found "there is no head"
	# The head of before; and that of another log.
	sed '1!d; s/"number":[0-9]*/"number":7/' saved/a.jsonl.head >"$log.head"
	found "line number 7 is not the one of the head" || found "there is no head"
	for file in a b; do
		line one 1 start "\"logs\":[{\"path\":\"$LOGS/$file.jsonl\"}]" | record one "$LOGS/$file.jsonl"
	done
	rm -rf saved
	cp -a "$LOGS" saved
	mv "$LOGS/b.jsonl" "$log"
	found "at the end"
	mv "$LOGS/b.jsonl.head" "$log.head"
	mv "$LOGS/b.jsonl" "$log"
	rm "$log".[0-9]*
	found "$log:1: it is of the log '$LOGS/b.jsonl'"
}

@test "audit verify tells of a killed recorder, and takes no fault in it" {
	local log=$LOGS/a.jsonl size
	{ denied one 1 80; denied one 2 80; } | record one "$log"
	size=$(stat -c %s "$log")
	cp "$log.head" head
	denied one 3 80 | record one "$log"
	# It wrote a line and a half, and not the head.
	cp head "$log.head"
	head -c 100 "$log" >part
	cat part >>"$log"
	run audit verify "$log"
	assert_status 0
	assert_contains ", the last 1 by a writer that was killed"
	denied one 4 80 | record one "$log"
	run audit verify "$log"
	assert_status 0
	assert_contains "$log: 5 lines in 1 files are as they were written, besides 1 that a killed writer left unfinished"
	assert_lacks "by a writer that was killed"
	run audit one --type log_repaired
	assert_contains "log_repaired 1 lines of a recorder that was killed 100 bytes of a torn line"
	((size > 0))
}

@test "events of an audited container are those of its logs, too, each once" {
	make_bundle
	create_container
	local now members log=$LOGS/a.jsonl
	now=$(date -u +%FT%T.%6NZ)
	members="\"event\":{\"sequence\":1},\"container\":{\"id\":\"$ID\"}"
	printf '{"@timestamp":"%s","type":"network","verdict":"deny","destination":{"port":%d},%s}\n' \
		"$now" 1 "$members" "$now" 2 "$members" >"$PURPLE_ROOT/$ID/events.jsonl"
	jq -n --arg id "$ID" --arg path "$log" \
		'{container: $id, logs: [{policy: "a", path: $path, levels: 255, maxSize: 0, keep: 1}]}' \
		>"$PURPLE_ROOT/$ID/audit.json"
	{
		# One that had the id before.
		line "$ID" 1 end
		sed 's/^/1/' "$PURPLE_ROOT/$ID/events.jsonl"
		printf '1{"@timestamp":"%s","type":"network","verdict":"deny","destination":{"port":3},%s}\n' "$now" "$members"
	} | record "$ID" "$log"
	denied another 2 4 | record another "$log"
	run "$PURPLE" --root "$PURPLE_ROOT" events --format json "$ID"
	assert_status 0
	assert_equal "$(jq -s 'map(.destination.port) | sort' -c <<<"$output")" "[1,2,3]"
}

@test "audit says what it cannot do" {
	run audit --policy none
	assert_status 0
	assert_output ""
	run audit verify --policy none
	assert_status 1
	assert_contains "there is no audit log of policy none"
	run audit verify /nowhere/x.jsonl
	assert_status 1
	assert_contains "there is no audit log '/nowhere/x.jsonl'"
	run audit --since yesterday
	assert_status 1
	assert_contains "'yesterday' is no time"
	run audit --since 2026-02-31
	assert_contains "'2026-02-31' is no time"
	run audit --decision maybe
	assert_contains "expected denied or allowed"
	run audit --type odd
	assert_contains "expected one of network, dns"
	run audit --format yaml
	assert_contains "expected text, json or csv"
	run audit verify --follow
	assert_contains "takes --policy alone"
	run audit one two
	assert_contains "expected one container"
}
