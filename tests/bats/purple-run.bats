#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# purple run, ps, stop and explain: an agent in a sandbox that its policy describes.

load helpers

setup() {
	requires root jq
	purple_setup
	ID=$(test_prefix)
	profile </dev/null
}

# purple with the test's own state folder.
# profile [FILE] <YAML: a policy (default p.yaml) in which programs of the host run, and more.
profile() {
	local name=$ID
	{
		printf 'name: %s\n' "$name"
		host_files
		cat
	} >"${1:-p.yaml}"
}

# agent SCRIPT: `run`s it under p.yaml.
agent() {
	run purple_ run --profile ./p.yaml --name "$ID" -- sh -c "$1"
}

# agent_in_background SCRIPT: sets SUPERVISOR, and waits until the sandbox runs.
agent_in_background() {
	# Not by the function: $! would be a shell's.
	"$PURPLE" --root "$PURPLE_ROOT" run --profile ./p.yaml --name "$ID" -- sh -c "$1" >agent.out 2>agent.err </dev/null 3>&- &
	SUPERVISOR=$!
	wait_for 10 is_running "$ID"
}

# An agent that goes on until it is told, and then ends well; tell_agent waits for that.
agent_until_told() {
	agent_in_background 'trap "echo done; exit" TERM; echo ready; while :; do sleep 0.1; done'
	wait_for 10 grep -q ready agent.out
}

tell_agent() {
	kill -TERM "$SUPERVISOR"
	wait "$SUPERVISOR"
	assert_equal "$(<agent.out)" $'ready\ndone'
}

is_running() {
	[[ $(purple_ ps -q) == *"$1"* ]] && [[ ! -e $PURPLE_ROOT/$1/start.sock ]]
}

init_pid() {
	purple_ ps --format json | jq -e --arg id "$ID" '.[] | select(.id == $id) | .pid'
}

cleaner_pid() {
	pgrep -P "$1" -x purple-cleaner
}

# Nothing at all is left: the teardown would remove a state, so the tests look before it.
nothing_left() {
	[[ -z $(ls -A "$PURPLE_ROOT" 2>/dev/null) ]] || return 1
	[[ -z $(find /sys/fs/cgroup -type d -name "*$ID*") ]] || return 1
	! grep -qF "$PURPLE_ROOT" /proc/self/mountinfo
}

gone() {
	! kill -0 "$1" 2>/dev/null || [[ $(awk '/^State/ { print $2 }' "/proc/$1/status" 2>/dev/null) == Z ]]
}

# --- the sandbox ----------------------------------------------------------------------------------

@test "purple run runs the agent with its output and its exit code, and leaves nothing behind" {
	agent 'echo out; echo err >&2; exit 7'
	assert_status 7
	assert_output $'out\nerr'
	nothing_left
}

@test "the agent sees what the policy names and no more" {
	agent 'ls /; ls /etc /root /home /sys 2>&1; cat /etc/shadow'
	assert_status 1
	assert_contains tmp
	assert_lacks root:
	for name in etc root home sys var; do
		[[ $output != *$'\n'"$name"$'\n'* ]]
	done
}

@test "the root and the host's paths are read-only, scratch space is private and gone at the end" {
	agent 'touch /x; touch /usr/bin/x; mkdir /y; echo note >/tmp/'"$ID"'; cat /tmp/'"$ID"
	assert_status 0
	assert_equal "$(grep -c 'Read-only file system' <<<"$output")" 3
	assert_equal "${lines[-1]}" note
	[[ ! -e /tmp/$ID ]]
	agent 'ls -A /tmp'
	assert_output ""
}

@test "output_paths are made 0700 for the caller, keep what is written, and nothing in them runs" {
	profile <<<"  output_paths: [{ host_path: $PWD/made/out, sandbox_path: /out }]"
	agent 'echo kept >/out/file; printf "#!/bin/sh\necho ran\n" >/out/x; chmod 755 /out/x; /out/x; mknod /out/null c 1 3'
	assert_lacks ran
	assert_equal "$(<made/out/file)" kept
	assert_equal "$(stat -c %a made/out)" 700
	[[ ! -e made/out/null ]]
}

@test "the agent has no capabilities, no_new_privs, a filter, and no way to mount or unshare" {
	agent 'grep -E "^(CapEff|CapBnd|NoNewPrivs|Seccomp):" /proc/self/status
		unshare --user true; mount -t tmpfs none /tmp; unshare --mount true'
	assert_contains $'CapBnd:\t0000000000000000'
	assert_contains $'CapEff:\t0000000000000000'
	assert_contains $'NoNewPrivs:\t1'
	assert_contains $'Seccomp:\t2'
	assert_equal "$(grep -ciE 'operation not permitted|must be superuser|permission denied' <<<"$output")" 3
}

@test "an isolated agent has loopback alone" {
	agent 'cat /proc/net/dev | tail -n +3 | cut -d: -f1; cat /proc/net/route | tail -n +2'
	assert_status 0
	assert_output "    lo"
}

@test "deny: [execve] lets the agent start and refuses every later exec" {
	profile <<<'syscalls: { deny: [execve] }'
	agent 'echo started; ls'
	assert_contains started
	assert_contains "Operation not permitted"
	assert_status 126
}

@test "the administrator's default_policy holds beside the profile" {
	policy_install admin <<-END
		name: admin
		syscalls: { deny: [mkdir, mkdirat] }
	END
	settings_install <<<'default_policy: admin'
	agent 'mkdir /tmp/x || echo denied; touch /tmp/y && echo written'
	assert_contains "denied"
	run purple_ run --profile ./p.yaml --name "$ID" -- sh -c 'mkdir /tmp/x'
	((status != 0))
}

@test "a profile is found by its name" {
	profile named.yaml </dev/null
	policy_install "$ID" <named.yaml
	run purple_ run --profile "$ID" -- echo by name
	assert_status 0
	assert_output "by name"
	run purple_ run --profile no-such-profile -- true
	assert_status 125
	assert_contains "no-such-profile"
	assert_contains "known:"
}

# --- the process ----------------------------------------------------------------------------------

@test "failures of Purple and of the start have their own exit codes" {
	run -127 purple_ run --profile ./p.yaml -- no-such-program
	run -126 purple_ run --profile ./p.yaml -- /tmp
	run purple_ run -- true
	assert_status 125
	assert_contains "--profile"
	run purple_ run --profile ./missing.yaml -- true
	assert_status 125
	run purple_ run --profile ./p.yaml
	assert_status 125
	nothing_left
}

@test "a policy that needs what is not built does not start, and the error names the line" {
	profile <<<'enforcement: audit'
	local line
	line=$(grep -n enforcement p.yaml | cut -d: -f1)
	agent 'echo started'
	assert_status 125
	assert_lacks started
	assert_contains "p.yaml:$line:"
	assert_contains "this network is isolated"
	nothing_left
}

@test "an agent that dies of a signal gives 128 and its number" {
	agent 'kill -KILL $$'
	assert_status 137
	agent 'kill -USR1 $$'
	assert_status 138
}

@test "signals to purple run reach the agent" {
	agent_in_background 'trap "echo got TERM; exit 9" TERM; trap "echo got USR1" USR1
		echo ready; while :; do sleep 0.1; done'
	wait_for 10 grep -q ready agent.out
	kill -USR1 "$SUPERVISOR"
	wait_for 10 grep -q "got USR1" agent.out
	kill -TERM "$SUPERVISOR"
	local status=0
	wait "$SUPERVISOR" || status=$?
	assert_equal "$status" 9
	grep -q "got TERM" agent.out
	nothing_left
}

@test "PID 1 reaps what the agent leaves to it" {
	agent 'for i in 1 2 3 4 5; do (sh -c "sleep 0.1 &"); done; i=0
		while grep -qs "(sleep)" /proc/[0-9]*/stat; do [ $((i += 1)) -lt 100 ] || exit 9; sleep 0.1; done'
	assert_status 0
}

@test "the agent's processes end with it" {
	agent 'sleep 987654 >/dev/null 2>&1 & exit 0'
	assert_status 0
	run pgrep -f 'sleep 987654'
	assert_status 1
}

@test "the environment is the sandbox's own, and what --env adds" {
	export SECRET_OF_THE_CALLER=x TAKEN=from-caller
	run purple_ run -p ./p.yaml -e A=1 --env B=two=2 -e TAKEN -e HOME=/home/me -- env
	assert_status 0
	assert_lacks SECRET_OF_THE_CALLER
	assert_contains A=1
	assert_contains B=two=2
	assert_contains TAKEN=from-caller
	assert_contains HOME=/home/me
	run purple_ run -p ./p.yaml -e NOT_SET_ANYWHERE -- env
	assert_status 125
	assert_contains NOT_SET_ANYWHERE
}

@test "there is a terminal when stdin and stdout are one, and none with --no-tty" {
	requires script
	run script -qec "'$PURPLE' --root '$PURPLE_ROOT' run -p ./p.yaml -- sh -c 'test -t 0 && test -t 1 && tty; exit 5'" /dev/null </dev/null
	assert_status 5
	assert_contains /dev/
	run script -qec "'$PURPLE' --root '$PURPLE_ROOT' run -p ./p.yaml --no-tty -- sh -c 'tty || echo none'" /dev/null </dev/null
	assert_status 0
	assert_contains none
	agent 'test -t 0 || test -t 1 || echo neither'
	assert_output neither
	nothing_left
}

@test "--tty gives a terminal to an agent whose input is a pipe" {
	run bash -c 'printf "tty\nexit 4\n" | "$0" --root "$1" run -t -p ./p.yaml -- sh' "$PURPLE" "$PURPLE_ROOT"
	assert_status 4
	assert_contains /dev/
}

# --- names ----------------------------------------------------------------------------------------

@test "an id that is taken is refused, and the sandbox that has it goes on" {
	agent_until_told
	run purple_ run --profile ./p.yaml --name "$ID" -- true
	assert_status 125
	assert_contains "already exists"
	tell_agent
	nothing_left
}

@test "ids with slashes and dots are refused" {
	local bad
	for bad in ../x a/b . .. ''; do
		run purple_ run --profile ./p.yaml --name "$bad" -- true
		assert_status 125
	done
	nothing_left
}

@test "without --name the id is the policy's name and a random suffix" {
	"$PURPLE" --root "$PURPLE_ROOT" run --profile ./p.yaml -- sleep 1000 3>&- &
	SUPERVISOR=$!
	wait_for 10 is_running "$ID-"
	[[ $(purple_ ps -q) =~ ^$ID-[0-9a-f]{6}$ ]]
	kill -TERM "$SUPERVISOR"
	wait "$SUPERVISOR" || true
	nothing_left
}

# --- nothing left behind --------------------------------------------------------------------------

@test "kill -9 of the supervisor: the agent dies, and everything is removed" {
	profile <<<'resources: { memory_limit_bytes: 64M, pids_limit: 20 }'
	agent_in_background 'sleep 1000'
	local init cleaner
	init=$(init_pid)
	cleaner=$(cleaner_pid "$SUPERVISOR")
	kill -KILL "$SUPERVISOR"
	wait "$SUPERVISOR" || true
	wait_for 10 nothing_left
	wait_for 10 gone "$init"
	wait_for 10 gone "$cleaner"
}

@test "kill -9 of the supervisor of a frozen agent removes everything too" {
	agent_in_background 'sleep 1000'
	purple_rt pause "$ID"
	kill -KILL "$SUPERVISOR"
	wait "$SUPERVISOR" || true
	wait_for 10 nothing_left
}

@test "kill -9 of PID 1: purple run says 137 and removes everything" {
	agent_in_background 'sleep 1000'
	kill -KILL "$(init_pid)"
	local status=0
	wait "$SUPERVISOR" || status=$?
	assert_equal "$status" 137
	nothing_left
}

@test "kill -9 of the cleaner changes nothing for the agent" {
	agent_until_told
	kill -KILL "$(cleaner_pid "$SUPERVISOR")"
	tell_agent
	nothing_left
}

@test "kill -9 of supervisor and cleaner: doctor finds what is left, and --fix removes it" {
	agent_in_background 'sleep 1000'
	kill -KILL "$(cleaner_pid "$SUPERVISOR")" "$SUPERVISOR"
	wait "$SUPERVISOR" || true
	wait_for 10 is_stopped
	run purple_ doctor
	assert_status 1
	assert_contains "leftover states"
	assert_contains "$ID"
	run purple_ doctor --fix
	assert_contains "1 removed from $PURPLE_ROOT"
	nothing_left
}

is_stopped() {
	[[ $(purple_ ps -a --format json | jq -r '.[0].status') == stopped ]]
}

@test "doctor --fix leaves sandboxes alone that run" {
	agent_until_told
	run purple_ doctor --fix
	assert_contains "none in $PURPLE_ROOT"
	tell_agent
}

@test "kill -9 of the supervisor at any step leaves nothing behind" {
	profile <<<'resources: { memory_limit_bytes: 64M, pids_limit: 20 }'
	local i pid
	for i in {1..30}; do
		"$PURPLE" --root "$PURPLE_ROOT" run --profile ./p.yaml --name "$ID-$i" -- sleep 1000 >/dev/null 2>&1 3>&- &
		pid=$!
		sleep "0.0$((i * 3 + 9))"
		kill -KILL "$pid"
		wait "$pid" 2>/dev/null || true
	done
	wait_for 20 nothing_left
}

@test "a create that fails leaves nothing behind" {
	profile <<<"resources: { memory_limit_bytes: 64M }"
	sed -i 's|/usr$|/usr-that-is-not-there|' p.yaml
	agent true
	assert_status 125
	assert_contains "/usr-that-is-not-there"
	nothing_left
}

# --- limits ---------------------------------------------------------------------------------------

@test "session_timeout_seconds ends the agent with status 124, and the message names the line" {
	profile <<<'resources: { session_timeout_seconds: 1 }'
	local line
	line=$(grep -n session_timeout p.yaml | cut -d: -f1)
	agent 'sleep 100'
	assert_status 124
	assert_output "purple: stopped after 1 s (resources.session_timeout_seconds, ./p.yaml:$line)"
	run purple_ run --quiet --profile ./p.yaml -- sleep 100
	assert_status 124
	assert_output ""
	nothing_left
}

@test "an agent that ignores TERM is killed 10 s after its time-out" {
	profile <<<'resources: { session_timeout_seconds: 1 }'
	SECONDS=0
	agent 'trap "" TERM; while :; do sleep 0.2; done'
	assert_status 124
	((SECONDS >= 9 && SECONDS < 60))
}

@test "memory_limit_bytes: out of memory, the whole sandbox is killed, and the message names the line" {
	profile <<<'resources: { memory_limit_bytes: 64M }'
	local line
	line=$(grep -n memory_limit p.yaml | cut -d: -f1)
	agent 'head -c 256M /dev/zero | tail; sleep 1; echo survived'
	assert_status 137
	assert_lacks survived
	assert_contains "purple: the agent was killed: out of memory (resources.memory_limit_bytes, ./p.yaml:$line)"
	nothing_left
}

@test "pids_limit stops a fork bomb" {
	profile <<<'resources: { pids_limit: 16 }'
	agent 'for i in $(seq 40); do sleep 5 & done; wait'
	assert_contains "fork"
	nothing_left
}

# --- ordinary users -------------------------------------------------------------------------------

@test "an ordinary user runs an agent without root, and nothing is left" {
	requires ordinary_user
	cp p.yaml /tmp/"$ID".yaml && chmod 644 /tmp/"$ID".yaml
	run as_user "$PURPLE" run --profile /tmp/"$ID".yaml -- sh -c \
		'id -u; grep CapEff /proc/self/status; touch /usr/x; echo ok >/tmp/x && cat /tmp/x; exit 6'
	rm /tmp/"$ID".yaml
	assert_status 6
	assert_contains 65534
	assert_contains $'CapEff:\t0000000000000000'
	assert_contains "Read-only file system"
	assert_equal "${lines[-1]}" ok
	assert_equal "$(ls -A "$BATS_TEST_TMPDIR/user/run/purple")" ""
}

@test "limits that an ordinary user cannot set stop the agent from starting, with what to do" {
	requires ordinary_user
	profile <<<'resources: { pids_limit: 16 }'
	cp p.yaml /tmp/"$ID".yaml && chmod 644 /tmp/"$ID".yaml
	run as_user "$PURPLE" run --profile /tmp/"$ID".yaml -- echo started
	rm /tmp/"$ID".yaml
	assert_status 125
	assert_lacks started
	assert_contains "run as root"
	assert_contains "systemctl --user"
}

# --- ps, stop, explain ----------------------------------------------------------------------------

@test "ps lists running sandboxes with profile, pid and command" {
	run purple_ ps -q
	assert_output ""
	agent_in_background 'sleep 1000'
	run purple_ ps
	assert_status 0
	[[ ${lines[1]} == "$ID"*"$ID"*running*"sh -c sleep 1000" ]]
	run purple_ ps --format json
	assert_equal "$(jq -r '.[0] | "\(.id) \(.policies[0]) \(.status) \(.command[2])"' <<<"$output")" \
		"$ID $ID running sleep 1000"
	purple_ stop -t 1 "$ID"
	wait "$SUPERVISOR" || true
	run purple_ ps -q -a
	assert_output ""
}

@test "ps shows no control characters of a command" {
	agent_in_background $'sleep 1000 # \e[31m\a\xc2\x9b31m'
	run purple_ ps
	[[ $output != *$'\e'* && $output != *$'\a'* && $output != *$'\xc2\x9b'* ]]
	assert_contains '# ?[31m??31m'
	purple_ stop -t 0 "$ID"
	wait "$SUPERVISOR" || true
}

@test "stop ends the agent with TERM and returns when the sandbox is gone" {
	agent_in_background 'trap "echo term; exit 3" TERM; echo ready; while :; do sleep 0.1; done'
	wait_for 10 grep -q ready agent.out
	run purple_ stop "$ID"
	assert_status 0
	nothing_left
	local status=0
	wait "$SUPERVISOR" || status=$?
	assert_equal "$status" 3
}

@test "stop kills an agent that ignores TERM after --time" {
	agent_in_background 'trap "" TERM; echo ready; while :; do sleep 0.1; done'
	wait_for 10 grep -q ready agent.out
	SECONDS=0
	run purple_ stop --time 1 "$ID"
	assert_status 0
	# Without --time it is 10 s.
	((SECONDS >= 1 && SECONDS < 10))
	nothing_left
	wait "$SUPERVISOR" || true
}

@test "stop of an unknown id fails and stops the others all the same" {
	agent_in_background 'sleep 1000'
	run purple_ stop -t 1 no-such-id "$ID"
	assert_status 1
	assert_contains "container does not exist"
	assert_contains no-such-id
	nothing_left
	wait "$SUPERVISOR" || true
}

@test "explain names the policy, its file, who chose it and what it changed; --config is the config" {
	profile <<<'resources: { pids_limit: 20 }'
	agent_in_background 'sleep 1000'
	run purple_ explain "$ID"
	assert_status 0
	assert_contains "policy: $ID ($PWD/p.yaml), chosen by --profile"
	assert_contains "status: running"
	assert_contains "pids: at most 20"
	run purple_ explain --config "$ID"
	assert_equal "$(jq .linux.resources.pids.limit <<<"$output")" 20
	run purple_ explain no-such-id
	assert_status 1
	purple_ stop -t 1 "$ID"
	wait "$SUPERVISOR" || true
}

@test "the agent does not see the command line of purple in PID 1" {
	profile </dev/null
	run purple_ run --profile ./p.yaml --name "$ID" --env SECRET_WORD=xyzzy -- \
		sh -c 'tr "\\000" " " </proc/1/cmdline; cat /proc/1/comm'
	assert_status 0
	assert_contains purple-init
	[[ $output != *p.yaml* && $output != *xyzzy* ]]
}
