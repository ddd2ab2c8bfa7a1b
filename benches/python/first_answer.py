"""Measures the time from a new session to the first response, with the published Python client.

    first_answer.py TEMPLATE SESSIONS

Prints the milliseconds of each session as `python=...`. `first-answer.rs` runs this script.
"""

import asyncio
import json
import socket
import sys
import time

from ppio_sandbox.agent_runtime import AgentRuntimeClient

resolve = socket.getaddrinfo


def resolve_localhost(host, *arguments, **options):
    """Resolves names below `localhost` to loopback (RFC 6761), which not every system does."""
    name = host.decode() if isinstance(host, bytes) else host or ""
    return resolve("127.0.0.1" if name.endswith(".localhost") else host, *arguments, **options)


async def main(template, sessions):
    socket.getaddrinfo = resolve_localhost
    payload = json.dumps({"prompt": "Ada"}).encode()
    async with AgentRuntimeClient() as client:
        # The first session fills the cache of templates and is not counted.
        for number in range(sessions + 1):
            started = time.perf_counter()
            response = await client.invoke_agent_runtime(f"agent-{template}", payload)
            elapsed = time.perf_counter() - started
            assert response["response"]["result"] == {"message": "Hello, Ada!"}, response
            if number:
                print(f"python={elapsed * 1e3:.3f}", flush=True)
            await client.close_all_sessions()


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
