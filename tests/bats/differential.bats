#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Purple beside runc and crun: the same bundles under all three, and what the containers see and the
# runtimes say is compared. Where both others agree, Purple is equal; where they differ, it is equal
# to one of them. tests/differential/deliberate lists the exceptions with their reasons. (PURPLE_NEWER
# set: also deliberate-newer.)

load helpers

setup_file() {
	requires root runc crun python3 seccomp cgroup_v1
	local dir=$PURPLE_SRCDIR/tests/differential
	export DIFFERENTIAL=$BATS_FILE_TMPDIR/differential
	mkdir "$DIFFERENTIAL"
	chmod 0755 "$DIFFERENTIAL"
	: >"$DIFFERENTIAL/matched"
	cat "$dir/deliberate" ${PURPLE_NEWER:+"$dir/deliberate-newer"} >"$DIFFERENTIAL/deliberate"
	cc -std=gnu17 -D_GNU_SOURCE -Wall -Wextra -Werror -Wno-missing-field-initializers \
		-Wno-unused-parameter -O1 -static -o "$DIFFERENTIAL/probe" "$dir/probe.c"
}

# same THEME: runs its bundles under the three runtimes at the same time, and compares.
same() {
	local name pid pids=() failed=0 dir=$PURPLE_SRCDIR/tests/differential
	for name in runc crun purple; do
		local program=$PURPLE_RUNTIME
		[[ $name == purple ]] || program=$(command -v "$name")
		"$dir/drive" "$name" "$program" "$DIFFERENTIAL/probe" "$BATS_TEST_TMPDIR" "$1" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid" || failed=1
	done
	((failed == 0))
	"$dir/compare" "$DIFFERENTIAL/deliberate" "$DIFFERENTIAL/matched" \
		"$BATS_TEST_TMPDIR"/{runc,crun,purple}-"$1".facts
	: >"$DIFFERENTIAL/done-$1"
}

@test "the program: user, capabilities, limits, environment, descriptors, terminal" {
	same program
}

@test "namespaces: new, joined and absent" {
	same namespaces
}

@test "mounts, the root file system, masked and read-only paths" {
	same mounts
}

@test "devices, sysctls, cgroups and update" {
	same resources
}

@test "seccomp filters" {
	same seccomp
}

@test "how containers end, what commands say in each state, documents" {
	same lifecycle
}

@test "exec" {
	same exec
}

@test "hooks" {
	same hooks
}

@test "every listed difference is still there" {
	[[ -z ${PURPLE_NEWER:-} ]] || skip "needs the runtimes of Debian 12"
	local dir=$PURPLE_SRCDIR/tests/differential theme
	for theme in "$dir"/cases/*.py; do
		theme=$(basename "$theme" .py)
		[[ $theme == __init__ || -e $DIFFERENTIAL/done-$theme ]] ||
			same "$theme"
	done
	"$dir/compare" --unmatched "$dir/deliberate" "$DIFFERENTIAL/matched"
}
