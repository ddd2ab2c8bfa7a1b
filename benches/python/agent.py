"""The agent on the published Python package, as the README of the package shows it."""

import os

from ppio_sandbox.agent_runtime import AgentRuntimeApp

app = AgentRuntimeApp()


@app.entrypoint
async def agent(request: dict):
    length = request.get("stream")
    if length is not None:
        return tokens(length)
    return {"greeting": f"Hello, {request.get('prompt', 'world')}!"}


async def tokens(length: int):
    for index in range(length):
        yield {"index": index, "text": "token"}


if __name__ == "__main__":
    app.run(port=int(os.environ["PPIO_AGENT_PORT"]), host="127.0.0.1")
