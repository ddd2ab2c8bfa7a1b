// Tests a page that is reloaded in mid-answer, in a real browser: node pages.mjs URL PAGE
//
// This script bundles the pages. Their packages are loaded from the folder in
// PPIO_INTEROP_PROTOCOLS_NODE_MODULES, and playwright-core from PPIO_INTEROP_NODE_MODULES; the
// browser is PPIO_INTEROP_BROWSER. Exits non-zero, with a stack trace, on the first difference.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import path from 'node:path'
import process from 'node:process'

const [url, name] = process.argv.slice(2)
const modules = path.resolve(process.env.PPIO_INTEROP_PROTOCOLS_NODE_MODULES)
const load = (folder) => createRequire(path.join(path.resolve(folder), 'script.js'))
const { chromium } = load(process.env.PPIO_INTEROP_NODE_MODULES)('playwright-core')
const esbuild = load(modules)('esbuild')

/** The time limit for everything on the page, in milliseconds. */
const PAGE_TIMEOUT = 20_000

const { outputFiles } = await esbuild.build({
  entryPoints: [path.join(import.meta.dirname, 'pages', `${name}.jsx`)],
  nodePaths: [modules],
  bundle: true,
  write: false,
  jsx: 'automatic',
  define: { 'process.env.NODE_ENV': '"production"' },
})
const script = outputFiles[0].text
const html = '<!doctype html><meta charset="utf-8"><main></main><script src="/page.js"></script>'

/** Waits until the agent has dropped the work of an answer. */
async function isCancelled() {
  const deadline = Date.now() + PAGE_TIMEOUT
  for (;;) {
    const messages = [{ id: 'u', role: 'user', parts: [{ type: 'text', text: 'cancelled' }] }]
    const answer = await fetch(`${url}/api/chat`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ id: 'asks', messages }),
    })
    if ((await answer.text()).includes('"delta":"1"')) return
    assert.ok(Date.now() < deadline, 'the work continues')
  }
}

/** Waits until no answer is being written. */
async function isIdle() {
  const deadline = Date.now() + PAGE_TIMEOUT
  while ((await (await fetch(`${url}/ping`)).json()).status !== 'Healthy') {
    assert.ok(Date.now() < deadline, 'the work continues')
  }
}

const browser = await chromium.launch({
  executablePath: process.env.PPIO_INTEROP_BROWSER,
  args: ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
  // Without the browser's own sandbox, which does not work as root, and tests run as root.
  chromiumSandbox: false,
})
try {
  const context = await browser.newContext()
  context.setDefaultTimeout(PAGE_TIMEOUT)
  // The page has the agent's origin.
  await context.route(`${url}/page`, (route) => route.fulfill({ contentType: 'text/html', body: html }))
  await context.route(`${url}/page.js`, (route) => route.fulfill({ contentType: 'text/javascript', body: script }))
  const page = await context.newPage()
  const faults = []
  const answers = []
  page.on('pageerror', (error) => faults.push(error.stack))
  page.on('response', (response) => {
    const { pathname } = new URL(response.url())
    if (pathname.startsWith('/page')) return
    const request = response.request()
    answers.push({ request: `${request.method()} ${pathname}`, status: response.status(), headers: response.headers() })
  })
  const answer = () => page.locator('[data-role=assistant]')
  const status = () => page.locator('output')
  const say = async (prompt) => {
    await page.locator('input').fill(prompt)
    await page.locator('input').press('Enter')
  }
  const shows = (text) => page.waitForFunction(
    (text) => [...document.querySelectorAll('[data-role=assistant]')].at(-1)?.textContent.includes(text),
    text,
  )
  const isReady = () => page.waitForFunction(() => document.querySelector('output')?.textContent === 'ready')

  await page.goto(`${url}/page`)
  await isReady()
  await say('slow 40 50')
  await shows('2 ')
  assert.equal(await status().textContent(), 'streaming')
  answers.length = 0
  await page.reload()
  await shows('39 ')
  await isReady()
  const whole = Array.from({ length: 40 }, (_, number) => `${number} `).join('')
  assert.equal(await answer().count(), 1)
  assert.equal(await answer().textContent(), whole)
  if (name === 'use_chat') {
    assert.deepEqual(answers.map(({ request, status }) => [request, status]), [['GET /api/chat/page/stream', 200]])
    // A page that is loaded later finds no stream to resume.
    answers.length = 0
    await page.reload()
    await page.waitForResponse(`${url}/api/chat/page/stream`)
    await isReady()
    assert.deepEqual(answers.map(({ status }) => status), [204])
    assert.equal(await answer().textContent(), whole)
    // An answer that ends while the page is closed can be read once when the page is opened again.
    await say('slow 12 50')
    await shows('2 ')
    await page.goto('about:blank')
    await isIdle()
    answers.length = 0
    for (const status of [200, 204]) {
      const read = context.waitForEvent('response', (response) => response.url().endsWith('/stream'))
      await page.goto(`${url}/page`)
      assert.equal((await read).status(), status)
      await shows('11 ')
      await isReady()
      assert.equal(await answer().count(), 2)
      assert.equal(await answer().last().textContent(), whole.slice(0, whole.indexOf('12 ')))
    }
    assert.deepEqual(answers.map(({ request }) => request), ['GET /api/chat/page/stream', 'GET /api/chat/page/stream'])
    // Stopping a resumed stream ends the work.
    await say('hang')
    await shows('waiting')
    await page.reload()
    await page.waitForFunction(() => document.querySelector('output')?.textContent === 'streaming')
    await page.locator('button').click()
    await isReady()
    await isCancelled()
  } else {
    const [again, ...others] = answers
    assert.deepEqual([again.request, again.status, others], ['POST /ag-ui', 200, []])
    assert.equal(again.headers['ppio-idempotency'], 'replayed')
  }
  assert.deepEqual(faults, [])
} finally {
  await browser.close()
}
