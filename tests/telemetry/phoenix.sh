#!/bin/sh
# Starts Phoenix, a published receiver, lets the example `traced` export to it, and prints the trace that
# it has then. It takes minutes to install, so that the tests have a receiver of their own.
#
# usage: tests/telemetry/phoenix.sh [directory for the virtual environment]
set -eu
cd "$(dirname "$0")/../.."
folder=${1:-target/phoenix}
[ -x "$folder/bin/phoenix" ] || {
    python3 -m venv "$folder"
    "$folder/bin/pip" install --quiet arize-phoenix
}
cargo build --quiet --package traced
work=$(mktemp -d)
trap 'kill $phoenix $agent 2>/dev/null; wait; rm -r "$work"' EXIT
agent=
PHOENIX_WORKING_DIR="$work" PHOENIX_HOST=127.0.0.1 PHOENIX_PORT=6006 PHOENIX_GRPC_PORT=4317 \
    PHOENIX_TELEMETRY_ENABLED=false "$folder/bin/phoenix" serve >"$work/phoenix.log" 2>&1 &
phoenix=$!
retry() {
    curl --silent --show-error --fail --retry 120 --retry-delay 1 --retry-all-errors "$@" 2>"$work/curl.log"
}
retry http://127.0.0.1:6006/healthz >/dev/null
OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://127.0.0.1:6006/v1/traces \
    PPIO_AGENT_HOST=127.0.0.1 PPIO_AGENT_PORT=18080 target/debug/traced >"$work/agent.log" 2>&1 &
agent=$!
retry http://127.0.0.1:18080/ping >/dev/null
curl --silent --no-buffer http://127.0.0.1:18080/invocations \
    --header 'content-type: application/json' --data '{"prompt": "Rome", "stream": true}'
# Sends what is left.
kill "$agent"
wait "$agent"
"$folder/bin/python" - <<'PYTHON'
import json
import time
import urllib.request


def spans():
    url = "http://127.0.0.1:6006/v1/projects/default/spans?limit=100"
    try:
        return json.load(urllib.request.urlopen(url))["data"]
    except urllib.error.HTTPError:
        return []  # The project begins with its first span.


deadline = time.monotonic() + 30
while len(found := spans()) < 4:
    assert time.monotonic() < deadline, found
    time.sleep(0.2)


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
PYTHON
