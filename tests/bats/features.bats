#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# `features` is complete and true: what it lists is taken and takes effect, and what the runtime-spec
# or the kernel's headers know and it does not list is refused by name. And every document that the
# runtime writes is valid by the schemas of the runtime-spec.

load helpers
load spec

setup() {
	spec_setup
	"$PURPLE_RUNTIME" features >known.json
}

teardown() {
	spec_teardown
}

# listed JQ-PATH: the words of a list of features, a line each.
listed() {
	jq -r "$1[]" known.json
}

# taken: create of BUNDLE succeeds; the container is taken away again.
taken() {
	local ID
	new_id
	run create_container
	assert_status 0
	run purple_rt delete --force "$ID"
	assert_status 0
}

# only FILTER LISTED-PATH WORD...: each word goes into the config by the filter ($word) and is taken
# when features lists it; else it is refused by name.
only() {
	local filter=$1 path=$2 word
	shift 2
	cp "$BUNDLE/config.json" plain.json
	for word; do
		cp plain.json "$BUNDLE/config.json"
		edit_config "$filter" --arg word "$word"
		echo "word: $word"
		if listed "$path" | grep -qxF -e "$word"; then
			taken
		else
			refused . "$word"
		fi
	done
	cp plain.json "$BUNDLE/config.json"
}

# header FILE REGEX: the names in one of the kernel's or a library's headers.
header() {
	[[ -e /usr/include/$1 ]] || skip "needs the header $1"
	grep -oE "\b$2\b" "/usr/include/$1" | sort -u
}

# --- namespaces -----------------------------------------------------------------------------------

@test "the namespaces of features are the kernel's" {
	local known
	known=$(cd /proc/self/ns && echo * | tr ' ' '\n' | grep -v for_children |
		sed 's/^mnt$/mount/; s/^net$/network/' | sort)
	assert_equal "$(listed .linux.namespaces | sort)" "$known"
}

@test "each namespace of features is made anew, and no other type is known" {
	local type file
	edit_config '.linux.namespaces = ($f[0].linux.namespaces | map({type: .}))
		| .linux.uidMappings = [{containerID: 0, hostID: 0, size: 65536}]
		| .linux.gidMappings = .linux.uidMappings' --slurpfile f known.json
	start_sleeper
	for type in $(listed .linux.namespaces); do
		file=$type
		[[ $type != mount ]] || file=mnt
		[[ $type != network ]] || file=net
		echo "namespace: $type"
		[[ $(readlink "/proc/$PID/ns/$file") != "$(readlink "/proc/self/ns/$file")" ]]
	done
	purple_rt delete --force "$ID"
	make_bundle
	only '.linux.namespaces += [{type: $word}]' .linux.namespaces mnt net Pid syslog ""
}

# --- mount options --------------------------------------------------------------------------------

# "Linux mount options" of the runtime-spec's config.md (1.2), without mand (Linux has no mandatory
# locks since 5.15) and iversion (which fsconfig(2) does not know).
spec_mount_options() {
	printf '%s\n' async atime bind defaults dev diratime dirsync exec idmap lazytime loud \
		noatime nodev nodiratime noexec noiversion nolazytime nomand norelatime nostrictatime \
		nosuid nosymfollow private ratime rbind rdev rdiratime relatime remount rexec ridmap \
		rnoatime rnodev rnodiratime rnoexec rnorelatime rnostrictatime rnosuid rnosymfollow ro \
		rprivate rrelatime rro rrw rshared rslave rstrictatime rsuid rsymfollow runbindable rw \
		shared silent slave strictatime suid symfollow sync tmpcopyup unbindable
}

@test "the mount options of features are those of the runtime-spec" {
	assert_equal "$(listed .mountOptions)" "$(spec_mount_options | LC_ALL=C sort)"
}

@test "each mount option of features is taken on a tmpfs or on a bind" {
	# The binds are tried in runtime-cli.bats.
	local option
	for option in $(listed .mountOptions); do
		case $option in
		bind | rbind | idmap | ridmap | remount) continue ;;
		esac
		edit_config '.mounts += [{destination: "/mnt/\($o)", type: "tmpfs", source: "tmpfs", options: [$o]}]' \
			--arg o "$option"
	done
	edit_config '.mounts += [{destination: "/mnt/ro", options: ["remount", "noexec"]}]'
	for option in idmap ridmap; do
		edit_config '.mounts += [{destination: "/mnt/\($o)", source: $s, options: ["rbind", $o],
			uidMappings: [{containerID: 0, hostID: 1000, size: 10}],
			gidMappings: [{containerID: 0, hostID: 1000, size: 10}]}]' --arg o "$option" --arg s "$PWD"
	done
	edit_config '.root.readonly = false'
	start_sleeper
	(($(grep -c ' /mnt/' "/proc/$PID/mountinfo") == $(listed .mountOptions | wc -l) - 3))
	# Some whose effect the kernel shows.
	[[ $(mount_options_of "$PID" /mnt/nosuid) == *nosuid* ]]
	[[ $(mount_options_of "$PID" /mnt/noexec) == *noexec* ]]
	[[ $(mount_options_of "$PID" /mnt/nodev) == *nodev* ]]
	[[ $(mount_options_of "$PID" /mnt/nosymfollow) == *nosymfollow* ]]
	[[ $(mount_options_of "$PID" /mnt/noatime) == *noatime* ]]
	[[ $(mount_options_of "$PID" /mnt/nodiratime) == *nodiratime* ]]
	[[ $(mount_options_of "$PID" /mnt/strictatime) != *relatime* ]]
	[[ $(mount_options_of "$PID" /mnt/ro) == ro,*noexec* || $(mount_options_of "$PID" /mnt/ro) == *noexec* ]]
	[[ $(mount_options_of "$PID" /mnt/rro) == ro* ]]
	[[ $(propagation_of "$PID" /mnt/shared) == shared:* ]]
	[[ $(propagation_of "$PID" /mnt/unbindable) == *unbindable* ]]
	grep -E ' /mnt/sync .*sync' "/proc/$PID/mountinfo"
	grep -E ' /mnt/dirsync .*dirsync' "/proc/$PID/mountinfo"
}

@test "what mount(8) or other runtimes know and features does not list is refused by name" {
	local option
	mkdir -p "$BUNDLE/data"
	for option in acl noacl auto noauto user nouser owner group nofail _netdev move norbind \
		recursive ROTATE x-mount.mkdir rrbind copy-symlink context; do
		refused ".mounts += [{destination: \"/mnt\", source: \"$PWD/bundle/data\", options: [\"rbind\", \"$option\"]}]" "$option"
	done
	for option in frobnicate tmpcopydown mand iversion; do
		refused ".mounts += [{destination: \"/mnt\", type: \"tmpfs\", source: \"t\", options: [\"$option\"]}]" "$option"
	done
}

# --- capabilities ---------------------------------------------------------------------------------

@test "the capabilities of features are the kernel's, and the container gets each that there is to give" {
	local names own
	(($(listed .linux.capabilities | wc -l) == $(cat /proc/sys/kernel/cap_last_cap) + 1))
	names=$(header linux/capability.h 'CAP_[A-Z_]+' | grep -vxE 'CAP_LAST_CAP|CAP_VALID|CAP_TO_INDEX|CAP_TO_MASK')
	assert_equal "$(comm -23 <(echo "$names") <(listed .linux.capabilities | sort))" ""
	edit_config '.process.capabilities = ($f[0].linux.capabilities | {bounding: ., effective: ., permitted: .})' \
		--slurpfile f known.json
	own=$(awk '/^CapEff:/ { print $2 }' /proc/self/status)
	start_sleeper
	assert_equal "$(awk '/^CapEff:/ { print $2 }' "/proc/$PID/status")" "$own"
	assert_equal "$(awk '/^CapBnd:/ { print $2 }' "/proc/$PID/status")" "$own"
}

# --- seccomp --------------------------------------------------------------------------------------

@test "the seccomp actions of features, and no others, are taken" {
	requires seccomp
	local names
	names=$(header seccomp.h 'SCMP_ACT_[A-Z_]+' | grep -vx SCMP_ACT_MASK)
	# NOTIFY needs an agent: its tests are in runtime-seccomp.bats.
	assert_equal "$(comm -23 <(echo "$names") <(listed .linux.seccomp.actions | sort))" ""
	# shellcheck disable=SC2046 # words
	only '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["acct"], action: $word}]}' \
		.linux.seccomp.actions $(listed .linux.seccomp.actions | grep -vx SCMP_ACT_NOTIFY) SCMP_ACT_USER_NOTIF \
		SECCOMP_RET_ERRNO SCMP_ACT_MASK scmp_act_errno
}

@test "the seccomp operators of features, and no others, are taken" {
	requires seccomp
	assert_equal "$(header seccomp.h 'SCMP_CMP_[A-Z_]+' | comm -23 - <(listed .linux.seccomp.operators | sort) |
		tr '\n' ' ')" ""
	# shellcheck disable=SC2046 # words
	only '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["acct"],
		action: "SCMP_ACT_ERRNO", args: [{index: 0, value: 1, valueTwo: 1, op: $word}]}]}' \
		.linux.seccomp.operators $(listed .linux.seccomp.operators) SCMP_CMP_MAX SCMP_CMP_ALMOST
}

@test "the seccomp architectures of features, and no others, are taken" {
	requires seccomp
	local names
	names=$(header seccomp.h 'SCMP_ARCH_[A-Z0-9_]+' | grep -vx SCMP_ARCH_NATIVE)
	assert_equal "$(comm -23 <(echo "$names") <(listed .linux.seccomp.archs | sort))" ""
	# shellcheck disable=SC2046 # words
	only '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", architectures: [$word], syscalls: []}' \
		.linux.seccomp.archs $(listed .linux.seccomp.archs) SCMP_ARCH_NATIVE SCMP_ARCH_PDP11 x86_64
}

@test "the seccomp flags of features, and no others, are taken" {
	requires seccomp
	# NEW_LISTENER and TSYNC_ESRCH are the runtime's business: the spec does not have them.
	# shellcheck disable=SC2046 # words
	only '.linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", flags: [$word],
		syscalls: [{names: ["acct"], action: "SCMP_ACT_ERRNO"}]}' .linux.seccomp.supportedFlags \
		$(listed .linux.seccomp.knownFlags) $(header linux/seccomp.h 'SECCOMP_FILTER_FLAG_[A-Z_]+') \
		SECCOMP_FILTER_FLAG_DREAM
	jq -e '.linux.seccomp.supportedFlags - .linux.seccomp.knownFlags == []' known.json
}

# --- hooks ----------------------------------------------------------------------------------------

@test "each hook of features runs, and they are those of the spec" {
	local stage
	assert_equal "$(listed .hooks | sort)" "$(jq -r '.properties.hooks.properties | keys[]' \
		"$PURPLE_SRCDIR/tests/data/oci-schema/config-schema.json" | sort)"
	mkdir notes
	cat >"$BUNDLE/rootfs/bin/note" <<-'END'
		#!/bin/sh
		cat >"$1/$2"
	END
	chmod 0755 "$BUNDLE/rootfs/bin/note"
	for stage in $(listed .hooks); do
		edit_config '.hooks[$s] = [{path: $p, args: ["note", $d, $s], env: ["PATH=/bin:/usr/bin"]}]' \
			--arg s "$stage" --arg d "$PWD/notes" \
			--arg p "$([[ $stage == startContainer ]] && echo /bin/note || echo "$BUNDLE/rootfs/bin/note")"
	done
	edit_config '.root.readonly = false'
	mkdir -p "$BUNDLE/rootfs$PWD/notes"
	add_mount "$PWD/notes" "$PWD/notes" rbind
	set_command true
	run purple_rt run --bundle "$BUNDLE" "$ID"
	assert_status 0
	assert_equal "$(cd notes && printf '%s\n' * | sort)" "$(listed .hooks | sort)"
	for stage in $(listed .hooks); do
		valid state-schema.json "notes/$stage"
	done
}

# --- what is there or not -------------------------------------------------------------------------

# unless ENABLED FILTER NAME: where features says no, the config edited so is refused by name.
unless() {
	[[ $(jq "$1" known.json) == true ]] || refused "$2" "$3"
}

@test "what features says is not enabled is refused by name" {
	unless .linux.apparmor.enabled '.process.apparmorProfile = "x"' process.apparmorProfile
	unless .linux.selinux.enabled '.process.selinuxLabel = "x"' process.selinuxLabel
	unless .linux.selinux.enabled '.linux.mountLabel = "x"' linux.mountLabel
	unless .linux.intelRdt.enabled '.linux.intelRdt = {closID: "x"}' linux.intelRdt
	unless .linux.netDevices.enabled '.linux.netDevices = {eth0: {name: "eth1"}}' linux.netDevices
	unless '(.linux.memoryPolicy != null)' '.linux.memoryPolicy = {mode: "MPOL_BIND", nodes: "0"}' linux.memoryPolicy
	# shellcheck disable=SC2046 # words
	[[ $(jq .linux.memoryPolicy known.json) == null ]] ||
		only '.linux.memoryPolicy = {mode: $word, nodes: (if ($word | IN("MPOL_DEFAULT", "MPOL_LOCAL")) then "" else "0" end)}' \
			.linux.memoryPolicy.modes $(listed .linux.memoryPolicy.modes) MPOL_MAX MPOL_DREAM
	if [[ $(jq .linux.cgroup.systemd known.json) != true ]]; then
		run purple_rt --systemd-cgroup create --bundle "$BUNDLE" "$ID"
		assert_status 1
		assert_contains systemd-cgroup
	fi
}

# --- documents ------------------------------------------------------------------------------------

# valid SCHEMA DOCUMENT
valid() {
	requires python3
	echo "by $1: $2"
	python3 -W ignore "$PURPLE_SRCDIR/tests/unit/validate_schema.py" \
		"$PURPLE_SRCDIR/tests/data/oci-schema/$1" "$2"
}

@test "what spec writes is valid, and so is features" {
	valid features-schema.json known.json
	mkdir plain rootless
	"$PURPLE_RUNTIME" spec --bundle plain
	"$PURPLE_RUNTIME" spec --rootless --bundle rootless
	valid config-schema.json plain/config.json
	valid config-schema.json rootless/config.json
}

# The state as the runtime prints it, valid and of this status.
state_is() {
	purple_rt state "$ID" >state.json
	valid state-schema.json state.json
	assert_equal "$(jq -r .status state.json)" "$1"
}

@test "the state is valid in every status, and so is the config in the state folder" {
	edit_config '.annotations = {"org.example.key": "value"}'
	set_command sleep 1000
	create_container
	state_is created
	purple_rt start "$ID"
	state_is running
	[[ -e $PURPLE_ROOT/$ID/config.json ]]
	valid config-schema.json "$PURPLE_ROOT/$ID/config.json"
	if purple_rt pause "$ID"; then
		# The schema has the four words of the spec; runc, crun and engines know "paused".
		purple_rt state "$ID" | jq '.status |= sub("paused"; "running")' >state.json
		valid state-schema.json state.json
		purple_rt resume "$ID"
	fi
	purple_rt kill "$ID" KILL
	wait_status stopped
	state_is stopped
	purple_rt list --format json | jq '.[0]' >state.json
	valid state-schema.json state.json
}

@test "the config is valid after a policy's merge too" {
	requires private_etc
	policy_install merged <<-END
		name: merged
		network:
		  isolated: true
		resources:
		  memory_limit_bytes: 512M
	END
	edit_config '.annotations["io.purple.policy"] = "merged"'
	set_command sleep 1000
	create_container
	valid config-schema.json "$PURPLE_ROOT/$ID/config.json"
}
