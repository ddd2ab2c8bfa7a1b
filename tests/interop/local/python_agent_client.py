"""Invokes agents on the local platform with the published AgentRuntimeClient, unpatched.

    python_agent_client.py value:TEMPLATE_ID stream:TEMPLATE_ID ...

Each agent greets the prompt: as a value `{"message": "Hello, Ada!"}`, or word by word. The
platform, in TLS mode, is found through the variables that it prints. Exits non-zero on the first
difference.

Of the two published lines of the package, 1.x reaches everything under `https://...{domain}`, and
2.x reaches the control plane and the daemon by the URLs in environment variables.
"""

import asyncio
import importlib.metadata
import json
import socket
import sys
import time

from ppio_sandbox.agent_runtime import AgentRuntimeClient
from ppio_sandbox.core.api import AsyncApiClient


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


def resolve_localhost():
    """Resolves names below `localhost` to loopback (RFC 6761), which not every system does."""
    resolve = socket.getaddrinfo

    def getaddrinfo(host, *arguments, **options):
        name = host.decode() if isinstance(host, bytes) else host or ""
        return resolve("127.0.0.1" if name.endswith(".localhost") else host, *arguments, **options)

    socket.getaddrinfo = getaddrinfo


def give_api_client(client):
    """Gives the template manager of 2.1.0 the API client that it fails to create.

    The manager passes a `limits` argument that its API client no longer takes. Without this fix,
    the client of 2.1.0 can neither list templates nor create a session, on any platform.
    """
    manager = client.template_manager
    manager._client = AsyncApiClient(
        manager.connection_config, require_api_key=False, require_access_token=True
    )


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
    resolve_localhost()
    async with AgentRuntimeClient() as client:
        if importlib.metadata.version("ppio-sandbox") == "2.1.0":
            give_api_client(client)
        for argument in sys.argv[1:]:
            kind, template = argument.split(":", 1)
            # The client caches this list, and later reads from it how to start an agent.
            known = [item.template_id for item in await client.list_templates(with_metadata=True)]
            expect(template in known, f"templates {known}")
            call = invoke_value if kind == "value" else invoke_stream
            seconds = await asyncio.wait_for(call(client, template), timeout=60)
            print(f"{kind} from {template} in {seconds:.3f} s")
        expect(len(await client.list_sessions()) == len(sys.argv) - 1, "sessions")


asyncio.run(main())
