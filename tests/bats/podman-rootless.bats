#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Podman of an ordinary user: what needs no root works, policies hold, and what cannot be held
# without root (limits, where no group is the user's) keeps a container from starting.

load rootless

setup_file() {
	rootless_setup
}

teardown() {
	rootless_teardown
}

teardown_file() {
	rootless_teardown_file
}

@test "streams, exit codes, ids, namespaces, and no state in root's folder" {
	run_podman -i "$IMAGE" sh -c 'id -u; cat /proc/self/uid_map; hostname | wc -c; echo $$; cat; echo err >&2; exit 3' <<<input
	assert_status 3
	assert_equal "$(tr -s ' ' <<<"$output")" $'0\n 0 '"$RL_UID"$' 1\n 1 '"$RL_SUBID"$' 65536\n13\n1\ninput'
	assert_equal "$stderr" err
	run_podman "$IMAGE" no-such-command
	assert_status 127
	assert_stderr_contains 'executable file not found in $PATH'
	run_podman "$IMAGE" /etc/passwd
	assert_status 126
	start_podman "$IMAGE" sleep 1000
	[[ -d $RL_DIR/run/purple/$CID && ! -e /run/purple/$CID ]]
	assert_equal "$(stat -c '%u %a' "$RL_DIR/run/purple/$CID")" "$RL_UID 700"
	# The process is the user's, and so is what it writes.
	assert_equal "$(stat -c %u "/proc/$(field '{{.State.Pid}}')")" "$RL_UID"
}

@test "a container's life: exec, logs, ps, top, cp, stop with its signal, restart, kill, commit" {
	start_podman -e A=container "$IMAGE" sh -c 'echo started; trap "echo bye; exit 7" TERM; while :; do sleep 0.05; done'
	wait_for 10 log_has started
	in_container sh -c 'echo $A; echo err >&2; exit 9'
	assert_status 9
	assert_output container
	assert_equal "$stderr" err
	capture podman_ exec -u 33:44 -e A=exec -w /tmp "$ID" sh -c 'echo $A; id -u; id -g; pwd; grep CapEff /proc/self/status'
	assert_output $'exec\n33\n44\n/tmp\nCapEff:\t0000000000000000'
	in_container no-such-command
	assert_status 127
	run podman_ top "$ID" args
	assert_contains "while :"
	echo text >"$RL_DIR/tmp/text"
	chown "$RL_UID" "$RL_DIR/tmp/text"
	podman_ cp "$RL_DIR/tmp/text" "$ID:/text"
	in_container cat /text
	assert_output text
	podman_ commit -q "$ID" "localhost/$ID"
	run podman_ run --rm --name "$ID-copy" "localhost/$ID" cat /text
	assert_output text
	podman_ stop -t 10 "$ID"
	assert_equal "$(field '{{.State.Status}} {{.State.ExitCode}}')" "exited 7"
	log_has bye
	podman_ start "$ID"
	podman_ restart -t 0 "$ID"
	assert_equal "$(field '{{.State.Status}}')" running
	podman_ kill "$ID"
	assert_equal "$(podman_ wait "$ID")" 137
	podman_ rm "$ID"
}

@test "a terminal: its size, its owner, its exit code, and a second one by exec" {
	requires script
	# Podman sets the size when the process is there, and may be slow.
	cat >"$RL_DIR/size" <<-'END'
		tty
		for i in $(seq 200); do
			[ "$(stty size 2>/dev/null)" = "33 111" ] && break
			sleep 0.05
		done
		stty size
		ls -ln /dev/console
		exit 5
	END
	start_podman -t -v "$RL_DIR/size:/size:ro" "$IMAGE" sleep 1000
	export -f rootless podman_
	export RL_UID
	run on_a_terminal "bash -c 'podman_ run --rm -it --name $ID-t -v $RL_DIR/size:/size:ro $IMAGE sh /size'" </dev/null
	assert_status 5
	assert_contains /dev/pts/0
	assert_contains "33 111"
	[[ $output == *"crw--w----"*" 0 "*" 5 "*"/dev/console"* ]]
	run on_a_terminal "bash -c 'podman_ exec -it $ID sh /size'" </dev/null
	assert_status 5
	assert_contains /dev/pts/1
	assert_contains "33 111"
}

@test "volumes and ids: keep-id, a user of the container's, nomap, auto, named volumes" {
	local volume=$RL_DIR/home/$ID
	install -d -o "$RL_UID" -g "$RL_UID" "$volume"
	run_podman --userns keep-id -v "$volume:/v" "$IMAGE" sh -c 'id -u; touch /v/mine; stat -c %u /v /v/mine'
	assert_output "$RL_UID"$'\n'"$RL_UID"$'\n'"$RL_UID"
	assert_equal "$(stat -c %u "$volume/mine")" "$RL_UID"
	run_podman -v "$volume:/v" "$IMAGE" sh -c 'stat -c %u /v; touch /v/theirs; chown 33 /v/theirs'
	assert_output 0
	assert_equal "$(stat -c %u "$volume/theirs")" $((RL_SUBID + 32))
	run_podman --user 33 -v "$volume:/v:ro" -v "named-$ID:/named" "$IMAGE" sh -c 'id -u; touch /v/x; grep -c " /named " /proc/mounts'
	assert_output $'33\n1'
	assert_stderr_contains "Read-only file system"
	run_podman --userns nomap -v "$volume:/v:ro" "$IMAGE" sh -c 'id -u; stat -c %u /v'
	assert_output $'0\n65534'
	run_podman --userns auto:size=100 "$IMAGE" sh -c 'id -u; tr -s " " </proc/self/uid_map'
	assert_output $'0\n 0 1 100'
	podman_ volume rm -a -f >/dev/null
}

@test "networks: none, the host's, and one of slirp4netns" {
	run_podman --network none "$IMAGE" ls /sys/class/net
	assert_output lo
	run_podman --network host --pid host --uts host "$IMAGE" sh -c 'for ns in net pid uts; do readlink /proc/self/ns/$ns; done'
	assert_output "$(readlink /proc/self/ns/net /proc/self/ns/pid /proc/self/ns/uts)"
	run_podman --network slirp4netns -p 127.0.0.1::80 "$IMAGE" sh -c 'ip -o -4 addr show tap0 | grep -o "10.0.2.100/24"; cat /etc/resolv.conf'
	assert_status 0
	assert_contains 10.0.2.100/24
	assert_contains "nameserver 10.0.2.3"
}

@test "what takes away or adds: read-only, tmpfs, limits of processes, sysctls, devices, init, privileged" {
	run_podman --read-only --tmpfs /scratch --shm-size 2m --sysctl net.ipv4.ip_forward=0 --ulimit nofile=99:99 \
		--hostname box --device /dev/null:/dev/mine --init --cap-drop all --security-opt no-new-privileges "$IMAGE" \
		sh -c 'touch /x; touch /scratch/x && hostname; ulimit -n; grep " /dev/shm " /proc/mounts | grep -o size=2048k
			echo x >/dev/mine && cat /proc/1/comm; grep -E "CapEff|NoNewPrivs|Seccomp:" /proc/self/status'
	assert_output $'box\n99\nsize=2048k\npodman-init\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2'
	assert_stderr_contains "/x: Read-only file system"
	# All that the user may have, and nothing of the host's: groups stay as they are.
	run_podman --privileged "$IMAGE" sh -c 'mkdir /m && mount -t tmpfs none /m && echo mounts; grep Seccomp: /proc/self/status
		mkdir /sys/fs/cgroup/x || mkdir /sys/fs/cgroup/memory/x; echo 1 >/proc/sys/kernel/pid_max'
	assert_output $'mounts\nSeccomp:\t0'
	assert_stderr_contains "Permission denied"
	((status != 0))
}

@test "--group-add keep-groups keeps the user's own groups, under a policy it does not" {
	local groups='sed -n "s/^Groups:[[:space:]]*//p" /proc/self/status'
	run_podman "$IMAGE" sh -c "$groups"
	assert_equal "${output%% *}" ""
	run_podman --group-add keep-groups "$IMAGE" sh -c "$groups"
	[[ " $output " == *" 65534 "* ]]
	start_podman --group-add keep-groups "$IMAGE" sleep 1000
	assert_equal "$(sed -n 's/^Groups:[[:space:]]*//p' "/proc/$(field '{{.State.Pid}}')/status" | tr ' ' '\n' | grep -cx $((RL_UID + 1)))" 1
	in_container sh -c "$groups"
	[[ " $output " == *" 65534 "* ]]
	policy_install plain <<<'name: plain'
	run_podman --group-add keep-groups --annotation io.purple.policy=plain "$IMAGE" sh -c "$groups"
	assert_status 0
	[[ " $output " != *" 65534 "* ]]
}

# --- policies -------------------------------------------------------------------------------------

@test "a policy that needs no root holds: network, files, calls, capabilities; in exec and under --privileged too" {
	policy_install no-root <<-END
		name: no-root
		filesystem:
		  scratch_paths: [/tmp]
		  working_dir: /tmp
		syscalls:
		  default_deny: false
		  deny: [mkdir, mkdirat, mount, unshare, ptrace]
		capabilities:
		  default_drop: true
		network:
		  isolated: true
	END
	local script='grep -hE "CapEff|CapBnd|NoNewPrivs|Seccomp:" /proc/self/status; pwd; sed -n "s/^ *\([a-z0-9]*\):.*/\1/p" /proc/net/dev; touch x && echo scratch
		touch /y; mkdir z; unshare -U true; mkdir /sys/fs/cgroup/z'
	local expected=$'CapEff:\t0000000000000000\nCapBnd:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n/tmp\nlo\nscratch'
	local options
	for options in "--network slirp4netns" "--privileged --network host --cgroups=disabled"; do
		# shellcheck disable=SC2086 # words
		start_podman --annotation io.purple.policy=no-root $options "$IMAGE" sh -c "$script; echo end; exec sleep 1000"
		wait_for 10 log_has end
		capture podman_ logs "$ID"
		assert_output "$expected"$'\nend'
		assert_stderr_contains "/y: Read-only file system"
		assert_stderr_contains "'z': Operation not permitted"
		assert_stderr_contains "unshare(0x10000000): Operation not permitted"
		capture podman_ exec --privileged -w /tmp "$ID" sh -c "$script"
		assert_output "$expected"
		assert_stderr_contains "'z': Operation not permitted"
		podman_ rm -f -t 0 "$ID"
	done
}

@test "a policy whose limits need a group fails closed and says so, also without groups at all" {
	policy_install limits <<<'{ name: limits, resources: { memory_limit_bytes: 64M, pids_limit: 20 } }'
	local options
	for options in --cgroups=enabled --cgroups=disabled; do
		run_podman "$options" --annotation io.purple.policy=limits "$IMAGE" echo started
		((status != 0))
		assert_equal "$output" ""
		assert_stderr_contains "linux.resources asks for limits, which need a cgroup"
	done
	run_podman --cgroups=disabled "$IMAGE" echo started
	assert_output started
	# Podman itself knows what it cannot have.
	start_podman "$IMAGE" sleep 1000
	capture podman_ stats --no-stream "$ID"
	((status != 0))
	capture podman_ pause "$ID"
	((status != 0))
	capture podman_ update --memory 64m "$ID"
	((status != 0))
	assert_stderr_contains "no rights on any cgroup"
}

@test "a pod: shared names and network, its end; a health check; a build" {
	podman_ pod create --name "$ID" --share net,uts,ipc --infra-command 'sleep 1000' --infra-image "$IMAGE" >/dev/null
	podman_ run -d --pod "$ID" --name "$ID-a" --health-cmd 'test -e /healthy' --health-interval disable "$IMAGE" sleep 1000 >/dev/null
	run podman_ run --rm --pod "$ID" --name "$ID-b" "$IMAGE" sh -c 'hostname; readlink /proc/self/ns/uts'
	assert_output "$ID"$'\n'"$(podman_ exec "$ID-a" readlink /proc/self/ns/uts)"
	run podman_ healthcheck run "$ID-a"
	assert_status 1
	podman_ exec "$ID-a" touch /healthy
	podman_ healthcheck run "$ID-a"
	podman_ pod stop -t 0 "$ID"
	podman_ pod rm "$ID"
	install -d -o "$RL_UID" "$RL_DIR/home/context"
	printf 'FROM %s\nRUN id -u >/built && chown 33 /built\n' "$IMAGE" >"$RL_DIR/home/context/Containerfile"
	podman_ build -q --isolation oci --runtime "$PURPLE_RUNTIME" --network none -t "localhost/built-$ID" "$RL_DIR/home/context"
	run_podman "localhost/built-$ID" sh -c 'cat /built; stat -c %u /built'
	assert_output $'0\n33'
}

# --- without an engine ----------------------------------------------------------------------------

@test "purple-runtime maps a user's subordinate ids, and says what is missing when it cannot" {
	local dir=$RL_DIR/home/bundle
	install -d -o "$RL_UID" -g "$RL_UID" "$dir"
	make_rootfs "$dir/rootfs"
	rootless "$PURPLE_RUNTIME" spec --rootless --bundle "$dir"
	jq --argjson sub "$RL_SUBID" '.process.terminal = false | .root.readonly = false |
		.process.args = ["sh", "-c", "tr -s \" \" </proc/self/uid_map; tr -s \" \" </proc/self/gid_map; id -G; cat /proc/self/setgroups; touch /tmp/x"] |
		.process.user = { uid: 33, gid: 44, additionalGids: [55] } |
		.linux.uidMappings += [{ containerID: 1, hostID: $sub, size: 1000 }] |
		.linux.gidMappings += [{ containerID: 1, hostID: $sub, size: 2000 }]' "$dir/config.json" >config.json
	cp config.json "$dir/config.json"
	run rootless "$PURPLE_RUNTIME" run --bundle "$dir" "$ID"
	assert_status 0
	assert_output " 0 $RL_UID 1"$'\n'" 1 $RL_SUBID 1000"$'\n'" 0 $RL_UID 1"$'\n'" 1 $RL_SUBID 2000"$'\n44 55\nallow'
	assert_equal "$(stat -c '%u %g' "$dir/rootfs/tmp/x")" "$((RL_SUBID + 32)) $((RL_SUBID + 43))"
	# Not the user's own ids.
	jq '.linux.uidMappings[1].hostID = 70000000' config.json >"$dir/config.json"
	run rootless "$PURPLE_RUNTIME" run --bundle "$dir" "$ID"
	assert_status 1
	assert_contains "linux.uidMappings: newuidmap: "
	run rootless env PATH=/nowhere "$PURPLE_RUNTIME" run --bundle "$dir" "$ID"
	assert_status 1
	assert_contains "cannot run newuidmap (package uidmap)"
	assert_equal "$(ls -A "$RL_DIR/run/purple")" ""
}

@test "purple run as that user: a policy's files, calls and network hold; a limit is refused" {
	local policy=$RL_DIR/home/p.yaml
	{
		printf 'name: mine\n'
		host_files
		printf 'network: { isolated: true }\nsyscalls: { default_deny: false, deny: [mkdir, mkdirat] }\n'
	} >"$policy"
	run rootless "$PURPLE" run --profile ./p.yaml -- sh -c 'id -u; mkdir /tmp/x; touch /tmp/y && ls /sys/class/net; touch /usr/x; exit 4'
	assert_status 4
	assert_equal "${lines[0]}" "$RL_UID"
	assert_contains "Operation not permitted"
	assert_contains "Read-only file system"
	echo 'resources: { pids_limit: 16 }' >>"$policy"
	run rootless "$PURPLE" run --profile ./p.yaml -- echo started
	assert_status 125
	assert_lacks started
	assert_contains "systemctl --user"
}
