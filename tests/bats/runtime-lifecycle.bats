#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The life of a container: create, start, state, kill, delete, run, list, ps, pause, resume.

load helpers

setup() {
	requires root busybox jq
	purple_setup
	make_bundle
}

# A created container that would run `sleep`, or the script given.
create_sleeper() {
	if [[ -n ${1:-} ]]; then set_script "$1"; else set_command sleep 1000; fi
	create_container
}

start_sleeper() {
	create_sleeper "$@"
	purple_rt start "$ID"
}

# --- from create to delete ------------------------------------------------------------------------

@test "create makes a container that waits, start runs it, its end makes it stopped, delete removes it" {
	mkfifo fifo
	edit_config '.mounts += [{destination: "/fifo", source: $f, options: ["bind"]}]' --arg f "$PWD/fifo"
	set_script 'echo started; read -r line </fifo'
	create_container
	assert_equal "$(container_status)" created
	assert_equal "$(cat out)" ""
	purple_rt start "$ID"
	assert_equal "$(container_status)" running
	echo go >fifo
	wait_status stopped
	assert_equal "$(cat out)" started
	purple_rt delete "$ID"
	run purple_rt state "$ID"
	assert_status 1
	assert_contains "container does not exist"
}

@test "state has every member of the specification, with the bundle and the annotations" {
	edit_config '.annotations = {"org.example.a": "1", "org.example.b": "x \"y\""}'
	create_sleeper
	run purple_rt state "$ID"
	assert_status 0
	local pid
	pid=$(cat pid)
	jq -e --arg id "$ID" --arg b "$BUNDLE" --argjson pid "$pid" '
		.id == $id and .status == "created" and .pid == $pid and .bundle == $b
		and .rootfs == $b + "/rootfs" and (.ociVersion | startswith("1."))
		and (.created | test("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\\.[0-9]+Z$"))
		and .owner == "root"
		and .annotations["org.example.a"] == "1" and .annotations["org.example.b"] == "x \"y\""' <<<"$output"
	purple_rt start "$ID"
	kill -9 "$pid"
	wait_status stopped
	assert_equal "$(purple_rt state "$ID" | jq '.pid')" 0
}

@test "the pid that create tells is the init of the container, seen from the host" {
	create_sleeper
	local pid
	pid=$(cat pid)
	assert_equal "$(awk '/^NSpid/ { print NF, $NF }' "/proc/$pid/status")" "3 1"
	purple_rt start "$ID"
	wait_for 5 grep -q sleep "/proc/$pid/comm"
}

@test "after create, init is no child of a Purple process: whoever is there to reap gets it" {
	create_sleeper
	local parent
	parent=$(awk '/^PPid/ { print $2 }' "/proc/$(cat pid)/status")
	[[ $(readlink "/proc/$parent/exe") != *purple* ]]
}

@test "an engine that is subreaper can wait for init and learns its exit code" {
	requires python3
	set_script 'exit 42'
	cat >engine.py <<-'END'
		import ctypes, os, subprocess, sys
		ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
		runtime, root, bundle, id = sys.argv[1:]
		null = subprocess.DEVNULL
		rt = [runtime, "--root", root]
		subprocess.run(rt + ["create", "--bundle", bundle, "--pid-file", "pid", id], stdin=null, stdout=null, check=True)
		pid = int(open("pid").read())
		subprocess.run(rt + ["start", id], check=True)
		_, status = os.waitpid(pid, 0)
		print(os.waitstatus_to_exitcode(status))
	END
	run python3 engine.py "$PURPLE_RUNTIME" "$PURPLE_ROOT" "$BUNDLE" "$ID"
	assert_status 0
	assert_output 42
}

@test "an init that is dead but not reaped is stopped, and can be deleted" {
	requires python3
	set_command sleep 1000
	cat >engine.py <<-'END'
		import ctypes, os, signal, subprocess, sys, time
		ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
		runtime, root, bundle, id = sys.argv[1:]
		null = subprocess.DEVNULL
		rt = [runtime, "--root", root]
		subprocess.run(rt + ["create", "--bundle", bundle, "--pid-file", "pid", id], stdin=null, stdout=null, check=True)
		pid = int(open("pid").read())
		subprocess.run(rt + ["start", id], check=True)
		os.kill(pid, signal.SIGKILL)
		while open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] != "Z":
		    time.sleep(0.01)
		print(subprocess.run(rt + ["state", id], capture_output=True, text=True).stdout)
		r = subprocess.run(rt + ["kill", id, "9"], capture_output=True, text=True)
		print("kill", r.returncode, r.stderr)
		print("delete", subprocess.run(rt + ["delete", id]).returncode)
		print("still", open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0])
	END
	run python3 engine.py "$PURPLE_RUNTIME" "$PURPLE_ROOT" "$BUNDLE" "$ID"
	assert_status 0
	assert_contains '"status": "stopped"'
	assert_contains 'kill 1 '
	assert_contains 'container not running'
	assert_contains 'delete 0'
	assert_contains 'still Z'
}

@test "a process that got init's pid anew is not taken for the container, nor signalled" {
	start_sleeper
	# The kernel tells a start in hundredths of a second: the other one's is to differ.
	sleep 0.05
	sleep 1000 3>&- &
	local other=$!
	kill -9 "$(cat pid)"
	wait_status stopped
	jq --argjson p "$other" '.pid = $p' "$PURPLE_ROOT/$ID/state.json" >new
	cp new "$PURPLE_ROOT/$ID/state.json"
	assert_equal "$(container_status)" stopped
	run purple_rt kill "$ID" KILL
	assert_status 1
	assert_contains "container not running"
	purple_rt delete --force "$ID"
	kill -0 "$other"
	kill "$other"
}

@test "starting a container twice, or one that has stopped, is an error" {
	start_sleeper
	run purple_rt start "$ID"
	assert_status 1
	assert_contains "cannot start an already running container"
	purple_rt kill "$ID" KILL
	wait_status stopped
	run purple_rt start "$ID"
	assert_status 1
	assert_contains "cannot start a container that has stopped"
}

@test "an id that is in use is refused, and the container that has it is left alone" {
	create_sleeper
	local before
	before=$(cat pid)
	run purple_rt create --bundle "$BUNDLE" --pid-file other "$ID"
	assert_status 1
	assert_contains "container with given ID already exists"
	[[ ! -e other ]]
	assert_equal "$(purple_rt state "$ID" | jq .pid)" "$before"
	assert_equal "$(container_status)" created
}

@test "ids that are no plain names are refused and make nothing" {
	local bad
	for bad in '' . .. a/b ../x /abs 'a b' $'a\nb' 'a:b' 'ä' "$(printf 'x%.0s' {1..1025})"; do
		run purple_rt create --bundle "$BUNDLE" -- "$bad"
		assert_status 1
		assert_contains "container id"
		run purple_rt state -- "$bad"
		assert_status 1
		run purple_rt delete --force -- "$bad"
		assert_status 1
	done
	[[ ! -e $PURPLE_ROOT ]] || rmdir "$PURPLE_ROOT"
}

@test "ids of letters, digits and _ + . - are taken, also 64 hexadecimal ones" {
	set_command true
	local good
	for good in "$ID+a_b.c-D" "$ID$(printf 'a%.0s' {1..64})"; do
		purple_rt run --bundle "$BUNDLE" "$good"
	done
}

@test "a config without process can be created and deleted, and says so when it is started" {
	edit_config 'del(.process)'
	create_container
	assert_equal "$(container_status)" created
	run purple_rt start "$ID"
	assert_status 1
	assert_contains "without process"
	wait_status stopped
	purple_rt delete "$ID"
}

# --- kill -----------------------------------------------------------------------------------------

@test "kill takes numbers, names, names with SIG in any case, and TERM when none is given" {
	local signal
	for signal in '' 15 TERM SIGTERM sigterm; do
		new_id
		start_sleeper 'trap "echo got TERM; exit 7" TERM; echo ready; while :; do sleep 0.02; done'
		wait_for 5 grep -q ready out
		# shellcheck disable=SC2086 # none is no word
		purple_rt kill "$ID" $signal
		wait_status stopped
		assert_equal "$(tail -n 1 out)" "got TERM"
		purple_rt delete "$ID"
	done
}

@test "kill knows real-time signals, and signal 0 only looks" {
	start_sleeper 'trap "echo got it" 34; trap "echo other" 36; echo ready; while :; do sleep 0.02; done'
	wait_for 5 grep -q ready out
	purple_rt kill "$ID" 0
	assert_equal "$(container_status)" running
	purple_rt kill "$ID" RTMIN+2
	wait_for 5 grep -q other out
}

@test "an unknown signal is refused and nothing is sent" {
	start_sleeper
	local bad
	for bad in NONE SIGFOO 65 999 -1 1x '' 'TERM ' 0x9; do
		run purple_rt kill "$ID" -- "$bad"
		assert_status 1
		assert_contains "unknown signal"
	done
	assert_equal "$(container_status)" running
}

@test "kill of a stopped container is an error with both phrases that engines know" {
	start_sleeper
	purple_rt kill "$ID" 9
	wait_status stopped
	run purple_rt kill "$ID" 9
	assert_status 1
	assert_contains "container not running"
	assert_contains "no such process"
}

@test "kill of a container that is only created ends it" {
	create_sleeper
	purple_rt kill "$ID" KILL
	wait_status stopped
}

@test "kill and state of an unknown container say that it does not exist" {
	local command
	for command in state start kill delete pause resume ps; do
		run purple_rt "$command" nobody-knows-it
		assert_status 1
		assert_contains "container does not exist"
	done
}

@test "kill --all reaches every process, kill alone only init" {
	edit_config 'del(.linux.namespaces[] | select(.type == "pid"))'
	start_sleeper 'sleep 1000 & sleep 1000 & echo ready; wait'
	wait_for 5 grep -q ready out
	wait_for 5 eval '(($(purple_rt ps --format json "$ID" | jq length) == 3))'
	purple_rt kill "$ID" KILL
	wait_status stopped
	assert_equal "$(purple_rt ps --format json "$ID" | jq length)" 2
	# Init is dead: the others share the host's pid namespace and are still there.
	purple_rt kill --all "$ID" KILL
	wait_for 5 eval '[[ $(purple_rt ps --format json "$ID") == "[]" ]]'
	purple_rt kill -a "$ID" 9
	purple_rt delete "$ID"
}

@test "kill --all sends the signal that was asked for" {
	start_sleeper 'sh -c "trap \"echo child; exit\" USR1; echo ready; while :; do sleep 0.02; done" &
		trap "echo parent" USR1; while :; do sleep 0.02; done'
	wait_for 5 grep -q ready out
	purple_rt kill --all "$ID" USR1
	wait_for 5 grep -q child out
	wait_for 5 grep -q parent out
}

# --- delete ---------------------------------------------------------------------------------------

@test "delete of a running, created or paused container is an error that names its status" {
	create_sleeper
	run purple_rt delete "$ID"
	assert_status 1
	assert_contains "cannot delete container $ID that is not stopped: created"
	purple_rt start "$ID"
	run purple_rt delete "$ID"
	assert_status 1
	assert_contains "cannot delete container $ID that is not stopped: running"
	purple_rt pause "$ID"
	run purple_rt delete "$ID"
	assert_status 1
	assert_contains "cannot delete container $ID that is not stopped: paused"
	purple_rt resume "$ID"
	assert_equal "$(container_status)" running
}

@test "delete --force ends a created, a running and a paused container" {
	create_sleeper
	purple_rt delete --force "$ID"
	no_traces "$(test_prefix)"
	new_id
	start_sleeper
	purple_rt delete -f "$ID"
	no_traces "$(test_prefix)"
	new_id
	start_sleeper
	purple_rt pause "$ID"
	local pid
	pid=$(cat pid)
	run timeout 20 "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" delete --force "$ID"
	assert_status 0
	no_traces "$(test_prefix)"
	[[ ! -e /proc/$pid/exe ]]
}

@test "delete --force of an unknown container is no error, also twice after a delete" {
	run purple_rt delete --force "$ID"
	assert_status 0
	assert_output ""
	start_sleeper
	purple_rt delete --force "$ID"
	run purple_rt delete --force "$ID"
	assert_status 0
	assert_output ""
}

@test "delete takes the processes that outlived init with it" {
	edit_config 'del(.linux.namespaces[] | select(.type == "pid"))'
	start_sleeper 'sleep 1234 & exit 0'
	wait_status stopped
	wait_for 5 eval '(($(purple_rt ps --format json "$ID" | jq length) == 1))'
	local left
	left=$(purple_rt ps --format json "$ID" | jq '.[0]')
	purple_rt delete "$ID"
	[[ ! -e /proc/$left/exe ]]
}

@test "an init that ignores every signal is killed by delete --force" {
	start_sleeper 'trap "" 1 2 3 6 14 15; echo ready; while :; do sleep 0.02; done'
	wait_for 5 grep -q ready out
	purple_rt kill "$ID" TERM
	sleep 0.1
	assert_equal "$(container_status)" running
	purple_rt delete --force "$ID"
}

# --- pause and resume -----------------------------------------------------------------------------

@test "pause stops every process, resume lets them go on" {
	start_sleeper 'i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done'
	wait_for 5 test -s out
	purple_rt pause "$ID"
	assert_equal "$(container_status)" paused
	local before
	before=$(wc -l <out)
	sleep 0.3
	assert_equal "$(wc -l <out)" "$before"
	purple_rt resume "$ID"
	assert_equal "$(container_status)" running
	wait_for 5 eval '(($(wc -l <out) > before))'
}

@test "pausing twice and resuming twice are errors with the words that engines know" {
	start_sleeper
	run purple_rt resume "$ID"
	assert_status 1
	assert_contains "container not paused"
	purple_rt pause "$ID"
	run purple_rt pause "$ID"
	assert_status 1
	assert_contains "container not running"
	purple_rt resume "$ID"
	purple_rt kill "$ID" KILL
	wait_status stopped
	run purple_rt pause "$ID"
	assert_status 1
	assert_contains "container not running"
	run purple_rt resume "$ID"
	assert_status 1
	assert_contains "container not paused"
}

@test "SIGKILL to a frozen container ends it without resume, alone or with --all" {
	start_sleeper
	purple_rt pause "$ID"
	purple_rt kill "$ID" KILL
	wait_status stopped
	purple_rt delete "$ID"
	new_id
	start_sleeper
	purple_rt pause "$ID"
	purple_rt kill --all "$ID" 9
	wait_status stopped
}

@test "another signal to a frozen container leaves it frozen and acts when it is resumed" {
	start_sleeper
	purple_rt pause "$ID"
	purple_rt kill "$ID" INT
	purple_rt kill "$ID" 12
	sleep 0.1
	assert_equal "$(container_status)" paused
	purple_rt resume "$ID"
	assert_equal "$(container_status)" running
}

@test "a created container can be paused, and resumed to created" {
	create_sleeper
	purple_rt pause "$ID"
	assert_equal "$(container_status)" paused
	purple_rt resume "$ID"
	assert_equal "$(container_status)" created
	purple_rt start "$ID"
	assert_equal "$(container_status)" running
}

# --- run ------------------------------------------------------------------------------------------

@test "run gives the container's output and exit code, and leaves nothing" {
	run_script 'echo out; echo err >&2; exit 3'
	assert_status 3
	assert_contains out
	assert_contains err
	no_traces "$(test_prefix)"
}

@test "run says 128+n for a container that died of a signal" {
	# PID 1 gets no signal of its own that it has not asked for; a shared pid namespace has no such rule.
	edit_config 'del(.linux.namespaces[] | select(.type == "pid"))'
	run_script 'kill -USR1 $$'
	assert_status $((128 + 10))
	run_script 'kill -KILL $$'
	assert_status $((128 + 9))
}

@test "run forwards signals to the container" {
	set_script 'trap "echo got HUP; exit 5" HUP; echo ready; while :; do sleep 0.02; done'
	purple_rt run --bundle "$BUNDLE" "$ID" >out 2>&1 3>&- &
	local job=$! status=0
	wait_for 5 grep -q ready out
	# The job is the shell function's process; its child is the runtime.
	kill -HUP "$(pgrep -P "$job" -f purple-runtime || echo "$job")"
	wait "$job" || status=$?
	assert_equal "$status" 5
	assert_equal "$(tail -n 1 out)" "got HUP"
}

@test "run --detach returns at once and writes the pid file; run --keep keeps the stopped container" {
	set_command sleep 1000
	purple_rt run --detach --bundle "$BUNDLE" --pid-file pid "$ID" </dev/null >out 2>&1
	assert_equal "$(container_status)" running
	assert_equal "$(purple_rt state "$ID" | jq .pid)" "$(cat pid)"
	purple_rt delete --force "$ID"
	new_id
	set_script 'exit 4'
	run purple_rt run --keep --bundle "$BUNDLE" "$ID"
	assert_status 4
	assert_equal "$(container_status)" stopped
	purple_rt delete "$ID"
}

@test "run reaps the processes that a container without pid namespace leaves to it" {
	edit_config 'del(.linux.namespaces[] | select(.type == "pid"))'
	run_script '(sleep 0.05 &) ; sleep 0.3; exit 0'
	assert_status 0
	no_traces "$(test_prefix)"
}

@test "run stops with an error and leaves nothing when the program is not there" {
	set_command no-such-program
	run purple_rt run --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains 'exec: "no-such-program": executable file not found in $PATH'
	no_traces "$(test_prefix)"
}

# --- list and ps ----------------------------------------------------------------------------------

@test "list shows every container: as a table, as JSON, and the ids alone" {
	run purple_rt list --format json
	assert_status 0
	assert_output "[]"
	run purple_rt list -q
	assert_output ""
	create_sleeper
	local first=$ID
	new_id
	start_sleeper
	run purple_rt list -q
	assert_output "$first"$'\n'"$ID"
	run purple_rt list --format json
	jq -e --arg a "$first" --arg b "$ID" 'length == 2
		and (map(select(.id == $a))[0].status == "created")
		and (map(select(.id == $b))[0] | .status == "running" and .pid > 0)' <<<"$output"
	run purple_rt list
	assert_contains "ID "
	assert_contains "STATUS"
	grep -Eq "^$ID +[0-9]+ +running +$BUNDLE " <<<"$output"
	run purple_rt list --format xml
	assert_status 1
	assert_contains "unknown format 'xml'"
}

@test "ps gives the host's pids as JSON, and a table with only the container's lines" {
	start_sleeper 'sleep 777 & echo ready; wait'
	wait_for 5 grep -q ready out
	wait_for 5 eval 'purple_rt ps --format table "$ID" | grep -q "sleep 777"'
	run purple_rt ps --format json "$ID"
	assert_status 0
	jq -e --argjson p "$(cat pid)" 'length == 2 and index($p) != null' <<<"$output"
	run purple_rt ps "$ID"
	assert_contains "sleep 777"
	assert_lacks "bats"
	((${#lines[@]} == 3))
	run purple_rt ps "$ID" -o pid,args
	assert_contains "sleep 777"
	run purple_rt ps "$ID" -o args
	assert_status 1
	assert_contains "PID column"
}

@test "ps of a stopped container is an empty list" {
	start_sleeper
	purple_rt kill "$ID" KILL
	wait_status stopped
	run purple_rt ps --format json "$ID"
	assert_status 0
	assert_output "[]"
}

@test "commands work from any directory, and with a root given as a relative path" {
	make_bundle
	set_command sleep 1000
	(cd "$BUNDLE" && "$PURPLE_RUNTIME" --root ../root create "$ID" </dev/null >/dev/null 2>&1)
	(cd / && "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" start "$ID")
	assert_equal "$(cd /proc && "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" state "$ID" | jq -r '.status + " " + .bundle')" \
		"running $BUNDLE"
}

@test "two starts at the same time: one of them wins, the other one says why not" {
	create_sleeper
	local a=0 b=0 one two
	"$PURPLE_RUNTIME" --root "$PURPLE_ROOT" start "$ID" 2>a.err 3>&- &
	one=$!
	"$PURPLE_RUNTIME" --root "$PURPLE_ROOT" start "$ID" 2>b.err 3>&- &
	two=$!
	wait "$one" || a=$?
	wait "$two" || b=$?
	assert_equal "$((a + b))" 1
	grep -q "already running" a.err b.err
	assert_equal "$(container_status)" running
}
