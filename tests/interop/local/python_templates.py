"""Builds templates on the local platform with a published Python SDK, unpatched.

The argument names the package: `ppio_sandbox.core` (default) or `e2b`. The platform is found
through the variables that it prints. Exits non-zero, with a traceback, on the first difference.
"""

import importlib
import pathlib
import sys
import tempfile
import urllib.request

package = sys.argv[1] if len(sys.argv) > 1 else "ppio_sandbox.core"
sdk = importlib.import_module(package)
name = "interop-" + package.replace(".", "-").replace("_", "-")

SERVER = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = os.environ["MOOD"].encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PPIO_AGENT_PORT"])), Handler).serve_forever()
"""


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


def get(sandbox, port, path="/"):
    request = urllib.request.Request(
        sandbox.connection_config.api_url + path,
        headers={"E2b-Sandbox-Id": sandbox.sandbox_id, "E2b-Sandbox-Port": str(port)},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.read().decode()


def build(folder):
    (folder / "app").mkdir()
    (folder / "app" / "server.py").write_text(SERVER)
    (folder / "app" / "data.txt").write_text("data\n")
    (folder / "run.sh").write_text("#!/bin/sh\necho ran\n")
    template = (
        sdk.Template(file_context_path=str(folder))
        .from_base_image()
        .set_workdir("/app")
        .copy("app", "/app")
        .copy("run.sh", "/app/bin/run.sh", mode=0o755)
        .set_envs({"MOOD": "good", "EMPTY": ""})
        .run_cmd("echo built by $MOOD > /app/built.txt && test -f data.txt")
        .make_dir("/app/made")
        .set_start_cmd("python3 /app/server.py", "test -f /app/built.txt")
    )
    lines = []
    info = sdk.Template.build(template, alias=name, cpu_count=1, memory_mb=512, on_build_logs=lines.append)
    expect(any("RUN echo built" in str(line) for line in lines), f"logs {lines}")
    return info


def use():
    sandbox = sdk.Sandbox.create(template=name, timeout=60)
    try:
        expect(sandbox.files.read("/app/built.txt") == "built by good\n", "files of a RUN step")
        expect(sandbox.commands.run("/app/bin/run.sh").stdout == "ran\n", "mode of a copied file")
        expect(sandbox.commands.run("echo $MOOD; pwd").stdout == "good\n/app\n", "variables and directory")
        expect(get(sandbox, 8080) == "good", "the start command serves")
        expect(sandbox.get_info().memory_mb == 512, "memory")
    finally:
        sandbox.kill()


def failing(folder):
    template = sdk.Template(file_context_path=str(folder)).from_base_image().run_cmd("echo before; exit 3")
    try:
        sdk.Template.build(template, alias=name + "-broken")
    except sdk.BuildException as error:
        expect("exit 3" in str(error), f"reason {error}")
        return
    raise AssertionError("a failing step was built")


def derived(folder):
    template = sdk.Template(file_context_path=str(folder)).from_template(name).set_envs({"MOOD": "better"})
    sdk.Template.build(template, alias=name + "-derived")
    sandbox = sdk.Sandbox.create(template=name + "-derived", timeout=60)
    try:
        expect(get(sandbox, 8080) == "better", "a derived template keeps start command and files")
    finally:
        sandbox.kill()


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        build(folder)
        use()
        failing(folder)
        derived(folder)
    expect(sdk.Template.alias_exists(name), "alias")
    expect(not sdk.Template.alias_exists("interop-nothing"), "no alias")
    if hasattr(sdk.Template, "assign_tags"):
        sdk.Template.assign_tags(name, ["stable"])
        sandbox = sdk.Sandbox.create(template=name + ":stable", timeout=60)
        sandbox.kill()
        info = sdk.Template.alias_exists(name)
        tags = {tag.tag for tag in sdk.Template.get_tags(name)}
        expect("stable" in tags and info, f"tags {tags}")
        sdk.Template.remove_tags(name, ["stable"])
    print(f"{package}: templates ok")


main()
