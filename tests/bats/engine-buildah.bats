#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Buildah with --isolation oci: it calls the runtime itself, without conmon, and polls `state` until
# the container has stopped.

load engine

setup_file() {
	engine_setup buildah script
	export BUILDAH_RUNTIME=$PURPLE_RUNTIME BUILDAH_ISOLATION=oci
	export CONTAINERS_STORAGE_CONF=$ENGINE_DIR/storage.conf CONTAINERS_CONF=$ENGINE_DIR/containers.conf
	cat >"$CONTAINERS_STORAGE_CONF" <<-END
		[storage]
		driver = "vfs"
		graphroot = "$ENGINE_DIR/storage"
		runroot = "$ENGINE_DIR/runroot"
	END
	# As in podman_conf: newer ones have defaults of their own.
	printf '[containers]\ndefault_ulimits = ["nofile=1024:20000", "nproc=1000:1000"]\n' >"$CONTAINERS_CONF"
	local empty
	empty=$(buildah_ from scratch)
	buildah_ copy -q "$empty" "$ENGINE_DIR/image" / >/dev/null
	buildah_ config --env PATH=/bin:/usr/bin --cmd sh "$empty"
	buildah_ commit -q "$empty" "$IMAGE" >/dev/null
	buildah_ rm "$empty" >/dev/null
}

teardown_file() {
	engine_teardown
}

setup() {
	purple_setup
	new_id
	WORK=$ID
	buildah_ from --name "$WORK" "$IMAGE" >/dev/null
	CONTAINERS=$(state_ids)
}

# No state or group of a container that Buildah ran is left: its names are buildah-buildahNUMBER.
teardown() {
	local left=0
	buildah_ rm "$WORK" >/dev/null || left=1
	assert_equal "$(state_ids)" "$CONTAINERS" || left=1
	purple_teardown || left=1
	return "$left"
}

state_ids() {
	find /run/purple -maxdepth 1 -name 'buildah-*'
}

buildah_() {
	in_engine timeout 150 buildah "$@"
}

# in_work OPTION... -- WORD...: `run`s it in the working container.
in_work() {
	local -a options=()
	while [[ $1 != -- ]]; do
		options+=("$1")
		shift
	done
	shift
	run --separate-stderr buildah_ run --network none "${options[@]}" "$WORK" -- "$@"
}

assert_stderr_contains() {
	if [[ $stderr != *"$1"* ]]; then
		printf 'stderr lacks "%s":\n%s\n' "$1" "$stderr"
		return 1
	fi
}

@test "buildah run passes on exit codes, streams and stdin" {
	local code
	for code in 0 4 255; do
		in_work -- sh -c "echo out; echo err >&2; exit $code"
		assert_status "$code"
		assert_output out
		assert_stderr_contains err
	done
	assert_equal "$(echo through | buildah_ run --network none "$WORK" cat)" through
}

@test "buildah run: the runtime's error is what the user reads" {
	in_work -- no-such-command
	assert_status 1
	assert_stderr_contains 'exec: "no-such-command": executable file not found in $PATH'
	in_work -- /etc/passwd
	assert_status 1
	assert_stderr_contains 'exec: "/etc/passwd": permission denied'
}

@test "buildah run -t has a terminal of the caller's size" {
	local -a ENGINE
	engine_namespaces
	run script -qec "stty rows 33 cols 111; ${ENGINE[*]} buildah run -t --network none $WORK sh -c '$SIZE_COMES tty'" /dev/null
	assert_status 0
	assert_contains "33 111"
	assert_contains /dev/pts/0
}

@test "what a command leaves is in the image, and volumes, users, capabilities are the ones asked for" {
	mkdir vol
	in_work -v "$PWD/vol:/vol" --user 0:7 --cap-drop CAP_CHOWN --env A=b --workingdir /tmp --hostname box -- \
		sh -c 'echo made >/made; touch /vol/x; id -g; echo $A; pwd; hostname; chown 1 /made || echo no'
	assert_status 0
	assert_output $'7\nb\n/tmp\nbox\nno'
	[[ -e vol/x ]]
	in_work --user 1000 -- sh -c 'cat /made; grep CapEff /proc/self/status'
	assert_output $'made\nCapEff:\t0000000000000000'
	in_work -- sh -c 'ls /sys/class/net; grep Seccomp: /proc/self/status; echo $$'
	assert_output $'lo\nSeccomp:\t2\n1'
}

# Buildah ends its container when it is terminated while it waits for it, not before.
@test "a terminated buildah leaves no container behind" {
	local pid
	local -a ENGINE
	SECONDS_ASLEEP=7$BASHPID
	cat >runtime <<-END
		#!/bin/sh
		case " \$* " in *" state "*) : >"$PWD/waits" ;; esac
		exec "$PURPLE_RUNTIME" "\$@"
	END
	chmod 0755 runtime
	engine_namespaces
	BUILDAH_RUNTIME=$PWD/runtime "${ENGINE[@]}" buildah run --network none "$WORK" -- sleep "$SECONDS_ASLEEP" 3>&- &
	pid=$!
	wait_for 10 test -e waits
	wait_for 10 pgrep -f "^/bin/sleep $SECONDS_ASLEEP\$"
	kill -TERM "$pid"
	wait "$pid" || true
	wait_for 10 no_sleep
}
no_sleep() {
	! pgrep -f "^/bin/sleep $SECONDS_ASLEEP\$" >/dev/null
}

@test "buildah bud and podman build run their steps under Purple" {
	cat >Dockerfile <<-END
		FROM $IMAGE
		ENV WHO=builder
		RUN echo made by \$WHO >/made && mkdir /dir && chown 1000 /dir
		USER 1000
		WORKDIR /dir
		RUN touch file && cat /made && id -u && sed -n 's/.*\/\(purple\)-.*/group \1/p' /proc/self/cgroup | head -1
	END
	run buildah_ bud --network none -t "$(test_prefix)" .
	assert_status 0
	assert_contains $'made by builder\n1000\n'
	run in_engine podman --runtime "$PURPLE_RUNTIME" build --isolation oci --network none --no-cache .
	assert_status 0
	assert_contains $'made by builder\n1000\n'
	printf 'FROM %s\nRUN exit 6\n' "$IMAGE" >Dockerfile
	run buildah_ bud --network none .
	assert_status 6
	buildah_ rmi "$(test_prefix)" >/dev/null
}

@test "the policy by --runtime-flag, and by the program's name" {
	agent_policy
	in_work --runtime-flag policy=agent -- sh -c 'mkdir /tmp/x; grep CapEff /proc/self/status; cat /made; echo x >/x'
	assert_output $'CapEff:\t0000000000000000'
	assert_stderr_contains "can't create directory '/tmp/x': Operation not permitted"
	assert_stderr_contains "/x: Read-only file system"
	ln -s "$PURPLE_RUNTIME" purple-runtime-agent
	in_work --runtime "$PWD/purple-runtime-agent" -- mkdir /tmp/x
	assert_status 1
	assert_stderr_contains "Operation not permitted"
	in_work --runtime-flag policy=none-such -- true
	assert_status 1
	assert_stderr_contains 'policy "none-such" is unknown'
}
