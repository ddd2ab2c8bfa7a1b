"""The published Python client of MCP calls the agent: mcp_client.py URL GENERATION.

GENERATION is `legacy`, which sends initialize, or `auto`, which detects what the agent supports.
Prints the result of each call as JSON.
"""

import asyncio
import json
import sys

from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp.types import ElicitResult

TOOL = "protocol-tests"


async def answer(context, params):
    """Accepts every form."""
    return ElicitResult(action="accept", content={"approved": True})


async def call(client, prompt, **arguments):
    messages = []

    async def progress(number, total, message):
        messages.append(message)

    result = await client.call_tool(TOOL, {"prompt": prompt, **arguments}, progress_callback=progress)
    return {
        "text": [block.text for block in result.content],
        "structured": result.structured_content,
        "is_error": result.is_error,
        "messages": messages,
    }


async def cancel(client):
    """Cancels a call once it has begun, and waits until the agent has dropped it."""
    before = await call(client, "cancelled")
    begun = asyncio.Event()

    async def progress(number, total, message):
        begun.set()

    calling = asyncio.create_task(
        client.call_tool(TOOL, {"prompt": "hang"}, progress_callback=progress)
    )
    await asyncio.wait_for(begun.wait(), 30)
    calling.cancel()
    await asyncio.gather(calling, return_exceptions=True)
    for _ in range(3000):
        if await call(client, "cancelled") != before:
            return True
        await asyncio.sleep(0.01)
    return False


async def without_progress(client):
    """Makes a call that takes longer than the agent's heartbeat interval."""
    result = await client.call_tool(TOOL, {"prompt": "late 700 value"})
    return result.structured_content


async def unknown(client):
    try:
        await client.call_tool("other", {})
    except MCPError as error:
        return error.error.code


async def main(url, generation):
    transport = streamable_http_client(url)
    async with Client(transport, mode=generation, elicitation_callback=answer) as client:
        tools = (await client.list_tools()).tools
        outcome = {
            "version": client.protocol_version,
            "server": client.server_info.name,
            "tools": [tool.name for tool in tools],
            "unknown": await unknown(client),
            "value": await call(client, "value"),
            "stream": await call(client, "hello"),
            "weather": await call(client, "weather"),
            "fail_first": await call(client, "fail-first"),
            "fail_later": await call(client, "fail-later"),
            "many": len((await call(client, "many 10000"))["messages"]),
            "interrupt": await call(client, "approve"),
            "concurrent": len(
                await asyncio.gather(*(call(client, "hello") for _ in range(200)))
            ),
            "slow": await without_progress(client),
            "cancelled": await cancel(client),
        }
        print(json.dumps(outcome))


asyncio.run(main(*sys.argv[1:]))
