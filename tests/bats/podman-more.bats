#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Podman's less used options, and its service: the same container over Docker's and Podman's own
# HTTP interface.

load podman

setup_file() {
	podman_setup
	# Podman 4.3 swaps the soft and the hard limit for containers that its service makes.
	sed -i 's/nofile=1024:20000/nofile=1024:1024/' "$CONTAINERS_CONF"
	export API=$PODMAN_DIR/api.sock
}

# --- options of podman run ------------------------------------------------------------------------

@test "--ulimit, --cgroups=no-conmon and split, --timeout, --group-add keep-groups" {
	run_podman --cgroups=no-conmon --ulimit nofile=100:200 --ulimit nproc=1000:1000 --ulimit core=0:0 --ulimit fsize=4096 --group-add keep-groups \
		--oom-score-adj 400 --umask 0027 --tz UTC --env-host=false --http-proxy=false "$IMAGE" \
		sh -c 'ulimit -Sn; ulimit -Hn; ulimit -c; cat /proc/self/oom_score_adj; umask; head -c 9000 /dev/zero >/x; wc -c </x'
	assert_output $'100\n200\n0\n400\n0027\n4096'
	# Where the groups of the caller are, Podman finds out itself, on version 2 only.
	if has cgroup_v2; then
		run_podman --cgroups=split "$IMAGE" true
		assert_status 0
	fi
	run_podman --timeout 1 "$IMAGE" sh -c 'echo begun; sleep 100'
	((status != 0))
	assert_output begun
}

@test "--pid, --ipc, --network and --uts of another container and of the host, and none at all" {
	start_podman --ipc shareable --hostname first "$IMAGE" sleep 1000
	local first=$ID pid
	pid=$(field '{{.State.Pid}}')
	run_podman --pid "container:$first" --ipc "container:$first" --network "container:$first" --uts "container:$first" "$IMAGE" \
		sh -c 'for ns in pid ipc net uts; do readlink /proc/self/ns/$ns; done; cat /proc/1/comm'
	assert_output "$(for ns in pid ipc net uts; do readlink "/proc/$pid/ns/$ns"; done)"$'\nsleep'
	run_podman --pid host --network host --uts host --cgroupns host "$IMAGE" \
		sh -c 'for ns in pid net uts cgroup; do readlink /proc/self/ns/$ns; done'
	assert_output "$(for ns in pid net uts cgroup; do readlink "/proc/self/ns/$ns"; done)"
	run_podman --network "ns:/proc/$pid/ns/net" --ipc none --cgroupns private "$IMAGE" \
		sh -c 'readlink /proc/self/ns/net; ls -d /dev/shm || echo no shm; sed -n "s/^0:://p" /proc/self/cgroup'
	assert_equal "${lines[0]:-}$(sed -n 1p <<<"$output")" "$(readlink "/proc/$pid/ns/net")"
	assert_equal "$(tail -n 1 <<<"$output")" /
}

@test "--mount: bind, tmpfs, image, volume, devpts, ramfs, with their options" {
	mkdir dir
	echo host >dir/file
	run_podman --mount "type=bind,src=$PWD/dir,dst=/b,ro,bind-nonrecursive" --mount type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=0711 \
		--mount "type=image,src=$IMAGE,dst=/i" --mount "type=volume,src=$ID,dst=/vol" --mount type=devpts,dst=/pts \
		--mount "type=bind,src=$PWD/dir,dst=/exec,exec=false,suid=false,dev=false,bind-propagation=rslave" "$IMAGE" sh -c '
		cat /b/file; touch /b/x; ls /i/bin/busybox; stat -c %a /t; test -w /vol && echo volume; ls /pts
		grep " /exec " /proc/self/mountinfo | grep -o "nosuid,nodev,noexec.*master:" | cut -d, -f 1-3; df -k /t | tail -n 1 | tr -s " " | cut -d " " -f 2'
	assert_contains $'host\n/i/bin/busybox\n711\nvolume\nptmx'
	assert_contains 1024
	assert_stderr_contains "/b/x: Read-only file system"
	podman_ volume rm -f "$ID" >/dev/null
}

@test "--rootfs: a folder as the root, itself or below an overlay, and -v :O" {
	make_rootfs image
	mkdir dir
	echo host >dir/file
	new_id
	run podman_ run --rm --name "$ID" --rootfs "$PWD/image" sh -c 'touch /made && echo ok'
	assert_output ok
	[[ -e image/made ]]
	new_id
	run podman_ run --rm --name "$ID" --rootfs "$PWD/image:O" sh -c 'touch /over && echo ok'
	assert_output ok
	[[ ! -e image/over ]]
	run_podman -v "$PWD/dir:/d:O" "$IMAGE" sh -c 'echo new >/d/file; cat /d/file'
	assert_output new
	assert_equal "$(<dir/file)" host
}

@test "secrets: as files with owner and mode, and as variables, also under a policy" {
	secrets() {
		echo hush | podman_ secret create "$ID-$WAY" - >/dev/null
		local secret="$ID-$WAY"
		run_podman --secret "$secret,uid=33,mode=0400" --secret "$secret,type=env,target=SECRET" "$IMAGE" \
			sh -c "stat -c '%u %a' /run/secrets/$secret; echo \$SECRET; cat /run/secrets/$secret; touch /run/secrets/new"
		podman_ secret rm "$secret" >/dev/null
		assert_equal "$(sed -n 1,2p <<<"$output")" $'33 400\nhush'
		if [[ $WAY == plain ]]; then
			assert_status 0
		else
			# Root without its capabilities is not let in, and the folder is read-only.
			assert_stderr_contains "Permission denied"
			assert_stderr_contains "/run/secrets/new: Read-only file system"
		fi
	}
	both_ways secrets
}

@test "--init has catatonit reap, --systemd=always prepares a root for systemd, --log-driver and --attach" {
	requires catatonit
	run_podman --init "$IMAGE" sh -c 'cat /proc/1/comm; (sleep 0.1 &); i=0
		while grep -qs "(sleep)" /proc/[0-9]*/stat; do [ $((i += 1)) -lt 100 ] || exit 9; sleep 0.1; done'
	assert_status 0
	assert_output podman-init
	run_podman --systemd=always "$IMAGE" sh -c 'for d in /run /run/lock /tmp /var/log/journal; do grep -c " $d tmpfs" /proc/mounts; done; echo $container'
	assert_output $'1\n1\n1\n1\npodman'
	run_podman --log-driver none -a stderr "$IMAGE" sh -c 'echo out; echo err >&2'
	assert_output ""
	assert_equal "$stderr" err
}

@test "--security-opt: label, apparmor, proc-opts, mask and unmask, seccomp and no-new-privileges together" {
	run_podman --security-opt label=disable --security-opt mask=/proc/uptime:/proc/loadavg --security-opt unmask=/proc/keys \
		--security-opt no-new-privileges --security-opt seccomp=unconfined --security-opt proc-opts=hidepid=2 "$IMAGE" \
		sh -c 'cat /proc/uptime /proc/loadavg; head -c 1 /proc/keys | wc -c; grep -E "NoNewPrivs|Seccomp:" /proc/self/status; grep " /proc " /proc/mounts | grep -o hidepid=[a-z0-9]*'
	assert_output $'1\nNoNewPrivs:\t1\nSeccomp:\t0\nhidepid=invisible'
	# A profile that the kernel cannot apply keeps the container from starting.
	has apparmor || {
		run_podman --security-opt apparmor=some-profile "$IMAGE" echo ran
		((status != 0))
		assert_equal "$output" ""
	}
}

@test "--device with its kinds, --device-cgroup-rule, --device-read-bps" {
	run_podman --device /dev/zero --device /dev/null:/dev/mine:rwm --device-cgroup-rule "c 1:9 r" "$IMAGE" sh -c '
		head -c 3 /dev/zero | wc -c; echo x >/dev/mine && echo writes; ls -l /dev/mine | cut -c 1'
	assert_output $'3\nwrites\nc'
	run_podman --device /no/such/device "$IMAGE" true
	((status != 0))
}

# --- restarts -------------------------------------------------------------------------------------

@test "--restart always goes on until the container is removed, --restart no does not begin" {
	start_podman --restart always "$IMAGE" sh -c 'echo try; exit 0'
	wait_for 20 eval '(($(podman_ logs "$ID" | grep -c try) >= 3))'
	podman_ rm -f -t 0 "$ID"
	start_podman --restart no "$IMAGE" sh -c 'echo try; exit 1'
	assert_equal "$(podman_ wait "$ID")" 1
	assert_equal "$(field '{{.RestartCount}} {{.State.Status}}')" "0 exited"
	assert_equal "$(podman_ logs "$ID")" try
}

# --- the service ----------------------------------------------------------------------------------

api() { # METHOD PATH [JSON]
	curl -sS --max-time 30 --unix-socket "$API" -X "$1" -H 'Content-Type: application/json' ${3:+-d "$3"} "http://d$2"
}

# One service for the test; killed with it.
with_service() {
	requires curl
	podman system service --time 0 "unix://$API" >service.log 2>&1 3>&- &
	SERVICE=$!
	wait_for 10 test -S "$API"
	"$@" || { cat service.log; kill "$SERVICE"; return 1; }
	kill "$SERVICE"
	wait "$SERVICE" || true
}

@test "the service runs containers over Docker's interface and over Podman's own" {
	policy_install api-agent <<<'{ name: api-agent, syscalls: { default_deny: false, deny: [mkdir, mkdirat] }, resources: { pids_limit: 30 } }'
	service() {
		local id exec
		assert_equal "$(api GET /v1.41/info | jq -r .DefaultRuntime)" purple
		id=$(api POST "/v1.41/containers/create?name=$ID" '{ "Image": "'"$IMAGE"'", "Env": ["A=b"], "User": "33",
			"Cmd": ["sh", "-c", "echo $A; id -u; echo err >&2; exit 3"],
			"HostConfig": { "Memory": 67108864, "PidsLimit": 30, "NetworkMode": "none", "CapDrop": ["ALL"] } }' | jq -r .Id)
		api POST "/v1.41/containers/$id/start"
		assert_equal "$(api POST "/v1.41/containers/$id/wait" | jq .StatusCode)" 3
		assert_equal "$(api GET "/v1.41/containers/$id/logs?stdout=1" | tr -d '\000-\010\016-\037' | xargs)" "b 33"
		api DELETE "/v1.41/containers/$id"

		id=$(api POST /v4.0.0/libpod/containers/create '{ "image": "'"$IMAGE"'", "name": "'"$ID-b"'",
			"command": ["sleep", "1000"], "annotations": { "io.purple.policy": "api-agent" }, "netns": { "nsmode": "none" } }' | jq -r .Id)
		api POST "/v4.0.0/libpod/containers/$id/start"
		assert_equal "$("$PURPLE_RUNTIME" state "$id" | jq -r '.annotations["io.purple.effective-policy"]')" api-agent
		exec=$(api POST "/v1.41/containers/$id/exec" '{ "Cmd": ["mkdir", "/tmp/x"], "AttachStdout": true, "AttachStderr": true }' | jq -r .Id)
		api POST "/v1.41/exec/$exec/start" '{ "Detach": false }' | tr -d '\000-\010\016-\037' >exec.out
		grep "Operation not permitted" exec.out
		assert_equal "$(api GET "/v1.41/exec/$exec/json" | jq .ExitCode)" 1
		api GET "/v1.41/containers/$id/top" | jq -e '.Processes | length == 1'
		(($(api GET "/v1.41/containers/$id/stats?stream=false" | jq .pids_stats.current) >= 1))
		api POST "/v1.41/containers/$id/pause"
		assert_equal "$(api GET "/v1.41/containers/$id/json" | jq -r .State.Status)" paused
		api POST "/v1.41/containers/$id/unpause"
		api POST "/v1.41/containers/$id/stop?t=0"
		assert_equal "$(api GET "/v1.41/containers/$id/json" | jq -r '.State.Status, .State.ExitCode' | xargs)" "exited 137"
		api DELETE "/v1.41/containers/$id?force=true"
		# What keeps a container from starting is in the answer.
		id=$(api POST /v4.0.0/libpod/containers/create '{ "image": "'"$IMAGE"'", "name": "'"$ID-c"'",
			"annotations": { "io.purple.policy": "no-such" }, "netns": { "nsmode": "none" } }' | jq -r .Id)
		[[ $(api POST "/v4.0.0/libpod/containers/$id/start" | jq -r .message) == *'policy "no-such" is unknown'* ]]
	}
	with_service service
}
