"""Uses an agent's WebSocket with the published `websockets` client, and prints results as JSON.

`websocket_client.py URL SCENARIO`; the agent is `examples/websocket`.
"""

import asyncio
import json
import sys

import websockets
from websockets.asyncio.client import connect
from websockets.frames import Frame, Opcode

URL = sys.argv[1]


async def chat(socket, text):
    await socket.send(text)
    words = []
    while True:
        message = json.loads(await socket.recv())
        if "done" in message:
            return {"words": words, **message}
        words.append(message["delta"])


async def end(socket):
    """Returns the code and the reason with which the server closes the connection."""
    try:
        while True:
            await socket.recv()
    except websockets.ConnectionClosed as closed:
        return {
            "code": closed.rcvd.code if closed.rcvd else None,
            "reason": closed.rcvd.reason if closed.rcvd else None,
        }


async def value():
    async with connect(URL) as socket:
        await socket.send(b"\x00\xff" * 1000)
        echo = await socket.recv()
        return {"echo": len(echo), "chat": await chat(socket, "one two"), "subprotocol": socket.subprotocol}


async def many():
    async with connect(URL, max_size=None) as socket:
        return len((await chat(socket, "w " * 5000))["words"])


async def at_once():
    sockets = await asyncio.gather(*(connect(URL) for _ in range(200)))
    answers = await asyncio.gather(*(chat(socket, f"number {n}") for n, socket in enumerate(sockets)))
    await asyncio.gather(*(socket.close() for socket in sockets))
    return sum(answer["words"] == ["number ", str(n)] for n, answer in enumerate(answers))


async def large_frame():
    async with connect(URL) as socket:
        await socket.send(b"x" * (64 * 1024))
        fits = len(await socket.recv())
        # One frame, because this client does not fragment messages.
        await socket.send(b"x" * (64 * 1024 + 1))
        return {"fits": fits, **await end(socket)}


async def fragments():
    async with connect(URL, max_size=None) as socket:
        await socket.send(b"y" * 50_000 for _ in range(10))
        return len(await socket.recv())


async def large_message():
    async with connect(URL) as socket:
        await socket.send(b"y" * 60_000 for _ in range(20))
        return await end(socket)


async def raw(data):
    """Writes bytes that the client would not write itself."""
    async with connect(URL) as socket:
        socket.transport.write(data)
        return await end(socket)


async def not_utf8():
    frame = Frame(Opcode.TEXT, b"\xff\xfe").serialize(mask=True)
    return await raw(frame)


async def half_a_frame():
    socket = await connect(URL)
    socket.transport.write(Frame(Opcode.TEXT, b"half").serialize(mask=True)[:-2])
    socket.transport.abort()
    # The agent still works.
    async with connect(URL) as other:
        return (await chat(other, "fine"))["words"]


async def ping():
    async with connect(URL) as socket:
        waiters = [await socket.ping(str(n)) for n in range(50)]
        await asyncio.gather(*waiters)
        return len(waiters)


async def closes():
    async with connect(URL) as socket:
        await socket.send("bye")
        server = await end(socket)
    async with connect(URL) as socket:
        await socket.close(4001, "enough")
        return {"server": server, "client": socket.close_code}


async def foreign_page():
    try:
        await connect(URL, origin="https://evil.example")
    except websockets.InvalidStatus as refused:
        return refused.response.status_code


async def agent_core():
    """Connects with the headers that AgentCore's own client creates."""
    import os

    os.environ.update(AWS_ACCESS_KEY_ID="AKIDEXAMPLE", AWS_SECRET_ACCESS_KEY="secret", AWS_REGION="us-west-2")
    from bedrock_agentcore.runtime import AgentCoreRuntimeClient

    client = AgentCoreRuntimeClient(region="us-west-2")
    arn = "arn:aws:bedrock-agentcore:us-west-2:123456789012:runtime/chat-abc123"
    session = "s" * 33
    _, headers = client.generate_ws_connection(arn, session_id=session)
    # The `websockets` client sets the headers of the handshake itself.
    own = ("host", "connection", "upgrade", "sec-websocket-key", "sec-websocket-version")
    headers = {name: value for name, value in headers.items() if name.lower() not in own}
    async with connect(URL, additional_headers=headers) as socket:
        return (await chat(socket, "hi"))["session"] == session


async def drain():
    async with connect(URL) as socket:
        await chat(socket, "before")
        print("open", flush=True)
        return await end(socket)


print(json.dumps(asyncio.run(globals()[sys.argv[2]]())))
