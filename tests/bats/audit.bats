#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Audited policies: what is recorded of a container, in which log, and what happens when it cannot be.

load helpers

setup() {
	requires root jq cgroup_v2_tree
	purple_setup
	ID=$(test_prefix)
	LOG=$BATS_TEST_TMPDIR/logs/$ID.jsonl
	profile </dev/null
}

purple_() {
	"$PURPLE" --root "$PURPLE_ROOT" "$@"
}

# profile [AUDIT-KEYS] <YAML: p.yaml, in which programs of the host run, audited to $LOG.
profile() {
	local dir
	{
		printf 'name: %s\nfilesystem:\n  immutable_paths:\n' "$ID"
		for dir in /usr /bin /sbin /lib /lib64; do
			[[ ! -d $dir ]] || printf '    - host_path: %s\n' "$dir"
		done
		printf '  scratch_paths: [/tmp]\naudit:\n  log_path: %s\n' "$LOG"
		[[ -z ${1:-} ]] || printf '  %s\n' "$1"
		cat
	} >p.yaml
}

agent() {
	run purple_ run --profile ./p.yaml --name "$ID" -- sh -c "$1"
}

@test "processes, files and system calls are recorded" {
	agent 'cat /etc/hostname >/tmp/x 2>/dev/null; mv /tmp/x /tmp/y; rm /tmp/y; exit 3'
	echo "$output"
	cat "$LOG" >&3
	assert_status 3
}
