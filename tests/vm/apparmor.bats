#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# AppArmor labels, on a kernel that enforces them: tests/vm/run. What is refused where there is no
# AppArmor is in tests/bats/spec-attributes.bats.

load ../bats/helpers

setup() {
	requires root busybox jq apparmor
	purple_setup
	make_bundle
	echo hidden >"$BUNDLE/rootfs/secret"
	cat >profile <<-END
		profile pt-agent flags=(attach_disconnected,mediate_deleted) {
			file, capability, network, signal, ptrace, umount,
			deny /secret r,
		}
		profile pt-other flags=(attach_disconnected,mediate_deleted) {
			file, capability, network, signal, ptrace, umount,
		}
	END
	apparmor_parser -r profile
}

@test "a profile holds for the program, for what it executes, and for exec; another container has none" {
	edit_config '.process.apparmorProfile = "pt-agent"'
	set_command sh -c 'cat /proc/self/attr/current; cat /secret'
	run purple_rt run --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "pt-agent (enforce)"
	assert_contains "Permission denied"
	assert_lacks hidden
	set_command sleep 1000
	create_container
	purple_rt start "$ID"
	wait_for 5 grep -q '^sleep' "/proc/$(<pid)/comm"
	assert_equal "$(cat "/proc/$(<pid)/attr/current")" "pt-agent (enforce)"
	run purple_rt exec "$ID" cat /secret
	assert_status 1
	assert_contains "Permission denied"
	purple_rt delete --force "$ID"
	edit_config 'del(.process.apparmorProfile)'
	set_command cat /secret
	run purple_rt run --bundle "$BUNDLE" "$ID"
	assert_status 0
	assert_output hidden
}

@test "exec's own profile holds for its process alone" {
	edit_config '.process.apparmorProfile = "pt-agent"'
	set_command sleep 1000
	create_container
	purple_rt start "$ID"
	jq '.process | .args = ["cat", "/proc/self/attr/current", "/secret"] | .apparmorProfile = "pt-other"' \
		"$BUNDLE/config.json" >process
	run purple_rt exec --process process "$ID"
	assert_status 0
	assert_output $'pt-other (enforce)\nhidden'
	assert_equal "$(cat "/proc/$(<pid)/attr/current")" "pt-agent (enforce)"
}

@test "with or without no_new_privs, and with capabilities dropped, the profile is there" {
	local nnp
	edit_config '.process.apparmorProfile = "pt-agent" | .process.user.uid = 1000'
	set_command cat /proc/self/attr/current
	for nnp in true false; do
		edit_config '.process.noNewPrivileges = $b' --argjson b "$nnp"
		run purple_rt run --bundle "$BUNDLE" "$ID"
		assert_status 0
		assert_output "pt-agent (enforce)"
	done
}

@test "a profile that is not loaded is an error with the path that engines know, and nothing is left" {
	edit_config '.process.apparmorProfile = "pt-nowhere"'
	run purple_rt create --bundle "$BUNDLE" --pid-file pid "$ID"
	assert_status 1
	assert_contains pt-nowhere
	# shellcheck disable=SC2016 # backquotes are meant
	assert_contains '`/proc/thread-self/attr/apparmor/exec`'
	[[ ! -e pid && ! -e $PURPLE_ROOT/$ID ]]
}

@test "what an image puts over /proc does not take the label in" {
	# CVE-2019-16884: a volume at /proc with an attr file of its own.
	mkdir -p volume/thread-self/attr/apparmor volume/self/attr
	: >volume/thread-self/attr/apparmor/exec
	edit_config '.process.apparmorProfile = "pt-agent"
		| .mounts |= map(select(.destination != "/proc"))
		| .mounts += [{destination: "/proc", type: "bind", source: $v, options: ["bind"]}]' \
		--arg v "$PWD/volume"
	set_command cat /secret
	run purple_rt run --bundle "$BUNDLE" "$ID"
	((status != 0))
	assert_lacks hidden
	[[ ! -s volume/thread-self/attr/apparmor/exec ]]
}

@test "Podman's default profile, one of its own, and unconfined" {
	podman_setup
	run podman_ run --rm localhost/busybox cat /proc/self/attr/current
	assert_status 0
	assert_contains "containers-default-"
	assert_contains "(enforce)"
	run podman_ run --rm --security-opt apparmor=pt-other localhost/busybox cat /proc/self/attr/current
	assert_output "pt-other (enforce)"
	run podman_ run --rm --security-opt apparmor=unconfined localhost/busybox cat /proc/self/attr/current
	assert_output unconfined
}
