# SPDX-License-Identifier: Apache-2.0
"""Seccomp filters."""
from cases import CASES, deny, linux, process


def filtered(name, filter_, args=("/bin/probe",), **more):
    def run_filtered(c):
        linux(c)["seccomp"] = filter_
        process(c)["args"] = list(args)
        process(c).update(more)
        c.run()
    CASES[name] = run_filtered


filtered("seccomp-errno", deny(["getcpu", "unshare"]))
filtered("seccomp-errno-ret", deny(["getcpu", "acct"], errnoRet=95))
filtered("seccomp-not-privileged", deny(["getcpu"]), noNewPrivileges=False)
filtered("seccomp-kill", deny(["getpriority"], "SCMP_ACT_KILL"), ("/bin/probe", "syscall"))
filtered("seccomp-kill-process", deny(["getpriority"], "SCMP_ACT_KILL_PROCESS"),
         ("/bin/probe", "syscall"))
filtered("seccomp-trap", deny(["getpriority"], "SCMP_ACT_TRAP"), ("/bin/probe", "syscall"))
filtered("seccomp-log", deny(["getcpu"], "SCMP_ACT_LOG"))
filtered("seccomp-trace", deny(["getcpu"], "SCMP_ACT_TRACE", errnoRet=7))
filtered("seccomp-args", deny(["getpgid"], args=[{"index": 0, "value": 0x7ffffff,
                                                  "op": "SCMP_CMP_EQ"}]))
filtered("seccomp-masked", deny(["getpgid"], args=[{"index": 0, "value": 0xf, "valueTwo": 5,
                                                    "op": "SCMP_CMP_MASKED_EQ"}]))
filtered("seccomp-unknown-name", deny(["getcpu", "no_such_call"]))
filtered("seccomp-unknown-action", deny(["getcpu"], "SCMP_ACT_NONSENSE"))
filtered("seccomp-unknown-operator", deny(["getpgid"], args=[
    {"index": 0, "value": 1, "op": "SCMP_CMP_NONSENSE"}]))
filtered("seccomp-unknown-arch", {**deny(["getcpu"]), "architectures": ["SCMP_ARCH_PDP11"]})
filtered("seccomp-no-architectures", {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
    {"names": ["getcpu"], "action": "SCMP_ACT_ERRNO"}]})
filtered("seccomp-flags", {**deny(["getcpu"]), "flags": ["SECCOMP_FILTER_FLAG_LOG"]})
filtered("seccomp-spec-allow", {**deny(["getcpu"]),
                                "flags": ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"]})
filtered("seccomp-unknown-flag", {**deny(["getcpu"]), "flags": ["SECCOMP_FILTER_FLAG_DREAM"]})
filtered("seccomp-default-errno", {
    "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "architectures": ["SCMP_ARCH_X86_64"],
    "syscalls": [{"names": ["exit_group", "execve", "write", "brk", "arch_prctl", "set_tid_address",
                            "set_robust_list", "rseq", "prlimit64", "mprotect", "getrandom",
                            "readlink", "newfstatat", "fstat", "futex", "exit", "close", "read",
                            "fcntl", "openat", "getdents64", "lstat", "stat", "statfs", "chdir"],
                  "action": "SCMP_ACT_ALLOW"}]})
