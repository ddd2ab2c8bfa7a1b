// Calls an agent with the published npm package `openai`, unpatched.
//
// The argument is the URL of the agent that does what its prompt requests; the package is in the
// folder that PPIO_INTEROP_PROTOCOLS_NODE_MODULES names. Exits non-zero, with a stack trace, on the
// first difference.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import path from 'node:path'
import process from 'node:process'

const modules = path.resolve(process.env.PPIO_INTEROP_PROTOCOLS_NODE_MODULES)
const { default: OpenAI } = createRequire(path.join(modules, 'script.js'))('openai')
const client = new OpenAI({ baseURL: `${process.argv[2]}/v1`, apiKey: 'key', maxRetries: 0 })

const parameters = { type: 'object', properties: { city: { type: 'string' } } }
const messages = (content) => [{ role: 'user', content }]
const complete = (prompt, options) =>
  client.chat.completions.create({ model: 'm', messages: messages(prompt), ...options })
const contentOf = (completion) => completion.choices[0].message.content

async function streamed(prompt, options) {
  let text = ''
  for await (const chunk of await complete(prompt, { stream: true, ...options })) {
    text += chunk.choices[0]?.delta.content ?? ''
  }
  return text
}

async function until(what, condition) {
  const deadline = Date.now() + 20_000
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, `not within 20 s: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

async function completions() {
  const models = await client.models.list()
  assert.equal(models.data.length, 1)
  assert.equal(contentOf(await complete('value')), '{"answer":42}')
  assert.equal(await streamed('hello'), 'Hello, world!')
  assert.equal((await streamed('many 10000')).length, 48_890)
  const tools = [{ type: 'function', function: { name: 'get_weather', parameters } }]
  const ran = []
  const runner = client.chat.completions.runTools({
    model: 'm',
    stream: true,
    messages: messages('tool'),
    tools: [
      {
        type: 'function',
        function: {
          name: 'get_weather',
          parameters,
          parse: JSON.parse,
          function: ({ city }) => {
            ran.push(city)
            return '20 degrees'
          },
        },
      },
    ],
  })
  assert.equal(await runner.finalContent(), 'The tool said 20 degrees.')
  assert.deepEqual(ran, ['Paris'])
  const called = await complete('tool', { tools })
  assert.equal(called.choices[0].finish_reason, 'tool_calls')
  for (const stream of [false, true]) {
    await assert.rejects(complete('fail-first', { stream }), { status: 400, code: 'ModelError' })
  }
  await assert.rejects(streamed('fail-later'), { code: 'ModelError' })
  await assert.rejects(streamed('panic'), { status: 500 })
}

async function cancellation() {
  const cancelled = async () => Number(contentOf(await complete('cancelled')))
  const before = await cancelled()
  for await (const chunk of await complete('hang', { stream: true })) {
    if (chunk.choices[0].delta.content) break
  }
  await until('the cancellation', async () => (await cancelled()) === before + 1)
}

async function responses() {
  const create = (input, options) => client.responses.create({ model: 'm', input, ...options })
  const first = await create('weather')
  assert.equal(first.output_text, 'It is 20 degrees.')
  assert.equal((await client.responses.retrieve(first.id)).output_text, first.output_text)
  const items = []
  for await (const item of client.responses.inputItems.list(first.id)) items.push(item.content[0].text)
  assert.deepEqual(items, ['weather'])
  const final = await client.responses.stream({ model: 'm', input: 'weather' }).finalResponse()
  assert.equal(final.output_text, 'It is 20 degrees.')
  const next = await create('hello', { previous_response_id: first.id })
  assert.equal(next.output_text, 'Hello, world!')
  const kinds = []
  for await (const event of await create('fail-later', { stream: true })) kinds.push(event.type)
  assert.equal(kinds.at(-1), 'response.failed')
  const begun = await create('slow 3 30', { background: true })
  const ended = async () => (await client.responses.retrieve(begun.id)).status === 'completed'
  await until('the end in the background', ended)
  const hanging = await create('hang', { background: true })
  assert.equal((await client.responses.cancel(hanging.id)).status, 'cancelled')
  await client.responses.delete(hanging.id)
  await assert.rejects(client.responses.retrieve(hanging.id), { status: 404, code: 'ResponseNotFound' })
}

async function atOnce() {
  const numbers = Array.from({ length: 200 }, (_, number) => number)
  const texts = await Promise.all(numbers.map((number) => streamed(`say ${number}`)))
  assert.deepEqual(texts, numbers.map((number) => `You said: say ${number}`))
}

await completions()
await cancellation()
await responses()
await atOnce()
