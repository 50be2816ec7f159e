# SPDX-License-Identifier: Apache-2.0
"""The bundles of the differential tests: functions that shape a container's config.json, run it
and have its facts taken (see drive). The name of a function is the name of its case."""
import json
import os
import signal
import subprocess
import time

CASES = {}

DEFAULT_CAPS = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
ALL_CAPS = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID",
            "CAP_SETUID", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SYS_CHROOT",
            "CAP_MKNOD", "CAP_AUDIT_WRITE", "CAP_SETFCAP", "CAP_SYS_ADMIN"]
MASKED = ["/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
          "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware",
          "/proc/scsi"]
READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]


def case(function):
    CASES[function.__name__.replace("_", "-")] = function
    return function


def base_config(container_id):
    """What `runc spec` and Podman agree on, without a terminal."""
    return {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False, "user": {"uid": 0, "gid": 0}, "args": ["/bin/probe"],
            "env": ["PATH=/usr/bin:/bin", "TERM=xterm"], "cwd": "/",
            "capabilities": {kind: list(DEFAULT_CAPS)
                             for kind in ("bounding", "effective", "permitted")},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": False},
        "hostname": "box",
        "mounts": [
            mount("/proc", "proc", "proc"),
            mount("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
            mount("/dev/pts", "devpts", "devpts", "nosuid", "noexec", "newinstance",
                  "ptmxmode=0666", "mode=0620", "gid=5"),
            mount("/dev/shm", "tmpfs", "shm", "nosuid", "noexec", "nodev", "mode=1777",
                  "size=65536k"),
            mount("/dev/mqueue", "mqueue", "mqueue", "nosuid", "noexec", "nodev"),
            mount("/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", "ro"),
        ],
        "linux": {
            "cgroupsPath": f"/pt-diff-{os.getpid()}/{container_id}",
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
            "namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount")],
            "maskedPaths": list(MASKED), "readonlyPaths": list(READ_ONLY),
        },
    }


def mount(destination, kind, source, *options):
    entry = {"destination": destination, "source": source, "options": list(options)}
    if kind:
        entry["type"] = kind
    return entry


def bind(destination, source, *options):
    return mount(destination, "bind", str(source), *options)


def without_namespace(c, kind):
    c.config["linux"]["namespaces"] = [n for n in c.config["linux"]["namespaces"]
                                       if n["type"] != kind]


def add_namespace(c, kind, path=None):
    c.config["linux"]["namespaces"].append({"type": kind, **({"path": path} if path else {})})


def process(c):
    return c.config["process"]


def linux(c):
    return c.config["linux"]


def running(c, *options):
    """Starts a container that waits, for exec and the like."""
    process(c)["args"] = ["/bin/probe", "term-exit", "7"]
    if not c.create(*options, tell=False):
        c.tell("create", "failed")
        return False
    c.start()
    c.read_line()
    return True


# --- the process ----------------------------------------------------------------------------------


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
    master, name = console.take()
    c.tell("console.name", name.decode(errors="replace").rstrip("\0"))
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


# --- namespaces -----------------------------------------------------------------------------------


def absent(kind):
    def run_without(c):
        without_namespace(c, kind)
        if kind == "uts":
            del c.config["hostname"]
        if kind == "network":
            # A sysfs of the host's network would be mounted anew: by a bind instead.
            c.config["mounts"][-1] = bind("/sys", "/sys", "rbind", "ro")
        c.run()
    CASES[f"host-{kind}"] = run_without


for _kind in ("pid", "network", "ipc", "uts"):
    absent(_kind)


@case
def hostname_without_uts(c):
    without_namespace(c, "uts")
    c.run()


@case
def cgroup_namespace(c):
    add_namespace(c, "cgroup")
    c.config["mounts"].append(mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec",
                                    "nodev", "relatime", "ro"))
    c.run()


@case
def cgroup_mount_without_namespace(c):
    c.config["mounts"].append(mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec",
                                    "nodev", "relatime", "ro"))
    c.run()


@case
def cgroup_mount_writable(c):
    add_namespace(c, "cgroup")
    c.config["mounts"].append(mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec",
                                    "nodev", "relatime", "rw"))
    c.run()


@case
def user_namespace(c):
    add_namespace(c, "user")
    for kind in ("uidMappings", "gidMappings"):
        linux(c)[kind] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    subprocess.run(["chown", "-R", "100000:100000", str(c.dir / "rootfs")], check=True)
    c.run()


@case
def user_namespace_other_user(c):
    add_namespace(c, "user")
    for kind in ("uidMappings", "gidMappings"):
        linux(c)[kind] = [{"containerID": 0, "hostID": 100000, "size": 1000},
                          {"containerID": 1000, "hostID": 0, "size": 1},
                          {"containerID": 1001, "hostID": 101001, "size": 64000}]
    process(c)["user"] = {"uid": 1001, "gid": 1002, "additionalGids": [1000]}
    c.run()


@case
def user_namespace_without_mappings(c):
    add_namespace(c, "user")
    c.run()


@case
def namespaces_by_path(c):
    """A pod: the second container joins the first one's namespaces."""
    holder = subprocess.Popen(["unshare", "--net", "--ipc", "--uts", "sh", "-c",
                               "hostname pod; echo; exec sleep 1000"], stdout=subprocess.PIPE)
    holder.stdout.readline()
    holder.stdout.close()
    try:
        for kind, name in (("network", "net"), ("ipc", "ipc"), ("uts", "uts")):
            without_namespace(c, kind)
            add_namespace(c, kind, f"/proc/{holder.pid}/ns/{name}")
        del c.config["hostname"]
        c.run()
    finally:
        holder.kill()
        holder.wait()


@case
def namespace_path_missing(c):
    without_namespace(c, "network")
    add_namespace(c, "network", "/proc/1/ns/none")
    c.create()


@case
def namespace_path_of_other_type(c):
    without_namespace(c, "network")
    add_namespace(c, "network", "/proc/self/ns/uts")
    c.create()


@case
def namespace_twice(c):
    add_namespace(c, "uts")
    c.create()


@case
def namespace_unknown(c):
    add_namespace(c, "dream")
    c.create()


@case
def time_namespace(c):
    add_namespace(c, "time")
    linux(c)["timeOffsets"] = {"boottime": {"secs": 1000}, "monotonic": {"secs": -1}}
    c.run()


# --- mounts ---------------------------------------------------------------------------------------


@case
def read_only_root(c):
    c.config["root"]["readonly"] = True
    c.run()


@case
def tmpfs_options(c):
    c.config["mounts"].append(mount("/mnt", "tmpfs", "tmpfs", "noexec", "nodev", "nosuid",
                                    "noatime", "mode=0711", "size=1m", "nr_inodes=99",
                                    "uid=12", "gid=34"))
    c.run()


@case
def tmpfs_on_tmpfs(c):
    c.config["mounts"] += [mount("/mnt", "tmpfs", "one", "size=1m"),
                           mount("/mnt", "tmpfs", "two", "size=2m", "ro")]
    c.run()


@case
def tmpcopyup(c):
    (c.dir / "rootfs/data").mkdir(mode=0o750)
    (c.dir / "rootfs/data/file").write_text("x")
    c.config["mounts"].append(mount("/data", "tmpfs", "tmpfs", "tmpcopyup", "nosuid"))
    c.run()


def host_tree(c):
    """A folder with a mount below it, in the private mount namespace of the run."""
    tree = c.dir / "tree"
    tree.mkdir()
    (tree / "file").write_text("x")
    subprocess.run(["mount", "-t", "tmpfs", "outer", str(tree)], check=True)
    (tree / "inner").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "inner", str(tree / "inner")], check=True)
    (tree / "inner/file").write_text("y")
    return tree


def bound(name, *options):
    def run_bound(c):
        tree = host_tree(c)
        try:
            c.config["mounts"].append(bind("/mnt", tree, *options))
            c.run()
        finally:
            c.call("delete", "--force", c.id)
            subprocess.run(["umount", "-R", str(tree)], check=True)
    CASES[name] = run_bound


bound("bind", "bind")
bound("rbind", "rbind")
bound("bind-ro", "bind", "ro")
bound("rbind-ro", "rbind", "ro")
bound("rbind-rro", "rbind", "rro")
bound("bind-flags", "bind", "nosuid", "nodev", "noexec", "noatime")
bound("rbind-recursive-flags", "rbind", "rnosuid", "rnodev", "rnoexec", "rnoatime")
bound("bind-shared", "bind", "shared")
bound("rbind-rshared", "rbind", "rshared")
bound("rbind-rslave", "rbind", "rslave")
bound("rbind-private", "rbind", "private")
bound("rbind-unbindable", "rbind", "runbindable")
bound("bind-contradicting", "rbind", "ro", "rw", "nosuid", "suid")
bound("bind-unknown-option", "bind", "frobnicate")


@case
def bind_file(c):
    (c.dir / "file").write_text("x")
    c.config["mounts"].append(bind("/etc/new-file", c.dir / "file", "bind", "ro"))
    c.run()


@case
def bind_to_new_folders(c):
    (c.dir / "data").mkdir()
    c.config["mounts"].append(bind("/a/b/c", c.dir / "data", "rbind"))
    c.run()


@case
def bind_source_missing(c):
    c.config["mounts"].append(bind("/mnt", c.dir / "missing", "rbind"))
    c.create()


@case
def bind_relative_source(c):
    (c.dir / "data").mkdir()
    c.config["mounts"].append(bind("/mnt", "data", "rbind"))
    c.run()


@case
def bind_destination_relative(c):
    c.config["mounts"].append(bind("mnt", c.dir, "rbind"))
    c.run()


@case
def bind_through_link(c):
    """The destination is a link that leads to the host's folder: it stays inside."""
    (c.dir / "outside").mkdir()
    (c.dir / "rootfs/escape").symlink_to("/../../outside")
    (c.dir / "data").mkdir()
    (c.dir / "data/mark").write_text("")
    c.config["mounts"].append(bind("/escape", c.dir / "data", "rbind"))
    c.run()
    c.tell("outside", os.listdir(c.dir / "outside"))


@case
def bind_without_type(c):
    (c.dir / "data").mkdir()
    c.config["mounts"].append(mount("/mnt", None, str(c.dir / "data"), "rbind", "ro"))
    c.run()


@case
def bind_over_proc(c):
    (c.dir / "data").mkdir()
    c.config["mounts"].append(bind("/proc", c.dir / "data", "bind"))
    c.create()


@case
def bind_below_proc(c):
    (c.dir / "file").write_text("1 2\n")
    c.config["mounts"].append(bind("/proc/loadavg", c.dir / "file", "bind"))
    c.run()


@case
def bind_dev(c):
    """/dev of the host: no devices are made."""
    c.config["mounts"][1:5] = [bind("/dev", "/dev", "rbind", "ro")]
    c.run()


@case
def filesystem_unknown(c):
    c.config["mounts"].append(mount("/mnt", "dreamfs", "none"))
    c.create()


@case
def no_mounts(c):
    """Without /proc the probe sees little; what it sees is the same."""
    c.config["mounts"] = []
    linux(c)["maskedPaths"] = linux(c)["readonlyPaths"] = []
    c.run()


@case
def rootfs_propagation_shared(c):
    linux(c)["rootfsPropagation"] = "shared"
    c.run()


@case
def rootfs_propagation_slave(c):
    linux(c)["rootfsPropagation"] = "rslave"
    c.run()


@case
def rootfs_propagation_private(c):
    linux(c)["rootfsPropagation"] = "private"
    c.run()


@case
def rootfs_missing(c):
    c.config["root"]["path"] = "nowhere"
    c.create()


@case
def rootfs_absolute(c):
    c.config["root"]["path"] = str(c.dir / "rootfs")
    c.run()


@case
def masked_paths(c):
    (c.dir / "rootfs/masked").mkdir()
    (c.dir / "rootfs/masked/secret").write_text("x")
    (c.dir / "rootfs/masked-file").write_text("x")
    (c.dir / "rootfs/read-only").mkdir()
    (c.dir / "rootfs/read-only/file").write_text("x")
    linux(c)["maskedPaths"] += ["/masked", "/masked-file", "/not/there"]
    linux(c)["readonlyPaths"] += ["/read-only", "/not/there"]
    c.run()


@case
def no_masks(c):
    linux(c)["maskedPaths"] = linux(c)["readonlyPaths"] = []
    c.run()


@case
def no_pivot(c):
    c.run("--no-pivot")


# --- devices, kernel settings, groups -------------------------------------------------------------


@case
def devices(c):
    linux(c)["devices"] = [
        {"path": "/dev/full2", "type": "c", "major": 1, "minor": 7, "fileMode": 0o640, "uid": 3,
         "gid": 4},
        {"path": "/dev/deep/er/null", "type": "c", "major": 1, "minor": 3},
        {"path": "/dev/pipe", "type": "p"},
        {"path": "/etc/random", "type": "u", "major": 1, "minor": 8, "fileMode": 0o666},
    ]
    linux(c)["resources"]["devices"] += [{"allow": True, "type": "c", "major": 10, "minor": 229,
                                          "access": "rw"}]
    c.create()
    c.tell_group()
    c.start()
    c.tell_probe(c.read_output())


@case
def device_default_again(c):
    linux(c)["devices"] = [{"path": "/dev/null", "type": "c", "major": 1, "minor": 3,
                            "fileMode": 0o600, "uid": 9, "gid": 9}]
    c.run()


@case
def device_bad_type(c):
    linux(c)["devices"] = [{"path": "/dev/x", "type": "q", "major": 1, "minor": 3}]
    c.create()


@case
def sysctl(c):
    linux(c)["sysctl"] = {"kernel.msgmax": "12345", "net.ipv4.ip_unprivileged_port_start": "80",
                          "fs.mqueue.msg_max": "21", "net/core/somaxconn": "99"}
    c.run()


@case
def sysctl_of_the_host(c):
    linux(c)["sysctl"] = {"vm.swappiness": "10"}
    c.create()


@case
def sysctl_without_namespace(c):
    without_namespace(c, "ipc")
    linux(c)["sysctl"] = {"kernel.msgmax": "12345"}
    c.create()


@case
def sysctl_missing(c):
    linux(c)["sysctl"] = {"net.ipv4.no_such_thing": "1"}
    c.create()


@case
def sysctl_hostname(c):
    linux(c)["sysctl"] = {"kernel.hostname": "other"}
    c.run()


@case
def sysctl_domainname(c):
    linux(c)["sysctl"] = {"kernel.domainname": "other"}
    c.run()


@case
def domainname(c):
    c.config["domainname"] = "dom.example"
    c.run()


@case
def group_limits(c):
    linux(c)["resources"].update({
        "memory": {"limit": 64 << 20, "reservation": 32 << 20},
        "cpu": {"shares": 300, "quota": 40000, "period": 80000, "cpus": "0"},
        "pids": {"limit": 77},
    })
    if c.create():
        c.tell_group()
        c.start()
        c.tell_probe(c.read_output())


def limited(name, **resources):
    def run_limited(c):
        linux(c)["resources"].update(resources)
        if c.create():
            c.tell_group()
    CASES[name] = run_limited


limited("group-plain")
limited("group-memory-unlimited", memory={"limit": -1})
limited("group-memory-zero", memory={"limit": 0, "swap": 0, "reservation": 0, "kernel": 0})
limited("group-memory-tiny", memory={"limit": 4096})
limited("group-memory-swappiness", memory={"limit": 64 << 20, "swappiness": 20})
limited("group-memory-swap", memory={"limit": 64 << 20, "swap": 96 << 20})
limited("group-memory-swap-below", memory={"limit": 64 << 20, "swap": 32 << 20})
limited("group-no-oom-killer", memory={"limit": 64 << 20, "disableOOMKiller": True})
limited("group-cpu-zero", cpu={"shares": 0, "quota": 0, "period": 0})
limited("group-cpu-unlimited", cpu={"quota": -1})
limited("group-cpu-bad", cpu={"cpus": "900"})
limited("group-pids-unlimited", pids={"limit": -1})
limited("group-pids-zero", pids={"limit": 0})
limited("group-devices-all", devices=[{"allow": True, "access": "rwm"}])
limited("group-devices-none", devices=[])
limited("group-block-io", blockIO={"throttleReadBpsDevice": [
    {"major": 1, "minor": 0, "rate": 1048576}]})


@case
def group_path_relative(c):
    linux(c)["cgroupsPath"] = linux(c)["cgroupsPath"].lstrip("/")
    if c.create():
        c.tell_group()


@case
def group_path_leaving(c):
    linux(c)["cgroupsPath"] = "/../../" + linux(c)["cgroupsPath"].lstrip("/")
    if c.create():
        c.tell_group()


@case
def group_unified_on_v1(c):
    linux(c)["resources"]["unified"] = {"memory.high": "1000000"}
    c.create()


# --- seccomp --------------------------------------------------------------------------------------


def filtered(name, filter_, args=("/bin/probe",), **more):
    def run_filtered(c):
        linux(c)["seccomp"] = filter_
        process(c)["args"] = list(args)
        process(c).update(more)
        c.run()
    CASES[name] = run_filtered


def deny(names, action="SCMP_ACT_ERRNO", **more):
    return {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
            "syscalls": [{"names": names, "action": action, **more}]}


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


# --- how it ends ----------------------------------------------------------------------------------


def ends(name, *args, **more):
    def run_to_end(c):
        process(c)["args"] = list(args)
        process(c).update(more)
        c.run()
        c.tell_state("state")
    CASES[name] = run_to_end


ends("exit-status", "/bin/probe", "exit", "42")
ends("exit-trap", "/bin/probe", "trap")
ends("command-missing", "/bin/none")
ends("command-not-in-path", "none")
ends("command-not-executable", "/etc/plain")
ends("command-not-executable-in-path", "plain", env=["PATH=/etc:/bin"])
ends("command-is-a-folder", "/bin")
ends("command-of-no-format", "/bin/text")
ends("command-interpreter-missing", "/bin/script")
ends("command-empty", "")
ends("args-empty")
ends("args-empty-word", "/bin/probe", "", "x")
ends("command-below-a-file", "/bin/probe/x")


def with_programs(function):
    def prepared(c):
        for path, mode, text in (("etc/plain", 0o644, "x"), ("bin/text", 0o755, "text\n"),
                                 ("bin/script", 0o755, "#!/no/such/interpreter\n")):
            file = c.dir / "rootfs" / path
            file.write_text(text)
            file.chmod(mode)
        function(c)
    return prepared


for _name in [n for n in CASES if n.startswith("command-")]:
    CASES[_name] = with_programs(CASES[_name])


@case
def process_absent(c):
    del c.config["process"]
    c.create()


@case
def run_in_front(c):
    """`run` gives the command's status on."""
    process(c)["args"] = ["/bin/probe", "exit", "42"]
    c.write()
    c.tell_call("run", "run", c.id, exact=True)
    c.tell_state("after")
    process(c)["args"] = ["/bin/probe", "trap"]
    c.write()
    c.tell_call("run-killed", "run", c.id, exact=True)
    process(c)["args"] = ["/none"]
    c.write()
    c.tell_call("run-missing", "run", c.id, exact=True)
    c.config["linux"]["namespaces"][0]["type"] = "dream"
    c.write()
    c.tell_call("run-bad", "run", c.id, exact=True)


@case
def run_detached(c):
    process(c)["args"] = ["/bin/probe", "sleep"]
    c.write()
    with open("/dev/null", "r+b") as null:
        done = subprocess.run(c.command("run", "--detach", "--bundle", str(c.dir), "--pid-file",
                                        str(c.dir / "pid"), c.id), stdin=null, stdout=null,
                              stderr=null, timeout=60)
    c.tell("status", done.returncode)
    c.pid = int((c.dir / "pid").read_text())
    c.tell_state("state")
    c.tell_call("kill", "kill", c.id, "KILL")
    c.tell("exit", c.reap())


# --- documents and the order of commands ----------------------------------------------------------


@case
def states(c):
    process(c)["args"] = ["/bin/probe", "term-exit", "7"]
    c.config["annotations"] = {"org.example.key": "value"}
    c.create()
    c.tell_state("created")
    c.start()
    c.read_line()
    c.tell_state("running")
    c.tell_call("pause", "pause", c.id)
    c.tell_state("paused")
    c.tell_call("resume", "resume", c.id)
    c.tell_state("resumed")
    c.tell_call("kill", "kill", c.id)
    c.tell("exit", c.reap())
    c.tell_state("stopped")
    c.tell_call("delete", "delete", c.id)
    c.tell_state("deleted")


def tell_lists(c, key):
    status, stdout, _ = c.tell_call(f"{key}.list", "list", "--format", "json")
    for entry in json.loads(stdout or "null") or []:
        for member, value in sorted(entry.items()):
            if member in ("pid", "created", "ociVersion"):
                value = "some" if value else "none"
            c.tell(f"{key}.list.{member}", value)
    status, stdout, _ = c.tell_call(f"{key}.list-quiet", "list", "--quiet")
    c.tell(f"{key}.list-quiet", stdout.split())
    status, stdout, _ = c.tell_call(f"{key}.list-table", "list")
    c.tell(f"{key}.list-table.head", stdout.splitlines()[:1])
    status, stdout, _ = c.tell_call(f"{key}.ps", "ps", "--format", "json", c.id)
    if status == 0:
        c.tell(f"{key}.ps", ["init" if pid == c.pid else "other"
                             for pid in json.loads(stdout) or []])


@case
def lists(c):
    tell_lists(c, "none")
    process(c)["args"] = ["/bin/probe", "term-exit", "7"]
    c.create()
    tell_lists(c, "created")
    c.start()
    c.read_line()
    tell_lists(c, "running")
    c.call("pause", c.id)
    tell_lists(c, "paused")
    c.call("resume", c.id)
    c.call("kill", c.id, "KILL")
    c.reap()
    tell_lists(c, "stopped")


COMMANDS = [("start",), ("pause",), ("resume",), ("kill", "0"), ("exec",), ("delete",)]


def try_commands(c, when, *which):
    for name in which:
        words = {"kill": ("kill", c.id, "0"), "kill-bad": ("kill", c.id, "NONSENSE"),
                 "kill-all": ("kill", "--all", c.id, "0"), "kill-name": ("kill", c.id, "SIGCONT"),
                 "kill-short": ("kill", c.id, "CONT"), "kill-lower": ("kill", c.id, "sigcont"),
                 "kill-number": ("kill", c.id, "18"), "kill-high": ("kill", c.id, "99"),
                 "exec": ("exec", c.id, "/bin/probe", "exit", "3"),
                 "create": ("create", "--bundle", str(c.dir), c.id),
                 "delete-force": ("delete", "--force", c.id)}.get(name, (name, c.id))
        c.tell_call(f"{when}.{name}", *words, exact=name == "exec")


@case
def commands_in_every_state(c):
    everything = ("start", "pause", "resume", "kill", "exec", "state", "ps", "delete")
    try_commands(c, "nothing", *everything, "delete-force", "kill-all")
    process(c)["args"] = ["/bin/probe", "term-exit", "7"]
    c.create()
    try_commands(c, "created", "create", "resume", "kill", "kill-name")
    c.start()
    c.read_line()
    try_commands(c, "running", "create", "start", "resume", "delete", "kill", "kill-all", "kill-bad",
                 "kill-name", "kill-short", "kill-lower", "kill-number", "kill-high", "exec", "ps",
                 "pause")
    try_commands(c, "paused", "pause", "start", "exec", "delete", "kill", "resume")
    try_commands(c, "resumed", "resume")
    c.call("kill", c.id, "KILL")
    c.reap()
    try_commands(c, "stopped", "create", "start", "pause", "resume", "exec", "kill", "kill-all",
                 "ps", "delete", "delete", "delete-force")


@case
def pause_created(c):
    process(c)["args"] = ["/bin/probe", "exit", "0"]
    c.create()
    try_commands(c, "created", "pause")
    c.tell_state("state")
    try_commands(c, "created", "resume")
    c.tell_state("after")


@case
def exec_created(c):
    process(c)["args"] = ["/bin/probe", "exit", "0"]
    c.create()
    try_commands(c, "created", "exec", "ps")


@case
def delete_created(c):
    c.create()
    try_commands(c, "created", "delete")
    c.tell_state("state")


@case
def delete_force_running(c):
    if running(c):
        try_commands(c, "running", "delete-force")
        c.tell("exit", c.reap())


@case
def delete_force_paused(c):
    if running(c):
        try_commands(c, "running", "pause", "delete-force")
        c.tell("exit", c.reap())


@case
def kill_created(c):
    c.create()
    c.tell_call("kill", "kill", c.id, "KILL")
    c.tell("exit", c.reap())
    c.tell_state("state")
    try_commands(c, "stopped", "start", "delete")


@case
def kill_paused(c):
    if running(c):
        try_commands(c, "running", "pause")
        c.tell_call("kill", "kill", c.id, "KILL")
        c.call("resume", c.id)  # neither runc nor crun thaws it
        c.tell("exit", c.reap())


@case
def term_while_running(c):
    if running(c):
        c.tell_call("kill", "kill", c.id, "TERM")
        c.tell("exit", c.reap())


def identified(name, word):
    def create_with_id(c):
        c.write()
        c.tell_call("create", "create", "--bundle", str(c.dir), word)
        c.call("delete", "--force", word)
    CASES[name] = create_with_id


identified("id-with-slash", "a/b")
# Not "..": crun 1.8.1 would take the folder above its state for a container, and delete it.
identified("id-empty", "")
identified("id-with-space", "a b")


@case
def bundle_missing(c):
    c.tell_call("create", "create", "--bundle", str(c.dir / "none"), c.id)


@case
def config_missing(c):
    c.tell_call("create", "create", "--bundle", str(c.dir), c.id)


@case
def config_broken(c):
    (c.dir / "config.json").write_text('{"ociVersion": ')
    c.tell_call("create", "create", "--bundle", str(c.dir), c.id)


@case
def config_of_old_version(c):
    c.config["ociVersion"] = "0.1.0"
    c.create()


@case
def config_of_later_version(c):
    c.config["ociVersion"] = "1.9.0"
    c.run()


@case
def config_with_unknown_members(c):
    c.config["extra"] = {"a": 1}
    process(c)["extra"] = True
    linux(c)["extra"] = []
    c.run()


@case
def errors_in_the_log(c):
    """The log that engines read: its records and their members."""
    for key, words in {"state": ("state", "none"), "create": ("create", "--bundle", "/none", c.id),
                       "kill": ("kill", "none", "9")}.items():
        log = c.dir / f"{key}.log"
        c.call("--log", str(log), "--log-format", "json", *words)
        records = [json.loads(line) for line in log.read_text().splitlines()]
        errors = [r for r in records if r["level"] == "error"]
        c.tell(f"{key}.errors", len(errors))
        c.tell(f"{key}.members", sorted(errors[-1]))


# --- exec -----------------------------------------------------------------------------------------


@case
def exec_plain(c):
    process(c)["user"] = {"uid": 1000, "gid": 1001, "additionalGids": [5]}
    process(c)["oomScoreAdj"] = 100
    process(c)["user"]["umask"] = 0o027
    linux(c)["seccomp"] = deny(["getcpu"])
    if running(c):
        c.exec("exec", c.id, "/bin/probe")


@case
def exec_options(c):
    if running(c):
        c.exec("exec", "--cwd", "/tmp", "--env", "A=1", "--env", "B=2", "--user", "1000:1001",
               "--additional-gids", "7", "--additional-gids", "8", c.id, "probe", "x")
        c.exec("user", "--user", "1000", c.id, "probe")
        c.exec("user-bad", "--user", "nobody-here", c.id, "probe")
        c.exec("no-new-privs", "--no-new-privs", c.id, "probe")
        c.exec("caps", "--cap", "CAP_NET_RAW", c.id, "probe")
        c.exec("cwd-missing", "--cwd", "/none", c.id, "probe")


def exec_process(**members):
    return {"args": ["/bin/probe"], "cwd": "/", "env": ["PATH=/bin", "E=1"],
            "user": {"uid": 0, "gid": 0}, **members}


@case
def exec_process_file(c):
    if not running(c):
        return
    files = {
        "plain": exec_process(),
        "user": exec_process(user={"uid": 5, "gid": 6, "additionalGids": [7], "umask": 0o077}),
        "caps": exec_process(capabilities={kind: ["CAP_CHOWN"] for kind in (
            "bounding", "effective", "permitted")}),
        "nnp": exec_process(noNewPrivileges=True),
        "limits": exec_process(rlimits=[{"type": "RLIMIT_NOFILE", "soft": 300, "hard": 400}]),
        "oom": exec_process(oomScoreAdj=77),
        "home": exec_process(env=["PATH=/bin", "HOME=/x"]),
        "env-empty": exec_process(env=[]),
        "relative": exec_process(args=["probe"]),
        "missing": exec_process(args=["none"]),
        "missing-path": exec_process(args=["/none"]),
        "folder": exec_process(args=["/bin"]),
        "cwd-missing": exec_process(cwd="/none"),
        "args-empty": exec_process(args=[]),
    }
    for name, process_ in files.items():
        file = c.dir / f"{name}.json"
        file.write_text(json.dumps(process_))
        c.exec(name, "--process", str(file), c.id)


@case
def exec_status(c):
    if running(c):
        c.exec("exit", c.id, "/bin/probe", "exit", "42")
        c.exec("killed", c.id, "/bin/probe", "kill", "9")
        c.exec("trap", c.id, "/bin/probe", "trap")
        c.exec("missing", c.id, "none")
        c.exec("missing-path", c.id, "/none")
        c.exec("folder", c.id, "/bin")
        c.exec("no-words", c.id)
        c.exec("no-container", "none", "/bin/probe")


@case
def exec_detached(c):
    if not running(c):
        return
    file = c.dir / "process.json"
    file.write_text(json.dumps(exec_process(args=["/bin/probe", "sleep"])))
    pid_file = c.dir / "exec.pid"
    with open("/dev/null", "r+b") as null:
        done = subprocess.run(c.command("exec", "--detach", "--process", str(file), "--pid-file",
                                        str(pid_file), c.id), stdin=null, stdout=null, stderr=null,
                              timeout=60)
    c.tell("exec.status", done.returncode)
    pid = int(pid_file.read_text())
    _, stdout, _ = c.call("ps", "--format", "json", c.id)
    c.tell("ps", sorted("init" if p == c.pid else "exec" if p == pid else "other"
                        for p in json.loads(stdout)))
    c.tell("group", (open(f"/proc/{pid}/cgroup").read() == open(f"/proc/{c.pid}/cgroup").read()))
    os.kill(pid, signal.SIGKILL)
    c.tell("exec.reaped", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


@case
def exec_terminal(c):
    import drive
    if not running(c):
        return
    console = drive.Console(c.dir)
    file = c.dir / "process.json"
    file.write_text(json.dumps(exec_process(terminal=True, consoleSize={"width": 40, "height": 12},
                                            user={"uid": 1000, "gid": 1000})))
    pid_file = c.dir / "exec.pid"
    with open("/dev/null", "r+b") as null:
        done = subprocess.run(c.command("exec", "--detach", "--process", str(file), "--tty",
                                        "--console-socket", console.path, "--pid-file",
                                        str(pid_file), c.id), stdin=null, stdout=null, stderr=null,
                              timeout=60)
    c.tell("exec.status", done.returncode)
    master, _ = console.take()
    c.tell_probe(console.read(master).replace("\r\n", "\n"), "exec.")
    os.close(master)
    c.tell("exec.exit", os.waitstatus_to_exitcode(os.waitpid(int(pid_file.read_text()), 0)[1]))


@case
def exec_in_user_namespace(c):
    add_namespace(c, "user")
    for kind in ("uidMappings", "gidMappings"):
        linux(c)[kind] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    subprocess.run(["chown", "-R", "100000:100000", str(c.dir / "rootfs")], check=True)
    if running(c):
        c.exec("exec", c.id, "/bin/probe")
        c.exec("user", "--user", "1000", c.id, "/bin/probe")


@case
def exec_in_host_pid(c):
    without_namespace(c, "pid")
    if running(c):
        c.exec("exec", c.id, "/bin/probe")


@case
def kill_all_in_host_pid(c):
    """Without a pid namespace the second process outlives the first, and `kill --all` finds it."""
    without_namespace(c, "pid")
    if not running(c):
        return
    pid_file = c.dir / "exec.pid"
    with open("/dev/null", "r+b") as null:
        subprocess.run(c.command("exec", "--detach", "--pid-file", str(pid_file), c.id,
                                 "/bin/probe", "sleep"), stdin=null, stdout=null, stderr=null,
                       timeout=60)
    pid = int(pid_file.read_text())
    c.call("kill", c.id, "KILL")
    c.tell("exit", c.reap())
    c.tell("second", "lives" if os.waitpid(pid, os.WNOHANG) == (0, 0) else "is dead")
    c.tell_state("state")
    c.tell_call("kill-all", "kill", "--all", c.id, "KILL")
    end = time.monotonic() + 10
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            c.tell("second.exit", os.waitstatus_to_exitcode(status))
            return
        time.sleep(0.01)
    c.tell("second.exit", "never")
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


# --- update ---------------------------------------------------------------------------------------


def updated(name, resources, *options):
    def run_updated(c):
        linux(c)["resources"].update({"memory": {"limit": 64 << 20}, "pids": {"limit": 50},
                                      "cpu": {"shares": 512, "quota": 50000, "period": 100000}})
        process(c)["args"] = ["/bin/probe", "sleep"]
        c.create()
        words = ["--resources", "-"] if resources is not None else options
        c.tell_call("update", "update", *words, c.id, stdin=json.dumps(resources or {}))
        c.tell_group("after")
    CASES[name] = run_updated


updated("update-memory", {"memory": {"limit": 32 << 20, "reservation": 16 << 20}})
updated("update-memory-up", {"memory": {"limit": 128 << 20}})
updated("update-cpu", {"cpu": {"shares": 100, "quota": 20000, "period": 40000}})
updated("update-cpu-unlimited", {"cpu": {"quota": -1}})
updated("update-pids", {"pids": {"limit": 20}})
updated("update-zeros", {"memory": {"limit": 0, "reservation": 0, "swap": 0, "kernel": 0},
                         "cpu": {"shares": 0, "quota": 0, "period": 0, "cpus": "", "mems": ""},
                         "blockIO": {"weight": 0}})
updated("update-nothing", {})
updated("update-devices", {"devices": [{"allow": False, "access": "rwm"}]})
updated("update-options", None, "--memory", str(32 << 20), "--pids-limit", "33", "--cpu-share",
        "200", "--cpu-quota", "30000", "--cpu-period", "60000")


# --- hooks ----------------------------------------------------------------------------------------

STAGES = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")


def add_hooks(c, stages=STAGES, fail=None):
    """Every hook is the probe, and writes to a file that is at the same place inside."""
    shared = c.dir / "hooked"
    shared.mkdir(mode=0o777)
    file = shared / "facts"
    inside = c.dir / "rootfs" / str(shared).lstrip("/")
    inside.mkdir(parents=True)
    c.config["mounts"].append(bind(str(shared), shared, "rbind"))
    c.config["hooks"] = {}
    for stage in stages:
        program = "/bin/probe" if stage == "startContainer" else str(c.probe)
        args = ["probe", "hook", str(file), stage]
        if stage == fail:
            args = ["probe", "exit", "3"]
        c.config["hooks"][stage] = [{"path": program, "args": args, "env": ["H=1"]}]
    return file


@case
def hooks(c):
    c.config["annotations"] = {"org.example.key": "value"}
    file = add_hooks(c)
    process(c)["args"] = ["/bin/probe", "exit", "0"]
    c.run()
    c.call("delete", c.id)
    c.tell_hooks(file)


def failing(stage):
    def run_failing(c):
        file = add_hooks(c, fail=stage)
        process(c)["args"] = ["/bin/probe", "term-exit", "7"]
        if c.create():
            c.start()
            c.tell_state("after-start")
            c.call("kill", c.id, "KILL")
            c.reap()
            c.tell_call("delete", "delete", c.id)
        c.tell_state("state")
        if file.exists():
            c.tell("ran", [line.split("\t")[1] for line in file.read_text().splitlines()
                           if line.startswith("args\t") and line.split("\t")[1] in STAGES])
    CASES[f"hook-failing-{stage.lower()}"] = run_failing


for _stage in STAGES:
    failing(_stage)


@case
def hook_missing_program(c):
    c.config["hooks"] = {"createRuntime": [{"path": "/no/such/hook"}]}
    c.create()


@case
def hook_relative_path(c):
    c.config["hooks"] = {"createRuntime": [{"path": "hook"}]}
    c.create()


@case
def hook_without_args_and_env(c):
    """The program's name is args[0] then, and the environment empty."""
    script = c.dir / "hook"
    script.write_text(f"#!/bin/sh\n/usr/bin/tr '\\0' ' ' </proc/$$/cmdline >{c.dir}/cmdline\n"
                      f"/usr/bin/tr '\\0' ' ' </proc/$$/environ >{c.dir}/environ\n")
    script.chmod(0o755)
    c.config["hooks"] = {"createRuntime": [{"path": str(script)}]}
    c.create()
    for name in ("cmdline", "environ"):
        c.tell(name, (c.dir / name).read_text() if (c.dir / name).exists() else "none")


@case
def hook_timeout(c):
    script = c.dir / "hook"
    script.write_text("#!/bin/sh\nexec sleep 1000\n")
    script.chmod(0o755)
    c.config["hooks"] = {"createRuntime": [{"path": str(script), "timeout": 1}]}
    c.create()
