#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# process, names and annotations of config.json: the finer points, after those of runtime-process.

load helpers
load spec

setup() {
	spec_setup
}

teardown() {
	spec_teardown
}

# A capability set of a process as the names that capsh decodes it to.
cap_set() { # PID SET
	awk -v s="Cap$2:" '$1 == s { print $2 }' "/proc/$1/status"
}

bits() { # CAP-NUMBER...: the mask as /proc shows it
	local n mask=0
	for n; do mask=$((mask | 1 << n)); done
	printf '%016x\n' "$mask"
}

# --- capabilities ---------------------------------------------------------------------------------

@test "with empty capability sets there are none" {
	local set
	edit_config '.process.capabilities = {}'
	start_sleeper
	for set in Bnd Prm Eff Inh Amb; do
		assert_equal "$(cap_set "$PID" "$set")" "$(bits)"
	done
}

@test "a capability that nobody knows is warned about and ignored" {
	edit_config '.process.capabilities |= map_values(. + ["CAP_FROM_THE_FUTURE"])'
	run_script 'echo runs'
	assert_status 0
	assert_output runs
	new_id
	run purple_rt --log-level warning run --bundle "$BUNDLE" "$ID"
	assert_status 0
	assert_contains CAP_FROM_THE_FUTURE
}

@test "an ambient capability that cannot be is warned about and left out" {
	edit_config '.process.capabilities = {bounding: ["CAP_CHOWN"], permitted: ["CAP_CHOWN"], ambient: ["CAP_CHOWN"]}'
	set_script 'grep CapAmb /proc/self/status'
	run purple_rt --log-level warning run --bundle "$BUNDLE" "$ID"
	assert_status 0
	assert_contains "CAP_CHOWN (ambient)"
	assert_contains "CapAmb:	$(bits)"
}

@test "capability sets that contradict each other are refused" {
	refused '.process.capabilities = {bounding: ["CAP_CHOWN"], effective: ["CAP_CHOWN"]}' \
		"process.capabilities.effective has CAP_CHOWN, which process.capabilities.permitted lacks"
	refused '.process.capabilities = {inheritable: ["CAP_CHOWN"]}' \
		"process.capabilities.inheritable has CAP_CHOWN, which process.capabilities.bounding lacks"
	refused '.process.capabilities = ["CAP_CHOWN"]' "process.capabilities"
}

# --- user -----------------------------------------------------------------------------------------

@test "ids that are none are refused" {
	refused '.process.user.additionalGids = [1, 4294967295]' "process.user.additionalGids[1]"
	refused '.process.user.uid = 4294967296' "process.user.uid"
	refused '.process.user.uid = 1.5' "process.user.uid"
}

# --- args, env, cwd -------------------------------------------------------------------------------

@test "args reach the program word by word" {
	set_command printf '%s|' 'two words' '' '$HOME' '"quoted"' $'line\nbreak' 'üñí'
	run purple_rt run --bundle "$BUNDLE" "$ID"
	assert_status 0
	assert_output $'two words||$HOME|"quoted"|line\nbreak|üñí|'
	refused '.process.args = "sh"' "process.args"
	refused '.process.args = ["sh", 1]' "process.args[1]"
}

@test "of env entries with the same name the last counts, and what is no NAME=value is left out" {
	edit_config '.process.env = ["PATH=/bin", "A=1", "B=2", "AA=3", "A=4", "NOVALUE", "=x", "E="]'
	set_command env
	run purple_rt run --bundle "$BUNDLE" "$ID"
	assert_status 0
	assert_output $'PATH=/bin\nA=4\nB=2\nAA=3\nE=\nHOME=/root'
}

# --- stdio ----------------------------------------------------------------------------------------

@test "a user can open the pipes of its stdio by name, and files of the host keep their owner" {
	edit_config '.process.user = {uid: 1000, gid: 1000}'
	set_script 'echo out >/dev/stdout; echo err >/dev/stderr'
	purple_rt run --bundle "$BUNDLE" "$ID" 2> >(cat >err) | cat >out
	assert_equal "$(cat out)" out
	wait_for 5 grep -q err err
	new_id
	purple_rt run --bundle "$BUNDLE" "$ID" >file 2>&1 || true
	assert_equal "$(stat -c %u file)" 0
}

# --- limits and scores ----------------------------------------------------------------------------

@test "every kind of rlimit is taken, and a limit holds" {
	local type
	for type in AS CORE CPU DATA FSIZE LOCKS MEMLOCK MSGQUEUE NICE NOFILE NPROC RSS RTPRIO RTTIME SIGPENDING STACK; do
		# The kernel's own hard limit, so that nothing has to be raised.
		edit_config '.process.rlimits = [{type: $t, soft: 0, hard: 0}]' --arg t "RLIMIT_$type"
		case $type in
		AS | DATA | STACK | NOFILE) edit_config '.process.rlimits[0] |= (.soft = 99000000 | .hard = 99000000)' ;;
		esac
		[[ $type != NOFILE ]] || edit_config '.process.rlimits[0] |= (.soft = 64 | .hard = 64)'
		[[ $type != CPU ]] || edit_config '.process.rlimits[0] |= (.soft = 5 | .hard = 9)'
		run_script true
		echo "$type"
		assert_status 0
	done
	edit_config '.root.readonly = false | .process.rlimits = [{type: "RLIMIT_FSIZE", soft: 1024, hard: 1024}]'
	run_script 'trap "" XFSZ; head -c 5000 /dev/zero >/tmp/big; stat -c %s /tmp/big'
	assert_contains 1024
}

@test "an oomScoreAdj of 0 is set, whatever the caller has" {
	edit_config '.process.oomScoreAdj = 0'
	set_command sleep 1000
	(
		echo 123 >/proc/self/oom_score_adj
		create_container
	)
	PID=$(cat pid)
	assert_equal "$(cat "/proc/$PID/oom_score_adj")" 0
	refused '.process.oomScoreAdj = -1001' "process.oomScoreAdj: must be between -1000 and 1000"
}

@test "without oomScoreAdj the caller's value stays" {
	set_command sleep 1000
	(
		echo 123 >/proc/self/oom_score_adj
		purple_rt create --bundle "$BUNDLE" --pid-file pid "$ID" </dev/null >out 2>&1
	)
	assert_equal "$(cat "/proc/$(cat pid)/oom_score_adj")" 123
}

# --- names and annotations ------------------------------------------------------------------------

@test "hostname and domainname are the container's, and the host keeps its own" {
	local before
	before=$(hostname)
	edit_config '.hostname = "box.example" | .domainname = "nis.example"'
	start_sleeper
	run purple_rt exec "$ID" sh -c 'hostname; cat /proc/sys/kernel/domainname'
	assert_output $'box.example\nnis.example'
	assert_equal "$(nsenter -t "$PID" -u hostname)" box.example
	assert_equal "$(hostname)" "$before"
}

@test "annotations are in the state, and wrong ones are refused" {
	edit_config '.annotations = {"org.example.key": "value", "x": ""}'
	start_sleeper
	run purple_rt state "$ID"
	assert_equal "$(jq -c '.annotations | {"org.example.key", x}' <<<"$output")" '{"org.example.key":"value","x":""}'
	refused '.annotations = {"": "x"}' "annotations: a key must not be empty"
	refused '.annotations = {"a": 1}' "annotations"
	refused '.annotations = ["a"]' "annotations"
}

# --- what is not built ----------------------------------------------------------------------------

@test "members for other systems, and those of Purple own state, are refused by name" {
	local member
	for member in process.commandLine solaris windows zos freebsd; do
		refused "setpath(\"$member\" | split(\".\"); {a: 1})" "$member"
	done
	refused '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [], purpleExecOnce: true}' "purpleExecOnce"
}

@test "empty labels ask for nothing" {
	edit_config '.process.apparmorProfile = "" | .process.selinuxLabel = "" | .linux.mountLabel = ""
'
	run_script 'echo runs'
	assert_status 0
	assert_output runs
}

@test "an ociVersion before 1, or one that is no version, is refused" {
	refused '.ociVersion = "0.9.0"' "ociVersion: '0.9.0' is not supported"
	refused '.ociVersion = "1.0"' "ociVersion: '1.0' is no semantic version"
	refused '.ociVersion = "01.0.0"' "ociVersion: '01.0.0' is no semantic version"
	refused '.ociVersion = 1' "ociVersion"
}
