#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Bad input changes nothing and says why: bad documents, missing files, full disks, read-only folders.

load helpers

setup() {
	requires root busybox jq
	purple_setup
	make_bundle
	set_command true
	_mounts=()
}

teardown() {
	local status=0 i
	purple_teardown || status=1
	for ((i = ${#_mounts[@]} - 1; i >= 0; i--)); do
		umount "${_mounts[i]}" || status=1
	done
	return "$status"
}

# tmpfs DIR OPTIONS: a small file system, until the test ends.
tmpfs() {
	mkdir -p "$1"
	mount -t tmpfs -o "$2" purple-test "$1"
	_mounts+=("$1")
	keep_mount "$1"
}

# refused TEXT [ARG...]: create fails, says TEXT, and nothing is there afterwards.
refused() {
	local text=$1
	shift
	new_id
	rm -f pid
	run purple_rt create --bundle "$BUNDLE" --pid-file "$PWD/pid" "$@" "$ID"
	assert_status 1
	assert_contains "$text"
	nothing_made
}

nothing_made() {
	[[ ! -e pid ]] || { echo "a pid file was written"; return 1; }
	[[ -z $(ls -A "$PURPLE_ROOT" 2>/dev/null) ]] || { ls -la "$PURPLE_ROOT"; return 1; }
	# Processes and mounts are looked for once, by teardown.
	no_group "$ID"
}

no_group() {
	[[ -z $(compgen -G "/sys/fs/cgroup/*/purple-$1"; compgen -G "/sys/fs/cgroup/purple-$1") ]]
}

# --- config.json ----------------------------------------------------------------------------------

@test "a config.json that is no JSON is refused, with the place" {
	local text
	for text in '' '{' '{"ociVersion": "1.0.2",}' 'hello' '[]' '"x"' 'null' '{"a": 1} {"b": 2}' \
		'{"ociVersion": "1.0.2", "process": }'; do
		printf '%s' "$text" >"$BUNDLE/config.json"
		refused "config.json"
	done
	# In the middle of a config that is otherwise good.
	make_bundle
	sed -i '0,/"args"/s/"args"/args"/' "$BUNDLE/config.json"
	refused "config.json"
	make_bundle
	head -c 700 "$BUNDLE/config.json" >c
	mv c "$BUNDLE/config.json"
	refused "config.json"
}

@test "bytes that are no text, and documents without end or depth, are refused" {
	head -c 5000 /dev/urandom >"$BUNDLE/config.json"
	refused "config.json"
	printf '{"ociVersion": "1.0.2\0", "root": {"path": "rootfs"}}' >"$BUNDLE/config.json"
	refused "config.json"
	{ head -c 200000 /dev/zero | tr '\0' '['; } >"$BUNDLE/config.json"
	refused "config.json"
	{ printf '{"annotations": {"a": "'; head -c 40000000 /dev/zero | tr '\0' 'x'; printf '"}}'; } \
		>"$BUNDLE/config.json"
	refused "config.json"
}

@test "a member of the wrong type or out of range is refused by name" {
	local case filter name
	cp "$BUNDLE/config.json" good.json
	for case in \
		'.process.args = "sh"|process.args' \
		'.process.args = []|process.args' \
		'.process.args = [1]|process.args' \
		'.process.user.uid = -1|process.user.uid' \
		'.process.user.uid = 4294967296|process.user.uid' \
		'.process.cwd = "relative"|process.cwd' \
		'.process.terminal = "yes"|process.terminal' \
		'.process.rlimits = [{type: "RLIMIT_NONE", soft: 1, hard: 1}]|RLIMIT_NONE' \
		'.process.rlimits = [{type: "RLIMIT_NOFILE", soft: 9, hard: 1}]|RLIMIT_NOFILE' \
		'.process.oomScoreAdj = 5000|oomScoreAdj' \
		'.root = null|root' \
		'del(.root.path)|root.path' \
		'.hostname = 7|hostname' \
		'.mounts = {}|mounts' \
		'.mounts += [{type: "tmpfs"}]|destination' \
		'.linux.namespaces += [{type: "moon"}]|moon' \
		'.linux.namespaces += [{type: "mount"}]|mount' \
		'.linux.resources.memory.limit = "1G"|limit' \
		'.linux.resources.memory.limit = 1.5|limit' \
		'.linux.resources.pids.limit = 1e30|limit' \
		'.linux.seccomp = {defaultAction: "SCMP_ACT_MAYBE"}|SCMP_ACT_MAYBE' \
		'.linux.devices = [{path: "/dev/x", type: "q"}]|type' \
		'.linux.uidMappings = [{containerID: 0, hostID: 0}]|uidMappings' \
		'.hooks.prestart = [{path: "relative"}]|prestart' \
		'.ociVersion = "2.0.0"|ociVersion' \
		'del(.ociVersion)|ociVersion'; do
		filter=${case%|*} name=${case##*|}
		cp good.json "$BUNDLE/config.json"
		edit_config "$filter"
		echo "case: $filter"
		refused "$name"
	done
}

@test "a config.json that is not there, or no file, is refused by its path" {
	rm "$BUNDLE/config.json"
	refused "$BUNDLE/config.json"
	mkdir "$BUNDLE/config.json"
	refused "$BUNDLE/config.json"
	rmdir "$BUNDLE/config.json"
	ln -s nowhere "$BUNDLE/config.json"
	refused "$BUNDLE/config.json"
	ln -sf config.json "$BUNDLE/config.json"
	refused "$BUNDLE/config.json"
}

# Files that a read would wait for, or never come to the end of.
@test "a config.json that is a FIFO, a device or a directory is refused by its path, at once" {
	mkfifo fifo
	local what
	for what in "$PWD/fifo" /dev/zero /dev/tty /; do
		ln -sfn "$what" "$BUNDLE/config.json"
		new_id
		run timeout 60 "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" create --bundle "$BUNDLE" "$ID"
		assert_status 1
		assert_contains "$BUNDLE/config.json"
	done
	ln -sfn "$PWD/fifo" "$BUNDLE/config.json"
	run timeout 60 "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" create --bundle "$BUNDLE" "$ID"
	assert_contains "is not a regular file"
	nothing_made
}

@test "a config.json that is a link to a file is taken" {
	mv "$BUNDLE/config.json" real.json
	ln -s "$PWD/real.json" "$BUNDLE/config.json"
	create_container
	is_status created "$ID"
}

@test "process, resources and policy files that are FIFOs or devices are refused at once" {
	local file
	set_command sleep 1000
	create_container
	purple_rt start "$ID"
	mkfifo fifo
	for file in fifo /dev/zero /; do
		run timeout 60 "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" exec --process "$file" "$ID"
		assert_status 255
		assert_contains "$file"
		run timeout 60 "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" update --resources "$file" "$ID"
		assert_status 1
		assert_contains "$file"
		run timeout 60 "$PURPLE" policy check "$file"
		assert_status 1
		assert_contains "$file"
	done
}

@test "a process that comes through a pipe is taken" {
	set_command sleep 1000
	create_container
	purple_rt start "$ID"
	echo '{"args": ["/bin/busybox", "echo", "piped"], "cwd": "/"}' >process.json
	run purple_rt exec --process /dev/stdin "$ID" < <(cat process.json)
	assert_status 0
	assert_equal "$output" piped
}

@test "a log that is a FIFO without a reader is refused, one that is /dev/null is taken" {
	mkfifo fifo
	new_id
	run timeout 60 "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" --log fifo create --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "fifo"
	nothing_made
	purple_rt --log /dev/null create --bundle "$BUNDLE" --pid-file "$PWD/pid" "$ID"
	is_status created "$ID"
}

@test "a pid file that is a device, FIFO or directory is not replaced, and nothing is left" {
	local file
	mkfifo fifo
	mkdir dir
	mknod null c 1 3
	for file in fifo dir null; do
		new_id
		run timeout 60 "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" create --bundle "$BUNDLE" --pid-file "$PWD/$file" "$ID"
		assert_status 1
		assert_contains "$PWD/$file"
		nothing_made
	done
	[[ -p fifo && -d dir && -c null ]]
}

@test "a config.json that the caller may not read is refused by its path" {
	requires ordinary_user
	chmod 0600 "$BUNDLE/config.json"
	new_id
	run as_user "$PURPLE_RUNTIME" create --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "$BUNDLE/config.json"
	assert_contains "ermission denied"
	[[ ! -e $BATS_TEST_TMPDIR/user/run/purple/$ID ]]
}

# --- bundles and root file systems ----------------------------------------------------------------

@test "a bundle that is not there, or is a file, is refused by its path" {
	BUNDLE=$PWD/nowhere
	refused "$PWD/nowhere"
	: >file
	BUNDLE=$PWD/file
	refused "$PWD/file"
	mkdir empty
	BUNDLE=$PWD/empty
	refused "$PWD/empty/config.json"
	BUNDLE=
	new_id
	run purple_rt create --bundle "" "$ID"
	assert_status 1
}

@test "a root file system that is missing, a file, or a dangling link is refused by its path" {
	edit_config '.root.path = "nowhere"'
	refused "$BUNDLE/nowhere"
	: >"$BUNDLE/file"
	edit_config '.root.path = "file"'
	refused "$BUNDLE/file"
	ln -s /nowhere-at-all "$BUNDLE/link"
	edit_config '.root.path = "link"'
	refused "link"
	edit_config '.root.path = ""'
	refused "root.path"
	edit_config '.root.path = "/proc/self/fd/999"'
	refused "/proc/self/fd/999"
}

@test "a mount whose source is missing is refused by name, after everything else was made" {
	edit_config '.mounts += [{destination: "/x", source: "/nowhere-at-all", options: ["bind"]}]'
	refused "/nowhere-at-all"
	edit_config '.mounts[-1] = {destination: "/x", source: "x", type: "no-such-file-system"}'
	refused "no-such-file-system"
}

@test "a bundle that vanishes: state, list, kill and delete work all the same" {
	edit_config '.hooks.poststop = [{path: "/bin/touch", args: ["touch", $f]}]' --arg f "$PWD/poststop"
	set_command sleep 1000
	create_container
	purple_rt start "$ID"
	rm -rf "$BUNDLE"
	run purple_rt state "$ID"
	assert_status 0
	assert_equal "$(jq -r '.status + " " + .bundle' <<<"$output")" "running $BUNDLE"
	run purple_rt list
	assert_status 0
	assert_contains "$ID"
	run purple_rt ps --format json "$ID"
	assert_status 0
	purple_rt pause "$ID"
	purple_rt resume "$ID"
	purple_rt kill "$ID" KILL
	wait_status stopped
	run purple_rt delete "$ID"
	assert_status 0
	assert_output ""
	[[ -e poststop ]]
}

@test "a bundle that vanishes between create and start: start fails and says why, delete works" {
	set_command sleep 1000
	create_container
	rm -rf "$BUNDLE"
	is_status created "$ID"
	run purple_rt start "$ID"
	assert_status 1
	assert_contains "No such file or directory"
	wait_status stopped
	purple_rt delete "$ID"
	[[ ! -e $PURPLE_ROOT/$ID ]]
}

# --- full and read-only file systems --------------------------------------------------------------

@test "a state folder on a disk that is full: create says so and leaves nothing, whatever room there is" {
	local room made=0 failed=0
	set_command sleep 1000
	PURPLE_ROOT=$PWD/state
	tmpfs "$PURPLE_ROOT" size=1m
	for room in 0 4 8 12 16 20 24 28 32; do
		dd if=/dev/zero of="$PURPLE_ROOT/fill" bs=4k status=none 2>/dev/null || true
		truncate -s "$((1024 - room))k" "$PURPLE_ROOT/fill"
		new_id
		rm -f pid
		if create_container >said; then
			made=$((made + 1))
			is_status created "$ID"
			purple_rt delete --force "$ID"
		else
			failed=$((failed + 1))
			grep -q "No space left on device" said
			grep -q "$PURPLE_ROOT" said
			rm -f "$PURPLE_ROOT/fill"
			nothing_made
		fi
	done
	((failed > 0 && made > 0))
	rm -f "$PURPLE_ROOT/fill"
}

@test "a state folder without free inodes: create says so and leaves nothing" {
	local room made=0 failed=0
	set_command sleep 1000
	PURPLE_ROOT=$PWD/state
	for room in 1 2 3 4 5 6 7 8; do
		tmpfs "$PURPLE_ROOT" "size=1m,nr_inodes=$room"
		new_id
		rm -f pid
		if create_container >said; then
			made=$((made + 1))
			purple_rt delete --force "$ID"
		else
			failed=$((failed + 1))
			grep -q "No space left on device" said
			nothing_made
		fi
	done
	((failed > 2 && made > 0))
}

@test "when the disk fills up later, a container is still started, killed and deleted" {
	set_command sleep 1000
	PURPLE_ROOT=$PWD/state
	tmpfs "$PURPLE_ROOT" size=256k
	create_container
	dd if=/dev/zero of="$PURPLE_ROOT/.fill" bs=4k status=none 2>/dev/null || true
	run purple_rt start "$ID"
	assert_status 0
	run purple_rt exec "$ID" echo hello
	assert_status 0
	assert_output hello
	purple_rt pause "$ID"
	purple_rt resume "$ID"
	run purple_rt delete --force "$ID"
	assert_status 0
	[[ ! -e $PURPLE_ROOT/$ID ]]
	rm "$PURPLE_ROOT/.fill"
}

@test "a pid file on a disk that is full: create says so and undoes everything" {
	tmpfs "$PWD/small" size=4k
	dd if=/dev/zero of="small/fill" bs=4k count=1 status=none
	new_id
	run purple_rt create --bundle "$BUNDLE" --pid-file "$PWD/small/pid" "$ID"
	assert_status 1
	assert_contains "No space left on device"
	assert_contains "small/pid"
	assert_equal "$(ls small)" fill
	[[ -z $(ls -A "$PURPLE_ROOT") ]]
	no_traces "$ID"
}

@test "spec on a disk that is full says so and leaves no half of a config" {
	tmpfs "$PWD/small" size=4k
	dd if=/dev/zero of="small/fill" bs=4k count=1 status=none
	run "$PURPLE_RUNTIME" spec --bundle "$PWD/small"
	assert_status 1
	assert_contains "No space left on device"
	assert_equal "$(ls small)" fill
}

@test "output that cannot be written is an error, not silence" {
	set_command sleep 1000
	create_container
	local command
	for command in "state $ID" "list" "ps $ID" "features" "--version"; do
		# shellcheck disable=SC2086 # words
		run bash -c '"$@" >/dev/full' sh "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" $command
		((status != 0)) || { echo "$command: success"; return 1; }
	done
}

@test "a state folder that is read-only: create says so; state works, start and delete say so" {
	set_command sleep 1000
	PURPLE_ROOT=$PWD/state
	create_container
	mount --bind "$PURPLE_ROOT" "$PURPLE_ROOT"
	_mounts+=("$PURPLE_ROOT")
	keep_mount "$PURPLE_ROOT"
	mount -o remount,bind,ro "$PURPLE_ROOT"
	run purple_rt create --bundle "$BUNDLE" "$ID-b"
	assert_status 1
	assert_contains "Read-only file system"
	assert_contains "$PURPLE_ROOT"
	[[ ! -e $PURPLE_ROOT/$ID-b ]]
	no_group "$ID-b"
	is_status created "$ID"
	run purple_rt start "$ID"
	assert_status 1
	assert_contains "Read-only file system"
	is_status created "$ID"
	run purple_rt delete --force "$ID"
	assert_status 1
	assert_contains "Read-only file system"
	mount -o remount,bind,rw "$PURPLE_ROOT"
	# All of that changed nothing.
	purple_rt start "$ID"
	is_status running "$ID"
	purple_rt delete --force "$ID"
}

@test "a state root that is a file, or below one, is refused by its path" {
	: >file
	PURPLE_ROOT=$PWD/file
	new_id
	run purple_rt create --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "$PWD/file"
	run purple_rt state "$ID"
	assert_status 1
	PURPLE_ROOT=$PWD/file/below
	run purple_rt create --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "$PWD/file"
	[[ ! -s file ]]
	PURPLE_ROOT=$PWD/none
}

@test "a state root that the caller may not write is refused by its path" {
	requires ordinary_user
	mkdir -m 0755 "$PWD/roots"
	chmod 0755 "$BUNDLE" "$BUNDLE/rootfs"
	new_id
	run as_user "$PURPLE_RUNTIME" --root "$PWD/roots" create --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "$PWD/roots"
	assert_contains "ermission denied"
	[[ -z $(ls -A "$PWD/roots") ]]
}

# --- other documents and states -------------------------------------------------------------------

@test "a state that is no JSON any more is an error that names it, and others are still listed" {
	set_command sleep 1000
	create_container
	local good=$ID
	new_id
	create_container
	cp "$PURPLE_ROOT/$ID/state.json" saved
	local text
	for text in '' '{' '[1]' '{"id": 7}' '{"id": "x", "pid": "y"}'; do
		printf '%s' "$text" >"$PURPLE_ROOT/$ID/state.json"
		for command in state start pause delete; do
			run purple_rt "$command" "$ID"
			assert_status 1
			assert_contains "$ID"
			assert_contains "state"
		done
		run purple_rt list
		assert_contains "$good"
	done
	cp saved "$PURPLE_ROOT/$ID/state.json"
	purple_rt start "$ID"
	is_status running "$ID"
}

@test "exec with a bad --process changes nothing and says why" {
	set_command sleep 1000
	create_container
	purple_rt start "$ID"
	local text before
	before=$(purple_rt ps --format json "$ID")
	for text in '' '{' '[]' '{"cwd": "/"}' '{"args": [], "cwd": "/"}' '{"args": ["true"], "cwd": "x"}' \
		'{"args": ["true"], "cwd": "/", "user": {"uid": "root"}}' \
		'{"args": ["true"], "cwd": "/", "rlimits": [{"type": "x", "soft": 1, "hard": 1}]}'; do
		printf '%s' "$text" >process.json
		run purple_rt exec --process process.json --pid-file "$PWD/exec.pid" "$ID"
		assert_status 255
		[[ -n $output && ! -e exec.pid ]]
	done
	run purple_rt exec --process nowhere.json "$ID"
	assert_status 255
	assert_contains nowhere.json
	assert_equal "$(purple_rt ps --format json "$ID")" "$before"
	is_status running "$ID"
}

@test "update with bad limits changes nothing and says why" {
	set_command sleep 1000
	edit_config '.linux.resources.memory.limit = 67108864 | .linux.resources.pids.limit = 20'
	create_container
	purple_rt start "$ID"
	local text dir
	dir=$(cgroup_dir "$(<pid)" pids)
	for text in '' '{' '[]' '{"pids": {"limit": "x"}}' '{"pids": 5}' '{"memory": {"limit": 1.5}}' \
		'{"cpu": {"quota": 5, "period": 0.5}}'; do
		printf '%s' "$text" >limits
		run purple_rt update --resources limits "$ID"
		assert_status 1
		[[ -n $output ]]
	done
	run purple_rt update --resources nowhere "$ID"
	assert_status 1
	assert_contains nowhere
	assert_equal "$(<"$dir/pids.max")" 20
	is_status running "$ID"
}

@test "a console socket or listener that is not there is refused by its path, and nothing is left" {
	edit_config '.process.terminal = true'
	refused "$PWD/nowhere.sock" --console-socket "$PWD/nowhere.sock"
	refused "console-socket"
	edit_config '.process.terminal = false'
	: >plain
	refused "terminal" --console-socket "$PWD/plain"
	edit_config '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", listenerPath: $p,
		syscalls: [{names: ["mkdir"], action: "SCMP_ACT_NOTIFY"}]}' --arg p "$PWD/nowhere.sock"
	refused "$PWD/nowhere.sock"
}
