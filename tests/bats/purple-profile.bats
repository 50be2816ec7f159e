#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# purple profile: policies by name.

load helpers

setup() {
	requires root private_etc
	purple_setup
	NAME=$(test_prefix)
	_policies+=("/etc/purple/policies/$NAME.yaml")
}

@test "list shows each installed profile with its state, place and description" {
	run "$PURPLE" profile list
	assert_status 0
	[[ $output =~ secure-agent\ +ok\ +system\ +Strict ]]
	[[ $output =~ ai-dev-team\ +unsupported\ +system ]]
	assert_contains "audit needs"
}

@test "list says why a profile cannot be read" {
	policy_install "$NAME" <<<'nam: x'
	run "$PURPLE" profile list
	assert_status 0
	[[ $output =~ $NAME\ +invalid\ +admin ]]
	assert_contains "$NAME.yaml:1:1:"
}

@test "show prints where the profile is, what it means, and the file itself" {
	run "$PURPLE" profile show secure-agent
	assert_status 0
	assert_equal "${lines[0]}" "# /usr/share/purple/policies/secure-agent.yaml"
	assert_contains "# written, gone at the end: /tmp, /workspace"
	assert_contains "# network: none"
	assert_contains "512 MiB of memory; 128 processes;"
	assert_contains "$(<"$PURPLE_SRCDIR/policies/secure-agent.yaml")"
	"$PURPLE" profile show secure-agent >shown.yaml
	"$PURPLE" policy check shown.yaml
}

@test "create copies a profile under a new name, which can be run and deleted" {
	run "$PURPLE" profile create "$NAME" --from code-analyst
	assert_status 0
	assert_output "/etc/purple/policies/$NAME.yaml"
	run "$PURPLE" policy check "/etc/purple/policies/$NAME.yaml"
	assert_status 0
	diff <(grep -v '^name:' /usr/share/purple/policies/code-analyst.yaml) \
		<(grep -v '^name:' "/etc/purple/policies/$NAME.yaml")
	grep -q "^name: \"$NAME\"$" "/etc/purple/policies/$NAME.yaml"
	run "$PURPLE" profile delete "$NAME"
	assert_status 0
	[[ ! -e /etc/purple/policies/$NAME.yaml ]]
}

@test "create takes secure-agent when no base is named" {
	"$PURPLE" profile create "$NAME"
	diff <(grep -v '^name:' /usr/share/purple/policies/secure-agent.yaml) \
		<(grep -v '^name:' "/etc/purple/policies/$NAME.yaml")
}

@test "create refuses names that are taken or not valid, and unknown bases" {
	local bad
	"$PURPLE" profile create "$NAME"
	for bad in "$NAME" secure-agent ../x UPPER .hidden 'a b' "$(printf 'x%.0s' {1..65})"; do
		run "$PURPLE" profile create "$bad"
		assert_status 1
	done
	run "$PURPLE" profile create "$NAME-2" --from no-such-base
	assert_status 1
	assert_contains no-such-base
	assert_equal "$(find /etc/purple/policies -name "$NAME*" | wc -l)" 1
}

@test "a name that YAML would read as a number stays a name" {
	_policies+=(/etc/purple/policies/1.5.yaml)
	"$PURPLE" profile create 1.5
	run "$PURPLE" policy check /etc/purple/policies/1.5.yaml
	assert_status 0
}

@test "delete refuses what came with Purple, and what is unknown" {
	run "$PURPLE" profile delete secure-agent
	assert_status 1
	assert_contains "came with Purple"
	[[ -e /usr/share/purple/policies/secure-agent.yaml ]]
	run "$PURPLE" profile delete no-such-profile
	assert_status 1
}

@test "an ordinary user's profiles are in their own folder and win over installed ones" {
	requires ordinary_user
	run as_user "$PURPLE" profile create mine
	assert_status 0
	assert_output "$BATS_TEST_TMPDIR/user/.config/purple/policies/mine.yaml"
	run as_user "$PURPLE" profile list
	[[ $output =~ mine\ +(ok|fails\ here)\ +user ]]
	[[ $output =~ secure-agent\ .*system ]]

	printf 'name: secure-agent\ndescription: my own\n' \
		>"$BATS_TEST_TMPDIR/user/.config/purple/policies/secure-agent.yaml"
	run as_user "$PURPLE" profile show secure-agent
	assert_contains "my own"
	run as_user "$PURPLE" profile delete mine
	assert_status 0
	run as_user "$PURPLE" profile delete code-analyst
	assert_status 1
	run "$PURPLE" profile show secure-agent
	assert_lacks "my own"
}

@test "wrong words and options are refused" {
	local args
	while read -r args; do
		# shellcheck disable=SC2086 # words
		run "$PURPLE" profile $args
		assert_status 1
	done <<-END
		frobnicate
		show
		list x
		list --from x
		delete
	END
}
