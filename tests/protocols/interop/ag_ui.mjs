// Calls the agent with AG-UI's published client: node ag_ui.mjs URL
//
// @ag-ui/client is loaded from the folder in PPIO_INTEROP_PROTOCOLS_NODE_MODULES. The client
// verifies the order of events and checks each by its schema; a warning about a member that the
// schema does not have is a failure here. Exits non-zero, with a stack trace, on the first
// difference.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import path from 'node:path'
import process from 'node:process'

const [url] = process.argv.slice(2)
const load = createRequire(path.join(path.resolve(process.env.PPIO_INTEROP_PROTOCOLS_NODE_MODULES), 'script.js'))
const { HttpAgent, buildResumeArray } = load('@ag-ui/client')

const faults = []
console.warn = (...words) => faults.push(words.join(' '))

let chats = 0

/** Creates a chat that begins with a prompt. */
function chat(prompt, options = {}) {
  chats += 1
  const agent = new HttpAgent({ url: `${url}/ag-ui`, threadId: `chat-${chats}`, ...options })
  if (prompt) agent.addMessage({ id: `prompt-${chats}`, role: 'user', content: prompt })
  return agent
}

/** Runs an agent, and returns its events and its answer. */
async function run(agent, parameters) {
  const seen = { types: [], customs: {} }
  const answer = await agent.runAgent(parameters, {
    onEvent: ({ event }) => void seen.types.push(event.type),
    onCustomEvent: ({ event }) => void (seen.customs[event.name] = event.value),
    onRunErrorEvent: ({ event }) => void (seen.error = event),
    onRunFinishedEvent: ({ event }) => void (seen.finished = event),
  })
  const text = answer.newMessages.filter(({ role }) => role === 'assistant').map(({ content }) => content ?? '')
  return { ...seen, ...answer, text: text.join('') }
}

const scenarios = {
  async value() {
    const { result, finished } = await run(chat('value'))
    assert.deepEqual(result, { answer: 42 })
    assert.deepEqual(finished.outcome, { type: 'success' })
  },

  async stream() {
    const { text, newMessages } = await run(chat('hello'))
    assert.equal(text, 'Hello, world!')
    assert.equal(newMessages.length, 1)
  },

  async 'a tool of the agent'() {
    const { newMessages, finished } = await run(chat('weather'))
    const [reasoning, call, result, answer] = newMessages
    assert.equal(newMessages.length, 4)
    assert.deepEqual([reasoning.role, reasoning.content], ['reasoning', 'The user wants the weather.'])
    assert.deepEqual(call.toolCalls[0].function, { name: 'get_weather', arguments: '{"city":"Paris"}' })
    assert.deepEqual([result.role, result.toolCallId, result.content], ['tool', 'call-1', '{"degrees":20}'])
    assert.equal(answer.content, 'It is 20 degrees.')
    assert.deepEqual(finished.usage, [{ inputTokens: 12, outputTokens: 7 }])
  },

  async 'a tool of the caller'() {
    const agent = chat('tool')
    const tools = [{ name: 'see', description: 'Looks out of the window', parameters: { type: 'object' } }]
    const { newMessages, finished } = await run(agent, { tools })
    assert.equal(newMessages[0].toolCalls[0].function.name, 'see')
    assert.deepEqual(finished.outcome, { type: 'success', pendingToolCallIds: ['call-2'] })
    agent.addMessage({ id: 'seen', role: 'tool', toolCallId: 'call-2', content: 'sunny' })
    assert.equal((await run(agent, { tools })).text, 'The tool said sunny.')
  },

  async 'an error before the first item'() {
    const { error, text } = await run(chat('fail-first'))
    assert.deepEqual([error.code, error.message, text], ['ModelError', 'no such model', ''])
  },

  async 'an error in mid-stream'() {
    const { error, text, finished } = await run(chat('fail-later'))
    assert.deepEqual([error.code, error.message, text], ['ModelError', 'the model went away', 'Hello, '])
    assert.equal(finished, undefined)
  },

  async 'a request that is refused'() {
    class Careless extends HttpAgent {
      requestInit(input) {
        return { ...super.requestInit(input), body: '{"threadId":"t"}' }
      }
    }
    const agent = new Careless({ url: `${url}/ag-ui` })
    const { error } = console
    console.error = () => {}
    await assert.rejects(agent.runAgent(), ({ status, payload }) => {
      assert.deepEqual([status, payload.type, payload.code], [422, 'RUN_ERROR', 'ValidationError'])
      return true
    })
    console.error = error
  },

  async 'an interrupt'() {
    const agent = chat('approve')
    const { finished } = await run(agent)
    assert.equal(finished.outcome.type, 'interrupt')
    assert.equal(agent.pendingInterrupts.length, 1)
    const [interrupt] = agent.pendingInterrupts
    assert.deepEqual([interrupt.reason, interrupt.message], ['approval', 'May I send the mail?'])
    assert.deepEqual(interrupt.responseSchema.required, ['approved'])
    const payload = { approved: true }
    const resume = buildResumeArray(agent.pendingInterrupts, { [interrupt.id]: { status: 'resolved', payload } })
    assert.equal((await run(agent, { resume })).text, 'Decided: {"approved":true}.')
    assert.deepEqual(agent.pendingInterrupts, [])
  },

  async state() {
    const agent = chat('state', { initialState: { count: 1 } })
    await run(agent)
    assert.deepEqual(agent.state, { count: 1, seen: true })
  },

  async 'steps, sources and data'() {
    const { types, customs } = await run(chat('steps'))
    assert.equal(types.filter((type) => type === 'STEP_STARTED').length, 2)
    assert.equal(types.filter((type) => type === 'STEP_FINISHED').length, 2)
    assert.deepEqual(customs, {
      source: { id: 's1', url: 'https://example.com/a', title: 'A' },
      progress: { percent: 50 },
    })
  },

  async 'many items'() {
    const { text } = await run(chat('many 10000'))
    assert.equal(text.split(' ').length, 10001)
  },

  async 'an empty answer'() {
    const { types } = await run(chat('empty'))
    assert.deepEqual(types, ['RUN_STARTED', 'RUN_FINISHED'])
  },

  async 'a cancelled run'() {
    const agent = chat('hang', { headers: { 'PPIO-On-Disconnect': 'cancel' } })
    const running = agent.runAgent({}, { onTextMessageContentEvent: () => agent.abortRun() })
    await running
    const deadline = Date.now() + 20_000
    while ((await run(chat('cancelled'))).text === '0') assert.ok(Date.now() < deadline, 'never cancelled')
  },

  async 'the same run again'() {
    const before = chat('slow 5 40')
    const runId = 'again'
    const { threadId, messages } = before
    let seen = ''
    await before.runAgent({ runId }, {
      onTextMessageContentEvent: ({ event }) => {
        seen += event.delta
        before.abortRun()
      },
    })
    assert.notEqual(seen, '')
    const prompt = messages.filter(({ role }) => role === 'user')
    const after = new HttpAgent({ url: `${url}/ag-ui`, threadId, initialMessages: prompt })
    const { text } = await run(after, { runId })
    assert.equal(text, '0 1 2 3 4 ')
    assert.ok(text.startsWith(seen))
  },

  async '200 at once'() {
    const answers = await Promise.all(Array.from({ length: 200 }, () => run(chat('weather'))))
    for (const { newMessages } of answers) assert.equal(newMessages.at(-1).content, 'It is 20 degrees.')
  },
}

for (const [name, scenario] of Object.entries(scenarios)) {
  await scenario().catch((error) => {
    console.error(`the scenario "${name}" failed`)
    throw error
  })
  assert.deepEqual(faults, [], name)
}
