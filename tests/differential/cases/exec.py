# SPDX-License-Identifier: Apache-2.0
"""exec."""
import json
import os
import signal
import subprocess
import time

from cases import add_namespace, case, deny, linux, process, running, without_namespace


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
