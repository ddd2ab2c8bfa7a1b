// Tests the playground page in a real browser: node playground.mjs SCENARIO URL SCREENSHOTS
//
// playwright-core is loaded from the folder in PPIO_INTEROP_NODE_MODULES. PPIO_INTEROP_BROWSER is
// the path of the browser. Actions that only the caller can perform are requested with a line on
// standard output, and the caller answers with a line on standard input. Exits non-zero, with a
// stack trace, on the first difference.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import path from 'node:path'
import process from 'node:process'

import { chat } from './playground/chat.mjs'
import { malformed } from './playground/malformed.mjs'
import { runs } from './playground/runs.mjs'
import { traces } from './playground/traces.mjs'
import { Visit, caller, until } from './playground/visit.mjs'

const [scenario] = process.argv.slice(2)
const load = createRequire(path.join(path.resolve(process.env.PPIO_INTEROP_NODE_MODULES), 'script.js'))
const { chromium } = load('playwright-core')

const scenarios = {
  ...chat,
  ...malformed,
  ...runs,
  ...traces,

  /** Shows a value from an agent that accepts any JSON. */
  async value(browser) {
    const visit = await Visit.begin(browser)
    assert.equal(await visit.json().inputValue(), '{"prompt": ""}')
    assert.equal(await visit.tab('Form').isVisible(), false, 'an agent that accepts any JSON has no form')
    await visit.json().fill('{"prompt": "Ada"}')
    await visit.button('Send').click()
    await visit.status('200 OK')
    assert.equal(await visit.view(), '{"message": "Hello, Ada!"}')
    assert.match(await visit.figure('total'), /^[\d.]+ m?s$/)
    assert.match(await visit.figure('first byte'), /^[\d.]+ m?s$/)
    assert.match(await visit.page.locator('#request-id').innerText(), /^request [0-9a-f-]{36}$/)

    await visit.tab('Headers').click()
    assert.match(await visit.view(), /content-type\s+application\/json/)
    await visit.tab('Raw').click()
    assert.deepEqual(JSON.parse(await visit.view()).result, { message: 'Hello, Ada!' })
    await visit.tab('Events').click()
    assert.match(await visit.view(), /not a stream/)
    await visit.tab('Answer').click()
    assert.equal(await visit.view(), '{"message": "Hello, Ada!"}')
    await visit.shot('value')
    await visit.end()
  },

  /** A stream is shown item by item as it arrives. */
  async stream(browser) {
    const visit = await Visit.begin(browser)
    await visit.field('prompt').fill('one two three four five')
    await visit.field('pause').fill('250')
    // Records everything that the page shows before the end.
    await visit.page.evaluate(() => {
      window.seen = []
      const view = document.getElementById('view')
      const note = () => window.seen.push([document.getElementById('status').textContent, view.innerText.trim()])
      new MutationObserver(note).observe(view, { subtree: true, childList: true, characterData: true })
    })
    await visit.button('Send').click()
    await visit.status('200 OK')
    assert.equal(await visit.view(), 'one two three four five ')
    const whole = 'one two three four five'
    const seen = await visit.page.evaluate(() => window.seen)
    const partial = seen.filter(([status, text]) => status === 'streaming' && text && text !== whole && whole.startsWith(text))
    assert.ok(new Set(partial.map(([, text]) => text)).size >= 2, `words came one by one: ${JSON.stringify(seen)}`)
    assert.equal(await visit.figure('items'), '5')
    const milliseconds = (text) => parseFloat(text) * (text.endsWith(' ms') ? 1 : 1000)
    const [first, total] = [await visit.figure('first token'), await visit.figure('total')].map(milliseconds)
    assert.ok(first >= 250 && total >= 1250 && first < total, `${first}, ${total}`)

    await visit.tab('Events').click()
    const rows = (await visit.view()).trim().split('\n')
    assert.equal(rows.length, 5)
    assert.match(rows[0], /data\s+"one "$/)
    await visit.shot('stream-events')

    // Items other than texts are shown separately.
    await visit.tab('Answer').click()
    await visit.field('style').selectOption('fancy')
    await visit.field('pause').fill('0')
    await visit.button('Send').click()
    await until(async () => (await visit.figure('items')) === '5' && (await visit.view()).includes('"index": 4'), 'five objects')
    assert.match(await visit.view(), /^\{"index": 0, "word": "one "\}/)
    await visit.end()
  },

  /** Cancelling with the button or with Escape ends the agent's work. */
  async cancel(browser) {
    const visit = await Visit.begin(browser)
    await visit.field('prompt').fill('again ')
    await visit.field('times').fill('250')
    await visit.field('pause').fill('50')
    const ways = [() => visit.button('Cancel').click(), () => visit.page.keyboard.press('Escape')]
    for (const [index, cancel] of ways.entries()) {
      await visit.button('Send').click()
      await visit.status('streaming')
      await until(async () => (await visit.view()).includes('again'), 'a first word')
      assert.equal(await visit.button('Send').isVisible(), false)
      await cancel()
      await visit.status('cancelled')
      await caller(`cut short ${index + 1}`)
      assert.match(await visit.view(), /again[^]*Cancelled/)
      assert.ok(await visit.button('Send').isVisible())
    }
    await visit.shot('cancelled')
    await visit.end()
  },

  /** Errors are shown, and every answer is shown as text only. */
  async errors(browser) {
    const visit = await Visit.begin(browser)
    await visit.button('Send').click()
    await visit.status('400 Bad Request')
    assert.match(await visit.view(), /^NoPrompt\s+the prompt is empty$/)

    await visit.field('prompt').fill('one two three')
    await visit.field('fail_at').fill('2')
    await visit.button('Send').click()
    await visit.status('failed midway')
    assert.match(await visit.view(), /^one two\s+AgentError\s+the story failed$/)
    await visit.shot('failed-midway')

    await visit.tab('JSON').click()
    await visit.json().fill('{"promt": "typo"}')
    await visit.button('Send').click()
    await visit.status('422 Unprocessable Entity')
    assert.match(await visit.view(), /^ValidationError\s+.*missing field `prompt`/)
    await visit.json().fill('{"prompt":')
    assert.match(await visit.page.locator('#json-hint').innerText(), /^Not JSON/)
    await visit.button('Send').click()
    await visit.status('400 Bad Request')
    assert.match(await visit.view(), /^InvalidJson\s+.*line 1 column 10/)

    // Markup is shown as text in an answer, an item, an error, the history and the events.
    const markup = '<img src=x onerror=alert(1)><script>alert(1)</script>'
    for (const style of ['plain', 'fancy']) {
      await visit.json().fill(JSON.stringify({ prompt: markup, loud: false, style }))
      await visit.button('Send').click()
      await until(async () => (await visit.view()).includes('<script>'), 'the markup')
      for (const tab of ['Events', 'Raw', 'Answer']) {
        await visit.tab(tab).click()
        await until(async () => (await visit.view()).includes('onerror=alert'), 'the markup as text')
        assert.equal(await visit.page.locator('#view :is(img, script), #past :is(img, script)').count(), 0)
      }
    }
    const refused = await visit.page.evaluate(() => {
      try {
        document.body.innerHTML = '<b>x</b>'
      } catch (error) {
        return error.name
      }
    })
    assert.equal(refused, 'TypeError', 'the policy forbids markup from strings')
    // The browser reports the violation on the console.
    visit.faults = visit.faults.filter((fault) => !fault.includes('TrustedHTML'))

    // An invalid header is not sent; a valid header reaches the agent.
    await visit.page.getByText('Headers', { exact: true }).first().click()
    await visit.field('Headers to send, one per line').fill('no header')
    await visit.button('Send').click()
    assert.match(await visit.page.locator('#headers-hint').innerText(), /is not a header/)
    await visit.field('Headers to send, one per line').fill('x-request-id: from-the-page')
    await visit.button('Send').click()
    await visit.page.getByText('request from-the-page').waitFor()
    await visit.end()
  },

  /** The form writes JSON and JSON fills the form, without loss in either direction. */
  async form(browser) {
    const visit = await Visit.begin(browser)
    const labels = await visit.page.locator('#panel-form label').allInnerTexts()
    const names = labels.map((label) => label.split(/\s/)[0])
    assert.deepEqual(names, ['prompt', 'times', 'pause', 'style', 'loud', 'fail_at', 'author', 'name', 'born', 'tags'])
    assert.equal(await visit.field('name').isVisible(), false, 'the author is optional')

    await visit.field('prompt').fill('say "hi"')
    await visit.field('pause').fill('9007199254740993')
    await visit.field('loud').check()
    await visit.field('style').selectOption('fancy')
    await visit.page.getByLabel('author').check()
    await visit.field('name').fill('Ada')
    await visit.field('born').fill('1815')
    await visit.field('tags').fill('["a", "b"]')
    await visit.tab('JSON').click()
    const text = await visit.json().inputValue()
    assert.match(text, /"pause": 9007199254740993,/, 'no digit is lost')
    const { pause, ...rest } = JSON.parse(text)
    assert.deepEqual(rest, {
      prompt: 'say "hi"', style: 'fancy', loud: true, author: { name: 'Ada', born: 1815 }, tags: ['a', 'b'],
    })

    await visit.json().fill('{"prompt": "back", "loud": false, "times": 2, "author": {"name": "Bo", "born": -5}}')
    await visit.tab('Form').click()
    assert.equal(await visit.field('prompt').inputValue(), 'back')
    assert.equal(await visit.field('times').inputValue(), '2')
    assert.equal(await visit.field('born').inputValue(), '-5')
    assert.equal(await visit.field('loud').isChecked(), false)
    assert.equal(await visit.field('pause').inputValue(), '', 'the field of a missing member is empty')
    await visit.button('Send').click()
    await visit.status('200 OK')
    assert.equal((await visit.view()).trim(), 'Bo (-5): back back')

    // JSON that does not fit the form stays as it is, and the page shows the reason.
    await visit.tab('JSON').click()
    for (const [json, why] of [
      ['{"prompt": "x", "loud": true, "colour": 1}', /no field for “colour”/],
      ['{"prompt": 7}', /“prompt” takes text, not 7/],
      ['{"prompt": ', /not JSON/],
    ]) {
      await visit.json().fill(json)
      await visit.tab('Form').click()
      assert.match(await visit.page.locator('#mismatch').innerText(), why)
      assert.equal(await visit.json().inputValue(), json)
    }

    // A form with an invalid field is not sent, and the field gets the focus.
    await visit.json().fill('{"prompt": "x", "loud": true, "author": {"name": "", "born": 1}}')
    await visit.tab('Form').click()
    await visit.field('born').fill('soon')
    const sent = await visit.entries().count()
    await visit.page.keyboard.press('Control+Enter')
    assert.equal(await visit.field('born').getAttribute('aria-invalid'), 'true')
    assert.ok(await visit.field('born').evaluate((input) => input === document.activeElement))
    await visit.field('born').fill('1')
    assert.equal(await visit.field('born').getAttribute('aria-invalid'), null)
    assert.equal(await visit.entries().count(), sent)
    await visit.end()
  },

  /** Sent requests are kept in the browser. */
  async history(browser) {
    const visit = await Visit.begin(browser)
    for (const prompt of ['the first', 'the second']) {
      await visit.field('prompt').fill(prompt)
      await visit.button('Send').click()
      await visit.page.getByRole('button', { name: new RegExp(`^${prompt}, 200 OK`) }).waitFor()
    }
    await visit.field('prompt').fill('not sent yet')
    await visit.page.reload()
    await until(async () => (await visit.field('prompt').inputValue()) === 'not sent yet', 'the typed text is kept')
    assert.equal(await visit.entries().count(), 2)
    assert.match(await visit.entries().first().innerText(), /the second/)

    await visit.entries().last().click()
    assert.equal(await visit.field('prompt').inputValue(), 'the first')
    await visit.status('200 OK')
    await until(async () => (await visit.view()).trim() === 'the first', 'the old answer')
    assert.equal(await visit.figure('items'), '2')
    await visit.shot('history')

    await visit.button('Forget the second').click()
    assert.equal(await visit.entries().count(), 1)
    await visit.button('Clear').click()
    assert.equal(await visit.entries().count(), 0)
    await visit.reload()
    assert.equal(await visit.entries().count(), 0)

    // Text that is typed before the schema is loaded is kept.
    let load
    const isAllowed = new Promise((resolve) => { load = resolve })
    await visit.page.route(visit.page.url(), async (route) => {
      if (route.request().resourceType() === 'fetch') await isAllowed
      await route.continue()
    })
    await visit.page.reload()
    await visit.json().fill('{"prompt": "typed early", "loud": true}')
    load()
    await visit.tab('Form').waitFor()
    assert.equal(await visit.json().inputValue(), '{"prompt": "typed early", "loud": true}')
    await visit.end()
  },

  /** Everything works without a mouse, and the focus is always visible. */
  async keyboard(browser) {
    const visit = await Visit.begin(browser)
    const { keyboard } = visit.page
    const focused = () => visit.page.evaluate(() => {
      const { id, tagName, textContent } = document.activeElement
      const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement)
      const name = document.querySelector(`label[for="${id}"]`)?.textContent ?? textContent.trim()
      return { tagName, id, name, isSeen: outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2 }
    })
    const tabTo = async (what) => {
      for (let i = 0; i < 30; i++) {
        await keyboard.press('Tab')
        const now = await focused()
        assert.ok(now.isSeen, `the focus is seen on ${JSON.stringify(now)}`)
        if (what(now)) return now
      }
      assert.fail(`Tab does not reach ${what}`)
    }
    await tabTo(({ name }) => name === 'prompt')
    await keyboard.type('typed by hand')
    await tabTo(({ name }) => name === 'loud')
    await keyboard.press('Space')
    await keyboard.press('Control+Enter')
    await visit.status('200 OK')
    assert.equal((await visit.view()).trim(), 'TYPED BY HAND')
    assert.match(await visit.page.locator('#announce').innerText(), /^200 OK, .*, 3 items$/)

    await tabTo(({ id }) => id === 'tab-answer')
    await keyboard.press('ArrowRight')
    assert.equal((await focused()).id, 'tab-events')
    assert.match(await visit.view(), /data\s+"TYPED "/)
    await keyboard.press('End')
    assert.equal((await focused()).id, 'tab-raw')
    await keyboard.press('Tab')
    assert.equal((await focused()).id, 'view')

    // The focus moves between Send and Cancel.
    await visit.field('pause').fill('50')
    await visit.field('times').fill('200')
    await visit.button('Send').focus()
    await keyboard.press('Enter')
    await visit.status('streaming')
    assert.equal((await focused()).id, 'cancel')
    await keyboard.press('Escape')
    await visit.status('cancelled')
    assert.equal((await focused()).id, 'send')

    // Every control has an accessible name.
    const nameless = await visit.page.evaluate(() =>
      [...document.querySelectorAll('button, input, select, textarea')]
        .filter((control) => !(control.labels?.length || control.getAttribute('aria-label') || control.textContent.trim()))
        .map((control) => control.outerHTML))
    assert.deepEqual(nameless, [])
    await visit.end()
  },

  /** The page survives restarts of the agent, even if the new agent takes other requests. */
  async restart(browser) {
    const visit = await Visit.begin(browser)
    await visit.field('prompt').fill('kept')
    await visit.field('times').fill('2')
    await caller('stop')
    await visit.health('Restarting…')
    assert.equal(await visit.page.locator('#health').getAttribute('data-state'), 'restarting')
    await visit.button('Send').click()
    await visit.status('no answer')
    assert.match(await visit.view(), /cannot be reached/)
    assert.equal(await visit.field('prompt').inputValue(), 'kept')
    await visit.shot('restarting')
    await caller('start storyteller')
    await visit.health('Healthy')
    assert.equal(await visit.field('prompt').inputValue(), 'kept')
    await visit.button('Send').click()
    await visit.status('200 OK')
    assert.equal((await visit.view()).trim(), 'kept kept')

    // The agent is replaced by `hello`, which takes any JSON, and then by `storyteller` again. The
    // page detects a new agent by the interruption, or by the second in which the agent started; it
    // cannot distinguish two agents that start in the same second.
    await caller('stop')
    await visit.health('Restarting…')
    await caller('start hello')
    await until(async () => !(await visit.tab('Form').isVisible()), 'the form is gone')
    assert.deepEqual(JSON.parse(await visit.json().inputValue()), { prompt: 'kept', times: 2, loud: false })
    await visit.button('Send').click()
    await until(async () => (await visit.view()) === '{"message": "Hello, kept!"}', 'the answer of the other agent')
    await caller('stop')
    await visit.health('Restarting…')
    await caller('start storyteller')
    await until(() => visit.tab('Form').isVisible(), 'the form is back')
    await visit.tab('Form').click()
    assert.equal(await visit.field('prompt').inputValue(), 'kept')
    assert.equal(await visit.field('times').inputValue(), '2')
    await visit.end()
  },

  /** Shows every state of the health light, in colour and words. */
  async health(browser) {
    const visit = await Visit.begin(browser)
    const light = visit.page.locator('#health')
    const colours = new Set()
    for (const [status, body, text, state] of [
      [200, { status: 'Healthy' }, 'Healthy', 'healthy'],
      [200, { status: 'HealthyBusy', message: 'indexing' }, 'Busy', 'busy'],
      [500, { status: 'HealthyBusy', message: 'no database' }, 'Unhealthy', 'unhealthy'],
      [503, { error: 'error[E0425]: cannot find value `x`' }, 'Restarting…', 'restarting'],
    ]) {
      await visit.page.route('**/ping', (route) => route.fulfill({ status, json: body }))
      await visit.health(text)
      assert.equal(await light.getAttribute('data-state'), state)
      colours.add(await light.locator('.light').evaluate((node) => getComputedStyle(node).backgroundColor))
      if (status !== 503) assert.equal(await light.getAttribute('title'), body.message ?? '')
      else assert.equal(await visit.page.locator('#notice').innerText(), body.error)
      await visit.page.unroute('**/ping')
    }
    assert.equal(colours.size, 3, 'green, amber and red')
    await visit.shot('notice')
    await visit.health('Healthy')
    assert.equal(await visit.page.locator('#notice').isVisible(), false)
    await visit.end()
  },

  /** The light and dark schemes and small screens, with screenshots. */
  async looks(browser) {
    const fill = async (visit) => {
      await visit.field('prompt').fill('Once upon a time there was a small program that wanted to talk.')
      await visit.button('Send').click()
      await visit.status('200 OK')
    }
    const brightness = (visit) => visit.page.evaluate(() => {
      const [red, green, blue] = getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number)
      return (red + green + blue) / 3
    })
    for (const colorScheme of ['light', 'dark']) {
      const visit = await Visit.begin(browser, { colorScheme })
      await fill(visit)
      assert.equal(await brightness(visit) < 128, colorScheme === 'dark')
      await visit.shot(`desktop-${colorScheme}`)
      // The button overrides the system's scheme, and the choice is remembered.
      const button = visit.button(/^Colours/)
      await button.click()
      if (colorScheme === 'light') await button.click()
      assert.equal(await brightness(visit) < 128, colorScheme !== 'dark')
      await visit.reload()
      assert.equal(await brightness(visit) < 128, colorScheme !== 'dark')
      await visit.end()
    }
    for (const width of [320, 390]) {
      const visit = await Visit.begin(browser, { viewport: { width, height: 844 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 })
      await visit.shot(`phone-${width}`)
      await fill(visit)
      assert.equal(await visit.page.evaluate(() => document.documentElement.scrollWidth), width, 'nothing overflows')
      const answer = await visit.page.locator('#answer-card').boundingBox()
      assert.ok(answer.y < 422, `the answer came into view, at ${answer.y}`)
      const low = await visit.page.evaluate(() => [...document.querySelectorAll('button')]
        .filter((button) => button.offsetParent && button.getBoundingClientRect().height < 34).map((button) => button.id))
      assert.deepEqual(low, [], 'every button is high enough for a finger')
      await visit.shot(`phone-${width}-answer`)
      await visit.end()
    }
  },
}

const browser = await chromium.launch({
  executablePath: process.env.PPIO_INTEROP_BROWSER,
  args: ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
  // The browser's own sandbox does not work as root, and the tests may run as root.
  chromiumSandbox: false,
})
try {
  await scenarios[scenario](browser)
} finally {
  await browser.close()
}
process.exit(0)
