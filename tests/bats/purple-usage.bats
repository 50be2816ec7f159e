#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# purple usage and purple budget: what people see of the ledger, and change in it.

load helpers

setup() {
	requires jq ledger_fill
	purple_setup
}

fill() { "$PURPLE_LEDGER_FILL" ledger.db "$@"; }
usage() { "$PURPLE" usage --ledger ledger.db "$@"; }
budget() { "$PURPLE" budget --ledger ledger.db "$@"; }

@test "usage adds calls up by container, policy, team, model and day" {
	fill container=a@1,policy=p,team=red,model=m1,in=100,out=10,spent=2500000000000 \
		container=a@1,policy=p,team=red,model=m2,in=7,out=3,spent=1,estimated=1 \
		container=b@1,policy=q,model=m1,in=1,out=1,spent=5,day=1
	run usage --by policy --format json
	assert_status 0
	assert_equal "$(jq -r '.[] | "\(.key) \(.calls) \(.estimated) \(.tokens) \(.input) \(.output) \(.cost) \(.cost_text)"' <<<"$output")" \
		$'p 2 1 120 107 13 2500000000001 $2.500000000001\nq 1 0 2 1 1 5 $0.000000000005'
	run usage --by model --format csv
	assert_status 0
	assert_equal "$(tr -d '\r' <<<"$output" | cut -d, -f 1,2,16)" $'key,calls,cost\n"m1",2,2500000000005\n"m2",1,1'
	run usage --by day --format json
	assert_equal "$(jq -c '[.[].calls]' <<<"$output")" "[1,2]"
	run usage --by hour --format json
	assert_equal "$(jq -c '[.[] | [.calls, (.key | test("^20[0-9-]{8}T[0-9]{2}$"))]]' <<<"$output")" '[[1,true],[2,true]]'
	run usage --by team --format json
	assert_equal "$(jq -c '[.[].key]' <<<"$output")" '["red",""]'
	run usage --by container
	assert_status 0
	assert_contains 'a@1 '
	assert_contains '$2.500000000001'
	run usage --by model --policy p --since "$(date -u +%F)" --format json
	assert_equal "$(jq -c '[.[] | [.key, .calls]]' <<<"$output")" '[["m1",1],["m2",1]]'
	run usage --until "$(date -u +%F)" --format json
	assert_equal "$(jq -c '[.[].key]' <<<"$output")" '["q"]'
}

@test "a name from a sandbox stays in its cell" {
	fill container=a@1,policy=p,model=$'=1+1"\e[31m\nx',spent=1
	run usage --by model
	assert_status 0
	assert_equal "${#lines[@]}" 2
	assert_lacks $'\e'
	run usage --by model --format csv
	assert_contains "\"'=1+1\"\"?[31m?x\",1,"
	run usage --by model --format json
	assert_equal "$(jq -r '.[0].key' <<<"$output")" $'=1+1"\e[31m\nx'
}

@test "a call that its gateway never ended is charged in full when the ledger is opened" {
	fill container=a@1,policy=p,max_tokens=100,tokens=60,cost=7,open=1
	run usage --format json
	assert_status 0
	assert_equal "$(jq -c '.[0] | [.calls, .open, .estimated, .tokens, .cost]' <<<"$output")" "[1,0,1,60,7]"
	run fill container=a@1,max_tokens=100,tokens=41
	assert_equal "$output" "refused 40 9223372036854775807"
}

@test "budget show tells limits and what is left, add raises them, reset forgives" {
	run fill container=a@1,policy=p,max_tokens=100,max_cost=3000000000000,tokens=100,in=80,out=20,spent=500000000000 \
		container=a@1,policy=p,max_tokens=100,max_cost=3000000000000,tokens=1
	assert_equal "$output" $'granted\nrefused 0 2500000000000'
	run budget show a
	assert_status 0
	assert_contains 'a@1 '
	assert_contains '$0.50'
	run budget show --format json
	assert_equal "$(jq -c '.[0] | [.budget, .period, .since, .tokens, .tokens_limit, .tokens_left, .cost_text, .cost_left_text]' <<<"$output")" \
		'["a@1","always",null,100,100,0,"$0.50","$2.50"]'
	run budget add a --tokens 10 --cost '$1.25'
	assert_status 0
	run budget show a --format json
	assert_equal "$(jq -c '.[0] | [.tokens_limit, .tokens_added, .tokens_left, .cost_limit_text]' <<<"$output")" \
		'[110,10,10,"$4.25"]'
	run fill container=a@1,max_tokens=100,tokens=10,in=10
	assert_equal "$output" granted
	run budget reset a
	assert_status 0
	run budget show a --format csv
	assert_status 0
	assert_contains '"a@1","always",,0,0,110,10,110,0,0,,1250000000000,'
}

@test "an adjustment goes to the newest life of a container, and to no period that is over" {
	fill container=a@1,max_tokens=5 container=a@2,max_tokens=5 container=ab@1,max_tokens=5 \
		policy=p,scope=policy,period=day,max_tokens=5,day=1 \
		team=red,scope=team,period=month,max_tokens=5
	run budget add a --tokens 1
	assert_status 0
	run budget add team:red --cost 1
	assert_status 0
	run budget show --format json
	assert_equal "$(jq -c '[.[] | select(.tokens_added > 0 or .cost_added > 0) | .budget]' <<<"$output")" \
		'["team:red","a@2"]'
	run budget add policy:p --tokens 1
	assert_status 1
	assert_contains "the last period of budget 'policy:p' is over"
	run budget show policy:p --format json
	assert_equal "$(jq -c '[.[].tokens_added]' <<<"$output")" '[0]'
	run budget reset b
	assert_status 1
	assert_contains "there is no budget 'b'"
	run budget show team:blue
	assert_status 1
}

@test "what is wrong on the command line is said, and changes nothing" {
	fill container=a@1,max_tokens=5
	local words
	while read -r -a words; do
		run "$PURPLE" "${words[@]}" --ledger ledger.db
		assert_status 1
		[[ -n $output ]]
	done <<-'END'
		usage --by nothing
		usage --format xml
		usage --since 2026-02-30
		usage --until yesterday
		budget take a
		budget add
		budget add a
		budget add a --tokens 0
		budget add a --tokens -5
		budget add a --tokens 1.5
		budget add a --cost 0
		budget add a --cost -1
		budget add a --cost 1e3
		budget add a --tokens 5 --format json
		budget reset
		budget reset a --tokens 5
		budget show a --cost 5
	END
	run budget show a --format json
	assert_equal "$(jq -c '.[0] | [.tokens_added, .cost_added]' <<<"$output")" '[0,0]'
}

@test "no ledger, a foreign file and a newer ledger are told apart" {
	run usage
	assert_status 1
	assert_contains "nothing was metered here yet"
	[[ ! -e ledger.db ]]
	head -c 10000 /dev/zero | tr '\0' x >ledger.db
	run usage
	assert_status 1
	assert_contains "no ledger"
	rm ledger.db
	fill container=a@1
	# Who closes it last writes the log into it; the version is a big-endian number at byte 60.
	run budget show
	assert_status 0
	printf '\177\0\0\0' | dd of=ledger.db bs=1 seek=60 conv=notrunc status=none
	run usage
	assert_status 1
	assert_contains "newer version of Purple"
}
