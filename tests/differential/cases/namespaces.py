# SPDX-License-Identifier: Apache-2.0
"""Namespaces: new, joined and absent."""
import subprocess

from cases import add_namespace, bind, case, CASES, linux, mount, process, without_namespace


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
