"""Calls an agent with the client of a2a-sdk: JSON-RPC and REST of version 1.0, and JSON-RPC of version 0.3."""

import asyncio
import sys
import uuid

import httpx
from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
from a2a.types import (
    AgentCard,
    CancelTaskRequest,
    GetTaskRequest,
    ListTasksRequest,
    Message,
    Part,
    Role,
    SendMessageRequest,
    SubscribeToTaskRequest,
    TaskState,
)
from a2a.utils.errors import (
    PushNotificationNotSupportedError,
    TaskNotCancelableError,
    TaskNotFoundError,
    UnsupportedOperationError,
)
from a2a.types import TaskPushNotificationConfig
from google.protobuf.json_format import MessageToDict


def request(text, task=None, **configuration):
    message = Message(message_id=str(uuid.uuid4()), role=Role.ROLE_USER, parts=[Part(text=text)])
    if task is not None:
        message.task_id, message.context_id = task.id, task.context_id
    return SendMessageRequest(message=message, configuration=configuration)


def text_of(artifacts):
    return "".join(part.text for artifact in artifacts for part in artifact.parts)


async def whole(client, *arguments, **configuration):
    events = [event async for event in client.send_message(request(*arguments, **configuration))]
    assert [event.WhichOneof("payload") for event in events] == ["task"], events
    return events[0].task


class Streamed:
    """What a stream tells of a task."""

    @classmethod
    async def read(cls, events):
        self = cls()
        self.task, self.state, self.artifacts, self.status = None, None, [], None
        async for event in events:
            assert self.state in (None, TaskState.TASK_STATE_WORKING), "nothing follows the end"
            match event.WhichOneof("payload"):
                case "task":
                    self.task, self.state = event.task, event.task.status.state
                case "status_update":
                    self.status, self.state = event.status_update.status, event.status_update.status.state
                case "artifact_update":
                    self.artifacts.append(event.artifact_update.artifact)
                case other:
                    raise AssertionError(other)
        return self


async def fails(error, awaitable):
    try:
        await awaitable
    except error:
        return
    raise AssertionError(f"no {error.__name__}")


async def check(card, binding, http):
    streaming = ClientFactory(ClientConfig(httpx_client=http, supported_protocol_bindings=[binding])).create(card)
    client = ClientFactory(
        ClientConfig(httpx_client=http, supported_protocol_bindings=[binding], streaming=False)
    ).create(card)
    is_old = all(interface.protocol_version == "0.3" for interface in card.supported_interfaces)

    async def stream(*arguments):
        return await Streamed.read(streaming.send_message(request(*arguments)))

    # A value.
    task = await whole(client, "value")
    assert task.status.state == TaskState.TASK_STATE_COMPLETED, task
    assert MessageToDict(task.artifacts[0].parts[0].data) == {"answer": 42}, task
    assert task.history[0].parts[0].text == "value", task
    # A stream.
    streamed = await stream("hello")
    assert text_of(streamed.artifacts) == "Hello, world!", streamed.artifacts
    assert len(streamed.artifacts) == 3
    assert streamed.state == TaskState.TASK_STATE_COMPLETED
    kept = await client.get_task(GetTaskRequest(id=streamed.task.id))
    assert text_of(kept.artifacts) == "Hello, world!", kept
    assert (await stream("empty")).state == TaskState.TASK_STATE_COMPLETED
    assert len((await stream("many 1000")).artifacts) == 1000
    # The agent's tool calls stay its own.
    assert text_of((await stream("weather")).artifacts) == "It is 20 degrees."
    assert text_of((await whole(client, "weather")).artifacts) == "It is 20 degrees."
    # Data.
    steps = await stream("steps")
    assert [artifact.artifact_id for artifact in steps.artifacts] == ["progress", "answer"], steps.artifacts
    # Errors, before the first item and later.
    for prompt, text in [("fail-first", "no such model"), ("fail-later", "the model went away")]:
        streamed = await stream(prompt)
        task = await whole(client, prompt)
        for status in (streamed.status, task.status):
            assert status.state == TaskState.TASK_STATE_FAILED, status
            assert text in status.message.parts[0].text, status
    assert (await stream("panic")).state == TaskState.TASK_STATE_FAILED
    # An interrupt, and the answer to it.
    for call in (stream, lambda *arguments: whole(client, *arguments)):
        asked = await call("approve")
        task = getattr(asked, "task", asked)
        status = asked.status
        assert status.state == TaskState.TASK_STATE_INPUT_REQUIRED, status
        assert status.message.parts[0].text == "May I send the mail?", status
        answered = await call("approve yes", task)
        assert answered.artifacts[0].parts[0].text == 'Decided: "approve yes".', answered.artifacts
        assert getattr(answered, "task", answered).id == task.id
        await fails(UnsupportedOperationError, call("again", task))
    # A task that its caller does not wait for: it is found, joined, and cancelled.
    task = await whole(client, "hang", return_immediately=True)
    assert task.status.state == TaskState.TASK_STATE_WORKING, task
    joined = asyncio.create_task(Streamed.read(streaming.subscribe(SubscribeToTaskRequest(id=task.id))))
    cancelled = await client.cancel_task(CancelTaskRequest(id=task.id))
    assert cancelled.status.state == TaskState.TASK_STATE_CANCELED, cancelled
    try:
        assert (await joined).state == TaskState.TASK_STATE_CANCELED
    except UnsupportedOperationError:
        pass  # It was cancelled before it was joined.
    await fails(TaskNotCancelableError, client.cancel_task(CancelTaskRequest(id=task.id)))
    await fails(TaskNotFoundError, client.get_task(GetTaskRequest(id="none")))
    config = TaskPushNotificationConfig(task_id=task.id, url="http://127.0.0.1:1/")
    await fails(PushNotificationNotSupportedError, client.create_task_push_notification_config(config))
    if not is_old:
        listed = await client.list_tasks(ListTasksRequest(context_id=task.context_id))
        assert [each.id for each in listed.tasks] == [task.id], listed
    # Many at once.
    tasks = await asyncio.gather(*(whole(client, "hello") for _ in range(200)))
    assert {text_of(task.artifacts) for task in tasks} == {"Hello, world!"}
    assert len({task.id for task in tasks}) == 200


async def main(url):
    limits = httpx.Limits(max_connections=50)
    async with httpx.AsyncClient(timeout=60, limits=limits) as http:
        card = await A2ACardResolver(http, url).get_agent_card()
        for binding, version in [("JSONRPC", "1.0"), ("HTTP+JSON", "1.0"), ("JSONRPC", "0.3")]:
            chosen = AgentCard()
            chosen.CopyFrom(card)
            del chosen.supported_interfaces[:]
            chosen.supported_interfaces.extend(
                each
                for each in card.supported_interfaces
                if (each.protocol_binding, each.protocol_version) == (binding, version)
            )
            assert len(chosen.supported_interfaces) == 1, card
            await check(chosen, binding, http)


asyncio.run(main(sys.argv[1]))
