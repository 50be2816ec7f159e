#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Real Podman: exec, signals, stop, pause, logs, removal, and what Podman reads from the runtime;
# each with and without a policy, since a policy must not change how engines work.

load helpers

setup_file() {
	podman_setup
	requires private_etc
}

POLICIES="none guarded"

setup() {
	purple_setup
	policy_install guarded <<<$'name: guarded\nfilesystem: { scratch_paths: [/tmp] }\nresources: { pids_limit: 100 }'
}

# run_detached POLICY COMMAND...: ID runs in the background; options in OPTIONS. PID is its init.
run_detached() {
	local flags=()
	[[ $1 == none ]] || flags=(--runtime-flag "policy=$1")
	shift
	new_id
	podman_ "${flags[@]}" run -d --name "$ID" "${OPTIONS[@]}" localhost/busybox "$@" >/dev/null
	PID=$(podman_ inspect --format '{{.State.Pid}}' "$ID")
}
OPTIONS=()

inspect() {
	podman_ inspect --format "{{$1}}" "$ID"
}
state_is() {
	[[ $(inspect .State.Status) == "$1" ]]
}
log_has() {
	podman_ logs "$ID" 2>&1 | grep -q "$1"
}

@test "exec: exit codes, streams, user, directory, environment" {
	local p
	for p in $POLICIES; do
		echo "policy $p"
		run_detached "$p" sleep 1000
		run podman_ exec "$ID" sh -c 'exit 3'
		assert_status 3
		run -127 podman_ exec "$ID" no-such-command
		run podman_ exec "$ID" /etc/passwd
		assert_status 126
		podman_ exec "$ID" sh -c 'echo out; echo err >&2' >out 2>err
		assert_equal "$(<out)" out
		assert_equal "$(<err)" err
		run podman_ exec --user 1000:1000 --workdir /tmp --env A=b "$ID" sh -c 'id -u; id -g; pwd; echo $A'
		assert_output $'1000\n1000\n/tmp\nb'
		run podman_ exec -i "$ID" cat <<<"to stdin"
		assert_output "to stdin"
		run podman_ exec "$ID" sh -c 'kill -9 $$'
		assert_status 137
	done
}

@test "exec -it: a terminal, and its exit code" {
	requires script
	local p
	for p in $POLICIES; do
		echo "policy $p"
		run_detached "$p" sleep 1000
		run script -qec "stty rows 31 cols 97; podman exec -it $ID sh -c 'tty; $SIZE_COMES exit 6'" /dev/null </dev/null
		assert_status 6
		assert_contains /dev/pts/
		assert_contains "31 97"
	done
}

@test "exec -d: runs on in the background, and in the container's groups" {
	local p
	for p in $POLICIES; do
		echo "policy $p"
		run_detached "$p" sleep 1000
		podman_ exec -d "$ID" sleep 777
		wait_for 5 eval 'podman exec $ID ps | grep -q "sleep 777"'
		run podman_ top "$ID" args
		assert_contains "sleep 777"
		podman_ rm -f -t 0 "$ID" >/dev/null
		run pgrep -f "^sleep 777$"
		assert_output ""
	done
}

@test "kill: signals by name and number arrive; PID 1 without a handler ignores TERM" {
	local p
	for p in $POLICIES; do
		echo "policy $p"
		run_detached "$p" sh -c 'trap "echo usr1" USR1; trap "echo hup; exit 4" HUP; echo ready; while :; do sleep 0.05; done'
		wait_for 5 log_has ready
		podman_ kill -s USR1 "$ID" >/dev/null
		wait_for 5 log_has usr1
		podman_ kill -s TERM "$ID" >/dev/null
		sleep 0.2
		state_is running
		podman_ kill -s 1 "$ID" >/dev/null
		run podman_ wait "$ID"
		assert_output 4
		run podman_ kill "$ID"
		((status != 0))
	done
}

@test "stop: TERM is honoured; without it, KILL comes after the time" {
	local p begin
	for p in $POLICIES; do
		echo "policy $p"
		run_detached "$p" sh -c 'trap "echo bye; exit 5" TERM; echo ready; while :; do sleep 0.05; done'
		wait_for 5 log_has ready
		podman_ stop -t 10 "$ID" >/dev/null
		assert_equal "$(inspect .State.ExitCode)" 5
		log_has bye
		run_detached "$p" sleep 1000
		begin=$SECONDS
		podman_ stop -t 1 "$ID" >/dev/null 2>&1
		((SECONDS - begin >= 1 && SECONDS - begin < 60))
		assert_equal "$(inspect .State.ExitCode)" 137
		[[ ! -d /proc/$PID ]]
	done
}

@test "pause and unpause: nothing runs meanwhile; exec in a paused one is refused" {
	local p before
	for p in $POLICIES; do
		echo "policy $p"
		run_detached "$p" sh -c 'i=0; while :; do i=$((i + 1)); echo $i >/tmp/i; sleep 0.01; done'
		podman_ pause "$ID" >/dev/null
		state_is paused
		before=$(awk '{ print $14 + $15 }' "/proc/$PID/stat")
		sleep 0.3
		assert_equal "$(awk '{ print $14 + $15 }' "/proc/$PID/stat")" "$before"
		run podman_ exec "$ID" true
		((status != 0))
		run podman_ pause "$ID"
		((status != 0))
		podman_ unpause "$ID" >/dev/null
		state_is running
		run podman_ exec "$ID" echo works
		assert_output works
	done
}

@test "rm -f: running, paused, stopped, created" {
	local p
	for p in $POLICIES; do
		echo "policy $p"
		run_detached "$p" sleep 1000
		podman_ rm -f -t 0 "$ID" >/dev/null
		[[ ! -d /proc/$PID ]]
		run_detached "$p" sleep 1000
		podman_ pause "$ID" >/dev/null
		podman_ rm -f -t 0 "$ID" >/dev/null
		[[ ! -d /proc/$PID ]]
		run_detached "$p" true
		podman_ wait "$ID" >/dev/null
		podman_ rm "$ID" >/dev/null
		new_id
		podman_ create --name "$ID" localhost/busybox true >/dev/null
		podman_ init "$ID" >/dev/null
		podman_ rm -f -t 0 "$ID" >/dev/null
		run find /run/purple -mindepth 1
		assert_output ""
	done
}

@test "a paused container can be killed" {
	run_detached none sleep 1000
	podman_ pause "$ID" >/dev/null
	podman_ kill "$ID" >/dev/null
	wait_for 5 state_is exited
	assert_equal "$(inspect .State.ExitCode)" 137
}

@test "logs: both streams, in order, and after the end" {
	run_detached guarded sh -c 'echo one; echo two >&2; echo three'
	podman_ wait "$ID" >/dev/null
	run podman_ logs "$ID"
	assert_equal "$(sort <<<"$output" | tr '\n' ' ')" "one three two "
	assert_equal "$(podman_ logs "$ID" 2>/dev/null)" $'one\nthree'
}

@test "inspect: state, pid, exit code, error, runtime" {
	run_detached guarded sh -c 'exec sleep 1000'
	state_is running
	assert_equal "$(inspect .OCIRuntime)" purple
	assert_equal "$(tr '\0' ' ' <"/proc/$PID/cmdline")" "sleep 1000 "
	podman_ kill "$ID" >/dev/null
	wait_for 5 state_is exited
	assert_equal "$(inspect .State.ExitCode) $(inspect .State.Pid)" "137 0"
}

@test "create, init and start are apart; start -a attaches" {
	podman_ create --name "$ID" localhost/busybox sh -c 'echo started; exit 2' >/dev/null
	podman_ init "$ID" >/dev/null
	state_is initialized || state_is created
	run podman_ start -a "$ID"
	assert_status 2
	assert_output started
	run podman_ start -a "$ID"
	assert_status 2
	assert_output started
}

@test "restart: a new process under the same policy" {
	local p
	for p in $POLICIES; do
		echo "policy $p"
		OPTIONS=()
		[[ $p == none ]] || OPTIONS=(--annotation "io.purple.policy=$p")
		run_detached none sleep 1000
		local old=$PID
		podman_ restart -t 0 "$ID" >/dev/null
		PID=$(inspect .State.Pid)
		[[ $PID != "$old" && ! -d /proc/$old ]]
		run podman_ exec "$ID" touch /x
		if [[ $p == none ]]; then assert_output ""; else assert_contains "Read-only"; fi
	done
}

@test "a health check, by hand" {
	podman_ run -d --name "$ID" --health-cmd 'test -e /healthy' --health-interval disable \
		localhost/busybox sleep 1000 >/dev/null
	run podman_ healthcheck run "$ID"
	((status != 0))
	podman_ exec "$ID" touch /healthy
	run podman_ healthcheck run "$ID"
	assert_status 0
}

@test "top, stats, ps and wait" {
	run_detached guarded sleep 1000
	run podman_ top "$ID" pid args
	assert_contains "sleep 1000"
	run podman_ stats --no-stream --format '{{.PIDs}} {{.MemUsage}}' "$ID"
	assert_status 0
	[[ $output =~ ^[1-9] ]]
	run podman_ ps --filter "name=$ID" --format '{{.Status}}'
	[[ $output == Up* ]]
	run_detached guarded sh -c 'exit 9'
	run podman_ wait "$ID"
	assert_output 9
}

@test "cp: into and out of a container" {
	run_detached none sleep 1000
	echo text >file
	podman_ cp file "$ID:/var/tmp/file"
	run podman_ exec "$ID" cat /var/tmp/file
	assert_output text
	podman_ exec "$ID" sh -c 'echo back >/var/tmp/back'
	podman_ cp "$ID:/var/tmp/back" back
	assert_equal "$(<back)" back
}

@test "orphans of the program are reaped by PID 1, and the exit does not wait for them" {
	local begin=$SECONDS
	run_detached none sh -c '(sleep 500 &) ; exit 3'
	run podman_ wait "$ID"
	assert_output 3
	((SECONDS - begin < 60))
	podman_ rm "$ID" >/dev/null
}

@test "many at once: created, used and removed without getting in each other's way" {
	local i pids=()
	for i in 1 2 3 4 5 6; do
		podman_ --runtime-flag policy=guarded run --rm --name "$ID-$i" localhost/busybox \
			sh -c "echo $i; exit $i" >"out$i" 2>"err$i" &
		pids+=($!)
	done
	for i in 1 2 3 4 5 6; do
		status=0
		wait "${pids[i - 1]}" || status=$?
		assert_equal "$(<"out$i") $status" "$i $i"
	done
	run find /run/purple -mindepth 1
	assert_output ""
}

@test "podman info and version name the runtime" {
	run podman_ info --format '{{.Host.OCIRuntime.Name}} {{.Host.OCIRuntime.Version}}'
	assert_status 0
	assert_contains purple
	assert_contains "purple-runtime version"
}

@test "an error of the runtime is one line that says what is wrong" {
	run podman_ --runtime-flag no-such-flag run --rm --name "$ID" localhost/busybox true
	((status != 0))
	assert_equal "${lines[-1]}" "Error: OCI runtime error: purple: unknown option '--no-such-flag'"
}
