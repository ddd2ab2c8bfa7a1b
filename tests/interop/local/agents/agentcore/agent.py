"""An agent on the published `bedrock-agentcore` package, on its default port."""

from bedrock_agentcore import BedrockAgentCoreApp

app = BedrockAgentCoreApp()


@app.entrypoint
def agent(request):
    return {"message": f"Hello, {request['prompt']}!"}


app.run()
