#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# process, hostname, domainname and annotations of config.json, and the members that are refused.

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

@test "the five capability sets are as given, inside and outside" {
	# CHOWN 0, DAC_OVERRIDE 1, FOWNER 3, KILL 5, NET_RAW 13.
	edit_config '.process.capabilities = {
		bounding: ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL", "CAP_NET_RAW"],
		permitted: ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL"],
		effective: ["CAP_CHOWN", "CAP_DAC_OVERRIDE"],
		inheritable: ["CAP_CHOWN", "CAP_FOWNER"],
		ambient: ["CAP_CHOWN"]} | .process.user = {uid: 1000, gid: 1000}'
	start_sleeper
	assert_equal "$(cap_set "$PID" Bnd)" "$(bits 0 1 3 5 13)"
	assert_equal "$(cap_set "$PID" Inh)" "$(bits 0 3)"
	assert_equal "$(cap_set "$PID" Amb)" "$(bits 0)"
	# What an ordinary user has after execve() is what is ambient.
	assert_equal "$(cap_set "$PID" Prm)" "$(bits 0)"
	assert_equal "$(cap_set "$PID" Eff)" "$(bits 0)"
	run purple_rt exec "$ID" sh -c 'grep Cap /proc/self/status'
	assert_contains "CapBnd:	$(bits 0 1 3 5 13)"
	assert_contains "CapInh:	$(bits 0 3)"
}

@test "root gets the permitted and effective sets within the bounding set" {
	edit_config '.process.capabilities = {bounding: ["CAP_CHOWN", "CAP_KILL"], permitted: ["CAP_CHOWN", "CAP_KILL"],
		effective: ["CAP_CHOWN", "CAP_KILL"]}'
	start_sleeper
	local set
	for set in Bnd Prm Eff; do
		assert_equal "$(cap_set "$PID" "$set")" "$(bits 0 5)"
	done
	assert_equal "$(cap_set "$PID" Amb)" "$(bits)"
	assert_equal "$(cap_set "$PID" Inh)" "$(bits)"
}

@test "without capabilities, and with empty sets, there are none" {
	local filter set
	for filter in 'del(.process.capabilities)' '.process.capabilities = {}'; do
		edit_config "$filter"
		start_sleeper
		for set in Bnd Prm Eff Inh Amb; do
			assert_equal "$(cap_set "$PID" "$set")" "$(bits)"
		done
		purple_rt delete --force "$ID"
		new_id
	done
}

@test "a capability that is given works, one that is not does not" {
	edit_config '.root.readonly = false'
	run_script 'touch /tmp/f; chown 5:5 /tmp/f 2>/dev/null || echo "no chown"'
	assert_output "no chown"
	edit_config '.process.capabilities |= map_values(. + ["CAP_CHOWN"])'
	run_script 'chown 5:5 /tmp/f && stat -c %u /tmp/f'
	assert_output 5
}

@test "a capability that nobody knows is warned about and ignored" {
	edit_config '.process.capabilities |= map_values(. + ["CAP_FROM_THE_FUTURE"])'
	run_script 'echo runs'
	assert_status 0
	assert_output runs
	new_id
	run purple_rt --log-level warn run --bundle "$BUNDLE" "$ID"
	assert_status 0
	assert_contains CAP_FROM_THE_FUTURE
}

@test "capability sets that contradict each other are refused" {
	refused '.process.capabilities = {bounding: ["CAP_CHOWN"], effective: ["CAP_CHOWN"]}' \
		"process.capabilities.effective has CAP_CHOWN, which process.capabilities.permitted lacks"
	refused '.process.capabilities = {bounding: ["CAP_CHOWN"], permitted: ["CAP_CHOWN"], ambient: ["CAP_CHOWN"]}' \
		"process.capabilities.ambient has CAP_CHOWN"
	refused '.process.capabilities = ["CAP_CHOWN"]' "process.capabilities"
}

@test "noNewPrivileges is set when asked for, and only then" {
	start_sleeper
	assert_equal "$(awk '/^NoNewPrivs/ { print $2 }' "/proc/$PID/status")" 1
	purple_rt delete --force "$ID"
	new_id
	edit_config '.process.noNewPrivileges = false'
	start_sleeper
	assert_equal "$(awk '/^NoNewPrivs/ { print $2 }' "/proc/$PID/status")" 0
	refused '.process.noNewPrivileges = "yes"' "process.noNewPrivileges"
}

# --- user -----------------------------------------------------------------------------------------

@test "uid, gid and additionalGids are those of the process, real, effective, saved and of files" {
	edit_config '.process.user = {uid: 1234, gid: 2345, additionalGids: [7, 3456]}'
	start_sleeper
	assert_equal "$(awk '/^Uid/ { print $2, $3, $4, $5 }' "/proc/$PID/status")" "1234 1234 1234 1234"
	assert_equal "$(awk '/^Gid/ { print $2, $3, $4, $5 }' "/proc/$PID/status")" "2345 2345 2345 2345"
	assert_equal "$(awk '/^Groups/ { print $2, $3, NF }' "/proc/$PID/status")" "7 3456 3"
	run purple_rt exec "$ID" id
	assert_contains "uid=1234 gid=2345"
	assert_contains "3456"
}

@test "without additionalGids there are no groups of the caller left" {
	set_command sleep 1000
	setpriv --groups 4242,4343 "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" create --bundle "$BUNDLE" \
		--pid-file pid "$ID" </dev/null >out 2>&1
	purple_rt start "$ID"
	wait_for 5 grep -q sleep "/proc/$(cat pid)/comm"
	assert_equal "$(awk '/^Groups/ { print NF }' "/proc/$(cat pid)/status")" 1
}

@test "umask is that of config.json, and 0022 when there is none" {
	edit_config '.root.readonly = false | .process.user.umask = 63' # 0077
	run_script 'umask; touch /tmp/a; stat -c %a /tmp/a'
	assert_output $'0077\n600'
	edit_config 'del(.process.user.umask)'
	run_script 'umask'
	assert_output 0022
	edit_config '.process.user.umask = 0'
	run_script 'umask'
	assert_output 0000
	refused '.process.user.umask = 512' "process.user.umask: must not be above 511"
	refused '.process.user.umask = -1' "process.user.umask"
}

@test "ids that are none are refused" {
	refused '.process.user.uid = 4294967295' "process.user.uid: 4294967295 is no user id"
	refused '.process.user.gid = 4294967295' "process.user.gid: 4294967295 is no group id"
	refused '.process.user.additionalGids = [1, 4294967295]' "process.user.additionalGids[1]"
	refused '.process.user.uid = 4294967296' "process.user.uid"
	refused '.process.user.uid = -5' "process.user.uid"
	refused '.process.user.uid = "root"' "process.user.uid"
	refused '.process.user.uid = 1.5' "process.user.uid"
}

# --- args, env, cwd -------------------------------------------------------------------------------

@test "args reach the program word by word" {
	set_command printf '%s|' 'two words' '' '$HOME' '"quoted"' $'line\nbreak' 'üñí'
	run purple_rt run --bundle "$BUNDLE" "$ID"
	assert_status 0
	assert_output $'two words||$HOME|"quoted"|line\nbreak|üñí|'
	refused '.process.args = []' "process.args: must not be empty"
	refused 'del(.process.args)' "process.args"
	refused '.process.args = "sh"' "process.args"
	refused '.process.args = ["sh", 1]' "process.args[1]"
}

@test "the program is looked for in the PATH of config.json" {
	mkdir -p "$BUNDLE/rootfs/opt/tools"
	printf '#!/bin/sh\necho "from opt $0"\n' >"$BUNDLE/rootfs/opt/tools/tool"
	chmod 0755 "$BUNDLE/rootfs/opt/tools/tool"
	edit_config '.process.env = ["PATH=/nowhere:/opt/tools:/bin"]'
	set_command tool
	run purple_rt run --bundle "$BUNDLE" "$ID"
	assert_output "from opt /opt/tools/tool"
	edit_config '.process.env = ["PATH=/bin"]'
	refused '.' 'exec: "tool": executable file not found in $PATH'
}

@test "env is passed as it is, and HOME of /etc/passwd added where there is none" {
	edit_config '.process.env = ["PATH=/bin", "A=1 2", "EMPTY=", "B=x=y"]'
	run_script 'echo "$A|$EMPTY|$B|$HOME"'
	assert_output '1 2||x=y|/root'
	edit_config '.process.env += ["HOME=/given"]'
	run_script 'echo $HOME'
	assert_output /given
	edit_config '.process.env -= ["HOME=/given"] | .process.user = {uid: 4242, gid: 0}'
	run_script 'echo $HOME'
	assert_output /
}

@test "cwd is where the program starts, and is made when it is missing" {
	edit_config '.root.readonly = false | .process.cwd = "/usr/bin"'
	run_script pwd
	assert_output /usr/bin
	edit_config '.process.cwd = "/made/for/me"'
	run_script pwd
	assert_output /made/for/me
	[[ -d $BUNDLE/rootfs/made/for/me ]]
}

@test "a cwd that is wrong is refused: relative, a file, not to be made, outside the root" {
	refused '.process.cwd = "tmp"' "process.cwd: must be an absolute path"
	refused 'del(.process.cwd)' "process.cwd"
	edit_config '.process.cwd = "/etc/passwd"'
	set_command true
	create_container
	run purple_rt start "$ID"
	assert_status 1
	assert_contains "/etc/passwd"
	new_id
	edit_config '.process.cwd = "/not/there"' # on a read-only root
	create_container
	run purple_rt start "$ID"
	assert_status 1
	assert_contains "/not/there"
	[[ ! -e $BUNDLE/rootfs/not ]]
	# CVE-2024-21626: a descriptor of the host that was left open would be a way out.
	local fd
	for fd in 3 4 5 6 7 8 9 10 11 12; do
		edit_config '.process.cwd = $p' --arg p "/proc/self/fd/$fd"
		run_script pwd
		((status != 0))
		assert_lacks "$BUNDLE"
	done
	exec 7</
	edit_config '.process.cwd = "/proc/self/fd/7"'
	set_script 'ls ../../../../'
	new_id
	run purple_rt run --preserve-fds 5 --bundle "$BUNDLE" "$ID"
	exec 7<&-
	assert_status 1
	assert_contains "outside the container's root"
}

# --- limits and scores ----------------------------------------------------------------------------

@test "rlimits are set, soft and hard, inside and outside" {
	edit_config '.process.rlimits = [
		{type: "RLIMIT_NOFILE", soft: 100, hard: 200}, {type: "RLIMIT_CORE", soft: 0, hard: 4096},
		{type: "RLIMIT_FSIZE", soft: 1048576, hard: 2097152}, {type: "RLIMIT_STACK", soft: 4194304, hard: 8388608},
		{type: "RLIMIT_NPROC", soft: 500, hard: 600}, {type: "RLIMIT_MEMLOCK", soft: 1024, hard: 2048}]'
	start_sleeper
	local all
	all=$(prlimit --pid "$PID" --noheadings --raw --output RESOURCE,SOFT,HARD)
	grep -qx 'NOFILE 100 200' <<<"$all"
	grep -qx 'CORE 0 4096' <<<"$all"
	grep -qx 'FSIZE 1048576 2097152' <<<"$all"
	grep -qx 'STACK 4194304 8388608' <<<"$all"
	grep -qx 'NPROC 500 600' <<<"$all"
	grep -qx 'MEMLOCK 1024 2048' <<<"$all"
	run purple_rt exec "$ID" sh -c 'ulimit -Sn; ulimit -Hn'
	assert_output $'100\n200'
}

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

@test "wrong rlimits are refused" {
	refused '.process.rlimits = [{type: "RLIMIT_NOSUCH", soft: 1, hard: 1}]' "process.rlimits[0].type: 'RLIMIT_NOSUCH' is unknown"
	refused '.process.rlimits += [{type: "RLIMIT_NOFILE", soft: 1, hard: 1}]' "process.rlimits[1].type: RLIMIT_NOFILE is given twice"
	refused '.process.rlimits[0].soft = 5000' "process.rlimits[0]: soft is above hard"
	refused '.process.rlimits[0].soft = -1' "process.rlimits[0].soft"
	refused 'del(.process.rlimits[0].hard)' "process.rlimits[0].hard"
}

@test "a hard limit above the caller's is an error that names it when the right to raise it is missing" {
	if capsh --has-p=cap_sys_resource 2>/dev/null; then
		skip "needs a caller without CAP_SYS_RESOURCE"
	fi
	refused '.process.rlimits = [{type: "RLIMIT_NOFILE", soft: 1, hard: 1000000000}]' "RLIMIT_NOFILE"
}

@test "oomScoreAdj is set, and 0 too" {
	edit_config '.process.oomScoreAdj = 321'
	start_sleeper
	assert_equal "$(cat "/proc/$PID/oom_score_adj")" 321
	run purple_rt exec "$ID" cat /proc/1/oom_score_adj
	assert_output 321
	purple_rt delete --force "$ID"
	new_id
	edit_config '.process.oomScoreAdj = 0'
	(echo 200 >/proc/self/oom_score_adj && exec bash -c true)
	start_sleeper
	assert_equal "$(cat "/proc/$PID/oom_score_adj")" 0
	refused '.process.oomScoreAdj = 1001' "process.oomScoreAdj: must be between -1000 and 1000"
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

@test "a hostname that cannot be set is refused" {
	refused '.hostname = "h" * 65' "hostname: is longer than 64 bytes"
	refused '.domainname = "d" * 65' "domainname: is longer than 64 bytes"
	drop_namespace uts
	refused '.' "hostname: cannot be set without a uts namespace"
	refused 'del(.hostname) | .domainname = "d"' "domainname: cannot be set without a uts namespace"
	run hostname
	assert_lacks purple
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

@test "members of the specification that are not built are refused by name" {
	local member
	for member in process.scheduler process.ioPriority process.execCPUAffinity process.commandLine linux.netDevices \
		linux.intelRdt linux.memoryPolicy linux.personality solaris windows zos vm; do
		refused "setpath(\"$member\" | split(\".\"); {a: 1})" "$member"
	done
	refused '.process.apparmorProfile = "unconfined-ish"' "process.apparmorProfile is not supported"
	refused '.process.selinuxLabel = "u:r:t:s0"' "process.selinuxLabel is not supported"
	refused '.linux.mountLabel = "u:r:t:s0"' "linux.mountLabel is not supported"
	refused '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [], purpleExecOnce: true}' "purpleExecOnce"
}

@test "empty labels ask for nothing, and members that nobody knows are ignored, as the specification wants" {
	edit_config '.process.apparmorProfile = "" | .process.selinuxLabel = "" | .linux.mountLabel = ""
		| .newMember = {a: 1} | .process.newMember = 5 | .linux.newMember = "x"'
	run_script 'echo runs'
	assert_status 0
	assert_output runs
}

@test "ociVersion: every 1.x is taken, others are not" {
	local version
	for version in 1.0.0 1.0.2-dev 1.1.0+build 1.2.0 1.9.7; do
		edit_config '.ociVersion = $v' --arg v "$version"
		run_script "echo $version"
		assert_output "$version"
	done
	refused '.ociVersion = "2.0.0"' "ociVersion: '2.0.0' is not supported"
	refused '.ociVersion = "0.9.0"' "ociVersion: '0.9.0' is not supported"
	refused '.ociVersion = "1.0"' "ociVersion: '1.0' is no semantic version"
	refused '.ociVersion = "latest"' "ociVersion: 'latest' is no semantic version"
	refused 'del(.ociVersion)' "ociVersion"
}
