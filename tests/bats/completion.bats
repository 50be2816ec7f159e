#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Completion for bash, as the programs write it from their tables.

load helpers

setup() {
	requires root private_etc
	purple_setup
	ID=$(test_prefix)
	# The scripts call the programs by name.
	PATH=$(dirname "$PURPLE"):$(dirname "$PURPLE_RUNTIME"):$PATH
	local program
	for program in "$PURPLE" "$PURPLE_RUNTIME"; do
		"$program" --generate=completion >"${program##*/}.bash"
		bash -n "${program##*/}.bash"
		# shellcheck disable=SC1090
		source "./${program##*/}.bash"
	done
}

# complete_at WORD...: what the last word can become, in `words`, sorted and in one line.
complete_at() {
	local COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
	"_${1//-/_}"
	words=$(printf '%s\n' "${COMPREPLY[@]}" | sort | paste -sd ' ')
}

@test "commands, their forms and their options are completed" {
	complete_at purple pro
	assert_equal "$words" profile
	complete_at purple --debug --log x.log --log-format=json pro
	assert_equal "$words" profile
	complete_at purple profile ""
	assert_equal "$words" "create delete list show"
	complete_at purple ps --f
	assert_equal "$words" --format
	complete_at purple ps extra --f
	assert_equal "$words" --format
	complete_at purple --log-l
	assert_equal "$words" --log-level
	complete_at purple-runtime de
	assert_equal "$words" delete
	complete_at purple-runtime delete --
	assert_equal "$words" "--force --help"
	complete_at purple frobnicate ""
	assert_equal "$words" ""
	complete_at purple-runtime check
	assert_equal "$words" checkpoint
}

@test "every command that --help lists is offered, and nothing else" {
	local program
	for program in purple purple-runtime; do
		complete_at "$program" ""
		assert_equal "$words" "$("$program" --help |
			awk '/^Commands:/ { on = 1; next } /^$/ { on = 0 } on { print $1 }' | sort | paste -sd ' ')"
		[[ $words == *" run"* ]]
	done
}

@test "names of profiles, files and an option's values are completed" {
	complete_at purple run --profile secure-
	assert_equal "$words" secure-agent
	complete_at purple run -p secure-
	assert_equal "$words" secure-agent
	complete_at purple run --profile = secure-
	assert_equal "$words" secure-agent
	complete_at purple profile show secure-
	assert_equal "$words" secure-agent
	complete_at purple policy diff secure-agent secure-
	assert_equal "$words" secure-agent
	echo "name: x" >secure-mine.yaml
	: >secure-mine.txt
	complete_at purple run --profile secure-
	assert_equal "$words" "secure-agent secure-mine.yaml"
	complete_at purple policy check a.yaml b.yaml secure-
	assert_equal "$words" "secure-mine.txt secure-mine.yaml"
	complete_at purple ps --format ""
	assert_equal "$words" "json table"
	complete_at purple ps --format = ""
	assert_equal "$words" "json table"
	complete_at purple ps --format =
	assert_equal "$words" "json table"
	complete_at purple --log-level ""
	assert_equal "$words" "debug error info warning"
	complete_at purple-runtime --policy secure-
	[[ $words == secure-agent* ]]
}

@test "ids of containers are completed from the folder that --root names" {
	printf 'name: %s\nfilesystem:\n  immutable_paths: [%s]\n' "$ID" \
		"$(for dir in /usr /bin /lib /lib64; do [[ ! -d $dir ]] || printf '{host_path: %s},' "$dir"; done)" >p.yaml
	local id pids=()
	for id in "$ID-a" "$ID-b"; do
		"$PURPLE" --root "$PURPLE_ROOT" run --profile ./p.yaml --name "$id" -- sleep 1000 >/dev/null 2>&1 </dev/null 3>&- &
		pids+=($!)
	done
	both_run() { (($("$PURPLE" --root "$PURPLE_ROOT" ps -q | wc -l) == 2)); }
	wait_for 20 both_run

	complete_at purple --root "$PURPLE_ROOT" stop "$ID"
	assert_equal "$words" "$ID-a $ID-b"
	complete_at purple --root "$PURPLE_ROOT" stop "$ID-a" "$ID-b"
	assert_equal "$words" "$ID-b"
	complete_at purple --root = "$PURPLE_ROOT" network test "$ID-"
	assert_equal "$words" "$ID-a $ID-b"
	complete_at purple --root "$PURPLE_ROOT" usage --container "$ID-a"
	assert_equal "$words" "$ID-a"
	complete_at purple-runtime --root "$PURPLE_ROOT" kill "$ID-"
	assert_equal "$words" "$ID-a $ID-b"
	complete_at purple-runtime --root "$PURPLE_ROOT" kill "$ID-a" SIGKIL
	assert_equal "$words" "SIGKILL"
	# Not elsewhere.
	complete_at purple --root "$PURPLE_ROOT/none" stop "$ID"
	assert_equal "$words" ""

	"$PURPLE" --root "$PURPLE_ROOT" stop --time 0 "$ID-a" "$ID-b"
	wait "${pids[@]}" || true
}

@test "what stands behind a command to run is the command's" {
	complete_at purple run -p secure-agent -- bas
	[[ " $words " == *" bash "* ]]
	complete_at purple run -p secure-agent bas
	[[ " $words " == *" bash "* ]]
	complete_at purple run -p secure-agent -- --pro
	assert_equal "$words" ""
	complete_at purple run -p secure-agent bash --pro
	assert_equal "$words" ""
	complete_at purple run -p secure-agent --pro
	assert_equal "$words" --profile
}
