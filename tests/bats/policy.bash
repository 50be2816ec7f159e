# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the policy-*.bats files share. The agent (helpers/agent.c) is a static program that tries
# what a policy forbids. It runs in a container to which the engine grants everything there is to
# grant, so that whatever is denied is denied by the policy. A test that shows a denial first shows
# with run_free that without the policy the same thing works.

load helpers

# Called by setup_file: builds the agent, once a run; PURPLE_TEST_AGENT is one that is built already,
# for machines without compiler.
agent_build() {
	requires root private_etc jq busybox capsh
	if [[ -n ${PURPLE_TEST_AGENT:-} ]]; then
		cp "$PURPLE_TEST_AGENT" "$PURPLE_TEST_DIR/agent"
		return
	fi
	command -v gcc >/dev/null || skip "needs the program gcc"
	(
		flock 9
		[[ -e $PURPLE_TEST_DIR/agent ]] && exit
		gcc -std=gnu17 -O1 -static -pthread -o "$PURPLE_TEST_DIR/agent.new" \
			"$PURPLE_SRCDIR/tests/bats/helpers/agent.c" || exit
		mv "$PURPLE_TEST_DIR/agent.new" "$PURPLE_TEST_DIR/agent"
	) 9>"$PURPLE_TEST_DIR/agent.lock"
}

# The names of all capabilities that this test run has, as a JSON array.
all_capabilities() {
	capsh --decode="$(awk '/^CapPrm/ { print $2 }' /proc/self/status)" |
		sed 's/.*=//' | tr ',' '\n' | tr '[:lower:]' '[:upper:]' | jq -Rcn '[inputs | select(. != "")]'
}

# make_generous_bundle [DIR]: the agent is /bin/agent, and the engine forbids nothing.
make_generous_bundle() {
	make_bundle "${1:-$BATS_TEST_TMPDIR/bundle}"
	cp "$PURPLE_TEST_DIR/agent" "$BUNDLE/rootfs/bin/agent"
	edit_config '.root.readonly = false
		| .process.noNewPrivileges = false
		| del(.linux.maskedPaths, .linux.readonlyPaths, .linux.seccomp)
		| .linux.resources.devices = [{ allow: true, access: "rwm" }]
		| .mounts |= map(.options |= ((. // []) | map(select(. != "ro"))))
		| .process.capabilities = { bounding: $caps, effective: $caps, permitted: $caps,
			inheritable: $caps, ambient: $caps }' --argjson caps "$(all_capabilities)"
}

# add_mount SOURCE DESTINATION [OPTIONS]: a bind mount of the engine's.
add_mount() {
	edit_config '.mounts += [{ type: "bind", source: $s, destination: $d, options: ($o | split(",")) }]' \
		--arg s "$1" --arg d "$2" --arg o "${3:-rbind,rw}"
}

# policy NAME <YAML without the name: installs it.
policy() {
	policy_install "$1" <<<"name: $1"$'\n'"$(cat)"
}

# run_under POLICY SCRIPT, run_free SCRIPT: `run`s a script in a fresh container.
run_under() {
	set_script "$2"
	new_id
	run purple_rt --policy "$1" run --bundle "$BUNDLE" "$ID"
}
run_free() {
	run_script "$1"
}

# start_under POLICY SCRIPT: ID runs in the background; PID is its init. create_under leaves the
# start to the caller.
start_under() {
	create_under "$@" && purple_rt start "$ID"
}
create_under() {
	set_script "$2"
	new_id
	purple_rt --policy "$1" create --bundle "$BUNDLE" --pid-file "$BATS_TEST_TMPDIR/pid" "$ID" \
		</dev/null >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" ||
		{ cat "$BATS_TEST_TMPDIR/err"; return 1; }
	PID=$(<"$BATS_TEST_TMPDIR/pid")
}

# assert_refused NAME LINE:COLUMN TEXT: the policy keeps the container from being made, with a
# message that points there and says TEXT; nothing of the container exists.
assert_refused() {
	new_id
	run purple_rt --policy "$1" create --bundle "$BUNDLE" "$ID"
	((status != 0)) || { echo "the container was created"; return 1; }
	assert_contains "/etc/purple/policies/$1.yaml:$2: "
	assert_contains "$3"
	run purple_rt state "$ID"
	((status != 0))
	assert_contains "container does not exist"
}

# bad_value LINE:COLUMN TEXT <YAML: a policy of this text is refused. Line 1 is `name: bad`.
bad_value() {
	policy bad
	[[ -n ${BUNDLE:-} ]] || make_bundle
	assert_refused bad "$1" "$2"
}

# limit_of PID V1-CONTROLLER V1-FILE V2-FILE: what the process's group says.
limit_of() {
	local dir
	dir=$(cgroup_dir "$1" "$2")
	if [[ -e $dir/$3 ]]; then
		cat "$dir/$3"
	else
		cat "$(cgroup_dir "$1")/$4"
	fi
}
memory_limit_of() { limit_of "$1" memory memory.limit_in_bytes memory.max; }
pids_limit_of() { limit_of "$1" pids pids.max pids.max; }
# In thousandths of a CPU; "max" without a limit.
cpu_limit_of() {
	local dir quota period
	dir=$(cgroup_dir "$1" cpu)
	if [[ -e $dir/cpu.cfs_quota_us ]]; then
		quota=$(<"$dir/cpu.cfs_quota_us") period=$(<"$dir/cpu.cfs_period_us")
	else
		read -r quota period <"$(cgroup_dir "$1")/cpu.max"
	fi
	if [[ $quota == max || $quota == -1 ]]; then echo max; else echo $((quota * 1000 / period)); fi
}
