#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A short part of `make check-robustness`: see tests/robustness/run.

load helpers

@test "containers come and go while processes of Purple are killed at random, and nothing is left" {
	requires root private_etc python3 jq busybox ip cgroup_v2_tree gateway
	[[ -x $PURPLE_LIBEXEC/purple-dns ]] || skip "needs a build with the forwarder of names"
	run "$PURPLE_SRCDIR/tests/robustness/run" --seed 1 --rounds 2 --seconds 3 --containers 8
	echo "$output"
	assert_status 0
	# Not a round in which nothing happened.
	[[ ${lines[-1]} =~ ^2\ rounds,\ ([0-9]+)\ containers,\ ([0-9]+)\ kills:\ nothing ]]
	((BASH_REMATCH[1] >= 8 && BASH_REMATCH[2] >= 3))
}
