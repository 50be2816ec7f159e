#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What Podman and conmon rely on without saying so: who adopts the container's first process, what
# it inherits, what is left when a part of the machinery dies, hooks inside the container, builds.

load podman

# --- what the container inherits ------------------------------------------------------------------

@test "conmon is the parent of the container's first process, and no Purple process stays" {
	adopted() {
		local pid parent
		start_podman "$IMAGE" sleep 1000
		pid=$(field '{{.State.Pid}}')
		parent=$(awk '/^PPid/ { print $2 }' "/proc/$pid/status")
		assert_equal "$(<"/proc/$parent/comm")" conmon
		assert_equal "$(list_traces "$CID" | grep ^process)" ""
		# The runtime writes this file: digits, and nothing after them.
		assert_equal "$(od -An -c "$(field '{{.PidFile}}')" | tr -d ' ')" "$pid"
		"$PURPLE_RUNTIME" state "$CID" | jq -e --argjson pid "$pid" '.pid == $pid and .status == "running"'
	}
	both_ways adopted
}

@test "the command has default signal dispositions, an empty mask, and only its own environment" {
	clean() {
		export PURPLE_LEAK=yes
		run_podman --env OWN=1 "$IMAGE" sh -c 'grep -E "Sig(Ign|Blk)" /proc/self/status; env; umask; ls /proc/$$/fd; true'
		unset PURPLE_LEAK
		assert_status 0
		assert_contains $'SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000'
		assert_contains OWN=1
		assert_lacks PURPLE_LEAK
		assert_lacks _OCI_
		assert_lacks XDG_RUNTIME_DIR
		assert_lacks conmon
		[[ $output == *$'\n0022\n0\n1\n2' ]]
	}
	both_ways clean
}

@test "a file descriptor passed with --preserve-fds keeps its number, others do not get in" {
	preserve() {
		echo from-the-file >passed
		echo secret >kept
		local fd
		exec {fd}<kept
		run podman_ run --rm "${WITH[@]}" --preserve-fds 1 "$IMAGE" \
			sh -c 'cat <&3; ls /proc/$$/fd; true' 3<passed
		exec {fd}<&-
		assert_status 0
		assert_output $'from-the-file\n0\n1\n2\n3'
	}
	both_ways preserve
}

# --- ends -----------------------------------------------------------------------------------------

@test "a container without a process namespace of its own is ended with all its processes" {
	shared() {
		local long=$((3000000 + $$))
		start_podman --pid host "$IMAGE" sh -c "sleep $long & (setsid sleep $long &) ; sleep $long"
		wait_for 5 eval "((\$(pgrep -cf '^sleep $long\$') == 3))"
		podman_ rm -f -t 0 "$ID"
		run pgrep -f "^sleep $long$"
		assert_output ""
	}
	both_ways shared
}

@test "podman stop sends the container's own stop signal" {
	stop_signal() {
		start_podman --stop-signal USR2 "$IMAGE" \
			sh -c 'trap "echo got USR2; exit 6" USR2; trap "exit 1" TERM; echo ready; while :; do sleep 0.05; done'
		wait_for 5 log_has ready
		podman_ stop -t 10 "$ID"
		assert_equal "$(field '{{.State.ExitCode}}')" 6
		log_has "got USR2"
	}
	both_ways stop_signal
}

@test "a container whose first process is killed from outside is seen as stopped, and starts again" {
	killed() {
		start_podman "$IMAGE" sh -c 'sleep 1000 & sleep 1000'
		kill -KILL "$(field '{{.State.Pid}}')"
		assert_equal "$(podman_ wait "$ID")" 137
		podman_ start "$ID"
		in_container echo again
		assert_output again
	}
	both_ways killed
}

@test "a container whose conmon has died is ended by podman rm -f, and its remains can be deleted" {
	orphaned() {
		local pid
		start_podman "$IMAGE" sleep 1000
		pid=$(field '{{.State.Pid}}')
		kill -KILL "$(field '{{.State.ConmonPid}}')"
		# Podman 5 ends it and says first that nobody knows how it ended.
		podman_ rm -f -t 0 "$ID" || podman_ rm -f -t 0 "$ID"
		[[ ! -d /proc/$pid || $(awk '/^State/ { print $2 }' "/proc/$pid/status") == Z ]]
		# Podman 4 does not have the runtime delete what it lost sight of, whichever runtime it is.
		[[ -e /run/purple/$CID ]] || return 0
		assert_equal "$("$PURPLE_RUNTIME" state "$CID" | jq -r .status)" stopped
		"$PURPLE_RUNTIME" delete "$CID"
	}
	both_ways orphaned
}

@test "a container whose command is missing can be removed, and its name used again" {
	missing() {
		new_id
		capture podman_ run --name "$ID" "${WITH[@]}" "$IMAGE" no-such-command
		assert_status 127
		[[ $stderr != *"no logs from conmon"* && $stderr != *'"level"'* ]]
		assert_equal "$(field '{{.State.Status}}')" created
		podman_ rm "$ID"
		run podman_ run --rm --name "$ID" "${WITH[@]}" "$IMAGE" echo again
		assert_output again
	}
	both_ways missing
}

@test "--restart on-failure runs the command again, under the same policy" {
	restarts() {
		start_podman --restart on-failure:2 "$IMAGE" sh -c 'grep NoNewPrivs /proc/self/status; exit 1'
		# Twice more: each time the policy's no_new_privs is as it was.
		local flag=0
		[[ $WAY == plain ]] || flag=1
		wait_for 20 eval '(($(podman_ logs "$ID" | grep -c NoNewPrivs) == 3))'
		assert_equal "$(podman_ logs "$ID" | sort -u)" $'NoNewPrivs:\t'$flag
	}
	both_ways restarts
}

@test "podman commit freezes the container meanwhile, and it runs on" {
	start_podman "$IMAGE" sh -c 'echo content >/file; while :; do sleep 0.05; done'
	wait_for 5 eval '[[ $(podman_ exec "$ID" cat /file 2>/dev/null) == content ]]'
	podman_ commit -q "$ID" "localhost/commit-$BATS_TEST_NUMBER"
	in_container cat /file
	assert_output content
	run podman_ run --rm "localhost/commit-$BATS_TEST_NUMBER" cat /file
	assert_output content
	podman_ rmi "localhost/commit-$BATS_TEST_NUMBER"
}

@test "podman container checkpoint and restore: what runs goes on, alone or from an archive" {
	requires criu
	start_podman --network none "$IMAGE" sh -c 'i=0; while :; do i=$((i + 1)); echo "n $i" >/tmp/n; sleep 0.05; done'
	wait_for 10 podman_ exec "$ID" test -s /tmp/n
	podman_ container checkpoint --keep "$ID"
	assert_equal "$(field '{{.State.Status}} {{.State.Checkpointed}}')" "exited true"
	podman_ container restore "$ID"
	assert_equal "$(field '{{.State.Status}}')" running
	in_container cat /tmp/n
	(($(cut -d' ' -f2 <<<"$output") > 1))
	podman_ container checkpoint --export "$PWD/c.tar" --compress none "$ID"
	podman_ rm -f -t 0 "$ID" >/dev/null
	podman_ container restore --import "$PWD/c.tar"
	in_container cat /tmp/n
	(($(cut -d' ' -f2 <<<"$output") > 1))
}

@test "podman container checkpoint of a container under a policy is refused, and it runs on" {
	requires private_etc
	policy_install held <<-END
		name: held
		resources:
		  pids_limit: 100
	END
	start_podman --annotation io.purple.policy=held "$IMAGE" sleep 1000
	run podman_ container checkpoint "$ID"
	((status != 0))
	in_container echo runs
	assert_output runs
}

# --- hooks, devices, ids, builds ------------------------------------------------------------------

@test "hooks in the container run in it: createContainer with its namespaces, startContainer with its files" {
	mkdir hooks
	cat >hook <<-END
		#!/bin/sh
		cat >$PWD/state
		hostname >$PWD/hostname
		readlink /proc/self/ns/mnt >$PWD/ns
	END
	chmod +x hook
	jq -n --arg p "$PWD/hook" --arg path "PATH=$PATH" '{ version: "1.0.0", hook: { path: $p, env: [$path] },
		when: { always: true }, stages: ["createContainer"] }' >hooks/1.json
	# Podman wants the path to exist on the host; /bin/sh does, in both places.
	jq -n '{ version: "1.0.0", when: { always: true }, stages: ["startContainer"],
		hook: { path: "/bin/sh", args: ["sh", "-c", "cat >/hooked; echo >>/hooked; pwd >>/hooked"], env: ["PATH=/bin"] } }' >hooks/2.json
	new_id
	capture podman_ --hooks-dir "$PWD/hooks" run --rm --name "$ID" --hostname hook-test "$IMAGE" \
		sh -c 'readlink /proc/self/ns/mnt; cat /hooked'
	assert_status 0
	assert_equal "$(jq -r .status state)" creating
	assert_equal "$(<hostname)" hook-test
	assert_equal "$(<ns)" "${output%%$'\n'*}"
	assert_equal "$(sed -n 2p <<<"$output" | jq -r .status)" created
	assert_equal "$(sed -n 3p <<<"$output")" /
}

@test "a hook that fails in the container keeps the command from running, and says why" {
	mkdir hooks
	jq -n '{ version: "1.0.0", when: { always: true }, stages: ["startContainer"],
		hook: { path: "/bin/sh", args: ["sh", "-c", "echo no luck >&2; exit 4"], env: ["PATH=/bin"] } }' >hooks/1.json
	new_id
	capture podman_ --hooks-dir "$PWD/hooks" run --rm --name "$ID" "$IMAGE" echo ran
	((status != 0))
	assert_equal "$output" ""
	assert_stderr_contains "no luck"
}

@test "a device is there with exactly the rights that --device gives" {
	[[ -c /dev/net/tun ]] || skip "needs a device /dev/net/tun"
	run_podman --device /dev/net/tun:/dev/mine:r "$IMAGE" sh -c "(exec 3</dev/mine) && echo reads; (exec 3>/dev/mine) && echo writes"
	assert_output reads
	assert_stderr_contains "can't create /dev/mine: Operation not permitted"
	run_podman --device /dev/net/tun:/dev/mine:rw "$IMAGE" sh -c "(exec 3</dev/mine) && echo reads; (exec 3>/dev/mine) && echo writes"
	assert_output $'reads\nwrites'
	# The same device, made in the container, without being given it.
	run_podman --cap-add mknod "$IMAGE" sh -c "mknod /mine c 10 200 && exec 3</mine && echo opened"
	((status != 0))
	assert_lacks opened
}

@test "--userns=auto gives each container ids of its own" {
	requires userns private_etc
	chmod 0711 "$PODMAN_DIR" "$PODMAN_DIR"/{storage,runroot,tmp}
	echo containers:200000:500000 >subid
	# Where the ids come from is a file of the machine: another one, for this command only.
	auto() {
		unshare --mount --propagation slave sh -c 'mount --bind subid /etc/subuid &&
			mount --bind subid /etc/subgid && exec podman run --rm --name "$0" --userns=auto '"$IMAGE"' \
			sh -c "head -n 1 /proc/self/uid_map; id -u; touch /file && stat -c %u /file"' "$1"
	}
	new_id
	run auto "$ID"
	assert_status 0
	assert_equal "$(tr -s ' ' <<<"$output")" $' 0 200000 1024\n0\n0'
}

@test "podman build runs its steps with the runtime, and fails where a step fails" {
	printf 'FROM %s\nRUN echo built >/file && test "$(cat /proc/1/comm)" = sh\nRUN id -u >>/file\n' "$IMAGE" >Containerfile
	run podman_ build --isolation oci --runtime "$PURPLE_RUNTIME" --network none -q -t "localhost/built-$BATS_TEST_NUMBER" .
	assert_status 0
	run podman_ run --rm "localhost/built-$BATS_TEST_NUMBER" cat /file
	assert_output $'built\n0'
	podman_ rmi "localhost/built-$BATS_TEST_NUMBER"
	printf 'FROM %s\nRUN echo broken; exit 9\n' "$IMAGE" >Containerfile
	run podman_ build --isolation oci --runtime "$PURPLE_RUNTIME" --network none .
	((status != 0))
	assert_contains broken
	assert_contains "9"
}
