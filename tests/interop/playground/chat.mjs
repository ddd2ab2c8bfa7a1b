// The chat of the playground, with the agent `chatting-agent`.

import assert from 'node:assert/strict'

import { Visit, caller, until } from './visit.mjs'

/** A visit to the page of an agent that is shown as a chat. */
export class ChatVisit extends Visit {
  message = () => this.field('Message')
  answer = () => this.page.locator('.turn.agent').last()
  /** Returns all text of the last answer, including text that is out of sight or folded. */
  text = () => this.answer().evaluate((node) => node.querySelector('.parts').textContent)

  async send(text) {
    await this.message().fill(text)
    await this.page.keyboard.press('Enter')
  }

  async say(text) {
    await this.send(text)
    await this.ended()
  }

  /** Reloads the page and waits until the chat is restored. */
  async reload() {
    await super.reload()
    // The page shows the message field and restores the chat once it has loaded the schema.
    await this.message().waitFor()
  }

  ended() {
    return until(async () => (await this.answer().getAttribute('aria-busy')) === 'false', 'the answer ends')
  }

  /** Lets the agent echo a request, and returns that request. */
  async echo() {
    await this.say('echo')
    return this.unfolded('request')
  }

  /** Unfolds a part of the last answer and returns its JSON. */
  async unfolded(title) {
    await this.answer().locator('summary', { hasText: title }).click()
    const body = this.answer().locator('.fold-body')
    return JSON.parse(await until(() => body.innerText(), 'the fold is filled'))
  }

  async runs() {
    const answer = await this.page.evaluate(async () => (await fetch('invocations')).json())
    return answer.invocations
  }
}

export const chat = {
  /** Text, reasoning, a tool, its result, steps, tokens, and the conversation in each request. */
  async chat(browser) {
    const visit = await ChatVisit.begin(browser)
    await visit.message().waitFor()
    await visit.page.evaluate(() => {
      window.seen = new Set()
      const turns = document.getElementById('turns')
      const look = () => window.seen.add(turns.querySelector('.turn.agent .parts')?.textContent)
      new MutationObserver(look).observe(turns, { subtree: true, childList: true, characterData: true })
    })
    await visit.say('slow 4 400')
    assert.equal(await visit.text(), '1 2 3 4 ')
    const seen = await visit.page.evaluate(() => [...window.seen])
    const isPartial = (text) => text && text !== '1 2 3 4 ' && '1 2 3 4 '.startsWith(text)
    assert.ok(seen.some(isPartial), `words came one by one: ${JSON.stringify(seen)}`)

    await visit.say('weather in Paris')
    const answer = visit.answer()
    assert.equal(await answer.getByText('The user wants the weather.').isVisible(), false, 'reasoning is folded')
    await answer.getByText('Reasoning').click()
    assert.ok(await answer.getByText('The user wants the weather.').isVisible())
    const tool = answer.locator('.tool')
    assert.match(await tool.locator('summary').innerText(), /weather\s+\{"city":"Paris"\}\s+done/)
    await tool.locator('summary').click()
    const whole = /Arguments\s+\{"city": "Paris"\}\s+Result\s+\{"degrees": 20\}/
    await until(async () => whole.test(await tool.innerText()), 'arguments and result')
    assert.match(await answer.innerText(), /Let me look\.[^]*It is 20 degrees\.[^]*12 tokens in, 7 out · ended by length/)
    await visit.shot('chat')

    await visit.say('steps')
    assert.match(await visit.text(), /search.*Source: A page.*progress.*state.*Done\./)
    const source = visit.answer().getByRole('link', { name: 'A page' })
    assert.equal(await source.getAttribute('href'), 'https://example.com/a')

    await visit.say('value')
    assert.equal(await visit.text(), '{"answer": 42}')

    const request = await visit.echo()
    const thread = await visit.page.locator('#thread').innerText()
    assert.equal(`thread ${request.thread_id}`, thread)
    assert.equal(request.prompt, 'echo')
    assert.equal(request.stream, true)
    assert.deepEqual(request.state, { seen: ['A page'] })
    assert.deepEqual(request.messages.slice(0, 7), [
      { role: 'user', content: 'slow 4 400' },
      { role: 'assistant', content: '1 2 3 4 ' },
      { role: 'user', content: 'weather in Paris' },
      {
        role: 'assistant', content: 'Let me look. ',
        tool_calls: [{ id: 'c1', name: 'weather', arguments: '{"city":"Paris"}' }],
      },
      { role: 'tool', content: '{"degrees":20}', tool_call_id: 'c1' },
      { role: 'assistant', content: 'It is 20 degrees.' },
      { role: 'user', content: 'steps' },
    ])

    // Details shows the events of an answer, and the JSON tab the other fields of the request.
    await visit.answer().getByRole('button', { name: 'Details' }).click()
    assert.match(await visit.view(), /data\s+\{"type":"data","name":"request"/)
    await visit.tab('JSON').click()
    await visit.json().fill('{"user_id": "u1", "prompt": "not this one"}')
    await visit.tab('Chat').click()
    const { user_id: user, prompt } = await visit.echo()
    assert.deepEqual([user, prompt], ['u1', 'echo'])

    await visit.button('New chat').click()
    assert.equal(await visit.page.locator('.turn').count(), 0)
    const fresh = await visit.echo()
    assert.notEqual(fresh.thread_id, request.thread_id)
    assert.equal(fresh.messages.length, 1)
    await visit.end()
  },

  /** Interrupts are shown as forms, and their responses continue the chat. */
  async chat_interrupts(browser) {
    const visit = await ChatVisit.begin(browser)
    const decision = async () => {
      await until(async () => /Decided/.test(await visit.text()), 'the agent continues')
      await visit.ended()
      return visit.unfolded('decision')
    }
    const shown = visit.page.locator('#thread')
    const [, thread] = await until(async () => /^thread (.+)/.exec(await shown.innerText()), 'the thread is shown')
    const resolved = (id, payload) => ({ interrupt_id: id, status: 'resolved', payload })
    const cancelled = (id) => ({ interrupt_id: id, status: 'cancelled' })
    for (const [prompt, button, expected] of [
      ['approve', 'Approve', resolved('approve-1', { approved: true })],
      ['approve', 'Decline', resolved('approve-1', { approved: false })],
      ['decide', 'Approve', resolved('decide-1', { approved: true })],
      ['decide', 'Decline', cancelled('decide-1')],
      ['ask', 'Decline', cancelled('ask-1')],
    ]) {
      await visit.say(prompt)
      await visit.page.getByRole('button', { name: button, exact: true }).click()
      assert.deepEqual(await decision(), { resume: [expected], thread_id: thread })
      assert.equal(await visit.page.locator('.interrupt button').count(), 0, 'a response is given once')
    }

    // The form of the schema, filled in by keyboard after a reload.
    await visit.say('ask')
    await visit.reload()
    await visit.button('Submit').click()
    const nights = visit.field('nights')
    assert.equal(await nights.getAttribute('aria-invalid'), 'true')
    await visit.shot('chat-interrupt')
    await nights.fill('2')
    await visit.field('size').selectOption('large')
    await nights.press('Enter')
    await until(() => visit.message().evaluate((box) => box === document.activeElement), 'the focus is on the message')
    assert.deepEqual((await decision()).resume, [resolved('ask-1', { nights: 2, size: 'large' })])

    // Another message leaves an interrupt without a response.
    await visit.say('approve')
    await visit.say('hello')
    assert.match(await visit.page.locator('.interrupt').last().innerText(), /Not responded to/)
    assert.equal(await visit.button('Approve').count(), 0)
    await visit.end()
  },

  /** Failures show their reason, a failed message can be sent again, and stopping ends the run. */
  async chat_ends(browser) {
    const visit = await ChatVisit.begin(browser)
    const fault = () => visit.answer().locator('.fault').innerText()
    await visit.say('fail-first')
    assert.match(await fault(), /^ModelError\s+no such model$/)
    await visit.say('fail-later')
    assert.equal(await visit.text(), 'Hello, ')
    assert.match(await fault(), /^ModelError\s+the model went away$/)
    await visit.shot('chat-error')
    const turns = await visit.page.locator('.turn').count()
    await visit.button('Try again').click()
    await visit.ended()
    assert.match(await fault(), /the model went away/)
    assert.equal(await visit.page.locator('.turn').count(), turns, 'the new answer replaced the first answer')

    for (const stop of [() => visit.button('Stop').click(), () => visit.page.keyboard.press('Escape')]) {
      await visit.send('slow 1000 50')
      await until(async () => (await visit.text()).startsWith('1 2 '), 'the first words')
      await stop()
      await visit.ended()
      assert.match(await fault(), /^Cancelled/)
      await until(async () => (await visit.runs())[0].status === 'cancelled', 'the run is cancelled')
      assert.ok(await visit.button('Send').isVisible())
    }
    await visit.say('hello')
    assert.equal(await visit.text(), 'Hello, world!')

    // The agent is stopped in the middle of an answer, and cannot be reached for the next one.
    await visit.send('slow 10000 50')
    await until(async () => (await visit.text()).startsWith('1 2 '), 'the first words')
    await caller('stop')
    await visit.ended()
    assert.match(await fault(), /Cancelled|cancelled/)
    await visit.health('Restarting…')
    await visit.say('hello')
    assert.match(await fault(), /^No answer/)
    await caller('start chatting')
    await visit.health('Healthy')
    await visit.button('Try again').click()
    await until(async () => (await visit.text()) === 'Hello, world!', 'the answer')
    await visit.end()
  },

  /** A page that is reloaded in the middle of an answer resumes reading it. */
  async chat_reload(browser) {
    const visit = await ChatVisit.begin(browser)
    await visit.say('weather')
    await visit.send('slow 60 50')
    await until(async () => (await visit.text()).startsWith('1 2 '), 'the first words')
    await visit.reload()
    await visit.ended()
    const words = Array.from({ length: 60 }, (_, at) => `${at + 1} `).join('')
    assert.equal(await visit.text(), words)
    assert.equal(await visit.page.locator('.turn').count(), 4)
    const runs = await visit.runs()
    assert.deepEqual(runs.map(({ status }) => status), ['success', 'success'], 'the agent was called once')
    assert.match(await visit.page.locator('.turn.agent').first().innerText(), /It is 20 degrees[^]*12 tokens in/)

    // Reading is also resumed after a broken connection.
    await visit.page.route('**/invocations', async (route) => {
      const response = await route.fetch()
      const whole = await response.text()
      await route.fulfill({ response, body: whole.slice(0, whole.indexOf('id: 3')) })
    })
    await visit.say('many 5')
    assert.equal(await visit.text(), '1 2 3 4 5 ')
    await visit.end()
  },

  /** Everything that an agent sends is shown as text, and the page stays responsive. */
  async chat_hostile(browser) {
    const visit = await ChatVisit.begin(browser)
    await visit.say('markup')
    const markup = '<img src=x onerror=alert(1)><script>alert(1)</script>'
    for (const summary of await visit.answer().locator('summary').all()) await summary.click()
    const texts = (await visit.text()).split(markup).length - 1
    assert.ok(texts >= 10, `the markup is shown ${texts} times`)
    assert.equal(await visit.page.locator('#turns :is(img, script, a)').count(), 0)
    await visit.shot('chat-markup')
    await visit.message().fill(markup)
    await visit.page.keyboard.press('Enter')
    await visit.ended()
    assert.equal(await visit.page.locator('#turns :is(img, script)').count(), 0)

    const nodes = () => visit.answer().evaluate((turn) => turn.querySelectorAll('*').length)
    await visit.say('many 10000')
    assert.equal((await visit.text()).split(' ').length, 10_001)
    assert.ok((await nodes()) < 100, 'deltas are one text')
    await visit.say('long 1000000')
    assert.equal((await visit.text()).length, 1_000_000)
    assert.ok((await nodes()) < 1000, 'a long text is a few blocks')
    await visit.say('objects 100000')
    await visit.answer().getByText('99000 more items are not shown.').waitFor()
    assert.ok((await nodes()) < 10_000, 'the page shows a part')
    await visit.message().pressSequentially('still typing')
    assert.equal(await visit.message().inputValue(), 'still typing')
    await visit.reload()
    await visit.say('hello')
    assert.equal(await visit.text(), 'Hello, world!')
    await visit.end()
  },

  /** The light and dark schemes and small screens, by keyboard and touch. */
  async chat_looks(browser) {
    for (const colorScheme of ['light', 'dark']) {
      for (const width of [1360, 375]) {
        const isPhone = width < 800
        const options = { colorScheme, viewport: { width, height: 812 }, isMobile: isPhone, hasTouch: isPhone }
        const visit = await ChatVisit.begin(browser, options)
        await visit.say('weather')
        await visit.say('ask')
        await visit.isUsable(width, isPhone)
        const composer = await visit.page.locator('#composer').boundingBox()
        assert.ok(composer.y + composer.height <= 812, `the message box is in view, to ${composer.y + composer.height}`)
        await visit.shot(`chat-${colorScheme}-${width}`)
        await visit.end()
      }
    }
  },
}
