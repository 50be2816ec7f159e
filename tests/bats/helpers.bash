# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What all bats files share; a file begins with `load helpers`. tests/run sets
#   PURPLE_RUNTIME, PURPLE   the programs under test
#   PURPLE_TEST_DIR          a folder for the run, readable by every user
#   PURPLE_SRCDIR            the source tree
#   PURPLE_SANITIZED         not empty: built with ASan and UBSan
#   PURPLE_PRIVATE_ETC       set: /etc/purple, /usr/share/purple and /run/purple are the run's own
#
# A test makes a bundle (make_bundle), names its containers with new_id, drives the runtime with
# `purple_rt` or Podman with `podman_`, and needs no clean-up: teardown deletes what is left and
# fails the test when deleting does not remove every group, mount, process and state file.

bats_require_minimum_version 1.5.0

: "${PURPLE_RUNTIME:?run the tests with tests/run}" "${PURPLE_TEST_DIR:?run the tests with tests/run}"

# Skips the test unless the machine has all of these; the reason goes to the report.
requires() {
	local need
	for need; do
		has "$need" || skip "needs ${missing_reason:?}"
	done
}

# Whether the machine has one thing; sets missing_reason.
has() {
	local unified=/sys/fs/cgroup/unified
	[[ -d $unified ]] || unified=/sys/fs/cgroup
	missing_reason=$1
	case $1 in
	root) ((EUID == 0)) ;;
	private_etc)
		missing_reason="root, for a private /etc/purple"
		[[ -n ${PURPLE_PRIVATE_ETC:-} ]]
		;;
	cgroup_v1)
		missing_reason="cgroup v1 controllers"
		[[ -e /sys/fs/cgroup/memory/memory.limit_in_bytes || -e /sys/fs/cgroup/memory/cgroup.procs ]]
		;;
	cgroup_v2)
		missing_reason="cgroup v2 with controllers"
		grep -qw memory "$unified/cgroup.controllers" 2>/dev/null
		;;
	cgroup_v2_tree)
		missing_reason="a cgroup v2 mount"
		[[ -e $unified/cgroup.procs ]]
		;;
	userns)
		missing_reason="user namespaces"
		unshare --user --map-root-user true 2>/dev/null
		;;
	ordinary_user)
		missing_reason="user namespaces for ordinary users"
		((EUID == 0)) && setpriv --reuid=65534 --regid=65534 --clear-groups \
			unshare --user --map-root-user true 2>/dev/null
		;;
	subids)
		missing_reason="newuidmap"
		command -v newuidmap >/dev/null
		;;
	seccomp)
		grep -q '^Seccomp:' /proc/self/status
		;;
	apparmor)
		missing_reason="an LSM: AppArmor"
		[[ $(cat /sys/module/apparmor/parameters/enabled 2>/dev/null) == Y ]]
		;;
	selinux)
		missing_reason="an LSM: SELinux"
		[[ -d /sys/fs/selinux ]]
		;;
	no_sanitizer)
		missing_reason="a build without sanitizers"
		[[ -z ${PURPLE_SANITIZED:-} ]]
		;;
	forwarder)
		missing_reason="a build with the forwarder of names"
		[[ -x ${PURPLE_DNS_START:-} ]]
		;;
	gateway)
		missing_reason="a build with the LLM gateway"
		[[ -x ${PURPLE_LIBEXEC:-}/purple-gateway ]]
		;;
	ledger_fill)
		missing_reason="a build with the tests' own programs"
		[[ -x ${PURPLE_LEDGER_FILL:-} ]]
		;;
	log_record)
		missing_reason="a build with the tests' own programs"
		[[ -x ${PURPLE_LOG_RECORD:-} ]]
		;;
	timens)
		missing_reason="time namespaces"
		[[ -e /proc/self/ns/time ]]
		;;
	idmap)
		missing_reason="id-mapped mounts (Linux 5.12)"
		printf '5.12\n%s\n' "$(uname -r)" | sort -CV
		;;
	criu)
		missing_reason="CRIU that works on this kernel"
		criu check >/dev/null 2>&1
		;;
	podman | crun | runc | jq | busybox | conmon | python3 | script | strace | buildah | capsh | man | slirp4netns | curl | catatonit | \
		containerd | ctr | dockerd | ip | dig | dnsmasq | musl-gcc | nginx | openssl | bpftool | node | npm)
		missing_reason="the program $1"
		command -v "$1" >/dev/null
		;;
	*)
		echo "has: nobody knows what '$1' is" >&2
		exit 1
		;;
	esac
}

# --- names and places -----------------------------------------------------------------------------

# Every id of a test has this prefix, so that what it leaves behind can be found.
test_prefix() {
	local file=${BATS_TEST_FILENAME##*/}
	echo "pt-${file%.bats}-$BATS_TEST_NUMBER-${BATS_ROOT_PID:-$PPID}"
}

# new_id [WORD]: sets ID to a container id that no other test uses.
new_id() {
	_ids=$((${_ids:-0} + 1))
	ID=$(test_prefix)-${1:-$_ids}
}

# Called by setup(): the state folder of the test's containers, and an id.
purple_setup() {
	PURPLE_ROOT=$BATS_TEST_TMPDIR/root
	chmod 0711 "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR"
	new_id
	cd "$BATS_TEST_TMPDIR" || return
}

setup() {
	purple_setup
}

teardown() {
	purple_teardown
}

purple_() {
	"$PURPLE" --root "$PURPLE_ROOT" "$@"
}

# The runtime under test with the test's own state folder. Use with `run` where it may fail.
purple_rt() {
	"$PURPLE_RUNTIME" --root "$PURPLE_ROOT" "$@"
}

# --- bundles --------------------------------------------------------------------------------------

# A root file system with busybox, in the folder given.
make_rootfs() {
	local template=$PURPLE_TEST_DIR/rootfs
	(
		flock 9
		[[ -d $template ]] && exit
		mkdir -p "$template.new"/{bin,dev,etc,home,proc,root,sys,tmp,usr/bin,var/tmp}
		cp "$(command -v busybox)" "$template.new/bin/busybox"
		# Run in the host's place: --install -s would link to the host's path.
		busybox --list | grep -vx busybox | while read -r applet; do
			ln -s busybox "$template.new/bin/$applet"
		done
		printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' \
			>"$template.new/etc/passwd"
		printf 'root:x:0:\nnogroup:x:65534:\n' >"$template.new/etc/group"
		chmod 1777 "$template.new/tmp" "$template.new/var/tmp"
		mv "$template.new" "$template"
	) 9>"$PURPLE_TEST_DIR/rootfs.lock"
	cp -a "$template" "$1"
}

# make_bundle [DIR [JQ-FILTER]]: a bundle that runs `sh` without a terminal; the filter edits its
# config.json. Sets BUNDLE. The config is what `purple-runtime spec` writes.
make_bundle() {
	BUNDLE=${1:-$BATS_TEST_TMPDIR/bundle}
	mkdir -p "$BUNDLE"
	[[ -d $BUNDLE/rootfs ]] || make_rootfs "$BUNDLE/rootfs"
	(cd "$BUNDLE" && rm -f config.json && "$PURPLE_RUNTIME" spec)
	edit_config '.process.terminal = false | .process.args = ["sh"]'
	[[ -z ${2:-} ]] || edit_config "$2"
}

# edit_config JQ-FILTER [JQ-ARG...]: edits config.json of BUNDLE.
edit_config() {
	local filter=$1
	shift
	jq "$filter" "$@" <"$BUNDLE/config.json" >"$BUNDLE/config.new"
	mv "$BUNDLE/config.new" "$BUNDLE/config.json"
}

# set_command WORD...: process.args. set_script TEXT: runs it with sh -c.
set_command() {
	edit_config '.process.args = $ARGS.positional' --args -- "$@"
}
set_script() {
	set_command sh -c "$1"
}

# run_script TEXT: `run`s a script in a fresh container over BUNDLE, as bats' run: sets status, output.
run_script() {
	set_script "$1"
	new_id
	run purple_rt run --bundle "$BUNDLE" "$ID"
}

# create_container [OPTION...]: creates ID over BUNDLE with stdio in files of the test folder (out,
# err): a created container keeps its stdio open, which would hang `run`.
create_container() {
	purple_rt create --bundle "$BUNDLE" --pid-file "$BATS_TEST_TMPDIR/pid" "$@" "$ID" \
		</dev/null >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" || {
		local status=$?
		cat "$BATS_TEST_TMPDIR/err"
		return "$status"
	}
}

# container_status [ID]: the word that `state` says.
container_status() {
	purple_rt state "${1:-$ID}" | jq -r .status
}

# assert_schema FILE...: each line is an event as docs/events.schema.json has it.
assert_schema() {
	local python=python3 file
	python3 -c 'import jsonschema' 2>/dev/null || python=/usr/bin/python3
	for file; do
		run "$python" -W ignore "$PURPLE_SRCDIR/tests/unit/validate_lines.py" "$PURPLE_SRCDIR/docs/events.schema.json" "$file"
		assert_status 0
	done
}

# host_files [DIR]...: YAML of a policy's files: programs of the host run, and have /tmp.
host_files() {
	local dir
	printf 'filesystem:\n  scratch_paths: [/tmp]\n  immutable_paths:\n'
	for dir in /usr /bin /sbin /lib /lib64 "$@"; do
		[[ ! -d $dir ]] || printf '    - host_path: %s\n' "$dir"
	done
}

# A loop for a shell in a container, until its terminal has a size, which it prints.
SIZE_COMES='i=0; until stty size 2>/dev/null | grep -v ^0 || [ $((i += 1)) -gt 300 ]; do sleep 0.1; done;'
# And one that talks with the server of its own that it has begun at port 9999, for which `yes` is echoed.
ASKS_ITSELF='(nc -l -p 9999 -e echo yes & i=0
	until nc 127.0.0.1 9999 2>/dev/null || [ $((i += 1)) -gt 100 ]; do sleep 0.1; done)'

# wait_for SECONDS COMMAND...: until the command succeeds. PURPLE_TEST_SLOWNESS (4) is how many times
# slower than an idle one the machine may be.
wait_for() {
	local end=$((SECONDS + $1 * ${PURPLE_TEST_SLOWNESS:-4} + 1))
	shift
	until "$@"; do
		if ((SECONDS >= end)); then
			echo "not within the time: $*"
			return 1
		fi
		sleep 0.05
	done
}

is_status() {
	[[ $(container_status "$2") == "$1" ]]
}

# wait_status STATUS [ID]
wait_status() {
	wait_for 10 is_status "$1" "${2:-$ID}"
}

# Where a process is in a v1 hierarchy or (no argument) in the v2 one, as a folder.
cgroup_dir() { # PID [CONTROLLER]
	local path
	if [[ -n ${2:-} ]]; then
		path=$(awk -F: -v c="$2" '{ n = split($2, a, ","); for (i = 1; i <= n; i++) if (a[i] == c) print $3 }' \
			"/proc/$1/cgroup")
		echo "/sys/fs/cgroup/$2$path"
	else
		path=$(sed -n 's/^0:://p' "/proc/$1/cgroup")
		if [[ -d /sys/fs/cgroup/unified ]]; then
			echo "/sys/fs/cgroup/unified$path"
		else
			echo "/sys/fs/cgroup$path"
		fi
	fi
}

# --- policies -------------------------------------------------------------------------------------

# policy_install NAME <YAML: into /etc/purple/policies of the run. The file is gone after the test.
policy_install() {
	requires private_etc
	cat >"/etc/purple/policies/$1.yaml"
	chmod 0644 "/etc/purple/policies/$1.yaml"
	_policies+=("/etc/purple/policies/$1.yaml")
}

# settings_install <YAML: /etc/purple/purple.yaml of the run, until the test ends.
settings_install() {
	requires private_etc
	cat >/etc/purple/purple.yaml
	_policies+=(/etc/purple/purple.yaml)
}

# --- other users ----------------------------------------------------------------------------------

# as_user COMMAND...: as an ordinary user (nobody, uid 65534) with HOME and XDG_RUNTIME_DIR of its own.
as_user() {
	local home=$BATS_TEST_TMPDIR/user
	if [[ ! -d $home ]]; then
		mkdir -p "$home/run" "$home/tmp"
		chmod 0700 "$home/run"
		chown -R 65534:65534 "$home"
	fi
	env -i PATH="$PATH" HOME="$home" TMPDIR="$home/tmp" XDG_RUNTIME_DIR="$home/run" \
		setpriv --reuid=65534 --regid=65534 --clear-groups -- "$@"
}

# --- Podman ---------------------------------------------------------------------------------------

# podman_setup: call it in setup_file. Storage, settings and an image `busybox` that belong to the
# file; the first call makes them. Containers have no network unless a test asks for one.
podman_setup() {
	requires root podman conmon busybox jq
	# Short: conmon's sockets are in it, and their paths have 107 bytes.
	PODMAN_DIR=$PURPLE_TEST_DIR/p$(cksum <<<"$BATS_TEST_FILENAME" | cut -c 1-5)
	export PODMAN_DIR CONTAINERS_CONF=$PODMAN_DIR/containers.conf
	export CONTAINERS_STORAGE_CONF=$PODMAN_DIR/storage.conf
	# Podman 5 warns at each call on such a host.
	export PODMAN_IGNORE_CGROUPSV1_WARNING=1
	(
		flock 9
		[[ -e $PODMAN_DIR/ready ]] && exit
		mkdir -p "$PODMAN_DIR"/{storage,runroot,tmp,hooks,crun}
		podman_conf "$PODMAN_DIR" "$PODMAN_DIR/storage" "$PODMAN_DIR/runroot" <<-END
			lock_type = "file"
			tmp_dir = "$PODMAN_DIR/tmp"
			hooks_dir = ["$PODMAN_DIR/hooks"]
			[network]
			network_config_dir = "$PODMAN_DIR/networks"
		END
		podman_image "$PODMAN_DIR"
		: >"$PODMAN_DIR/ready"
	) 9>"$PODMAN_DIR.lock"
	[[ -e $PODMAN_DIR/ready ]]
}

# podman_conf DIR GRAPHROOT RUNROOT <MORE: storage.conf and containers.conf in DIR; MORE goes on
# where [engine] ends.
podman_conf() {
	local more
	more=$(cat)
	cat >"$1/storage.conf" <<-END
		[storage]
		driver = "vfs"
		graphroot = "$2"
		runroot = "$3"
	END
	# The default limits are above what a machine without CAP_SYS_RESOURCE may set.
	cat >"$1/containers.conf" <<-END
		[containers]
		netns = "none"
		log_driver = "k8s-file"
		default_ulimits = ["nofile=1024:20000", "nproc=1000:1000"]
		[engine]
		runtime = "purple"
		cgroup_manager = "cgroupfs"
		events_logger = "file"
		runtime_supports_json = ["purple", "purple-runtime", "crun", "runc"]
		runtime_supports_nocgroup = ["purple", "purple-runtime", "crun"]
		$more
		[engine.runtimes]
		purple = ["$PURPLE_RUNTIME"]
	END
}

# podman_image DIR: the image `busybox`, of a root file system in DIR.
podman_image() {
	make_rootfs "$1/image"
	tar -C "$1/image" -c . | podman_ import --change 'CMD ["sh"]' \
		--change 'ENV=PATH=/bin:/usr/bin' - localhost/busybox >/dev/null
}

# podman_ ARG...: Podman as set up above. Name containers "$ID".
podman_() {
	podman "$@"
}

# --- clean-up -------------------------------------------------------------------------------------

# Deletes the test's containers and says what is left of them; fails when anything is.
purple_teardown() {
	local dir id left=0 prefix
	prefix=$(test_prefix)
	((${#_policies[@]} == 0)) || rm -f "${_policies[@]}"
	_policies=()

	if [[ -n ${PODMAN_DIR:-} ]]; then
		for id in $(podman ps -aq --filter "name=$prefix" 2>/dev/null); do
			podman rm -f -t 0 "$id" >/dev/null || left=1
		done
	fi
	for dir in "${PURPLE_ROOT:-}" /run/purple; do
		[[ -d $dir ]] || continue
		for id in "$dir"/*/; do
			id=$(basename "$id")
			[[ $id != '*' ]] || continue
			[[ $dir == "$PURPLE_ROOT" || $id == "$prefix"* ]] || continue
			"$PURPLE_RUNTIME" --root "$dir" delete --force "$id" || left=1
		done
	done
	no_traces "$prefix" || left=1
	cd / || return
	return "$left"
}

# no_traces PREFIX: no state, group, mount or process of containers with this prefix, or of the
# test's folder, is left. Groups go when their last process is reaped: given a moment.
no_traces() {
	local try traces
	for ((try = 0; try < 40 * ${PURPLE_TEST_SLOWNESS:-4}; try++)); do
		traces=$(list_traces "$1")
		[[ -n $traces ]] || return 0
		sleep 0.05
	done
	echo "left behind after the test:"
	echo "$traces"
	return 1
}

list_traces() {
	find "${PURPLE_ROOT:-/nonexistent}" -mindepth 1 -maxdepth 1 2>/dev/null | sed 's/^/state: /'
	find /run/purple -mindepth 1 -maxdepth 1 -name "$1*" 2>/dev/null | sed 's/^/state: /'
	find /sys/fs/cgroup -type d -name "*$1*" 2>/dev/null | sed 's/^/cgroup: /'
	# A mount on the test's folder, but not those that a test made beside its containers and
	# registered with keep_mount.
	awk -v dir="$BATS_TEST_TMPDIR/" -v keep="${_kept_mounts:-}" '
		index($5, dir) == 1 && index(keep, "|" $5 "|") == 0 { print "mount: " $5 }' /proc/self/mountinfo
	# The runtime runs from a mount of its own: /proc/PID/exe does not name it.
	local file name pid
	for file in /proc/[0-9]*/cmdline; do
		IFS= read -r -d '' name 2>/dev/null <"$file" || continue
		[[ $name == "$PURPLE_RUNTIME" || $name == "${PURPLE:-}" ]] || continue
		pid=${file#/proc/} pid=${pid%/cmdline}
		if tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF -e "$BATS_TEST_TMPDIR" -e "$1"; then
			echo "process: $pid $(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline")"
		fi
	done
}

# keep_mount PATH: a mount that the test made itself and takes away itself, after the containers.
keep_mount() {
	_kept_mounts="${_kept_mounts:-|}$1|"
}

# --- assertions -----------------------------------------------------------------------------------

# Each prints what it saw when it fails.
assert_status() {
	if ((status != $1)); then
		echo "exit status is $status, not $1; output:"
		echo "$output"
		return 1
	fi
}

assert_output() { # TEXT: the whole output
	if [[ $output != "$1" ]]; then
		printf 'output is not as expected:\n--- expected\n%s\n--- got\n%s\n' "$1" "$output"
		return 1
	fi
}

assert_contains() { # TEXT: somewhere in the output
	if [[ $output != *"$1"* ]]; then
		printf 'output lacks "%s":\n%s\n' "$1" "$output"
		return 1
	fi
}

assert_lacks() { # TEXT: nowhere in the output
	if [[ $output == *"$1"* ]]; then
		printf 'output has "%s":\n%s\n' "$1" "$output"
		return 1
	fi
}

assert_equal() { # GOT EXPECTED
	if [[ $1 != "$2" ]]; then
		printf 'got "%s", expected "%s"\n' "$1" "$2"
		return 1
	fi
}
