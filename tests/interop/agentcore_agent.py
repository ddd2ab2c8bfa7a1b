"""The counterpart of `tests/agents/agentcore.rs` on the published `bedrock-agentcore` package."""

import os

from bedrock_agentcore import BedrockAgentCoreApp
from bedrock_agentcore.runtime.context import BedrockAgentCoreContext as Context
from bedrock_agentcore.runtime.models import PingStatus
from starlette.exceptions import HTTPException

app = BedrockAgentCoreApp(debug=True)

if "CHECK" in os.environ:

    @app.ping
    def check():
        return PingStatus(os.environ["CHECK"])


@app.entrypoint
async def agent(request, context):
    match request.get("do"):
        case "items":
            return items(request)
        case "fail":
            raise ValueError("no luck")
        case "not found":
            raise HTTPException(404, "no such city")
        case "add":
            return app.add_async_task(request["name"])
        case "complete":
            return app.complete_async_task(request["id"])
        case "force":
            return app.force_ping_status(PingStatus(request["status"]))
        case "clear":
            return app.clear_forced_ping_status()
        case "context":
            headers = context.request_headers or {}
            return {
                "session": context.session_id,
                "request": Context.get_request_id(),
                "token": Context.get_workload_access_token(),
                "callback": Context.get_oauth2_callback_url(),
                "headers": [name for name in request["names"] if name.title() in headers or name in headers],
            }
    return request


async def items(request):
    for number in range(request["count"]):
        yield {"number": number}
    if "fail" in request:
        raise ValueError(request["fail"])


app.run(port=int(os.environ["PPIO_AGENT_PORT"]), host=os.environ["PPIO_AGENT_HOST"])
