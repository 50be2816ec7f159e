# SPDX-License-Identifier: Apache-2.0
"""Hooks."""
from cases import bind, case, CASES, process


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


def stages_in(file):
    """The stages that ran. crun and runc let those of startContainer and poststart race; Purple
    does not (runtime-hooks.bats), so which of these two was first is not compared."""
    ran = [line.split("\t")[1] for line in file.read_text().splitlines()
           if line.startswith("args\t") and line.split("\t")[1] in STAGES]
    racing = sorted((s for s in ran if s in ("startContainer", "poststart")), key=STAGES.index)
    return [racing.pop(0) if s in ("startContainer", "poststart") else s for s in ran]


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
            c.tell("ran", stages_in(file))
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
