#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# NOTIFY_SOCKET: the container says READY=1 to a socket of its own, and the runtime tells the
# caller's service manager, in words of its own.

load helpers

setup() {
	requires root python3 jq busybox
	purple_setup
	make_bundle
	LISTENER=
}

teardown() {
	[[ -z $LISTENER ]] || kill "$LISTENER" 2>/dev/null || true
	# A sender that is left would keep the test's descriptors.
	rm -f go
	purple_teardown
}

# listen [ADDRESS]: a service manager. What it hears is in the file heard, a message a line, with |
# between lines and the count of descriptors in front.
listen() {
	ADDRESS=${1:-$PWD/manager.sock}
	python3 - "$ADDRESS" >heard 2>&1 <<-'END' &
		import os, socket, sys
		address = sys.argv[1]
		s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		s.bind("\0" + address[1:] if address[0] == "@" else address)
		open("listening", "w").close()
		while True:
		    data, fds, flags, _ = socket.recv_fds(s, 8192, 10)
		    for fd in fds:
		        os.close(fd)
		    print(len(fds), data.decode().rstrip("\n").replace("\n", "|"), flush=True)
	END
	LISTENER=$!
	wait_for 20 test -e listening
}

# The container's program: busybox has no datagrams, so the sender is one of Python's, outside, that
# goes into the container's root by the pid. notify_as_container TEXT: sends it as the program would.
notify_as_container() {
	python3 - "$(<pid)" "$1" <<-'END'
		import os, socket, sys
		text = sys.argv[2].encode().decode("unicode_escape").encode("latin-1")
		os.chroot(f"/proc/{sys.argv[1]}/root")
		os.chdir("/")
		s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		s.connect("/run/notify/notify.sock")
		a, b = os.pipe()
		socket.send_fds(s, [text], [b])
	END
}

heard() {
	grep -qxF -e "$1" heard
}

# start_waits OPTION...: `start` in the background; STARTER is its pid.
start_waits() {
	NOTIFY_SOCKET=$ADDRESS "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" start "$ID" >start.out 2>&1 &
	STARTER=$!
	wait_status running
}

starter_ended() {
	! kill -0 "$STARTER" 2>/dev/null
}

@test "start waits for READY=1, and sends it on with the pid of init" {
	listen
	set_script 'echo "$NOTIFY_SOCKET"; grep " /run/notify " /proc/self/mountinfo; sleep 1000'
	NOTIFY_SOCKET=$ADDRESS create_container
	start_waits
	notify_as_container 'STATUS=warming up'
	wait_for 20 heard '0 STATUS=warming up'
	run ! starter_ended
	notify_as_container 'READY=1\nSTATUS=serving'
	wait_for 20 starter_ended
	wait "$STARTER"
	assert_equal "$(<start.out)" ""
	assert_equal "$(<heard)" "$(printf '%s\n' '0 STATUS=warming up' \
		"0 STATUS=serving|MAINPID=$(<pid)|READY=1" '1 BARRIER=1')"
	assert_equal "$(head -n 1 out)" /run/notify/notify.sock
	output=$(<out)
	assert_contains "ro,nosuid,nodev,noexec"
}

@test "only known words go on, of bounded size and printable, and no descriptor" {
	listen
	set_script 'sleep 1000'
	NOTIFY_SOCKET=$ADDRESS create_container
	start_waits
	notify_as_container 'MAINPID=1'
	notify_as_container 'FDSTORE=1\nFDNAME=x'
	notify_as_container 'READY=11'
	notify_as_container ' READY=1'
	notify_as_container 'READY=1\0'
	notify_as_container 'READY=0\nERRNO=5\nWATCHDOG=1\nSTOPPING=1'
	notify_as_container 'STATUS=a\x1b[2Jb'
	notify_as_container 'STATUS=\xff\xfe'
	notify_as_container "STATUS=$(printf 'x%.0s' {1..600})"
	notify_as_container "READY=1\n$(printf 'x%.0s' {1..5000})"
	notify_as_container 'STATUS=\xc3\xa4\nMAINPID=1\nREADY=1\nMAINPID=1'
	wait_for 20 starter_ended
	wait "$STARTER"
	assert_equal "$(<heard)" "$(printf '%s\n' "0 STATUS=ä|MAINPID=$(<pid)|READY=1" '1 BARRIER=1')"
}

@test "run --detach waits as start does; an abstract address" {
	listen "@purple-test-$ID"
	set_script 'sleep 1000'
	NOTIFY_SOCKET=$ADDRESS "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" run --detach --bundle "$BUNDLE" --pid-file pid "$ID" \
		</dev/null >/dev/null 2>&1 &
	STARTER=$!
	wait_for 20 is_status running "$ID"
	run ! starter_ended
	notify_as_container 'READY=1'
	wait_for 20 starter_ended
	wait "$STARTER"
	heard "0 MAINPID=$(<pid)|READY=1"
}

@test "run in the foreground sends on until the end; the runtime is the main process" {
	listen
	set_script 'sleep 1000'
	NOTIFY_SOCKET=$ADDRESS "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" run --bundle "$BUNDLE" --pid-file pid "$ID" \
		</dev/null >/dev/null 2>&1 &
	STARTER=$!
	wait_for 20 is_status running "$ID"
	notify_as_container 'READY=1'
	wait_for 20 heard "0 MAINPID=$STARTER|READY=1"
	notify_as_container 'READY=1'
	notify_as_container 'STATUS=still here'
	wait_for 20 heard '0 STATUS=still here'
	assert_equal "$(grep -c READY heard)" 1
	purple_rt kill "$ID" KILL
	local status=0
	wait "$STARTER" || status=$?
	assert_equal "$status" 137
}

@test "a program that ends without a word ends the waiting" {
	listen
	set_script 'while [ ! -e /tmp/go ]; do usleep 10000; done'
	edit_config '.mounts += [{ destination: "/tmp", type: "tmpfs", source: "tmpfs" }]'
	NOTIFY_SOCKET=$ADDRESS create_container
	start_waits
	# Others do their work meanwhile: start holds no lock.
	purple_rt exec "$ID" touch /tmp/go
	wait_for 20 starter_ended
	wait "$STARTER"
	assert_equal "$(<heard)" ""
}

@test "a container that waits for READY can be deleted" {
	listen
	set_script 'sleep 1000'
	NOTIFY_SOCKET=$ADDRESS create_container
	start_waits
	purple_rt delete --force "$ID"
	wait_for 20 starter_ended
}

@test "a process in a user namespace, as another user, reaches its socket" {
	requires userns
	listen
	edit_config '.process.user = { uid: 1000, gid: 1000 } | .linux.namespaces += [{ type: "user" }]
		| .linux.uidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }]
		| .linux.gidMappings = .linux.uidMappings'
	chmod 0755 "$BUNDLE/rootfs"
	chown -R 100000:100000 "$BUNDLE/rootfs"
	set_script 'test -w /run/notify/notify.sock && echo writable; touch /run/notify/file || echo read-only; sleep 1000'
	NOTIFY_SOCKET=$ADDRESS create_container
	start_waits
	wait_for 20 grep -q read-only out
	assert_equal "$(head -n 1 out)" writable
	notify_as_container 'READY=1'
	wait_for 20 starter_ended
}

@test "the program finds one NOTIFY_SOCKET, its own; without the caller's it has none" {
	edit_config '.process.env += ["NOTIFY_SOCKET=/of/the/image"]'
	listen
	set_script 'env | grep NOTIFY; ls /run/notify 2>&1'
	NOTIFY_SOCKET=$ADDRESS run purple_rt run --bundle "$BUNDLE" "$ID"
	assert_output $'NOTIFY_SOCKET=/run/notify/notify.sock\nnotify.sock'
	edit_config '.process.env |= map(select(startswith("NOTIFY") | not))'
	NOTIFY_SOCKET='' run_script 'env | grep -c NOTIFY; test -e /run/notify/notify.sock || echo none'
	assert_output $'0\nnone'
}

@test "what cannot be is refused" {
	set_script 'sleep 1000'
	NOTIFY_SOCKET=relative run purple_rt create --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "NOTIFY_SOCKET 'relative' is neither an absolute path nor an abstract name"
	create_container
	NOTIFY_SOCKET=/nowhere run purple_rt start "$ID"
	assert_status 1
	assert_contains "NOTIFY_SOCKET is set for start, and was not for create"
	assert_equal "$(container_status)" created
	new_id
	listen
	NOTIFY_SOCKET=$ADDRESS create_container
	NOTIFY_SOCKET=/nowhere run purple_rt start "$ID"
	assert_status 1
	assert_contains "cannot open NOTIFY_SOCKET '/nowhere'"
	assert_equal "$(container_status)" created
	# Nothing was started: it can still be.
	purple_rt start "$ID"
}
