#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What a container's process inherits from the engine that calls the runtime, and what it does not:
# standard streams, descriptors, signals, environment; and the pid file.

load helpers

setup() {
	requires root busybox jq
	purple_setup
	make_bundle
}

@test "a successful create, start, kill and delete print nothing at all" {
	set_command sleep 1000
	"$PURPLE_RUNTIME" --root "$PURPLE_ROOT" create --bundle "$BUNDLE" "$ID" </dev/null >all 2>&1
	{
		purple_rt start "$ID"
		purple_rt pause "$ID"
		purple_rt resume "$ID"
		purple_rt kill "$ID" KILL
		wait_status stopped >&2
		purple_rt delete "$ID"
	} >>all 2>&1
	[[ ! -s all ]]
}

@test "the container's streams are those of create" {
	set_script 'read -r line; echo "out $line"; echo "err $line" >&2'
	echo word >in
	purple_rt create --bundle "$BUNDLE" "$ID" <in >out 2>err
	purple_rt start "$ID" </dev/null >start.out 2>&1
	wait_status stopped
	assert_equal "$(cat out err)" $'out word\nerr word'
	[[ ! -s start.out ]]
}

@test "nothing but the container holds the pipes that create was given: they close when it ends" {
	local stream
	edit_config '.hooks.poststart = [{path: "/bin/true"}]'
	set_script 'echo one; echo two >&2; exec sleep 1000'
	mkfifo pipe
	cat <pipe >seen 3>&- &
	stream=$!
	purple_rt create --bundle "$BUNDLE" "$ID" </dev/null >pipe 2>&1 3>&-
	purple_rt start "$ID"
	wait_for 5 grep -q two seen
	kill -0 "$stream"
	purple_rt kill "$ID" KILL
	wait_for 5 eval '! kill -0 "$stream" 2>/dev/null'
	assert_equal "$(cat seen)" $'one\ntwo'
	wait_status stopped
}

@test "a detached exec holds its pipes no longer than its process lives" {
	set_command sleep 1000
	create_container
	purple_rt start "$ID"
	mkfifo pipe
	cat <pipe >seen 3>&- &
	local stream=$!
	purple_rt exec --detach "$ID" echo from-exec </dev/null >pipe 2>&1 3>&-
	wait_for 5 eval '! kill -0 "$stream" 2>/dev/null'
	assert_equal "$(cat seen)" from-exec
}

@test "closed standard streams do no harm: what is opened does not become the container's stdin" {
	set_script 'ls -l /proc/self/fd >/fds; readlink /proc/self/fd/0 >/in'
	edit_config '.root.readonly = false'
	"$PURPLE_RUNTIME" --root "$PURPLE_ROOT" run --bundle "$BUNDLE" "$ID" <&- >&- 2>&-
	assert_equal "$(cat "$BUNDLE/rootfs/in")" /dev/null
}

# --- descriptors ----------------------------------------------------------------------------------

@test "the program gets descriptors 0 to 2 and no other" {
	local one two
	exec {one}<"$BUNDLE/config.json" {two}>leak
	set_command sleep 1000
	create_container
	purple_rt start "$ID"
	wait_for 5 grep -q sleep "/proc/$(cat pid)/comm"
	assert_equal "$(ls -x "/proc/$(cat pid)/fd")" "0  1  2"
	purple_rt exec "$ID" ls /proc/self/fd >fds
	exec {one}<&- {two}>&-
	# ls has the directory open too.
	assert_equal "$(tr '\n' ' ' <fds)" "0 1 2 3 "
}

@test "a waiting init holds none of the caller's descriptors, preserved ones excepted" {
	local leak
	exec {leak}>leak
	set_command sleep 1000
	create_container
	run ls -l "/proc/$(cat pid)/fd"
	exec {leak}>&-
	assert_lacks "$PWD/leak"
}

@test "--preserve-fds passes descriptors from 3 on, with their numbers, and no further one" {
	echo three >f3
	echo four >f4
	echo five >f5
	set_script 'cat <&3; cat <&4; ls /proc/self/fd | tr "\n" " "; cat <&5'
	run "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" run --preserve-fds 2 --bundle "$BUNDLE" "$ID" \
		3<f3 4<f4 5<f5
	assert_contains $'three\nfour\n'
	# ls has the directory open as 5.
	assert_contains "0 1 2 3 4 5 "
	assert_lacks five
	((status != 0))
}

@test "exec --preserve-fds does the same" {
	set_command sleep 1000
	create_container
	purple_rt start "$ID"
	echo three >f3
	echo four >f4
	run "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" exec --preserve-fds 1 "$ID" \
		sh -c 'cat <&3; cat <&4' 3<f3 4<f4
	assert_contains three
	assert_lacks four
	((status != 0))
}

@test "--preserve-fds of a descriptor that is not open is refused: it could be one of the runtime's" {
	set_command true
	local n
	for n in 1 5 4294967295; do
		run "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" --log log run --preserve-fds "$n" --bundle "$BUNDLE" "$ID" 3<&-
		assert_status 1
		assert_contains "descriptor 3 is to be passed on, but is not open"
	done
	set_command sleep 1000
	create_container
	purple_rt start "$ID"
	run "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" exec --preserve-fds 2 "$ID" true 3</dev/null 4<&-
	assert_status 255
	assert_contains "descriptor 4 is to be passed on"
}

@test "LISTEN_FDS counts when LISTEN_PID is the runtime, and the program is told as PID 1" {
	echo three >f3
	set_script 'echo "$LISTEN_FDS $LISTEN_PID"; cat <&3'
	# The shell becomes the runtime: its pid is known beforehand.
	run bash -c 'LISTEN_FDS=1 LISTEN_PID=$$ exec "$@" 3<f3' - \
		"$PURPLE_RUNTIME" --root "$PURPLE_ROOT" run --bundle "$BUNDLE" "$ID"
	assert_status 0
	assert_output $'1 1\nthree'
}

@test "LISTEN_FDS meant for another process passes nothing" {
	echo three >f3
	set_script 'echo "fds=$LISTEN_FDS"; cat <&3'
	LISTEN_FDS=1 LISTEN_PID=1 run "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" run --bundle "$BUNDLE" "$ID" 3<f3
	assert_contains "fds="
	assert_lacks three
	((status != 0))
}

# --- signals, mask, environment -------------------------------------------------------------------

@test "signals that the caller ignores or blocks are as new in the container" {
	set_command sleep 1000
	env --ignore-signal=PIPE,TERM,USR1 --block-signal=HUP,USR2 \
		"$PURPLE_RUNTIME" --root "$PURPLE_ROOT" create --pid-file pid --bundle "$BUNDLE" "$ID" </dev/null >out 2>&1
	purple_rt start "$ID"
	wait_for 5 grep -q sleep "/proc/$(cat pid)/comm"
	local field
	for field in SigIgn SigBlk SigCgt SigPnd; do
		assert_equal "$(awk -v f="$field:" '$1 == f { print $2 }' "/proc/$(cat pid)/status")" 0000000000000000
	done
	env --ignore-signal=PIPE,TERM --block-signal=HUP \
		"$PURPLE_RUNTIME" --root "$PURPLE_ROOT" exec "$ID" grep -E '^Sig(Ign|Blk):' /proc/self/status >status
	assert_equal "$(awk '{ print $2 }' status | sort -u)" 0000000000000000
}

@test "the environment is that of config.json, with HOME added, and nothing of the caller's" {
	edit_config '.process.env = ["PATH=/bin", "A=1", "EMPTY=", "B=x=y"]'
	set_command env
	SECRET=1 _OCI_SYNCPIPE=3 CRI_O_EXTERNAL=1 LISTEN_FDS=2 PURPLE_X=1 \
		run purple_rt run --bundle "$BUNDLE" "$ID"
	assert_status 0
	assert_equal "$(sort <<<"$output")" $'A=1\nB=x=y\nEMPTY=\nHOME=/root\nPATH=/bin'
}

@test "nothing of the runtime's own re-execution shows in the program's environment or arguments" {
	edit_config '.process.env = ["PATH=/bin"]'
	set_command sleep 1000
	SECRET=1 create_container
	purple_rt start "$ID"
	wait_for 5 grep -q sleep "/proc/$(cat pid)/comm"
	assert_equal "$(tr '\0' ' ' <"/proc/$(cat pid)/environ")" "PATH=/bin HOME=/root "
	assert_equal "$(tr '\0' ' ' <"/proc/$(cat pid)/cmdline")" "sleep 1000 "
}

@test "the caller's umask does not reach the container" {
	edit_config '.root.readonly = false'
	(
		umask 0077
		run_script 'umask; touch /file'
		assert_output 0022
	)
	assert_equal "$(stat -c %a "$BUNDLE/rootfs/file")" 644
}

@test "the program leads a session of its own" {
	set_command sleep 1000
	create_container
	purple_rt start "$ID"
	assert_equal "$(ps -o sid= -p "$(cat pid)" | tr -d ' ')" "$(cat pid)"
}

@test "the root of states is /run/purple for root, also when XDG_RUNTIME_DIR is empty or set" {
	requires private_etc
	set_command sleep 1000
	env XDG_RUNTIME_DIR= "$PURPLE_RUNTIME" create --bundle "$BUNDLE" "$ID" </dev/null >out 2>&1
	[[ -d /run/purple/$ID ]]
	env XDG_RUNTIME_DIR="$PWD/xdg" "$PURPLE_RUNTIME" state "$ID" | jq -e '.status == "created"'
	env -i "$PURPLE_RUNTIME" delete --force "$ID"
	[[ ! -e /run/purple/$ID && ! -e xdg ]]
}

@test "commands that engines call with an empty environment work" {
	set_command sleep 1000
	create_container
	local command
	for command in "start" "pause" "resume" "kill"; do
		env -i XDG_RUNTIME_DIR= "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" "$command" "$ID"
	done
	env -i XDG_RUNTIME_DIR= "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" delete --force "$ID"
}

@test "a new session keyring is made, unless --no-new-keyring" {
	set_command cat /proc/keys
	edit_config '.linux.maskedPaths -= ["/proc/keys"]'
	run purple_rt run --bundle "$BUNDLE" "$ID"
	assert_contains "_ses.$ID"
	# The kernel takes its time with keyrings that nobody uses any more.
	new_id
	run purple_rt run --no-new-keyring --bundle "$BUNDLE" "$ID"
	assert_lacks "_ses.$ID"
}

# --- the pid file ---------------------------------------------------------------------------------

@test "the pid file holds digits and nothing else" {
	set_command sleep 1000
	create_container
	[[ $(od -An -c pid | tr -d ' \n') =~ ^[0-9]+$ ]]
	assert_equal "$(cat pid)" "$(purple_rt state "$ID" | jq .pid)"
	purple_rt start "$ID"
	purple_rt exec --detach --pid-file exec.pid "$ID" sleep 1000 </dev/null >out 2>&1
	[[ $(od -An -c exec.pid | tr -d ' \n') =~ ^[0-9]+$ ]]
	grep -q sleep "/proc/$(cat exec.pid)/comm"
}

@test "the pid file is replaced as a whole: whoever has the old one open reads the old one" {
	set_command sleep 1000
	echo old >pid
	local old
	exec {old}<pid
	create_container
	assert_equal "$(cat <&"$old")" old
	exec {old}<&-
	[[ $(cat pid) != old ]]
	# No temporary file stays beside it.
	assert_equal "$(find . -maxdepth 1 -name '*pid*' | wc -l)" 1
}

@test "no pid file is written when create or exec fails, and an old one stays as it is" {
	echo old >pid
	set_command no-such-program
	run create_container
	assert_status 1
	assert_equal "$(cat pid)" old
	set_command sleep 1000
	create_container
	purple_rt start "$ID"
	run purple_rt exec --detach --pid-file exec.pid "$ID" no-such-program
	assert_status 255
	[[ ! -e exec.pid ]]
	printf 'no program' >"$BUNDLE/rootfs/bin/broken"
	chmod 0755 "$BUNDLE/rootfs/bin/broken"
	run purple_rt exec --detach --pid-file exec.pid "$ID" broken
	assert_status 255
	[[ ! -e exec.pid ]]
}

@test "a pid file that cannot be written fails create, which undoes everything" {
	set_command sleep 1000
	run purple_rt create --bundle "$BUNDLE" --pid-file "$PWD/none/pid" "$ID"
	assert_status 1
	assert_contains "$PWD/none/pid"
	no_traces "$(test_prefix)"
	mkdir dir
	run purple_rt create --bundle "$BUNDLE" --pid-file "$PWD/dir" "$ID"
	assert_status 1
	no_traces "$(test_prefix)"
}
