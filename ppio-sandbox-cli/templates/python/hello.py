"""{{name}}: a value in, a value out."""

import os

from ppio_sandbox.agent_runtime import AgentRuntimeApp

app = AgentRuntimeApp()


@app.entrypoint
def agent(request: dict) -> dict:
    """Whatever this returns is the answer."""
    name = request.get("prompt") or "world"
    return {"message": f"Hello, {name}!"}


if __name__ == "__main__":
    # The platform may give the agent another place than 0.0.0.0:8080.
    app.run(
        host=os.environ.get("PPIO_AGENT_HOST", "0.0.0.0"),
        port=int(os.environ.get("PPIO_AGENT_PORT", "8080")),
    )
