#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# SELinux labels, on a kernel that enforces them: tests/vm/run, with the types of container.cil. What
# is refused where there is no SELinux is in tests/bats/spec-attributes.bats.

load ../bats/helpers

CATEGORIES=s0:c1,c2
LABEL=system_u:system_r:container_t:$CATEGORIES
OTHER_LABEL=system_u:system_r:container_other_t:$CATEGORIES
FILES=system_u:object_r:container_file_t:$CATEGORIES

setup() {
	requires root busybox jq selinux
	assert_equal "$(getenforce)" Enforcing
	purple_setup
	make_bundle
	echo hidden >"$BUNDLE/rootfs/secret"
	chmod 0666 "$BUNDLE/rootfs/secret"
	chcon -R "$FILES" "$BUNDLE/rootfs"
	chcon -t host_secret_t -l s0 "$BUNDLE/rootfs/secret"
	edit_config '.process.selinuxLabel = $l | .linux.mountLabel = $f' --arg l "$LABEL" --arg f "$FILES"
}

teardown() {
	local runtime
	for runtime in runc crun; do
		[[ ! -d other/$ID-$runtime ]] || end_other "$runtime"
	done
	purple_teardown
}

# The kernel's context of a process, of a file.
label_of() { # PID
	tr -d '\0' <"/proc/$1/attr/current"
}
file_label() { # PATH
	stat -L -c %C "$1"
}

start_sleeper() {
	set_command sleep 1000
	create_container "$@"
	purple_rt start "$ID"
	PID=$(<pid)
	wait_for 5 grep -q '^sleep' "/proc/$PID/comm"
}

# refused [TEXT...]: create fails and says these, and nothing is left.
refused() {
	rm -f pid
	run purple_rt create --bundle "$BUNDLE" --pid-file pid "$ID"
	assert_status 1
	local text
	for text; do assert_contains "$text"; done
	[[ ! -e pid && ! -e $PURPLE_ROOT/$ID ]]
	assert_equal "$(list_traces "$ID")" ""
}

# What another runtime makes of the bundle: a container that runs `sleep`.
start_other() { # RUNTIME
	set_command sleep 1000
	# Debian's crun knows no later one.
	edit_config '.ociVersion = "1.0.2"'
	timeout -k 5 100 "$1" --root "$PWD/other" run --detach --bundle "$BUNDLE" --pid-file "$PWD/other.pid" "$ID-$1" \
		</dev/null >other.out 2>&1 3>&- || { cat other.out; return 1; }
	wait_for 5 grep -q '^sleep' "/proc/$(<other.pid)/comm"
}
end_other() { # RUNTIME
	timeout -k 5 100 "$1" --root "$PWD/other" delete --force "$ID-$1"
}

# --- processes ------------------------------------------------------------------------------------

@test "the container's processes and those of exec have the label; a container without has none" {
	set_command sh -c 'cat /proc/self/attr/current; sh -c "cat /proc/self/attr/current"'
	run purple_rt run --bundle "$BUNDLE" "$ID"
	assert_status 0
	assert_equal "$(tr -d '\0\n' <<<"$output")" "$LABEL$LABEL"
	start_sleeper
	assert_equal "$(label_of "$PID")" "$LABEL"
	assert_equal "$(ps -o label= -p "$PID")" "$LABEL"
	run purple_rt exec "$ID" cat /proc/self/attr/current
	assert_status 0
	assert_output "$LABEL"
	purple_rt delete --force "$ID"
	edit_config 'del(.process.selinuxLabel)'
	start_sleeper
	assert_equal "$(label_of "$PID")" "$(label_of $$)"
}

@test "exec's own label holds for its process alone" {
	start_sleeper
	jq '.process | .args = ["cat", "/proc/self/attr/current"] | .selinuxLabel = $l' \
		--arg l "$OTHER_LABEL" "$BUNDLE/config.json" >process
	run purple_rt exec --process process "$ID"
	assert_status 0
	assert_output "$OTHER_LABEL"
	assert_equal "$(label_of "$PID")" "$LABEL"
}

@test "with or without no_new_privs, capabilities, a user namespace, and on a nosuid root: the label is there" {
	local filter
	set_command cat /proc/self/attr/current
	for filter in '.process.noNewPrivileges = true' '.process.noNewPrivileges = false' \
		'.process.user.uid = 1000 | del(.process.capabilities)' \
		'.mounts += [{destination: "/bin", type: "bind", source: $bin, options: ["bind", "nosuid"]}]' \
		'.linux.namespaces += [{type: "user"}] | .linux.uidMappings = $map | .linux.gidMappings = $map'; do
		echo "with $filter"
		cp "$BUNDLE/config.json" saved
		edit_config "$filter" --arg bin "$BUNDLE/rootfs/bin" \
			--argjson map '[{"containerID": 0, "hostID": 0, "size": 65536}]'
		run purple_rt run --bundle "$BUNDLE" "$ID"
		assert_status 0
		assert_output "$LABEL"
		mv saved "$BUNDLE/config.json"
	done
}

# --- what the label is good for -------------------------------------------------------------------

@test "a file of another type cannot be read, though its mode allows it, by exec neither" {
	set_command cat /secret
	run purple_rt run --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "Permission denied"
	assert_lacks hidden
	start_sleeper
	run purple_rt exec "$ID" cat /secret
	assert_status 1
	assert_contains "Permission denied"
	purple_rt delete --force "$ID"
	edit_config 'del(.process.selinuxLabel)'
	set_command cat /secret
	run purple_rt run --bundle "$BUNDLE" "$ID"
	assert_status 0
	assert_output hidden
}

@test "categories keep containers of one type apart" {
	echo mine >"$BUNDLE/rootfs/mine"
	echo theirs >"$BUNDLE/rootfs/theirs"
	chcon "$FILES" "$BUNDLE/rootfs/mine"
	chcon -t container_file_t -l s0:c3,c4 "$BUNDLE/rootfs/theirs"
	set_command cat /mine /theirs
	run purple_rt run --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains mine
	assert_contains "can't open '/theirs': Permission denied"
}

@test "a domain that the runtime's may not change to ends in an error, and nothing is left" {
	edit_config '.process.selinuxLabel = "system_u:system_r:container_unreachable_t:s0"'
	set_command cat /proc/self/attr/current
	run purple_rt run --bundle "$BUNDLE" "$ID"
	((status != 0))
	assert_contains 'exec: "cat": permission denied'
	assert_lacks "system_r:container_unreachable_t"
	assert_equal "$(list_traces "$ID")" ""
}

# --- labels that are not ----------------------------------------------------------------------------

@test "a context that the policy does not know is refused by create and exec, and nothing is left" {
	local label
	for label in system_u:system_r:no_such_t:s0 system_u:system_r:container_t system_u:system_r:container_t:s0:c9999 \
		nonsense "$LABEL "; do
		echo "label '$label'"
		edit_config '.process.selinuxLabel = $l' --arg l "$label"
		# shellcheck disable=SC2016 # backquotes are meant
		refused "process.selinuxLabel '$label'" "policy has no such context" '`/proc/thread-self/attr/exec`'
	done
	edit_config '.process.selinuxLabel = $l' --arg l "$LABEL"
	for label in system_u:object_r:no_such_t:s0 container_file_t "$FILES,"; do
		echo "mount label '$label'"
		edit_config '.linux.mountLabel = $l' --arg l "$label"
		refused "linux.mountLabel '$label'" "policy has no such context"
	done
	edit_config '.linux.mountLabel = $l' --arg l "$FILES"
	start_sleeper
	jq '.process | .args = ["true"] | .selinuxLabel = "system_u:system_r:no_such_t:s0"' "$BUNDLE/config.json" >process
	run purple_rt exec --process process "$ID"
	((status != 0))
	assert_contains "process.selinuxLabel 'system_u:system_r:no_such_t:s0'"
	assert_contains "policy has no such context"
	assert_equal "$(container_status)" running
}

@test "what an image puts over /proc does not take the label in" {
	# CVE-2019-16884: a volume at /proc with an attr file of its own.
	mkdir -p volume/thread-self/attr volume/self/attr
	: >volume/thread-self/attr/exec
	: >volume/self/attr/exec
	chcon -R "$FILES" volume
	edit_config '.mounts |= map(select(.destination != "/proc"))
		| .mounts += [{destination: "/proc", type: "bind", source: $v, options: ["bind"]}]' \
		--arg v "$PWD/volume"
	set_command cat /secret
	run purple_rt run --bundle "$BUNDLE" "$ID"
	((status != 0))
	assert_lacks hidden
	[[ ! -s volume/thread-self/attr/exec && ! -s volume/self/attr/exec ]]
}

# --- files ------------------------------------------------------------------------------------------

# mount_labels PID: what a container's mounts, and what the runtime made in them, are labelled.
mount_labels() {
	local path
	for path in / /dev /dev/null /dev/ptmx /dev/pts /dev/pts/ptmx /dev/shm /dev/mqueue /run /proc /sys /sys/fs/cgroup \
		/proc/acpi /proc/scsi /sys/firmware /masked; do
		[[ ! -e /proc/$1/root$path ]] || echo "$path $(file_label "/proc/$1/root$path")"
	done
}

@test "mounts have the label of linux.mountLabel, as under runc and crun" {
	local runtime path
	mkdir "$BUNDLE/rootfs/masked" "$BUNDLE/rootfs/run"
	chcon -R "$FILES" "$BUNDLE/rootfs/masked" "$BUNDLE/rootfs/run"
	edit_config '.mounts += [{destination: "/run", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755"]}]
		| .linux.maskedPaths += ["/masked", "/proc/scsi", "/sys/firmware"]'
	start_sleeper
	mount_labels "$PID" >labels.purple
	cat labels.purple
	for path in / /dev /dev/null /dev/ptmx /dev/pts /dev/pts/ptmx /dev/shm /dev/mqueue /run /masked; do
		grep -qx "$path $FILES" labels.purple
	done
	grep -qx "/proc system_u:object_r:proc_t:s0" labels.purple
	grep -qx "/sys system_u:object_r:sysfs_t:s0" labels.purple
	# A masked file is the host's /dev/null, not the container's as under the other two: no container
	# can have put something else there.
	assert_equal "$(file_label "/proc/$PID/root/proc/kcore")" "$(file_label /dev/null)"
	purple_rt exec "$ID" sh -c 'echo word >/dev/shm/file && cat /dev/shm/file && echo >/dev/null && ls /dev/mqueue /masked'
	assert_equal "$(file_label "/proc/$PID/root/dev/shm/file")" "$FILES"
	purple_rt delete --force "$ID"
	for runtime in runc crun; do
		start_other "$runtime"
		mount_labels "$(<other.pid)" >"labels.$runtime"
		end_other "$runtime"
		diff "labels.$runtime" labels.purple
	done
}

@test "a read-only mqueue and a tmpfs that copies up get the label too" {
	mkdir "$BUNDLE/rootfs/data"
	echo word >"$BUNDLE/rootfs/data/file"
	chcon -R "$FILES" "$BUNDLE/rootfs/data"
	chcon -t container_ro_file_t "$BUNDLE/rootfs/data/file"
	edit_config '(.mounts[] | select(.type == "mqueue") | .options) += ["ro"]
		| .mounts += [{destination: "/data", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup"]}]'
	start_sleeper
	assert_equal "$(file_label "/proc/$PID/root/dev/mqueue")" "$FILES"
	assert_equal "$(file_label "/proc/$PID/root/data/file")" "$FILES"
	run purple_rt exec "$ID" sh -c 'cat /data/file; : >/dev/mqueue/queue'
	assert_contains word
	assert_contains "Read-only file system"
}

@test "a mount's own context is taken, with its comma; a second one is an error of the kernel's" {
	edit_config 'del(.linux.mountLabel)
		| .mounts += [{destination: "/data", type: "tmpfs", source: "tmpfs",
			options: ["size=64k", "context=\"\($l)\""]}]' --arg l "$FILES"
	start_sleeper
	assert_equal "$(file_label "/proc/$PID/root/data")" "$FILES"
	[[ $(file_label "/proc/$PID/root/dev/shm") != *container_file_t* ]]
	purple_rt delete --force "$ID"
	edit_config '.linux.mountLabel = $l' --arg l "$FILES"
	refused "/data" "context="
}

@test "the terminal is the container's to use, and is labelled so" {
	edit_config '.process.terminal = true'
	set_command sh -c 'tty; echo to the console >/dev/console; sleep 1000'
	script -qec "'$PURPLE_RUNTIME' --root '$PURPLE_ROOT' run --pid-file '$PWD/pid' --bundle '$BUNDLE' '$ID'" typescript \
		</dev/null >terminal 2>&1 3>&- &
	local job=$!
	wait_for 20 grep -q 'to the console' terminal
	PID=$(<pid)
	assert_equal "$(label_of "$PID")" "$LABEL"
	assert_equal "$(file_label "/proc/$PID/root/dev/console")" "$FILES"
	assert_equal "$(file_label "/proc/$PID/root/dev/pts/0")" "$FILES"
	purple_rt kill "$ID" KILL
	wait "$job" || true
	# After an echo of the end of our input.
	grep -q '/dev/pts/0' terminal
}

# --- keys -------------------------------------------------------------------------------------------

# key_label NAME: the context of the session keyring _ses.NAME...
key_label() {
	local key
	key=$(awk -v name="_ses.$1" '$8 == "keyring" && index($9, name) == 1 { print $1; exit }' /proc/keys)
	[[ -n $key ]] || { echo "no keyring _ses.$1"; return 1; }
	keyctl security "0x$key" | tr -d '\0'
}

@test "the session keyring has the label of the process, of exec's too" {
	start_sleeper
	assert_equal "$(key_label "$ID")" "$LABEL"
	purple_rt delete --force "$ID"
	start_other runc
	assert_equal "$(key_label "$ID-runc")" "$LABEL"
	end_other runc
	edit_config 'del(.process.selinuxLabel)'
	new_id
	start_sleeper
	assert_equal "$(key_label "$ID")" "$(label_of $$)"
}

# --- hooks ------------------------------------------------------------------------------------------

@test "hooks of the host run as the runtime does" {
	cat >hook <<-'EOF'
		#!/bin/sh
		tr -d '\0' </proc/self/attr/current >"$1"
	EOF
	chmod +x hook
	edit_config '.hooks = ([["prestart", "createRuntime", "createContainer", "poststart", "poststop"][]
		| {key: ., value: [{path: "\($d)/hook", args: ["hook", "\($d)/ran-\(.)"]}]}] | from_entries)' --arg d "$PWD"
	set_command true
	run purple_rt run --bundle "$BUNDLE" "$ID"
	assert_status 0
	local hook
	for hook in prestart createRuntime createContainer poststart poststop; do
		assert_equal "$(<"ran-$hook")" "$(label_of $$)"
	done
}

# --- Podman -----------------------------------------------------------------------------------------

use_podman() {
	podman_setup
	[[ $(podman_ info --format '{{.Host.Security.SELinuxEnabled}}') == true ]]
}

@test "Podman's containers have a label of their own each, or the one that was asked for" {
	use_podman
	local a b
	a=$(podman_ run --rm localhost/busybox cat /proc/self/attr/current | tr -d '\0')
	b=$(podman_ run --rm localhost/busybox cat /proc/self/attr/current | tr -d '\0')
	[[ $a == system_u:system_r:container_t:s0:c*,c* && $b == system_u:system_r:container_t:s0:c*,c* && $a != "$b" ]]
	run podman_ run --rm --security-opt label=type:container_other_t --security-opt label=level:s0:c5,c6 \
		localhost/busybox cat /proc/self/attr/current
	assert_status 0
	assert_output system_u:system_r:container_other_t:s0:c5,c6
	run podman_ run --rm --security-opt label=disable localhost/busybox cat /proc/self/attr/current
	assert_status 0
	assert_output "$(label_of $$)"
	run podman_ run --rm --security-opt label=type:no_such_t localhost/busybox true
	((status != 0))
	# Podman's own words for an error with this path.
	# shellcheck disable=SC2016 # backquotes are meant
	assert_contains '`/proc/thread-self/attr/exec`: OCI runtime error: unable to assign security attribute'
}

@test "Podman: volumes are read when they are relabelled, exec is confined, files and mounts carry the label" {
	use_podman
	mkdir volume
	echo word >volume/file
	chcon -R -t host_secret_t volume
	run podman_ run --rm -v "$PWD/volume:/volume" localhost/busybox cat /volume/file
	assert_status 1
	assert_contains "Permission denied"
	run podman_ run --rm -v "$PWD/volume:/volume:Z" localhost/busybox cat /volume/file
	assert_status 0
	assert_output word
	podman_ run -d --name "$ID" --tmpfs /data -v "$PWD/volume:/volume:Z" localhost/busybox sleep 1000
	local pid level
	pid=$(podman_ inspect --format '{{.State.Pid}}' "$ID")
	level=$(label_of "$pid" | cut -d : -f 4-)
	run podman_ exec "$ID" sh -c 'cat /proc/self/attr/current; echo; cat /volume/file; echo new >/data/new && cat /data/new'
	assert_status 0
	assert_output "system_u:system_r:container_t:$level"$'\nword\nnew'
	local path
	# The image's own files have no categories in Podman's storage of this kind.
	for path in /dev /dev/shm /dev/mqueue /data /data/new /volume/file; do
		echo "$path"
		assert_equal "$(file_label "/proc/$pid/root$path")" "system_u:object_r:container_file_t:$level"
	done
	chcon -t host_secret_t volume/file
	run podman_ exec "$ID" cat /volume/file
	assert_status 1
	assert_contains "Permission denied"
}
