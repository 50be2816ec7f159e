#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# purple doctor: what this host can enforce. Each finding is shown to follow the host.

load helpers

setup() {
	requires root jq private_etc
	purple_setup
}

# doctor [ARG...]: `run`s it as JSON.
doctor() {
	run --separate-stderr "$PURPLE" --root "$PURPLE_ROOT" doctor --format json "$@"
}

# finding CHECK: its status.
finding() {
	jq -r --arg c "$1" '.[] | select(.check == $c) | .status' <<<"$output" | sort -u
}

@test "the table has a line for each check, and a fix for what is missing" {
	run "$PURPLE" --root "$PURPLE_ROOT" doctor
	local check
	for check in kernel seccomp landlock 'BPF cgroup programs' namespaces 'user namespaces' \
		'mount API' 'cgroup memory' 'swap accounting' 'cgroup cpu' 'cgroup pids' 'cgroup io' \
		'network filter' 'network names' 'network events' 'network monitors' 'attached filters' \
		'leftover filters' 'leftovers of hooks' tracing 'leftover traces' 'LLM gateway' 'LLM prices' 'LLM gateways' \
		settings 'policy folders' policies pasta podman 'leftover states' 'leftover cgroups'; do
		[[ $output =~ (^|$'\n')(ok|missing|absent|broken)\ +$check\  ]] || {
			echo "no line for $check in:"
			echo "$output"
			return 1
		}
	done
	assert_equal "$(grep -cE '^(missing|absent|broken)' <<<"$output")" "$(grep -c '^  *for: ' <<<"$output")"
}

@test "the exit status is 0 exactly when everything needed is there" {
	doctor
	local bad
	bad=$(jq '[.[] | select(.needed and .status != "ok")] | length' <<<"$output")
	assert_equal "$status" "$((bad > 0))"
}

@test "it leaves no cgroup behind" {
	doctor
	# Groups of others come and go while it looks.
	run --separate-stderr find /sys/fs/cgroup -type d -name 'doctor-*'
	assert_output ""
}

@test "settings that cannot be read are broken" {
	doctor
	assert_equal "$(finding settings)" ok
	settings_install <<<'default_polcy: x'
	doctor
	assert_status 1
	assert_equal "$(finding settings)" broken
	settings_install <<<'default_policy: not-installed'
	doctor
	assert_status 1
	assert_equal "$(finding settings)" broken
	[[ $output == *not-installed* ]]
}

@test "an installed policy with a fault is broken, and named" {
	doctor
	assert_equal "$(finding policies)" ok
	policy_install "$(test_prefix)" <<<'name: 7'
	doctor
	assert_status 1
	assert_equal "$(finding policies)" broken
	[[ $output == *"$(test_prefix).yaml:1:"* ]]
}

@test "a policy folder that others may write is broken" {
	doctor
	assert_equal "$(finding 'policy folders')" ok
	chmod o+w /etc/purple/policies
	doctor
	chmod o-w /etc/purple/policies
	assert_status 1
	assert_equal "$(finding 'policy folders')" broken
}

@test "a user that may make no namespaces is told so, with the setting" {
	requires ordinary_user
	run as_user "$PURPLE" doctor --format json
	assert_equal "$(finding namespaces)" ok
	assert_equal "$(finding 'user namespaces')" ok
	# In a user namespace that allows none below it.
	run as_user unshare --user --map-current-user --keep-caps -- \
		sh -c 'echo 0 >/proc/sys/user/max_user_namespaces; exec "$0" doctor --format json' "$PURPLE"
	assert_status 1
	assert_equal "$(finding 'user namespaces')" missing
	assert_contains "sysctl user.max_user_namespaces"
}

@test "limits that an ordinary user cannot set are missing" {
	requires ordinary_user
	run as_user "$PURPLE" doctor --format json
	if as_user mkdir /sys/fs/cgroup/pids/"$ID" 2>/dev/null; then
		skip "needs cgroups that ordinary users may not write"
	fi
	assert_status 1
	assert_equal "$(finding 'cgroup pids')" missing
	assert_contains "run as root"
}

@test "a drop-in for Podman that names no program is broken" {
	requires podman
	sed "s|@bindir@|${PURPLE_RUNTIME%/*}|" "$PURPLE_SRCDIR/contrib/50-purple.conf.in" \
		>/etc/containers/containers.conf.d/50-purple.conf
	doctor
	local good
	good=$(finding podman)
	sed -i "s|${PURPLE_RUNTIME%/*}|/nowhere|" /etc/containers/containers.conf.d/50-purple.conf
	doctor
	rm /etc/containers/containers.conf.d/50-purple.conf
	assert_equal "$good" ok
	assert_equal "$(finding podman)" broken
	doctor
	assert_equal "$(finding podman)" absent
}

@test "an unknown format is refused" {
	run "$PURPLE" doctor --format xml
	assert_status 1
	assert_contains xml
}

@test "tracing: loaded where it can be, missing without bpffs; what is left of a trace is removed" {
	doctor
	assert_equal "$(finding tracing)" ok
	assert_equal "$(finding 'leftover traces')" ok
	local own
	for own in /sys/fs/bpf/purple-trace/*; do
		mkdir "$own/containers/killed"
	done
	doctor
	assert_status 1
	assert_equal "$(finding 'leftover traces')" broken
	assert_contains "gone: killed"
	doctor --fix
	assert_equal "$(finding 'leftover traces')" ok
	[[ -z $(ls "$own/containers") ]]
	while mountpoint -q /sys/fs/bpf; do
		umount -l /sys/fs/bpf
	done
	doctor
	mount -t bpf -o mode=0700 purple-test /sys/fs/bpf
	[[ $(finding tracing) != ok ]]
}

@test "network filter: loaded where it can be, missing without bpffs, and what to mount is said" {
	doctor
	assert_equal "$(finding 'network filter')" ok
	assert_equal "$(finding 'network names')" ok
	while mountpoint -q /sys/fs/bpf; do
		umount -l /sys/fs/bpf
	done
	doctor
	mount -t bpf -o mode=0700 purple-test /sys/fs/bpf
	[[ $(finding 'network filter') != ok ]]
	assert_contains "mount -t bpf bpf /sys/fs/bpf"
}
