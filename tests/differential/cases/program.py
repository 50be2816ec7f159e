# SPDX-License-Identifier: Apache-2.0
"""What the process is and is given."""
import os
import signal

from cases import ALL_CAPS, case, linux, mount, process


@case
def plain(c):
    c.run()


@case
def minimal(c):
    """As little as a config can say."""
    c.config = {"ociVersion": "1.0.0", "root": {"path": "rootfs"},
                "process": {"args": ["/bin/probe"], "cwd": "/", "env": [],
                            "user": {"uid": 0, "gid": 0}},
                "mounts": [mount("/proc", "proc", "proc")],
                "linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}],
                          "cgroupsPath": linux(c)["cgroupsPath"]}}
    c.run()


@case
def user(c):
    process(c)["user"] = {"uid": 1000, "gid": 1001}
    c.run()


@case
def user_with_groups(c):
    process(c)["user"] = {"uid": 1000, "gid": 1001, "additionalGids": [5, 7, 1001]}
    process(c)["cwd"] = "/tmp"
    c.run()


@case
def user_with_home(c):
    """HOME comes from /etc/passwd of the container when the environment has none."""
    (c.dir / "rootfs/etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nme:x:1000:1000::/home/me:/bin/sh\n")
    process(c)["user"] = {"uid": 1000, "gid": 1000}
    c.run()


@case
def root_with_home(c):
    (c.dir / "rootfs/etc/passwd").write_text("root:x:0:0::/somewhere:/bin/sh\n")
    c.run()


@case
def home_given(c):
    process(c)["env"].append("HOME=/given")
    c.run()


@case
def home_empty(c):
    process(c)["env"].append("HOME=")
    c.run()


@case
def umask(c):
    process(c)["user"]["umask"] = 0o077
    c.run()


@case
def umask_of_the_caller(c):
    os.umask(0o027)
    try:
        c.run()
    finally:
        os.umask(0o022)


@case
def no_new_privileges_off(c):
    process(c)["noNewPrivileges"] = False
    c.run()


@case
def capabilities_all_sets(c):
    process(c)["capabilities"] = {kind: ALL_CAPS for kind in (
        "bounding", "effective", "permitted", "inheritable", "ambient")}
    c.run()


@case
def capabilities_none(c):
    process(c)["capabilities"] = {}
    c.run()


@case
def capabilities_absent(c):
    del process(c)["capabilities"]
    c.run()


@case
def capabilities_of_a_user(c):
    process(c)["user"] = {"uid": 1000, "gid": 1000}
    process(c)["capabilities"] = {kind: ["CAP_NET_RAW", "CAP_CHOWN"] for kind in (
        "bounding", "effective", "permitted", "inheritable", "ambient")}
    process(c)["noNewPrivileges"] = False
    c.run()


@case
def capabilities_of_a_user_not_ambient(c):
    process(c)["user"] = {"uid": 1000, "gid": 1000}
    c.run()


@case
def capability_unknown(c):
    process(c)["capabilities"]["bounding"].append("CAP_OF_TOMORROW")
    c.run()


@case
def rlimits(c):
    process(c)["rlimits"] = [
        {"type": "RLIMIT_NOFILE", "soft": 512, "hard": 700},
        {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
        {"type": "RLIMIT_NPROC", "soft": 300, "hard": 400},
        {"type": "RLIMIT_FSIZE", "soft": 1 << 30, "hard": 1 << 31},
        {"type": "RLIMIT_STACK", "soft": 4 << 20, "hard": 8 << 20},
        {"type": "RLIMIT_NICE", "soft": 0, "hard": 0},
    ]
    c.run()


@case
def rlimits_absent(c):
    del process(c)["rlimits"]
    c.run()


@case
def rlimit_unknown(c):
    process(c)["rlimits"] = [{"type": "RLIMIT_NONSENSE", "soft": 1, "hard": 1}]
    c.run()


@case
def rlimit_twice(c):
    process(c)["rlimits"] *= 2
    c.run()


@case
def oom_score(c):
    process(c)["oomScoreAdj"] = 321
    c.run()


@case
def environment(c):
    process(c)["env"] = ["PATH=/bin", "A=1", "B=two words", "EMPTY=", "A=2", "UTF=ü", "X=a=b"]
    c.run(env={"PATH": os.environ["PATH"], "LEAK": "1", "_OCI_SYNCPIPE": "3", "HOME": "/root"})


@case
def environment_empty(c):
    process(c)["env"] = []
    c.run()


@case
def environment_without_value(c):
    process(c)["env"] = ["PATH=/bin", "NOVALUE"]
    c.run()


@case
def path_lookup(c):
    process(c)["args"] = ["probe"]
    c.run()


@case
def path_absent(c):
    process(c)["args"] = ["probe"]
    process(c)["env"] = ["A=1"]
    c.run()


@case
def path_with_slash(c):
    process(c)["args"] = ["bin/probe"]
    c.run()


@case
def path_relative_to_cwd(c):
    process(c)["args"] = ["./probe"]
    process(c)["cwd"] = "/bin"
    c.run()


@case
def cwd_missing(c):
    """Both others make it."""
    process(c)["cwd"] = "/new/folder"
    c.run()


@case
def cwd_missing_for_a_user(c):
    process(c)["cwd"] = "/new/folder"
    process(c)["user"] = {"uid": 1000, "gid": 1000}
    c.run()


@case
def cwd_not_allowed(c):
    (c.dir / "rootfs/closed").mkdir(mode=0o700)
    process(c)["cwd"] = "/closed"
    process(c)["user"] = {"uid": 1000, "gid": 1000}
    c.run()


@case
def cwd_is_a_file(c):
    process(c)["cwd"] = "/bin/probe"
    c.run()


@case
def cwd_relative(c):
    process(c)["cwd"] = "bin"
    c.run()


@case
def cwd_is_a_link(c):
    (c.dir / "rootfs/link").symlink_to("/tmp")
    process(c)["cwd"] = "/link"
    c.run()


@case
def fds_given(c):
    read, write = os.pipe()
    os.dup2(read, 3)
    os.dup2(write, 4)
    for fd in (3, 4):
        os.set_inheritable(fd, True)
    c.run("--preserve-fds", "2", fds=(3, 4))
    for fd in {3, 4, read, write}:
        os.close(fd)


@case
def fds_left_open(c):
    """What the caller leaves open is not the container's."""
    fd = os.open("/etc", os.O_RDONLY)
    os.dup2(fd, 20)
    os.set_inheritable(20, True)
    c.run(fds=(20,))
    os.close(fd)
    os.close(20)


@case
def signals_ignored_by_the_caller(c):
    before = {s: signal.signal(s, signal.SIG_IGN) for s in (signal.SIGUSR1, signal.SIGHUP)}
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    try:
        c.run()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR2])
        for s, handler in before.items():
            signal.signal(s, handler)


@case
def terminal(c):
    import drive
    process(c)["terminal"] = True
    process(c)["consoleSize"] = {"width": 91, "height": 33}
    process(c)["user"] = {"uid": 1000, "gid": 1000}
    linux(c)["namespaces"].append({"type": "cgroup"})
    console = drive.Console(c.dir)
    if not c.create("--console-socket", console.path):
        return
    master, _ = console.take()
    c.start()
    c.tell_probe(console.read(master).replace("\r\n", "\n"))
    os.close(master)
    c.tell("exit", c.reap())


@case
def terminal_without_socket(c):
    process(c)["terminal"] = True
    c.create()


@case
def socket_without_terminal(c):
    c.create("--console-socket", str(c.dir / "nobody"))
