"""Drives the local platform with a published Python SDK, unpatched.

The argument names the package: `ppio_sandbox.core` (default) or `e2b`. The platform is found
through the variables that it prints. Exits non-zero, with a traceback, on the first difference.
"""

import importlib
import sys
import time

package = sys.argv[1] if len(sys.argv) > 1 else "ppio_sandbox.core"
sdk = importlib.import_module(package)
Sandbox = sdk.Sandbox


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


def expect_raises(kind, call, what):
    try:
        call()
    except kind:
        return
    raise AssertionError(f"{what}: no {kind.__name__}")


def wait_until(condition, what, seconds=10):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}")


def commands(sandbox):
    result = sandbox.commands.run("echo out; echo err >&2; echo $GREETING", envs={"GREETING": "hello"})
    expect(result.stdout == "out\nhello\n", f"stdout {result.stdout!r}")
    expect(result.stderr == "err\n", f"stderr {result.stderr!r}")
    expect(sandbox.commands.run("echo $FROM_CREATE").stdout == "yes\n", "variables of the sandbox")
    expect(sandbox.commands.run("pwd", cwd="/tmp").stdout == "/tmp\n", "working directory")
    expect_raises(sdk.CommandExitException, lambda: sandbox.commands.run("exit 7"), "exit code")
    expect_raises(sdk.TimeoutException, lambda: sandbox.commands.run("sleep 30", timeout=1), "timeout")

    pieces = []
    sandbox.commands.run("for i in 1 2 3; do echo $i; sleep 0.1; done", on_stdout=lambda piece: pieces.append(piece))
    expect(len(pieces) == 3 and "".join(pieces) == "1\n2\n3\n", f"pieces {pieces}")

    background = sandbox.commands.run("sleep 60", background=True)
    expect(any(process.pid == background.pid for process in sandbox.commands.list()), "background process listed")
    expect(sandbox.commands.kill(background.pid), "background process killed")
    wait_until(lambda: all(p.pid != background.pid for p in sandbox.commands.list()), "killed process unlisted")
    expect(sandbox.commands.kill(999_999) is False, "no process to kill")

    reader = sandbox.commands.run("read line; echo got $line", background=True, stdin=True)
    sandbox.commands.send_stdin(reader.pid, "a word\n")
    expect(reader.wait().stdout == "got a word\n", "stdin")

    echo = sandbox.commands.run("sleep 0.3; echo late", background=True)
    again = sandbox.commands.connect(echo.pid)
    expect(again.wait().stdout == "late\n", "connect to a process")


def files(sandbox):
    info = sandbox.files.write("notes/one.txt", "first")
    expect(info.path == "/home/user/notes/one.txt", f"path {info.path}")
    expect(sandbox.files.read("notes/one.txt") == "first", "read text")
    sandbox.files.write("/home/user/blob", bytes(range(256)) * 1000)
    expect(bytes(sandbox.files.read("/home/user/blob", format="bytes")) == bytes(range(256)) * 1000, "read bytes")
    expect(sandbox.commands.run("cat notes/one.txt").stdout == "first", "a command reads the file")
    sandbox.commands.run("echo from-command > made")
    expect(sandbox.files.read("made") == "from-command\n", "a file call reads a file of a command")
    expect(sandbox.files.exists("notes") and not sandbox.files.exists("nothing"), "exists")
    names = {entry.name: entry.type.value for entry in sandbox.files.list("/home/user")}
    expect(names.get("notes") == "dir" and names.get("blob") == "file", f"list {names}")
    expect(sandbox.files.get_info("blob").size == 256_000, "size")
    expect(sandbox.files.make_dir("deep/er") is True, "make_dir")
    expect(sandbox.files.make_dir("deep/er") is False, "make_dir again")
    expect(sandbox.files.rename("blob", "deep/er/blob").path == "/home/user/deep/er/blob", "rename")
    sandbox.files.remove("deep")
    expect(not sandbox.files.exists("deep/er/blob"), "remove")
    expect_raises(sdk.NotFoundException, lambda: sandbox.files.read("nothing"), "read of a missing file")
    # The file call reads the sandbox's own file, as commands do, and not the machine's file.
    accounts = sandbox.files.read("../../../etc/passwd")
    expect(accounts == sandbox.commands.run("cat /etc/passwd").stdout, "the same file tree")
    expect("daemon" not in accounts, "the machine's accounts")

    watch = sandbox.files.watch_dir("/home/user/notes")
    sandbox.files.write("notes/two.txt", "second")
    seen = []
    wait_until(lambda: seen.extend(watch.get_new_events()) or any(e.name == "two.txt" for e in seen), "watch event")
    watch.stop()


def life(sandbox):
    info = sandbox.get_info()
    expect(info.sandbox_id == sandbox.sandbox_id and info.metadata["purpose"] == "interop", f"info {info}")
    before = info.end_at
    sandbox.set_timeout(600)
    expect(sandbox.get_info().end_at > before, "set_timeout")
    expect(sandbox.is_running(), "is_running")

    sandbox.commands.run("echo kept > /tmp/kept; (while :; do date +%s%N > /tmp/tick; sleep 0.02; done) >/dev/null 2>&1 &")
    wait_until(lambda: sandbox.files.exists("/tmp/tick"), "ticks")
    (sandbox.pause if hasattr(sandbox, "pause") else sandbox.beta_pause)()
    expect(not sandbox.is_running(), "paused is not running")
    expect(str(Sandbox.get_info(sandbox.sandbox_id).state.value) == "paused", "state paused")
    resumed = Sandbox.connect(sandbox.sandbox_id, timeout=120)
    expect(resumed.is_running(), "resumed is running")
    expect(resumed.files.read("/tmp/kept") == "kept\n", "kept files")
    tick = resumed.files.read("/tmp/tick")
    wait_until(lambda: resumed.files.read("/tmp/tick") != tick, "the process continues")

    metrics = resumed.get_metrics()
    expect(metrics and metrics[-1].mem_used > 0, f"metrics {metrics}")


def listing(sandbox):
    query = sdk.SandboxQuery(metadata={"purpose": "interop", "name": "a b&c"})
    found = []
    paginator = Sandbox.list(query=query)
    while paginator.has_next:
        found += paginator.next_items()
    expect([item.sandbox_id for item in found] == [sandbox.sandbox_id], f"list {found}")
    none = Sandbox.list(query=sdk.SandboxQuery(metadata={"purpose": "other"})).next_items()
    expect(none == [], "list with other metadata")


def pages():
    extra = [Sandbox.create(timeout=60, metadata={"purpose": "pages"}) for _ in range(3)]
    paginator = Sandbox.list(query=sdk.SandboxQuery(metadata={"purpose": "pages"}), limit=2)
    sizes = []
    while paginator.has_next:
        sizes.append(len(paginator.next_items()))
    expect(sizes == [2, 1], f"pages {sizes}")
    for sandbox in extra:
        expect(sandbox.kill(), "kill")


def timed_out():
    sandbox = Sandbox.create(timeout=1)
    wait_until(lambda: not sandbox.is_running(), "timeout kills")
    expect_raises(Exception, lambda: Sandbox.get_info(sandbox.sandbox_id), "info of a dead sandbox")


def main():
    sandbox = Sandbox.create(
        timeout=120,
        metadata={"purpose": "interop", "name": "a b&c"},
        envs={"FROM_CREATE": "yes"},
    )
    try:
        for check in [commands, files, listing, life]:
            check(sandbox)
            print(f"{package}: {check.__name__} ok")
    finally:
        expect(sandbox.kill(), "kill")
    expect(not sandbox.is_running(), "killed is not running")
    expect(Sandbox.kill(sandbox.sandbox_id) is False, "nothing left to kill")
    for check in [pages, timed_out]:
        check()
        print(f"{package}: {check.__name__} ok")


main()
