#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# checkpoint and restore, by CRIU. Where CRIU does not work, as where the kernel is newer than it, only
# what is refused before it is asked can be seen.

load helpers

setup() {
	requires root busybox jq
	purple_setup
	make_bundle
	set_script 'i=0; while :; do i=$((i + 1)); echo $i; sleep 0.05; done'
}

start_counting() { # [OPTION...]
	create_container "$@"
	purple_rt start "$ID"
	wait_for 10 counted 3
}

# Its output has so many lines.
counted() {
	(($(wc -l <out) >= $1))
}

# Restores ID from the images in DIR, with the output of before.
restore() { # DIR [OPTION...]
	purple_rt restore --detach --image-path "$1" --bundle "$BUNDLE" --pid-file restored "${@:2}" "$ID" \
		</dev/null >>out 2>>err
}

# What a process is in and held to.
facts() { # PID
	awk '{ print $4, $5, $6 }' "/proc/$1/mountinfo" | sort
	grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp)' "/proc/$1/status"
	cat "/proc/$1/cgroup" "/proc/$1/limits" "/proc/$1/oom_score_adj"
}

@test "a checkpoint ends the container, and a restore goes on where it was, held to the same" {
	requires criu
	mkdir volume
	edit_config '.linux.resources.memory.limit = 67108864 | .linux.resources.pids.limit = 50 |
		.process.oomScoreAdj = 500 | .hostname = "counts" |
		.mounts += [{ destination: "/vol", type: "bind", source: $ARGS.named.volume, options: ["bind", "ro", "nosuid", "nodev"] }]' \
		--arg volume "$PWD/volume"
	start_counting
	facts "$(<pid)" >before
	local last
	purple_rt checkpoint --image-path images "$ID"
	run purple_rt state "$ID"
	assert_contains "container does not exist"
	last=$(tail -n 1 out)
	restore images
	wait_for 10 counted "$((last + 3))"
	is_status running "$ID"
	cp out seen
	seq "$(wc -l <seen)" | diff - seen
	assert_equal "$(purple_rt state "$ID" | jq .pid)" "$(<restored)"
	facts "$(<restored)" >after
	diff before after
	assert_equal "$(purple_rt exec "$ID" hostname)" counts
	# Once more, with what was restored.
	purple_rt checkpoint --image-path again --work-path log "$ID"
	[[ -s log/dump.log && ! -e again/dump.log ]]
	last=$(tail -n 1 out)
	restore again
	wait_for 10 counted "$((last + 3))"
	facts "$(<restored)" >after
	diff before after
}

@test "with --leave-running the container runs on, and a restore that fails leaves nothing" {
	requires criu
	start_counting
	purple_rt checkpoint --leave-running --image-path images "$ID"
	is_status running "$ID"
	wait_for 10 counted "$(($(wc -l <out) + 3))"
	purple_rt delete --force "$ID"
	# The file is longer than it was then, and not the one that CRIU knows.
	run restore images
	assert_status 1
	run cat err
	assert_contains "CRIU cannot restore the container: "
	[[ ! -e $PURPLE_ROOT/$ID ]]
}

@test "in the foreground restore ends as the program does, and passes its terminal on" {
	requires criu script
	edit_config '.process.terminal = true'
	set_script 'echo begun >/f; read -r line; echo "got $line"; exit 7'
	edit_config '.root.readonly = false'
	mkfifo typed
	exec 7<>typed # nobody types yet, and the end has not come
	SHELL=/bin/bash script -qec "'$PURPLE_RUNTIME' --root '$PURPLE_ROOT' run --bundle '$BUNDLE' '$ID'" /dev/null \
		<typed >first 2>&1 3>&- &
	local front=$!
	wait_for 10 test -s "$BUNDLE/rootfs/f"
	purple_rt checkpoint --image-path images "$ID"
	wait "$front" || true
	exec 7<&-
	run bash -c "(sleep 1; echo word; sleep 1) | SHELL=/bin/bash script -qec \"'$PURPLE_RUNTIME' --root '$PURPLE_ROOT' \
		restore --image-path images --bundle '$BUNDLE' '$ID'\" /dev/null | tr -d '\r'; exit \${PIPESTATUS[1]}"
	assert_status 7
	assert_contains "got word"
	run purple_rt state "$ID"
	assert_contains "container does not exist"
}

@test "a restored container's hooks run, and its remains are taken away" {
	requires criu
	printf '#!/bin/sh\necho "$1 $(cat)" >>%s/hooks\n' "$PWD" >hook
	chmod +x hook
	edit_config '.hooks = ([["createRuntime", "poststart", "poststop"][] |
		{ key: ., value: [{ path: $ARGS.named.hook, args: ["hook", .] }] }] | from_entries)' --arg hook "$PWD/hook"
	start_counting
	purple_rt checkpoint --image-path images "$ID"
	assert_equal "$(cut -d' ' -f1 hooks | tr '\n' ' ')" "createRuntime poststart poststop "
	rm hooks
	restore images
	assert_equal "$(cut -d' ' -f1 hooks | tr '\n' ' ')" "createRuntime poststart "
	assert_equal "$(sed -n 's/^createRuntime //p' hooks | jq -r '"\(.status) \(.pid)"')" "creating $(<restored)"
	purple_rt delete --force "$ID"
	grep -q '^poststop' hooks
}

@test "what cannot be dumped runs on, and the error says why and where more is said" {
	requires criu
	# A connection, which CRIU is not told to keep.
	set_script 'sleep 1000 | nc -l -p 7 &
		until grep -q ": [^ ]* [^ ]* 01 " /proc/net/tcp; do sleep 1000 | nc 127.0.0.1 7 & sleep 0.1; done
		while :; do echo; sleep 0.05; done'
	start_counting
	run purple_rt checkpoint --image-path images "$ID"
	assert_status 1
	assert_contains "CRIU cannot dump the container: "
	assert_contains tcp-established
	assert_contains "images/dump.log"
	is_status running "$ID"
	wait_for 10 counted "$(($(wc -l <out) + 3))"
	# A process that is no child of the container's.
	purple_rt exec --detach "$ID" sleep 1000 </dev/null >/dev/null 2>&1
	run purple_rt checkpoint --image-path images "$ID"
	assert_status 1
	assert_contains "was not started by the container's program"
	is_status running "$ID"
}

@test "images without a namespace that the configuration asks for are not restored" {
	requires criu
	cp "$BUNDLE/config.json" whole.json
	edit_config 'del(.linux.namespaces[] | select(.type == "network"))'
	start_counting
	purple_rt checkpoint --image-path images "$ID"
	cp whole.json "$BUNDLE/config.json"
	run restore images
	assert_status 1
	run cat err
	assert_contains "the images hold no network namespace as the configuration has it"
	[[ ! -e $PURPLE_ROOT/$ID ]]
}

@test "images that are no images restore nothing" {
	requires criu
	mkdir images
	run restore images
	assert_status 1
	echo '{"stdio":["","",""],"mounts":[]}' >images/purple.json
	run restore images
	assert_status 1
	run cat err
	assert_contains "CRIU cannot restore the container"
	[[ ! -e $PURPLE_ROOT/$ID ]]
}

@test "a container under a policy is neither checkpointed nor restored" {
	requires private_etc
	policy_install held <<-END
		name: held
		resources:
		  pids_limit: 100
	END
	"$PURPLE_RUNTIME" --root "$PURPLE_ROOT" --policy held create --bundle "$BUNDLE" "$ID" </dev/null >out 2>err
	purple_rt start "$ID"
	run purple_rt checkpoint --image-path images "$ID"
	assert_status 1
	assert_contains 'policy "held": a container under a policy can be neither checkpointed nor restored'
	is_status running "$ID"
	mkdir -p images
	new_id
	run "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" --policy held restore --image-path images --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains 'policy "held": a container under a policy can be neither checkpointed nor restored'
	[[ ! -e $PURPLE_ROOT/$ID ]]
}

@test "a mount point that the container has led to another of its mounts is refused" {
	mkdir read-only writable
	edit_config '.root.readonly = false | .mounts +=
		[{ destination: "/data/ro", type: "bind", source: "\($ARGS.named.here)/read-only", options: ["bind", "ro"] },
		 { destination: "/work/vol", type: "bind", source: "\($ARGS.named.here)/writable", options: ["bind"] }]' \
		--arg here "$PWD"
	set_script 'mv /data /data2 && mv /work /work2 && mkdir /data /work && ln -s /work2/vol /data/ro &&
		ln -s /data2/ro /work/vol && echo swapped; sleep 1000'
	create_container
	purple_rt start "$ID"
	wait_for 10 grep -q swapped out
	run purple_rt checkpoint --image-path images "$ID"
	assert_status 1
	assert_contains "'/data/ro' of the container is no longer what was mounted there"
}

@test "refused by name: what CRIU would not bring back, what does not run, and options that cannot hold" {
	run purple_rt checkpoint "$ID"
	assert_status 1
	assert_contains "container does not exist"
	create_container
	run purple_rt checkpoint "$ID"
	assert_status 1
	assert_contains "cannot checkpoint a container that is created"
	purple_rt start "$ID"
	purple_rt kill "$ID" KILL
	wait_status stopped
	run purple_rt checkpoint "$ID"
	assert_contains "cannot checkpoint a container that is stopped"
	edit_config '(.linux.namespaces[] | select(.type == "ipc")).path = "/proc/self/ns/ipc"'
	new_id
	create_container
	purple_rt start "$ID"
	run purple_rt checkpoint "$ID"
	assert_status 1
	assert_contains "shares a namespace (ipc)"
	edit_config 'del(.linux.namespaces[] | select(.type == "ipc").path)'
	new_id
	"$PURPLE_RUNTIME" --root "$PURPLE_ROOT" --cgroup-manager disabled create --bundle "$BUNDLE" "$ID" </dev/null >out 2>err
	purple_rt start "$ID"
	run purple_rt checkpoint "$ID"
	assert_status 1
	assert_contains "a container without a control group cannot be checkpointed"
	new_id
	NOTIFY_SOCKET=$PWD/manager create_container
	purple_rt start "$ID"
	run purple_rt checkpoint "$ID"
	assert_status 1
	assert_contains "was made with NOTIFY_SOCKET"
	new_id
	run bash -c 'LISTEN_FDS=1 LISTEN_PID=$$ exec "$@" 3</dev/null' - "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" \
		restore --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "LISTEN_FDS: restored processes"
	run purple_rt restore --no-pivot --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "--no-pivot"
	run purple_rt restore --pre-dump --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "unknown option"
	run purple_rt restore --image-path none --bundle "$BUNDLE" "$ID"
	assert_status 1
	[[ ! -e $PURPLE_ROOT/$ID ]]
	mkdir -p images
	echo '{}' >images/purple.json
	run purple_rt restore --image-path images --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains stdio
	echo '{"stdio":[],"mounts":[]}' >images/purple.json
	run purple_rt restore --image-path images --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "must have three members"
	edit_config '.root.path = "/"'
	run purple_rt restore --image-path images --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "root.path is the host's own root"
	[[ ! -e $PURPLE_ROOT/$ID ]]
}
