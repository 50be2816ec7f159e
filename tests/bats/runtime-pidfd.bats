#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# --pidfd-socket: the caller gets a descriptor of the container's process, as from runc 1.2 on.

load helpers

setup() {
	requires root python3 jq busybox
	purple_setup
	make_bundle
}

# receive_pidfd: listens on the file sock; prints the text, the pid behind the descriptor as
# /proc/self/fdinfo says it, and whether a signal could be sent over it.
receive_pidfd() {
	rm -f sock
	timeout 30 python3 - >received 2>&1 <<-'END' &
		import os, re, signal, socket
		s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
		s.bind("sock.new")
		s.listen(1)
		os.rename("sock.new", "sock")
		c, _ = s.accept()
		text, fds, flags, _ = socket.recv_fds(c, 100, 2)
		info = open(f"/proc/self/fdinfo/{fds[0]}").read()
		pid = re.search(r"^Pid:\s+(-?\d+)", info, re.M).group(1) # -1: has ended
		print(text.decode(), pid, len(fds), c.recv(10), flush=True)
		signal.pidfd_send_signal(fds[0], 0)
	END
	RECEIVER=$!
	wait_for 20 test -S sock
}

@test "create sends a pidfd of init before it returns" {
	set_script 'sleep 1000'
	receive_pidfd
	create_container --pidfd-socket sock
	wait "$RECEIVER"
	assert_equal "$(<received)" "standard $(<pid) 1 b''"
}

@test "run sends one, also detached; the path may be absolute and long" {
	local dir
	dir=$PWD/$(printf 'd%.0s' {1..120})
	mkdir "$dir"
	set_script 'sleep 1000'
	receive_pidfd
	mv sock "$dir/sock"
	purple_rt run --detach --bundle "$BUNDLE" --pid-file pid --pidfd-socket "$dir/sock" "$ID" \
		</dev/null >/dev/null 2>&1
	wait "$RECEIVER"
	assert_equal "$(<received)" "standard $(<pid) 1 b''"
	set_script 'echo run'
	new_id
	receive_pidfd
	run purple_rt run --bundle "$BUNDLE" --pidfd-socket=sock "$ID"
	assert_output run
	wait "$RECEIVER" || true # the program may have ended before the signal was sent
	assert_equal "$(grep -c standard received)" 1
}

@test "exec sends one of its own process" {
	set_script 'sleep 1000'
	create_container
	purple_rt start "$ID"
	receive_pidfd
	purple_rt exec --detach --pid-file exec.pid --pidfd-socket sock "$ID" sleep 1000 </dev/null >/dev/null 2>&1
	wait "$RECEIVER"
	assert_equal "$(<received)" "setns $(<exec.pid) 1 b''"
	[[ $(<exec.pid) != "$(<pid)" ]]
}

@test "a socket that is not there, or that nobody listens on, fails before anything is left" {
	set_script 'sleep 1000'
	run purple_rt create --bundle "$BUNDLE" --pid-file pid --pidfd-socket nothing "$ID"
	assert_status 1
	assert_contains "--pidfd-socket 'nothing'"
	[[ ! -e pid ]]
	run purple_rt state "$ID"
	assert_contains "container does not exist"
	python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("sock")'
	run purple_rt run --bundle "$BUNDLE" --pidfd-socket sock "$ID"
	assert_status 1
	assert_contains "cannot connect to --pidfd-socket 'sock'"
	create_container
	purple_rt start "$ID"
	run purple_rt exec --pidfd-socket sock "$ID" true
	assert_status 255
	assert_contains "cannot connect to --pidfd-socket 'sock'"
}
