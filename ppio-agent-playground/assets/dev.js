// The traces and logs that `agent dev` records, and the cost of tokens.

/** Whether the page is served through `agent dev`, which adds the header `ppio-dev`. */
let isDev = false;

function noteDev(response) {
  isDev = response.headers.get('ppio-dev') === 'true';
}

/** The traces and the log of a run, polled between `start` and `stop`. */
class RunTelemetry {
  traces = [];
  logs = [];
  isRead = false;
  #text;
  #timer;

  /** `changed` is called when the traces or the log have changed, or could not be read. */
  constructor(id, changed) {
    this.id = id;
    this.changed = changed;
  }

  start() {
    if (this.#timer === undefined) this.#read();
  }

  stop() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  async #read() {
    const start = performance.now();
    // Set while `#load` runs, so that a call of `stop` is detected.
    const timer = (this.#timer = setTimeout(() => {}));
    if (!document.hidden) await this.#load();
    if (this.#timer !== timer) return;
    const pause = Math.max(RUNS_INTERVAL, (performance.now() - start) * RUNS_INTERVAL_FACTOR);
    this.#timer = setTimeout(() => this.#read(), pause);
  }

  async #load() {
    try {
      const response = await fetch(`_ppio/dev/runs/${encodeURIComponent(this.id)}`, { cache: 'no-store' });
      const text = await response.text();
      if (!response.ok) throw new Error(`status ${response.status}`);
      this.problem = undefined;
      if (text === this.#text) return;
      this.#text = text;
      ({ traces: this.traces, logs: this.logs } = JSON.parse(text));
    } catch (error) {
      this.problem = `The traces and logs cannot be read: ${error.message}`;
    }
    this.isRead = true;
    this.changed();
  }
}

// Functions that block

/** The functions that have blocked a thread, from the agent's description. */
let blocking = [];

/** Loads `blocking` from the agent's description. */
async function loadBlocking() {
  try {
    const response = await fetch('./', { headers: { accept: 'application/json' }, cache: 'no-store' });
    blocking = (await response.json()).blocking ?? [];
  } catch {
    // Not reachable: the status of the agent in the header shows this.
  }
}

/** Returns how often and for how long a function has blocked its thread, as a sentence. */
function blockingText({ function: name, count, seconds }) {
  const times = count === 1 ? 'once' : `${count} times`;
  return `${name.replaceAll('`', '')} blocks its thread, so that other requests wait: ${times}, ${milliseconds(seconds * 1000)} in all.`;
}

const BLOCKING_REMEDY = 'Use a plain fn, or tokio::task::spawn_blocking for the blocking call.';

/** The tasks and spans still open after a run has ended, by run id: `{ tasks, open_spans }`. */
let leftovers = new Map();

/** Loads `leftovers` from the log of `agent dev`. */
async function loadLeftovers() {
  if (!isDev) return;
  try {
    const response = await fetch('_ppio/dev/logs?target=ppio%3A%3Atasks', { cache: 'no-store' });
    const { logs } = await response.json();
    leftovers = new Map(logs.map(({ run_id: id, fields }) => [id, fields]));
  } catch {
    // Not reachable: the status of the agent in the header shows this.
  }
}

/** Returns the tasks and spans that a run left open, as a text; undefined if there are none. */
function leftoversText(id) {
  const { tasks = 0, open_spans: spans = '' } = leftovers.get(id) ?? {};
  const parts = [
    tasks && (tasks === 1 ? 'a task' : `${tasks} tasks`),
    spans && `the open ${spans.includes(',') ? 'spans' : 'span'} ${spans}`,
  ];
  return parts.filter(Boolean).join(' and ') || undefined;
}

// Cost

/** Returns the cost of tokens at the entered prices per million; undefined without a price. */
function costOf(input, output) {
  const prices = store.read('prices', {});
  const [priceIn, priceOut] = [prices.input, prices.output].map((text) => Number.parseFloat(text));
  if (Number.isNaN(priceIn) && Number.isNaN(priceOut)) return undefined;
  return ((priceIn || 0) * input + (priceOut || 0) * output) / 1e6;
}

/** Returns a cost as a text without a currency; the currency is that of the entered prices. */
function costText(cost) {
  return cost === 0 ? '0' : cost >= 100 ? cost.toFixed(2) : String(Number(cost.toPrecision(3)));
}
