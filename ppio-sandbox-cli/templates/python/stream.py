"""{{name}}: an answer item by item."""

import asyncio
import os

from ppio_sandbox.agent_runtime import AgentRuntimeApp

app = AgentRuntimeApp()


@app.entrypoint
async def agent(request: dict):
    """Every item goes out as soon as it is there."""
    for word in str(request.get("prompt", "")).split():
        await asyncio.sleep(0.05)
        yield word


if __name__ == "__main__":
    # The platform may give the agent another place than 0.0.0.0:8080.
    app.run(
        host=os.environ.get("PPIO_AGENT_HOST", "0.0.0.0"),
        port=int(os.environ.get("PPIO_AGENT_PORT", "8080")),
    )
