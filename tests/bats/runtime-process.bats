#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The process of config.json: ids, capabilities, limits, directory, and what is refused by name.

load helpers

setup() {
	requires root busybox jq
	purple_setup
	make_bundle
}

start_sleeper() {
	set_command sleep 1000
	create_container
	purple_rt start "$ID"
	PID=$(cat pid)
	wait_for 5 grep -q sleep "/proc/$PID/comm"
}

refused() { # FILTER MESSAGE: over a fresh config
	make_bundle "$BUNDLE" "$1"
	run purple_rt create --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "$2"
}

status_field() { # FIELD
	awk -v f="$1:" '$1 == f { print $2 }' "/proc/$PID/status"
}

# --- ids ------------------------------------------------------------------------------------------

@test "uid, gid and additional groups are set: real, effective, saved and of the file system" {
	edit_config '.process.user = {uid: 1000, gid: 1001, additionalGids: [20, 44]}'
	start_sleeper
	assert_equal "$(awk '/^Uid/ { print $2, $3, $4, $5 }' "/proc/$PID/status")" "1000 1000 1000 1000"
	assert_equal "$(awk '/^Gid/ { print $2, $3, $4, $5 }' "/proc/$PID/status")" "1001 1001 1001 1001"
	assert_equal "$(sed -n 's/^Groups:[[:space:]]*//p' "/proc/$PID/status")" "20 44 "
	assert_equal "$(purple_rt exec "$ID" id -G)" "1001 20 44"
}

@test "the caller's supplementary groups do not get in" {
	set_command sleep 1000
	setpriv --groups 4,5,6 "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" create --bundle "$BUNDLE" \
		--pid-file pid "$ID" </dev/null >out 2>&1
	purple_rt start "$ID"
	assert_equal "$(sed -n 's/^Groups:[[:space:]]*//p' "/proc/$(cat pid)/status")" ""
}

@test "umask is set, and 0022 when it is absent" {
	edit_config '.root.readonly = false'
	run_script 'umask; touch /a'
	assert_output 0022
	edit_config '.process.user.umask = 63'
	run_script 'umask; touch /b; mkdir /d'
	assert_output 0077
	assert_equal "$(stat -c %a "$BUNDLE/rootfs/"{a,b,d})" $'644\n600\n700'
	refused '.process.user.umask = 512' "process.user.umask"
}

@test "ids that are no ids are refused" {
	refused '.process.user.uid = 4294967295' "process.user.uid: 4294967295 is no user id"
	refused '.process.user.gid = 4294967295' "process.user.gid: 4294967295 is no group id"
	refused '.process.user.additionalGids = [4294967295]' "process.user.additionalGids[0]"
	refused '.process.user.uid = -1' "process.user.uid"
	refused '.process.user.uid = "root"' "process.user.uid"
	no_traces "$(test_prefix)"
}

@test "HOME comes from the container's passwd when it is not given" {
	run_script 'echo $HOME'
	assert_output /root
	edit_config '.process.env += ["HOME=/given"]'
	run_script 'echo $HOME'
	assert_output /given
	make_bundle "$BUNDLE" '.process.user = {uid: 4711, gid: 0}'
	run_script 'echo $HOME'
	assert_output /
}

# --- capabilities ---------------------------------------------------------------------------------

@test "all five capability sets are those of the config" {
	edit_config '.process.capabilities = {
		bounding: ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW", "CAP_SYS_CHROOT"],
		permitted: ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"],
		effective: ["CAP_CHOWN", "CAP_NET_RAW"],
		inheritable: ["CAP_KILL", "CAP_CHOWN"],
		ambient: ["CAP_KILL"]} | .process.user = {uid: 1000, gid: 1000}'
	start_sleeper
	# CHOWN 0, KILL 5, NET_RAW 13, SYS_CHROOT 18. An exec as an ordinary user keeps the ambient ones.
	assert_equal "$(status_field CapBnd)" 0000000000042021
	assert_equal "$(status_field CapInh)" 0000000000000021
	assert_equal "$(status_field CapAmb)" 0000000000000020
	assert_equal "$(status_field CapPrm)" 0000000000000020
	assert_equal "$(status_field CapEff)" 0000000000000020
}

@test "for root the exec gives what bounding and inheritable allow" {
	edit_config '.process.noNewPrivileges = false | .process.capabilities = {bounding: ["CAP_CHOWN", "CAP_KILL"],
		permitted: ["CAP_CHOWN"], effective: ["CAP_CHOWN"]}'
	start_sleeper
	assert_equal "$(status_field CapBnd)" 0000000000000021
	assert_equal "$(status_field CapEff)" "$(status_field CapPrm)"
	assert_equal "$(status_field CapAmb)" 0000000000000000
	assert_equal "$(status_field CapInh)" 0000000000000000
}

@test "without capabilities there are none, in any set" {
	edit_config 'del(.process.capabilities)'
	start_sleeper
	local set
	for set in CapInh CapPrm CapEff CapBnd CapAmb; do
		assert_equal "$set $(status_field "$set")" "$set 0000000000000000"
	done
	run purple_rt exec "$ID" chown 1 /dev/shm
	((status != 0))
}

@test "a capability that is missing is missing: chroot, chown, ping sockets, kill" {
	edit_config '.process.capabilities = {bounding: ["CAP_KILL"], permitted: ["CAP_KILL"], effective: ["CAP_KILL"]}'
	run_script 'touch /dev/shm/f; chown 5 /dev/shm/f; chroot / true; mknod /dev/shm/n c 1 3; hostname x; mount -t tmpfs x /dev/shm'
	((${#lines[@]} >= 5))
	edit_config '.process.capabilities = (["bounding", "effective", "permitted"] | map({(.): ["CAP_CHOWN", "CAP_SYS_CHROOT"]}) | add)'
	run_script 'touch /dev/shm/f; chown 5 /dev/shm/f && chroot / true && echo fine'
	assert_output fine
}

@test "unknown capabilities are ignored, inconsistent sets are refused" {
	edit_config '.process.capabilities.bounding += ["CAP_NO_SUCH_THING", "chown", "12"]'
	run_script 'grep CapBnd /proc/self/status'
	assert_status 0
	assert_contains 0000000020000420
	refused '.process.capabilities = {bounding: ["CAP_KILL"], permitted: ["CAP_KILL"], effective: ["CAP_KILL", "CAP_CHOWN"]}' \
		"process.capabilities.effective has CAP_CHOWN"
}

@test "noNewPrivileges is set and keeps a setuid program from gaining" {
	# busybox gives a setuid bit up itself: the host's id, with the libraries it needs.
	cp "$(command -v id)" "$BUNDLE/rootfs/bin/suid"
	chmod 4755 "$BUNDLE/rootfs/bin/suid"
	edit_config '.mounts += ($ARGS.positional | map({destination: ., source: ., options: ["rbind", "ro"]}))' \
		--args -- /usr /lib /lib64
	edit_config '.process.user = {uid: 1000, gid: 1000} | .process.noNewPrivileges = false'
	run_script 'grep -E "^NoNewPrivs" /proc/self/status | tr -s "\t " " "; suid -u'
	assert_output $'NoNewPrivs: 0\n0'
	edit_config '.process.noNewPrivileges = true'
	run_script 'grep -E "^NoNewPrivs" /proc/self/status | tr -s "\t " " "; suid -u'
	assert_output $'NoNewPrivs: 1\n1000'
}

# --- limits ---------------------------------------------------------------------------------------

@test "resource limits are set, soft and hard" {
	edit_config '.process.rlimits = [
		{type: "RLIMIT_NOFILE", soft: 100, hard: 200}, {type: "RLIMIT_CORE", soft: 0, hard: 4096},
		{type: "RLIMIT_NPROC", soft: 50, hard: 60}, {type: "RLIMIT_FSIZE", soft: 8192, hard: 16384},
		{type: "RLIMIT_STACK", soft: 1048576, hard: 8388608}, {type: "RLIMIT_CPU", soft: 100, hard: 200},
		{type: "RLIMIT_MEMLOCK", soft: 4096, hard: 8192}, {type: "RLIMIT_MSGQUEUE", soft: 1000, hard: 2000},
		{type: "RLIMIT_SIGPENDING", soft: 10, hard: 20}]'
	start_sleeper
	limit() {
		awk -v n="$1" 'index($0, n) == 1 { sub(n, ""); print $1, $2 }' "/proc/$PID/limits"
	}
	assert_equal "$(limit "Max open files")" "100 200"
	assert_equal "$(limit "Max core file size")" "0 4096"
	assert_equal "$(limit "Max processes")" "50 60"
	assert_equal "$(limit "Max file size")" "8192 16384"
	assert_equal "$(limit "Max stack size")" "1048576 8388608"
	assert_equal "$(limit "Max cpu time")" "100 200"
	assert_equal "$(limit "Max locked memory")" "4096 8192"
	assert_equal "$(limit "Max msgqueue size")" "1000 2000"
	assert_equal "$(limit "Max pending signals")" "10 20"
	assert_equal "$(purple_rt exec "$ID" sh -c 'ulimit -n; ulimit -Hn')" $'100\n200'
}

@test "a small RLIMIT_AS or RLIMIT_NPROC does not hinder the runtime itself" {
	edit_config '.process.rlimits = [{type: "RLIMIT_AS", soft: 8388608, hard: 8388608}]'
	run_script 'ulimit -v'
	assert_status 0
	assert_output 8192
	edit_config '.process.rlimits = [{type: "RLIMIT_NPROC", soft: 1, hard: 1}] | .process.user = {uid: 54321, gid: 1}'
	set_command grep 'Max processes' /proc/self/limits
	run purple_rt run --bundle "$BUNDLE" "$ID"
	assert_status 0
	assert_equal "$(tr -s ' ' <<<"$output")" "Max processes 1 1 processes "
}

@test "limits that are unknown, given twice, reversed or beyond our means are refused by name" {
	refused '.process.rlimits = [{type: "RLIMIT_FUN", soft: 1, hard: 1}]' "'RLIMIT_FUN' is unknown"
	refused '.process.rlimits += .process.rlimits' "RLIMIT_NOFILE is given twice"
	refused '.process.rlimits = [{type: "RLIMIT_CORE", soft: 2, hard: 1}]' "soft is above hard (RLIMIT_CORE)"
	refused '.process.rlimits = [{type: "RLIMIT_CORE", soft: -2, hard: 1}]' "process.rlimits[0].soft"
	refused '.process.rlimits = [{type: "RLIMIT_NOFILE", soft: 1, hard: 99999999999}]' "RLIMIT_NOFILE"
	no_traces "$(test_prefix)"
}

@test "oomScoreAdj is set, and refused out of range" {
	edit_config '.process.oomScoreAdj = 345'
	start_sleeper
	assert_equal "$(cat "/proc/$PID/oom_score_adj")" 345
	assert_equal "$(cat "/proc/$$/oom_score_adj")" 0
	assert_equal "$(purple_rt exec "$ID" cat /proc/self/oom_score_adj)" 345
	purple_rt delete --force "$ID"
	refused '.process.oomScoreAdj = 1001' "process.oomScoreAdj: must be between -1000 and 1000"
}

# --- directory and program ------------------------------------------------------------------------

@test "the program runs in cwd, which is made when it is missing" {
	edit_config '.process.cwd = "/tmp"'
	run_script 'pwd'
	assert_output /tmp
	edit_config '.process.cwd = "/new/deep/dir" | .root.readonly = false'
	run_script 'pwd'
	assert_status 0
	assert_output /new/deep/dir
	[[ -d $BUNDLE/rootfs/new/deep/dir ]]
}

@test "a cwd that cannot be, or that leads out of the root, is refused" {
	edit_config '.process.cwd = "/etc/passwd"'
	run_script pwd
	assert_status 1
	assert_contains "working directory '/etc/passwd'"
	edit_config '.process.cwd = "/no/such" | .root.readonly = true'
	run_script pwd
	assert_status 1
	assert_contains "working directory '/no/such'"
	refused '.process.cwd = "relative"' "process.cwd: must be an absolute path"
	refused 'del(.process.cwd)' "process.cwd"
	local fd host
	exec {host}</
	make_bundle
	for fd in 3 5 6 7 8 9 10 11 "$host"; do
		edit_config '.process.cwd = "/proc/self/fd/" + $n' --arg n "$fd"
		new_id
		set_script 'ls -d ../../../work ../../../../boot'
		run purple_rt run --bundle "$BUNDLE" "$ID"
		((status != 0))
		assert_lacks $'\nboot'
		[[ ! $output =~ ^../../../ ]]
	done
	exec {host}<&-
}

@test "args are passed as they are: empty ones, spaces, quotes, newlines" {
	set_command printf '[%s]' '' 'a b' "q'\"" $'x\ny' '$HOME' '*'
	run purple_rt run --bundle "$BUNDLE" "$ID"
	assert_status 0
	assert_output "[][a b][q'\"][x"$'\n'"y][\$HOME][*]"
}

@test "the program is looked up in the PATH of the config, with the first match" {
	mkdir "$BUNDLE/rootfs/first" "$BUNDLE/rootfs/second"
	printf '#!/bin/sh\necho first\n' >"$BUNDLE/rootfs/first/prog"
	printf '#!/bin/sh\necho second\n' >"$BUNDLE/rootfs/second/prog"
	chmod 0755 "$BUNDLE"/rootfs/*/prog
	edit_config '.process.env = ["PATH=/none:/first:/second"] | .process.args = ["prog"]'
	run purple_rt run --bundle "$BUNDLE" "$ID"
	assert_output first
	chmod 0644 "$BUNDLE/rootfs/first/prog"
	run purple_rt run --bundle "$BUNDLE" "$ID"
	assert_output second
	edit_config '.process.env = ["PATH=/none"]'
	run purple_rt run --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains 'exec: "prog": executable file not found in $PATH'
	edit_config '.process.env = [] | .process.args = ["echo", "default path"]'
	run purple_rt run --bundle "$BUNDLE" "$ID"
	assert_output "default path"
}

@test "empty args and missing members are refused" {
	refused '.process.args = []' "process.args: must not be empty"
	refused 'del(.process.args)' "process.args"
	refused 'del(.root)' "root: is required"
	refused '.root.path = ""' "root.path: must not be empty"
	refused 'del(.ociVersion)' "ociVersion: is required"
	refused '.ociVersion = "2.0.0"' "ociVersion: '2.0.0' is not supported"
	refused '.ociVersion = "one"' "ociVersion: 'one' is no semantic version"
	refused '.process.env = "A=1"' "process.env"
	refused '.process.terminal = "yes"' "process.terminal"
	refused '.mounts = {}' "mounts"
	no_traces "$(test_prefix)"
}

@test "any ociVersion 1.x is accepted" {
	local version
	for version in 1.0.0 1.0.2-dev 1.1.0+dev 1.3.0; do
		edit_config '.ociVersion = $v' --arg v "$version"
		run_script 'echo ok'
		assert_output ok
	done
}

@test "members of the specification that are not supported are refused by name, not ignored" {
	local member
	for member in process.commandLine solaris windows zos freebsd; do
		refused "setpath(\"$member\" | split(\".\"); {a: 1})" "$member is not supported"
	done
	refused '.vm = {}' vm
	no_traces "$(test_prefix)"
}

@test "members that nobody specified are no error" {
	edit_config '.somethingNew = {a: [1, {b: null}]} | .process.somethingElse = true | .linux.more = "x"'
	run_script 'echo ok'
	assert_output ok
}
