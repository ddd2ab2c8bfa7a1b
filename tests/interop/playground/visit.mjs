// A page of the playground in a browser, and the helpers that its scenarios share.

import assert from 'node:assert/strict'
import path from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'

const [, url, screenshots] = process.argv.slice(2)

/** The time limit for everything on the page, in milliseconds. */
const PAGE_TIMEOUT = 20_000

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]()

/** Requests an action from the caller and waits until it is done. */
export async function caller(request) {
  console.log(request)
  const { value } = await answers.next()
  assert.equal(value, 'done', request)
}

export async function until(condition, what) {
  const deadline = Date.now() + PAGE_TIMEOUT
  let last
  while (Date.now() < deadline) {
    last = await condition()
    if (last) return last
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  assert.fail(`not in time: ${what} (at the end: ${JSON.stringify(last)})`)
}

/** The playground page in a new browser profile, and the faults that occurred on the page. */
export class Visit {
  static async begin(browser, options = {}) {
    const visit = new this()
    visit.faults = []
    visit.context = await browser.newContext({ viewport: { width: 1360, height: 860 }, ...options })
    visit.context.setDefaultTimeout(PAGE_TIMEOUT)
    visit.context.on('request', (request) => {
      const target = request.url()
      if (!target.startsWith(url) && !target.startsWith('data:')) visit.faults.push(`a request to ${target}`)
    })
    visit.page = await visit.context.newPage()
    visit.page.on('pageerror', (error) => visit.faults.push(error.stack))
    visit.page.on('console', (message) => {
      // The browser itself logs statuses of 400 and above, and refused connections.
      const isNetwork = message.text().startsWith('Failed to load resource')
      if (['error', 'warning'].includes(message.type()) && !isNetwork) visit.faults.push(message.text())
    })
    await visit.page.goto(url)
    await visit.loaded()
    return visit
  }

  async reload() {
    await this.page.reload()
    await this.loaded()
  }

  /** Waits until the agent is healthy and the page has loaded the schema of requests. */
  async loaded() {
    await this.health('Healthy')
    await this.page.waitForFunction(() => document.querySelector('#panel-form > *') || document.querySelector('#json').value)
  }

  /** Checks that nothing overflows, that buttons suit touch, and that controls have names. */
  async isUsable(width, isPhone) {
    assert.equal(await this.page.evaluate(() => document.documentElement.scrollWidth), width, 'nothing overflows')
    if (isPhone) {
      const low = await this.page.evaluate(() => [...document.querySelectorAll('button')]
        .filter((button) => button.offsetParent && button.getBoundingClientRect().height < 34)
        .map((button) => button.id || button.textContent))
      assert.deepEqual(low, [], 'every button is high enough for a finger')
    }
    const nameless = await this.page.evaluate(() =>
      [...document.querySelectorAll('button, input, select, textarea')]
        .filter((control) => !(control.labels?.length || control.getAttribute('aria-label') || control.textContent.trim()))
        .map((control) => control.outerHTML))
    assert.deepEqual(nameless, [], 'every control has a name')
  }

  async end() {
    assert.deepEqual(this.faults, [])
    await this.context.close()
  }

  field = (name) => this.page.getByLabel(name, { exact: true })
  button = (name) => this.page.getByRole('button', { name })
  tab = (name) => this.page.getByRole('tab', { name, exact: true })
  json = () => this.field('The request as JSON')
  entries = () => this.page.locator('#past .entry')
  view = () => this.page.locator('#view').innerText()

  health(text) {
    return this.page.locator('#health-text').getByText(text, { exact: true }).waitFor()
  }

  async status(text) {
    const status = this.page.locator('#status')
    await until(async () => (await status.innerText()) === text, `the status is “${text}”`)
  }

  async shot(name) {
    await this.page.screenshot({ path: path.join(screenshots, `${name}.png`) })
  }

  /** Returns the text of a figure above the answer. */
  figure(name) {
    return this.page.locator('#figures div', { has: this.page.getByText(name, { exact: true }) }).locator('dd').innerText()
  }
}
