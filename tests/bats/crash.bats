#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# SIGKILL for the runtime or for init, at every step: what is left can be told and deleted.
#
# A step is a system call. One run under strace lists them; then, for each, a fresh run is killed
# where it enters that call. strace follows the runtime, not the processes that it forks.

load helpers

setup() {
	requires root busybox jq strace
	purple_setup
	make_bundle
	set_command sleep 1000
}

# steps FROM COMMAND...: runs the command and lists its system calls from the first line of the
# trace on that contains FROM: "name ordinal" lines, in the file `steps`.
steps() {
	local from=$1
	shift
	timeout 120 strace -qq -o trace "$@" </dev/null >out 2>err || { cat err; return 1; }
	awk -v from="$from" '
		!/^[a-z]/ { next }
		{ name = $0; sub(/\(.*/, "", name); n[name]++ }
		index($0, from) { found = 1 }
		found && name != "exit_group" { print name, n[name] }' trace >steps
	[[ -s steps ]]
}

# killed_at NAME ORDINAL COMMAND...: runs the command and kills it there. Counts in KILLED.
killed_at() {
	local name=$1 when=$2 status=0
	shift 2
	timeout 120 strace -qq -o /dev/null -e trace="$name" -e inject="$name:signal=SIGKILL:when=$when" \
		"$@" </dev/null >out 2>err || status=$?
	((status != 137)) || KILLED=$((${KILLED:-0} + 1))
} 2>/dev/null

# How often a run looks whether another process has ended depends on the machine's load, so its last
# calls may not come in the next run: most must have been hit.
most_were_hit() {
	local all
	all=$(wc -l <steps)
	echo "killed at ${KILLED:-0} of $all steps"
	((${KILLED:-0} * 3 >= all * 2))
}

# deleted_whole ID: `delete --force` succeeds in silence, and neither state nor group is left.
# Processes and mounts are looked for once, at the end of a test: teardown does.
deleted_whole() {
	run purple_rt delete --force "$1"
	assert_status 0
	assert_output ""
	[[ ! -e $PURPLE_ROOT/$1 ]] || { echo "state of $1 is left"; return 1; }
	if compgen -G "/sys/fs/cgroup/*/purple-$1" || compgen -G "/sys/fs/cgroup/purple-$1"; then
		return 1
	fi
}

# A container with something of everything that create makes on the host.
rich_bundle() {
	edit_config '.hooks = {
			prestart: [{path: "/bin/true"}], createRuntime: [{path: "/bin/true"}],
			createContainer: [{path: "/bin/true"}], poststart: [{path: "/bin/true"}] }
		| .linux.resources += {memory: {limit: 67108864}, pids: {limit: 20}, cpu: {shares: 512}}
		| .mounts += [{destination: "/data", source: "/usr", options: ["rbind", "rro"]},
			{destination: "/scratch", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup"]}]
		| .process.oomScoreAdj = 100'
}

started() {
	[[ -e $BUNDLE/rootfs/tmp/$1 ]]
}

# --- the runtime dies -----------------------------------------------------------------------------

@test "create, killed at every third step: state tells where it got, delete --force removes everything" {
	rich_bundle
	local name when n=0 status word
	steps "$PURPLE_ROOT" "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" create --bundle "$BUNDLE" "$ID"
	deleted_whole "$ID"
	awk 'NR % 3 == 1' steps >third
	mv third steps
	while read -r name when; do
		n=$((n + 1))
		killed_at "$name" "$when" "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" create \
			--bundle "$BUNDLE" --pid-file pid "$ID-$n"
		if [[ -e $PURPLE_ROOT/$ID-$n ]]; then
			word=$(container_status "$ID-$n")
			[[ $word == creating || $word == created || $word == stopped ]]
		fi
		deleted_whole "$ID-$n"
	done <steps
	most_were_hit
	((n > 60))
}

@test "create with a user namespace and without a cgroup, killed at every other step, is deleted whole" {
	edit_config '.linux.namespaces += [{type: "user"}]
		| .linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}]
		| .linux.gidMappings = .linux.uidMappings | del(.linux.resources)'
	chmod 0755 "$BUNDLE" "$BUNDLE/rootfs"
	local name when n=0
	steps "$PURPLE_ROOT" "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" --cgroup-manager disabled create \
		--bundle "$BUNDLE" "$ID"
	deleted_whole "$ID"
	awk 'NR % 2' steps >half
	mv half steps
	while read -r name when; do
		n=$((n + 1))
		killed_at "$name" "$when" "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" --cgroup-manager disabled \
			create --bundle "$BUNDLE" "$ID-$n"
		deleted_whole "$ID-$n"
	done <steps
	most_were_hit
}

@test "a create killed over another container's group is deleted without harm to that one" {
	edit_config '.linux.cgroupsPath = $p' --arg p "/$ID-group"
	create_container
	purple_rt start "$ID"
	local name when n=0 pid
	pid=$(<pid)
	# Up to the error that says that the group is in use.
	timeout 120 strace -qq -o trace "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" create --bundle "$BUNDLE" \
		"$ID-b" </dev/null >out 2>err && return 1
	grep -q "is in use" err
	awk '!/^[a-z]/ { next } { name = $0; sub(/\(.*/, "", name); n[name]++ }
		/self.mountinfo/ { found = 1 } found && /unlink/ { exit }
		found { print name, n[name] }' trace >steps
	while read -r name when; do
		n=$((n + 1))
		killed_at "$name" "$when" "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" create \
			--bundle "$BUNDLE" "$ID-b"
		run purple_rt delete --force "$ID-b"
		assert_status 0
		[[ ! -e $PURPLE_ROOT/$ID-b ]]
	done <steps
	((n > 10))
	most_were_hit
	is_status running "$ID"
	kill -0 "$pid"
	[[ -d /sys/fs/cgroup/pids/$ID-group || -d /sys/fs/cgroup/$ID-group ]]
}

@test "start, killed at every step: the container is created and can be started, or it runs" {
	edit_config '.root.readonly = false'
	local name when n=0 begun
	set_script ': >/tmp/probe; exec sleep 1000'
	create_container
	steps "start.sock" "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" start "$ID"
	deleted_whole "$ID"
	while read -r name when; do
		n=$((n + 1))
		ID=$(test_prefix)-s$n
		set_script ": >/tmp/$n; exec sleep 1000"
		create_container
		killed_at "$name" "$when" "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" start "$ID"
		# What has begun is not `created`. If init was told to go on and has not yet begun,
		# the next start may come too late.
		begun=''
		[[ ! -e $BUNDLE/rootfs/tmp/$n ]] || begun=1
		if [[ $(container_status) == created ]]; then
			[[ -z $begun ]]
			run purple_rt start "$ID"
			((status == 0)) || wait_status running
		fi
		wait_for 5 started "$n"
		is_status running "$ID"
		deleted_whole "$ID"
	done <steps
	most_were_hit
}

@test "delete --force, killed at every step, is finished by the next one" {
	local name when n=0
	create_container
	purple_rt start "$ID"
	steps "$PURPLE_ROOT" "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" delete --force "$ID"
	while read -r name when; do
		n=$((n + 1))
		ID=$(test_prefix)-d$n
		create_container
		purple_rt start "$ID"
		killed_at "$name" "$when" "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" delete --force "$ID"
		deleted_whole "$ID"
	done < <(awk 'NR % 2' steps)
	echo "killed at ${KILLED:-0} of $n steps"
	((${KILLED:-0} * 3 >= n * 2))
}

@test "exec, killed at every other step: the container goes on, takes the next exec and is deleted whole" {
	local name when n=0
	create_container
	purple_rt start "$ID"
	steps "$PURPLE_ROOT" "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" exec --detach "$ID" sleep 1000
	awk 'NR % 2' steps >half
	mv half steps
	while read -r name when; do
		n=$((n + 1))
		killed_at "$name" "$when" "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" exec --detach \
			--pid-file "exec-$n.pid" "$ID" sleep 1000
	done <steps
	most_were_hit
	is_status running "$ID"
	run purple_rt exec "$ID" echo hello
	assert_status 0
	assert_output hello
	# What was not let go has ended; what runs is a sleep that belongs to the container.
	wait_for 5 only_sleeps
	deleted_whole "$ID"
}

only_sleeps() {
	local pid
	for pid in $(purple_rt ps --format json "$ID" | jq '.[]'); do
		[[ $(tr '\0' ' ' <"/proc/$pid/cmdline") == "sleep 1000 " ]] || return 1
	done
}

@test "run in the foreground, killed at every fifth step, is deleted whole" {
	local name when n=0
	set_command sleep 0.1
	steps "$PURPLE_ROOT" "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" run --bundle "$BUNDLE" "$ID"
	awk 'NR % 5 == 0' steps >fifth
	mv fifth steps
	while read -r name when; do
		n=$((n + 1))
		killed_at "$name" "$when" "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" run \
			--bundle "$BUNDLE" "$ID-$n"
		deleted_whole "$ID-$n"
	done <steps
	((n > 30))
	most_were_hit
}

@test "purple run, its supervisor killed at every fifth step, leaves nothing" {
	local name when n=0
	printf 'name: %s\nfilesystem:\n  immutable_paths: [{host_path: %s/rootfs/bin, sandbox_path: /bin}]\n' \
		"$ID" "$BUNDLE" >p.yaml
	steps "$PURPLE_ROOT" "$PURPLE" --root "$PURPLE_ROOT" run --profile ./p.yaml --name "$ID" -- /bin/sleep 0
	while read -r name when; do
		n=$((n + 1))
		killed_at "$name" "$when" "$PURPLE" --root "$PURPLE_ROOT" run --profile ./p.yaml \
			--name "$ID-$n" -- /bin/sleep 0
	done < <(awk 'NR % 5 == 0' steps)
	((n > 30 && KILLED * 10 >= n * 8))
	wait_for 15 nothing_left
}

nothing_left() {
	[[ -z $(list_traces "$(test_prefix)") ]]
}

# --- hooks that hang ------------------------------------------------------------------------------

# The runtime is killed while a hook of this stage hangs; HOOK is the hook's pid.
kill_in_hook() { # STAGE [GLOBAL-OPTION...]
	local stage=$1 runtime
	shift
	edit_config '.hooks = {($s): [{path: "/bin/sleep", args: ["sleep", $n]}]}' --arg s "$stage" --arg n "$HANG"
	"$PURPLE_RUNTIME" --root "$PURPLE_ROOT" "$@" create --bundle "$BUNDLE" "$ID" \
		</dev/null >out 2>err 3>&- &
	runtime=$!
	wait_for 10 hook_runs
	HOOK=$(hook_runs)
	INIT=$(pgrep -P "$runtime" -f "create --bundle" || true)
	kill -KILL "$runtime"
	wait "$runtime" || true
}

hook_runs() {
	pgrep -fx "sleep $HANG"
}

gone() {
	[[ ! -e /proc/$1 || $(awk '/^State/ { print $2 }' "/proc/$1/status" 2>/dev/null) == [ZX] ]]
}

@test "a hook that hangs ends with the runtime that is killed, and so does init" {
	local stage
	for stage in prestart createRuntime createContainer; do
		HANG=1000.$BATS_TEST_NUMBER$RANDOM
		new_id
		kill_in_hook "$stage"
		wait_for 5 gone "$HOOK"
		[[ -z $INIT ]] || wait_for 5 gone "$INIT"
		deleted_whole "$ID"
	done
}

@test "a hook that hangs ends with the runtime also where there is no cgroup to find it by" {
	local stage
	for stage in createRuntime createContainer; do
		HANG=1000.$BATS_TEST_NUMBER$RANDOM
		new_id
		kill_in_hook "$stage" --cgroup-manager disabled
		wait_for 5 gone "$HOOK"
		[[ -z $INIT ]] || wait_for 5 gone "$INIT"
		deleted_whole "$ID"
	done
}

@test "delete --force while a startContainer hook hangs, and its start was killed, ends all" {
	HANG=1000.$BATS_TEST_NUMBER$RANDOM
	edit_config '.hooks = {startContainer: [{path: "/bin/sleep", args: ["sleep", $n]}]}' --arg n "$HANG"
	create_container
	"$PURPLE_RUNTIME" --root "$PURPLE_ROOT" start "$ID" </dev/null >out 2>err 3>&- &
	local runtime=$!
	wait_for 10 hook_runs
	HOOK=$(hook_runs)
	kill -KILL "$runtime"
	wait "$runtime" || true
	deleted_whole "$ID"
	wait_for 5 gone "$HOOK"
}

@test "a poststart or poststop hook that hangs ends with the runtime that is killed" {
	local runtime
	HANG=1000.$BATS_TEST_NUMBER$RANDOM
	edit_config '.hooks = {poststart: [{path: "/bin/sleep", args: ["sleep", $n]}],
		poststop: [{path: "/bin/sleep", args: ["sleep", $n], timeout: 1}]}' --arg n "$HANG"
	create_container
	"$PURPLE_RUNTIME" --root "$PURPLE_ROOT" start "$ID" </dev/null >out 2>err 3>&- &
	runtime=$!
	wait_for 10 hook_runs
	HOOK=$(hook_runs)
	kill -KILL "$runtime"
	wait "$runtime" || true
	wait_for 5 gone "$HOOK"
	is_status running "$ID"
	"$PURPLE_RUNTIME" --root "$PURPLE_ROOT" delete --force "$ID" </dev/null >out 2>err 3>&- &
	runtime=$!
	wait_for 10 hook_runs
	HOOK=$(hook_runs)
	kill -KILL "$runtime"
	wait "$runtime" || true
	wait_for 5 gone "$HOOK"
	# The hook is due again, since nobody has seen its end; its time-out only warns.
	run purple_rt delete --force "$ID"
	assert_status 0
	[[ ! -e $PURPLE_ROOT/$ID ]]
}

# --- init dies ------------------------------------------------------------------------------------

# create is held up where it sends its WHICH-th message to init; init is killed there. The whole
# conversation takes place only where there is a hook to wait for.
kill_init_at_message() {
	rm -f trace
	strace -qq -o trace -e trace=sendto -e inject="sendto:delay_enter=3000000:when=$1" \
		"$PURPLE_RUNTIME" --root "$PURPLE_ROOT" create --bundle "$BUNDLE" --pid-file pid "$ID" \
		</dev/null >out 2>err 3>&- &
	local strace=$!
	wait_for 10 sends_message "$1"
	kill -KILL "$(init_of "$strace")"
	status=0
	wait "$strace" || status=$?
	output=$(<err)
}

# strace writes what a call is given before it holds it up.
sends_message() { # WHICH
	[[ -e trace ]] && (($(grep -c '^sendto(' trace) == $1))
}

# The child of the runtime below strace.
init_of() {
	local runtime
	runtime=$(pgrep -P "$1" -f "create --bundle") && pgrep -P "$runtime"
}

@test "init killed before it may begin: create fails, says so, and undoes everything" {
	rm -f pid
	edit_config '.hooks.createRuntime = [{path: "/bin/true"}]'
	kill_init_at_message 1
	assert_status 1
	assert_contains "died unexpectedly"
	[[ ! -e pid && ! -e $PURPLE_ROOT/$ID ]]
	no_traces "$ID"
}

@test "init killed where it waits for the hooks: create fails, says so, and undoes everything" {
	rm -f pid
	edit_config '.hooks.createRuntime = [{path: "/bin/true"}]'
	kill_init_at_message 2
	assert_status 1
	assert_contains "died unexpectedly"
	[[ ! -e pid && ! -e $PURPLE_ROOT/$ID ]]
	no_traces "$ID"
}

# init_killed_when_ready WHICH: at the last message of create.
init_killed_when_ready() {
	rm -f pid
	kill_init_at_message "$1"
	if ((status == 0)); then
		is_status stopped "$ID"
		run purple_rt start "$ID"
		assert_status 1
		purple_rt delete "$ID"
	else
		[[ ! -e pid && ! -e $PURPLE_ROOT/$ID ]]
		no_traces "$ID"
	fi
}

@test "init killed after it is ready: create fails, or the container is stopped, and no pid file lies" {
	init_killed_when_ready 1
	edit_config '.hooks.createRuntime = [{path: "/bin/true"}]'
	init_killed_when_ready 3
}

@test "init killed by a hook of each stage: create or start fails and names the reason" {
	local stage
	for stage in prestart createRuntime; do
		cat >hook <<-'END'
			#!/bin/sh
			kill -KILL "$(sed 's/.*"pid": *\([0-9]*\).*/\1/')"
		END
		chmod 0755 hook
		edit_config '.hooks = {($s): [{path: $h}]}' --arg s "$stage" --arg h "$PWD/hook"
		new_id
		run purple_rt create --bundle "$BUNDLE" "$ID"
		assert_status 1
		assert_contains "died unexpectedly"
		[[ ! -e $PURPLE_ROOT/$ID ]]
		no_traces "$ID"
	done
	# Without a pid namespace of its own, init can be killed from inside.
	edit_config '.linux.namespaces |= map(select(.type != "pid"))
		| .hooks = {createContainer: [{path: "/bin/sh", args: ["sh", "-c", "kill -KILL $PPID"]}]}'
	new_id
	run purple_rt create --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "died unexpectedly"
	[[ ! -e $PURPLE_ROOT/$ID ]]
	no_traces "$ID"
}

@test "init killed while it waits for start: stopped, start says so, delete removes it" {
	create_container
	kill -KILL "$(<pid)"
	wait_status stopped
	run purple_rt start "$ID"
	assert_status 1
	assert_contains "stopped"
	purple_rt delete "$ID"
	[[ ! -e $PURPLE_ROOT/$ID ]]
}

@test "a program that kills itself before it prints anything is just a container that stopped" {
	set_script 'kill -KILL $$'
	new_id
	run timeout 60 "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" run --bundle "$BUNDLE" "$ID"
	# PID 1 is not killed from within: the shell goes on and ends well.
	assert_status 0
	edit_config '.linux.namespaces |= map(select(.type != "pid"))'
	new_id
	run timeout 60 "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" run --bundle "$BUNDLE" "$ID"
	assert_status 137
}
