#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The helpers themselves: a clean-up check that finds nothing is worth nothing.

load helpers

setup_file() {
	podman_setup
}

@test "a bundle made by the helpers runs" {
	requires root
	make_bundle
	run_script 'echo hello; cat /proc/1/comm; true'
	assert_status 0
	assert_output $'hello\nsh'
}

@test "Podman runs the runtime under test, on storage of its own" {
	requires root podman
	run podman_ run --rm --name "$ID" localhost/busybox echo hello
	assert_status 0
	assert_output hello
	run podman_ info --format '{{.Host.OCIRuntime.Path}} {{.Store.GraphRoot}}'
	assert_output "$PURPLE_RUNTIME $PODMAN_DIR/storage"
}

@test "what a test leaves behind is found: a group, a mount, a state folder" {
	requires root
	local controller=/sys/fs/cgroup/pids
	[[ -d $controller ]] || controller=/sys/fs/cgroup

	mkdir "$controller/$ID"
	run list_traces "$(test_prefix)"
	rmdir "$controller/$ID"
	assert_contains "cgroup: $controller/$ID"

	mkdir mnt
	mount -t tmpfs leak mnt
	run list_traces "$(test_prefix)"
	umount mnt
	assert_contains "mount: $BATS_TEST_TMPDIR/mnt"

	mkdir -p "$PURPLE_ROOT/left"
	run list_traces "$(test_prefix)"
	rmdir "$PURPLE_ROOT/left"
	assert_contains "state: $PURPLE_ROOT/left"

	run no_traces "$(test_prefix)"
	assert_status 0
}

@test "containers that a test leaves running are deleted by its teardown" {
	requires root
	make_bundle
	set_command sleep 1000
	create_container
	purple_rt start "$ID"
	assert_equal "$(container_status)" running
	purple_teardown
	run purple_rt state "$ID"
	((status != 0))
}

@test "policies and settings go to folders of the test run, not of the machine" {
	requires private_etc
	policy_install helper-test <<<'name: helper-test'
	run cat /etc/purple/policies/helper-test.yaml
	assert_output "name: helper-test"
	run findmnt --first-only -no FSTYPE,SOURCE /etc/purple
	assert_output "tmpfs  purple-test"
}

@test "as_user has no privileges and reaches its own folders" {
	requires root
	run as_user sh -c 'id -u; touch "$HOME/x" "$XDG_RUNTIME_DIR/y"; grep CapEff /proc/self/status'
	assert_status 0
	assert_output $'65534\nCapEff:\t0000000000000000'
}

# Runs tests/run over a bats file made of the text given, where TEST stands for @test (which bats
# would take for one of this file's).
run_runner() {
	mkdir -p inner
	printf 'load %s/tests/bats/helpers\n%s\n' "$PURPLE_SRCDIR" "${1//TEST/@test}" >inner/inner.bats
	local options=()
	[[ ${2:-} != --* ]] || { options=("$2"); set -- "$1" "${@:3}"; }
	run env -u PURPLE_PRIVATE_ETC -u PURPLE_STRICT TMPDIR="$BATS_TEST_TMPDIR" "${@:2}" \
		"$PURPLE_SRCDIR/tests/run" "${options[@]}" --installed "${PURPLE_RUNTIME%/*}" --build "$PWD/build" \
		"$PWD/inner/inner.bats"
}

@test "the test runner counts what passed, failed and was skipped" {
	run_runner 'TEST "a" { true; }
		TEST "b" { false; }
		TEST "c" { skip "needs cgroup v2 with controllers"; }'
	assert_status 1
	assert_equal "${lines[-1]}" "1 passed, 1 failed, 1 skipped"
	run_runner 'TEST "a" { true; }'
	assert_status 0
	assert_equal "${lines[-1]}" "1 passed, 0 failed, 0 skipped"
}

@test "the test runner with --again runs what failed once more, and says so" {
	run_runner 'TEST "a (1)" { true; }
		TEST "b [*] (2)?" {
			[[ -d '"$PWD"'/seen ]] || { mkdir '"$PWD"'/seen; return 1; }
		}' \
		--again
	assert_status 0
	assert_contains "again: inner.bats: b [*] (2)?: failed at first, and passed alone"
	assert_equal "${lines[-1]}" "2 passed, 0 failed, 0 skipped"
	run_runner 'TEST "a" { true; }
		TEST "b" { false; }
		TEST "c" {
			[[ -d '"$PWD"'/c ]] || { mkdir '"$PWD"'/c; return 1; }
		}' \
		--again
	assert_status 1
	assert_lacks "again: "
	assert_equal "${lines[-1]}" "1 passed, 2 failed, 0 skipped"
}

@test "with PURPLE_STRICT=1 only skips on the list are allowed" {
	run_runner 'TEST "a" { skip "no time"; }
		TEST "b" { skip "needs cgroup v2 with controllers"; }' PURPLE_STRICT=1
	assert_status 1
	assert_equal "${lines[-1]}" "0 passed, 1 failed, 1 skipped"
	run_runner 'TEST "a" { skip "no time"; }'
	assert_status 0
	assert_equal "${lines[-1]}" "0 passed, 0 failed, 1 skipped"
}

@test "a test file that does not run to its end, or not at all, is a failure" {
	run_runner 'TEST "a" { true; }
		TEST "b" { kill -9 $$; sleep 1; }
		TEST "c" { true; }'
	assert_status 1
	assert_contains "2 of 3 planned tests reported"
	assert_equal "${lines[-1]}" "2 passed, 1 failed, 0 skipped"
	run_runner 'this is no test'
	assert_status 1
	assert_equal "${lines[-1]}" "0 passed, 1 failed, 0 skipped"
}
