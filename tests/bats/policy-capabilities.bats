#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Policy key `capabilities`: it holds, the agent does not get round it, and bad values are refused.

load policy

setup_file() {
	agent_build
}

# The five sets of a process, in one line: inheritable permitted effective bounding ambient.
SETS='grep ^Cap /proc/self/status | cut -f 2 | tr "\n" " "'
NONE="0000000000000000 0000000000000000 0000000000000000 0000000000000000 0000000000000000 "

@test "default_drop: without a capabilities section, and by default, none is left in any set" {
	make_generous_bundle
	run_free "$SETS"
	[[ $output != "$NONE" ]]
	policy t <<<'description: nothing'
	run_under t "$SETS; grep NoNewPrivs /proc/self/status"
	assert_output "$NONE"$'NoNewPrivs:\t1'
	policy t <<<'capabilities: { default_drop: true }'
	run_under t "$SETS"
	assert_output "$NONE"
}

@test "add: keeps what the engine granted, and grants nothing" {
	make_generous_bundle
	policy t <<<'capabilities: { add: [CAP_CHOWN, net_raw] }'
	run_under t "$SETS"
	assert_output "0000000000002001 0000000000002001 0000000000002001 0000000000002001 0000000000002001 "
	edit_config '.process.capabilities |= map_values(["CAP_KILL", "CAP_CHOWN"])'
	run_under t "$SETS"
	assert_output "0000000000000001 0000000000000001 0000000000000001 0000000000000001 0000000000000001 "
	edit_config 'del(.process.capabilities)'
	run_under t "$SETS"
	assert_output "$NONE"
}

@test "default_drop: false keeps the engine's; drop takes away and beats add; ALL is every one" {
	make_generous_bundle
	edit_config '.process.capabilities |= map_values(["CAP_KILL", "CAP_CHOWN", "CAP_NET_RAW"])'
	policy t <<<'capabilities: { default_drop: false }'
	run_under t "$SETS"
	assert_output "0000000000002021 0000000000002021 0000000000002021 0000000000002021 0000000000002021 "
	policy t <<<'capabilities: { default_drop: false, drop: [CAP_NET_RAW] }'
	run_under t "$SETS"
	assert_output "0000000000000021 0000000000000021 0000000000000021 0000000000000021 0000000000000021 "
	policy t <<<'capabilities: { add: [KILL, CHOWN], drop: [kill] }'
	run_under t "$SETS"
	assert_output "0000000000000001 0000000000000001 0000000000000001 0000000000000001 0000000000000001 "
	policy t <<<'capabilities: { default_drop: false, add: [KILL], drop: [ALL] }'
	run_under t "$SETS"
	assert_output "$NONE"
}

@test "the agent gets none by a set-user-ID program, file capabilities, or a user namespace" {
	make_generous_bundle
	cp "$PURPLE_TEST_DIR/agent" "$BUNDLE/rootfs/bin/suid"
	chmod 4755 "$BUNDLE/rootfs/bin/suid"
	mkdir "$BUNDLE/rootfs/capable"
	cp "$BUNDLE/rootfs/bin/busybox" "$BUNDLE/rootfs/capable/grep"
	setcap cap_chown=eip "$BUNDLE/rootfs/capable/grep"
	edit_config '.process.user = { uid: 1000, gid: 1000 } | .process.capabilities.effective = []
		| .process.capabilities.permitted = [] | .process.capabilities.ambient = []
		| .process.capabilities.inheritable = []'
	local script='suid euid; /capable/grep CapEff /proc/self/status; agent call unshare 0x10000000
		busybox unshare -U true || echo no namespace'
	policy t <<<'description: nothing'
	run_under t "$script"
	assert_equal "${lines[0]}" 1000
	# The kernel refuses to start what cannot have its capabilities.
	[[ ${lines[1]} == *"Operation not permitted" || ${lines[1]} == $'CapEff:\t0000000000000000' ]]
	assert_equal "${lines[2]}" EPERM
	assert_equal "${lines[-1]}" "no namespace"
	run_free 'suid euid; /capable/grep CapEff /proc/self/status; agent call unshare 0x10000000'
	assert_equal "${lines[0]}" 0
	assert_equal "${lines[1]}" $'CapEff:\t0000000000000001'
	assert_equal "${lines[-1]}" ok
}

@test "a process that is added gets no more than the policy leaves, whatever is asked for" {
	make_generous_bundle
	policy t <<<'capabilities: { add: [CAP_KILL] }'
	start_under t 'exec sleep 1000'
	run purple_rt exec --cap CAP_SYS_ADMIN --cap CAP_KILL "$ID" sh -c "$SETS"
	assert_contains "0000000000000020 "
	assert_lacks 00200
	jq '.process | .args = ["sh", "-c", $s]' --arg s "$SETS; grep NoNewPrivs /proc/self/status" \
		"$BUNDLE/config.json" >process.json
	run purple_rt exec --process process.json "$ID"
	assert_output "0000000000000020 0000000000000020 0000000000000020 0000000000000020 0000000000000020 "$'NoNewPrivs:\t1'

	new_id
	set_script 'exec sleep 1000'
	create_container
	purple_rt start "$ID"
	run purple_rt exec --process process.json "$ID"
	assert_lacks "0000000000000020 0000000000000020"
}

@test "capabilities: bad values are refused with line and column" {
	bad_value 3:9 "did you mean" <<<$'capabilities:\n  add: [CAP_NETRAW]'
	bad_value 3:9 "ALL" <<<$'capabilities:\n  add: [ALL]'
	bad_value 3:17 "default_drop" <<<$'capabilities:\n  default_drop: 2'
	bad_value 3:9 "drop" <<<$'capabilities:\n  drop: everything'
	bad_value 3:3 "did you mean 'drop'" <<<$'capabilities:\n  dropp: [CAP_KILL]'
}
