"""Calls an agent with the published `langchain-openai` package, unpatched.

The package calls chat completions and responses. The argument is the URL of the agent that does
what its prompt requests. Exits non-zero, with a traceback, on the first difference.
"""

import asyncio
import sys

import openai
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

URL = sys.argv[1] + "/v1"


@tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"{len(city)} degrees"


def expect(actual, expected, what):
    if actual != expected:
        raise AssertionError(f"{what}: {actual!r} instead of {expected!r}")


def check(uses_responses):
    model = ChatOpenAI(
        base_url=URL, api_key="key", model="m", max_retries=0, use_responses_api=uses_responses
    )
    expect(model.invoke("hello").text, "Hello, world!", "a value")
    whole = model.invoke("weather")
    expect(whole.text, "It is 20 degrees.", "the agent's own tool")
    expect(whole.usage_metadata["total_tokens"], 19, "the usage")
    chunks = list(model.stream("weather"))
    text = "".join(chunk.text for chunk in chunks)
    expect(text, "It is 20 degrees.", "a stream")

    with_tools = model.bind_tools([get_weather])
    question = HumanMessage("tool")
    called = with_tools.invoke([question])
    (call,) = called.tool_calls
    expect((call["name"], call["args"]), ("get_weather", {"city": "Paris"}), "a call")
    result = ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"])
    answer = with_tools.invoke([question, called, result])
    expect(answer.text, "The tool said 5 degrees.", "the answer to the result")
    streamed = None
    for chunk in with_tools.stream([question]):
        streamed = chunk if streamed is None else streamed + chunk
    expect(streamed.tool_calls[0]["args"], {"city": "Paris"}, "a streamed call")

    for prompt in ("fail-first", "fail-later"):
        try:
            for _ in model.stream(prompt):
                pass
        except (openai.APIError, ValueError):
            continue
        raise AssertionError(f"{prompt}: no error")

    return model


async def at_once(models):
    prompts = [f"say {number}" for number in range(100)]
    for answers in await asyncio.gather(*(model.abatch(prompts) for model in models)):
        expect([a.text for a in answers], [f"You said: {prompt}" for prompt in prompts], "200 at once")


asyncio.run(at_once([check(False), check(True)]))
