#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Hooks: every stage, in its place and order, with what it is given, and what its failure does.

load helpers

setup() {
	requires root busybox jq
	purple_setup
	make_bundle
	# One program for all: notes its stage, the state on stdin and where it runs. It is in the
	# container too, for startContainer.
	cat >"$BUNDLE/rootfs/bin/hook" <<-'END'
		#!/bin/sh
		state=$(cat)
		out=${DIR:-/notes}
		echo "$1" >>$out/order
		echo "$state" >$out/$1.json
		pwd >$out/$1.cwd
		readlink /proc/self/ns/mnt >$out/$1.mnt
		readlink /proc/self/ns/net >$out/$1.net
		env | sort >$out/$1.env
		ls /proc/self/fd | tr '\n' ' ' >$out/$1.fds
		hostname >$out/$1.host
		exit ${EXIT:-0}
	END
	chmod 0755 "$BUNDLE/rootfs/bin/hook"
	cp "$BUNDLE/rootfs/bin/hook" hook
	mkdir notes
	edit_config '.mounts += [{destination: "/notes", source: ($d + "/notes"), options: ["bind"]}]' --arg d "$PWD"
}

# hook STAGE [FILTER]: adds the program above for a stage; the filter edits the entry.
hook() {
	local path=$PWD/hook env="DIR=$PWD/notes"
	[[ $1 != startContainer ]] || path=/bin/hook env=X=1
	edit_config ".hooks[\$s] += [{path: \$p, args: [\"hook\", \$s], env: [\$e, \"PATH=/bin:/usr/bin\"]} | (${2:-.})]" \
		--arg s "$1" --arg p "$path" --arg e "$env"
}

stages=(prestart createRuntime createContainer startContainer poststart poststop)

@test "all stages run, in their order, each at its command" {
	local stage
	for stage in "${stages[@]}"; do hook "$stage"; done
	set_command sleep 1000
	create_container
	assert_equal "$(tr '\n' ' ' <notes/order)" "prestart createRuntime createContainer "
	purple_rt start "$ID"
	assert_equal "$(tr '\n' ' ' <notes/order)" "prestart createRuntime createContainer startContainer poststart "
	purple_rt delete --force "$ID"
	assert_equal "$(tr '\n' ' ' <notes/order)" \
		"prestart createRuntime createContainer startContainer poststart poststop "
}

@test "several hooks of a stage run in the order of the list" {
	local n
	for n in 1 2 3; do
		hook prestart ".args = [\"hook\", \"p$n\"]"
		hook poststop ".args = [\"hook\", \"s$n\"]"
	done
	set_command true
	purple_rt run --bundle "$BUNDLE" "$ID"
	assert_equal "$(tr '\n' ' ' <notes/order)" "p1 p2 p3 s1 s2 s3 "
}

@test "each hook reads the state on stdin, with the status of its stage" {
	local stage
	edit_config '.annotations = {"org.example": "1"}'
	for stage in "${stages[@]}"; do hook "$stage"; done
	set_command sleep 1000
	create_container
	purple_rt start "$ID"
	purple_rt delete --force "$ID"
	for stage in "${stages[@]}"; do
		jq -e --arg id "$ID" --arg b "$BUNDLE" '.id == $id and .bundle == $b
			and (.ociVersion | startswith("1.")) and .annotations["org.example"] == "1"' "notes/$stage.json"
	done
	for stage in prestart createRuntime createContainer; do
		assert_equal "$stage $(jq -r '.status, .pid' "notes/$stage.json" | tr '\n' ' ')" "$stage creating $(cat pid) "
	done
	assert_equal "$(jq -r '.status, .pid' notes/startContainer.json | tr '\n' ' ')" "created $(cat pid) "
	assert_equal "$(jq -r '.status, .pid' notes/poststart.json | tr '\n' ' ')" "running $(cat pid) "
	assert_equal "$(jq -r '.status' notes/poststop.json)" stopped
	assert_equal "$(jq -r '.pid // 0' notes/poststop.json)" 0
}

@test "each stage is in its namespaces: the host's, or the container's" {
	local stage
	for stage in "${stages[@]}"; do hook "$stage"; done
	set_command sleep 1000
	create_container
	purple_rt start "$ID"
	local mnt
	mnt=$(readlink "/proc/$(cat pid)/ns/mnt")
	purple_rt delete --force "$ID"
	for stage in prestart createRuntime poststart poststop; do
		assert_equal "$stage $(cat "notes/$stage.mnt")" "$stage $(readlink /proc/self/ns/mnt)"
		assert_equal "$stage $(cat "notes/$stage.host")" "$stage $(hostname)"
	done
	for stage in createContainer startContainer; do
		assert_equal "$stage $(cat "notes/$stage.mnt")" "$stage $mnt"
		assert_equal "$stage $(cat "notes/$stage.host")" "$stage purple"
	done
}

@test "the environment is that of the hook alone, the directory the bundle, and no descriptor leaks" {
	local stage
	local leak
	exec {leak}>leak
	for stage in "${stages[@]}"; do hook "$stage"; done
	set_command sleep 1000
	SECRET=1 create_container
	SECRET=1 purple_rt start "$ID"
	SECRET=1 purple_rt delete --force "$ID"
	exec {leak}>&-
	for stage in "${stages[@]}"; do
		assert_equal "$(grep -c SECRET "notes/$stage.env")" 0
		grep -q '^PATH=/bin:/usr/bin$' "notes/$stage.env"
		# A shell and ls: three streams and the directory.
		assert_equal "$stage $(cat "notes/$stage.fds")" "$stage 0 1 2 3 "
	done
	for stage in prestart createRuntime createContainer poststart poststop; do
		assert_equal "$stage $(cat "notes/$stage.cwd")" "$stage $BUNDLE"
	done
}

@test "args are the whole argv; without them it is the path" {
	cp "$(command -v busybox)" tool
	edit_config '.hooks.createRuntime = [{path: ($p + "/tool"), args: ["sh", "-c", "echo \"$0 $1\" >\($p)/argv", "zero", "one two"]}]' \
		--arg p "$PWD"
	cat >bare <<-END
		#!/bin/sh
		echo "\$# \$0" >$PWD/bare.out
	END
	chmod 0755 bare
	edit_config '.hooks.prestart = [{path: ($p + "/bare")}]' --arg p "$PWD"
	set_command true
	purple_rt run --bundle "$BUNDLE" "$ID"
	assert_equal "$(cat argv)" "zero one two"
	assert_equal "$(cat bare.out)" "0 $PWD/bare"
}

@test "createRuntime hooks find the container's network by the pid, before the root is entered" {
	cat >net <<-END
		#!/bin/sh
		pid=\$(jq .pid)
		readlink /proc/\$pid/ns/net >$PWD/net.out
		nsenter -t \$pid -n ip link show lo >$PWD/lo.out 2>&1 || ip link >$PWD/lo.out 2>&1
		readlink /proc/\$pid/root >$PWD/root.out
	END
	chmod 0755 net
	edit_config '.hooks.prestart = [{path: ($p + "/net"), env: ["PATH=" + $e]}]' --arg p "$PWD" --arg e "$PATH"
	set_command sleep 1000
	create_container
	assert_equal "$(cat net.out)" "$(readlink "/proc/$(cat pid)/ns/net")"
	[[ $(cat net.out) != $(readlink /proc/self/ns/net) ]]
	assert_equal "$(cat root.out)" /
}

@test "a hook of create that fails makes create fail with its stderr, and everything is undone" {
	local stage
	for stage in prestart createRuntime createContainer; do
		make_bundle
		edit_config '.hooks[$s] = [{path: "/bin/sh", args: ["sh", "-c", "echo because of this >&2; exit 3"]}]' --arg s "$stage"
		edit_config '.hooks.poststop = [{path: "/bin/true"}]'
		run purple_rt create --bundle "$BUNDLE" --pid-file pid "$ID"
		assert_status 1
		assert_contains "$stage hook #1 (/bin/sh) exited with code 3: because of this"
		[[ ! -e pid ]]
		no_traces "$(test_prefix)"
	done
}

@test "the hooks after one that fails do not run" {
	hook prestart '.env += ["EXIT=1"]'
	hook prestart '.args = ["hook", "second"]'
	hook createRuntime
	run purple_rt create --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_equal "$(cat notes/order)" prestart
}

@test "a failing startContainer hook fails start, and the program never runs" {
	hook startContainer '.env += ["EXIT=4"]'
	set_script 'echo ran >/notes/ran'
	create_container
	run purple_rt start "$ID"
	assert_status 1
	assert_contains "startContainer hook #1 (/bin/hook) exited with code 4"
	assert_equal "$(container_status)" stopped
	[[ ! -e notes/ran ]]
}

@test "a failing poststart hook fails start and ends the container" {
	hook poststart '.env += ["EXIT=5"]'
	set_command sleep 1000
	create_container
	run purple_rt start "$ID"
	assert_status 1
	assert_contains "poststart hook #1"
	assert_equal "$(container_status)" stopped
	purple_rt delete "$ID"
}

@test "a failing poststop hook is a warning: delete succeeds and the others run" {
	hook poststop '.env += ["EXIT=6"]'
	hook poststop '.args = ["hook", "second"]'
	set_command true
	create_container
	purple_rt start "$ID"
	wait_status stopped
	run purple_rt --log log --log-format json --log-level warning delete "$ID"
	assert_status 0
	jq -e 'select(.level == "warning") | .msg | contains("poststop hook #1")' log
	assert_equal "$(tr '\n' ' ' <notes/order)" "poststop second "
}

@test "a hook that takes longer than its timeout is killed with what it started" {
	edit_config '.hooks.prestart = [{path: "/bin/sh", args: ["sh", "-c", "sleep 4321 & sleep 4321"], timeout: 1}]'
	SECONDS=0
	run purple_rt create --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "timed out after 1s"
	((SECONDS < 60))
	run pgrep -f 'sleep 432[1]'
	assert_status 1
	no_traces "$(test_prefix)"
}

@test "a hook killed by a signal, one that is missing, and one that is no program are told apart" {
	refused() { # HOOK-JSON MESSAGE
		edit_config '.hooks.prestart = [$h]' --argjson h "$1"
		run purple_rt create --bundle "$BUNDLE" "$ID"
		assert_status 1
		assert_contains "$2"
	}
	refused '{"path": "/bin/sh", "args": ["sh", "-c", "kill -9 $$"]}' "was killed by signal 9"
	refused '{"path": "/no/such/hook"}' "(/no/such/hook) cannot execute"
	refused '{"path": "/etc/passwd"}' "(/etc/passwd) cannot execute"
	refused '{"path": "relative"}' "hooks.prestart[0].path: must be absolute"
	refused '{"path": "/bin/true", "timeout": 0}' "hooks.prestart[0].timeout: must be above 0"
	refused '{"args": ["x"]}' "hooks.prestart[0]"
	no_traces "$(test_prefix)"
}

@test "a hook that does not read its stdin, and one that leaves a process behind, do no harm" {
	edit_config '.hooks.prestart = [{path: "/bin/true"}, {path: "/bin/sh", args: ["sh", "-c", "exec sleep 60\($n) &"]}]' --argjson n "$$"
	edit_config '.annotations = {big: ("x" * 30000)}'
	SECONDS=0
	run_script 'echo ok'
	assert_status 0
	assert_output ok
	((SECONDS < 60))
	pkill -f "^sleep 60$$\$"
}

@test "what hooks print does not get into the container's output" {
	edit_config '.hooks = ({prestart: 1, createRuntime: 1, createContainer: 1, poststart: 1, poststop: 1}
		| map_values([{path: "/bin/sh", args: ["sh", "-c", "echo to stdout; echo to stderr >&2"]}]))'
	run_script 'sleep 0.1; echo own'
	assert_status 0
	assert_output own
}

@test "a hook that stays gets default signals, whatever the engine ignores" {
	edit_config '.hooks.prestart = [{path: "/bin/grep", args: ["grep", "-q", "SigIgn:\t0000000000000000", "/proc/self/status"]}]'
	set_command true
	run env --ignore-signal=PIPE,HUP,USR1 "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" run --bundle "$BUNDLE" "$ID"
	assert_status 0
}

@test "poststop hooks run for a container whose bundle has gone" {
	hook poststop
	set_command true
	create_container
	purple_rt start "$ID"
	wait_status stopped
	mv "$BUNDLE" gone
	purple_rt delete "$ID"
	assert_equal "$(cat notes/order)" poststop
}
