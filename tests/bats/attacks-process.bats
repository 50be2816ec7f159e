#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Published attacks, and others of their class, on the processes that the runtime puts into a
# container: its own program, its descriptors, its working directory, its ids and capabilities.

load attacks

# tests/defences/run demands that this still works where a defence is taken out.
@test "a harmless container runs" {
	harmless_container
}

# --- looking into the runtime ---------------------------------------------------------------------

# A search path that keeps a process of the runtime busy inside the container.
long_path() {
	printf 'PATH=%s/bin' "$(printf '/none:%.0s' {1..15000})"
}

# start_spy SECONDS: a container whose process looks into all others. It is root and has what the
# processes that come later have in the end: what they still are, before their program runs, is
# kept from it by nothing but that they cannot be dumped. With end_spy, nothing can have been
# found, although there was someone to look into.
start_spy() {
	set_command attack spy "$1" attack
	create_container
	purple_rt start "$ID"
	wait_for 10 grep -q ready out
}

end_spy() {
	wait_for 30 grep -q ^seen out
	cat out
	(($(awk '/^seen/ { print $2 }' out) > 0))
	[[ $(grep -c entered out) == 0 ]]
}

@test "CVE-2016-9962: nobody in the container can look into a process that exec puts there" {
	start_spy 4
	local i end=$((SECONDS + 3))
	for ((i = 0; i < 20 && SECONDS < end; i++)); do
		purple_rt exec --env "$(long_path)" "$ID" attack 2>/dev/null || true
	done
	end_spy
}

@test "CVE-2016-9962: nobody in a pod can look into the init of a container that joins it" {
	start_spy 6
	local pid i end=$((SECONDS + 5))
	pid=$(cat pid)
	edit_config '.linux.namespaces |= map(if .type == "pid" then .path = "/proc/\($p)/ns/pid" else . end)
		| .process.args = ["attack"] | .process.env = [$path]' \
		--arg p "$pid" --arg path "$(long_path)"
	for ((i = 0; i < 10 && SECONDS < end; i++)); do
		new_id
		purple_rt run --bundle "$BUNDLE" "$ID" 2>err.run || true
	done
	grep -q 'see its source' err.run
	end_spy
}

# --- the runtime's own program --------------------------------------------------------------------

# A runtime of the test's own, which may be overwritten, and an image that tries to: a program of it
# is a script whose interpreter is /proc/self/exe, and a process waits for who runs that. An image
# whose libraries are hostile would have code in the runtime itself, were it not static.
make_runtime_thief() {
	cp "$PURPLE_RUNTIME" runtime
	cp "$PURPLE_TEST_DIR/preload.so" "$ROOTFS/evil.so"
	echo /evil.so >"$ROOTFS/etc/ld.so.preload"
	local lib
	for lib in $(ldd runtime 2>/dev/null | grep -o '/[^ ]*'); do
		mkdir -p "$ROOTFS$(dirname "$lib")"
		cp -L "$lib" "$ROOTFS$lib"
	done
	printf '#!/proc/self/exe\n' >"$ROOTFS/bin/thief"
	chmod 0755 "$ROOTFS/bin/thief"
	set_command attack steal attack /tmp/result
	own_rt create --bundle "$BUNDLE" --pid-file pid "$ID" </dev/null >out 2>&1
	own_rt start "$ID"
	wait_for 10 grep -q ready out
}

own_rt() {
	./runtime --root "$PURPLE_ROOT" "$@"
}

# until_stolen COMMAND...: until the thief has a descriptor on the runtime, and has tried to write.
until_stolen() {
	local try
	for ((try = 0; try < 200; try++)); do
		"$@" </dev/null >>tries 2>&1 || true
		[[ ! -e $ROOTFS/tmp/stolen ]] || break
	done
	wait_for 30 test -s "$ROOTFS/tmp/result"
	tail -n 1 tries
	cmp runtime "$PURPLE_RUNTIME"
	assert_equal "$(cat "$ROOTFS/tmp/result")" "Read-only file system"
}

join_thief() {
	new_id
	own_rt run --bundle "$BUNDLE" "$ID"
}

@test "CVE-2019-5736: a container whose program is the runtime's own cannot overwrite it" {
	make_runtime_thief
	# Where the thief is already: as in a pod.
	edit_config '.process.args = ["/bin/thief"]
		| .linux.namespaces |= map(if .type == "pid" then .path = "/proc/\($p)/ns/pid" else . end)' \
		--arg p "$(cat pid)"
	until_stolen join_thief
}

@test "CVE-2019-5736: a process that exec puts into a container cannot overwrite the runtime" {
	make_runtime_thief
	until_stolen own_rt exec "$ID" /bin/thief
}

# --- descriptors and working directory ------------------------------------------------------------

# Up to the host's / from any folder, then to a program that needs no libraries.
host_program() {
	echo "/proc/self/fd/$FD/../../../../../../../../../..$(readlink -f "$OUTSIDE")/program"
}

try_create_program() {
	edit_config '.process.args = [$p, "sh", "-c", "echo escaped"]' --arg p "$(host_program)"
	new_id
	run purple_rt run --bundle "$BUNDLE" "$ID"
	assert_lacks escaped
	[[ $output == *"no such file or directory"* || $output == *"not a directory"* ]]
}

try_exec_program() {
	ln -sf "$(host_program)" "$ROOTFS/bin/tool"
	run purple_rt exec "$ID" /bin/tool sh -c 'echo escaped'
	assert_lacks escaped
	[[ $output == *"no such file or directory"* || $output == *"not a directory"* ]]
	run purple_rt exec "$ID" tool sh -c 'echo escaped'
	assert_lacks escaped
}

@test "CVE-2024-21626: no program of the host is reached through what the runtime has open" {
	cp "$(command -v busybox)" "$OUTSIDE/program"
	BEFORE=$(listing "$OUTSIDE")
	all_fds try_create_program
	set_command sleep 1000
	new_id
	create_container
	purple_rt start "$ID"
	all_fds try_exec_program
	assert_outside_unharmed
}

try_create_cwd() {
	local cwd
	for cwd in "/proc/self/fd/$FD" "/proc/self/fd/$FD/../made" "/work$FD" "/work$FD/made/more"; do
		ln -sfn "/proc/self/fd/$FD" "$ROOTFS/work$FD"
		edit_config '.process.cwd = $d' --arg d "$cwd"
		new_id
		run purple_rt run --bundle "$BUNDLE" "$ID"
		assert_status 1
		assert_contains "working directory"
	done
}

try_exec_cwd() {
	local cwd
	for cwd in "/proc/self/fd/$FD" "/proc/self/fd/$FD/../made" "/work$FD" "/work$FD/made/more"; do
		run purple_rt exec --cwd "$cwd" "$ID" pwd
		assert_status 255
		assert_contains "working directory"
	done
}

@test "CVE-2024-21626: no working directory leads to the host, and none is made there" {
	local before
	set_command pwd
	all_fds try_create_cwd
	set_command sleep 1000
	edit_config '.process.cwd = "/"'
	new_id
	create_container
	purple_rt start "$ID"
	before=$(cd "$PURPLE_ROOT" && find .)
	all_fds try_exec_cwd
	assert_equal "$(cd "$PURPLE_ROOT" && find .)" "$before"
	[[ ! -e $PURPLE_ROOT/made && ! -e $BUNDLE/made && ! -e $BUNDLE/rootfs/made ]]
}

@test "CVE-2024-21626: a startContainer hook is no program of the host either" {
	cp "$(command -v busybox)" "$OUTSIDE/program"
	for FD in {3..15}; do
		ln -sfn "$(host_program)" "$ROOTFS/bin/hook"
		edit_config '.hooks.startContainer = [{path: "/bin/hook", args: ["sh", "-c", "echo escaped >/escaped"]}]'
		set_command true
		new_id
		run purple_rt run --bundle "$BUNDLE" "$ID"
		((status != 0))
		[[ ! -e $ROOTFS/escaped ]]
	done
}

@test "a process in the container has stdio and nothing else of the runtime's" {
	set_command sleep 1000
	create_container
	purple_rt start "$ID"
	local pid
	pid=$(cat pid)
	wait_for 5 grep -q sleep "/proc/$pid/comm"
	assert_equal "$(echo "/proc/$pid/fd"/*)" "/proc/$pid/fd/0 /proc/$pid/fd/1 /proc/$pid/fd/2"
	purple_rt exec --detach --pid-file exec.pid "$ID" sleep 999 </dev/null >out 2>&1
	pid=$(cat exec.pid)
	wait_for 5 grep -q sleep "/proc/$pid/comm"
	assert_equal "$(echo "/proc/$pid/fd"/*)" "/proc/$pid/fd/0 /proc/$pid/fd/1 /proc/$pid/fd/2"
	# start.sock, by which a created container is started, is not in reach either.
	new_id
	create_container
	run find "/proc/$(cat pid)/root" -xdev -name start.sock
	assert_output ""
}

# --- ids, groups and capabilities -----------------------------------------------------------------

exec_ids() { # OPTION...: "uid gid" of a process that exec runs so
	run purple_rt exec "$@" "$ID" sh -c 'echo $(id -u) $(id -g)'
}

@test "CVE-2026-30892: exec --user means exactly the ids that it says, or is refused" {
	edit_config '.process.user = {uid: 7, gid: 8, additionalGids: [9]}'
	start_sleeper
	local user
	for user in "0 0 8" "1 1 8" "10 10 8" "1000 1000 8" "1:2 1 2" "0:5 0 5" "65534:65533 65534 65533" \
		"4294967294 4294967294 8"; do
		exec_ids --user "${user%% *}"
		assert_output "${user#* }"
	done
	for user in "" : 1: :1 1:2: 1:2:3 -1 1:-1 +1 1:+1 " 1" "1 " 1.0 1,2 0x10 1e3 root nobody root:root \
		4294967295 1:4294967295 4294967296 1:4294967296 18446744073709551616 99999999999999999999999; do
		exec_ids --user "$user"
		echo "user '$user'"
		assert_status 255
		[[ $output == *user* ]]
	done
}

@test "CVE-2022-29162: capabilities are never inheritable unless the configuration says so" {
	edit_config '.process.capabilities |= del(.inheritable, .ambient)'
	assert_equal "$(cd "$BUNDLE" && jq '.process.capabilities.inheritable // []' config.json)" "[]"
	start_sleeper
	grep -P 'CapInh:\t0{16}' "/proc/$PID/status"
	run purple_rt exec "$ID" grep -E 'CapInh|CapAmb' /proc/self/status
	assert_output $'CapInh:\t0000000000000000\nCapAmb:\t0000000000000000'
}

@test "CVE-2022-27650: exec --cap adds a capability, not an inheritable one" {
	start_sleeper
	run purple_rt exec --cap CAP_SYS_PTRACE --cap CAP_NET_RAW "$ID" \
		grep -E 'CapInh|CapAmb' /proc/self/status
	assert_output $'CapInh:\t0000000000000000\nCapAmb:\t0000000000000000'
	run purple_rt exec --cap CAP_SYS_PTRACE "$ID" sh -c 'grep CapEff /proc/self/status'
	[[ $((16#${output##*$'\t'} >> 19 & 1)) == 1 ]]
}

@test "CVE-2025-27612: a process file without inheritable capabilities gives none" {
	edit_config '.process.capabilities.inheritable = .process.capabilities.bounding'
	start_sleeper
	jq '.process | .args = ["grep", "CapInh", "/proc/self/status"] | del(.capabilities.inheritable, .capabilities.ambient)' \
		"$BUNDLE/config.json" >process.json
	run purple_rt exec --process process.json "$ID"
	assert_output $'CapInh:\t0000000000000000'
}

@test "the caller's groups, environment and capabilities do not reach the container" {
	set_command sh -c 'id -G; env; grep -E "Cap(Inh|Amb)" /proc/self/status'
	run setpriv --groups 4,27,1234 --inh-caps +chown,+net_raw --ambient-caps +chown,+net_raw \
		env LD_PRELOAD=/none/evil.so SECRET=callers BASH_ENV=/x \
		"$PURPLE_RUNTIME" --root "$PURPLE_ROOT" run --bundle "$BUNDLE" "$ID"
	assert_status 0
	assert_lacks 1234
	assert_lacks SECRET
	assert_lacks BASH_ENV
	assert_equal "$(grep -c '0000000000000000' <<<"$output")" 2
	start_sleeper
	run setpriv --groups 4,27,1234 --inh-caps +chown,+net_raw --ambient-caps +chown,+net_raw env SECRET=callers \
		"$PURPLE_RUNTIME" --root "$PURPLE_ROOT" exec "$ID" sh -c 'id -G; env; grep -E "Cap(Inh|Amb)" /proc/self/status'
	assert_status 0
	assert_lacks 1234
	assert_lacks SECRET
	assert_equal "$(grep -c '0000000000000000' <<<"$output")" 2
}

# --- the container's files ------------------------------------------------------------------------

@test "an /etc/passwd that is no ordinary file neither holds a process up nor is read elsewhere" {
	printf 'root:x:0:0:root:/from-outside:/bin/sh\n' >"$OUTSIDE/passwd"
	set_script 'echo "home $HOME"'
	edit_config '.process.env = ["PATH=/bin"]'
	local kind
	for kind in fifo directory link device sparse; do
		rm -rf "$ROOTFS/etc/passwd"
		case $kind in
		fifo) mkfifo "$ROOTFS/etc/passwd" ;;
		directory) mkdir "$ROOTFS/etc/passwd" ;;
		link) ln -s "$OUTSIDE/passwd" "$ROOTFS/etc/passwd" ;;
		device) mknod "$ROOTFS/etc/passwd" c 1 5 ;;
		sparse) truncate -s 1T "$ROOTFS/etc/passwd" ;;
		esac
		new_id
		# Not by run: what a runtime that was killed leaves behind would hold its pipe.
		status=0
		timeout -s KILL 10 "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" run --bundle "$BUNDLE" "$ID" \
			</dev/null >passwd.out 2>&1 3>&- || status=$?
		output=$(cat passwd.out)
		echo "$kind"
		assert_status 0
		assert_output "home /"
	done
}

@test "the state folder is for its owner alone, whatever the umask" {
	set_command sleep 1000
	(umask 0 && create_container)
	purple_rt start "$ID"
	assert_equal "$(stat -c %a "$PURPLE_ROOT/$ID" "$PURPLE_ROOT/$ID/state.json" "$PURPLE_ROOT/$ID/config.json" | tr '\n' ' ')" \
		"700 600 600 "
}
