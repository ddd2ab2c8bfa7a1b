"""An agent on the published `ppio-sandbox` package. Callers start the file in `agent.yaml`."""

import os

from ppio_sandbox.agent_runtime import AgentRuntimeApp

app = AgentRuntimeApp()


@app.entrypoint
def agent(request: dict):
    return {"message": f"Hello, {request['prompt']}!"}


app.run(port=int(os.environ["PPIO_AGENT_PORT"]), host=os.environ["PPIO_AGENT_HOST"])
