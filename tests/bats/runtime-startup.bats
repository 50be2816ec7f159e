#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What a start costs, as far as it is no matter of time: processes, memory.

load helpers

setup() {
	requires root busybox jq
	purple_setup
	make_bundle
	set_command true
}

# executed COMMAND...: its execve and execveat calls, below strace.
executed() {
	strace -qq -e trace=execve,execveat -e signal=none -o trace "$PURPLE_RUNTIME" \
		--root "$PURPLE_ROOT" "$@" </dev/null >out 2>err
	cat trace
}

@test "a container starts under a memory limit of 512 KB" {
	requires cgroup_v1 no_sanitizer
	edit_config '.linux.resources.memory = {limit: 524288}'
	create_container
	assert_equal "$(cat "$(cgroup_dir "$(<pid)" memory)/memory.limit_in_bytes")" 524288
	purple_rt start "$ID"
	wait_for 10 is_status stopped "$ID"
	purple_rt delete "$ID"
	run purple_rt run --bundle "$BUNDLE" "$ID"
	assert_status 0
}

@test "the runtime executes itself once more where it enters a container, and nowhere else" {
	requires strace
	executed run --bundle "$BUNDLE" "$ID"
	assert_equal "$(wc -l <trace)" 2
	grep -q '^execveat([0-9]*, "", .*AT_EMPTY_PATH) = 0$' trace
	executed list
	assert_equal "$(wc -l <trace)" 1
	executed features
	assert_equal "$(wc -l <trace)" 1
	# A container may have a command's name.
	purple_rt create --bundle "$BUNDLE" --pid-file pid run
	executed state run
	grep -q '"id": *"run"' out
	purple_rt delete --force run
}

@test "who keeps the runtime that entered a container open cannot write to it afterwards" {
	set_command sh -c 'read line'
	# A copy: while it runs somewhere, nobody can write to it anyhow.
	cp "$PURPLE_RUNTIME" other
	mkfifo in
	"$PWD/other" --root "$PURPLE_ROOT" run --bundle "$BUNDLE" "$ID" <in >out 2>err 3>&- &
	local runtime=$!
	exec 4>in
	wait_for 10 is_status running "$ID"
	exec 5<"/proc/$runtime/exe"
	echo >&4
	exec 4>&-
	wait "$runtime"
	run bash -c 'echo x >/proc/self/fd/5'
	assert_status 1
	assert_contains "Read-only file system"
	exec 5<&-
	echo >>other # where it lies it can be written to
}

@test "the early entry point stands alone: no function, no thread's storage, no relocation of the library" {
	local level
	for level in -O0 -O2 -O3; do
		"${CC:-gcc}" -std=gnu17 -D_GNU_SOURCE $level -fPIE -fstack-protector-all -fstack-clash-protection \
			-c -o early.o "$PURPLE_SRCDIR/src/linux/exe_early.c"
		assert_equal "$(nm --undefined-only early.o | awk '{ print $2 }' | grep -v _GLOBAL_OFFSET_TABLE_)" _start
		! objdump -d early.o | grep -E '%fs:|tpidr_el0'
	done
}
