#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# purple-runtime exec. Its descriptors and pid file are in runtime-stdio, terminals in runtime-console.

load helpers
load spec

setup() {
	spec_setup
}

teardown() {
	spec_teardown
}

# process_file JQ: process.json, a complete process object with these changes.
process_file() {
	jq -n "{terminal: false, user: {uid: 0, gid: 0}, args: [\"true\"], env: [\"PATH=/bin\"], cwd: \"/\"} | $1" >process.json
}

exec_() {
	run purple_rt exec "$@"
}

# exec_fails TEXT ARG...: exec itself fails: 255, with the text, on stderr only.
exec_fails() {
	local text=$1
	shift
	run --separate-stderr purple_rt exec "$@"
	assert_status 255
	assert_output ""
	[[ $stderr == *"$text"* ]] || {
		echo "stderr lacks '$text': $stderr"
		return 1
	}
}

# --- where the process runs -----------------------------------------------------------------------

@test "the process is in all namespaces and groups of the container" {
	local ns
	edit_config '.linux.namespaces += [{type: "time"}]'
	start_sleeper
	purple_rt exec --detach --pid-file exec.pid "$ID" sleep 1000 </dev/null >out 2>&1
	for ns in pid mnt net ipc uts cgroup time user; do
		assert_equal "$(readlink "/proc/$(cat exec.pid)/ns/$ns")" "$(readlink "/proc/$PID/ns/$ns")"
	done
	assert_equal "$(cat "/proc/$(cat exec.pid)/cgroup")" "$(cat "/proc/$PID/cgroup")"
	assert_equal "$(stat -Lc %d:%i "/proc/$(cat exec.pid)/root")" "$(stat -Lc %d:%i "/proc/$PID/root")"
	exec_ "$ID" sh -c 'readlink /proc/self/ns/mnt; ls /; cat /proc/1/comm'
	assert_contains "$(readlink "/proc/$PID/ns/mnt")"
	assert_contains sleep
}

@test "exec works without a pid namespace, and in one that the container joined" {
	drop_namespace pid
	start_sleeper
	exec_ "$ID" sh -c "cat /proc/$PID/comm"
	assert_status 0
	assert_output sleep
	purple_rt delete --force "$ID"
	new_id
	holder --pid
	edit_config '.linux.namespaces += [{type: "pid", path: $p}]' --arg p "/proc/$HOLDER/ns/pid"
	start_sleeper
	purple_rt exec --detach --pid-file exec.pid "$ID" sleep 1000 </dev/null >out 2>&1
	assert_equal "$(readlink "/proc/$(cat exec.pid)/ns/pid")" "$(readlink "/proc/$HOLDER/ns/pid")"
}

@test "in a user namespace the process has the mapped ids" {
	requires userns
	user_namespace
	start_sleeper
	exec_ "$ID" sh -c 'id -u; cat /proc/self/uid_map'
	assert_equal "${lines[0]}" 0
	assert_contains 100000
	purple_rt exec --detach --pid-file exec.pid --user 5:6 "$ID" sleep 1000 </dev/null >out 2>&1
	assert_equal "$(awk '/^[UG]id/ { print $2 }' "/proc/$(cat exec.pid)/status" | tr '\n' ' ')" "100005 100006 "
	exec_fails "cannot set uid 70000" --user 70000 "$ID" true
}

@test "exec works in a container that is only created, and its init goes on waiting" {
	set_command sleep 1000
	create_container
	exec_ "$ID" echo early
	assert_status 0
	assert_output early
	assert_equal "$(container_status)" created
	purple_rt start "$ID"
	wait_status running
}

@test "processes of exec end with the container" {
	start_sleeper
	purple_rt exec --detach --pid-file exec.pid "$ID" sleep 1000 </dev/null >out 2>&1
	local pid
	pid=$(cat exec.pid)
	kill -0 "$pid"
	purple_rt delete --force "$ID"
	run ! kill -0 "$pid"
}

@test "a detached process is no child of a Purple process, and an engine can wait for it" {
	requires python3
	start_sleeper
	cat >engine.py <<-'END2'
		import ctypes, os, subprocess, sys
		ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
		runtime, root, id = sys.argv[1:]
		null = subprocess.DEVNULL
		subprocess.run([runtime, "--root", root, "exec", "--detach", "--pid-file", "exec.pid", id, "sh", "-c", "exit 9"],
		               stdin=null, stdout=null, check=True)
		_, status = os.waitpid(int(open("exec.pid").read()), 0)
		print(os.waitstatus_to_exitcode(status))
	END2
	run python3 engine.py "$PURPLE_RUNTIME" "$PURPLE_ROOT" "$ID"
	assert_status 0
	assert_output 9
}

# --- exit codes, signals, streams -----------------------------------------------------------------

@test "the exit code is the command's, and 128+n when a signal ended it" {
	start_sleeper
	local code
	for code in 0 1 7 126 127 254 255; do
		run -"$code" purple_rt exec "$ID" sh -c "exit $code"
		assert_output ""
	done
	exec_ "$ID" sh -c 'kill -9 $$'
	assert_status 137
	exec_ "$ID" sh -c 'kill -TERM $$'
	assert_status 143
}

@test "stdin, stdout and stderr are those of exec" {
	start_sleeper
	run --separate-stderr bash -c 'echo input | "$@"' - "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" exec "$ID" \
		sh -c 'read -r x; echo "out $x"; echo err >&2'
	assert_status 0
	assert_output "out input"
	assert_equal "$stderr" err
	# Binary data come through unchanged.
	head -c 300000 /dev/urandom >data
	purple_rt exec "$ID" cat <data >copy
	cmp data copy
}

@test "signals to exec are handed to its process" {
	start_sleeper
	"$PURPLE_RUNTIME" --root "$PURPLE_ROOT" exec "$ID" sh -c 'trap "echo got term; exit 5" TERM; echo ready; while :; do sleep 0.1; done' \
		</dev/null >out 2>&1 3>&- &
	local runtime=$! status=0
	wait_for 5 grep -q ready out
	kill -TERM "$runtime"
	wait "$runtime" || status=$?
	assert_equal "$status" 5
	grep -q 'got term' out
}

@test "--detach returns at once, while the process runs" {
	start_sleeper
	local begin=$SECONDS
	purple_rt exec --detach --pid-file exec.pid "$ID" sleep 1000 </dev/null >out 2>&1
	((SECONDS - begin < 60))
	assert_equal "$(cat "/proc/$(cat exec.pid)/comm")" sleep
	assert_equal "$(cat out)" ""
}

# --- options --------------------------------------------------------------------------------------

@test "--cwd, --env and --user change the container's own process, which is the model otherwise" {
	edit_config '.process.env += ["KEPT=1", "CHANGED=old"] | .process.cwd = "/usr"'
	start_sleeper
	exec_ "$ID" sh -c 'pwd; echo $KEPT $CHANGED; id -u; id -g'
	assert_output $'/usr\n1 old\n0\n0'
	exec_ --cwd /etc --env CHANGED=new -e "MORE=a b" --user 1000:2000 "$ID" sh -c 'pwd; echo $KEPT $CHANGED $MORE; id -u; id -g'
	assert_output $'/etc\n1 new a b\n1000\n2000'
	exec_ --user=77 "$ID" sh -c 'id -u; id -g'
	assert_output $'77\n0'
	exec_ "$ID" pwd
	assert_output /usr
}

@test "options after the command are the command's" {
	start_sleeper
	exec_ "$ID" echo --cwd -e --detach
	assert_status 0
	assert_output '--cwd -e --detach'
	exec_ --cwd /etc -- "$ID" echo --user
	assert_output --user
}

@test "--cap adds to the bounding, permitted and effective sets" {
	edit_config '.process.capabilities = {bounding: ["CAP_KILL"], permitted: ["CAP_KILL"], effective: ["CAP_KILL"]}'
	start_sleeper
	exec_ "$ID" grep Cap /proc/self/status
	assert_contains "CapEff:	0000000000000020"
	exec_ --cap CAP_CHOWN -c CAP_NET_RAW "$ID" grep Cap /proc/self/status
	assert_contains "CapBnd:	0000000000002021"
	assert_contains "CapEff:	0000000000002021"
	assert_contains "CapInh:	0000000000000000"
}

@test "--additional-gids adds groups to those of the container" {
	edit_config '.process.user.additionalGids = [11]'
	start_sleeper
	exec_ --additional-gids 22 -g 33 "$ID" grep Groups /proc/self/status
	assert_output "Groups:	11 22 33 "
}

@test "--no-new-privs sets what the container has not, and never takes it away" {
	start_sleeper
	exec_ "$ID" grep NoNewPrivs /proc/self/status
	assert_output "NoNewPrivs:	1"
	purple_rt delete --force "$ID"
	new_id
	edit_config '.process.noNewPrivileges = false'
	start_sleeper
	exec_ "$ID" grep NoNewPrivs /proc/self/status
	assert_output "NoNewPrivs:	0"
	exec_ --no-new-privs "$ID" grep NoNewPrivs /proc/self/status
	assert_output "NoNewPrivs:	1"
}

@test "a --user that is no number, or not wholly one, is refused" {
	start_sleeper
	local user
	for user in root '' 1: :1 1:2:3 0x1 ' 1' '1 ' -1 +1 1.0 4294967296; do
		exec_fails "invalid --user '$user'" --user="$user" "$ID" true
	done
	exec_fails "4294967295 is no user id" --user 4294967295 "$ID" true
	exec_fails "4294967295 is no group id" --user 0:4294967295 "$ID" true
	exec_fails "invalid --additional-gids 'staff'" --additional-gids staff "$ID" true
}

@test "a --cwd that is not there is not made, and the error names it" {
	edit_config '.root.readonly = false'
	start_sleeper
	exec_fails "cannot enter working directory '/made/here'" --cwd /made/here "$ID" pwd
	[[ ! -e $BUNDLE/rootfs/made ]]
	exec_fails /etc/passwd --cwd /etc/passwd "$ID" pwd
	exec_fails "process.cwd: must be an absolute path" --cwd tmp "$ID" pwd
}

@test "a --cwd that leads out of the container is refused" {
	start_sleeper
	local fd
	for fd in 3 4 5 6 7 8 9 10 11 12; do
		run purple_rt exec --cwd "/proc/self/fd/$fd" "$ID" ls ..
		assert_status 255
	done
	run bash -c 'exec 3</; exec "$@"' - "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" exec --preserve-fds 1 \
		--cwd /proc/self/fd/3 "$ID" pwd
	assert_status 255
	assert_contains "cannot enter working directory '/proc/self/fd/3'"
}

@test "HOME is that of the user in the container's passwd, unless it is given" {
	start_sleeper
	exec_ "$ID" sh -c 'echo $HOME'
	assert_output /root
	exec_ --user 65534 "$ID" sh -c 'echo $HOME'
	assert_output /
	exec_ --env HOME=/given "$ID" sh -c 'echo $HOME'
	assert_output /given
}

# --- process files --------------------------------------------------------------------------------

@test "--process says all about the process" {
	edit_config '.process.env += ["NOT=mine"]'
	start_sleeper
	process_file '.args = ["sh", "-c", "pwd; id -u; id -g; umask; echo $A/$NOT; ulimit -Sn; ulimit -Hn; grep -E \"Groups|CapEff|CapInh|NoNewPrivs\" /proc/self/status; cat /proc/self/oom_score_adj"]
		| .user = {uid: 3, gid: 4, additionalGids: [5, 6], umask: 7} | .env += ["A=b"] | .cwd = "/etc"
		| .rlimits = [{type: "RLIMIT_NOFILE", soft: 50, hard: 60}] | .oomScoreAdj = 456
		| .capabilities = {bounding: ["CAP_CHOWN"], permitted: ["CAP_CHOWN"], effective: ["CAP_CHOWN"]}'
	exec_ --process process.json "$ID"
	assert_status 0
	assert_output $'/etc\n3\n4\n0007\nb/\n50\n60\nGroups:\t5 6 \nCapInh:\t0000000000000000\nCapEff:\t0000000000000000\nNoNewPrivs:\t0\n456'
	# Without capabilities they are the container's, as under runc and crun; an empty set is one.
	process_file '.args = ["grep", "CapEff", "/proc/self/status"]'
	exec_ -p process.json "$ID"
	assert_output "$(grep CapEff "/proc/$PID/status")"
	process_file '.args = ["grep", "CapEff", "/proc/self/status"] | .capabilities = {}'
	exec_ -p process.json "$ID"
	assert_output "CapEff:	0000000000000000"
	process_file '.args = ["grep", "CapEff", "/proc/self/status"] | .capabilities = {bounding: ["CAP_CHOWN"], permitted: ["CAP_CHOWN"], effective: ["CAP_CHOWN"]}'
	exec_ --process=process.json "$ID"
	assert_output "CapEff:	0000000000000001"
}

@test "the process file may go as soon as exec returns" {
	start_sleeper
	process_file '.args = ["sh", "-c", "sleep 0.3; echo done"]'
	purple_rt exec --process process.json --detach "$ID" </dev/null >out 2>&1
	rm process.json
	wait_for 5 grep -q 'done' out
}

@test "a bad process file is refused and says why" {
	start_sleeper
	exec_fails nonexistent.json --process nonexistent.json "$ID"
	echo '{"args": ["true"' >process.json
	exec_fails process.json --process process.json "$ID"
	echo '[]' >process.json
	exec_fails process.json --process process.json "$ID"
	process_file 'del(.args)'
	exec_fails args --process process.json "$ID"
	process_file '.args = []'
	exec_fails "process.args: must not be empty" --process process.json "$ID"
	process_file 'del(.cwd)'
	exec_fails cwd --process process.json "$ID"
	process_file '.rlimits = [{type: "RLIMIT_X", soft: 1, hard: 1}]'
	exec_fails RLIMIT_X --process process.json "$ID"
	process_file '.user.uid = "root"'
	exec_fails uid --process process.json "$ID"
	process_file '.scheduler = {policy: "SCHED_OTHER", nice: 99}'
	exec_fails process.scheduler.nice --process process.json "$ID"
	process_file '.apparmorProfile = 7'
	exec_fails apparmorProfile --process process.json "$ID"
	process_file '.terminal = true'
	exec_fails "--console-socket" --process process.json --detach "$ID"
}

@test "a command and --process exclude each other, and one of them is needed" {
	start_sleeper
	process_file .
	exec_fails "--process and a command exclude each other" --process process.json "$ID" true
	exec_fails "exec needs a command, or --process FILE" "$ID"
}

@test "a container without process in config.json takes --process only" {
	edit_config 'del(.process)'
	create_container
	exec_fails "use --process" "$ID" true
	process_file '.args = ["echo", "here"]'
	exec_ --process process.json "$ID"
	assert_output here
}

# --- refusals -------------------------------------------------------------------------------------

@test "exec into a paused container is refused, with --ignore-paused it runs when resumed" {
	start_sleeper
	purple_rt pause "$ID"
	run timeout -s KILL 20 "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" exec "$ID" true
	assert_status 255
	assert_contains "cannot exec in a paused container"
	purple_rt exec --ignore-paused "$ID" echo thawed </dev/null >out 2>&1 3>&- &
	local runtime=$!
	sleep 0.5
	assert_equal "$(cat out)" ""
	assert_equal "$(container_status)" paused
	purple_rt resume "$ID"
	wait "$runtime"
	assert_equal "$(cat out)" thawed
}

@test "exec into a stopped or unknown container is refused with the words that engines know" {
	start_sleeper
	kill -9 "$PID"
	wait_status stopped
	exec_fails "container not running" "$ID" true
	exec_fails "container does not exist" "$ID-other" true
}

@test "a program that is missing or may not be run is told in the engines' words, and nothing runs" {
	mkdir "$BUNDLE/rootfs/opt"
	echo data >"$BUNDLE/rootfs/opt/data"
	start_sleeper
	exec_fails 'exec: "no-such": executable file not found in $PATH' "$ID" no-such
	exec_fails 'exec: "/no/such": no such file or directory' "$ID" /no/such
	exec_fails 'exec: "/opt/data": permission denied' "$ID" /opt/data
	exec_fails 'exec: "/opt": permission denied' "$ID" /opt
	exec_fails 'exec: "/opt/data/x": ' "$ID" /opt/data/x
	exec_fails 'executable file not found in $PATH' --env PATH=/nowhere "$ID" sh
	# Only the container's own processes are left.
	assert_equal "$(purple_rt ps --format json "$ID" | jq length)" 1
}

@test "execs at the same time do not get in each other's way" {
	start_sleeper
	local i pids=()
	for i in 1 2 3 4 5 6 7 8; do
		purple_rt exec "$ID" sh -c "echo $i; exit $i" </dev/null >"out.$i" 2>&1 3>&- &
		pids+=($!)
	done
	for i in 1 2 3 4 5 6 7 8; do
		local status=0
		wait "${pids[i - 1]}" || status=$?
		assert_equal "$status" "$i"
		assert_equal "$(cat "out.$i")" "$i"
	done
}

@test "the container's limits hold for what exec starts" {
	edit_config '.linux.resources.pids.limit = 5'
	start_sleeper
	exec_ "$ID" sh -c 'for i in 1 2 3 4 5 6 7 8; do sleep 1000 >/dev/null 2>&1 & done'
	assert_contains "fork"
}

@test "a process of exec cannot be looked into before it is the container's program" {
	requires strace
	start_sleeper
	# From its birth on it is not dumpable: set before the fork, in a process that is not either.
	run strace -f -o trace -e trace=prctl,clone,clone3,fork,setns,execve \
		"$PURPLE_RUNTIME" --root "$PURPLE_ROOT" exec "$ID" true
	assert_status 0
	local undumpable joined
	undumpable=$(grep -n 'PR_SET_DUMPABLE, SUID_DUMP_DISABLE' trace | head -n 1 | cut -d: -f1)
	joined=$(grep -n 'setns(' trace | head -n 1 | cut -d: -f1)
	((undumpable < joined))
}

@test "--cgroup runs the process in a group below the container's own, of all controllers or some" {
	requires cgroup_v1
	start_sleeper
	local dir
	local -a dirs
	mapfile -t dirs < <(jq -r '.cgroup.v1[]' "$PURPLE_ROOT/$ID/state.json" | sort -u)
	for dir in "${dirs[@]}"; do
		[[ $dir != *@(/pids/|/memory/)* ]] || mkdir "$dir/below"
	done
	exec_ --cgroup pids,memory:below "$ID" cat /proc/self/cgroup
	assert_status 0
	assert_equal "$(grep -cE ':(pids|memory):.*/below$' <<<"$output") $(grep -c below <<<"$output")" "2 2"
	exec_ --cgroup pids:/below --cgroup memory:below/ "$ID" cat /proc/self/cgroup
	assert_equal "$(grep -cE ':(pids|memory):.*/below$' <<<"$output") $(grep -c below <<<"$output")" "2 2"
	# Without a controller it is to be there in every hierarchy.
	exec_fails "there is no sub-cgroup" --cgroup below "$ID" true
	for dir in "${dirs[@]}"; do
		mkdir -p "$dir/below"
		# A new group of this controller has none, and takes no process then.
		[[ ! -e $dir/cpuset.cpus ]] || { cat "$dir/cpuset.cpus" >"$dir/below/cpuset.cpus"
			cat "$dir/cpuset.mems" >"$dir/below/cpuset.mems"; }
	done
	exec_ --cgroup below "$ID" cat /proc/self/cgroup
	assert_equal "$(grep -c '/below$' <<<"$output")" "${#dirs[@]}"
	# The next one is where the container is.
	exec_ "$ID" cat /proc/self/cgroup
	assert_lacks below
}

@test "--cgroup runs the process in a group below the container's own on the unified hierarchy" {
	requires cgroup_v2
	start_sleeper
	mkdir "$(cgroup_dir "$PID")/below"
	exec_ --cgroup below "$ID" cat /proc/self/cgroup
	assert_contains /below
}

@test "--cgroup of what is not there, or leads out of the container's group, is refused" {
	start_sleeper
	local sub
	for sub in nothing/here .. a/../../b "../$ID" nosuch:below; do
		exec_fails "--cgroup: " --cgroup "$sub" "$ID" true
	done
	exec_fails "each needs its controllers" --cgroup a --cgroup b "$ID" true
	purple_rt delete --force "$ID"
	new_id
	purple_rt --cgroup-manager disabled run --detach --bundle "$BUNDLE" "$ID" </dev/null >/dev/null 2>&1
	exec_fails "--cgroup: " --cgroup below "$ID" true
}
