"""Calls an agent with the published `openai` package, unpatched.

Uses the sync client, the async client and the stream helpers. The argument is the URL of the agent
that does what its prompt requests. Exits non-zero, with a traceback, on the first difference.
"""

import asyncio
import sys
import time

import openai
from openai import AsyncOpenAI, OpenAI

URL = sys.argv[1] + "/v1"
client = OpenAI(base_url=URL, api_key="key", max_retries=0)

FUNCTION = {
    "name": "get_weather",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
TOOLS = [{"type": "function", "function": FUNCTION}]
DEADLINE = 20


def expect(actual, expected, what):
    if actual != expected:
        raise AssertionError(f"{what}: {actual!r} instead of {expected!r}")


def expect_error(kind, code, call, what):
    try:
        call()
    except kind as error:
        expect(error.code, code, what)
        return
    raise AssertionError(f"{what}: no {kind.__name__}")


def user(prompt):
    return [{"role": "user", "content": prompt}]


def complete(prompt, **options):
    return client.chat.completions.create(model="m", messages=user(prompt), **options)


def streamed(prompt, **options):
    chunks = list(complete(prompt, stream=True, **options))
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices), chunks


def models():
    (model,) = client.models.list()
    expect(client.models.retrieve(model.id), model, "the model")
    expect_error(openai.NotFoundError, "ModelNotFound", lambda: client.models.retrieve("x"), "another model")


def completions():
    whole = complete("value")
    expect(whole.choices[0].message.content, '{"answer":42}', "a value")
    expect(whole.choices[0].finish_reason, "stop", "the end of a value")
    text, chunks = streamed("hello")
    expect(text, "Hello, world!", "a stream")
    expect(chunks[0].choices[0].delta.role, "assistant", "the role")
    expect(chunks[-1].choices[0].finish_reason, "stop", "the end of a stream")
    text, chunks = streamed("weather", stream_options={"include_usage": True})
    expect(text, "It is 20 degrees.", "the agent's own tool")
    expect(chunks[-1].usage.total_tokens, 19, "the usage")
    expect(streamed("many 10000")[0], "".join(f"{n} " for n in range(10000)), "10,000 items")
    expect(complete("approve").choices[0].message.content, "May I?\nMay I send the mail?", "an interrupt")
    decided = complete("approve", extra_body={"resume": [{"interrupt_id": "interrupt-1", "payload": True}]})
    expect(decided.choices[0].message.content, "Decided: true.", "a response to an interrupt")


def tools():
    message = complete("tool", tools=TOOLS).choices[0].message
    call = message.tool_calls[0]
    expect((call.function.name, call.function.arguments), ("get_weather", '{"city":"Paris"}'), "a call")
    result = {"role": "tool", "tool_call_id": call.id, "content": "20 degrees"}
    answer = client.chat.completions.create(model="m", messages=[*user("tool"), message, result], tools=TOOLS)
    expect(answer.choices[0].message.content, "The tool said 20 degrees.", "the answer to the result")
    with client.chat.completions.stream(model="m", messages=user("tool"), tools=TOOLS) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    expect("tool_calls.function.arguments.done" in kinds, True, "the helper's events")
    expect(final.choices[0].finish_reason, "tool_calls", "the helper's end")
    parsed = final.choices[0].message.tool_calls[0].function.parsed_arguments
    expect(parsed, {"city": "Paris"}, "the helper's call")


def errors():
    for stream in (False, True):
        call = lambda prompt: list(complete(prompt, stream=stream))
        expect_error(openai.BadRequestError, "ModelError", lambda: call("fail-first"), "an error first")
        expect_error(openai.InternalServerError, "Panic", lambda: call("panic"), "a panic")
        expect_error(openai.APIError, "ModelError", lambda: call("fail-later"), "an error later")
    expect_error(openai.BadRequestError, "UnsupportedParameter", lambda: complete("hello", n=2), "n")
    seen = []

    def until_failure():
        with client.chat.completions.stream(model="m", messages=user("fail-later")) as stream:
            for event in stream:
                if event.type == "content.delta":
                    seen.append(event.delta)

    expect_error(openai.APIError, "ModelError", until_failure, "an error within the helper")
    expect("".join(seen), "Hello, ", "what came before")


def cancelled():
    return int(complete("cancelled").choices[0].message.content)


def wait_for(condition, what):
    deadline = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {DEADLINE} s: {what}")
        time.sleep(0.02)


def cancellation():
    before = cancelled()
    stream = complete("hang", stream=True)
    for chunk in stream:
        if chunk.choices[0].delta.content:
            break
    stream.close()
    wait_for(lambda: cancelled() == before + 1, "the cancellation of a closed stream")


def responses():
    create = lambda prompt, **options: client.responses.create(model="m", input=prompt, **options)
    first = create("weather", instructions="Be short.")
    expect(first.output_text, "It is 20 degrees.", "a response")
    expect([item.type for item in first.output], ["reasoning", "message"], "the response's items")
    expect(first.usage.total_tokens, 19, "the response's usage")
    expect(client.responses.retrieve(first.id), first, "the response again")
    after = client.responses.retrieve(first.id, stream=True, starting_after=8)
    expect([event.sequence_number for event in after][0], 9, "the rest of the response's events")
    with client.responses.stream(model="m", input="weather") as stream:
        kinds = [event.type for event in stream]
        expect(stream.get_final_response().output_text, "It is 20 degrees.", "the helper's response")
    expect(kinds[0], "response.created", "the helper's first event")
    expect(kinds[-1], "response.completed", "the helper's last event")

    called = create("tool", tools=[{"type": "function", **FUNCTION}])
    (call,) = called.output
    output = [{"type": "function_call_output", "call_id": call.call_id, "output": "20 degrees"}]
    answered = create(output, previous_response_id=called.id, tools=[{"type": "function", **FUNCTION}])
    expect(answered.output_text, "The tool said 20 degrees.", "a continued response")
    listed = client.responses.input_items.list(answered.id, order="asc", limit=2)
    kinds = ["message", "function_call", "function_call_output"]
    expect([item.type for item in listed], kinds, "the response's input by pages")
    items = [{"role": "user", "content": "tool"}, *called.output, *output]
    expect(create(items).output_text, "The tool said 20 degrees.", "a response to items")

    for prompt, kind in (("fail-first", openai.BadRequestError), ("fail-later", openai.APIError)):
        expect_error(kind, "ModelError", lambda: create(prompt), prompt)
    events = list(create("fail-later", stream=True))
    expect(events[-1].type, "response.failed", "the end of a failed stream")
    expect(events[-1].response.error.message, "the model went away", "the stream's error")
    unknown = lambda: create("hello", previous_response_id="resp_x")
    expect_error(openai.NotFoundError, "ResponseNotFound", unknown, "an unknown response")
    expect(create("many 10000").output_text, "".join(f"{n} " for n in range(10000)), "10,000 items")

    begun = create("slow 3 30", background=True)
    expect(begun.status, "in_progress", "a response in the background")
    status = lambda: client.responses.retrieve(begun.id).status
    wait_for(lambda: status() == "completed", "the end of a response in the background")
    before = cancelled()
    hanging = create("hang", background=True)
    wait_for(lambda: client.responses.retrieve(hanging.id).status == "in_progress", "the start of a response")
    for event in client.responses.retrieve(hanging.id, stream=True):
        if event.type == "response.output_text.delta":
            break
    expect(client.responses.cancel(hanging.id).status, "cancelled", "a cancelled response")
    wait_for(lambda: cancelled() == before + 1, "the cancellation of a response")
    client.responses.delete(hanging.id)
    gone = lambda: client.responses.retrieve(hanging.id)
    expect_error(openai.NotFoundError, "ResponseNotFound", gone, "a deleted response")


async def at_once():
    async with AsyncOpenAI(base_url=URL, api_key="key", max_retries=0) as many:

        async def one(number):
            prompt = user(f"say {number}")
            if number % 2:
                answer = await many.chat.completions.create(model="m", messages=prompt)
                return answer.choices[0].message.content
            text = ""
            async for chunk in await many.chat.completions.create(model="m", messages=prompt, stream=True):
                text += chunk.choices[0].delta.content or ""
            return text

        texts = await asyncio.gather(*(one(number) for number in range(200)))
        expect(texts, [f"You said: say {number}" for number in range(200)], "200 at once")
        async with many.responses.stream(model="m", input="hello") as stream:
            expect((await stream.get_final_response()).output_text, "Hello, world!", "an async stream")


models()
completions()
tools()
errors()
cancellation()
responses()
asyncio.run(at_once())
