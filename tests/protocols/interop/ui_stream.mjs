// Calls the agent with the AI SDK's published client: node ui_stream.mjs URL
//
// The package ai is loaded from the folder in PPIO_INTEROP_PROTOCOLS_NODE_MODULES; it checks each
// chunk by its schema. Exits non-zero, with a stack trace, on the first difference.

import assert from 'node:assert/strict'
import path from 'node:path'
import process from 'node:process'
import { pathToFileURL } from 'node:url'

const [url] = process.argv.slice(2)
const modules = path.resolve(process.env.PPIO_INTEROP_PROTOCOLS_NODE_MODULES)
const {
  AbstractChat,
  DefaultChatTransport,
  isToolUIPart,
  lastAssistantMessageIsCompleteWithApprovalResponses,
  lastAssistantMessageIsCompleteWithToolCalls,
  readUIMessageStream,
} = await import(pathToFileURL(path.join(modules, 'ai/dist/index.js')))

const api = `${url}/api/chat`
let chats = 0

/** The state that `useChat` keeps, without a page. */
class State {
  status = 'ready'
  error = undefined
  messages = []
  pushMessage = (message) => void (this.messages = [...this.messages, message])
  popMessage = () => void (this.messages = this.messages.slice(0, -1))
  replaceMessage = (at, message) => void (this.messages = this.messages.with(at, structuredClone(message)))
  snapshot = (value) => structuredClone(value)
}

class Chat extends AbstractChat {
  constructor({ body, headers, ...options } = {}) {
    chats += 1
    super({
      id: `chat-${chats}`,
      state: new State(),
      transport: new DefaultChatTransport({ api, body, headers }),
      ...options,
    })
  }

  get parts() {
    return this.lastMessage.parts
  }

  get text() {
    return this.parts.filter(({ type }) => type === 'text').map(({ text }) => text).join('')
  }

  async say(text) {
    await this.sendMessage({ text })
    return this
  }
}

async function until(condition, what) {
  const deadline = Date.now() + 20_000
  for (;;) {
    const found = await condition()
    if (found) return found
    assert.ok(Date.now() < deadline, `not in time: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** Returns the parts without the members that only describe their streaming. */
const plain = (parts) => parts.map(({ state, providerMetadata, ...part }) => part)

const scenarios = {
  async value() {
    const chat = await new Chat().say('value')
    assert.deepEqual(plain(chat.parts), [{ type: 'step-start' }, { type: 'data-value', data: { answer: 42 } }])
    assert.equal(chat.status, 'ready')
  },

  async stream() {
    const chat = await new Chat().say('hello')
    assert.equal(chat.text, 'Hello, world!')
    assert.equal(chat.lastMessage.role, 'assistant')
    await chat.regenerate()
    assert.deepEqual(chat.messages.map(({ role }) => role), ['user', 'assistant'])
  },

  async 'a stream without a chat'() {
    const transport = new DefaultChatTransport({ api })
    const messages = [{ id: 'u', role: 'user', parts: [{ type: 'text', text: 'weather' }] }]
    const stream = await transport.sendMessages({ chatId: 'plain', messages, trigger: 'submit-message' })
    let last
    for await (const message of readUIMessageStream({ stream })) last = message
    assert.equal(last.parts.at(-1).text, 'It is 20 degrees.')
  },

  async 'a tool of the agent'() {
    const chat = await new Chat({ sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithToolCalls }).say('weather')
    const [, reasoning, tool, answer] = chat.parts
    assert.deepEqual([reasoning.type, reasoning.text], ['reasoning', 'The user wants the weather.'])
    assert.deepEqual([tool.type, tool.toolName, tool.state], ['dynamic-tool', 'get_weather', 'output-available'])
    assert.deepEqual([tool.input, tool.output, tool.providerExecuted], [{ city: 'Paris' }, { degrees: 20 }, true])
    assert.equal(answer.text, 'It is 20 degrees.')
    assert.deepEqual(chat.lastMessage.metadata, { usage: { inputTokens: 12, outputTokens: 7, totalTokens: 19 } })
    assert.equal(chat.messages.length, 2)
  },

  async 'a tool of the caller'() {
    const called = []
    const chat = new Chat({
      body: { tools: { see: { description: 'Looks', inputSchema: { type: 'object' } } } },
      sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithToolCalls,
      onToolCall: ({ toolCall }) => {
        called.push(toolCall.toolName)
        assert.ok(!toolCall.dynamic)
        void chat.addToolOutput({ tool: 'see', toolCallId: toolCall.toolCallId, output: 'sunny' })
      },
    })
    await chat.say('tool')
    await until(() => chat.text && chat.status === 'ready', 'the answer to the result')
    assert.deepEqual(called, ['see'])
    assert.equal(chat.text, 'The tool said sunny.')
    assert.equal(chat.messages.length, 2)
  },

  async 'an error before the first item'() {
    const chat = await new Chat().say('fail-first')
    assert.equal(chat.status, 'error')
    assert.deepEqual(JSON.parse(chat.error.message), { type: 'error', errorText: 'no such model' })
    assert.equal(chat.error.statusCode, 400)
  },

  async 'an error in mid-stream'() {
    const chat = await new Chat().say('fail-later')
    assert.deepEqual([chat.status, chat.error.message], ['error', 'the model went away'])
    assert.equal(chat.text, 'Hello, ')
  },

  async 'an interrupt that is approved or denied'() {
    for (const approved of [true, false]) {
      const chat = new Chat({ sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithApprovalResponses })
      await chat.say('approve')
      const tool = chat.parts.find(isToolUIPart)
      assert.deepEqual([tool.state, tool.approval.requestReason], ['approval-requested', 'May I send the mail?'])
      await chat.addToolApprovalResponse({ id: tool.approval.id, approved })
      await until(() => chat.status === 'ready' && chat.text.includes('Decided'), 'the decision')
      assert.equal(chat.text, `May I?Decided: {"approved":${approved}}.`)
      assert.equal(chat.parts.find(isToolUIPart).state, approved ? 'output-available' : 'output-denied')
      assert.equal(chat.messages.length, 2)
      // The decision is not sent again.
      await chat.say('approve')
      assert.equal(chat.parts.find(isToolUIPart).state, 'approval-requested')
    }
  },

  async 'an interrupt with a response'() {
    const chat = new Chat({ sendAutomaticallyWhen: lastAssistantMessageIsCompleteWithToolCalls })
    await chat.say('approve')
    const { toolCallId, input } = chat.parts.find(isToolUIPart)
    assert.deepEqual(input.responseSchema.required, ['approved'])
    await chat.addToolOutput({ tool: 'approval', toolCallId, output: { approved: true, until: 'noon' } })
    await until(() => chat.status === 'ready' && chat.text.includes('Decided'), 'the decision')
    assert.equal(chat.text, 'May I?Decided: {"approved":true,"until":"noon"}.')
  },

  async 'steps, sources and data'() {
    const seen = []
    const chat = await new Chat({ onData: ({ type, data }) => seen.push([type, data]) }).say('steps')
    assert.deepEqual(plain(chat.parts).map(({ type }) => type), [
      'step-start', 'source-url', 'step-start', 'data-progress', 'text',
    ])
    assert.deepEqual(seen, [
      ['data-step', { name: 'search' }],
      ['data-step', { name: 'write' }],
      ['data-progress', { percent: 50 }],
    ])
  },

  async state() {
    const chat = await new Chat({ body: { state: { count: 1 } } }).say('state')
    assert.deepEqual(chat.parts.find(({ type }) => type === 'data-state').data, { count: 1 })
  },

  async 'many items'() {
    const chat = await new Chat().say('many 10000')
    assert.equal(chat.text.split(' ').length, 10001)
  },

  async 'an empty answer'() {
    const chat = await new Chat().say('empty')
    assert.deepEqual([chat.status, chat.text], ['ready', ''])
  },

  async 'a stream that is resumed and stopped'() {
    const chat = new Chat()
    const left = new AbortController()
    const messages = [{ id: 'u', role: 'user', parts: [{ type: 'text', text: 'hang' }] }]
    const { transport, id } = chat
    const request = { chatId: id, messages, trigger: 'submit-message', abortSignal: left.signal }
    const reader = (await transport.sendMessages(request)).getReader()
    await reader.read()
    left.abort()
    chat.messages = messages
    const resumed = chat.resumeStream()
    await until(() => chat.lastMessage.role === 'assistant' && chat.text === 'waiting', 'the text so far')
    assert.equal((await fetch(`${api}/${id}/stop`, { method: 'POST' })).status, 204)
    await resumed
    assert.deepEqual([chat.status, chat.text], ['ready', 'waiting'])
    assert.equal(await transport.reconnectToStream({ chatId: id }), null)
    await until(async () => (await new Chat().say('cancelled')).text !== '0', 'the work is dropped')
  },

  async '200 at once'() {
    const answers = await Promise.all(Array.from({ length: 200 }, () => new Chat().say('weather')))
    for (const chat of answers) assert.equal(chat.text, 'It is 20 degrees.')
  },
}

for (const [name, scenario] of Object.entries(scenarios)) {
  await scenario().catch((error) => {
    console.error(`the scenario "${name}" failed`)
    throw error
  })
}
