#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# linux.seccomp of config.json: the finer points, after those of runtime-seccomp.

load helpers
load spec

setup() {
	requires seccomp
	spec_setup
}

teardown() {
	spec_teardown
}

# profile JQ: linux.seccomp is this object; the default action is ALLOW unless it says so.
profile() {
	edit_config ".linux.seccomp = ({defaultAction: \"SCMP_ACT_ALLOW\", syscalls: []} + ($1))"
}

# The system calls that libseccomp knows here, by name.
known_syscalls() {
	python3 -c '
import ctypes
lib = ctypes.CDLL("libseccomp.so.2")
lib.seccomp_syscall_resolve_num_arch.restype = ctypes.c_char_p
native = lib.seccomp_arch_native()
names = [lib.seccomp_syscall_resolve_num_arch(native, n) for n in range(1000)]
print(*[n.decode() for n in names if n])'
}

# allow_all_but NAME...: these get errno DEFAULT (set it), all other known calls are allowed.
allow_all_but() {
	local arch
	arch=SCMP_ARCH_$(uname -m | tr '[:lower:]' '[:upper:]')
	edit_config '.linux.seccomp = {defaultAction: "SCMP_ACT_ERRNO", defaultErrnoRet: $d, architectures: [$a],
		syscalls: [{action: "SCMP_ACT_ALLOW", names: (($all | split(" ")) - $ARGS.positional)}]}' \
		--argjson d "$DEFAULT" --arg a "$arch" --arg all "$(known_syscalls)" --args -- "$@"
}

# A container that runs python3 code, with `call(name, argument...)`: prints the result, or the errno.
run_python() {
	set_command python3 -c "import ctypes, errno, os, signal
libc = ctypes.CDLL(None, use_errno=True)
number_of = ctypes.CDLL('libseccomp.so.2').seccomp_syscall_resolve_name
def call(name, *args):
    ctypes.set_errno(0)
    number = name if isinstance(name, int) else number_of(name.encode())
    r = libc.syscall(ctypes.c_long(number), *[ctypes.c_ulong(a & (1 << 64) - 1) for a in args])
    print(errno.errorcode[ctypes.get_errno()] if r == -1 else r, flush=True)
$1"
	new_id
	run purple_rt run --bundle "$BUNDLE" "$ID"
}

@test "without seccomp there is no filter" {
	start_sleeper
	assert_equal "$(awk '/^Seccomp:/ { print $2 }' "/proc/$PID/status")" 0
}

@test "TRAP sends SIGSYS, which a program may handle" {
	add_host_tools
	profile '{syscalls: [{names: ["getpgid"], action: "SCMP_ACT_TRAP"}]}'
	run_python 'signal.signal(signal.SIGSYS, lambda *a: print("trapped", flush=True)); call("getpgid", 0); call("getpid")'
	assert_status 0
	assert_contains trapped
	assert_equal "${lines[-1]}" 1
	run_python 'call("getpgid", 0)'
	assert_status 159
}

@test "arguments are compared with every operator" {
	add_host_tools
	local op
	# kcmp(2) with five arguments: denied with an errno per operator where the rule holds.
	profile '{syscalls: [
		{names: ["kcmp"], action: "SCMP_ACT_ERRNO", errnoRet: 71, args: [{index: 0, value: 100, op: "SCMP_CMP_EQ"}, {index: 1, value: 5, op: "SCMP_CMP_NE"}]},
		{names: ["kcmp"], action: "SCMP_ACT_ERRNO", errnoRet: 72, args: [{index: 0, value: 200, op: "SCMP_CMP_EQ"}, {index: 1, value: 5, op: "SCMP_CMP_LT"}]},
		{names: ["kcmp"], action: "SCMP_ACT_ERRNO", errnoRet: 73, args: [{index: 0, value: 300, op: "SCMP_CMP_EQ"}, {index: 1, value: 5, op: "SCMP_CMP_LE"}]},
		{names: ["kcmp"], action: "SCMP_ACT_ERRNO", errnoRet: 74, args: [{index: 0, value: 400, op: "SCMP_CMP_EQ"}, {index: 1, value: 5, op: "SCMP_CMP_GE"}]},
		{names: ["kcmp"], action: "SCMP_ACT_ERRNO", errnoRet: 75, args: [{index: 0, value: 500, op: "SCMP_CMP_EQ"}, {index: 1, value: 5, op: "SCMP_CMP_GT"}]},
		{names: ["kcmp"], action: "SCMP_ACT_ERRNO", errnoRet: 76, args: [{index: 0, value: 600, op: "SCMP_CMP_EQ"}, {index: 4, value: 240, valueTwo: 32, op: "SCMP_CMP_MASKED_EQ"}]},
		{names: ["kcmp"], action: "SCMP_ACT_ERRNO", errnoRet: 1, args: [{index: 0, value: 700, op: "SCMP_CMP_EQ"}, {index: 3, value: 4294967296, op: "SCMP_CMP_GE"}]}]}'
	run_python '
names = {71: "NE", 72: "LT", 73: "LE", 74: "GE", 75: "GT", 76: "MASKED", 1: "WIDE"}
def holds(*a):
    ctypes.set_errno(0)
    libc.syscall(ctypes.c_long(number_of(b"kcmp")), *[ctypes.c_ulong(x & (1 << 64) - 1) for x in a])
    return names.get(ctypes.get_errno(), "-")
for first in (100, 200, 300, 400, 500):
    print(first, *[holds(first, v, 0, 0, 0) for v in (4, 5, 6, -1)])
print(600, *[holds(600, 0, 0, 0, v) for v in (0x20, 0x2f, 0x120, 0x30, 0)])
print(700, *[holds(700, 0, 0, v, 0) for v in (0, 0xffffffff, 0x100000000, -1)])'
	assert_output '100 NE - NE NE
200 LT - - -
300 LE LE - -
400 - GE GE GE
500 - - GT GT
600 MASKED MASKED MASKED - -
700 - - WIDE WIDE'
}

@test "flags are passed to the kernel" {
	profile '{flags: ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"], syscalls: [{names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO"}]}'
	set_script 'mkdir /tmp/x 2>&1'
	requires strace
	run strace -f -e trace=seccomp -o trace "$PURPLE_RUNTIME" --root "$PURPLE_ROOT" run --bundle "$BUNDLE" "$ID"
	grep -q 'SECCOMP_SET_MODE_FILTER, .*SECCOMP_FILTER_FLAG_LOG.*SECCOMP_FILTER_FLAG_SPEC_ALLOW' trace
	assert_contains "Operation not permitted"
}

@test "without no_new_privs the filter is loaded too, and the program has no more rights for it" {
	edit_config '.process.noNewPrivileges = false | .process.user = {uid: 1000, gid: 1000}'
	profile '{syscalls: [{names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 95}]}'
	run_script 'mkdir /tmp/x 2>&1; grep -E "NoNewPrivs|CapEff|Seccomp:" /proc/self/status'
	assert_contains "Operation not supported"
	assert_contains "NoNewPrivs:	0"
	assert_contains "CapEff:	0000000000000000"
	assert_contains "Seccomp:	2"
}

@test "calls of an architecture that is not listed are killed" {
	requires python3
	[[ $(uname -m) == x86_64 ]] || skip "needs an x86-64 machine"
	add_host_tools
	profile '{architectures: ["SCMP_ARCH_X86_64"], syscalls: [{names: ["getpgid"], action: "SCMP_ACT_ERRNO", errnoRet: 71}]}'
	# x32's getpid: 0x40000000 + 39.
	run_python 'call("getpid"); call(0x40000000 + 39)'
	assert_status 159
	assert_output 1
	run_python 'call("getpgid", 0)'
	assert_output EPROTO
}

@test "calls newer than the profile are ENOSYS, so that programs fall back" {
	add_host_tools
	DEFAULT=1 allow_all_but getpgid
	run_python 'call(9999); call("getpgid", 0)'
	assert_output $'ENOSYS\nEPERM'
}

@test "wrong seccomp profiles are refused" {
	profile '{}'
	refused 'del(.linux.seccomp.defaultAction)' "defaultAction"
	refused '.linux.seccomp.syscalls = [{names: [""], action: "SCMP_ACT_ERRNO"}]' "linux.seccomp.syscalls[0].names[0]: must not be empty"
	refused '.linux.seccomp.syscalls = [{names: ["mkdir"], action: "SCMP_ACT_ERRNO", errnoRet: 5000}]' errnoRet
	refused '.linux.seccomp.syscalls = [{names: ["mkdir"], action: "SCMP_ACT_KILL", errnoRet: 5}]' errnoRet
	refused '.linux.seccomp.defaultAction = "SCMP_ACT_NOTIFY"' "NOTIFY"
}
