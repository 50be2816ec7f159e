#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# purple report: what it adds up, and that its page is one that nothing can be loaded or run by.

load helpers

setup() {
	requires root jq private_etc ledger_fill
	purple_setup
	POLICY=$(test_prefix)
	mkdir -p /var/lib/purple/runs
}

teardown() {
	rm -f /var/lib/purple/runs/*"$(test_prefix)"*
	rm -rf "${PURPLE_ROOT:?}"
	purple_teardown
}

fill() { "$PURPLE_LEDGER_FILL" ledger.db "$@" >/dev/null; }
report() { "$PURPLE" --root "$PURPLE_ROOT" report --ledger ledger.db "$@"; }

# page [OPTION...]: makes page.html, checks it and `run`s what prints its text.
page() {
	report --html page.html "$@"
	run /usr/bin/python3 "$PURPLE_SRCDIR/tests/bats/helpers/page.py" page.html
	assert_status 0
}

# record NAME JQ-FILTER: a run of POLICY that ended an hour ago, kept as the runtime keeps it.
record() {
	local ended
	ended=$(date -u -d '1 hour ago' +%Y-%m-%dT%H:%M:%S)
	jq -n --arg id "$(test_prefix)-$1" --arg p "$POLICY" --arg t "$ended.000000000Z" "{version: 1, id: \$id,
		root: \"/run/purple\", owner: \"root\", policies: [\$p], command: [\"python3\", \"agent.py\"],
		started: \$t, ended: \$t, duration_ms: 724000, end: {reason: \"exited\", time: \$t, status: 0},
		usage: {memory_peak: 536870912, cpu_ns: 3000000000}, llm: {calls: 2, denied: 0, tokens: 42, cost: 1250000000000},
		denials: [], denied: 0, audited: 0, lost: 0, logs: []} | $2" \
		>"/var/lib/purple/runs/$(date -u -d '1 hour ago' +%Y%m%dT%H%M%S).000000000Z-$(test_prefix)-$1.json"
}

# running ID LINE...: a state folder with events.
running() {
	local id=$1
	shift
	mkdir -p "$PURPLE_ROOT/$id"
	jq -n --arg id "$id" --arg p "$POLICY" '{ociVersion: "1.2.0", id: $id, bundle: "/", rootfs: "/", pid: 2147483647,
		pidStart: 1, created: "2026-11-22T10:00:00Z", policies: [{name: $p}]}' >"$PURPLE_ROOT/$id/state.json"
	printf '%s\n' "$@" >"$PURPLE_ROOT/$id/events.jsonl"
}

@test "report adds up costs, ends, denials and hosts, as tables and as a page" {
	fill "container=a@1,policy=$POLICY,team=red,model=m1,in=100,out=10,spent=2500000000000" \
		"container=b@1,policy=$POLICY,model=m2,in=7,out=3,spent=500000000000,day=2" \
		"container=c@1,policy=other,model=m3,in=7,out=3,spent=7000000000000"
	record a '.denied = 5 | .denials = [{type: "network", verdict: "deny", rule: "no rule", policy: $p, count: 5,
		target: "example.com:443"}]'
	record b '.end.reason = "oom" | .end.status = 137'
	local now
	now=$(date -u +%Y-%m-%dT%H:%M:%S.000000Z)
	running x "{\"@timestamp\":\"$now\",\"type\":\"network\",\"verdict\":\"deny\",\"count\":3,\"rule\":{\"name\":\"blocked_ips: 192.0.2.0/24\",\"reference\":\"p.yaml:9:4\",\"ruleset\":\"$POLICY\"},\"destination\":{\"ip\":\"192.0.2.9\",\"port\":80}}" \
		"{\"@timestamp\":\"$now\",\"type\":\"dns\",\"verdict\":\"allow\",\"dns\":{\"question\":{\"name\":\"api.test\",\"type\":\"A\"},\"response_code\":\"NOERROR\"}}" \
		'{"@timestamp":"2020-01-01T00:00:00.000000Z","type":"network","verdict":"deny","count":1,"rule":{"name":"long ago"}}' '{"half'
	run report --policy "$POLICY" --since 7d
	assert_status 0
	assert_contains '$3.00 for 2 LLM calls (120 tokens); runs that ended: 2; denials: 8'
	grep -qE '^m1 +1 +110 +\$2\.50$' <<<"$output"
	grep -qE '^red +1 +110 +\$2\.50$' <<<"$output"
	assert_lacks m3
	assert_lacks 'long ago'
	grep -qE '^exited +1$' <<<"$output"
	grep -qE '^oom +1$' <<<"$output"
	grep -qE '^no rule +- .* network +5 +- +example.com:443$' <<<"$output"
	grep -qE '^blocked_ips: 192.0.2.0/24 +p.yaml:9:4 .* network +3 +- +192.0.2.9:80$' <<<"$output"
	grep -qE '^api.test +- +- +1$|^api.test +- .* 1$' <<<"$output"
	grep -qE "$(test_prefix)-a .*12 min 4 s exited \(0\) +512 MB +3.0 s +42 +\\\$1.25 +5\$" <<<"$output"
	# All of the machine.
	run report
	assert_contains '$7.00'
	assert_contains 'long ago'

	page --policy "$POLICY" --since 7d
	assert_equal "$(stat -c %a page.html)" 600
	assert_contains '$3.00'
	assert_contains 'm1'
	assert_contains 'Cost of LLM calls by day'
	assert_contains ': $2.50, calls: 1'
	assert_contains 'blocked_ips: 192.0.2.0/24'
	assert_contains "$(test_prefix)-b"
	# Some hours are shown by hours.
	page --policy "$POLICY" --since 12h
	assert_contains 'Cost of LLM calls by hour'
	[[ $(report --policy "$POLICY" --since 12h --html - | head -n 1) == '<!DOCTYPE html>' ]]
}

@test "report tells hosts and files from audit logs, and each denial once" {
	requires log_record
	local log=$PWD/logs/a.jsonl rest='"event":{"sequence":1},"container":{"id":"x"}'
	local open=${rest/1/'1,"action":"open"'}
	mkdir -m 0700 logs
	printf '0%s\n' \
		"{\"@timestamp\":\"2026-03-01T10:00:00.000000Z\",\"type\":\"network\",\"verdict\":\"allow\",\"destination\":{\"domain\":\"api.test\",\"ip\":\"192.0.2.1\",\"port\":443},$rest}" \
		"{\"@timestamp\":\"2026-03-01T10:01:00.000000Z\",\"type\":\"network\",\"verdict\":\"deny\",\"count\":2,\"rule\":{\"name\":\"of the record\"},\"destination\":{\"domain\":\"api.test\",\"port\":443},$rest}" \
		"{\"@timestamp\":\"2026-03-01T10:02:00.000000Z\",\"type\":\"file\",\"verdict\":\"allow\",\"file\":{\"path\":\"/etc/passwd\",\"access\":\"read\"},$open}" \
		"{\"@timestamp\":\"2026-03-01T10:03:00.000000Z\",\"type\":\"file\",\"verdict\":\"deny\",\"file\":{\"path\":\"/etc/shadow\",\"access\":\"write\"},$open}" |
		"$PURPLE_LOG_RECORD" x 0 "$log" >record.out
	grep -qx 'lost: 0' record.out
	run report --policy "$POLICY" --audit "$log"
	assert_status 0
	grep -qE '^api.test:443 +1 +2 +-$' <<<"$output"
	grep -qE '^/etc/passwd +1 +- +- +-$' <<<"$output"
	grep -qE '^/etc/shadow +- +- +- +1$' <<<"$output"
	grep -qE ' file +1 +- +/etc/shadow$' <<<"$output"
	assert_lacks 'of the record'
	run report --policy "$POLICY" --audit "$log" --since 2026-03-01T10:03
	assert_lacks passwd
	assert_contains shadow
	page --policy "$POLICY" --audit "$log"
	assert_contains /etc/passwd
	# The lines of a running sandbox that is audited are in the log.
	running x "{\"@timestamp\":\"2026-03-01T10:01:00.000000Z\",\"type\":\"network\",\"verdict\":\"deny\",\"count\":2,\"rule\":{\"name\":\"r\"},\"destination\":{\"domain\":\"api.test\",\"port\":443}}"
	jq -n --arg l "$log" --arg p "$POLICY" '{container: "x", logs: [{policy: $p, place: "p.yaml:1", path: $l, levels: 255, maxSize: 1000000, keep: 1}]}' \
		>"$PURPLE_ROOT/x/audit.json"
	run report --policy "$POLICY" --audit "$log"
	grep -qE '^api.test:443 +1 +2 +-$' <<<"$output"
	grep -qE '^r +- .* network +2 +- +api.test:443$' <<<"$output"
}

@test "report's page shows text that a sandbox chose as text" {
	local evil=$'</style><script>alert(1)</script><img src=x onerror=y>"\' &amp; \e[2J \u202e \u009b'
	fill "container=a@1,policy=$POLICY,model=</td><b>$evil,spent=2500000000000"
	record b .
	jq --arg evil "$evil" '.command = [$evil] | .id = $evil | .denials = [{type: $evil, verdict: "deny", rule: $evil,
		reference: $evil, count: 5, target: $evil}]' /var/lib/purple/runs/*"$(test_prefix)-b.json" >record.new
	mv record.new /var/lib/purple/runs/*"$(test_prefix)-b.json"
	page --policy "$POLICY"
	assert_contains '</td><b></style><script>alert(1)</script>'
	assert_contains $'&amp; \ufffd[2J \ufffd'
	run report --policy "$POLICY"
	assert_status 0
	assert_lacks $'\e'
	# The name of a policy is the caller's; all the same.
	page --policy "$evil"
}

@test "report says honestly what is not there, and what cannot be read" {
	run report --policy "$POLICY"
	assert_status 0
	assert_contains 'nothing was metered here yet'
	assert_contains 'No LLM call was metered in this time.'
	assert_contains 'No run that ended in this time is recorded.'
	page --policy "$POLICY"
	assert_contains 'nothing was metered here yet'
	assert_contains 'No run that ended in this time is recorded.'
	head -c 10000 /dev/zero | tr '\0' x >ledger.db
	record a .
	echo '{' >"/var/lib/purple/runs/20260101T000000.000000000Z-$(test_prefix)-bad.json"
	page --policy "$POLICY"
	assert_contains 'LLM calls are missing: '
	assert_contains 'a run is missing: '
	assert_contains "$(test_prefix)-a"
}

@test "a run under a policy is in the report" {
	local dir
	{
		printf 'name: %s\nfilesystem:\n  immutable_paths:\n' "$POLICY"
		for dir in /usr /bin /sbin /lib /lib64; do
			[[ ! -d $dir ]] || printf '    - host_path: %s\n' "$dir"
		done
	} >p.yaml
	run "$PURPLE" --root "$PURPLE_ROOT" run --profile ./p.yaml --name "$ID" -- sh -c 'exit 3'
	assert_status 3
	run report --policy "$POLICY" --since 1h
	assert_status 0
	assert_contains 'runs that ended: 1;'
	grep -qE "^20.*Z +$ID +.* exited \(3\) " <<<"$output"
	run report --policy "$POLICY-other"
	assert_contains 'runs that ended: 0;'
}

@test "report refuses what it does not know, and writes no half of a page" {
	local words
	while read -r -a words; do
		run report "${words[@]}"
		assert_status 1
		[[ -n $output ]]
	done <<-'END'
		--since yesterday
		--since 2026-02-30
		--since 5
		--since -1h
		--html /nonexistent/page.html
		container
	END
	run report --html ''
	assert_status 1
	[[ ! -e page.html ]]
}
