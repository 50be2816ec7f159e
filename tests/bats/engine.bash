# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the engine-*.bats files share: engines whose daemons the tests start and stop, in folders and
# in mount and network namespaces of their own, so that no network, mount or file of the machine's
# own engines is touched. ENGINE_DIR is the file's folder. There is no registry: the image is
# busybox, made here.

load helpers

IMAGE=localhost/busybox:latest

# engine_setup PROGRAM...: called first by setup_file.
engine_setup() {
	requires root private_etc busybox jq ip "$@"
	ENGINE_DIR=$BATS_FILE_TMPDIR/engine
	chmod 0711 "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR"
	mkdir "$ENGINE_DIR"
	export ENGINE_DIR
	# Engines sync their databases at each step: in memory, they do not wait for who else writes to
	# the machine's disk.
	mount -t tmpfs -o mode=0755 engine-test "$ENGINE_DIR"
	make_rootfs "$ENGINE_DIR/image"
	start_namespaces
}

# start_daemon NAME COMMAND...: in the background, its pid and log in ENGINE_DIR; nothing of bats'
# stays open in it.
start_daemon() {
	local name=$1
	shift
	(
		cd "$ENGINE_DIR" || exit
		close_other_fds
		exec "$@" </dev/null >>"$ENGINE_DIR/$name.log" 2>&1
	) &
	echo $! >"$ENGINE_DIR/$name.pid"
}

# bats reports through fds above 2: a daemon that keeps them keeps bats from ending.
close_other_fds() {
	local fd
	for fd in /proc/self/fd/*; do
		fd=${fd##*/}
		((fd <= 2)) || [[ $fd == 255 ]] || eval "exec $fd>&-"
	done
}

# daemon_up SECONDS NAME COMMAND...: waits until the command succeeds; shows the log when it does not.
daemon_up() {
	local seconds=$1 name=$2
	shift 2
	wait_for "$seconds" "$@" >/dev/null 2>&1 || {
		echo "$name did not come up:"
		tail -n 20 "$ENGINE_DIR/$name.log"
		return 1
	}
}

# stop_daemon NAME: with TERM, with KILL after 15 seconds.
stop_daemon() {
	local pid
	[[ -e $ENGINE_DIR/$1.pid ]] || return 0
	pid=$(<"$ENGINE_DIR/$1.pid")
	rm "$ENGINE_DIR/$1.pid"
	kill "$pid" 2>/dev/null || return 0
	wait_for 15 process_gone "$pid" && return
	kill -KILL "$pid"
	tail -n 20 "$ENGINE_DIR/$1.log"
	return 1
}

process_gone() {
	[[ ! -d /proc/$1 || $(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null) == Z* ]]
}

# Makes new mount and network namespaces that hold on until engine_teardown: loopback is up there,
# and /run/containerd (the shims' sockets have their fixed place in it) and /run/netns are empty.
# What is mounted there goes with them. (private-etc makes the two folders, and takes them away: removing
# them here would take the mounts of other files' engines with them.)
start_namespaces() {
	start_daemon namespaces unshare --mount --net --propagation slave -- sh -c '
		mount -t tmpfs engine-test /run/containerd && mount -t tmpfs engine-test /run/netns &&
		ip link set lo up && echo 1 >/proc/sys/net/ipv4/ip_forward && : >ready && exec sleep infinity'
	daemon_up 10 namespaces test -e "$ENGINE_DIR/ready"
}

# Sets ENGINE: what stands in front of a command that is to run there, in the same folder.
engine_namespaces() {
	ENGINE=(nsenter --target "$(<"$ENGINE_DIR/namespaces.pid")" --mount --net -- env --chdir="$PWD")
}
in_engine() {
	local -a ENGINE
	engine_namespaces
	"${ENGINE[@]}" "$@"
}

# Of its settings: 2 for containerd 1, 3 for containerd 2.
containerd_config_version() {
	[[ $(containerd --version) == */v2\ * ]] && echo 3 || echo 2
}

# start_containerd [DISABLED PLUGIN [CONFIGURATION]]: its socket is CONTAINERD_SOCKET.
start_containerd() {
	export CONTAINERD_SOCKET=$ENGINE_DIR/containerd.sock
	cat >"$ENGINE_DIR/containerd.toml" <<-END
		version = $(containerd_config_version)
		root = "$ENGINE_DIR/containerd/root"
		state = "$ENGINE_DIR/containerd/state"
		disabled_plugins = [${1:-}]
		[grpc]
		  address = "$CONTAINERD_SOCKET"
		[plugins."io.containerd.internal.v1.opt"]
		  path = "$ENGINE_DIR/containerd/opt"
		${2:-}
	END
	restart_containerd
}

restart_containerd() {
	stop_daemon containerd
	engine_namespaces
	start_daemon containerd "${ENGINE[@]}" containerd --config "$ENGINE_DIR/containerd.toml"
	daemon_up 20 containerd ctr_ version
}

# ctr_ ARG...: containerd's client.
ctr_() {
	in_engine timeout --foreground -k 5 60 ctr --address "$CONTAINERD_SOCKET" "$@"
}

# Called last by teardown_file: no shim, no process and no cgroup of the engine's stays behind.
engine_teardown() {
	local left=0 pid
	[[ -n ${ENGINE_DIR:-} ]] || return 0
	stop_daemon dockerd || left=1
	stop_daemon containerd || left=1
	stop_daemon namespaces || left=1
	for pid in $(engine_processes); do
		echo "left behind by the engine: $pid $(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline")"
		kill -KILL "$pid" 2>/dev/null || true
		left=1
	done
	umount --lazy "$ENGINE_DIR" || left=1
	return "$left"
}

# Pids of programs that were started with a path in ENGINE_DIR: daemons and shims.
engine_processes() {
	local file pid
	for file in /proc/[0-9]*/cmdline; do
		pid=${file#/proc/} pid=${pid%/cmdline}
		[[ $pid != "$$" && $pid != "$BASHPID" ]] || continue
		tr '\0' '\n' 2>/dev/null <"$file" | grep -qE "^(containerd|dockerd|[^ ]*/containerd-shim[^ ]*)$" || continue
		tr '\0' '\n' 2>/dev/null <"$file" | grep -qF "$ENGINE_DIR" && echo "$pid"
	done
	return 0
}

# limit_of PID V1-CONTROLLER V1-FILE V2-FILE: what the kernel holds a process to.
limit_of() {
	local dir
	dir=$(cgroup_dir "$1" "$2")
	if [[ -n $dir && -e $dir/$3 && $dir != "/sys/fs/cgroup/$2" ]]; then
		cat "$dir/$3"
	else
		cat "$(cgroup_dir "$1")/$4"
	fi
}

# agent_policy [NAME]: installs a policy that leaves an agent what it needs to work.
agent_policy() {
	policy_install "${1:-agent}" <<-END
		name: ${1:-agent}
		filesystem:
		  scratch_paths: [/tmp]
		syscalls:
		  default_deny: false
		  deny: [mkdir, mkdirat, mount, ptrace]
		resources:
		  memory_limit_bytes: "256M"
		  pids_limit: 77
		capabilities:
		  default_drop: true
		network:
		  isolated: true
	END
}
