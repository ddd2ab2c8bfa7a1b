#!/bin/sh
# Starts Phoenix, a published receiver, lets the examples `client-traced` and `traced` export to it,
# reads the trace back and checks how its spans are nested. Phoenix takes minutes to install, so the
# tests use their own receiver instead.
#
# usage: tests/telemetry/phoenix.sh [directory for the virtual environment]
set -eu
cd "$(dirname "$0")/../.."
folder=${1:-target/phoenix}
[ -x "$folder/bin/phoenix" ] || {
    python3 -m venv "$folder"
    "$folder/bin/pip" install --quiet arize-phoenix
}
work=$(mktemp -d)
trap 'kill $phoenix 2>/dev/null; wait; rm -r "$work"' EXIT
PHOENIX_WORKING_DIR="$work" PHOENIX_HOST=127.0.0.1 PHOENIX_PORT=6006 PHOENIX_GRPC_PORT=4317 \
    PHOENIX_TELEMETRY_ENABLED=false "$folder/bin/phoenix" serve >"$work/phoenix.log" 2>&1 &
phoenix=$!
curl --silent --show-error --fail --retry 120 --retry-delay 1 --retry-all-errors \
    http://127.0.0.1:6006/healthz >/dev/null 2>"$work/curl.log"
PPIO_TEST_OTLP_RECEIVER=http://127.0.0.1:6006 cargo test --quiet --package telemetry-tests \
    --test telemetry -- --ignored --exact client::a_trace_for_another_receiver
"$folder/bin/python" - <<'PYTHON'
import json
import time
import urllib.error
import urllib.request


def spans():
    url = "http://127.0.0.1:6006/v1/projects/default/spans?limit=100"
    try:
        return json.load(urllib.request.urlopen(url))["data"]
    except urllib.error.HTTPError:
        return []  # The project is created with its first span.


# The client's spans, and below them those of the agent.
EXPECTED = {
    "ask": None,
    "create_session": "ask",
    "invoke_agent": "ask",
    "invoke_agent traced": "invoke_agent",
    "execute_tool weather": "invoke_agent traced",
}
deadline = time.monotonic() + 30
while not EXPECTED.keys() <= {span["name"] for span in spans()}:
    assert time.monotonic() < deadline, spans()
    time.sleep(0.2)
found = spans()


def show(parent, depth):
    children = (span for span in found if span["parent_id"] == parent)
    for span in sorted(children, key=lambda span: span["start_time"]):
        named = {
            name: value
            for name, value in span["attributes"].items()
            if "token" in name or name in ("gen_ai.agent.name", "gen_ai.tool.name")
        }
        print("  " * depth + span["name"], span["status_code"], named)
        show(span["context"]["span_id"], depth + 1)


show(None, 0)
names = {span["context"]["span_id"]: span["name"] for span in found}
parents = {span["name"]: names.get(span["parent_id"]) for span in found}
assert {name: parents[name] for name in EXPECTED} == EXPECTED, parents
models = [span["name"] for span in found if span["name"].startswith("chat")]
assert models and all(parents[name] == "invoke_agent traced" for name in models), parents
of_agent = next(span for span in found if span["name"] == "invoke_agent traced")["attributes"]
assert any("token" in name and value for name, value in of_agent.items()), of_agent
PYTHON
