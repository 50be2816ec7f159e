# SPDX-License-Identifier: Apache-2.0
"""Mounts, the root file system, masked and read-only paths."""
import os
import subprocess

from cases import bind, case, CASES, linux, mount


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
    (c.dir / "data").mkdir()
    c.config["mounts"].append(bind("mnt", c.dir / "data", "rbind"))
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
