"""Checks /openapi.json with a published validator, and the service against it with Schemathesis."""

import json
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

from openapi_spec_validator import validate

url = sys.argv[1]
with urllib.request.urlopen(f"{url}/openapi.json", timeout=10) as answer:
    document = json.load(answer)
validate(document)
for path in ("/invocations", "/v1/chat/completions", "/ag-ui", "/a2a", "/mcp", "/api/chat"):
    assert "post" in document["paths"][path], path

# The document does not describe the bodies of protocols. An integer that is written with a fraction
# fits a JSON Schema but not a Rust type, so valid requests may be refused.
checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
schemathesis = Path(sys.executable).with_name("schemathesis")
with tempfile.TemporaryDirectory() as folder:
    # Schemathesis writes a cache to its working directory.
    run = subprocess.run(
        [
            schemathesis, "run", f"{url}/openapi.json",
            "--include-path-regex", "^/(invocations|ping|metrics|openapi|$)",
            "--checks", checks, "--max-examples", "30", "--seed", "1", "--no-color",
        ],
        capture_output=True, text=True, timeout=120, cwd=folder,
    )
assert run.returncode == 0, run.stdout + run.stderr
