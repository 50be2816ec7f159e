#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Audited policies: what is recorded of a container, in which log, and what happens when it cannot be.

load helpers

setup() {
	requires root jq python3 private_etc cgroup_v2_tree
	purple_setup
	ID=$(test_prefix)
	LOGS=$BATS_TEST_TMPDIR/logs
	LOG=$LOGS/$ID.jsonl
}

teardown() {
	local mount
	for mount in other/inner merged; do
		! mountpoint -q "$mount" || umount "$mount"
	done
	purple_teardown
}

# profile [FILE] <YAML: a policy (default p.yaml) in which programs of the host run. What is below
# `audit` comes first, indented; then the rest.
profile() {
	{
		printf 'name: %s\n' "$ID"
		host_files
		printf 'audit:\n'
		grep -q log_path "$BATS_TEST_TMPDIR/keys" || printf '  log_path: %s\n' "$LOG"
		cat "$BATS_TEST_TMPDIR/keys"
	} >"${1:-p.yaml}"
}

# audited [KEYS] [FILE]: the policy, with these lines below `audit` and behind it.
audited() {
	printf '%s\n' "${1:-}" >"$BATS_TEST_TMPDIR/keys"
	profile "${2:-p.yaml}"
}

agent() {
	run purple_ run --quiet --profile ./p.yaml --name "$ID" -- bash -c "$1"
}

# agent_in_background SCRIPT: sets SUPERVISOR, and waits until the sandbox runs.
agent_in_background() {
	"$PURPLE" --root "$PURPLE_ROOT" run --profile ./p.yaml --name "$ID" -- bash -c "$1" >agent.out 2>agent.err </dev/null 3>&- &
	SUPERVISOR=$!
	wait_for 30 is_running
}

is_running() {
	[[ $(purple_ ps -q) == *"$ID"* ]] && [[ ! -e $PURPLE_ROOT/$ID/start.sock ]]
}

has_ended() {
	! kill -0 "$SUPERVISOR" 2>/dev/null || [[ $(awk '/^State/ { print $2 }' "/proc/$SUPERVISOR/status" 2>/dev/null) == Z ]]
}

# Sets status and output as `run` does.
end_of_supervisor() {
	status=0
	wait "$SUPERVISOR" || status=$?
	output=$(cat agent.out agent.err)
}

# lines FILTER [LOG]: the lines that a jq filter selects.
lines() {
	jq -c "select($1)" "${2:-$LOG}"
}

# has_line FILTER [LOG]
has_line() {
	[[ -n $(lines "$@") ]] && return
	echo "no line: $1, of these:"
	jq -r '[.type, .event.action // ""] | join(" ")' "${2:-$LOG}" | sort | uniq -c
	return 1
}

has_no_line() {
	[[ -z $(lines "$@") ]] || { echo "a line: $1"; lines "$@" | cut -c1-400; return 1; }
}

@test "each kind of event is recorded, with the names that the agent sees" {
	audited $'resources:\n  pids_limit: 30\ncapabilities:\n  add: [CAP_SETUID, CAP_SETGID]\nebpf_monitoring:\n  trace_syscalls: true'
	agent 'exec 2>/dev/null
		echo text >"/tmp/a b"; mv "/tmp/a b" /tmp/c; rm /tmp/c; cat /missing; : >/usr/new
		bash -c "sh -c \"exit 5\""
		(exit 6) & wait
		python3 -c "if 1:
			import os, socket
			os.mkdir(\"/tmp/d\", 0o700); os.symlink(\"../x\", \"/tmp/d/s\"); os.chmod(\"/tmp/d\", 0o755)
			open(\"/tmp/d/f\", \"w\"); os.link(\"/tmp/d/f\", \"/tmp/d/l\"); os.truncate(\"/tmp/d/f\", 0)
			s = socket.socket(socket.AF_UNIX); s.bind(\"/tmp/d/sock\"); s.listen()
			socket.socket(socket.AF_UNIX).connect(\"/tmp/d/sock\")"
		unshare --net true
		setpriv --reuid=1000 --clear-groups cat /dev/null
		echo >/dev/tcp/127.0.0.1/9
		python3 -c "import socket; s = socket.socket(); s.bind((\"127.0.0.1\", 4567))"
		python3 -c "if 1:
			import os, time
			for i in range(60):
				try:
					if os.fork() == 0: time.sleep(1); os._exit(0)
				except OSError: break"
		exit 3'
	assert_status 3
	assert_schema "$LOG"
	has_line '.type == "start" and .logs[0].path == "'"$LOG"'"'
	has_line '.type == "process" and .event.action == "exec" and .process.args == ["sh", "-c", "exit 5"] and .process.vpid > 1 and .process.parent.vpid > 1'
	has_line '.type == "process" and .event.action == "exit" and .process.exit_code == 5'
	has_line '.type == "file" and .event.action == "open" and .file.path == "/tmp/a b" and .file.access == "write" and .file.created'
	has_line '.type == "file" and .event.action == "rename" and .file.path == "/tmp/a b" and .file.target_path == "/tmp/c"'
	has_line '.type == "file" and .event.action == "remove" and .file.path == "/tmp/c"'
	has_line '.type == "process" and .event.action == "fork" and .process.vpid > 1 and .process.parent.vpid >= 1'
	has_line '.type == "process" and .event.action == "exit" and .process.exit_code == 6'
	has_line '.type == "file" and .event.action == "mkdir" and .file.path == "/tmp/d" and .file.mode == "0700"'
	has_line '.type == "file" and .event.action == "symlink" and .file.path == "/tmp/d/s" and .file.target_path == "../x"'
	has_line '.type == "file" and .event.action == "chmod" and .file.mode == "0755"'
	has_line '.type == "file" and .event.action == "link" and .file.path == "/tmp/d/f" and .file.target_path == "/tmp/d/l"'
	has_line '.type == "file" and .event.action == "truncate" and .file.path == "/tmp/d/f"'
	has_line '.type == "file" and .event.action == "bind" and .file.path == "/tmp/d/sock"'
	has_line '.type == "file" and .event.action == "connect" and .file.path == "/tmp/d/sock" and .event.outcome == "success"'
	has_line '.type == "file" and .file.path == "/missing" and .event.outcome == "failure" and .error.code == "ENOENT"'
	has_line '.type == "file" and .file.path == "/usr/new" and .verdict == "deny" and .error.code == "EROFS"'
	has_line '.type == "syscall" and .event.action == "unshare" and .verdict == "deny" and .error.code == "EPERM" and .denied_by != "kernel"'
	has_line '.type == "privilege" and (.event.action | startswith("setres")) and .process.name == "setpriv"'
	has_line '.type == "network" and .event.action == "connect" and .destination.ip == "127.0.0.1" and .destination.port == 9'
	has_line '.type == "network" and .event.action == "bind" and .server.port == 4567'
	has_line '.type == "limit" and .event.action == "pids_max" and .count > 0'
	has_line '.type == "usage" and .usage.processes_refused > 0'
	has_line '.type == "syscalls" and (.calls | length) > 0'
	has_line '.type == "end" and .exit_code == 3'
	[[ $(tail -n 1 "$LOG" | jq -r .type) == end ]]
	# No part of what is traced is where all events of a container are kept.
	[[ $(stat -c %a "$LOG") == 600 && $(stat -c %a "$LOGS") == 700 ]]
}

@test "detail_level picks what is recorded, and nothing else is traced" {
	audited '  detail_level: [exec]'
	agent 'cat /etc/hostname; exit 0'
	assert_status 0
	has_line '.type == "process" and .process.args == ["cat", "/etc/hostname"]'
	has_no_line '[.type] | inside(["start", "process", "end"]) | not'
	rm -r "$LOGS"
	audited '  detail_level: [api_calls]'
	agent 'cat /etc/hostname; exit 0'
	[[ $(jq -r .type "$LOG" | tr '\n' ' ') == "start end " ]]
	rm -r "$LOGS"
	# Files are told where they are refused, alone.
	audited '  detail_level: [security_events]'
	agent 'cat /etc/hostname >/tmp/x; : >/usr/new; exit 0'
	has_line '.type == "file" and .file.path == "/usr/new" and .verdict == "deny" and .error.code == "EROFS"'
	has_no_line '.verdict == "allow"'
}

@test "two containers at a time: none has events of the other's, and a log that both write is whole" {
	audited "  log_path: $LOGS/$ID.jsonl" p.yaml
	audited "  log_path: $LOGS/$ID-other.jsonl" other.yaml
	local script='for ((i = 0; i < 100; i++)); do cat "/tmp/$0$i" 2>/dev/null; done; true' pids=()
	"$PURPLE" --root "$PURPLE_ROOT" run --profile ./p.yaml --name "$ID-1" -- bash -c "$script" one 3>&- &
	pids+=($!)
	"$PURPLE" --root "$PURPLE_ROOT" run --profile ./other.yaml --name "$ID-2" -- bash -c "$script" two 3>&- &
	pids+=($!)
	"$PURPLE" --root "$PURPLE_ROOT" run --profile ./p.yaml --name "$ID-3" -- bash -c "$script" three 3>&- &
	pids+=($!)
	wait "${pids[@]}"
	has_no_line '.container.id != "'"$ID-2"'" or ((.file.path // "") | test("/tmp/(one|three)"))' "$LOGS/$ID-other.jsonl"
	has_no_line '.container.id == "'"$ID-2"'" or ((.file.path // "") | test("/tmp/two"))' "$LOGS/$ID.jsonl"
	has_no_line '.container.id == "'"$ID-1"'" and ((.file.path // "") | test("/tmp/three"))' "$LOGS/$ID.jsonl"
	[[ $(lines '.event.action == "open" and ((.file.path // "") | test("^/tmp/one[0-9]+$"))' "$LOGS/$ID.jsonl" | wc -l) == 100 ]]
	[[ $(lines '.event.action == "open" and ((.file.path // "") | test("^/tmp/two[0-9]+$"))' "$LOGS/$ID-other.jsonl" | wc -l) == 100 ]]
	# Numbers without a gap, whoever wrote.
	[[ $(jq -r .line.number "$LOGS/$ID.jsonl") == "$(seq "$(wc -l <"$LOGS/$ID.jsonl")")" ]]
}

@test "100,000 files opened: each one is in the log, or counted as lost" {
	audited '  detail_level: [filesystem]'
	agent 'for ((i = 0; i < 100000; i++)); do : </tmp; done'
	assert_status 0
	local told lost
	told=$(grep -c '"path":"/tmp"' "$LOG")
	lost=$(jq 'select(.type == "end") | (.lost.trace // 0) + (.lost.record // 0)' "$LOG")
	echo "told $told lost $lost"
	((told <= 100000 && told + lost >= 100000))
	# What else was lost are a few files of the shell's own.
	((told + lost < 100500))
	((lost == 0)) || has_line '.type == "lost" and .lost.trace + .lost.record > 0'
}

@test "denied calls that come fast are each in the count of a line, and odd numbers are one call" {
	audited $'  detail_level: [security_events]\nebpf_monitoring:\n  trace_syscalls: true'
	agent "python3 -c 'if 1:
		import ctypes, os
		call = ctypes.CDLL(None).syscall
		pivot_root = 155 if os.uname().machine == \"x86_64\" else 41
		for n in range(500): assert call(pivot_root, 0, 0) == -1
		for n in range(1000, 3000): assert call(n) == -1'"
	assert_status 0
	assert_schema "$LOG"
	[[ $(lines '.type == "syscall"' | jq -s '[.[].count] | add') -ge 500 ]]
	has_line '.type == "syscall" and .event.action == "repeated" and .count > 1'
	has_line '.type == "syscalls" and .calls.unknown.count == 2000'
	has_no_line '.type == "privilege" and .event.action == "repeated"'
}

@test "under an audited policy nobody sets up io_uring, whatever the policy says" {
	audited $'syscalls:\n  allow: [io_uring_setup]'
	agent "python3 -c 'if 1:
		import ctypes
		libc = ctypes.CDLL(None, use_errno=True)
		for n in 425, 426, 427:
			assert libc.syscall(n, 0, 0, 0, 0, 0, 0) == -1 and ctypes.get_errno() == 1, n'"
	assert_status 0
	has_line '.type == "syscall" and .event.action == "io_uring_setup" and .verdict == "deny"'
}

@test "a log that the agent could write to is refused, and one that it could read is hidden" {
	mkdir -p out
	audited "  log_path: $PWD/out/audit/log.jsonl"
	sed -i "s|^  scratch_paths:|  output_paths: [{ host_path: $PWD/out }]\n&|" p.yaml
	agent 'echo started'
	assert_status 125
	assert_lacks started
	assert_contains "audit.log_path"
	# By another name of the same folder, too.
	ln -s "$PWD/out" link
	audited "  log_path: $PWD/link/log.jsonl"
	sed -i "s|^  scratch_paths:|  output_paths: [{ host_path: $PWD/out }]\n&|" p.yaml
	agent 'echo started'
	assert_status 125
	assert_lacks started
	mkdir -p seen/logs
	echo visible >seen/file
	audited "  log_path: $PWD/seen/logs/log.jsonl"
	sed -i "s|^  immutable_paths:|&\n    - { host_path: $PWD/seen, sandbox_path: /seen }|" p.yaml
	agent 'cat /seen/file; ls -A /seen/logs; cat /seen/logs/log.jsonl 2>&1'
	assert_contains visible
	assert_contains "No such file"
	assert_lacks '"type"'
	has_line '.type == "end"' seen/logs/log.jsonl
}

@test "a log is hidden where the host shows it once more: another mount, an overlay, the disk" {
	mkdir -p real/logs other/inner empty merged upper work
	echo visible >real/file
	mount --bind real other/inner
	mount -t overlay none -o "lowerdir=$PWD/empty:$PWD/real" merged
	audited "  log_path: $PWD/real/logs/log.jsonl"
	sed -i "s|^  immutable_paths:|&\n    - { host_path: $PWD/other, sandbox_path: /other }\n    - { host_path: $PWD/merged, sandbox_path: /merged }|" p.yaml
	agent 'cat /other/inner/file /merged/file; ls -A /other/inner/logs /merged/logs; cat /other/inner/logs/log.jsonl /merged/logs/log.jsonl 2>&1'
	assert_contains visible
	assert_contains "/other/inner/logs/log.jsonl: No such file"
	assert_contains "/merged/logs/log.jsonl: No such file"
	assert_lacks '"type"'
	# Where it could be written to.
	audited "  log_path: $PWD/real/logs/log.jsonl"
	sed -i "s|^  scratch_paths:|  output_paths: [{ host_path: $PWD/other }]\n&|" p.yaml
	agent 'echo started'
	assert_status 125
	assert_lacks started
	umount other/inner merged
	# An overlay that the runtime is to mount, as an engine asks for it.
	audited "  log_path: $PWD/real/logs/log.jsonl"
	policy_install overlaid <p.yaml
	make_bundle
	set_script 'cat /m/file; cat /m/logs/log.jsonl 2>&1; true'
	edit_config '.mounts += [{type: "overlay", source: "overlay", destination: "/m", options: ["ro", $o]}]' --arg o "lowerdir=$PWD/empty:$PWD/real"
	run purple_rt --policy overlaid run --bundle "$BUNDLE" "$ID-o"
	assert_contains visible
	assert_contains "No such file"
	assert_lacks '"type"'
	edit_config '(.mounts[] | select(.type == "overlay")).options = [$o]' --arg o "lowerdir=$PWD/empty,upperdir=$PWD/real,workdir=$PWD/work"
	run purple_rt --policy overlaid run --bundle "$BUNDLE" "$ID-p"
	[[ $status != 0 ]]
	assert_contains audit.log_path
	# The disk that the log is on. It is refused before anything is mounted.
	# shellcheck disable=SC2046 # two numbers
	mknod disk b $(stat -c '%Hd %Ld' real)
	edit_config '(.mounts[] | select(.type == "overlay")) |= {type: "ext4", source: $d, destination: "/m"}' --arg d "$PWD/disk"
	run purple_rt --policy overlaid run --bundle "$BUNDLE" "$ID-q"
	[[ $status != 0 ]]
	assert_contains "as part of its whole file system"
}

# The monitor of $ID, and its recorder.
monitor_pid() {
	jq -r .monitorPid "$PURPLE_ROOT/$ID/state.json"
}

recorder_pid() {
	# Of the monitor's children the only one that is root's.
	pgrep -P "$(monitor_pid)" -u 0
}

@test "who records dies: the container ends, and it is said why" {
	local who pid
	audited
	for who in recorder monitor; do
		agent_in_background 'sleep 600'
		cp "$PURPLE_ROOT/$ID/events.jsonl" before
		pid=$("${who}_pid")
		[[ -n $pid ]]
		kill -KILL "$pid"
		wait_for 30 has_ended
		end_of_supervisor
		((status != 0))
		[[ $output == *audit* ]] || { echo "$who: $status $output"; return 1; }
	done
	has_line '.type == "monitor_died"'
}

@test "on_log_failure: continue lets the container go on without its recorder" {
	audited '  on_log_failure: continue'
	agent_in_background 'trap "exit 4" TERM; echo ready; while :; do sleep 0.1; done'
	wait_for 10 grep -q ready agent.out
	kill -KILL "$(recorder_pid)"
	wait_for 30 grep -q recorder_died "$PURPLE_ROOT/$ID/events.jsonl"
	kill -TERM "$SUPERVISOR"
	end_of_supervisor
	assert_status 4
}

@test "a log whose disk is full ends the container" {
	mkdir -p "$LOGS"
	mount -t tmpfs -o size=64k,mode=0700 none "$LOGS"
	audited
	agent 'while :; do cat /missing 2>/dev/null; done'
	umount "$LOGS"
	((status != 0 && status != 124))
}

@test "an agent that runs Purple's own file and forks is recorded, as its set-up is not" {
	requires no_sanitizer
	command -v cc >/dev/null || skip "needs the program cc"
	cat >hide.c <<-'END'
		#include <fcntl.h>
		#include <sys/wait.h>
		#include <unistd.h>
		static void __attribute__((constructor)) hide(void)
		{
			if (fork() == 0) {
				open("/tmp/hidden", O_WRONLY | O_CREAT, 0600);
				_exit(0);
			}
			wait(NULL);
			_exit(0);
		}
	END
	cc -shared -fPIC -o hide.so hide.c
	audited
	sed -i "s|^  immutable_paths:|&\n    - { host_path: $PURPLE, sandbox_path: /purple }\n    - { host_path: $PWD/hide.so, sandbox_path: /hide.so }|" p.yaml
	agent 'LD_PRELOAD=/hide.so /purple; test -e /tmp/hidden'
	assert_status 0
	has_line '.type == "file" and .file.path == "/tmp/hidden" and .file.created'
	# What the runtime does before the first program is not.
	has_no_line '.type == "file" and .process.name == "purple" and .file.path == "/dev/pts"'
}
