#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Policy key `syscalls.advanced_rules`: each operator and action means what it says, the agent does
# not get round a rule, and bad values are refused.
#
# lseek() on a descriptor that is not open serves as the call to look at: EBADF when it is let
# through, EPERM when it is denied. Its second argument has 64 bits, its first and third have 32.

load policy

setup_file() {
	agent_build
}

# rule ACTION ARG OP VALUE [MASK]: policy t with one rule for lseek.
rule() {
	policy t <<-END
		filesystem: { scratch_paths: [/tmp] }
		syscalls:
		  allow: [lseek]
		  advanced_rules:
		    - syscall: lseek
		      action: $1
		      conditions:
		        - { arg: $2, op: $3, value: $4${5:+, mask: $5} }
	END
}

# seeks VALUE...: makes the call with each value as argument 1; the answers in one line.
seeks() {
	local script='for v in '"$*"'; do agent call lseek -1 $v 0; done | tr "\n" " "'
	run_under t "$script"
	assert_status 0
}

@test "each operator, as a deny: exactly the values it names" {
	make_generous_bundle
	rule deny 1 eq 5
	seeks 4 5 6
	assert_output "EBADF EPERM EBADF "
	rule deny 1 neq 5
	seeks 4 5 6
	assert_output "EPERM EBADF EPERM "
	rule deny 1 lt 5
	seeks 0 4 5 6 -1
	assert_output "EPERM EPERM EBADF EBADF EBADF "
	rule deny 1 lte 5
	seeks 0 4 5 6 -1
	assert_output "EPERM EPERM EPERM EBADF EBADF "
	rule deny 1 gt 5
	seeks 0 4 5 6 -1
	assert_output "EBADF EBADF EBADF EPERM EPERM "
	rule deny 1 gte 5
	seeks 0 4 5 6 -1
	assert_output "EBADF EBADF EPERM EPERM EPERM "
	rule deny 1 masked_eq 4 0x6
	seeks 4 5 6 12 0x100000004
	assert_output "EPERM EPERM EBADF EPERM EPERM "
	rule deny 1 masked_neq 4 0x6
	seeks 4 5 6 12 0x100000004
	assert_output "EBADF EBADF EPERM EBADF EBADF "
}

@test "an allow grants exactly what its conditions say" {
	make_generous_bundle
	local op want
	while read -r op want; do
		policy t <<-END
			syscalls:
			  allow: [lseek]
			  advanced_rules:
			    - { syscall: lseek, action: allow, conditions: [{ arg: 1, op: $op, value: 5 }] }
		END
		seeks 4 5 6
		assert_output "$want "
	done <<-END
		eq EPERM EBADF EPERM
		neq EBADF EPERM EBADF
		lt EBADF EPERM EPERM
		lte EBADF EBADF EPERM
		gt EPERM EPERM EBADF
		gte EPERM EBADF EBADF
	END
}

@test "values are read as decimal, 0x and 0o; all conditions of a rule must hold" {
	make_generous_bundle
	rule deny 1 eq 0x10
	seeks 16 10
	assert_output "EPERM EBADF "
	rule deny 1 eq 0o20
	seeks 16 20
	assert_output "EPERM EBADF "
	rule deny 1 eq 0xffffffffffffffff
	seeks -1 0xffffffff
	assert_output "EPERM EBADF "
	policy t <<-END
		syscalls:
		  allow: [lseek]
		  advanced_rules:
		    - syscall: lseek
		      action: deny
		      conditions:
		        - { arg: 1, op: gte, value: 5 }
		        - { arg: 1, op: lt, value: 7 }
		        - { arg: 2, op: eq, value: 0 }
	END
	seeks 4 5 6 7
	assert_output "EBADF EPERM EPERM EBADF "
	run_under t 'agent call lseek -1 5 1'
	assert_output EBADF
}

@test "a condition is not voided by a plain allow of the same call, and deny beats a second rule" {
	make_generous_bundle
	policy t <<-END
		syscalls:
		  allow: [lseek]
		  advanced_rules:
		    - { syscall: lseek, action: allow, conditions: [{ arg: 1, op: lt, value: 100 }] }
		    - { syscall: lseek, action: deny, conditions: [{ arg: 1, op: eq, value: 5 }] }
		    - { syscall: lseek, action: allow, conditions: [{ arg: 1, op: eq, value: 5 }] }
	END
	seeks 4 5 99 100
	assert_output "EBADF EPERM EBADF EPERM "
}

@test "actions: kill kills, log lets through; kill beats deny" {
	make_generous_bundle
	rule kill 1 eq 5
	run_under t 'agent call lseek -1 4 0; exec agent call lseek -1 5 0'
	assert_status 159
	assert_output EBADF
	rule log 1 eq 5
	seeks 4 5
	assert_output "EBADF EBADF "
	policy t <<-END
		syscalls:
		  allow: [lseek]
		  advanced_rules:
		    - { syscall: lseek, action: deny, conditions: [{ arg: 1, op: gte, value: 5 }] }
		    - { syscall: lseek, action: kill, conditions: [{ arg: 1, op: eq, value: 7 }] }
	END
	run_under t 'agent call lseek -1 6 0; exec agent call lseek -1 7 0'
	assert_status 159
	assert_output EPERM
}

@test "an int argument is what the kernel takes it for: the upper half of the register is no way round" {
	make_generous_bundle
	# socket(16) is netlink, and the kernel looks at 32 bits of 16 + 2^32.
	local netlink=$((16 | 1 << 32)) unix=$((1 | 1 << 32)) negative=$((16 - (1 << 32)))
	local op value
	while read -r op value; do
		policy t <<-END
			syscalls:
			  allow: [socket]
			  advanced_rules:
			    - { syscall: socket, action: deny, conditions: [{ arg: 0, op: $op, value: $value }] }
		END
		run_under t "for n in 16 $netlink $negative; do agent call socket \$n 3 0; done"
		echo "deny $op $value"
		assert_output $'EPERM\nEPERM\nEPERM'
	done <<-END
		eq 16
		neq 1
		lt 17
		lte 16
		gt 15
		gte 16
	END
	while read -r op value; do
		policy t <<-END
			syscalls:
			  allow: [socket]
			  advanced_rules:
			    - { syscall: socket, action: allow, conditions: [{ arg: 0, op: $op, value: $value }] }
		END
		run_under t "for n in 16 $netlink $negative; do agent call socket \$n 3 0; done"
		echo "allow $op $value"
		assert_output $'EPERM\nEPERM\nEPERM'
	done <<-END
		eq 1
		neq 16
		lt 16
		lte 15
		gt 16
		gte 17
	END
	run_free "agent call socket $netlink 3 0; agent call socket $negative 3 0; agent call socket $unix 1 0"
	assert_output $'ok\nok\nok'
}

@test "the 32-bit call tables are no way round a rule" {
	make_generous_bundle
	rule deny 1 eq 5
	# i386: lseek is 19.
	run_under t 'agent call32 19 -1 5 0; agent call 0x40000008 -1 5 0'
	assert_lacks ok
	assert_lacks EBADF
	if [[ $(uname -m) == x86_64 ]]; then
		run_free 'agent call32 19 -1 5 0'
		assert_output EBADF
	fi
}

@test "bad values are refused with line and column" {
	local head=$'syscalls:\n  advanced_rules:\n    - syscall: socket\n      action: deny\n      conditions:\n'
	bad_value 7:11 "'arg' is missing" <<<"$head        - { op: eq, value: 1 }"
	bad_value 7:18 "arg" <<<"$head        - { arg: 6, op: eq, value: 1 }"
	bad_value 7:25 "op" <<<"$head        - { arg: 0, op: equal, value: 1 }"
	bad_value 7:36 "value" <<<"$head        - { arg: 0, op: eq, value: one }"
	bad_value 7:36 "value" <<<"$head        - { arg: 0, op: eq, value: 0x10000000000000000 }"
	bad_value 7:36 "value" <<<"$head        - { arg: 0, op: eq, value: -1 }"
	bad_value 7:11 "'mask' is missing" <<<"$head        - { arg: 0, op: masked_eq, value: 1 }"
	bad_value 7:45 "mask" <<<"$head        - { arg: 0, op: eq, value: 1, mask: 1 }"
	bad_value 7:52 "compares nothing" <<<"$head        - { arg: 0, op: masked_eq, value: 1, mask: 0 }"
	bad_value 4:16 "did you mean 'socket'" <<<$'syscalls:\n  advanced_rules:\n    - syscall: sockt\n      action: deny'
	bad_value 5:15 "action" <<<$'syscalls:\n  advanced_rules:\n    - syscall: socket\n      action: forbid'
	bad_value 4:7 "action" <<<$'syscalls:\n  advanced_rules:\n    - syscall: socket'
}
