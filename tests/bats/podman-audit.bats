#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Audited containers of Podman: with ids of their own, with processes that are added, and ended.

load podman

setup() {
	requires private_etc podman jq userns cgroup_v2_tree
	purple_setup
	LOG=$BATS_TEST_TMPDIR/logs/log.jsonl
	policy_install audited <<-END
		name: audited
		filesystem:
		  scratch_paths: [/tmp]
		audit:
		  log_path: $LOG
	END
	WITH=(--annotation io.purple.policy=audited)
}

teardown() {
	podman_teardown
}

has_line() {
	[[ -n $(jq -c "select($1)" "$LOG") ]] && return
	echo "no line: $1"
	jq -r '[.type, .event.action // "", .process.name // ""] | join(" ")' "$LOG" | sort | uniq -c | tail -40
	return 1
}

@test "under a user namespace names are the container's, ids the host's; an exec is recorded, and the end" {
	chmod 0711 "$PODMAN_DIR" "$PODMAN_DIR"/{storage,runroot,tmp}
	start_podman --uidmap 0:100000:5000 --gidmap 0:200000:5000 "$IMAGE" \
		sh -c 'sh -c "echo x >/tmp/nested; true"; sleep 1000'
	in_container sh -c 'cat /tmp/nested; exit 6'
	assert_status 6
	podman_ rm -f -t 0 "$ID" >/dev/null
	wait_for 20 grep -q '"type":"end"' "$LOG"
	has_line '.type == "process" and .process.args == ["sh", "-c", "echo x >/tmp/nested; true"] and .user.id == "100000" and .process.vpid == 2'
	has_line '.type == "file" and .file.path == "/tmp/nested" and .file.created and .user.id == "100000" and .container.id == "'"$CID"'"'
	has_line '.type == "process" and .process.args == ["cat", "/tmp/nested"]'
	has_line '.type == "process" and .event.action == "exit" and .process.exit_code == 6'
	has_line '.type == "end" and .signal == 9'
}
