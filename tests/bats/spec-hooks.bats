#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# hooks of config.json: the finer points, after those of runtime-hooks.

load helpers
load spec

setup() {
	spec_setup
	LOG=$PWD/hooks.log
}

teardown() {
	spec_teardown
}

stages=(prestart createRuntime createContainer startContainer poststart poststop)

# hook STAGE SCRIPT [FILTER]: a further hook that runs the script with sh; FILTER edits its object.
# startContainer hooks are found in the container, where /log is the host's folder of the test.
hook() {
	local shell=/bin/sh
	edit_config ".hooks[\$s] += [{path: \$p, args: [\"sh\", \"-c\", \$script]} | ${3:-.}]" \
		--arg s "$1" --arg p "$shell" --arg script "$2"
}

with_log() {
	add_mount /log "$PWD" bind
}

@test "the stages run in order, each in its place: before create returns, in start, in delete" {
	local s
	with_log
	for s in "${stages[@]}"; do
		[[ $s == startContainer ]] || hook "$s" "echo $s >>$LOG"
	done
	hook startContainer 'echo startContainer >>/log/hooks.log'
	hook createRuntime "echo createRuntime2 >>$LOG"
	set_script 'echo program >>/log/hooks.log; exec sleep 1000'
	create_container
	assert_equal "$(tr '\n' ' ' <"$LOG")" "prestart createRuntime createRuntime2 createContainer "
	purple_rt start "$ID"
	wait_for 5 grep -q program "$LOG"
	wait_for 5 grep -q poststart "$LOG"
	# poststart comes after the program was started, not before start.
	assert_equal "$(grep -v -e program -e poststart "$LOG" | tr '\n' ' ')" \
		"prestart createRuntime createRuntime2 createContainer startContainer "
	assert_equal "$(grep -n startContainer "$LOG" | cut -d: -f1)" 5
	assert_equal "$(grep -c . "$LOG")" 7
	purple_rt kill "$ID" KILL
	wait_status stopped
	run ! grep -q poststop "$LOG"
	purple_rt delete "$ID"
	assert_equal "$(tail -n 1 "$LOG")" poststop
	assert_equal "$(grep -c . "$LOG")" 8
}

@test "what a createRuntime hook does to the network namespace, the container has" {
	hook createRuntime 'pid=$(tr -d " \n" | sed "s/.*\"pid\":\([0-9]*\).*/\1/"); nsenter -t $pid -n busybox ip link set lo mtu 4321'
	run_script 'ip link show lo'
	assert_contains "mtu 4321"
}

@test "a hook that does not read its stdin is no problem, however long the state is" {
	edit_config '.annotations = {"org.example.long": ("x" * 300000)}'
	with_log
	hook prestart 'exit 0'
	hook createRuntime "wc -c >$LOG"
	hook startContainer 'wc -c >>/log/hooks.log'
	run_script 'echo runs'
	assert_output runs
	local size
	while read -r size; do
		((size > 300000))
	done <"$LOG"
	assert_equal "$(wc -l <"$LOG")" 2
}

@test "wrong hooks are refused" {
	refused '.hooks.prestart = [{path: "relative"}]' "hooks.prestart[0].path: must be absolute, not 'relative'"
	refused '.hooks.poststop = [{path: "/bin/true"}, {path: "/bin/true", timeout: 0}]' "hooks.poststop[1].timeout: must be above 0"
	refused '.hooks.poststart = [{path: "/bin/true", timeout: -1}]' "hooks.poststart[0].timeout: must be above 0"
	refused '.hooks.createRuntime = [{args: ["x"]}]' "hooks.createRuntime[0].path"
	refused '.hooks.prestart = {path: "/bin/true"}' "hooks.prestart"
}

@test "startContainer hooks, programs of the image, have no more privileges than the process" {
	cat >"$BUNDLE/rootfs/bin/look" <<-'END'
		#!/bin/sh
		grep -E '^(Uid|Cap(Prm|Eff|Bnd)|NoNewPrivs):' /proc/self/status >/tmp/hook
	END
	chmod 0755 "$BUNDLE/rootfs/bin/look"
	edit_config '.root.readonly = false | .process.user = {uid: 1000, gid: 1000}
		| .hooks.startContainer = [{path: "/bin/look", env: ["PATH=/bin"]}]'
	run_script 'grep -E "^(Uid|Cap(Prm|Eff|Bnd)|NoNewPrivs):" /proc/self/status | diff /tmp/hook - && echo same'
	assert_status 0
	assert_output same
}
