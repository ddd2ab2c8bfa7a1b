"""The agent of the interoperation test, on the published Python package.

The same conversation must have the same results with this agent and with the Rust agents. This
shows that the test expects what agents on the package return.
"""

import asyncio
import os

from ppio_sandbox.agent_runtime import AgentRuntimeApp

app = AgentRuntimeApp()


@app.entrypoint
async def agent(request: dict):
    if "fail" in request:
        raise ValueError(request["fail"])
    if "count" in request:
        return words(request["count"])
    return {"message": f"Hello, {request['prompt']}!"}


async def words(count: int):
    for index in range(count):
        if index > 0:
            await asyncio.sleep(0.1)
        yield {"index": index}


app.run(port=int(os.environ["PPIO_AGENT_PORT"]), host=os.environ["PPIO_AGENT_HOST"])
