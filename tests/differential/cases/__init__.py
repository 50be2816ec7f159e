# SPDX-License-Identifier: Apache-2.0
"""The bundles of the differential tests: functions that shape a container's config.json, run it
and have its facts taken (see drive). The name of a function is the name of its case; a module of
this package is a theme. Here is what the themes share."""
import os

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


def deny(names, action="SCMP_ACT_ERRNO", **more):
    return {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
            "syscalls": [{"names": names, "action": action, **more}]}
