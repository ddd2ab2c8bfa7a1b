// Calls an agent with the client of @a2a-js/sdk: JSON-RPC and REST of version 1.0, and JSON-RPC of
// version 0.3.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const modules = process.env.PPIO_INTEROP_PROTOCOLS_NODE_MODULES;
const require = createRequire(join(modules, 'index.js'));
const load = (name) => import(pathToFileURL(require.resolve(name)));
const { ClientFactory, JsonRpcTransportFactory, RestTransportFactory } = await load('@a2a-js/sdk/client');
const { Role, TaskState } = await load('@a2a-js/sdk');

const url = process.argv[2];
const legacyCompat = { enabled: true };
const transports = { JSONRPC: new JsonRpcTransportFactory({ legacyCompat }), 'HTTP+JSON': new RestTransportFactory() };

const request = (text, task, configuration) => ({
  tenant: '',
  metadata: undefined,
  configuration: configuration && {
    acceptedOutputModes: [],
    taskPushNotificationConfig: undefined,
    returnImmediately: false,
    ...configuration,
  },
  message: {
    messageId: randomUUID(),
    taskId: task?.id ?? '',
    contextId: task?.contextId ?? '',
    role: Role.ROLE_USER,
    parts: [{ content: { $case: 'text', value: text }, metadata: undefined, filename: '', mediaType: '' }],
    metadata: undefined,
    extensions: [],
    referenceTaskIds: [],
  },
});
const textOf = (artifacts) =>
  artifacts
    .flatMap((artifact) => artifact.parts)
    .map((part) => (part.content.$case === 'text' ? part.content.value : ''))
    .join('');

async function read(events) {
  const read = { artifacts: [], states: [] };
  for await (const { payload } of events) {
    if (payload.$case === 'task') {
      read.task = payload.value;
      read.states.push(payload.value.status.state);
    } else if (payload.$case === 'statusUpdate') {
      read.status = payload.value.status;
      read.states.push(payload.value.status.state);
    } else {
      assert.equal(payload.$case, 'artifactUpdate');
      read.artifacts.push(payload.value.artifact);
    }
  }
  read.state = read.states.at(-1);
  return read;
}

async function check(binding, version) {
  const card = await (await fetch(`${url}/.well-known/agent-card.json`)).json();
  card.supportedInterfaces = card.supportedInterfaces.filter(
    (each) => each.protocolBinding === binding && each.protocolVersion === version,
  );
  assert.equal(card.supportedInterfaces.length, 1);
  const client = await new ClientFactory({ transports: [transports[binding]] }).createFromAgentCard(card);
  const stream = (...all) => read(client.sendMessageStream(request(...all)));
  const whole = (...all) => client.sendMessage(request(...all));

  const value = await whole('value');
  assert.equal(value.status.state, TaskState.TASK_STATE_COMPLETED);
  assert.deepEqual(value.artifacts[0].parts[0].content.value, { answer: 42 });
  const hello = await stream('hello');
  assert.equal(textOf(hello.artifacts), 'Hello, world!');
  assert.deepEqual(hello.states, [TaskState.TASK_STATE_WORKING, TaskState.TASK_STATE_COMPLETED]);
  assert.equal(textOf((await client.getTask({ tenant: '', id: hello.task.id })).artifacts), 'Hello, world!');
  assert.equal(textOf((await stream('weather')).artifacts), 'It is 20 degrees.');
  for (const [prompt, text] of [
    ['fail-first', 'no such model'],
    ['fail-later', 'the model went away'],
  ]) {
    for (const { status } of [await stream(prompt), await whole(prompt)]) {
      assert.equal(status.state, TaskState.TASK_STATE_FAILED);
      assert.ok(status.message.parts[0].content.value.includes(text));
    }
  }
  const asked = await stream('approve');
  assert.equal(asked.state, TaskState.TASK_STATE_INPUT_REQUIRED);
  const answered = await stream('approve yes', asked.task);
  assert.equal(textOf(answered.artifacts), 'Decided: "approve yes".');
  assert.equal(answered.task.id, asked.task.id);

  const task = await whole('hang', undefined, { returnImmediately: true });
  assert.equal(task.status.state, TaskState.TASK_STATE_WORKING);
  const joined = client.resubscribeTask({ tenant: '', id: task.id });
  const first = await joined.next();
  assert.equal(first.value.payload.$case, 'task');
  const cancelled = await client.cancelTask({ tenant: '', id: task.id, metadata: undefined });
  assert.equal(cancelled.status.state, TaskState.TASK_STATE_CANCELED);
  assert.equal((await read(joined)).state, TaskState.TASK_STATE_CANCELED);
  await assert.rejects(client.cancelTask({ tenant: '', id: task.id, metadata: undefined }), /already ended/);
  await assert.rejects(client.getTask({ tenant: '', id: 'none' }), /none/);
  const push = { tenant: '', id: 'c1', taskId: task.id, url: 'https://example.com/hook', token: 't', authentication: undefined };
  assert.equal((await client.createTaskPushNotificationConfig(push)).url, push.url);
  const named = { tenant: '', id: 'c1', taskId: task.id };
  const kept = await client.getTaskPushNotificationConfig(named);
  assert.equal(kept.url, push.url);
  // No answer contains the secrets.
  assert.ok(!kept.token);
  const ofTask = { tenant: '', taskId: task.id, pageSize: 0, pageToken: '' };
  assert.equal((await client.listTaskPushNotificationConfig(ofTask)).configs.length, 1);
  await client.deleteTaskPushNotificationConfig(named);
  assert.equal((await client.listTaskPushNotificationConfig(ofTask)).configs.length, 0);
  const refused = client.createTaskPushNotificationConfig({ ...push, url: 'http://169.254.169.254/' });
  await assert.rejects(refused, /no public address/);
  const many = await Promise.all(Array.from({ length: 200 }, () => whole('hello')));
  assert.equal(new Set(many.map((each) => each.id)).size, 200);
  assert.ok(many.every((each) => textOf(each.artifacts) === 'Hello, world!'));
}

await check('JSONRPC', '1.0');
await check('HTTP+JSON', '1.0');
await check('JSONRPC', '0.3');
