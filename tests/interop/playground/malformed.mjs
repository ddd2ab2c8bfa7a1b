// Chats with items that no agent of this project sends: the page shows them and continues to work.

import assert from 'node:assert/strict'

import { ChatVisit } from './chat.mjs'
import { until } from './visit.mjs'

/** A chat whose answers are scripted by the test. */
class ScriptedChat extends ChatVisit {
  #stream
  request

  async script() {
    await this.page.route('**/invocations', async (route) => {
      if (route.request().method() !== 'POST') return route.fallback()
      this.request = JSON.parse(route.request().postData())
      const headers = { 'content-type': 'text/event-stream', 'ppio-stream-ids': 'true', 'ppio-response-format': 'events' }
      await route.fulfill({ status: 200, headers, body: this.#stream })
    })
  }

  /** Sends a message, answers it with `items`, which are JSON texts, and returns the shown text. */
  async answered(items, end = '{"status":"success"}') {
    const data = items.map((item, at) => `id: ${at + 1}\ndata: ${item}\n\n`)
    this.#stream = `${data.join('')}event: end\ndata: ${end}\n\n`
    const count = await this.page.locator('.turn.agent').count()
    await this.send('next')
    await until(async () => (await this.page.locator('.turn.agent').count()) === count + 1, 'the message is sent')
    await this.ended()
    await until(() => this.button('Send').isVisible(), 'the next message can be sent')
    return this.text()
  }
}

const text = (text) => JSON.stringify({ type: 'text_delta', text })
const snapshot = (state) => JSON.stringify({ type: 'state_snapshot', state })
const delta = (...patch) => JSON.stringify({ type: 'state_delta', patch })

/** Values of all types, some of which cannot be converted: their `toString` is not a function. */
const VALUES = [undefined, null, true, 7, 'text', [], [null], {}, { a: 1 }, { toString: 1, valueOf: 1 }]

/** The members of each event. */
const EVENTS = {
  text_delta: { text: 'hello' },
  reasoning_delta: { text: 'hello' },
  tool_call_start: { id: 'c1', name: 'weather' },
  tool_call_arguments: { id: 'c1', delta: '{}' },
  tool_call_end: { id: 'c1' },
  tool_result: { id: 'c1', result: 1, is_error: false },
  state_snapshot: { state: {} },
  state_delta: { patch: [] },
  data: { name: 'data', data: 1 },
  step_start: { name: 'step' },
  step_end: { name: 'step' },
  source: { id: 's1', url: 'https://example.com', title: 'title' },
  usage: { input_tokens: 1, output_tokens: 1, cost: 1 },
  finish: { reason: 'length' },
  interrupt: { id: 'i1', reason: 'reason', message: 'message', tool_call_id: 'c1', response_schema: {} },
}

/** Yields each event with each of its members replaced by each value. */
function* events() {
  for (const [type, members] of Object.entries(EVENTS)) {
    for (const name of Object.keys(members)) {
      for (const value of VALUES) yield { type, ...members, [name]: value }
    }
  }
}

const PATCHES = [null, 7, 'add', [], {}, { op: 'add' }, { op: 'move', path: '/a', from: 5 }, { op: 'add', path: {}, value: 1 }]

const SCHEMAS = [
  ...VALUES,
  { anyOf: [null] },
  { anyOf: [true, { type: 'string' }] },
  { oneOf: 5 },
  { oneOf: [{ enum: 5 }, { const: 1 }] },
  { enum: 5 },
  { enum: [null] },
  { type: 'constructor' },
  { type: [null, {}] },
  { type: { toString: 1 } },
  { type: 'object', properties: 5 },
  { type: 'object', properties: [1] },
  { type: 'object', properties: { a: null, b: 5, ['__proto__']: null }, required: 5 },
  { type: 'object', properties: { a: { type: 'number', minimum: { valueOf: 1 }, maximum: {}, description: { toString: 1 } } } },
  { type: 'string', title: { toString: 1 }, format: { toString: 1 }, maxLength: {} },
]

export const malformed = {
  /** After any item, the next message can be sent and is answered. */
  async malformed_items(browser) {
    const visit = await ScriptedChat.begin(browser)
    await visit.script()
    const singles = [
      ...PATCHES.map((operation) => ({ type: 'state_delta', patch: [operation] })),
      ...SCHEMAS.map((schema) => ({ type: 'interrupt', id: 'i', reason: 'r', response_schema: schema })),
      { type: 'finish', reason: { a: 1 } },
      { type: 'constructor' },
      { type: '__proto__' },
      { type: { toString: 1 } },
    ].map((event) => JSON.stringify(event))
    for (const [at, item] of [...singles, 'null', '[]', '[[1]]', '{', '', '{"__proto__":{"type":"finish"}}'].entries()) {
      const shown = await visit.answered([item, text(`after ${at}`)])
      assert.ok(shown.endsWith(`after ${at}`), `${item} hides what follows: ${shown}`)
    }
    for (const end of ['null', '[[1]]', '{', '{"status":"failed","error":{"toString":1},"error_type":{"toString":1}}', '{"result":']) {
      assert.ok((await visit.answered([text('before the end')], end)).startsWith('before the end'), end)
    }
    const all = [...events()].map((event) => JSON.stringify(event))
    for (let at = 0; at < all.length; at += 40) {
      const shown = await visit.answered([...all.slice(at, at + 40), text(`after all to ${at}`)])
      assert.ok(shown.endsWith(`after all to ${at}`), shown)
    }
    // An event with a member of a wrong type is shown as it was received.
    assert.match(await visit.answered(['{"type":"finish","reason":{"a":1}}']), /^\{"type": "finish", "reason": \{"a": 1\}\}$/)
    assert.match(await visit.answered(['{"type":"text_delta","text":7}']), /^\{"type": "text_delta", "text": 7\}$/)
    await visit.reload()
    assert.equal(await visit.answered([text('after the reload')]), 'after the reload')
    await visit.page.unroute('**/invocations')
    await visit.say('hello')
    assert.equal(await visit.text(), 'Hello, world!')
    await visit.end()
  },

  /** A patch changes only the state and nothing else on the page. */
  async malformed_patches(browser) {
    const visit = await ScriptedChat.begin(browser)
    await visit.script()
    const inherited = () => visit.page.evaluate(() =>
      [Object, Array, String, Function].map(({ prototype }) => Reflect.ownKeys(prototype).length))
    const before = await inherited()
    const move = (from, path) => ({ op: 'move', from, path })
    const add = (path, value) => ({ op: 'add', path, value })
    const copy = (from, path) => ({ op: 'copy', from, path })
    const own = (value) => JSON.parse(`{"__proto__":${value}}`)
    for (const [state, patch, expected] of [
      [{}, [move('/__proto__', '/x'), add('/x/method', 'DELETE')], {}],
      [{}, [move('/constructor', '/x'), add('/x/prototype/method', 'DELETE')], {}],
      [{}, [copy('/constructor', '/x'), copy('/toString', '/y')], {}],
      [{}, [add('/__proto__/method', 'DELETE'), add('/constructor/prototype/method', 'DELETE')], {}],
      [{ l: [] }, [move('/l/__proto__', '/x'), add('/x/method', 'DELETE'), copy('/l/length', '/n')], { l: [] }],
      [{ s: 'text' }, [copy('/s/length', '/n'), add('/s/a', 1), copy('/s/0', '/n')], { s: 'text' }],
      [{}, [{ op: 'replace', path: '/__proto__', value: {} }, { op: 'remove', path: '/toString' }], {}],
      [{}, [add('/__proto__', { method: 'DELETE' })], own('{"method":"DELETE"}')],
      [own('1'), [{ op: 'replace', path: '/__proto__', value: 2 }, move('/__proto__', '/x')], { x: 2 }],
      [{ l: [1] }, [{ op: 'replace', path: '/l/4000000000', value: 1 }, add('/l/4000000000', 1), add('/l/length', 9)], { l: [1] }],
      [{ l: [1] }, ['1.5', '-1', '01', '1e0', ' 0', '', 'x'].map((key) => add(`/l/${key}`, 9)), { l: [1] }],
      [{ l: [1, 3] }, [add('/l/1', 2), add('/l/3', 4), add('/l/-', 5), { op: 'replace', path: '/l/0', value: 0 }], { l: [0, 2, 3, 4, 5] }],
      [{ l: [1, 2, 3] }, [move('/l/0', '/l/2'), { op: 'remove', path: '/l/0' }, { op: 'remove', path: '/l/7' }], { l: [3, 1] }],
      [{ a: { b: 1 } }, [move('/a', '/a/b'), move('', '/a'), move('/a', '/gone/x'), { op: 'remove', path: 'a' }], { a: { b: 1 } }],
      [{ 'a/b~': 1 }, [move('/a~1b~0', '/c'), copy('/c', '/d'), add('/e')], { c: 1, d: 1 }],
      [{ a: 1 }, [{ op: 'remove', path: '/gone' }, null, { op: 'replace', path: '/gone', value: 1 }, add('/b', 2)], { a: 1, b: 2 }],
    ]) {
      await visit.answered([snapshot(state), delta(...patch)])
      await visit.answered([])
      const what = JSON.stringify([state, patch])
      assert.equal(JSON.stringify(visit.request.state), JSON.stringify(expected), what)
      assert.deepEqual(await inherited(), before, what)
      assert.equal(await visit.page.evaluate(() => ({}).method), undefined, what)
    }
    // Each copy doubles the state.
    const doubling = Array.from({ length: 60 }, (_, at) => copy('', `/${at}`))
    await visit.answered([snapshot({ a: 1 }), ...doubling.map((operation) => delta(operation)), delta(...doubling)])
    await visit.answered([])
    assert.ok(JSON.stringify(visit.request.state).length < 5_000_000)
    // Agents refuse requests that are nested this deeply, so such a state would end the chat.
    const deeper = Array.from({ length: 20_000 }, () => [move('/a', '/b'), add('/a', {}), move('/b', '/a/b')]).flat()
    for (const items of [[snapshot({ a: 1 }), delta(...deeper)], [`{"type":"state_snapshot","state":${'['.repeat(150)}${']'.repeat(150)}}`]]) {
      await visit.button('New chat').click()
      await visit.answered(items)
      await visit.answered([])
      assert.equal(visit.request.state, undefined)
      await visit.reload()
      assert.equal(await visit.page.locator('.turn.agent').count(), 2, 'the chat is kept')
    }
    await visit.end()
  },

  /** Deeply nested JSON is shown as text of about the same length. */
  async malformed_nesting(browser) {
    const visit = await ScriptedChat.begin(browser)
    await visit.script()
    const nested = (levels) => '['.repeat(levels) + ']'.repeat(levels)
    for (const levels of [300, 100_000]) {
      for (const item of [nested(levels), `{"type":"interrupt","id":"i","reason":"r","response_schema":${nested(levels)}}`]) {
        assert.equal(await visit.answered([item]), item)
      }
    }
    const schema = '{"anyOf":['.repeat(50_000) + '{}' + ']}'.repeat(50_000)
    const event = `{"type":"interrupt","id":"i","reason":"r","response_schema":${schema}}`
    assert.equal(await visit.answered([event, text('.')]), `${event}.`)
    const lines = (await visit.answered([`{"a":${nested(150)}}`])).split('\n')
    assert.equal(Math.max(...lines.map((line) => line.search(/\S/))), 80, 'the indentation is limited')

    // A sent request that is nested too deeply is not indented when it is opened again.
    await visit.tab('Request').click()
    await visit.tab('JSON').click()
    await visit.json().fill(nested(100_000))
    await visit.page.keyboard.press('Control+Enter')
    await visit.status('200 OK')
    await visit.entries().first().click()
    assert.equal(await visit.json().inputValue(), nested(100_000))
    await visit.end()
  },
}
