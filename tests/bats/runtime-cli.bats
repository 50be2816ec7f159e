#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The command line, error reports, log records and documents of purple-runtime, as engines meet them.

load helpers

setup() {
	requires jq
	purple_setup
}

# fails COMMAND...: runs the runtime with a JSON log; sets status, stderr and record.
fails() {
	rm -f log
	run --separate-stderr "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" --log log --log-format json "$@"
	((status != 0))
	[[ -n $stderr ]]
	assert_equal "$(wc -l <log)" 1
	record=$(jq -r .msg log)
}

@test "--version and -v print one line with the word version" {
	local option
	for option in --version -v; do
		run --separate-stderr "$PURPLE_RUNTIME" "$option"
		assert_status 0
		[[ -z $stderr ]]
		assert_equal "$(grep -c version <<<"$output")" 1
		[[ ${lines[0]} =~ ^purple-runtime\ version\ [0-9]+\.[0-9]+ ]]
		[[ $output == *$'\ncommit: '* && $output == *$'\nspec: 1.'* ]]
	done
}

@test "features is the document that engines read, with nothing on stderr" {
	run --separate-stderr "$PURPLE_RUNTIME" features
	assert_status 0
	[[ -z $stderr ]]
	jq -e '(.ociVersionMin | test("^1\\.")) and (.ociVersionMax | test("^1\\."))
		and (.mountOptions | index("rro") != null and index("idmap") != null)
		and ([.linux.namespaces[]] | contains(["user", "time", "cgroup", "pid"]))
		and .linux.mountExtensions.idmap.enabled == true
		and .linux.seccomp.enabled == true
		and (.linux.seccomp.actions | index("SCMP_ACT_NOTIFY") != null)
		and (.linux.seccomp.operators | index("SCMP_CMP_MASKED_EQ") != null)
		and .linux.cgroup.v1 == true and .linux.cgroup.v2 == true
		and .linux.cgroup.systemd == true and .linux.cgroup.systemdUser == true
		and (.potentiallyUnsafeConfigAnnotations | index("org.systemd.property.") != null)
		and .linux.apparmor.enabled == true and .linux.selinux.enabled == true
		and .linux.netDevices.enabled == true
		and .linux.intelRdt == {enabled: true, schemata: true, monitoring: true}
		and (.linux.memoryPolicy.modes | index("MPOL_WEIGHTED_INTERLEAVE") != null)
		and (.linux.memoryPolicy.flags | length) == 3
		and (.hooks | index("createRuntime") != null and index("prestart") != null)
		and .annotations["io.purple.version"] != null' <<<"$output"
}

@test "the mount options of features may stand in config.json" {
	requires root busybox
	make_bundle
	# One bind for each option that a bind can have; the flags of file systems are for others.
	"$PURPLE_RUNTIME" features >known
	edit_config '.mounts += ($f[0].mountOptions
		| map(select(IN("remount", "idmap", "ridmap", "tmpcopyup", "sync", "dirsync",
			"lazytime") | not))
		| map({destination: "/mnt/\(.)", source: "/dev", options: ["rbind", .]}))' --slurpfile f known
	(($(jq '.mounts | length' "$BUNDLE/config.json") > 50))
	run_script 'for i in /mnt/*; do test -c $i/null || echo missing $i; done'
	assert_status 0
	assert_output ""
}

@test "every command has a --help that succeeds and is quiet on stderr" {
	local command
	for command in create start state kill delete run exec ps list pause resume update spec features checkpoint restore; do
		run --separate-stderr "$PURPLE_RUNTIME" "$command" --help
		assert_status 0
		[[ -z $stderr ]]
		assert_contains "$command"
	done
	run "$PURPLE_RUNTIME" --help
	assert_status 0
	for command in create exec update; do
		assert_contains "$command"
	done
}

@test "what engines ask to see whether checkpoints can be made, and restored into pods" {
	run "$PURPLE_RUNTIME" checkpoint --help
	assert_status 0
	run "$PURPLE_RUNTIME" restore --lsm-mount-context
	assert_status 1
	assert_contains "requires an argument"
	# go-runc's form of an option.
	run purple_rt restore -no-subreaper --image-path /nonexistent "$ID"
	assert_lacks "unknown option"
}

@test "an unknown command or option is refused by name" {
	run purple_rt frobnicate
	((status != 0))
	assert_contains frobnicate
	run purple_rt state --frobnicate x
	assert_status 1
	assert_contains --frobnicate
	run "$PURPLE_RUNTIME" --frobnicate state x
	assert_status 1
	assert_contains --frobnicate
	run purple_rt
	assert_status 1
	run purple_rt state
	assert_status 1
	run purple_rt state a b
	assert_status 1
	run purple_rt kill a b c
	assert_status 1
	run "$PURPLE_RUNTIME" state --root
	assert_status 1
}

@test "options work as --x v and --x=v, long and short, before and after the id" {
	requires root busybox
	make_bundle
	set_command true
	"$PURPLE_RUNTIME" --root="$PURPLE_ROOT" run --bundle="$BUNDLE" "$ID"
	"$PURPLE_RUNTIME" --root "$PURPLE_ROOT" run -b "$BUNDLE" "$ID"
	"$PURPLE_RUNTIME" --root "$PURPLE_ROOT" run "$ID" --bundle "$BUNDLE"
	"$PURPLE_RUNTIME" --log-format=json --debug --root "$PURPLE_ROOT" run "-b$BUNDLE" "$ID" 2>/dev/null
	run "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" run "$ID" --bundle
	assert_status 1
	run "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" run --keep=yes -b "$BUNDLE" "$ID"
	assert_status 1
	assert_contains keep
}

@test "--config takes another file than the bundle's config.json" {
	requires root busybox
	make_bundle
	set_command echo other
	mv "$BUNDLE/config.json" other.json
	run purple_rt run --bundle "$BUNDLE" --config "$PWD/other.json" "$ID"
	assert_status 0
	assert_output other
}

@test "what engines pass for other setups is taken: --rootless, --log-level, --cgroup-manager cgroupfs" {
	requires root busybox
	make_bundle
	set_command true
	run purple_rt --rootless=false --cgroup-manager cgroupfs --log-level warning run --no-pivot \
		--no-new-keyring --bundle "$BUNDLE" "$ID"
	assert_status 0
	assert_output ""
}

@test "where systemd does not run, create and run refuse its cgroups; other commands do not care" {
	requires root busybox
	make_bundle
	if [[ ! -d /run/systemd/system ]]; then # else tests/vm/systemd.bats has it
		run purple_rt --systemd-cgroup create --bundle "$BUNDLE" "$ID"
		assert_status 1
		assert_contains "--systemd-cgroup: this host was not booted with systemd"
		[[ ! -e $PURPLE_ROOT/$ID ]]
		run purple_rt --cgroup-manager systemd run --bundle "$BUNDLE" "$ID"
		assert_status 1
		assert_contains "not booted with systemd"
	fi
	run purple_rt --systemd-cgroup --cgroup-manager cgroupfs run --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "contradicts"
	run purple_rt --cgroup-manager other run --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "unknown --cgroup-manager 'other'"
	run purple_rt --systemd-cgroup delete --force "$ID"
	assert_status 0
}

@test "--cgroup-manager disabled makes no group, and pause says that there is none" {
	requires root busybox
	make_bundle
	set_command sleep 1000
	purple_rt --cgroup-manager disabled create --bundle "$BUNDLE" --pid-file pid "$ID" </dev/null >out 2>&1
	[[ -z $(find /sys/fs/cgroup -name "*$ID*") ]]
	purple_rt start "$ID"
	run purple_rt pause "$ID"
	assert_status 1
	assert_contains "without cgroup"
	purple_rt delete --force "$ID"
}

# --- errors ---------------------------------------------------------------------------------------

@test "a failure is one record of the JSON log and the same text on stderr" {
	fails state no-such-container
	assert_equal "$status" 1
	jq -e 'keys == ["level", "msg", "time"] and .level == "error"
		and (.time | test("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})$"))' log
	assert_equal "$record" "container does not exist: 'no-such-container'"
	[[ $stderr == *"$record"* && $stderr != *'"msg"'* ]]
	assert_equal "$(stat -c %a log)" 644
}

@test "messages with quotes and control characters are still one record" {
	fails kill x $'a"b\\c\nd\te\x01'
	[[ $record == *'unknown signal'* ]]
}

@test "records are appended" {
	run purple_rt --log log --log-format json state no-such-1
	run purple_rt --log log --log-format json state no-such-2
	assert_equal "$(jq -rs 'map(.msg) | join(" ")' log)" \
		"container does not exist: 'no-such-1' container does not exist: 'no-such-2'"
}

@test "the text log has the message too" {
	run purple_rt --log log state no-such-1
	grep -q "container does not exist: 'no-such-1'" log
	run purple_rt --log text.log --log-format text state no-such-1
	grep -q "container does not exist: 'no-such-1'" text.log
}

@test "the log file is there whatever is wrong with the command line" {
	local words
	for words in "" frobnicate "state" "state --frobnicate" "--frobnicate" "create --bundle" "kill x NOSIG"; do
		rm -f log
		# shellcheck disable=SC2086 # words
		run "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" --log log --log-format json $words
		[[ -e log ]]
	done
	rm -f log
	run "$PURPLE_RUNTIME" --log log --log-format=nonsense state x
	assert_status 1
	[[ -e log ]]
	assert_contains "unknown --log-format 'nonsense'"
}

@test "a log that cannot be written is an error that names it" {
	run "$PURPLE_RUNTIME" --log "$PWD/none/log" state x
	assert_status 1
	assert_contains "$PWD/none/log"
}

@test "nothing is logged or printed on success, and warnings only when asked for" {
	requires root busybox
	make_bundle
	set_command true
	edit_config '.process.capabilities.bounding += ["CAP_NO_SUCH_THING"]'
	run purple_rt --log log --log-format json run --bundle "$BUNDLE" "$ID"
	assert_status 0
	assert_output ""
	[[ ! -s log ]]
	run purple_rt --log log --log-format json --log-level warning run --bundle "$BUNDLE" "$ID"
	assert_status 0
	jq -e 'select(.level == "warning") | .msg | contains("CAP_NO_SUCH_THING")' log
	run purple_rt --log debug.log --log-format json --debug run --bundle "$BUNDLE" "$ID"
	assert_status 0
	jq -e 'select(.level == "debug")' debug.log
	# What is done, step by step.
	new_id
	purple_rt --log steps --debug create --bundle "$BUNDLE" --pid-file pid "$ID" </dev/null >/dev/null 2>&1
	purple_rt --log steps --debug start "$ID"
	purple_rt --log steps --debug delete --force "$ID"
	local step
	for step in "the state is in $PURPLE_ROOT/$ID" "the cgroup is " "init is process $(<pid)" \
		"container $ID is created" "the program of container $ID runs" "container $ID is removed"; do
		grep -qF -e "$step" steps || { echo "no word of: $step"; cat steps; return 1; }
	done
}

@test "a missing or forbidden program is reported with the phrases that engines match, at create" {
	requires root busybox
	make_bundle
	: >"$BUNDLE/rootfs/bin/plain"
	set_command no-such-program
	fails create --bundle "$BUNDLE" --pid-file pid "$ID"
	[[ $record == *'exec: "no-such-program": executable file not found in $PATH'* ]]
	set_command /no/such/program
	fails create --bundle "$BUNDLE" --pid-file pid "$ID"
	[[ $record == *'exec: "/no/such/program": no such file or directory'* ]]
	set_command /bin/plain
	fails create --bundle "$BUNDLE" --pid-file pid "$ID"
	[[ $record == *'exec: "/bin/plain": permission denied'* ]]
	set_command plain
	fails create --bundle "$BUNDLE" --pid-file pid "$ID"
	[[ $record == *'exec: "plain": executable file not found in $PATH'* ]]
	set_command /bin/plain/x
	fails create --bundle "$BUNDLE" --pid-file pid "$ID"
	[[ $record == *'exec: "/bin/plain/x": not a directory'* ]]
	set_command /bin
	fails create --bundle "$BUNDLE" --pid-file pid "$ID"
	[[ $record == *'exec: "/bin": permission denied'* ]]
	[[ ! -e pid ]]
	no_traces "$(test_prefix)"
}

@test "a program of the wrong format fails at start, and the container is stopped" {
	requires root busybox
	make_bundle
	echo 'no program at all' >"$BUNDLE/rootfs/bin/broken"
	chmod 0755 "$BUNDLE/rootfs/bin/broken"
	set_command broken
	create_container
	run purple_rt start "$ID"
	assert_status 1
	assert_contains 'exec: "broken"'
	wait_status stopped
}

@test "errors that are not about a missing program do not use its words" {
	# podman turns "not found" and "no such file" into 127.
	requires root busybox
	make_bundle
	edit_config '.annotations["io.purple.policy"] = "no-such-policy"'
	fails create --bundle "$BUNDLE" "$ID"
	[[ $record == *no-such-policy* && $record != *'not found'* && $record != *'o such file'* ]]
}

# --- spec -----------------------------------------------------------------------------------------

@test "spec writes a config that runs, and never over one that is there" {
	requires root busybox
	mkdir b
	make_rootfs b/rootfs
	"$PURPLE_RUNTIME" spec --bundle b
	jq -e '.process.terminal == true and .process.args == ["sh"] and .root.readonly == true
		and .process.rlimits == [{type: "RLIMIT_NOFILE", soft: 1024, hard: 1024}]
		and (.ociVersion | startswith("1."))' b/config.json
	local before
	before=$(sha256sum b/config.json)
	run "$PURPLE_RUNTIME" spec -b b
	assert_status 1
	assert_contains "config.json exists already"
	assert_equal "$(sha256sum b/config.json)" "$before"
	# With a terminal it is for the foreground: `create` has nobody to give the terminal to.
	run purple_rt create --bundle b "$ID"
	assert_status 1
	assert_contains "--console-socket"
	BUNDLE=$PWD/b
	set_script 'echo hello; touch /file'
	edit_config '.process.terminal = false'
	run purple_rt run --bundle b "$ID"
	assert_status 1
	assert_contains hello
	assert_contains "Read-only file system"
}

@test "spec does not follow a link at config.json" {
	mkdir b
	ln -s "$PWD/elsewhere" b/config.json
	run "$PURPLE_RUNTIME" spec -b b
	assert_status 1
	[[ ! -e elsewhere ]]
}

@test "what spec --rootless writes runs for an ordinary user" {
	requires root busybox ordinary_user
	as_user mkdir -p user/b
	make_rootfs user/b/rootfs
	as_user "$PURPLE_RUNTIME" spec --rootless --bundle "$PWD/user/b"
	jq '.process.terminal = false | .process.args = ["sh", "-c", "id -u; cat /proc/self/uid_map; hostname"]' \
		<user/b/config.json >new
	cp new user/b/config.json
	run as_user "$PURPLE_RUNTIME" run --bundle "$PWD/user/b" "$ID"
	assert_status 0
	assert_equal "${lines[0]}" 0
	[[ ${lines[1]} =~ ^\ +0\ +65534\ +1$ ]]
	assert_equal "${lines[2]}" purple
	[[ -z $(ls -A user/run/purple) ]]
	no_traces "$(test_prefix)"
}
