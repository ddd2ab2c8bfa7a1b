"""Checks the events of the agent with AG-UI's published models: python ag_ui_models.py URL

The models are generated from the JSON Schema of AG-UI 1.0. Exits non-zero on the first difference.
"""

import json
import sys
import urllib.request

from ag_ui.core import Event, RunAgentInput
from pydantic import TypeAdapter

URL = sys.argv[1]
EVENT = TypeAdapter(Event)


def run(prompt, **members):
    """Returns the events of a run, each of which may only have the members of its model."""
    members.setdefault("tools", [])
    request = RunAgentInput(
        thread_id="python",
        run_id=f"{prompt}-{len(json.dumps(members, default=str))}",
        messages=[{"id": "1", "role": "user", "content": prompt}],
        context=[],
        forwarded_props={},
        **members,
    )
    body = request.model_dump_json(by_alias=True, exclude_none=True).encode()
    headers = {"content-type": "application/json", "accept": "text/event-stream"}
    with urllib.request.urlopen(urllib.request.Request(f"{URL}/ag-ui", body, headers)) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream"), answer.headers
        lines = answer.read().decode().split("\n\n")
    events = []
    for line in lines:
        if not line.startswith("data: "):
            assert line == "" or line.startswith(":"), line
            continue
        sent = json.loads(line.removeprefix("data: "))
        event = EVENT.validate_python(sent)
        check_members(event, sent)
        events.append(event)
    return events


def check_members(model, sent):
    """Checks that every member is in the schema, and that no optional member is null."""
    assert not model.model_extra, f"{model.model_extra} in {sent}"
    again = json.loads(model.model_dump_json(by_alias=True))
    assert again == sent, f"{sent} is read as {again}"


def types(events):
    return [event.type.value for event in events]


def main():
    tools = [{"name": "see", "description": "Looks", "parameters": {"type": "object"}}]
    approved = [{"interrupt_id": "interrupt-1", "status": "resolved", "payload": {"approved": True}}]
    for prompt, members in [
        ("value", {}),
        ("hello", {}),
        ("weather", {}),
        ("tool", {"tools": tools}),
        ("approve", {}),
        ("approve", {"resume": approved}),
        ("state", {"state": {"a": [None, 1]}}),
        ("steps", {}),
        ("many 1000", {}),
        ("empty", {}),
        ("fail-first", {}),
        ("fail-later", {}),
        ("panic", {}),
    ]:
        events = run(prompt, **members)
        found = types(events)
        last = "RUN_ERROR" if prompt in ("fail-first", "fail-later", "panic") else "RUN_FINISHED"
        assert found[0] == "RUN_STARTED" and found[-1] == last, f"{prompt}: {found}"
        ends = [one for one in found if one in ("RUN_ERROR", "RUN_FINISHED")]
        assert ends == [last], f"{prompt}: {found}"
    assert run("value")[-1].result == {"answer": 42}
    assert run("approve")[-1].outcome.interrupts[0].id == "interrupt-1"


main()
