#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What a container sees of the host, and the host of a container, in the less usual set-ups: no
# pivot_root, a joined pid namespace, odd paths, tight limits, engines with odd signals. The fields
# of config.json one by one are in spec-*.bats.

load helpers

setup() {
	requires root busybox jq
	purple_setup
	make_bundle
}

@test "the container sees no file system of the host, and root cannot leave its root" {
	edit_config '.process.capabilities = (["bounding", "effective", "permitted"] | map({(.): ["CAP_SYS_CHROOT"]}) | add)'
	: >"$BATS_TEST_TMPDIR/on-the-host"
	run_script "ls /..; awk '{ print \$5 }' /proc/self/mountinfo; mkdir /dev/shm/x; cd /
		chroot /dev/shm/x /bin/true; ls -d ../../..$BATS_TEST_TMPDIR /proc/1/root$BATS_TEST_TMPDIR /proc/self/cwd$BATS_TEST_TMPDIR"
	assert_contains /dev/pts
	assert_equal "$(grep -c "^ls: .*$BATS_TEST_TMPDIR: No such file or directory" <<<"$output")" 3
	assert_equal "$(grep -v '^ls: ' <<<"$output" | grep -c -e "$BATS_TEST_TMPDIR" -e rootfs)" 0
}

@test "--no-pivot runs the container in its own root all the same, with the host's tree out of reach" {
	set_script "cat /etc/passwd | head -n 1; ls /proc/1/root$BATS_TEST_TMPDIR; ls /..$BATS_TEST_TMPDIR; true"
	run purple_rt run --no-pivot --bundle "$BUNDLE" "$ID"
	assert_status 0
	assert_contains "root:x:0:0"
	assert_equal "$(grep -c 'No such file or directory' <<<"$output")" 2
}

@test "the init of a shared pid namespace survives the end of a container that joined it" {
	set_command sleep 1000
	create_container
	purple_rt start "$ID"
	local first=$ID pid
	pid=$(cat pid)
	new_id
	edit_config '.linux.namespaces |= map(if .type == "pid" then .path = "/proc/\($p)/ns/pid" else . end)' --arg p "$pid"
	create_container
	purple_rt start "$ID"
	[[ $(awk '/^NSpid/ { print $NF }' "/proc/$(cat pid)/status") != 1 ]]
	purple_rt kill --all "$ID" KILL
	wait_status stopped
	purple_rt delete "$ID"
	is_status running "$first"
}

@test "paths with spaces, tabs and quotes are mounted" {
	mkdir $'od d\t"\\name'
	echo odd >$'od d\t"\\name/file'
	edit_config '.mounts += [{destination: "/a b\"c\td", source: ($ENV.PWD + "/od d\t\"\\name"), options: ["bind"]}]'
	run_script 'cat "/a b\"c	d/file"'
	assert_status 0
	assert_output odd
}

@test "a bundle with spaces and quotes in its path works, for every command" {
	mv "$BUNDLE" $'od d"\nbundle'
	BUNDLE=$PWD/$'od d"\nbundle'
	set_command sleep 1000
	create_container
	purple_rt start "$ID"
	assert_equal "$(purple_rt state "$ID" | jq -r .bundle)" "$BUNDLE"
	run purple_rt exec "$ID" echo ok
	assert_output ok
	purple_rt delete --force "$ID"
}

@test "a setuid program gains with noNewPrivileges false, and nothing with true" {
	# busybox gives a setuid bit up itself: the host's id, with the libraries it needs.
	cp "$(command -v id)" "$BUNDLE/rootfs/bin/suid"
	chmod 4755 "$BUNDLE/rootfs/bin/suid"
	edit_config '.mounts += ($ARGS.positional | map({destination: ., source: ., options: ["rbind", "ro"]}))' \
		--args -- /usr /lib /lib64
	edit_config '.process.user = {uid: 1000, gid: 1000} | .process.noNewPrivileges = false'
	run_script 'suid -u'
	assert_output 0
	edit_config '.process.noNewPrivileges = true'
	run_script 'suid -u'
	assert_output 1000
}

@test "a small RLIMIT_AS, RLIMIT_NPROC or RLIMIT_FSIZE does not hinder the runtime itself" {
	requires no_sanitizer
	edit_config '.process.rlimits = [{type: "RLIMIT_AS", soft: 8388608, hard: 8388608}]'
	run_script 'ulimit -v'
	assert_status 0
	assert_output 8192
	edit_config '.process.rlimits = [{type: "RLIMIT_NPROC", soft: 1, hard: 1}, {type: "RLIMIT_FSIZE", soft: 0, hard: 0}]
		| .process.user = {uid: 54321, gid: 1}'
	set_command grep 'Max processes' /proc/self/limits
	run purple_rt run --bundle "$BUNDLE" "$ID"
	assert_status 0
	assert_equal "$(tr -s ' ' <<<"$output")" "Max processes 1 1 processes "
}

@test "exec --process with small limits works too" {
	requires no_sanitizer
	set_command sleep 1000
	create_container
	purple_rt start "$ID"
	jq '.process | .args = ["sh", "-c", "ulimit -v; ulimit -n"] | .rlimits = [{type: "RLIMIT_AS", soft: 8388608, hard: 8388608},
		{type: "RLIMIT_NOFILE", soft: 4, hard: 4}]' "$BUNDLE/config.json" >process.json
	run purple_rt exec --process process.json "$ID"
	assert_status 0
	assert_output $'8192\n4'
}

@test "exec says 255 whatever it is that keeps it from running the command, and leaves no process" {
	set_command sleep 1000
	create_container
	purple_rt start "$ID"
	run purple_rt exec no-such-container true
	assert_status 255
	run purple_rt exec --no-such-option "$ID" true
	assert_status 255
	run purple_rt exec --pid-file "$PWD/none/pid" "$ID" true
	assert_status 255
	assert_contains "$PWD/none/pid"
	run purple_rt exec --cwd /etc/passwd "$ID" true
	assert_status 255
	assert_equal "$(purple_rt ps --format json "$ID")" "[$(cat pid)]"
}

@test "several hooks of a stage run in the order of the list, and none after one that fails" {
	local order=$PWD/order
	hooks() { # CODE...: hooks that note their number and exit with the codes
		: >"$order"
		edit_config '.hooks.prestart = ($ARGS.positional | to_entries
			| map({path: "/bin/sh", args: ["sh", "-c", "echo \(.key) >>\($o); exit \(.value)"]}))' \
			--arg o "$order" --args -- "$@"
	}
	hooks 0 0 0
	set_command true
	run purple_rt run --bundle "$BUNDLE" "$ID"
	assert_status 0
	assert_equal "$(tr '\n' ' ' <"$order")" "0 1 2 "
	hooks 0 3 0
	run purple_rt run --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "prestart hook #2 (/bin/sh) exited with code 3"
	assert_equal "$(tr '\n' ' ' <"$order")" "0 1 "
}

@test "hooks get default signals, whatever the engine ignores" {
	edit_config '.hooks.prestart = [{path: "/bin/grep", args: ["grep", "-q", "SigIgn:\t0000000000000000", "/proc/self/status"]}]'
	set_command true
	run env --ignore-signal=PIPE,HUP,USR1 "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" run --bundle "$BUNDLE" "$ID"
	assert_status 0
}

@test "poststop hooks run for a container whose bundle has gone" {
	edit_config '.hooks.poststop = [{path: "/bin/sh", args: ["sh", "-c", "cat >\($p)/state.json"]}]' --arg p "$PWD"
	set_command true
	create_container
	purple_rt start "$ID"
	wait_status stopped
	mv "$BUNDLE" gone
	assert_equal "$(container_status)" stopped
	purple_rt delete "$ID"
	jq -e --arg id "$ID" '.id == $id and .status == "stopped"' state.json
}
