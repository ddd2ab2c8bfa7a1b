"""Invokes agents on the local platform with the published AgentRuntimeClient, unpatched.

    python_agent_client.py value:TEMPLATE_ID stream:TEMPLATE_ID ...

Each agent greets the prompt: as a value `{"message": "Hello, Ada!"}`, or word by word. The platform, in
TLS mode, is found through the variables that it prints. Exits non-zero on the first difference.
"""

import asyncio
import json
import sys
import time

from ppio_sandbox.agent_runtime import AgentRuntimeClient


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


async def invoke_value(client, template):
    started = time.monotonic()
    answer = await client.invoke_agent_runtime(f"agent-{template}", json.dumps({"prompt": "Ada"}).encode())
    body = answer["response"]
    result = body.get("result", body)
    expect(result == {"message": "Hello, Ada!"}, f"value {answer}")
    return time.monotonic() - started


async def invoke_stream(client, template):
    started = time.monotonic()
    prompt = json.dumps({"prompt": "Hello dear Ada!"}).encode()
    chunks, arrivals = [], []
    async for item in await client.invoke_agent_runtime(f"agent-{template}", prompt):
        chunks.append(json.loads(item["chunk"]))
        arrivals.append(time.monotonic())
    expect("".join(chunks) == "Hello dear Ada!", f"stream {chunks}")
    expect(arrivals[-1] - arrivals[0] > 0.1, "the stream was held back until its end")
    return time.monotonic() - started


async def main():
    async with AgentRuntimeClient() as client:
        for argument in sys.argv[1:]:
            kind, template = argument.split(":", 1)
            known = [item.template_id for item in await client.list_templates()]
            expect(template in known, f"templates {known}")
            call = invoke_value if kind == "value" else invoke_stream
            seconds = await asyncio.wait_for(call(client, template), timeout=60)
            print(f"{kind} from {template} in {seconds:.3f} s")
        expect(len(await client.list_sessions()) == len(sys.argv) - 1, "sessions")


asyncio.run(main())
