# SPDX-License-Identifier: Apache-2.0
"""Devices, sysctls, cgroups and update."""
import json

from cases import case, CASES, linux, process, without_namespace


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
