"""Calls an agent with the client of a2a-sdk.

Uses JSON-RPC and REST of version 1.0, and JSON-RPC of version 0.3.
"""

import asyncio
import json
import sys
import uuid

import httpx
from a2a.client import A2ACardResolver, ClientConfig, ClientFactory
from a2a.types import (
    AgentCard,
    AuthenticationInfo,
    CancelTaskRequest,
    DeleteTaskPushNotificationConfigRequest,
    GetTaskPushNotificationConfigRequest,
    GetTaskRequest,
    ListTaskPushNotificationConfigsRequest,
    ListTasksRequest,
    Message,
    Part,
    Role,
    SendMessageRequest,
    StreamResponse,
    SubscribeToTaskRequest,
    TaskPushNotificationConfig,
    TaskState,
)
from a2a.utils.errors import (
    TaskNotCancelableError,
    TaskNotFoundError,
    UnsupportedOperationError,
)
from google.protobuf.json_format import MessageToDict, ParseDict


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
    """The events of a task, read from a stream."""

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


class Receiver:
    """A server that receives push notifications."""

    def __init__(self):
        self.received = asyncio.Queue()

    async def start(self):
        server = await asyncio.start_server(self.receive, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
        return server

    async def receive(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        body = json.loads(await reader.readexactly(int(headers["content-length"])))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()
        await self.received.put((headers, body))

    async def until(self, task, state):
        """Waits for the notification of a state, in the protocol version of the caller."""
        while True:
            headers, body = await asyncio.wait_for(self.received.get(), 30)
            assert headers["x-a2a-notification-token"] == "t-1", headers
            assert headers["authorization"] == "bearer s3cret", headers
            if body.get("kind") == "task":
                found = (body["id"], body["status"]["state"])
                expected = (task.id, TaskState.Name(state).removeprefix("TASK_STATE_").lower())
            else:
                event = ParseDict(body, StreamResponse())
                found, expected = (event.task.id, event.task.status.state), (task.id, state)
            if found == expected:
                return


async def check_push(client, receiver):
    config = TaskPushNotificationConfig(
        id="c1",
        url=receiver.url,
        token="t-1",
        authentication=AuthenticationInfo(scheme="Bearer", credentials="s3cret"),
    )
    task = await whole(client, "hello", task_push_notification_config=config)
    await receiver.until(task, TaskState.TASK_STATE_COMPLETED)
    task = await whole(client, "hang", return_immediately=True)
    config.task_id = task.id
    # No answer contains the secrets.
    readable = TaskPushNotificationConfig()
    readable.CopyFrom(config)
    readable.ClearField("token")
    readable.authentication.ClearField("credentials")
    assert await client.create_task_push_notification_config(config) == readable
    named = {"task_id": task.id, "id": "c1"}
    assert await client.get_task_push_notification_config(GetTaskPushNotificationConfigRequest(**named)) == readable
    of_task = ListTaskPushNotificationConfigsRequest(task_id=task.id)
    assert list((await client.list_task_push_notification_configs(of_task)).configs) == [readable]
    await client.cancel_task(CancelTaskRequest(id=task.id))
    await receiver.until(task, TaskState.TASK_STATE_CANCELED)
    await client.delete_task_push_notification_config(DeleteTaskPushNotificationConfigRequest(**named))
    assert not (await client.list_task_push_notification_configs(of_task)).configs


async def check(card, binding, http, receiver):
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
    # The agent's own tool calls are not sent.
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
    # A task whose caller does not wait: it is joined and cancelled.
    task = await whole(client, "hang", return_immediately=True)
    assert task.status.state == TaskState.TASK_STATE_WORKING, task
    joined = asyncio.create_task(Streamed.read(streaming.subscribe(SubscribeToTaskRequest(id=task.id))))
    cancelled = await client.cancel_task(CancelTaskRequest(id=task.id))
    assert cancelled.status.state == TaskState.TASK_STATE_CANCELED, cancelled
    try:
        assert (await joined).state == TaskState.TASK_STATE_CANCELED
    except UnsupportedOperationError:
        pass  # The task was cancelled before it was joined.
    await fails(TaskNotCancelableError, client.cancel_task(CancelTaskRequest(id=task.id)))
    await fails(TaskNotFoundError, client.get_task(GetTaskRequest(id="none")))
    await check_push(client, receiver)
    if not is_old:
        listed = await client.list_tasks(ListTasksRequest(context_id=task.context_id))
        assert [each.id for each in listed.tasks] == [task.id], listed
    # Many concurrent calls.
    tasks = await asyncio.gather(*(whole(client, "hello") for _ in range(200)))
    assert {text_of(task.artifacts) for task in tasks} == {"Hello, world!"}
    assert len({task.id for task in tasks}) == 200


async def main(url):
    limits = httpx.Limits(max_connections=50)
    receiver = Receiver()
    async with await receiver.start(), httpx.AsyncClient(timeout=60, limits=limits) as http:
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
            await check(chosen, binding, http, receiver)


asyncio.run(main(sys.argv[1]))
