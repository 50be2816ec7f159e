# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the podman-*.bats files share. A test that is to hold with and without a policy puts its
# steps in a function and calls `both_ways` with it: WITH holds the options that choose the policy,
# and WAY is `plain` or `policy`.

load helpers

IMAGE=localhost/busybox
WITH=() WAY=plain

setup_file() {
	podman_setup
}

teardown() {
	podman_teardown
}

# No step hangs the run.
podman_() {
	timeout --foreground -k 5 150 podman "$@"
}

# both_ways FUNCTION: calls it for the plain runtime, then under a policy that leaves an agent what
# it needs to work.
both_ways() {
	requires private_etc
	WAY=plain WITH=()
	echo "--- without a policy"
	"$1"
	policy_install podman-agent <<-END
		name: podman-agent
		filesystem:
		  scratch_paths: [/tmp]
		syscalls:
		  default_deny: false
		  deny: [mount, umount2, unshare, setns, ptrace]
		resources:
		  memory_limit_bytes: "256M"
		  pids_limit: 100
		capabilities:
		  default_drop: true
		network:
		  isolated: true
	END
	WAY=policy WITH=(--annotation io.purple.policy=podman-agent)
	echo "--- under a policy"
	"$1"
	WAY=plain WITH=()
}

# capture COMMAND...: as bats' run, but stdout and stderr are apart and no status is special. Sets
# status, output and stderr.
capture() {
	status=0
	"$@" >"$BATS_TEST_TMPDIR/stdout" 2>"$BATS_TEST_TMPDIR/stderr" || status=$?
	output=$(<"$BATS_TEST_TMPDIR/stdout")
	stderr=$(<"$BATS_TEST_TMPDIR/stderr")
	printf 'status %d, stderr: %s\n' "$status" "$stderr" # shown when the test fails
}

# run_podman OPTION... IMAGE [WORD...]: a fresh container ID, to its end and away; see capture.
run_podman() {
	new_id
	capture podman_ run --rm --name "$ID" "${WITH[@]}" "$@"
}

# start_podman OPTION... IMAGE [WORD...]: a fresh container ID in the background; CID is its long id.
start_podman() {
	new_id
	CID=$(podman_ run -d --name "$ID" "${WITH[@]}" "$@")
}

# in_container WORD...: podman exec in ID; see capture.
in_container() {
	capture podman_ exec "$ID" "$@"
}

# field FORMAT: of podman inspect.
field() {
	podman_ inspect --format "$1" "$ID"
}

log_has() {
	[[ $(podman_ logs "$ID" 2>&1) == *"$1"* ]]
}

# on_a_terminal COMMAND: what the shell command shows on a terminal of 33 lines and 111 columns,
# without carriage returns. Input that the caller feeds is typed there.
on_a_terminal() {
	# At the end of its input script types a NUL: who says nothing does not end.
	if [[ /dev/stdin -ef /dev/null ]]; then
		[[ -p silence ]] || mkfifo silence
		on_a_terminal "$1" <>silence
		return
	fi
	SHELL=/bin/bash timeout 150 script -qec "stty rows 33 cols 111; $1" /dev/null | tr -d '\r\000'
	return "${PIPESTATUS[0]}"
}

assert_stderr_contains() {
	if [[ $stderr != *"$1"* ]]; then
		printf 'stderr lacks "%s":\n%s\n' "$1" "$stderr"
		return 1
	fi
}

# The clean-up of all tests, and: nothing is left of any container that Podman made in the test.
podman_teardown() {
	local left=0 id try traces=''
	local -a ids=()
	mapfile -t ids < <(podman_ events --stream=false --filter event=create --format '{{.ID}} {{.Name}}' |
		awk -v prefix="$(test_prefix)-" 'index($2, prefix) == 1 { print $1 }')
	purple_teardown || left=1
	((${#ids[@]})) || return "$left"
	for ((try = 0; try < 40 * ${PURPLE_TEST_SLOWNESS:-4}; try++)); do
		traces=$(for id in "${ids[@]}"; do
			[[ ! -e /run/purple/$id ]] || echo "state: /run/purple/$id"
			find /sys/fs/cgroup -type d -name "libpod-$id"
		done)
		[[ -n $traces ]] || return "$left"
		sleep 0.05
	done
	echo "left behind by Podman's containers:"
	echo "$traces"
	return 1
}
