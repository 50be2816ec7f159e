#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# purple learn: under the policy of a run the same run passes, and one that does more is denied; what
# the base protects is not learnt. The hosts are in network namespaces of the test's own.

load policy
load world

setup_file() {
	agent_build
}

setup() {
	requires root jq cgroup_v2_tree
	purple_setup
	world_setup
	command -v pasta >/dev/null || skip "needs the program pasta"
	mountpoint -q /sys/fs/bpf || mount -t bpf -o mode=0700 purple-test /sys/fs/bpf
	cp "$PURPLE_TEST_DIR/agent" agent
	mkdir project project/docs
	echo one >project/main.py
	echo two >project/docs/a
	echo key >project/.env
	base </dev/null
}

teardown() {
	world_teardown
	purple_teardown
}

purple_() {
	in_net host "$PURPLE" --root "$PURPLE_ROOT" "$@"
}

# base <YAML: base.yaml, whose network is isolated, and more.
base() {
	local dir
	{
		printf 'name: base\nfilesystem:\n  immutable_paths:\n'
		for dir in /usr /bin /lib /lib64; do
			[[ ! -d $dir ]] || printf '    - host_path: %s\n' "$dir"
		done
		printf '    - { host_path: %s, sandbox_path: /agent }\n' "$PWD/agent"
		printf '    - { host_path: %s, sandbox_path: /project }\n' "$PWD/project"
		printf '  output_paths: [{ host_path: %s, sandbox_path: /out }, { host_path: %s, sandbox_path: /old }]\n' \
			"$PWD/out" "$PWD/old"
		printf '  scratch_paths: [/tmp, /work]\nresources: { memory_limit_bytes: 256M, pids_limit: 100 }\n'
		printf 'audit: { log_path: %s }\n' "$PWD/logs/base.jsonl"
		cat
	} >base.yaml
}

# Alerts stand in the file err.
learn_quietly() {
	purple_ learn --profile ./base.yaml -o ./new.yaml -- /bin/sh -c "$1" 2>err
}

learn() {
	run learn_quietly "$1"
	cat err
}

under_new() {
	run purple_ run --quiet --profile ./new.yaml -- /bin/sh -c "$1"
}

@test "under the policy of a run the same run passes, and one that does more is denied" {
	base <<-END
		network: { dns_servers: [198.51.100.1], isolated: false }
	END
	local did='cat /project/main.py >/out/copy && getent ahostsv4 api.test >/dev/null && /agent connect 192.0.2.10 8080'
	learn "$did; exit 5"
	assert_status 5
	assert_contains "written: ./new.yaml"
	assert_contains "new.yaml is"
	run cat new.yaml
	assert_contains '"api.test:8080/tcp"'
	assert_contains "$PWD/project/main.py"
	[[ $output != *"$PWD/old"* ]]
	[[ $output != *"$PWD/project/docs"* ]]
	assert_contains "default_deny: true"
	under_new "$did"
	assert_status 0
	assert_contains ok
	# A host, a file, a folder and a system call more.
	under_new 'getent ahostsv4 api.test >/dev/null; /agent connect 192.0.2.10 8081'
	assert_contains EPERM
	under_new 'getent hosts other.test'
	assert_status 2
	under_new 'cat /project/docs/a'
	assert_status 1
	under_new 'echo x >/old/y'
	assert_contains "cannot create"
	under_new 'chmod 700 /out/copy'
	assert_status 1
	assert_contains "not permitted"
}

@test "what the base protects is not learnt: metadata, private addresses, what it denies by name" {
	base <<-END
		network: { dns_servers: [198.51.100.1], blocked_ips: [192.0.2.12], isolated: false }
		syscalls: { deny: [chmod, fchmod, fchmodat, fchmodat2] }
	END
	learn '/agent connect 169.254.169.254 80; /agent connect 10.1.2.3 80; /agent connect 192.0.2.12 80
		/agent connect 192.0.2.11 80; chmod 700 /out; cat /project/.env'
	assert_status 0
	assert_contains $'EPERM\nEPERM\nEPERM\nok'
	assert_contains "look at these before you use it:"
	assert_contains "192.0.2.11:80/tcp: an address without a name"
	assert_contains ".env: may hold keys"
	assert_contains "denied while it was learnt, and not in it:"
	run cat new.yaml
	assert_contains '"192.0.2.11:80/tcp" # an address without a name'
	[[ $output != *169.254* && $output != *'"10.1.2.3'* && $output != *'"192.0.2.12:'* ]]
	[[ $output != *chmod* ]]
}

@test "a run without a network and without more gets no more; wrong arguments are refused" {
	learn 'exit 0'
	assert_status 0
	run cat new.yaml
	assert_contains "isolated: true"
	[[ $output != *output_paths* && $output != *"$PWD/project"* ]]
	learn 'exit 0'
	assert_status 1
	assert_equal "$(grep -c "'./new.yaml' exists already" err)" 1
	run purple_ learn --profile ./base.yaml -- true
	assert_status 1
	assert_contains "needs --profile and --output"
	rm new.yaml
	run ! purple_ learn --profile ./base.yaml -o new.yaml -- /nowhere
	assert_contains "the agent was not run"
	[[ ! -e new.yaml ]]
	run compgen -G '/tmp/purple-learn-*'
	assert_output ""
}
