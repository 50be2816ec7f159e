#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Faults that a review of the runtime found: each test failed before its correction.

load helpers

setup() {
	requires root busybox jq
	purple_setup
	make_bundle
}

@test "a relative program, and a relative \$PATH, are meant from the working directory" {
	mkdir -p "$BUNDLE/rootfs/app/tools"
	printf '#!/bin/sh\necho "ran $0 in $PWD"\n' >"$BUNDLE/rootfs/app/tools/run"
	chmod +x "$BUNDLE/rootfs/app/tools/run"
	edit_config '.process.cwd = "/app" | .process.args = ["tools/run"]'
	run purple_rt run --bundle "$BUNDLE" "$ID"
	assert_output "ran tools/run in /app"
	new_id
	edit_config '.process.args = ["run"] | .process.env = ["PATH=:tools:/bin"]'
	run purple_rt run --bundle "$BUNDLE" "$ID"
	assert_status 0
	assert_contains "in /app"
	edit_config '.process.args = ["sleep", "1000"]'
	new_id
	create_container
	purple_rt start "$ID"
	run purple_rt exec "$ID" ./tools/run
	assert_output "ran ./tools/run in /app"
	run purple_rt exec --cwd /bin "$ID" tools/run
	assert_status 255
	assert_contains 'exec: "tools/run": no such file or directory'
}

# As with `trap '' CHLD` in a shell that has it, or an engine that wants no zombies.
ignoring_sigchld() {
	timeout -s KILL 20 python3 -c '
import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execv(sys.argv[1], sys.argv[1:])' "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" "$@"
}

@test "a caller that ignores SIGCHLD gets the exit code all the same" {
	requires python3
	set_script 'exit 7'
	run ignoring_sigchld run --bundle "$BUNDLE" "$ID"
	assert_status 7
	set_command sleep 1000
	new_id
	create_container
	purple_rt start "$ID"
	run ignoring_sigchld exec "$ID" sh -c 'exit 8'
	assert_status 8
}

@test "who waits while a container is deleted finds it gone, and leaves the next one alone" {
	set_command true
	cat >hook <<-END
		#!/bin/sh
		: >"$PWD/deleting"
		sleep 2
	END
	chmod +x hook
	edit_config '.hooks.poststop = [{path: $p}]' --arg p "$PWD/hook"
	create_container
	purple_rt start "$ID"
	wait_status stopped
	purple_rt delete "$ID" &
	wait_for 5 test -e deleting
	run purple_rt delete "$ID"
	wait
	assert_status 1
	assert_contains "container does not exist"
}

@test "exec gives a session keyring of its own, not the caller's, unless create was told to keep it" {
	requires python3
	[[ -e /proc/keys ]] || skip "needs kernel keyrings"
	set_command sleep 1000
	edit_config '.linux.maskedPaths -= ["/proc/keys"]'
	create_container
	purple_rt start "$ID"
	run in_session_keyring callers-keys exec "$ID" cat /proc/keys
	assert_status 0
	assert_contains "_ses.$ID"
	assert_lacks callers-keys
	new_id
	create_container --no-new-keyring
	purple_rt start "$ID"
	run in_session_keyring callers-keys exec "$ID" cat /proc/keys
	assert_status 0
	assert_contains callers-keys
}

# in_session_keyring NAME ARG...: the runtime, by a caller with a session keyring of this name.
in_session_keyring() {
	python3 -c '
import ctypes, os, platform, sys
number = {"x86_64": 250, "aarch64": 219}[platform.machine()]
keyctl = lambda *args: ctypes.CDLL(None).syscall(number, *args)
# Seen by who possesses it alone.
if keyctl(1, sys.argv[1].encode()) < 0 or keyctl(5, -3, 0x3f000000) < 0:
    sys.exit("no keyring")
os.execv(sys.argv[2], sys.argv[2:])' "$1" "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" "${@:2}"
}

@test "an ordinary user runs further processes in an own container" {
	requires ordinary_user
	local home=$BATS_TEST_TMPDIR/user
	as_user true
	make_rootfs "$home/rootfs"
	chown -R 65534:65534 "$home/rootfs"
	(cd "$home" && as_user "$PURPLE_RUNTIME" spec --rootless)
	BUNDLE=$home
	edit_config '.process.terminal = false | .process.args = ["sleep", "1000"]'
	as_user "$PURPLE_RUNTIME" run --detach --bundle "$home" "$ID" </dev/null >out 2>&1
	run as_user "$PURPLE_RUNTIME" exec "$ID" sh -c 'id -u; readlink /proc/self/ns/pid; exit 9'
	local pid
	pid=$(as_user "$PURPLE_RUNTIME" state "$ID" | jq .pid)
	local expected
	printf -v expected '0\n%s' "$(readlink "/proc/$pid/ns/pid")"
	as_user "$PURPLE_RUNTIME" delete --force "$ID"
	assert_status 9
	assert_output "$expected"
}

@test "a low limit of open files does not cost the program its HOME" {
	edit_config '.process.rlimits = [{type: "RLIMIT_NOFILE", soft: 4, hard: 4}]
		| .process.env = ["PATH=/bin"]'
	run_script 'echo "$HOME"; ulimit -n'
	assert_output $'/root\n4'
}

@test "an image whose /etc/passwd is a FIFO does not hold start up" {
	rm "$BUNDLE/rootfs/etc/passwd"
	mkfifo "$BUNDLE/rootfs/etc/passwd"
	set_script 'echo "$HOME"'
	run timeout 60 "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" run --bundle "$BUNDLE" "$ID"
	assert_status 0
	assert_output /
}

@test "poststop hooks end what createRuntime hooks of a failed create began" {
	set_command /no/such/program
	cat >hook <<-END
		#!/bin/sh
		echo "\$1 \$(cat)" >>"$PWD/order"
	END
	chmod +x hook
	edit_config '.hooks = {createRuntime: [{path: $p, args: ["hook", "create"]}],
		poststop: [{path: $p, args: ["hook", "stop"]}]}' --arg p "$PWD/hook"
	run purple_rt create --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "/no/such/program"
	assert_equal "$(cut -d' ' -f1 order | tr '\n' ' ')" "create stop "
	assert_equal "$(sed -n 's/^stop //p' order | jq -r .status)" stopped
	# Nothing was begun: nothing is to be ended.
	rm order
	edit_config '.mounts += [{destination: "/x", type: "bind", source: "/no/such", options: ["bind"]}]'
	run purple_rt create --bundle "$BUNDLE" "$ID"
	assert_status 1
	[[ ! -e order ]]
}

@test "an empty --root is refused, not taken for /" {
	run "$PURPLE_RUNTIME" --root "" list
	assert_status 1
	assert_contains "--root must not be empty"
	run "$PURPLE" --root= ps
	assert_status 1
	assert_contains "--root must not be empty"
}

@test "signals are handed on while nobody reads the terminal's output" {
	requires python3
	edit_config '.process.terminal = true'
	set_script 'yes & trap "exit 5" TERM; wait'
	run timeout 120 python3 -c '
import os, signal, subprocess, sys, time
r, w = os.pipe()
p = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=w)
os.close(w)
time.sleep(2)
p.send_signal(signal.SIGTERM)
deadline = time.time() + 50
state = ""
while time.time() < deadline:
    state = subprocess.run([sys.argv[1], "--root", sys.argv[3], "state", sys.argv[-1]],
                           capture_output=True, text=True).stdout
    if "stopped" in state:
        break
    time.sleep(0.1)
print("stopped" if "stopped" in state else "never ended")
os.close(r)
p.wait()
print(p.returncode)
' "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" run --bundle "$BUNDLE" "$ID"
	assert_output $'stopped\n5'
}

@test "a mount namespace is joined by path: the process lives in its root, which stays as it is" {
	unshare --mount --propagation private sleep 1000 3>&- &
	local other=$! before member
	wait_for 5 eval '[[ $(readlink /proc/$other/ns/mnt) != $(readlink /proc/self/ns/mnt) ]]'
	before=$(cat "/proc/$other/mountinfo")
	edit_config '.linux.namespaces |= map(if .type == "mount" then .path = "/proc/\($p)/ns/mnt" else . end)
		| .process.args = ["/bin/sh", "-c", "readlink /proc/self/ns/mnt; cat /proc/sys/kernel/msgmax; echo /[a-e]*"]
		| .process.cwd = "/" | .linux.sysctl = {"kernel.msgmax": "7777"}' --arg p "$other"
	for member in .mounts .root.readonly .linux.maskedPaths .linux.readonlyPaths; do
		run purple_rt run --bundle "$BUNDLE" "$ID"
		assert_status 1
		assert_contains "${member#.}: cannot be had in a mount namespace that is joined by path"
		edit_config "del($member)"
	done
	run purple_rt run --bundle "$BUNDLE" "$ID"
	local theirs after
	theirs=$(readlink "/proc/$other/ns/mnt")
	after=$(cat "/proc/$other/mountinfo")
	kill "$other"
	assert_status 0
	assert_output "$theirs"$'\n7777\n'"$(echo /[a-e]*)"
	assert_equal "$after" "$before"
}
