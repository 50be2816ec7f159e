# SPDX-License-Identifier: Apache-2.0
"""How a container ends, what commands say in each state, documents."""
import json
import subprocess

from cases import case, CASES, linux, process, running


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
        if not log.exists():
            c.tell(f"{key}.errors", "no log")
            continue
        records = [json.loads(line) for line in log.read_text().splitlines()]
        errors = [r for r in records if r["level"] == "error"]
        c.tell(f"{key}.errors", len(errors))
        c.tell(f"{key}.members", sorted(errors[-1]))
