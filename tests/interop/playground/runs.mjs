// The runs in the playground, with the agent `chatting-agent`.

import assert from 'node:assert/strict'

import { Visit, until } from './visit.mjs'

export class RunsVisit extends Visit {
  list = () => this.page.getByRole('listbox', { name: 'Runs' })
  rows = () => this.list().getByRole('option')
  panes = () => this.page.locator('.run')
  pane = (number = 0) => this.panes().nth(number)
  count = () => this.page.locator('#run-count').innerText()

  /** Starts several runs concurrently, as other programs do, and returns their ids. */
  start(prompts, headers = {}) {
    return this.page.evaluate(async ([prompts, headers]) => {
      const ids = []
      const left = prompts.map((prompt, at) => [prompt, at])
      const send = async () => {
        for (let next; (next = left.shift());) {
          const response = await fetch('invocations', {
            method: 'POST',
            headers: { 'content-type': 'application/json', ...headers },
            body: JSON.stringify({ prompt: next[0], stream: true }),
          })
          ids[next[1]] = response.headers.get('x-request-id')
          await response.arrayBuffer()
        }
      }
      await Promise.all(Array.from({ length: 16 }, send))
      return ids
    }, [prompts, headers])
  }

  /** Exports a trace and a log of a run, as a service would. */
  async export(run, spans, records) {
    const exported = await this.page.evaluate(async ([run, spans, records]) => {
      const time = BigInt(Date.now()) * 1_000_000n
      const at = (milliseconds) => String(time + BigInt(milliseconds) * 1_000_000n)
      const id = (number) => number.toString(16).padStart(16, '0')
      const traceId = 'ab'.repeat(16)
      const attributes = [{ key: 'ppio.request.id', value: { stringValue: run } }]
      const post = async (signal, body) => {
        const headers = { 'content-type': 'application/json' }
        const response = await fetch(`_ppio/dev/otlp/v1/${signal}`, { method: 'POST', headers, body: JSON.stringify(body) })
        return response.status
      }
      return [
        await post('traces', { resourceSpans: [{ scopeSpans: [{ spans: Array.from({ length: spans }, (_, number) => ({
          traceId, spanId: id(number + 1), parentSpanId: number ? id(Math.ceil(number / 4)) : '', name: `span ${number}`,
          startTimeUnixNano: at(number), endTimeUnixNano: at(number ? number + 5 : spans + 5), attributes: number ? [] : attributes,
        })) }] }] }),
        await post('logs', { resourceLogs: [{ scopeLogs: [{ logRecords: Array.from({ length: records }, (_, number) => ({
          traceId, timeUnixNano: at(number), severityNumber: 9, body: { stringValue: `line ${number}` },
        })) }] }] }),
      ]
    }, [run, spans, records])
    assert.deepEqual(exported, [200, 200])
  }

  async open(title) {
    await this.rows().filter({ hasText: title }).first().click()
    await until(async () => (await this.title()) !== 'loading', 'the run is read')
  }

  title = (number) => this.pane(number).locator('.status').innerText()

  show = (tab, number) => this.pane(number).getByRole('tab', { name: tab }).click()

  async shows(pattern, number) {
    await until(async () => pattern.test(await this.pane(number).innerText()), `the run shows ${pattern}`)
  }
}

export const runs = {
  /** The list, and a run's answer, items and request; a run is sent again, edited and compared. */
  async runs(browser) {
    const visit = await RunsVisit.begin(browser)
    // A caller without special headers, one in a session, a failure, and a value.
    await visit.start(['weather in Paris'])
    await visit.start(['hello'], { 'x-amzn-bedrock-agentcore-runtime-session-id': 'session-of-thirty-three-characters' })
    await visit.start(['fail-later'])
    await visit.start(['value'])
    await visit.tab('Runs').click()
    await until(async () => (await visit.rows().count()) === 4, 'four runs')
    assert.equal(await visit.count(), '4')
    const texts = await visit.rows().allInnerTexts()
    // Only `agent dev` has traces, and this agent runs without it.
    assert.equal(await visit.tab('Timeline').count(), 0)
    assert.match(texts[0], /^value\s+[\d:]+ · [\d.]+ m?s$/)
    assert.match(texts[1], /^fail-later\s+[\d:]+ · error · .* · 1 item$/)
    assert.match(texts[2], /^hello\s+.* · 3 items · 7 tokens · session session-of-/)
    assert.match(texts[3], /^weather in Paris\s+.* · 10 items · 19 tokens$/)

    await visit.open('weather')
    await visit.shows(/Reasoning\s+Let me look\.\s+weather[^]*done\s+It is 20 degrees\./)
    assert.match(await visit.pane().locator('.figures').innerText(), /duration[^]*first item[^]*items\s+10\s+tokens\s+12 in, 7 out/)
    await visit.show('Items')
    const items = visit.page.getByRole('listbox', { name: 'Items' })
    await until(async () => (await items.getByRole('option').count()) === 10, 'ten items')
    assert.match(await items.getByRole('option').first().innerText(), /^1\s+[\d.]+ m?s\s+\{"type":"reasoning_delta"/)
    await items.getByRole('option').nth(6).click()
    assert.match(await visit.page.getByRole('region', { name: 'Item' }).innerText(), /"degrees": 20/)
    await visit.shot('runs-items')
    await visit.show('Request')
    await visit.shows(/"prompt": "weather in Paris"/)

    await visit.show('Answer')
    await visit.open('value')
    await visit.shows(/\{"answer": 42\}/)
    await visit.open('fail-later')
    await visit.shows(/Hello,\s+ModelError\s+the model went away/)

    // The mouse is pressed before the list is reloaded, and released afterwards.
    const value = await visit.rows().filter({ hasText: 'value' }).boundingBox()
    await visit.page.mouse.move(value.x + 20, value.y + value.height / 2)
    await visit.page.mouse.down()
    for (let loads = 0; loads < 2; loads++) {
      await visit.page.waitForResponse((response) => response.url().includes('invocations?limit='))
    }
    await visit.page.mouse.up()
    await visit.shows(/\{"answer": 42\}/)

    // The list is filtered by state and by text.
    await visit.field('Filter by state').selectOption('error')
    await until(async () => (await visit.count()) === '1 of 4', 'one run has failed')
    await visit.field('Filter by state').selectOption('')
    await visit.field('Filter by text').fill('PARIS')
    await until(async () => (await visit.count()) === '1 of 4', 'one run contains Paris')
    await visit.field('Filter by text').fill('nothing like it')
    await visit.page.getByText('No run matches the filters.').waitFor()
    await visit.field('Filter by text').fill('')

    // A run is sent again and shown beside the first.
    await visit.open('weather')
    await visit.button('Compare').click()
    await visit.button('Send again').click()
    await until(async () => (await visit.panes().count()) === 2, 'two runs')
    await until(async () => (await visit.count()) === '5', 'a new run')
    for (const number of [0, 1]) await visit.shows(/It is 20 degrees/, number)
    const ids = await visit.page.locator('.run .id').allInnerTexts()
    assert.notEqual(ids[0], ids[1])
    assert.match(await visit.rows().first().innerText(), /^weather in Paris/)
    await visit.shot('runs-compared')
    await visit.reload()
    await until(async () => (await visit.panes().count()) === 2, 'two runs after a reload')
    for (const number of [0, 1]) await visit.shows(/It is 20 degrees/, number)
    await visit.button('Stop comparing').click()
    assert.equal(await visit.panes().count(), 1)

    // A run is edited in the form of the request.
    await visit.button('Edit and send').click()
    await visit.tab('JSON').click()
    assert.deepEqual(JSON.parse(await visit.json().inputValue()), { prompt: 'weather in Paris', stream: true })
    await visit.json().fill('{"prompt": "edited"}')
    await visit.button('Send').first().click()
    await visit.status('200 OK')
    await visit.tab('Runs').click()
    await until(async () => /^edited/.test(await visit.rows().first().innerText()), 'the edited run')

    // A run is opened from the chat, and then a run that does not exist.
    await visit.tab('Chat').click()
    await visit.field('Message').fill('hello from the chat')
    await visit.page.keyboard.press('Enter')
    await visit.button('Run').click()
    await visit.shows(/Hello, world!/)
    await visit.page.evaluate(() => sessionStorage.setItem('playground.runs', '{"opened": "gone"}'))
    await visit.page.reload()
    await visit.shows(/RunNotFound/)
    await visit.end()
  },

  /** A running run is read from its beginning, continues, and is cancelled. */
  async runs_running(browser) {
    const visit = await RunsVisit.begin(browser)
    await visit.start(['slow 2000 50'], { prefer: 'respond-async' })
    await visit.tab('Runs').click()
    await visit.open('slow')
    assert.equal(await visit.title(), 'running')
    await visit.shows(/1 2 3 4 /)
    await visit.show('Items')
    const last = () => visit.page.getByRole('listbox', { name: 'Items' }).getByRole('option').last().innerText()
    const number = async () => Number.parseInt(await last(), 10)
    const first = await until(number, 'an item')
    await until(async () => (await number()) > first + 60, 'the list follows the items')
    assert.match(await last(), /\d+\s+[\d.]+ m?s\s+/)
    // Another page reads the same run; closing that page does not end the run.
    const other = await visit.context.newPage()
    await other.goto(visit.page.url())
    await other.getByText('Busy', { exact: true }).waitFor()
    await other.close()
    assert.equal(await visit.title(), 'running')
    await visit.shot('runs-running')
    await visit.pane().getByRole('button', { name: 'Cancel' }).click()
    await until(async () => (await visit.title()) === 'cancelled', 'the run is cancelled')
    await visit.show('Answer')
    await visit.shows(/1 2 3 4 [^]*Cancelled/)
    assert.equal(await visit.pane().getByRole('button', { name: 'Cancel' }).count(), 0)
    await visit.end()
  },

  /** 5,000 runs, one of which has 100,000 items. */
  async runs_many(browser) {
    const visit = await RunsVisit.begin(browser)
    await visit.start(['the very first'])
    await visit.start(Array.from({ length: 4998 }, (_, at) => `number ${at}`))
    const [id] = await visit.start(['objects 100000'])
    await visit.tab('Runs').click()
    await until(async () => (await visit.count()) === '5000', 'all runs')
    const elements = () => visit.page.evaluate(() => document.querySelectorAll('*').length)
    assert.ok((await elements()) < 1500, `the page has ${await elements()} elements`)
    await visit.list().focus()
    await visit.page.keyboard.press('End')
    await until(async () => /the very first/.test(await visit.rows().last().innerText()), 'the oldest run')
    assert.equal(await visit.rows().last().getAttribute('aria-posinset'), '5000')
    await visit.page.keyboard.press('Enter')
    await visit.shows(/You said: the very first/)
    await visit.field('Filter by text').fill('number 2500')
    await until(async () => (await visit.rows().count()) === 1, 'one run')
    assert.equal(await visit.count(), '1 of 5000')
    // A key moves to the end of a list that has grown, even before its rows are rendered.
    await visit.page.evaluate(() => {
      const filter = document.querySelector('#run-filter')
      filter.value = ''
      filter.dispatchEvent(new Event('input'))
      document.querySelector('#run-list [role=listbox]').dispatchEvent(new KeyboardEvent('keydown', { key: 'End' }))
    })
    await until(async () => /the very first/.test(await visit.rows().last().innerText()), 'the oldest run again')
    await visit.field('Filter by text').fill('objects')
    await visit.open('objects')
    await visit.show('Items')
    const items = visit.page.getByRole('listbox', { name: 'Items' })
    await until(async () => (await items.getByRole('option').first().getAttribute('aria-setsize')) === '100000', 'all items')
    assert.match(await visit.pane().locator('.figures').innerText(), /items\s+100000/)
    await items.focus()
    await visit.page.keyboard.press('End')
    await until(async () => /^100000\s/.test(await items.getByRole('option').last().innerText()), 'the last item')
    assert.match(await visit.page.getByRole('region', { name: 'Item' }).innerText(), /"at": 100000/)
    await visit.page.keyboard.press('ArrowUp')
    await until(async () => /"at": 99999/.test(await visit.page.getByRole('region', { name: 'Item' }).innerText()), 'the item before the last')
    await visit.show('Answer')
    await visit.shows(/99000 more items are not shown/)
    assert.ok((await elements()) < 12_000, `the page has ${await elements()} elements`)
    assert.match(await visit.pane().locator('.id').innerText(), new RegExp(id))
    await visit.shot('runs-many')
    // A large trace and a long log.
    await visit.export(id, 6000, 12_000)
    await visit.show('Timeline')
    const spans = visit.page.getByRole('listbox', { name: 'Timeline' })
    await until(async () => (await spans.getByRole('option').count()) > 0, 'the spans')
    await spans.focus()
    await visit.page.keyboard.press('End')
    // The agent may have exported a span of the run as well.
    await until(async () => ['6000', '6001'].includes(await spans.getByRole('option').last().getAttribute('aria-posinset')), 'the last span')
    assert.match(await visit.page.getByRole('region', { name: 'Span' }).innerText(), /name\s+span \d{4}/)
    await visit.show('Logs')
    const log = visit.page.getByRole('listbox', { name: 'Log' })
    await until(async () => (await log.getByRole('option').count()) > 0, 'the log')
    await log.focus()
    await visit.page.keyboard.press('End')
    await until(async () => /line 11999/.test(await log.getByRole('option').last().innerText()), 'the last line')
    assert.ok((await elements()) < 1500, `the page has ${await elements()} elements`)
    await visit.end()
  },

  /** The light and dark schemes and small screens, by keyboard and touch. */
  async runs_looks(browser) {
    for (const colorScheme of ['light', 'dark']) {
      for (const width of [1360, 375]) {
        const isPhone = width < 800
        const options = { colorScheme, viewport: { width, height: 812 }, isMobile: isPhone, hasTouch: isPhone }
        const visit = await RunsVisit.begin(browser, options)
        await visit.start(['weather in Paris', 'fail-first', 'fail-later', 'hello', 'steps', 'value'])
        await visit.tab('Runs').click()
        // Rows move while the list grows.
        await until(async () => (await visit.rows().count()) >= 6, 'the runs')
        await visit.list().focus()
        await visit.page.keyboard.press('ArrowDown')
        await visit.page.keyboard.press('Enter')
        await until(async () => (await visit.panes().count()) === 1, 'a run by keyboard')
        await visit.open('weather')
        await visit.shows(/It is 20 degrees/)
        await visit.isUsable(width, isPhone)
        await visit.shot(`runs-${colorScheme}-${width}`)
        await visit.show('Items')
        await visit.shot(`runs-items-${colorScheme}-${width}`)
        await visit.end()
      }
    }
  },
}
