#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# An ordinary user on a host that systemd booted, with cgroup v2 alone and a systemd of the user's
# own: tests/vm/run. What such a user has where there is none is in tests/bats/podman-rootless.bats.

load ../bats/helpers

BUS=/run/user/1000/bus

setup_file() {
	requires root private_etc busybox jq podman conmon subids slirp4netns
	if [[ ! -d /run/systemd/system || ! -e /sys/fs/cgroup/cgroup.controllers ]] || ! id tester >/dev/null 2>&1; then
		skip "needs a host with systemd and cgroup v2 alone"
	fi
	wait_for 30 test -S "$BUS"
	# Short: conmon's sockets are in it.
	export RL_DIR=$PURPLE_TEST_DIR/rl
	mkdir "$RL_DIR"
	install -d -m 0700 -o tester -g tester "$RL_DIR"/{storage,tmp}
	podman_conf "$RL_DIR" "$RL_DIR/storage" /run/user/1000/containers </dev/null
	sed -i 's/cgroup_manager = "cgroupfs"/cgroup_manager = "systemd"/' "$RL_DIR/containers.conf"
	podman_image "$RL_DIR"
}

setup() {
	purple_setup
	RUN=$BATS_TEST_TMPDIR/user
	install -d -m 0700 -o tester -g tester "$RUN"
}

teardown() {
	local left=0
	podman_ rm -a -f -t 0 >/dev/null || left=1
	wait_for 5 nothing_left || left=1
	purple_teardown || left=1
	return "$left"
}

teardown_file() {
	local pid
	# The process that keeps Podman's namespaces between its commands.
	pid=$(cat /run/user/1000/libpod/tmp/pause.pid 2>/dev/null) || return 0
	kill "$pid"
}

nothing_left() {
	[[ -z $(ls -A /run/user/1000/purple 2>/dev/null) &&
		-z $(find /sys/fs/cgroup/user.slice -name 'libpod-*' -o -name 'purple-*') ]]
}

# tester COMMAND...: as that user, as after a login.
tester() {
	env -i --chdir=/home/tester PATH="$PATH" HOME=/home/tester TMPDIR="$RL_DIR/tmp" XDG_RUNTIME_DIR=/run/user/1000 \
		DBUS_SESSION_BUS_ADDRESS=unix:path=$BUS CONTAINERS_CONF="$RL_DIR/containers.conf" \
		CONTAINERS_STORAGE_CONF="$RL_DIR/storage.conf" \
		setpriv --reuid=1000 --regid=1000 --init-groups -- "$@"
}

podman_() {
	tester timeout --foreground -k 5 $((60 * ${PURPLE_TEST_SLOWNESS:-4})) podman --log-level error "$@"
}

# The group of Podman's container ID.
podman_group() {
	echo "/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$(podman_ inspect -f '{{.State.Pid}}' "$ID")/cgroup")"
}

profile() { # <YAML
	{
		printf 'name: mine\n'
		host_files
		cat
	} >"$RUN/p.yaml"
	chmod 0644 "$RUN/p.yaml"
}

agent() { # SCRIPT
	run tester "$PURPLE" run --profile "$RUN/p.yaml" --name "$ID" -- sh -c "$1"
}

@test "Podman: limits of the engine hold in a scope of the user's own, and can be changed" {
	podman_ run -d --name "$ID" --memory 64m --pids-limit 50 --cpus 0.5 localhost/busybox sleep 1000
	local group
	group=$(podman_group)
	[[ $group == /sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-*.scope* ]]
	group=${group%%.scope*}.scope
	assert_equal "$(cat "$group/memory.max" "$group/pids.max" "$group/cpu.max")" $'67108864\n50\n50000 100000'
	podman_ update --memory 96m "$ID"
	assert_equal "$(<"$group/memory.max")" 100663296
	podman_ pause "$ID"
	grep -qx 'frozen 1' "$group/cgroup.events"
	podman_ unpause "$ID"
	podman_ stats --no-stream --format '{{.PIDs}}' "$ID" | grep -qx 1
	run podman_ exec "$ID" sh -c 'n=0; while [ $n -lt 60 ]; do sleep 100 & n=$((n + 1)); done'
	((status != 0))
	podman_ rm -f -t 0 "$ID"
	[[ ! -e $group ]]
}

@test "Podman: a policy's limits hold, and what only root can have keeps the container from starting" {
	policy_install limits <<<'{ name: limits, resources: { memory_limit_bytes: 64M, pids_limit: 20, cpu_shares: 0.5 } }'
	podman_ run -d --name "$ID" --memory 1g --annotation io.purple.policy=limits localhost/busybox sleep 1000
	local group rule
	group=$(podman_group)
	assert_equal "$(cat "$group/memory.max" "$group/pids.max" "$group/cpu.max")" $'67108864\n20\n50000 100000'
	run podman_ exec "$ID" dd if=/dev/zero of=/dev/null bs=128M count=1
	((status != 0))
	podman_ rm -f -t 0 "$ID"
	for rule in 'network: { allow_outgoing: ["192.0.2.1:80"] }' 'network: { isolated: true }, audit: { log_path: /var/log/purple/x.jsonl }' \
		'ai_policy: { budget: { max_tokens: 100 } }'; do
		policy_install refused <<<"{ name: refused, $rule }"
		run podman_ run --rm --name "$ID" --network slirp4netns --annotation io.purple.policy=refused localhost/busybox echo started
		((status != 0))
		assert_lacks started
	done
}

@test "purple run: limits are held in a scope of the user's own, and nothing is left" {
	profile <<<'resources: { memory_limit_bytes: 64M, pids_limit: 20, cpu_shares: 0.5 }'
	agent 'cat /proc/self/cgroup; n=0; while [ $n -lt 30 ]; do sleep 100 & n=$((n + 1)); done; echo all'
	((status != 0))
	assert_lacks all
	agent 'dd if=/dev/zero of=/dev/null bs=256M count=1; echo survived'
	assert_status 137
	assert_lacks survived
}

@test "purple run: ps, stop, and the cleaner when the supervisor is killed" {
	profile <<<'resources: { memory_limit_bytes: 64M }'
	tester "$PURPLE" run --profile "$RUN/p.yaml" --name "$ID" -- sleep 1000 </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	wait_for 20 eval '[[ $(tester "$PURPLE" ps -q) == "$ID" ]]'
	[[ -d /sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/user.slice/purple-$ID.scope ]]
	tester "$PURPLE" stop "$ID"
	wait "$!" || true
	nothing_left
	tester "$PURPLE" run --profile "$RUN/p.yaml" --name "$ID" -- sleep 1000 </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	wait_for 20 eval '[[ $(tester "$PURPLE" ps -q) == "$ID" ]]'
	# The oldest is the supervisor; the cleaner has its command line.
	kill -9 "$(pgrep -o -u tester -x purple)"
	wait_for 20 nothing_left
}

@test "purple run: without a systemd of the user's, and for a network that is not isolated, it says what is missing" {
	profile <<<'resources: { memory_limit_bytes: 64M }'
	run tester env -u XDG_RUNTIME_DIR "$PURPLE" --root "$RUN/root" run --profile "$RUN/p.yaml" -- echo started
	assert_status 125
	assert_lacks started
	assert_contains "systemctl --user"
	profile <<<'network: { isolated: false }'
	agent 'echo started'
	assert_status 125
	assert_contains "network.isolated: false needs root"
}

@test "doctor finds the limits that such a user has" {
	run --separate-stderr tester "$PURPLE" doctor --format json
	local check
	for check in memory cpu pids; do
		assert_equal "$(jq -r --arg c "cgroup $check" '.[] | select(.check == $c) | .status' <<<"$output")" ok
	done
}
