// One run, opened: its figures, its answer, its items with their times, and its request; through
// `agent dev` also its timeline and its log.

/**
 * The views of a run. `make(run)` creates the node of a view and the function that updates the node
 * while items arrive. Views with `isDev` are shown only if the page is served through `agent dev`.
 */
const RUN_VIEWS = [
  { value: 'answer', title: 'Answer', make: makeRunAnswer },
  { value: 'items', title: 'Items', make: makeRunItems },
  { value: 'timeline', title: 'Timeline', make: makeRunTimeline, isDev: true },
  { value: 'logs', title: 'Logs', make: makeRunLogs, isDev: true },
  { value: 'request', title: 'Request', make: makeRunRequest },
];

const RUN_STATES = {
  __proto__: null,
  running: 'running',
  success: 'good',
  error: 'bad',
  cancelled: 'warn',
  interrupted: 'warn',
};

class RunView {
  /** The state of the run, as the agent returns it. */
  run = {};
  /** Items as `{ data, time }`; the time is in milliseconds since the start, if it is known. */
  items = [];
  answer = new ChatAnswer();
  record = newRecord('');
  /** The text of the request, if it is known. */
  request;
  #controller = new AbortController();
  #frame;
  #next = 0;
  #actionNames;

  /** `actions(view)` returns the buttons of the page for this run. */
  constructor(id, actions) {
    this.id = id;
    this.actions = actions;
    this.views = RUN_VIEWS.filter((view) => isDev || !view.isDev);
    this.telemetry = new RunTelemetry(id, () => this.updateSoon());
    this.status = element('span', { className: 'status', 'data-state': 'running' }, 'loading');
    this.buttons = element('div', { className: 'buttons' });
    this.figures = element('dl', { className: 'figures' });
    this.tabList = element(
      'div',
      { className: 'tabs', role: 'tablist', 'aria-label': 'Views of the run' },
      ...this.views.map(({ value, title }) =>
        element('button', { type: 'button', role: 'tab', 'data-value': value }, title),
      ),
    );
    this.body = element('div', { className: 'run-body', role: 'tabpanel' });
    this.node = element(
      'section',
      { className: 'card run', 'aria-label': `Run ${id}` },
      element(
        'div',
        { className: 'head' },
        this.status,
        element('span', { className: 'id', title: id }, id),
        element('span', { className: 'grow' }),
        this.tabList,
      ),
      this.figures,
      this.body,
      element('div', { className: 'foot' }, this.buttons),
    );
    this.select = tabs(this.tabList, (value) => {
      store.write('run-view', value);
      this.show(value);
    });
    this.show(store.read('run-view', 'answer'));
    this.#follow();
  }

  show(value) {
    const view = this.views.find((view) => view.value === value) ?? this.views[0];
    this.select(view.value);
    this.body.setAttribute('aria-label', view.title);
    this.view = view.make(this);
    if (view.isDev) this.telemetry.start();
    else this.telemetry.stop();
    this.body.replaceChildren(this.view.node);
    this.updateSoon();
  }

  close() {
    this.telemetry.stop();
    this.#controller.abort();
  }

  async #follow() {
    const { signal } = this.#controller;
    try {
      await this.#readState(signal);
      const changed = (record) => this.#take(record);
      const deadline = performance.now() + RECONNECT_TIMEOUT;
      do {
        await followRun(this.record, this.id, runHeaders(), signal, changed);
        if (this.record.isBroken) await pause(RECONNECT_PAUSE, signal);
      } while (this.record.isBroken && !signal.aborted && performance.now() < deadline);
      await this.#readState(signal);
      if (this.run.response_status) await this.#readResponse(signal);
    } catch (error) {
      if (signal.aborted) return;
      this.problem = { title: error.title ?? 'No answer', text: error.message };
    }
    this.isRead = true;
    this.updateSoon();
  }

  async #readState(signal) {
    const response = await fetch(runUrl(this.id), {
      headers: runHeaders(),
      cache: 'no-store',
      signal,
    });
    const text = await response.text();
    if (!response.ok) {
      const { error, error_type: title } = objectOf(text);
      throw Object.assign(new Error(textOf(error) ?? text), { title: textOf(title) });
    }
    this.run = JSON.parse(text);
    const known = members(text);
    this.responseText = known.get('response');
    const inspection = members(known.get('inspection') ?? '{}');
    this.request =
      inspection.get('request') ??
      this.run.inspection?.request_text ??
      requestOfEntry(this.id);
    this.times = this.run.inspection?.item_times;
    this.items.forEach((item, index) => {
      item.time = this.#timeOf(index + 1) ?? item.time;
    });
    this.updateSoon();
  }

  /** Reads a response that the agent built itself; such a response has no items. */
  async #readResponse(signal) {
    const response = await fetch(`${runUrl(this.id)}/response`, { headers: runHeaders(), signal });
    this.answer.add(JSON.stringify(await response.text()));
  }

  /** Returns the recorded time of an item, if any: that of the last entry at or before the item. */
  #timeOf(number) {
    if (!this.times || number > this.run.items) return undefined;
    let low = 0;
    let high = this.times.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.times[middle][0] <= number) low = middle + 1;
      else high = middle;
    }
    return this.times[low - 1]?.[1];
  }

  #take(record) {
    const isLive = this.run.status === 'running';
    const now = Date.now() - Date.parse(this.run.started_at);
    for (; this.#next < record.events.length; this.#next++) {
      const event = record.events[this.#next];
      if (event.data === undefined || isEnd(record, event)) continue;
      const noted = this.#timeOf(this.items.length + 1);
      this.items.push({ data: event.data, time: noted ?? (isLive ? now : undefined) });
      this.answer.add(event.data);
    }
    this.updateSoon();
  }

  updateSoon() {
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = undefined;
      this.#update();
    });
  }

  #update() {
    const { run } = this;
    const status = run.status ?? (this.problem ? 'error' : 'running');
    this.status.dataset.state = RUN_STATES[status] ?? 'bad';
    this.status.textContent = run.status ?? (this.problem ? 'not found' : 'loading');
    const { usage } = this.answer;
    const cost = usage && (usage.cost ?? costOf(usage.input, usage.output));
    const figures = [
      ['started', run.started_at ? new Date(run.started_at).toLocaleTimeString([], { hour12: false }) : '–'],
      ['duration', runDuration(run)],
      ...(this.items[0]?.time === undefined ? [] : [['first item', wholeMilliseconds(this.items[0].time)]]),
      ['items', String(Math.max(run.items ?? 0, this.items.length))],
      ...(usage ? [['tokens', `${usage.input} in, ${usage.output} out`]] : []),
      ...(cost === undefined ? [] : [['cost', costText(cost)]]),
      ...(run.session_id ? [['session', run.session_id]] : []),
    ];
    this.figures.replaceChildren(
      ...figures.map(([name, value]) =>
        element('div', {}, element('dt', {}, name), element('dd', {}, value)),
      ),
    );
    this.#showActions();
    this.view.update();
  }

  /** Replaces the buttons only if their texts change: a click on a replaced button is lost. */
  #showActions() {
    const actions = this.actions(this);
    const names = actions.map(({ text }) => text).join();
    if (names === this.#actionNames) return;
    this.#actionNames = names;
    const hadFocus = this.buttons.contains(document.activeElement);
    this.buttons.replaceChildren(
      ...actions.map(({ text, className = 'quiet', onclick, pressed }) => {
        const button = element('button', { className, type: 'button', onclick }, text);
        if (pressed !== undefined) button.setAttribute('aria-pressed', String(pressed));
        return button;
      }),
    );
    if (hadFocus) this.buttons.lastElementChild?.focus();
  }

  /** The reason why the run failed or could not be read; undefined if there is none. */
  get fault() {
    if (this.problem) return this.problem;
    const { record, run } = this;
    if (record.status >= 400) return problemOf(record);
    if (record.end === undefined || run.status === 'running') return undefined;
    const problem = streamError(record);
    return problem && { title: problem.type ?? 'Error', text: problem.error, isCalm: run.status === 'cancelled' };
  }
}

/** Returns the duration of a run as a text; that of a running run is measured until now. */
function runDuration({ started_at: start, ended_at: end }) {
  if (!start) return '–';
  const time = (end ? Date.parse(end) : Date.now()) - Date.parse(start);
  return wholeMilliseconds(Math.max(0, time));
}

/** Formats a time that is known in whole milliseconds. */
function wholeMilliseconds(time) {
  return time < 10 ? `${Math.round(time)} ms` : milliseconds(time);
}

function runUrl(id) {
  return `invocations/${encodeURIComponent(id)}`;
}

/** Returns the headers that the user entered, since an agent may require a credential. */
function runHeaders() {
  try {
    const headers = typedHeaders();
    headers.delete('content-type');
    return headers;
  } catch {
    return new Headers();
  }
}

/** Creates the view of the answer, shown as in a chat. */
function makeRunAnswer(run) {
  const node = element('div', { className: 'run-scroll', tabIndex: 0 });
  let shown, view, isFinal;
  return {
    node,
    update() {
      if (shown !== run.answer) {
        shown = run.answer;
        for (const part of shown.parts) shown.changed.add(part);
        view = new AnswerView(shown);
        node.replaceChildren(view.node);
      }
      const isRunning = !run.isRead;
      if (!isRunning && !isFinal) {
        isFinal = true;
        addRunValue(run);
      }
      shown.problem = run.fault;
      view.update(isRunning, false);
    },
  };
}

/** Adds the result of a run without items to the answer: the `result` in the `end` event. */
function addRunValue(run) {
  const value = resultOfEnd(run.record);
  if (value === undefined || run.hasValue) return;
  run.hasValue = true;
  run.answer.add(value);
}

/** Creates the view of the items: a list in order of arrival, and the chosen item in full. */
function makeRunItems(run) {
  const whole = element('div', { className: 'item-whole', tabIndex: 0, role: 'region', 'aria-label': 'Item' });
  let chosen;
  const list = new VirtualList({
    label: 'Items',
    height: 28,
    follows: true,
    row: ({ data, time }, index) => [
      element('span', { className: 'number' }, String(index + 1)),
      element('span', { className: 'time' }, time === undefined ? '–' : wholeMilliseconds(time)),
      element('span', { className: 'what' }, data.slice(0, 300)),
    ],
    choose(item) {
      chosen = item;
      whole.replaceChildren(jsonView(item.data));
      whole.hidden = false;
    },
  });
  whole.hidden = true;
  const empty = note('No items.');
  const node = element('div', { className: 'run-items' }, list.node, empty, whole);
  return {
    node,
    update() {
      const isAtEnd = list.isAtEnd && !run.isRead && run.items.length > 0;
      list.set(run.items, chosen);
      if (isAtEnd) list.scrollToEnd();
      list.node.hidden = run.items.length === 0;
      empty.hidden = run.items.length > 0;
      empty.textContent = run.isRead ? 'This run has no items.' : 'No item yet.';
    },
  };
}

function makeRunRequest(run) {
  const node = element('div', { className: 'run-scroll', tabIndex: 0 });
  let shown;
  return {
    node,
    update() {
      if (shown === run.request && node.hasChildNodes()) return;
      shown = run.request;
      node.replaceChildren(
        shown === undefined
          ? note(
              'The request was not kept: use `agent dev` or PPIO_AGENT_INSPECT_RUNS=true.',
            )
          : jsonView(indentedOr(shown)),
      );
    },
  };
}
