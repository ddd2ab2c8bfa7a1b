// The timeline and the log of a run, through `agent dev`, with the agents of the telemetry tests.

import assert from 'node:assert/strict'

import { RunsVisit } from './runs.mjs'
import { caller, until } from './visit.mjs'

class TracesVisit extends RunsVisit {
  spans = () => this.page.getByRole('listbox', { name: 'Timeline' }).getByRole('option')
  log = () => this.page.getByRole('listbox', { name: 'Log' }).getByRole('option')
  span = () => this.page.getByRole('region', { name: 'Span' }).innerText()
  row = () => this.rows().first().innerText()

  /** Returns the rows of the timeline, once there are `count` of them. */
  async timeline(count) {
    await until(async () => (await this.spans().count()) === count, `${count} spans`)
    const texts = await this.spans().allInnerTexts()
    return texts.map((text) => text.replaceAll(/\s+/g, ' ').trim())
  }
}

export const traces = {
  /** Nested spans, their attributes by keyboard, the log, and the cost of tokens. */
  async runs_traced(browser) {
    const visit = await TracesVisit.begin(browser)
    await visit.start(['chat'])
    await visit.start(['log'])
    await visit.tab('Runs').click()
    await visit.open('chat')
    await visit.show('Timeline')
    const time = '[\\d.]+ (µs|m?s)'
    const rows = await visit.timeline(6)
    for (const [at, text] of ['agent telemetry-tests', 'step plan', 'model chat', 'tool weather', 'tool broken error', 'model chat'].entries())
      assert.match(rows[at], new RegExp(`^${text} ${time}$`))
    // Each span is below its parent, and within the parent's bar.
    const indents = await visit.page.locator('.span-name').evaluateAll((names) => names.map((name) => Number.parseFloat(name.style.paddingLeft)))
    assert.deepEqual(indents, [0, 14, 28, 28, 14, 14])
    const bars = await visit.page.locator('.span-bar').evaluateAll((all) => all.map((bar) => [Number.parseFloat(bar.style.left), Number.parseFloat(bar.style.width)]))
    assert.deepEqual(bars[0], [0, 100])
    for (const [left, width] of bars) assert.ok(left >= 0 && left + width <= 100.001, JSON.stringify(bars))
    // The spans are selected by keyboard.
    await visit.page.getByRole('listbox', { name: 'Timeline' }).focus()
    await visit.page.keyboard.press('End')
    await until(async () => /gen_ai.usage.input_tokens\s+200/.test(await visit.span()), 'the attributes of the last span')
    await visit.page.keyboard.press('ArrowUp')
    await until(async () => /status\s+error[^]*gen_ai.tool.name\s+broken/.test(await visit.span()), 'the span above')
    await visit.shot('traces-timeline')

    // Only the log of this run, filtered by level.
    await visit.open('log')
    assert.deepEqual((await visit.timeline(1)).length, 1)
    await visit.show('Logs')
    await until(async () => (await visit.log().count()) >= 1, 'a log line')
    assert.match(await visit.log().first().innerText(), /^[\d:]+\.\d{3}\s+info\s+traced_agent: in the agent answer=42$/)
    await visit.log().first().click()
    assert.match(await visit.page.getByRole('region', { name: 'Log line' }).innerText(), /"answer": 42/)
    await visit.shot('traces-log')
    await visit.field('Level').selectOption('warn')
    await visit.page.getByText('No line matches.').waitFor()
    assert.match(await visit.pane().innerText(), /0 of \d lines/)
    await visit.field('Level').selectOption('trace')

    // The cost at the entered prices, which are kept after a reload.
    assert.doesNotMatch(await visit.rows().nth(1).innerText(), /cost/)
    await visit.page.getByText('Prices').click()
    await visit.field('A million input tokens').fill('1')
    await visit.field('A million output tokens').fill('10')
    await until(async () => /327 tokens · cost 0.00057/.test(await visit.rows().nth(1).innerText()), 'a cost')
    await visit.reload()
    await until(async () => /cost 0.00057/.test(await visit.rows().nth(1).innerText()), 'a cost after a reload')
    await visit.open('chat')
    await visit.shows(/tokens\s+300 in, 27 out\s+cost\s+0.00057/)

    // A restart removes the runs of the agent, but not the traces.
    await caller('restart')
    await visit.health('Healthy')
    await visit.start(['fail'])
    await until(async () => (await visit.count()) === '1', 'the run of the new agent')
    await visit.open('fail')
    await visit.show('Timeline')
    assert.match((await visit.timeline(1))[0], /^agent telemetry-tests error /)
    await visit.end()
  },

  /** The light and dark schemes and small screens. */
  async runs_traced_looks(browser) {
    for (const colorScheme of ['light', 'dark']) {
      for (const width of [1360, 375]) {
        const isPhone = width < 800
        const options = { colorScheme, viewport: { width, height: 812 }, isMobile: isPhone, hasTouch: isPhone, reducedMotion: 'reduce' }
        const visit = await TracesVisit.begin(browser, options)
        await visit.start(['chat'])
        await visit.start(['log'])
        await visit.tab('Runs').click()
        await until(async () => (await visit.rows().count()) >= 2, 'the runs')
        await visit.open('chat')
        await visit.show('Timeline')
        await visit.timeline(6)
        await visit.isUsable(width, isPhone)
        await visit.shot(`traces-${colorScheme}-${width}`)
        await visit.spans().nth(4).click()
        await until(async () => /broken/.test(await visit.span()), 'a span')
        await visit.isUsable(width, isPhone)
        await visit.shot(`traces-span-${colorScheme}-${width}`)
        await visit.open('log')
        await visit.show('Logs')
        await until(async () => (await visit.log().count()) >= 1, 'the log')
        await visit.isUsable(width, isPhone)
        await visit.shot(`traces-log-${colorScheme}-${width}`)
        await visit.page.getByText('Prices').click()
        await visit.isUsable(width, isPhone)
        await visit.shot(`traces-prices-${colorScheme}-${width}`)
        await visit.end()
      }
    }
  },

  /** A slow agent: the list names the function that blocks, and opens the run. */
  async walk_slow(browser) {
    const visit = await TracesVisit.begin(browser)
    await visit.tab('Runs').click()
    await visit.start(['a document'])
    await visit.page.getByText(/summarize.* blocks its thread, so that other requests wait: once, 1\.\d+ s in all/).first().waitFor()
    await visit.button('Open the first blocking run').click()
    await visit.show('Timeline')
    assert.match((await visit.timeline(2))[1], /^span read 1\.\d+ s$/)
    await visit.shows(/blocks its thread[^]*spawn_blocking/)
    await visit.shot('walk-slow')
    await visit.show('Logs')
    await until(async () => /warn\s+.*summarize.* blocks the thread/.test(await visit.log().first().innerText()), 'the line')
    await visit.end()
  },

  /** A tool that fails. */
  async walk_broken_tool(browser) {
    const visit = await TracesVisit.begin(browser)
    await visit.start(['Rome'])
    await visit.tab('Runs').click()
    await visit.open('Rome')
    await visit.show('Timeline')
    const rows = await visit.timeline(6)
    const failed = rows.findIndex((row) => / error /.test(row))
    assert.match(rows[failed], /^tool trains error /)
    await visit.spans().nth(failed).click()
    await until(async () => /error\.type\s+tool_error/.test(await visit.span()), 'the error type')
    await visit.shot('walk-tool')
    await visit.show('Logs')
    await until(async () => /warn\s+.*no station in \\"Rome\\"/.test(await visit.log().first().innerText()), 'the reason')
    await visit.end()
  },

  /** Two tasks that outlive the answer: one that ends and one that does not. */
  async walk_leaking(browser) {
    const visit = await TracesVisit.begin(browser)
    await visit.tab('Runs').click()
    await visit.start(['index'])
    await visit.open('index')
    await visit.show('Timeline')
    const rows = await visit.timeline(2)
    assert.match(rows[1], /^span index continued 2\.\d+ s$/)
    await visit.shows(/A span continued after the answer: index\./)
    await visit.shot('walk-leak-ended')
    await visit.start(['watch'])
    await until(async () => /^watch\s[^]*leaves something behind/.test(await visit.row()), 'what the run leaves behind')
    await visit.open('watch')
    await visit.shows(/This run left a task and the open span watch_prices behind\./)
    await visit.shot('walk-leak')
    await visit.end()
  },
}
