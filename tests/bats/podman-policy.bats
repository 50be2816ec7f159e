#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A policy under Podman: whatever the options of podman run grant, the policy tightens it; and it
# holds for as long as the container exists, whatever else Podman does with it.

load podman
load policy

setup() {
	requires private_etc
	purple_setup
	policy_install guarded <<-END
		name: guarded
		filesystem:
		  scratch_paths: [/tmp]
		syscalls:
		  default_deny: false
		  deny: [mkdir, mkdirat]
		resources:
		  cpu_shares: 0.5
		  memory_limit_bytes: "64M"
		  pids_limit: 40
		capabilities:
		  default_drop: true
		  add: [NET_BIND_SERVICE, CHOWN]
		network:
		  isolated: true
	END
	WITH=(--annotation io.purple.policy=guarded)
}

teardown() {
	podman_teardown
}

# assert_guarded: the policy holds for a process that podman exec starts in ID, and for its group.
assert_guarded() {
	local pid
	pid=$(field '{{.State.Pid}}')
	in_container sh -c 'grep NoNewPrivs /proc/self/status; mkdir /tmp/dir; touch /file; touch /tmp/file && echo scratch'
	assert_contains $'NoNewPrivs:\t1'
	assert_contains scratch
	assert_stderr_contains "mkdir: can't create directory '/tmp/dir': Operation not permitted"
	assert_stderr_contains "/file: Read-only file system"
	assert_equal "$(memory_limit_of "$pid") $(pids_limit_of "$pid") $(cpu_limit_of "$pid")" "67108864 40 500"
	assert_equal "$("$PURPLE_RUNTIME" state "$CID" |
		jq -r '.annotations["io.purple.effective-policy"]')" guarded
}

# --- options of podman run ------------------------------------------------------------------------

@test "--privileged grants nothing that the policy does not" {
	start_podman --privileged "$IMAGE" sleep 1000
	assert_guarded
	in_container sh -c 'grep -E "Cap(Prm|Eff|Bnd|Amb)|Seccomp:" /proc/self/status
		mount -t tmpfs x /tmp; mount -o remount,rw /; umount /tmp; mknod /tmp/sda b 8 0; dmesg'
	((status != 0))
	assert_contains $'CapEff:\t0000000000000401'
	assert_contains $'CapBnd:\t0000000000000401'
	assert_contains $'Seccomp:\t2'
	assert_equal "$(grep -ci "permi[a-z]* denied\|not permitted" <<<"$stderr")" 5
}

@test "--cap-add adds nothing beyond the policy, --cap-drop takes from what it has" {
	local sets='grep -E "Cap(Prm|Eff|Bnd)" /proc/self/status | cut -f 2 | sort -u'
	run_podman --cap-add all "$IMAGE" sh -c "$sets"
	assert_output 0000000000000401
	run_podman --cap-drop all --cap-add chown,sys_admin "$IMAGE" sh -c "$sets"
	assert_output 0000000000000001
	run_podman --cap-drop all "$IMAGE" sh -c "$sets"
	assert_output 0000000000000000
}

@test "--security-opt seccomp=unconfined and a looser filter leave the policy's; a stricter one adds to it" {
	run_podman --security-opt seccomp=unconfined "$IMAGE" mkdir /tmp/dir
	assert_stderr_contains "Operation not permitted"
	echo '{ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
		{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ALLOW" },
		{ "names": ["symlink", "symlinkat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 71 }] }' >profile.json
	run_podman --security-opt "seccomp=$PWD/profile.json" "$IMAGE" sh -c 'mkdir /tmp/dir; ln -s a /tmp/link'
	assert_stderr_contains "Operation not permitted"
	assert_stderr_contains "Protocol error"
	WITH=()
	run_podman --security-opt "seccomp=$PWD/profile.json" "$IMAGE" mkdir /tmp/dir
	assert_status 0
}

@test "a limit of Podman's above the policy's is cut, one below it stays, none is replaced" {
	local pid
	start_podman -m 1g --memory-swap -1 --cpus 2 --pids-limit 5000 "$IMAGE" sleep 1000
	assert_guarded
	podman_ rm -f -t 0 "$ID"
	start_podman -m 32m --cpus 0.2 --pids-limit 20 "$IMAGE" sleep 1000
	pid=$(field '{{.State.Pid}}')
	assert_equal "$(memory_limit_of "$pid") $(pids_limit_of "$pid") $(cpu_limit_of "$pid")" "33554432 20 200"
}

@test "a memory hog under a policy is killed with its whole container, a fork bomb is held" {
	local start=$SECONDS
	run_podman -m 512m "$IMAGE" sh -c 'sleep 600 & exec dd if=/dev/zero of=/dev/null bs=200M count=1'
	assert_status 137
	((SECONDS - start < 120))
	WITH=()
	run_podman -m 512m "$IMAGE" dd if=/dev/zero of=/dev/null bs=200M count=1
	assert_status 0
	WITH=(--annotation io.purple.policy=guarded)
	run_podman --pids-limit 10000 "$IMAGE" sh -c 'i=0; while [ $i -lt 60 ]; do sleep 3 & i=$((i + 1)); done'
	((status != 0))
	assert_stderr_contains "can't fork"
}

@test "--network host is isolated by the policy" {
	run_podman --network host "$IMAGE" sh -c 'readlink /proc/self/ns/net; ip -o link | cut -d: -f2'
	[[ ${output%%$'\n'*} != "$(readlink /proc/self/ns/net)" ]]
	assert_equal "${output#*$'\n'}" " lo"
	WITH=()
	run_podman --network host "$IMAGE" readlink /proc/self/ns/net
	assert_output "$(readlink /proc/self/ns/net)"
}

@test "a volume that the policy does not name is read-only, one that it names an output is writable" {
	mkdir data out
	policy_install outputs <<-END
		name: outputs
		filesystem:
		  output_paths:
		    - { host_path: $PWD/out, sandbox_path: /out }
	END
	WITH=(--annotation io.purple.policy=outputs)
	run_podman -v "$PWD/data:/data:rw" "$IMAGE" sh -c 'touch /data/x; echo result >/out/file'
	assert_stderr_contains "/data/x: Read-only file system"
	assert_equal "$(<out/file)" result
	assert_equal "$(ls data)" ""
}

@test "--read-only, --tmpfs, --user, --hostname, --env, --uidmap and --init work under a policy" {
	run_podman --read-only --tmpfs /scratch:size=1m --user 1000:1001 --hostname agent --env A=b "$IMAGE" \
		sh -c 'echo $(id -u) $(id -g) $(hostname) $A; touch /tmp/x && echo tmp'
	assert_output $'1000 1001 agent b\ntmp'
	requires userns
	chmod 0711 "$PODMAN_DIR" "$PODMAN_DIR"/{storage,runroot,tmp}
	start_podman --uidmap 0:100000:5000 --gidmap 0:200000:5000 "$IMAGE" sleep 1000
	assert_equal "$(stat -c %u:%g "/proc/$(field '{{.State.Pid}}')")" 100000:200000
	assert_guarded
}

@test "a pod's containers are each under the policy that they ask for" {
	local infra=$ID-infra
	podman_ pod create --name "$ID" --infra-name "$infra" --infra-image "$IMAGE" --infra-command 'sleep 1000' \
		--network none >/dev/null
	new_id
	CID=$(podman_ run -d --name "$ID" --pod "${infra%-infra}" "${WITH[@]}" "$IMAGE" sleep 1000)
	assert_guarded
	new_id
	podman_ run -d --name "$ID" --pod "${infra%-infra}" "$IMAGE" sleep 1000
	in_container mkdir /dir
	assert_status 0
	podman_ pod rm -f -t 0 "${infra%-infra}"
}

# --- the life of the container --------------------------------------------------------------------

@test "the policy holds after restart, stop and start, pause and unpause, init and start" {
	start_podman "$IMAGE" sleep 1000
	assert_guarded
	podman_ pause "$ID"
	podman_ unpause "$ID"
	assert_guarded
	podman_ restart -t 0 "$ID"
	assert_guarded
	podman_ stop -t 0 "$ID"
	podman_ start "$ID"
	assert_guarded
	podman_ stop -t 0 "$ID"
	podman_ init "$ID"
	podman_ start "$ID"
	assert_guarded
}

@test "a policy from --runtime-flag holds for commands of Podman that come without the flag" {
	WITH=()
	new_id
	CID=$(podman_ --runtime-flag policy=guarded run -d --name "$ID" "$IMAGE" sleep 1000)
	assert_guarded
	podman_ pause "$ID"
	podman_ unpause "$ID"
	podman_ update --cpus 3 -m 1g "$ID" || true
	assert_guarded
	podman_ kill "$ID"
	assert_equal "$(podman_ wait "$ID")" 137
	podman_ rm "$ID"
}

@test "a container that has a policy by annotation can be given another by --runtime-flag: both hold" {
	policy_install other <<<$'name: other\nsyscalls: { default_deny: false, deny: [symlink, symlinkat] }'
	new_id
	run podman_ --runtime-flag policy=other run --rm --name "$ID" "${WITH[@]}" "$IMAGE" \
		sh -c 'mkdir /tmp/dir; ln -s a /tmp/link; touch /tmp/file && echo scratch'
	assert_contains "'/tmp/dir': Operation not permitted"
	assert_contains "/tmp/link: Operation not permitted"
}

@test "a runtime of containers.conf whose name ends in a policy applies it to all its containers" {
	ln -s "$PURPLE_RUNTIME" purple-runtime-guarded
	WITH=()
	new_id
	CID=$(podman_ --runtime "$PWD/purple-runtime-guarded" run -d --name "$ID" "$IMAGE" sleep 1000)
	assert_guarded
	podman_ restart -t 0 "$ID"
	assert_guarded
	podman_ update --cpus 3 -m 1g "$ID" || true
	assert_guarded
}

@test "annotations of containers.conf apply a policy to every container" {
	sed "s/^\[containers\]/&\nannotations = [\"io.purple.policy=guarded\"]/" "$CONTAINERS_CONF" >own.conf
	WITH=()
	new_id
	CID=$(CONTAINERS_CONF=$PWD/own.conf podman_ run -d --name "$ID" "$IMAGE" sleep 1000)
	assert_guarded
}

@test "podman update does not raise a limit above the policy's, and can lower it" {
	local pid
	start_podman "$IMAGE" sleep 1000
	podman_ update --cpus 3 "$ID" || true
	podman_ update -m 1g --memory-swap -1 "$ID" || true
	podman_ update --pids-limit 5000 "$ID" || true
	assert_guarded
	podman_ update --cpus 0.25 -m 32m "$ID"
	pid=$(field '{{.State.Pid}}')
	assert_equal "$(memory_limit_of "$pid") $(cpu_limit_of "$pid")" "33554432 250"
}

@test "podman exec with --privileged, --user 0 or a terminal is under the policy" {
	start_podman --user 1000 "$IMAGE" sleep 1000
	run podman_ exec --privileged --user 0 "$ID" sh -c 'grep -E "CapEff|NoNewPrivs" /proc/self/status; mkdir /tmp/dir'
	assert_contains "Operation not permitted"
	assert_contains $'NoNewPrivs:\t1'
	local effective
	effective=$(sed -n 's/^CapEff:\t//p' <<<"$output")
	(((0x$effective & ~0x401) == 0))
	requires script
	run on_a_terminal "podman exec -t $ID mkdir /tmp/dir"
	assert_contains "Operation not permitted"
}

@test "a healthcheck is under the policy" {
	start_podman --health-cmd 'mkdir /tmp/dir' --health-interval disable "$IMAGE" sleep 1000
	run podman_ healthcheck run "$ID"
	assert_status 1
	start_podman --health-cmd 'touch /tmp/file' --health-interval disable "$IMAGE" sleep 1000
	run podman_ healthcheck run "$ID"
	assert_status 0
}

# --- policies that cannot be applied --------------------------------------------------------------

@test "a policy that is unknown, malformed or not enforceable keeps podman run from starting anything" {
	local name
	printf 'name: broken\nresources:\n  pids_limit: -3\n' | policy_install broken
	printf 'name: unbuilt\nenforcement: audit\n' | policy_install unbuilt
	for name in no-such-policy broken unbuilt; do
		WITH=(--annotation "io.purple.policy=$name")
		run_podman "$IMAGE" sh -c 'echo ran'
		((status != 0))
		assert_equal "$output" ""
		# One message, with the policy's name in it, as Podman read it from the runtime's log.
		assert_equal "$(grep -c 'Error: .*purple: ' <<<"$stderr")" 1
		assert_stderr_contains "$name"
		run podman_ ps -aq --filter "name=$ID"
		assert_output ""
		case $name in
		broken) assert_stderr_contains "/etc/purple/policies/broken.yaml:3:" ;;
		unbuilt) assert_stderr_contains "/etc/purple/policies/unbuilt.yaml:2:1: enforcement: audit" ;;
		esac
	done
}

@test "contrib/50-purple.conf makes Purple known to Podman, with its errors and without groups" {
	requires private_etc
	[[ -d /etc/containers/containers.conf.d ]] || skip "needs the folder /etc/containers"
	local conf=/etc/containers/containers.conf.d/50-purple.conf
	sed "s|@bindir@|${PURPLE_RUNTIME%/*}|" "$PURPLE_SRCDIR/contrib/50-purple.conf.in" >"$conf"
	# What the machine's own settings would be: not those of the tests, which name Purple too.
	from_contrib() {
		env -u CONTAINERS_CONF timeout 60 podman --runtime purple --cgroup-manager cgroupfs \
			--events-backend file --tmpdir "$PODMAN_DIR/tmp" "$@"
	}
	local limits=(--ulimit nofile=1024:1024 --ulimit nproc=1000:1000 --network none --log-driver k8s-file)
	assert_equal "$(from_contrib info --format '{{.Host.OCIRuntime.Name}} {{.Host.OCIRuntime.Path}}')" "purple $PURPLE_RUNTIME"
	new_id
	run from_contrib run --rm --name "$ID" "${limits[@]}" localhost/busybox echo ran
	assert_output ran
	# The error comes from the log that is JSON: nothing of its form is left.
	new_id
	run -126 from_contrib run --rm --name "$ID" --annotation io.purple.policy=none-such "${limits[@]}" localhost/busybox true
	assert_contains 'policy "none-such" is unknown'
	assert_lacks '"level"'
	new_id
	run from_contrib run --rm --name "$ID" --cgroups=disabled "${limits[@]}" localhost/busybox echo ran
	rm "$conf"
	assert_output ran
}
