"""One call to an agent through the SandboxSession of the published Python SDK.

    agent_client.py URL invoke JSON
    agent_client.py URL ping
    agent_client.py URL status

Prints the SDK's result as one JSON object:

    {"kind": "value", "value": ...}
    {"kind": "stream", "items": [...], "arrivals": [seconds since the call, one for each item]}
    {"kind": "error", "type": "InvocationError", "message": "..."}
"""

import asyncio
import json
import sys
import time

from ppio_sandbox.agent_runtime import AgentRuntimeClient, SandboxSession
from ppio_sandbox.agent_runtime.client.exceptions import AgentClientError


class RunningSandbox:
    """The parts of a running sandbox that a session uses; the test does not kill it."""

    id = "sandbox-of-the-test"

    async def close(self):
        pass


async def call(session, command, arguments):
    if command == "ping":
        ping = await session.ping()
        value = {"status": ping.status, "message": ping.message}
        return {"kind": "value", "value": {**value, "timestamp": str(ping.timestamp)}}
    if command == "status":
        return {"kind": "value", "value": await session.get_status()}

    started = time.monotonic()
    answer = await session.invoke(json.loads(arguments[0]))
    if isinstance(answer, dict):
        return {"kind": "value", "value": answer}
    items, arrivals = [], []
    async for item in answer:
        items.append(json.loads(item))
        arrivals.append(time.monotonic() - started)
    return {"kind": "stream", "items": items, "arrivals": arrivals}


async def main(url, command, *arguments):
    client = AgentRuntimeClient(api_key="key-of-the-test")
    session = SandboxSession("template-of-the-test", RunningSandbox(), client)
    # Without this address the session would use `https://8080-<sandbox>.<domain>`.
    session._host_url = url
    try:
        outcome = await asyncio.wait_for(call(session, command, arguments), timeout=30)
    except AgentClientError as error:
        outcome = {"kind": "error", "type": type(error).__name__, "message": str(error)}
    finally:
        await session.close()
    print(json.dumps(outcome))


asyncio.run(main(*sys.argv[1:]))
