#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Podman's pods: namespaces that containers share, the commands for pods, and Kubernetes' YAML.

load podman

setup_file() {
	requires catatonit # Podman's pause image is made of it
	podman_setup
	# Podman 4.3 swaps the soft and the hard limit in `play kube`.
	sed -i 's/nofile=1024:20000/nofile=1024:1024/' "$CONTAINERS_CONF"
}

teardown() {
	local left=0
	# Podman removes the containers of a pod by itself; `play kube` names them after the pod.
	podman_ pod rm -a -f -t 0 >/dev/null || left=1
	podman_teardown || left=1
	# The pods' groups: Podman leaves them where the kernel still counts what has ended.
	find /sys/fs/cgroup -depth -type d -path "*/libpod_parent/*" -empty -delete 2>/dev/null || true
	return "$left"
}

# pid_of CONTAINER
pid_of() {
	podman_ inspect --format '{{.State.Pid}}' "$1"
}

is_pod() {
	[[ $(podman_ pod inspect --format '{{.State}}' "$ID") == "$1" ]]
}

# --- pods -----------------------------------------------------------------------------------------

@test "a pod's infra container holds the namespaces that its containers share, whatever their policy" {
	policy_install pod-agent <<<'{ name: pod-agent, resources: { pids_limit: 30 }, network: { isolated: false } }'
	podman_ pod create --name "$ID" --hostname pod --share net,uts,ipc,pid >/dev/null
	podman_ run -d --pod "$ID" --name "$ID-a" "$IMAGE" sleep 1001 >/dev/null
	podman_ run -d --pod "$ID" --name "$ID-b" --annotation io.purple.policy=pod-agent "$IMAGE" sleep 1002 >/dev/null
	local infra a b ns
	infra=$(podman_ pod inspect --format '{{.InfraContainerID}}' "$ID")
	assert_equal "$("$PURPLE_RUNTIME" state "$infra" | jq -r .status)" running
	infra=$(pid_of "$infra") a=$(pid_of "$ID-a") b=$(pid_of "$ID-b")
	for ns in net uts ipc pid; do
		assert_equal "$(readlink "/proc/$a/ns/$ns" "/proc/$b/ns/$ns")" "$(readlink "/proc/$infra/ns/$ns" "/proc/$infra/ns/$ns")"
	done
	assert_equal "$(readlink "/proc/$infra/ns/mnt" "/proc/$a/ns/mnt" "/proc/$b/ns/mnt" | sort -u | wc -l)" 3
	capture podman_ exec "$ID-a" sh -c 'hostname; ps -o args | grep -c "[s]leep 100"; cat /proc/1/comm'
	assert_output $'pod\n2\ncatatonit'
	capture podman_ exec "$ID-b" grep NoNewPrivs /proc/self/status
	assert_output $'NoNewPrivs:\t1'
	# One that shares processes ends alone.
	podman_ stop -t 0 "$ID-a"
	capture podman_ exec "$ID-b" ps -o args
	assert_contains "sleep 1002"
	assert_lacks "sleep 1001"
}

@test "pod stats, top, ps, pause, unpause, kill, start, restart, stop and rm" {
	podman_ pod create --name "$ID" >/dev/null
	podman_ run -d --pod "$ID" --name "$ID-a" -m 64m "$IMAGE" sh -c 'trap "exit 7" TERM; echo up; while :; do sleep 0.05; done' >/dev/null
	podman_ run -d --pod "$ID" --name "$ID-b" "$IMAGE" sleep 1000 >/dev/null
	run podman_ pod stats --no-stream --format '{{.Name}} {{.MemUsage}} {{.PIDS}}' "$ID"
	assert_status 0
	[[ $output =~ "$ID-a "[1-9].*"/ 67.11MB 2"|"$ID-a "[1-9].*"/ 67.11MB 1" ]]
	assert_contains "$ID-b"
	run podman_ pod top "$ID" args
	assert_contains "sleep 1000"
	run podman_ pod ps --filter "name=$ID" --format '{{.Status}} {{.NumberOfContainers}}'
	assert_output "Running 3"
	podman_ pod pause "$ID"
	is_pod Paused
	capture podman_ exec "$ID-b" true
	((status != 0))
	podman_ pod unpause "$ID"
	podman_ pod stop -t 10 "$ID"
	assert_equal "$(podman_ inspect --format '{{.State.ExitCode}}' "$ID-a")" 7
	podman_ pod start "$ID"
	is_pod Running
	podman_ pod kill -s KILL "$ID"
	wait_for 10 is_pod Exited
	podman_ pod restart "$ID"
	is_pod Running
	podman_ exec "$ID-a" true
	local pid
	pid=$(pid_of "$ID-b")
	podman_ pod rm -f -t 0 "$ID"
	[[ ! -d /proc/$pid ]]
}

@test "--pod-id-file, a pod with limits and ids of its own, and one whose infra container has a policy" {
	policy_install infra <<<'{ name: infra, resources: { pids_limit: 30 } }'
	podman_ pod create --name "$ID" --pod-id-file "$PWD/pod" --userns host --cpus 0.5 --memory 96m >/dev/null
	podman_ run -d --pod-id-file "$PWD/pod" --name "$ID-a" "$IMAGE" sleep 1000 >/dev/null
	assert_equal "$(podman_ pod inspect --format '{{.Name}}' "$(<pod)")" "$ID"
	# The pod's limits are its group's, above those of its containers.
	local dir
	dir=$(cgroup_dir "$(pid_of "$ID-a")" memory)
	[[ -e $dir/memory.limit_in_bytes ]] || dir=$(cgroup_dir "$(pid_of "$ID-a")")
	assert_equal "$(cat "${dir%/*}"/memory.limit_in_bytes "${dir%/*}"/memory.max 2>/dev/null)" $((96 << 20))
	# By a runtime of the pod's own, whose name ends in the policy.
	ln -s "$PURPLE_RUNTIME" purple-runtime-infra
	podman_ --runtime "$PWD/purple-runtime-infra" pod create --name "$ID-p" >/dev/null
	podman_ --runtime "$PWD/purple-runtime-infra" pod start "$ID-p" >/dev/null
	assert_equal "$("$PURPLE_RUNTIME" state "$(podman_ pod inspect --format '{{.InfraContainerID}}' "$ID-p")" |
		jq -r '.annotations["io.purple.effective-policy"]')" infra
	podman_ pod rm -f -t 0 "$ID-p"
}

# --- Kubernetes' YAML -----------------------------------------------------------------------------

kube_yaml() {
	cat <<-END
		apiVersion: v1
		kind: ConfigMap
		metadata: { name: settings }
		data: { from: map }
		---
		apiVersion: v1
		kind: Pod
		metadata: { name: $ID, labels: { app: test }, annotations: { $1 } }
		spec:
		  restartPolicy: Never
		  initContainers:
		  - { name: prepare, image: $IMAGE, command: [sh, -c, "echo prepared >/shared/file"],
		      volumeMounts: [{ name: shared, mountPath: /shared }] }
		  containers:
		  - name: one
		    image: $IMAGE
		    command: [sh, -c, "cat /shared/file; echo \$COLOR \$FROM; id -u; touch /x; exec sleep 1000"]
		    env:
		    - { name: COLOR, value: blue }
		    - { name: FROM, valueFrom: { configMapKeyRef: { name: settings, key: from } } }
		    volumeMounts: [{ name: shared, mountPath: /shared }, { name: host, mountPath: /host, readOnly: true }]
		    resources: { limits: { memory: 64Mi, cpu: 500m } }
		    livenessProbe: { exec: { command: [test, -e, /shared/file] }, periodSeconds: 3600 }
		    securityContext: { runAsUser: 1000, runAsGroup: 7, readOnlyRootFilesystem: true,
		      allowPrivilegeEscalation: false, capabilities: { drop: [ALL], add: [NET_BIND_SERVICE] } }
		  - name: two
		    image: $IMAGE
		    command: [sleep, "1000"]
		    volumeMounts: [{ name: shared, mountPath: /shared, readOnly: true }]
		  volumes:
		  - { name: shared, emptyDir: {} }
		  - { name: host, hostPath: { path: $PWD/host, type: Directory } }
	END
}

log_ends() {
	[[ $(podman_ logs "$1" 2>/dev/null) == *1000 ]]
}

# What holds for the container: once from our YAML, once from what Podman made of it.
assert_kube() { # PREFIX
	wait_for 10 log_ends "$1-one"
	capture podman_ logs "$1-one"
	assert_output $'prepared\nblue map\n1000'
	assert_stderr_contains "/x: Read-only file system"
	local pid
	pid=$(pid_of "$1-one")
	assert_equal "$(awk '/^(CapBnd|NoNewPrivs|Uid|Gid)/ { print $2 }' "/proc/$pid/status" | xargs)" "1000 7 0000000000000400 1"
	local dir
	dir=$(cgroup_dir "$pid" memory)
	[[ -e $dir/memory.limit_in_bytes ]] || dir=$(cgroup_dir "$pid")
	assert_equal "$(cat "$dir"/memory.limit_in_bytes "$dir"/memory.max 2>/dev/null)" $((64 << 20))
	capture podman_ exec "$1-two" sh -c 'cat /shared/file; touch /shared/x'
	assert_output prepared
	assert_stderr_contains "Read-only file system"
	capture podman_ exec "$1-one" sh -c 'cat /host/file; touch /host/x'
	assert_output host
	assert_stderr_contains "Read-only file system"
	podman_ healthcheck run "$1-one"
	assert_equal "$(readlink "/proc/$pid/ns/net")" "$(readlink "/proc/$(pid_of "$1-two")/ns/net")"
}

@test "play kube makes a pod as its YAML says, and generate kube a YAML that makes it again" {
	mkdir host
	echo host >host/file
	kube_yaml "" >pod.yaml
	podman_ play kube --network none pod.yaml
	assert_kube "$ID"
	podman_ generate kube "$ID" 2>/dev/null >again.yaml
	podman_ play kube --down pod.yaml
	capture podman_ pod exists "$ID"
	assert_status 1
	# An init container that has run is not of the pod any more, nor is what it wrote.
	podman_ play kube --network none again.yaml
	wait_for 10 log_ends "$ID-$ID-one"
	capture podman_ exec "$ID-$ID-one" sh -c 'cat /host/file; echo $COLOR $FROM; id -u; touch /x; grep CapBnd /proc/self/status'
	assert_output $'host\nblue map\n1000\nCapBnd:\t0000000000000400'
	assert_stderr_contains "/x: Read-only file system"
	podman_ play kube --down again.yaml
	podman_ volume rm -a -f >/dev/null
}

@test "play kube: a pod's annotation names the policy of its containers" {
	policy_install kube-agent <<-END
		name: kube-agent
		syscalls: { default_deny: false, deny: [mkdir, mkdirat] }
		resources: { memory_limit_bytes: 32M, pids_limit: 30 }
		filesystem: { scratch_paths: [/shared] }
	END
	mkdir host
	kube_yaml "io.purple.policy: kube-agent" >pod.yaml
	podman_ play kube --network none pod.yaml
	capture podman_ exec "$ID-two" sh -c 'mkdir /tmp/x; touch /x; touch /shared/x && echo scratch; grep -E "CapEff|NoNewPrivs" /proc/self/status; ls /sys/class/net'
	assert_contains $'CapEff:\t0000000000000000\nNoNewPrivs:\t1\nlo'
	assert_stderr_contains "mkdir: can't create directory '/tmp/x': Operation not permitted"
	assert_stderr_contains "/x: Read-only file system"
	# The pod asked for 64 MB.
	local pid dir
	pid=$(pid_of "$ID-one")
	dir=$(cgroup_dir "$pid" memory)
	[[ -e $dir/memory.limit_in_bytes ]] || dir=$(cgroup_dir "$pid")
	assert_equal "$(cat "$dir"/memory.limit_in_bytes "$dir"/memory.max 2>/dev/null)" $((32 << 20))
	podman_ play kube --down pod.yaml
}
