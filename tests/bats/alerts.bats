#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# audit.alert: who is told of violations, by a command and by a webhook; that bursts are merged; and
# that nothing of it holds the agent up.

load helpers

setup() {
	requires root jq python3 cgroup_v2_tree gateway
	purple_setup
	LOG=$PWD/logs/$ID.jsonl
	pids=()
}

teardown() {
	local pid
	for pid in "${pids[@]}" $(cat hang.pids 2>/dev/null); do
		kill -KILL "$pid" 2>/dev/null || true
	done
	purple_teardown
}

# profile ALERT [KEYS]: p.yaml, which has ALERT below audit.alert, and more keys below audit and behind it.
profile() {
	{
		printf 'name: %s\n' "$ID"
		host_files
		printf 'audit:\n  log_path: %s\n  alert: { %s }\n%s\n' "$LOG" "$1" "${2:-}"
	} >p.yaml
}

# agent SCRIPT
agent() {
	run --separate-stderr purple_ run --profile ./p.yaml --name "$ID" -- bash -c "$1"
	output+=$'\n'$stderr
}

# command SCRIPT: an alert command, which has a folder of its own; sets COMMAND for a policy.
command_() {
	printf '#!/bin/sh\ncd %q || exit\n%s\n' "$PWD" "$1" >alert-command
	chmod 0755 alert-command
	COMMAND="command: [\"$PWD/alert-command\", \"a \$(b)\"]"
}

# Keeps what it is told.
keeps='printf "%s\n" "$1 $PURPLE_EVENT $PURPLE_CONTAINER $PURPLE_POLICY" >>told; cat >>alerts.jsonl; id -u >user; env | cut -d= -f1 >env'

# webhook: what it gets goes to hook.jsonl. Sets WEBHOOK for a policy.
webhook() {
	python3 - >hook.port 2>hook.err 3>&- <<-'END' &
		import http.server
		class Hook(http.server.BaseHTTPRequestHandler):
		    def do_POST(self):
		        with open("hook.jsonl", "ab") as f:
		            f.write(self.rfile.read(int(self.headers["Content-Length"])))
		        self.send_response(204)
		        self.end_headers()
		server = http.server.HTTPServer(("127.0.0.1", 0), Hook)
		print(server.server_port, flush=True)
		server.serve_forever()
	END
	pids+=("$!")
	wait_for 20 test -s hook.port
	WEBHOOK="webhook: \"http://127.0.0.1:$(<hook.port)/x?y=z\""
}

# told FILTER [FILE]: a line of what was told.
told() {
	[[ -n $(jq -c "select($1)" "${2:-alerts.jsonl}" 2>/dev/null) ]]
}

has_not_told() {
	[[ -z $(jq -c "select($1)" "${2:-alerts.jsonl}") ]]
}

@test "a command and a webhook hear of each kind of violation, whatever detail_level is" {
	webhook
	command_ "$keeps"
	profile "$COMMAND, $WEBHOOK" $'  detail_level: [exec]\nresources:\n  pids_limit: 30\nnetwork:\n  allow_outgoing: ["192.0.2.1"]'
	agent 'exec 2>/dev/null
		: >/usr/new
		unshare --net true
		echo >/dev/tcp/192.0.2.2/9
		python3 -c "if 1:
			import os, time
			for i in range(60):
				try:
					if os.fork() == 0: time.sleep(1); os._exit(0)
				except OSError: break"
		cat /etc/passwd; exit 3'
	assert_status 3
	local type
	for type in file syscall network limit; do
		wait_for 30 told ".type == \"$type\""
		wait_for 30 told ".type == \"$type\"" hook.jsonl
	done
	told '.type == "file" and .file.path == "/usr/new" and .verdict == "deny"'
	told '.type == "syscall" and .event.action == "unshare"'
	told '.type == "network" and .destination.ip == "192.0.2.2"'
	told '.type == "limit" and .event.action == "pids_max"'
	assert_equal "$(jq -r '[.container.id, .alert.ruleset] | join(" ")' alerts.jsonl hook.jsonl | sort -u)" "$ID $ID"
	assert_schema alerts.jsonl hook.jsonl "$LOG"
	grep -qx "a \$(b) file $ID $ID" told
	# As root, with nothing of anybody's environment; and the log has what its policy asked for.
	assert_equal "$(<user)" 0
	assert_equal "$(grep -cvE '^(PATH|PWD|OLDPWD|SHLVL|_|PURPLE_[A-Z_]*)$' env)" 0
	has_not_told '.type == "network"' "$LOG"
	# What is allowed alerts nobody.
	has_not_told '.verdict == "allow"'
}

@test "purple run says on stderr what is denied, files and system calls, too" {
	profile 'command: [/bin/true]'
	agent 'exec 2>/dev/null; : >/usr/new; unshare --net true; sleep 1'
	assert_contains "denied: the file /usr/new"
	assert_contains "denied: the system call unshare"
	assert_contains "purple profile show $ID"
}

@test "a burst is a few alerts with a count, and a command that hangs holds nobody up" {
	webhook
	command_ 'echo $$ >>hang.pids; exec sleep 1000'
	profile "$COMMAND, $WEBHOOK"
	agent 'exec 2>/dev/null; for i in {1..3000}; do : >/usr/new; done'
	assert_status 1
	wait_for 30 eval '(($(jq -s "map(select(.type == \"file\") | .alert.count) | add" hook.jsonl) >= 3000))'
	assert_equal "$(jq -s 'map(select(.type == "file") | .alert.count) | add' hook.jsonl)" 3000
	(($(wc -l <hook.jsonl) < 60))
	# One at a time.
	assert_equal "$(wc -l <hang.pids)" 1
}

@test "an alert that fails is an event" {
	command_ 'exit 3'
	profile "$COMMAND, webhook: \"http://127.0.0.1:1/x\""
	agent 'exec 2>/dev/null; : >/usr/new; sleep 2'
	told '.type == "action_failed" and .action == "alert" and .error.message == "it ended with status 3"' "$LOG"
	told '.type == "action_failed" and .action == "webhook" and .rule.ruleset == "'"$ID"'"' "$LOG"
	assert_schema "$LOG"
}

@test "the end that a policy makes, and the death of who records, are told" {
	command_ "$keeps"
	profile "$COMMAND" $'resources:\n  session_timeout_seconds: 1'
	agent 'sleep 600'
	wait_for 30 told '.type == "stop" and .event.action == "timeout" and .rule.name == "resources.session_timeout_seconds"'
	told '.type == "stop" and .event.action == "timeout"' "$LOG"
	profile "$COMMAND"
	purple_ run --profile ./p.yaml --name "$ID" -- bash -c 'sleep 600' >agent.out 2>&1 </dev/null 3>&- &
	local supervisor=$!
	wait_for 30 eval '[[ $(purple_ ps -q) == *"$ID"* && ! -e $PURPLE_ROOT/$ID/start.sock ]]'
	kill -KILL "$(jq .monitorPid "$PURPLE_ROOT/$ID/state.json")"
	wait "$supervisor" || true
	wait_for 30 told '.type == "monitor_died"'
	assert_schema alerts.jsonl
}

@test "a long line, and alerts of which only the count is known, reach a webhook" {
	webhook
	# purple-alert as its monitor starts it: with a socket, and audit.json.
	run python3 - "$PURPLE_LIBEXEC/purple-alert" "${WEBHOOK#*\"}" 3>&- 4>&- <<-'END'
		import json, os, socket, struct, sys, tempfile
		ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		config = tempfile.TemporaryFile()
		config.write(json.dumps({"container": "box", "alerts": [
		    {"policy": "p", "webhook": sys.argv[2].rstrip('"')}]}).encode())
		config.seek(0)
		fds = [os.dup2(fd, at) for fd, at in ((theirs.fileno(), 20), (config.fileno(), 21))]
		pid = os.fork()
		if pid == 0:
		    os.dup2(20, 3)
		    os.dup2(21, 4)
		    os.execv(sys.argv[1], sys.argv[1:2])
		theirs.close()
		os.close(20)
		ours.recv(65536)
		line = '{"@timestamp":"2026-11-22T20:00:00.000000Z","type":"network","x":"%s"}' % ("x" * 62000)
		for type, count, text in ((0, 1, line), (2, 7, ""), (16, 0, "")):
		    ours.send(struct.pack("=IIQ", type, 0, count) + text.encode())
		ours.close()
		sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
	END
	assert_status 0
	told '.type == "network" and (.x | length) == 62000' hook.jsonl
	told '.type == "file" and .alert.count == 7 and .container.id == "box"' hook.jsonl
	jq -c 'select(.type == "file")' hook.jsonl >plain.jsonl
	assert_schema plain.jsonl
}
