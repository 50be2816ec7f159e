#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Terminals: handed to an engine over a console socket, and in the foreground of a person.

load helpers

setup() {
	requires root busybox jq python3
	purple_setup
	make_bundle
	# Takes one terminal at a socket, writes what comes with it and from it, and can say something.
	cat >receiver.py <<-'END'
		import array, fcntl, os, select, socket, struct, sys, termios, time
		s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
		s.bind("console.sock")
		s.listen(1)
		print("ready", flush=True)
		c, _ = s.accept()
		data, anc, _, _ = c.recvmsg(4096, socket.CMSG_SPACE(40))
		fds = array.array("i")
		fds.frombytes(anc[0][2])
		rows, cols, _, _ = struct.unpack("HHHH", fcntl.ioctl(fds[0], termios.TIOCGWINSZ, bytes(8)))
		print("message", len(data), "fds", len(fds), "size", rows, cols, "tty", os.isatty(fds[0]), flush=True)
		if len(sys.argv) > 1:
		    os.write(fds[0], sys.argv[1].encode() + b"\n")
		try:
		    while select.select([fds[0]], [], [], 10)[0]:
		        chunk = os.read(fds[0], 4096)
		        if not chunk:
		            break
		        sys.stdout.buffer.write(chunk)
		        sys.stdout.flush()
		except OSError:
		    pass
	END
}

start_receiver() { # [TEXT]
	rm -f console.sock received
	python3 receiver.py "$@" >received 2>&1 3>&- &
	RECEIVER=$!
	wait_for 10 grep -q ready received
}

@test "an engine gets the terminal's master over the console socket, before create returns" {
	edit_config '.process.terminal = true | .process.consoleSize = {height: 31, width: 97}'
	set_script 'tty; stty size; test -t 0 && test -t 1 && test -t 2 && echo all; read -r line; echo "got $line"'
	start_receiver word
	create_container --console-socket "$PWD/console.sock"
	wait_for 5 grep -q message received
	purple_rt start "$ID"
	wait "$RECEIVER"
	[[ $(sed -n 2p received) =~ ^message\ [1-9][0-9]*\ fds\ 1\ size\ 31\ 97\ tty\ True$ ]]
	grep -q '^/dev/pts/0' received
	grep -q '^31 97' received
	grep -q '^all' received
	grep -q '^got word' received
	# Nothing of the terminal went to the streams of create.
	[[ ! -s out && ! -s err ]]
}

@test "the terminal is the controlling one, belongs to the user, and is /dev/console too" {
	edit_config '.process.terminal = true | .process.user = {uid: 1000, gid: 5}'
	set_script 'stat -c "%u %a" /dev/pts/0; echo via console >/dev/console; echo via tty >/dev/tty; ls /dev/pts | tr "\n" " "'
	start_receiver
	create_container --console-socket "$PWD/console.sock"
	purple_rt start "$ID"
	wait "$RECEIVER"
	grep -q '^1000 620' received
	grep -q '^via console' received
	grep -q '^via tty' received
	grep -q '^0 ptmx' received
}

@test "a socket whose path is too long for a socket address works too" {
	local dir
	dir=$PWD/$(printf 'd%.0s' {1..120})
	mkdir "$dir"
	edit_config '.process.terminal = true'
	set_script 'echo hello'
	start_receiver
	mv console.sock "$dir/console.sock"
	create_container --console-socket "$dir/console.sock"
	purple_rt start "$ID"
	wait "$RECEIVER"
	grep -q '^hello' received
}

@test "a terminal without socket, a socket without terminal, and one that nobody serves are errors" {
	edit_config '.process.terminal = true'
	run purple_rt create --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "--console-socket is needed"
	run purple_rt create --bundle "$BUNDLE" --console-socket "$PWD/none.sock" "$ID"
	assert_status 1
	assert_contains "$PWD/none.sock"
	python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("dead.sock")'
	run purple_rt create --bundle "$BUNDLE" --console-socket "$PWD/dead.sock" "$ID"
	assert_status 1
	assert_contains "$PWD/dead.sock"
	edit_config '.process.terminal = false'
	start_receiver
	run purple_rt create --bundle "$BUNDLE" --console-socket "$PWD/console.sock" "$ID"
	assert_status 1
	assert_contains "process.terminal is false"
	kill "$RECEIVER" 2>/dev/null || true # it may have seen the connection close
	run purple_rt run --detach --bundle "$BUNDLE" --console-socket "$PWD/console.sock" "$ID"
	assert_status 1
	no_traces "$(test_prefix)"
}

@test "consoleSize out of range is refused" {
	edit_config '.process.terminal = true | .process.consoleSize = {height: 1, width: 65536}'
	run purple_rt create --bundle "$BUNDLE" --console-socket "$PWD/x" "$ID"
	assert_status 1
	assert_contains "process.consoleSize"
}

@test "a terminal needs the container's own devpts: a fake one is refused" {
	edit_config '.process.terminal = true | .mounts |= map(select(.destination != "/dev/pts"))
		| .mounts += [{destination: "/dev/pts", source: ($d + "/pts"), options: ["bind"]}]' --arg d "$PWD"
	mkdir pts
	mknod pts/ptmx c 5 2
	start_receiver
	run purple_rt create --bundle "$BUNDLE" --console-socket "$PWD/console.sock" "$ID"
	kill "$RECEIVER" 2>/dev/null || true # it may have seen the connection close
	assert_status 1
	assert_contains "/dev/pts"
}

@test "run in the foreground gives the program the caller's terminal: input, output, size, exit code" {
	requires script
	edit_config '.process.terminal = true'
	set_script 'test -t 0 && stty size; read -r line; echo "got $line"; exit 7'
	printf '#!/bin/sh\nstty rows 33 cols 77\n"%s" --root "%s" run --bundle "%s" "%s"\necho "code $?"\n' \
		"$PURPLE_RUNTIME" "$PURPLE_ROOT" "$BUNDLE" "$ID" >session
	chmod 0755 session
	(
		wait_for 10 is_status running "$ID"
		echo word
		wait_for 10 eval '! purple_rt state "$ID" >/dev/null 2>&1'
	) 2>/dev/null | script -qec ./session /dev/null >typed 2>&1
	grep -q '^33 77' typed
	grep -q '^got word' typed
	grep -q '^code 7' typed
	no_traces "$(test_prefix)"
}

@test "a foreground terminal works without one of the caller's: output without carriage returns" {
	edit_config '.process.terminal = true'
	set_script 'test -t 1 && echo one; echo two; exit 5'
	"$PURPLE_RUNTIME" --root "$PURPLE_ROOT" run --bundle "$BUNDLE" "$ID" </dev/null >seen 2>&1 || status=$?
	assert_equal "$status" 5
	assert_equal "$(od -An -c seen | tr -d ' \n')" 'one\ntwo\n'
}

@test "the foreground follows the size of the caller's terminal" {
	edit_config '.process.terminal = true'
	set_script 'trap "stty size; exit 0" WINCH; echo ready; while :; do sleep 0.05; done'
	cat >resize.py <<-'END'
		import fcntl, os, pty, struct, sys, termios, time
		pid, fd = pty.fork()
		if pid == 0:
		    os.execv(sys.argv[1], sys.argv[1:])
		out = b""
		while b"ready" not in out:
		    out += os.read(fd, 4096)
		fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 41, 143, 0, 0))
		try:
		    while True:
		        chunk = os.read(fd, 4096)
		        if not chunk:
		            break
		        out += chunk
		except OSError:
		    pass
		_, status = os.waitpid(pid, 0)
		print(out.decode(), "status", os.waitstatus_to_exitcode(status))
	END
	run timeout 120 python3 resize.py "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" run --bundle "$BUNDLE" "$ID"
	assert_status 0
	assert_contains "41 143"
	assert_contains "status 0"
}

@test "exec --tty in the foreground has a terminal of its own in the container" {
	requires script
	set_command sleep 1000
	create_container
	purple_rt start "$ID"
	printf '#!/bin/sh\nstty rows 20 cols 60\n"%s" --root "%s" exec --tty "%s" sh -c "tty; stty size; exit 9"\necho "code $?"\n' \
		"$PURPLE_RUNTIME" "$PURPLE_ROOT" "$ID" >session
	chmod 0755 session
	# At its input's end script types a NUL, which the terminal would show in the middle of a line.
	: >typed
	# shellcheck disable=SC2094 # it waits for what comes
	wait_for 60 grep -q '^code' typed | script -qec ./session /dev/null >typed 2>&1
	grep -q '^/dev/pts/0' typed
	grep -q '^20 60' typed
	grep -q '^code 9' typed
}

@test "exec --tty --console-socket hands the terminal over, and only with --tty" {
	set_command sleep 1000
	create_container
	purple_rt start "$ID"
	start_receiver hello
	purple_rt exec --tty --detach --pid-file exec.pid --console-socket "$PWD/console.sock" "$ID" \
		sh -c 'read -r line; echo "got $line"' </dev/null >exec.out 2>&1
	wait "$RECEIVER"
	grep -q '^got hello' received
	[[ ! -s exec.out ]]
	run purple_rt exec --detach --tty "$ID" true
	assert_status 255
	assert_contains "--console-socket"
	run purple_rt exec --detach --console-socket "$PWD/console.sock" "$ID" true
	assert_status 255
}

@test "exec --process with terminal true needs no --tty" {
	set_command sleep 1000
	create_container
	purple_rt start "$ID"
	start_receiver
	jq '.process | .terminal = true | .args = ["sh", "-c", "tty; stty size"] | .consoleSize = {height: 12, width: 34}' \
		"$BUNDLE/config.json" >process.json
	purple_rt exec --process process.json --detach --console-socket "$PWD/console.sock" "$ID" </dev/null >exec.out 2>&1
	wait "$RECEIVER"
	grep -q '^12 34' received
}
