#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Policy key `filesystem`: it holds, the agent does not get round it, and bad values are refused.

load policy

setup_file() {
	agent_build
}

# --- immutable_paths ------------------------------------------------------------------------------

@test "immutable_paths: the image's own path cannot be changed, also inside a writable path" {
	make_generous_bundle
	echo image >"$BUNDLE/rootfs/etc/motd"
	run_free 'echo new >/etc/motd && cat /etc/motd'
	assert_output new
	echo image >"$BUNDLE/rootfs/etc/motd"

	policy t <<-END
		filesystem:
		  immutable_paths:
		    - host_path: /etc
		  scratch_paths: [/tmp]
	END
	run_under t 'echo new >/etc/motd; rm /etc/motd; mv /etc /etc2; ln /etc/motd /tmp/x; cat /etc/motd'
	assert_status 0
	assert_equal "$(grep -c 'Read-only file system' <<<"$output")" 3
	assert_equal "${lines[-1]}" image
	assert_equal "$(<"$BUNDLE/rootfs/etc/motd")" image
}

@test "immutable_paths: whatever the policy does not name is read-only too" {
	make_generous_bundle
	mkdir volume
	add_mount "$PWD/volume" /mnt/volume
	policy t <<<'filesystem: { scratch_paths: [/tmp] }'
	run_under t 'touch /bin/x; touch /root/x; touch /mnt/volume/x; touch /var/tmp/x; touch /tmp/x && echo tmp'
	assert_equal "$(grep -c 'Read-only file system' <<<"$output")" 4
	assert_equal "${lines[-1]}" tmp
	assert_equal "$(ls volume)" ""
	run_free 'touch /mnt/volume/x'
	assert_equal "$(ls volume)" x
}

@test "immutable_paths: a host path is read-only with all that is mounted below it" {
	make_generous_bundle
	mkdir -p data/sub
	mount -t tmpfs below data/sub
	keep_mount "$PWD/data/sub"
	echo one >data/file
	echo two >data/sub/file
	policy t <<-END
		filesystem:
		  immutable_paths:
		    - host_path: $PWD/data
		      sandbox_path: /data
	END
	run_under t 'cat /data/file /data/sub/file; echo x >/data/file; echo x >/data/sub/file; touch /data/sub/new'
	local files
	files=$(cat data/file data/sub/file)
	umount data/sub
	assert_contains $'one\ntwo'
	assert_equal "$(grep -c 'Read-only file system' <<<"$output")" 3
	assert_equal "$files" $'one\ntwo'
}

@test "immutable_paths: a volume of the engine's inside one is read-only" {
	make_generous_bundle
	mkdir -p volume "$BUNDLE/rootfs/opt"
	add_mount "$PWD/volume" /opt/in
	policy t <<<'filesystem: { immutable_paths: [{ sandbox_path: /opt }] }'
	run_under t 'touch /opt/in/x; touch /opt/x'
	assert_equal "$(grep -c 'Read-only file system' <<<"$output")" 2
	assert_equal "$(ls volume)" ""
}

@test "immutable_paths: the agent cannot make them writable, cover them, or leave the root" {
	make_generous_bundle
	policy t <<-END
		filesystem:
		  immutable_paths: [{ host_path: /etc }]
		  scratch_paths: [/tmp]
	END
	local script='mkdir -p /tmp/d
		for call in "mount s:none s:/etc 0 0x1020 0" "mount s:none s:/ 0 0x1020 0" \
			"umount2 s:/etc 2" "mount s:/tmp s:/etc 0 0x1000 0" "mount s:x s:/tmp/d s:tmpfs 0 0" \
			"mount s:/ s:/tmp/d 0 0x5000 0" "chroot s:/tmp" "pivot_root s:/tmp s:/tmp/d" \
			"unshare 0x00020000" "unshare 0x10020000" "open_tree -100 s:/etc 0x80001" \
			"mount_setattr -100 s:/etc 0 b:32 32" "fsopen s:tmpfs 0" \
			"move_mount -100 s:/tmp -100 s:/etc 0"; do
			echo "$(agent call $call) $call"
		done
		echo "$(agent setns /proc/1/ns/mnt) setns"
		echo "$(agent handle /etc/passwd) handle"
		( echo x >>/proc/self/root/etc/passwd ) 2>&1
		( echo x >>/proc/1/root/etc/passwd ) 2>&1
		( echo x >>/proc/self/cwd/../etc/passwd ) 2>&1
		exec 5</etc/passwd; ( echo x >/proc/self/fd/5 ) 2>&1'
	cp "$BUNDLE/rootfs/etc/passwd" passwd.before
	run_under t "$script"
	assert_status 1
	assert_equal "$(grep -c '^EPERM ' <<<"$output")" 16
	assert_lacks "ok "
	assert_equal "$(grep -c 'Read-only file system' <<<"$output")" 4
	cmp passwd.before "$BUNDLE/rootfs/etc/passwd"

	run_free 'mkdir -p /tmp/d; agent call mount s:x s:/tmp/d s:tmpfs 0 0; agent call unshare 0x20000'
	assert_output $'ok\nok'
}

@test "immutable_paths: a device made by the agent does not reach the disk" {
	make_generous_bundle
	# Even with the capability and the call: scratch is nodev, and the group's device rules hold.
	policy t <<-END
		filesystem: { scratch_paths: [/tmp] }
		capabilities: { add: [CAP_MKNOD] }
	END
	local disk
	disk=$(findmnt -no MAJ:MIN -T "$BUNDLE")
	run_under t "mknod /tmp/disk b ${disk/:/ } && echo made; head -c 1 /tmp/disk; mknod /tmp/null c 1 3; echo x >/tmp/null"
	assert_lacks "x"$'\n'
	((status != 0))
	[[ $output == *"Permission denied"* || $output == *"Operation not permitted"* ]]
	run_free 'mknod /null c 1 3 && echo x >/null && echo works'
	assert_output works
}

@test "immutable_paths: the kernel's control files are read-only or hidden, whatever the engine says" {
	make_generous_bundle
	policy t <<<'filesystem: { scratch_paths: [/tmp] }'
	local script='for f in /proc/sys/kernel/core_pattern /proc/sys/kernel/hostname /proc/sysrq-trigger \
			/proc/sys/vm/drop_caches /proc/irq/default_smp_affinity /sys/kernel/uevent_helper \
			/sys/kernel/mm/ksm/run /sys/fs/cgroup/release_agent /sys/fs/cgroup/memory/release_agent; do
			[ ! -e $f ] || ( : >>$f ) 2>/dev/null && [ -e $f ] && echo "opened $f"
		done
		cat /proc/timer_list /proc/keys /proc/kcore 2>/dev/null | head -c 1 | wc -c; ls -A /sys/firmware | wc -l'
	run_under t "$script"
	assert_output $'0\n0'
	run_free "$script"
	assert_contains "opened /proc/sys/kernel/core_pattern"
	assert_lacks $'0\n0'
}

@test "immutable_paths: the runtime's own program cannot be reached for writing" {
	make_generous_bundle
	policy t <<<'filesystem: { scratch_paths: [/tmp] }'
	cp "$PURPLE_RUNTIME" before
	# CVE-2019-5736: the container's program is the runtime itself, by the link that leads to it.
	ln -sf /proc/self/exe "$BUNDLE/rootfs/bin/runtime"
	set_command /bin/runtime
	new_id
	# Linked statically it runs there, too, and says how it is used; nobody gets to write to it.
	run purple_rt --policy t run --bundle "$BUNDLE" "$ID"
	start_under t 'while :; do for p in /proc/[0-9]*; do
		(exec 5>>$p/exe && echo opened && echo x >&5) 2>/dev/null; done; done'
	local i
	for i in 1 2 3 4 5; do
		purple_rt exec "$ID" true
	done
	assert_lacks opened
	run cat "$BATS_TEST_TMPDIR/out"
	assert_lacks opened
	cmp before "$PURPLE_RUNTIME"
}

@test "immutable_paths: a host path that is missing is an error" {
	make_bundle
	policy t <<-END
		filesystem:
		  immutable_paths:
		    - host_path: $PWD/nowhere
		      sandbox_path: /data
	END
	new_id
	run purple_rt --policy t create --bundle "$BUNDLE" "$ID"
	assert_status 1
	assert_contains "$PWD/nowhere"
	run purple_rt state "$ID"
	assert_contains "container does not exist"
	[[ ! -e nowhere ]]
}

@test "immutable_paths: bad values are refused with line and column" {
	bad_value 4:18 "'etc'" <<<$'filesystem:\n  immutable_paths:\n    - host_path: etc'
	bad_value 4:18 ".." <<<$'filesystem:\n  immutable_paths:\n    - host_path: /a/../b'
	bad_value 4:21 "belongs to the sandbox" <<<$'filesystem:\n  immutable_paths:\n    - sandbox_path: /proc/sys'
	bad_value 5:7 "given twice" <<<$'filesystem:\n  immutable_paths:\n    - host_path: /etc\n    - host_path: /etc'
	bad_value 4:7 "did you mean 'host_path'" <<<$'filesystem:\n  immutable_paths:\n    - hostpath: /etc'
	bad_value 3:20 "immutable_paths" <<<$'filesystem:\n  immutable_paths: /etc'
}

# --- scratch_paths --------------------------------------------------------------------------------

@test "scratch_paths: private, empty, nosuid and nodev, sized from the memory limit, gone at the end" {
	make_generous_bundle
	echo image >"$BUNDLE/rootfs/var/tmp/file"
	policy t <<-END
		filesystem: { scratch_paths: [/var/tmp, /work] }
		resources: { memory_limit_bytes: 64M }
	END
	run_under t 'ls /var/tmp; echo x >/work/y; stat -f -c %T /work /var/tmp; grep " /work " /proc/mounts; df -m /work | tail -1'
	assert_status 0
	assert_equal "${lines[0]}" tmpfs
	assert_equal "${lines[1]}" tmpfs
	assert_contains nosuid
	assert_contains nodev
	[[ ${lines[3]} =~ ^tmpfs\ +64\  ]]
	run_under t 'ls /work'
	assert_output ""
	assert_equal "$(<"$BUNDLE/rootfs/var/tmp/file")" image
}

@test "scratch_paths: a set-user-ID program and a device in them have no effect" {
	make_generous_bundle
	policy t <<-END
		filesystem: { scratch_paths: [/tmp] }
		capabilities: { default_drop: false }
	END
	local script='cp /bin/agent /tmp/su; chmod 4755 /tmp/su; mknod /tmp/null c 1 3; (echo x >/tmp/null) 2>&1
		exec sleep 1000'
	start_under t "$script"
	wait_for 5 grep -q "Permission denied" "$BATS_TEST_TMPDIR/out"
	run purple_rt exec --user 65534 "$ID" /tmp/su euid
	assert_output 65534

	new_id
	create_container
	purple_rt start "$ID"
	wait_for 5 test -u "$BUNDLE/rootfs/tmp/su"
	run purple_rt exec --user 65534 "$ID" /tmp/su euid
	assert_output 0
}

@test "scratch_paths: the agent cannot make one larger, and what is in it counts as its memory" {
	make_generous_bundle
	policy t <<-END
		filesystem: { scratch_paths: [/tmp, /work] }
		resources: { memory_limit_bytes: 64M }
	END
	run_under t 'agent call mount s:none s:/tmp 0 32 s:size=1g
		dd if=/dev/zero of=/tmp/a bs=1M count=50 2>/dev/null
		dd if=/dev/zero of=/work/b bs=1M count=50; echo still here'
	[[ $output == EPERM* ]]
	[[ $output == *Killed* || $status == 137 || $output == *"No space left"* ]]
	run_free 'mkdir -p /tmp/big; mount -t tmpfs x /tmp/big; dd if=/dev/zero of=/tmp/big/b bs=1M count=100 && echo fits'
	assert_contains fits
}

@test "scratch_paths: a link in the image does not lead one out of the root" {
	make_generous_bundle
	mkdir outside
	ln -s "../../../../../../../../$PWD/outside" "$BUNDLE/rootfs/work"
	policy t <<<'filesystem: { scratch_paths: [/work] }'
	run_under t 'touch /work/x 2>/dev/null; stat -f -c %T /work/'
	assert_equal "$(ls -A outside)" ""
	run findmnt "$PWD/outside"
	((status != 0))
}

@test "scratch_paths: bad values are refused with line and column" {
	bad_value 3:20 "absolute path" <<<$'filesystem:\n  scratch_paths: [ tmp ]'
	bad_value 3:19 "root directory" <<<$'filesystem:\n  scratch_paths: [/]'
	bad_value 3:25 "belongs to the sandbox" <<<$'filesystem:\n  scratch_paths: [/tmp, /dev/shm]'
	bad_value 3:25 "given twice" <<<$'filesystem:\n  scratch_paths: [/tmp, /tmp]'
	bad_value 3:3 "did you mean 'scratch_paths'" <<<$'filesystem:\n  scratch_path: [/tmp]'
}

# --- output_paths ---------------------------------------------------------------------------------

@test "output_paths: what the agent writes is on the host; a missing directory is made 0700" {
	make_generous_bundle
	policy t <<-END
		filesystem:
		  output_paths:
		    - host_path: $PWD/new/output
		      sandbox_path: /output
	END
	run_under t 'echo result >/output/file; grep " /output " /proc/mounts'
	assert_status 0
	assert_equal "$(<new/output/file)" result
	assert_equal "$(stat -c %a:%u new/output)" 700:0
	for option in rw nosuid nodev noexec; do
		[[ $output =~ [\ ,]"$option"[\ ,] ]]
	done
}

@test "output_paths: nothing in them can be executed, by no way of executing" {
	make_generous_bundle
	policy t <<-END
		filesystem:
		  output_paths: [{ host_path: $PWD/out, sandbox_path: /out }]
		  scratch_paths: [/tmp]
	END
	local script='cp /bin/agent /out/agent; cp /bin/agent /tmp/agent; printf "#!/bin/sh\necho ran\n" >/out/s; chmod +x /out/s
		for how in execve execveat-path execveat-fd vfork; do agent exec $how /out/agent call getpid; done
		agent map-exec /out/agent; agent exec execve /out/s; agent call mount s:none s:/out 0 0x1020 0
		agent exec execve /tmp/agent call getpid'
	run_under t "$script"
	assert_output $'EACCES\nEACCES\nEACCES\nEACCES\nEPERM\nEACCES\nEPERM\nok'
}

@test "output_paths: a link that the agent leaves there takes a later container nowhere" {
	make_generous_bundle
	mkdir secret out
	policy first <<<"filesystem: { output_paths: [{ host_path: $PWD/out, sandbox_path: /out }] }"
	run_under first "ln -s $PWD/secret /out/sub && echo linked; ln -s $PWD/secret/made /out/made"
	assert_contains linked
	# A policy whose output directory lies in the other's: the agent chose what is there.
	local dir
	for dir in sub made/deep; do
		policy second <<<"filesystem: { output_paths: [{ host_path: $PWD/out/$dir, sandbox_path: /sub }] }"
		run_under second 'echo x >/sub/x'
		assert_equal "$(find secret -mindepth 1)" ""
	done
}

@test "output_paths: a link that the agent leaves there shows a later container nothing of the host" {
	make_generous_bundle
	mkdir secret
	echo treasure >secret/file
	policy first <<<"filesystem: { output_paths: [{ host_path: $PWD/shared, sandbox_path: /out }] }"
	run_under first "ln -s $PWD/secret /out/in && echo linked"
	assert_contains linked
	policy second <<-END
		filesystem:
		  output_paths: [{ host_path: $PWD/shared, sandbox_path: /out }]
		  immutable_paths: [{ host_path: $PWD/shared/in, sandbox_path: /in }]
	END
	run_under second 'cat /in/file'
	((status != 0))
	assert_lacks treasure
	assert_contains "symbolic link"
	rm shared/in
	mkdir shared/in
	echo fine >shared/in/file
	run_under second 'cat /in/file'
	assert_output fine
}

@test "output_paths: bad values are refused with line and column" {
	bad_value 4:18 "root directory" <<<$'filesystem:\n  output_paths:\n    - host_path: /\n      sandbox_path: /out'
	bad_value 5:21 "root directory" <<<$'filesystem:\n  output_paths:\n    - host_path: /out\n      sandbox_path: /'
	bad_value 4:7 "host_path" <<<$'filesystem:\n  output_paths:\n    - sandbox_path: /out'
	bad_value 5:21 "belongs to the sandbox" <<<$'filesystem:\n  output_paths:\n    - host_path: /out\n      sandbox_path: /sys/x'
}

# --- working_dir ----------------------------------------------------------------------------------

@test "working_dir: the agent starts there; without one, where the engine says" {
	make_generous_bundle
	edit_config '.process.cwd = "/root"'
	policy t <<<'filesystem: { scratch_paths: [/tmp, /work], working_dir: /work }'
	run_under t 'pwd; touch x && ls /work'
	assert_output $'/work\nx'
	policy t <<<'filesystem: { scratch_paths: [/tmp, /work] }'
	run_under t pwd
	assert_output /root
}

@test "working_dir: no way out of the root through a directory of the host that is left open" {
	make_generous_bundle
	policy t <<<'filesystem: { scratch_paths: [/tmp] }'
	local fd
	for fd in 3 4 5 6 7 8 9; do
		policy t <<<"filesystem: { scratch_paths: [/tmp], working_dir: /proc/self/fd/$fd }"
		run_under t 'ls ../../../../../../../../etc/os-release; pwd'
		assert_lacks "../etc/os-release"$'\n'
		((status != 0)) || assert_contains "No such file"
	done
	run_under t 'agent fds'
	policy t <<<'filesystem: { scratch_paths: [/tmp] }'
	run_under t 'agent fds'
	assert_output "0 1 2 "
}

@test "working_dir: bad values are refused with line and column" {
	bad_value 3:16 "absolute path" <<<$'filesystem:\n  working_dir: work'
	bad_value 3:16 ".." <<<$'filesystem:\n  working_dir: /work/../etc'
	bad_value 3:16 "working_dir" <<<$'filesystem:\n  working_dir: [/work]'
}
