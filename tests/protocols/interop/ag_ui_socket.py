"""Runs the agent by AG-UI over a WebSocket: python ag_ui_socket.py URL

The client is the published package `websockets`. The agent is started for AgentCore's AG-UI
runtimes. The input is made, and every event is read, with AG-UI's published models. Exits non-zero
on the first difference.
"""

import asyncio
import json
import sys

import websockets
from ag_ui.core import Event, RunAgentInput
from pydantic import TypeAdapter
from websockets.asyncio.client import connect

URL = sys.argv[1].replace("http://", "ws://") + "/ws"
EVENT = TypeAdapter(Event)


def run_input(prompt, run_id=None, **members):
    request = RunAgentInput(
        thread_id="socket",
        run_id=run_id or prompt,
        messages=[{"id": "1", "role": "user", "content": prompt}],
        tools=[],
        context=[],
        forwarded_props={},
        **members,
    )
    return request.model_dump_json(by_alias=True, exclude_none=True)


async def closed(socket):
    """Returns the messages before the end, and the close code."""
    messages = []
    try:
        while True:
            messages.append(await socket.recv())
    except websockets.ConnectionClosed as end:
        return messages, end.rcvd.code


async def run(prompt, run_id=None, **members):
    async with connect(URL, max_size=None) as socket:
        await socket.send(run_input(prompt, run_id, **members))
        messages, code = await closed(socket)
    assert code == 1000, f"{prompt}: {code}"
    assert all(isinstance(message, str) for message in messages), prompt
    return [EVENT.validate_json(message) for message in messages]


def types(events):
    return [event.type.value for event in events]


def text(events):
    return "".join(event.delta for event in events if event.type.value == "TEXT_MESSAGE_CONTENT")


async def cancels():
    """A client that disconnects cancels its run immediately if its header requests that."""
    async with connect(URL, additional_headers={"ppio-on-disconnect": "cancel"}) as socket:
        await socket.send(run_input("hang"))
        while json.loads(await socket.recv())["type"] != "TEXT_MESSAGE_CONTENT":
            pass
    asked = 0
    while text(await run("cancelled", f"asked-{asked}")) != "1":
        asked += 1


async def main():
    assert text(await run("hello")) == "Hello, world!"
    assert (await run("value"))[-1].result == {"answer": 42}
    found = types(await run("weather"))
    assert "TOOL_CALL_START" in found and "TOOL_CALL_RESULT" in found, found
    interrupted = await run("approve")
    assert interrupted[-1].outcome.interrupts[0].id == "interrupt-1"
    approved = [{"interrupt_id": "interrupt-1", "status": "resolved", "payload": {"approved": True}}]
    assert text(await run("approve", "approved", resume=approved)) == 'Decided: {"approved":true}.'
    assert len(await run("many 10000")) == 10_000 + 4
    for prompt, texts in [("fail-first", ""), ("fail-later", "Hello, ")]:
        events = await run(prompt)
        assert types(events)[-1] == "RUN_ERROR" and text(events) == texts, events
        assert events[-1].code == "ModelError", events
    for wrong in ["{", "[]", "{}", b"{}"]:
        async with connect(URL) as socket:
            await socket.send(wrong)
            assert await closed(socket) == ([], 1003), wrong
    await cancels()
    many = await asyncio.gather(*(run("hello", f"at-once-{number}") for number in range(200)))
    assert all(text(events) == "Hello, world!" for events in many)


asyncio.run(main())
