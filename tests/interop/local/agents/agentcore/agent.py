"""An agent on the published `bedrock-agentcore` package, with the port that it has by default."""

from bedrock_agentcore import BedrockAgentCoreApp

app = BedrockAgentCoreApp()


@app.entrypoint
def agent(request):
    return {"message": f"Hello, {request['prompt']}!"}


app.run()
