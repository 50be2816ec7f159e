#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# How a policy reaches a container, and that an untrusted image or user can neither pick one that is
# not theirs to pick nor loosen one.

load policy

setup_file() {
	agent_build
	podman_setup
}

setup() {
	purple_setup
	make_bundle
	# What tells the policies apart: the limit of processes. strict also drops `mkdir`.
	policy loose <<<'resources: { pids_limit: 40 }'
	policy strict <<-END
		resources: { pids_limit: 20 }
		filesystem: { scratch_paths: [/tmp] }
		syscalls: { deny: [mkdir, mkdirat] }
	END
}

# annotate KEY VALUE: in config.json.
annotate() {
	edit_config '.annotations[$k] = $v' --arg k "$1" --arg v "$2"
}

# container ARG...: creates and starts ID with these global options; PID is its init.
container() {
	set_command sleep 1000
	new_id
	"$PURPLE_RUNTIME" --root "$PURPLE_ROOT" "$@" create --bundle "$BUNDLE" \
		--pid-file "$BATS_TEST_TMPDIR/pid" "$ID" </dev/null >out 2>err || { cat err; return 1; }
	PID=$(<pid)
	purple_rt start "$ID"
}

# The policies that `state` names.
effective() {
	purple_rt state "$ID" | jq -r '.annotations["io.purple.effective-policy"] // "none"'
}

# refused TEXT [ARG...]: create fails with this text, and leaves nothing.
refused() {
	local text=$1
	shift
	new_id
	run "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" "$@" create --bundle "$BUNDLE" "$ID"
	((status != 0)) || { echo "the container was created"; return 1; }
	assert_contains "$text"
	run purple_rt state "$ID"
	assert_contains "container does not exist"
}

# --- the ways -------------------------------------------------------------------------------------

@test "with no policy at all, none holds, and state names none" {
	container
	assert_equal "$(effective)" none
	run purple_rt exec "$ID" grep -E 'Seccomp:' /proc/self/status
	assert_output $'Seccomp:\t0'
}

@test "--policy: by name, before the command, and state names it" {
	container --policy strict
	assert_equal "$(effective)" strict
	assert_equal "$(pids_limit_of "$PID")" 20
	container --policy=loose
	assert_equal "$(effective)" loose
	assert_equal "$(pids_limit_of "$PID")" 40
}

@test "--policy: accepted by every command, and used by create alone" {
	container --policy strict
	"$PURPLE_RUNTIME" --policy loose --root "$PURPLE_ROOT" pause "$ID"
	"$PURPLE_RUNTIME" --root "$PURPLE_ROOT" resume "$ID"
	run "$PURPLE_RUNTIME" --policy loose --root "$PURPLE_ROOT" exec "$ID" mkdir /tmp/x
	assert_contains "Operation not permitted"
	assert_equal "$(effective)" strict
	assert_equal "$(pids_limit_of "$PID")" 20
	"$PURPLE_RUNTIME" --policy loose --root "$PURPLE_ROOT" kill "$ID" KILL
	"$PURPLE_RUNTIME" --policy loose --root "$PURPLE_ROOT" delete --force "$ID"
}

@test "the program's name picks a policy, and contradicts another --policy" {
	ln -s "$PURPLE_RUNTIME" purple-runtime-strict
	local PURPLE_RUNTIME=$PWD/purple-runtime-strict
	container
	assert_equal "$(effective)" strict
	assert_equal "$(pids_limit_of "$PID")" 20
	container --policy strict
	assert_equal "$(effective)" strict
	refused "contradicts" --policy loose
	run purple_rt exec "$ID" true
	((status != 0))
	ln -s purple-runtime-strict purple-runtime-unknown
	PURPLE_RUNTIME=$PWD/purple-runtime-unknown
	refused 'policy "unknown" is unknown'
}

@test "the settings' default_policy holds where the command line names none" {
	settings_install <<<'default_policy: strict'
	container
	assert_equal "$(effective)" strict
	container --policy loose
	assert_equal "$(effective)" loose
}

@test "the annotation picks a policy" {
	annotate io.purple.policy strict
	container
	assert_equal "$(effective)" strict
	assert_equal "$(pids_limit_of "$PID")" 20
	run purple_rt exec "$ID" mkdir /tmp/x
	assert_contains "Operation not permitted"
}

@test "the administrator's policy and the annotation's both hold, whichever is stricter" {
	annotate io.purple.policy loose
	container --policy strict
	assert_equal "$(pids_limit_of "$PID")" 20
	run effective
	assert_contains strict
	assert_contains loose
	run purple_rt exec "$ID" mkdir /tmp/x
	assert_contains "Operation not permitted"

	annotate io.purple.policy strict
	container --policy loose
	assert_equal "$(pids_limit_of "$PID")" 20
	run purple_rt exec "$ID" mkdir /tmp/x
	assert_contains "Operation not permitted"

	settings_install <<<'default_policy: strict'
	annotate io.purple.policy loose
	container
	assert_equal "$(pids_limit_of "$PID")" 20
	run effective
	assert_contains strict
	assert_contains loose
}

@test "one that is named twice holds once" {
	annotate io.purple.policy strict
	container --policy strict
	assert_equal "$(effective)" strict
	run purple_rt exec "$ID" grep Seccomp_filters /proc/self/status
	local twice=$output
	edit_config 'del(.annotations)'
	container --policy strict
	run purple_rt exec "$ID" grep Seccomp_filters /proc/self/status
	assert_output "$twice"
}

# --- untrusted annotations ------------------------------------------------------------------------

@test "an annotation that is no name is refused, and nothing is made" {
	local name
	mkdir p
	echo 'name: mine' >p/mine.yaml
	for name in /etc/purple/policies/strict strict.yaml/ ../policies/strict ./strict "$PWD/p/mine" \
		"$PWD/p/mine.yaml" Strict STRICT ' strict' 'strict ' $'strict\n' 'strict,loose' '' . .. .hidden \
		'str*ct' "$(printf 'a%.0s' {1..65})"; do
		annotate io.purple.policy "$name"
		refused "is not valid"
	done
	annotate io.purple.policy unheard-of
	refused 'policy "unheard-of" is unknown'
	annotate io.purple.policy strikt
	refused 'did you mean "strict"'
}

@test "an annotation names selectable policies only, also beside the administrator's" {
	settings_install <<<'selectable: [strict]'
	annotate io.purple.policy strict
	container
	assert_equal "$(effective)" strict
	annotate io.purple.policy loose
	refused 'policy "loose" is not selectable'
	refused 'policy "loose" is not selectable' --policy strict
	# Whether one exists is not told.
	annotate io.purple.policy unheard-of
	refused 'policy "unheard-of" is not selectable'
	# The administrator is not bound by the list.
	edit_config 'del(.annotations)'
	container --policy loose
	assert_equal "$(effective)" loose

	settings_install <<<'selectable: []'
	annotate io.purple.policy strict
	refused "is not selectable"
	settings_install <<<'selectable: all'
	container
	assert_equal "$(effective)" strict
}

@test "annotations that look like Purple's do nothing" {
	local key
	settings_install <<<'default_policy: strict'
	for key in io.purple/policy io.purple.Policy IO.PURPLE.POLICY io.purple.default_policy \
		io.purple.policy.disable io.purple.selectable run.oci.policy io.purple.admin-policy; do
		annotate "$key" loose
	done
	container
	assert_equal "$(effective)" strict
	assert_equal "$(pids_limit_of "$PID")" 20
}

@test "a container cannot pass for one that has a policy" {
	annotate io.purple.effective-policy strict
	container
	assert_equal "$(effective)" none
	container --policy loose
	assert_equal "$(effective)" loose
}

@test "the marks of a Kubernetes sandbox free of the policy only where the settings believe them" {
	local key
	for key in io.kubernetes.cri.container-type io.kubernetes.cri-o.ContainerType; do
		edit_config 'del(.annotations)'
		annotate "$key" sandbox
		container --policy strict
		assert_equal "$(effective)" strict
		settings_install <<<'default_policy: strict'
		container
		assert_equal "$(effective)" strict
		settings_install <<<$'default_policy: strict\nkubernetes: false'
		container
		assert_equal "$(effective)" strict
		settings_install <<<$'default_policy: strict\nkubernetes: true'
		container
		assert_equal "$(effective)" none
		annotate "$key" container
		container
		assert_equal "$(effective)" strict
		rm /etc/purple/purple.yaml
	done
}

@test "an annotation's policy grants no path that the administrator's does not" {
	mkdir -p secret "$BUNDLE/rootfs/secret"
	echo text >secret/treasure
	policy paths <<-END
		filesystem:
		  output_paths: [{ host_path: $PWD/secret, sandbox_path: /secret }]
		  immutable_paths: [{ host_path: $PWD/secret, sandbox_path: /seen }]
	END
	annotate io.purple.policy paths
	set_script 'ls /secret /seen; touch /secret/x'
	new_id
	run purple_rt --policy strict run --bundle "$BUNDLE" "$ID"
	assert_lacks treasure
	assert_equal "$(ls secret)" treasure
	new_id
	run purple_rt run --bundle "$BUNDLE" "$ID"
	assert_contains treasure
	assert_equal "$(ls secret)" $'treasure\nx'
}

# --- files ----------------------------------------------------------------------------------------

@test "a policy that others may write, or own, or that is no file, is not used" {
	chmod 0666 /etc/purple/policies/strict.yaml
	refused "may be written by everybody" --policy strict
	annotate io.purple.policy strict
	refused "may be written by everybody"
	edit_config 'del(.annotations)'
	chmod 0644 /etc/purple/policies/strict.yaml
	chown 1000 /etc/purple/policies/strict.yaml
	refused "belongs to user 1000" --policy strict
	rm /etc/purple/policies/strict.yaml
	mkdir /etc/purple/policies/strict.yaml
	refused "is not a regular file" --policy strict
	rmdir /etc/purple/policies/strict.yaml
	mkfifo /etc/purple/policies/strict.yaml
	refused "is not a regular file" --policy strict
	rm /etc/purple/policies/strict.yaml
	ln -s /nowhere /etc/purple/policies/strict.yaml
	refused "it is missing" --policy strict
	rm /etc/purple/policies/strict.yaml
	{ echo 'name: strict'; head -c 8400000 /dev/zero | tr '\0' '#'; } >/etc/purple/policies/strict.yaml
	refused "larger than 8 MiB" --policy strict
}

@test "settings that are wrong, or that others may write, stop every container" {
	settings_install <<<'default_polcy: strict'
	refused "/etc/purple/purple.yaml:1:1: unknown key 'default_polcy' (did you mean 'default_policy'?)"
	settings_install <<<$'selectable:\n  - ../x'
	refused "/etc/purple/purple.yaml:2:5: "
	settings_install <<<'kubernetes: perhaps'
	refused "/etc/purple/purple.yaml:1:13: "
	settings_install <<<'default_policy: unheard-of'
	refused 'policy "unheard-of" is unknown'
	settings_install <<<'default_policy: strict'
	chmod 0646 /etc/purple/purple.yaml
	refused "may be written by everybody"
	chmod 0644 /etc/purple/purple.yaml
	chown 1000 /etc/purple/purple.yaml
	refused "belongs to user 1000"
	rm /etc/purple/purple.yaml
	ln -s /nowhere /etc/purple/purple.yaml
	refused "it is missing"
}

@test "the administrator's policy of a name wins over the shipped one" {
	local shipped=/usr/share/purple/policies/secure-agent.yaml
	[[ -e $shipped ]]
	policy secure-agent <<<'resources: { pids_limit: 7 }'
	container --policy secure-agent
	assert_equal "$(pids_limit_of "$PID")" 7
}

# --- configurations and requests that want more ---------------------------------------------------

@test "the container's environment has no say" {
	settings_install <<<'default_policy: strict'
	edit_config '.process.env += ["PURPLE_POLICY=loose", "io.purple.policy=loose", "IO_PURPLE_POLICY=loose",
		"PURPLE_RUNTIME_POLICY=", "POLICY=loose"]'
	container
	assert_equal "$(effective)" strict
	PURPLE_POLICY=loose IO_PURPLE_POLICY=loose POLICY=loose container
	assert_equal "$(effective)" strict
}

@test "config.json cannot speak in Purple's own words" {
	edit_config '.linux.purpleIsolateNetwork = false | .linux.purplePolicySeccomp = []
		| .linux.policySeccomp = [{ defaultAction: "SCMP_ACT_ALLOW" }]
		| .linux.seccomp = { defaultAction: "SCMP_ACT_ALLOW", purpleExecOnce: true }
		| .linux.namespaces |= map(select(.type != "network"))'
	set_script 'mkdir /tmp/x; ip -o link | wc -l'
	new_id
	run purple_rt --policy strict run --bundle "$BUNDLE" "$ID"
	if ((status == 0)); then # or refused
		assert_contains "Operation not permitted"
		assert_equal "${lines[-1]}" 1
		# exec_once was not taken from there.
		new_id
		run purple_rt run --bundle "$BUNDLE" "$ID"
		assert_status 0
	else
		assert_contains purple
	fi
}

@test "nothing that changes after create changes what holds: config.json, the policy, the settings" {
	container --policy strict
	edit_config 'del(.linux.seccomp) | .process.noNewPrivileges = false
		| .process.capabilities |= map_values(["CAP_SYS_ADMIN"])'
	policy strict <<<'syscalls: {}'
	settings_install <<<'selectable: all'
	run purple_rt exec "$ID" mkdir /tmp/x
	assert_contains "Operation not permitted"
	rm "$BUNDLE/config.json" /etc/purple/policies/strict.yaml
	run purple_rt exec "$ID" sh -c 'mkdir /tmp/x; grep CapEff /proc/self/status'
	assert_contains "Operation not permitted"
	assert_contains $'CapEff:\t0000000000000000'
	make_bundle
}

@test "a process is not added with its own filter, more rights, or a shared memory of rights" {
	container --policy strict
	jq '.process | .args = ["sh", "-c", "mkdir /tmp/x; grep -E \"CapBnd|NoNewPrivs\" /proc/self/status"]
		| .noNewPrivileges = false
		| .capabilities = { bounding: ["CAP_SYS_ADMIN", "CAP_CHOWN"], permitted: ["CAP_SYS_ADMIN"],
			effective: ["CAP_SYS_ADMIN"], inheritable: ["CAP_SYS_ADMIN"], ambient: ["CAP_SYS_ADMIN"] }' \
		"$BUNDLE/config.json" >process.json
	run purple_rt exec --process process.json "$ID"
	assert_contains "Operation not permitted"
	assert_contains $'CapBnd:\t0000000000000000'
	assert_contains $'NoNewPrivs:\t1'
}

# --- through Podman -------------------------------------------------------------------------------

@test "Podman: --runtime-flag, a runtime per policy, and the annotation" {
	run podman_ --runtime-flag policy=strict run --rm --name "$ID-a" localhost/busybox mkdir /tmp/x
	assert_contains "Operation not permitted"
	ln -s "$PURPLE_RUNTIME" purple-runtime-strict
	run podman_ --runtime "$PWD/purple-runtime-strict" run --rm --name "$ID-b" localhost/busybox mkdir /tmp/x
	assert_contains "Operation not permitted"
	run podman_ run --rm --annotation io.purple.policy=strict --name "$ID-c" localhost/busybox mkdir /tmp/x
	assert_contains "Operation not permitted"
	run podman_ run --rm --name "$ID-d" localhost/busybox sh -c 'mkdir /tmp/x && echo made'
	assert_output made
}

@test "Podman: what was chosen at create holds through exec, pause, restart" {
	podman_ --runtime-flag policy=strict run -d --name "$ID" localhost/busybox sleep 1000 >/dev/null
	run podman_ exec "$ID" mkdir /tmp/x
	assert_contains "Operation not permitted"
	podman_ pause "$ID" >/dev/null
	podman_ unpause "$ID" >/dev/null
	run podman_ exec --privileged "$ID" sh -c 'mkdir /tmp/x; grep CapEff /proc/self/status'
	assert_contains "Operation not permitted"
	assert_contains $'CapEff:\t0000000000000000'
}

@test "Podman: an image can name a policy, and loosens nothing" {
	printf 'FROM localhost/busybox\nENV PURPLE_POLICY=loose\n' |
		podman_ build -q --annotation io.purple.policy=loose -t "localhost/img-$BATS_TEST_NUMBER" - >/dev/null
	local image=localhost/img-$BATS_TEST_NUMBER
	run podman_ image inspect --format '{{index .Annotations "io.purple.policy"}}' "$image"
	assert_output loose
	run podman_ --runtime-flag policy=strict run --rm --name "$ID-a" "$image" mkdir /tmp/x
	assert_contains "Operation not permitted"
	settings_install <<<$'default_policy: strict\nselectable: [strict]'
	run podman_ run --rm --name "$ID-b" "$image" true
	# Podman 4.3 hands the image's annotations on, 4.6 and later do not.
	if ((status != 0)); then
		assert_contains 'policy "loose" is not selectable'
	else
		run podman_ run --rm --name "$ID-c" "$image" mkdir /tmp/x
		assert_contains "Operation not permitted"
	fi
	podman_ rmi -f "$image" >/dev/null
}

@test "Podman: an unknown policy ends with 126 and says why; no container is left in the runtime" {
	run podman_ run --rm --annotation io.purple.policy=unheard-of --name "$ID" localhost/busybox true
	assert_status 126
	assert_contains 'policy "unheard-of" is unknown'
	run find /run/purple -mindepth 1
	assert_output ""
}

@test "Podman: limits of the command line that are above the policy's do not win" {
	podman_ --runtime-flag policy=strict run -d --name "$ID" --pids-limit 1000 --privileged \
		--security-opt seccomp=unconfined --cap-add all localhost/busybox sleep 1000 >/dev/null
	assert_equal "$(pids_limit_of "$(podman_ inspect --format '{{.State.Pid}}' "$ID")")" 20
	run podman_ exec "$ID" sh -c 'mkdir /tmp/x; grep CapBnd /proc/self/status; ls /dev/mem /dev/kmsg'
	assert_contains "Operation not permitted"
	assert_contains $'CapBnd:\t0000000000000000'
	assert_lacks $'\n/dev/mem'
	assert_lacks $'\n/dev/kmsg'
}
