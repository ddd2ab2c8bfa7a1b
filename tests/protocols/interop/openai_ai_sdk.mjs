// Calls an agent with the published npm packages `ai` and `@ai-sdk/openai-compatible`, unpatched.
//
// The argument is the URL of the agent that does what its prompt requests; the packages are in the
// folder that PPIO_INTEROP_PROTOCOLS_NODE_MODULES names. Exits non-zero, with a stack trace, on the
// first difference.

import assert from 'node:assert/strict'
import path from 'node:path'
import process from 'node:process'
import { pathToFileURL } from 'node:url'

const modules = path.resolve(process.env.PPIO_INTEROP_PROTOCOLS_NODE_MODULES)
const load = (name) => import(pathToFileURL(path.join(modules, name, 'dist/index.js')))
const { generateText, jsonSchema, stepCountIs, streamText, tool } = await load('ai')
const { createOpenAICompatible } = await load('@ai-sdk/openai-compatible')

const provider = createOpenAICompatible({
  name: 'agent',
  baseURL: `${process.argv[2]}/v1`,
  apiKey: 'key',
  includeUsage: true,
})
const call = (prompt, options) => ({ model: provider('m'), prompt, maxRetries: 0, ...options })

async function streamed(prompt, options) {
  const errors = []
  const onError = ({ error }) => errors.push(error)
  const result = streamText({ ...call(prompt, options), onError })
  const parts = []
  for await (const part of result.fullStream) parts.push(part)
  const text = parts.filter((part) => part.type === 'text-delta').map((part) => part.text)
  return { text: text.join(''), parts, errors, result }
}

const value = await generateText(call('value'))
assert.equal(value.text, '{"answer":42}')
assert.equal(value.finishReason, 'stop')

const weather = await streamed('weather')
assert.equal(weather.text, 'It is 20 degrees.')
assert.equal(await weather.result.reasoningText, 'The user wants the weather.')
assert.equal((await weather.result.usage).totalTokens, 19)

const ran = []
const tools = {
  get_weather: tool({
    description: 'The weather.',
    inputSchema: jsonSchema({ type: 'object', properties: { city: { type: 'string' } } }),
    execute: async ({ city }) => {
      ran.push(city)
      return '20 degrees'
    },
  }),
}
const steps = { tools, stopWhen: stepCountIs(3) }
assert.equal((await generateText(call('tool', steps))).text, 'The tool said 20 degrees.')
assert.equal((await streamed('tool', steps)).text, 'The tool said 20 degrees.')
assert.deepEqual(ran, ['Paris', 'Paris'])

for (const prompt of ['fail-first', 'panic']) {
  await assert.rejects(generateText(call(prompt)))
}
const failed = await streamed('fail-later')
assert.equal(failed.text, 'Hello, ')
assert.equal(failed.errors.length, 1)
assert.match(JSON.stringify(failed.errors[0]?.message ?? failed.errors[0]), /the model went away/)
assert.notEqual(failed.parts.findLast((part) => part.type.startsWith('finish'))?.finishReason, 'stop')

const cancelled = async () => Number((await generateText(call('cancelled'))).text)
const before = await cancelled()
const abort = new AbortController()
for await (const part of streamText(call('hang', { abortSignal: abort.signal })).fullStream) {
  if (part.type === 'text-delta') abort.abort()
}
const deadline = Date.now() + 20_000
while ((await cancelled()) !== before + 1) {
  assert.ok(Date.now() < deadline, 'not within 20 s: the cancellation')
  await new Promise((resolve) => setTimeout(resolve, 20))
}

const numbers = Array.from({ length: 200 }, (_, number) => number)
const answers = await Promise.all(numbers.map((number) => generateText(call(`say ${number}`))))
assert.deepEqual(
  answers.map((answer) => answer.text),
  numbers.map((number) => `You said: say ${number}`),
)
