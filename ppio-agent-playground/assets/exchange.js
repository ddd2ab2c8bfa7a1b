// Sends one request and reads its answer.

/** The most characters of an answer that the history keeps. */
const MAX_KEPT = 60_000;
/** How long a stream is read before control returns to the event loop, in milliseconds. */
const MAX_WORK = 20;

/**
 * A record of a request and its answer. It is plain data:
 *
 * { at, request, state: 'running'|'done'|'failed'|'cancelled', status, statusText, headers,
 *   isStream, raw, size, events: [{time, name, data}|{time, comment}], items, end, head, first,
 *   total, failure, isBroken }
 *
 * Times are milliseconds since the request was sent: `head` until the response headers, `first`
 * until the first item, or the first byte of a body that is not a stream. `end` is the data of the
 * event that ends a stream with ids; `isBroken` is set when the connection broke before the end.
 */
function newRecord(request) {
  return {
    id: `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 8)}`,
    at: Date.now(),
    start: performance.now(),
    request,
    state: 'running',
    headers: [],
    raw: '',
    size: 0,
    events: [],
    items: 0,
  };
}

/** Sends a request, and calls `changed` with its record after each chunk. Returns the record. */
async function sendRequest(request, headers, signal, changed) {
  const record = newRecord(request);
  changed(record);
  await readAnswer(record, 'invocations', { method: 'POST', headers, body: request }, signal, changed);
  return record;
}

/** Reads the items of a run that the record does not have yet. */
async function followRun(record, runId, headers, signal, changed) {
  const url = `invocations/${encodeURIComponent(runId)}/events?last_event_id=${record.items}`;
  Object.assign(record, { state: 'running', failure: undefined, isBroken: undefined });
  record.start ??= performance.now() - (record.total ?? 0);
  changed(record);
  await readAnswer(record, url, { headers }, signal, changed);
}

async function readAnswer(record, url, init, signal, show) {
  // An error of `show` must not count as a broken connection.
  const changed = () => {
    try {
      show(record);
    } catch (error) {
      reportError(error);
    }
  };
  const since = () => performance.now() - record.start;
  let isAnswered = false;
  try {
    const response = await fetch(url, { ...init, signal, cache: 'no-store' });
    isAnswered = true;
    record.head ??= since();
    record.status = response.status;
    record.statusText = response.statusText;
    record.headers = [...response.headers];
    record.isStream = (response.headers.get('content-type') ?? '').startsWith('text/event-stream');
    record.hasIds = response.headers.get('ppio-stream-ids') === 'true';
    changed();
    await readBody(response, record, since, changed);
    if (record.isStream && record.hasIds && record.end === undefined) {
      record.state = 'failed';
      record.isBroken = true;
      record.failure = 'The connection broke before the answer was complete.';
    } else {
      record.state = record.status < 400 && !streamError(record) ? 'done' : 'failed';
    }
  } catch (error) {
    record.state = signal.aborted ? 'cancelled' : 'failed';
    if (!signal.aborted) {
      record.isBroken = true;
      record.failure = isAnswered
        ? 'The connection broke before the answer was complete.'
        : 'The agent cannot be reached, or it closed the connection. ' +
          'What you typed is still here; send it again when the light is green.';
      if (error.name !== 'TypeError') record.failure = error.message;
    }
  }
  record.total = since();
  delete record.start;
  changed();
}

async function readBody(response, record, since, changed) {
  if (!response.body) return;
  const text = new TextDecoder();
  const events = new EventDecoder();
  const reader = response.body.getReader();
  let pausedAt = performance.now();
  for (;;) {
    if (performance.now() - pausedAt > MAX_WORK) {
      await (globalThis.scheduler?.yield?.() ?? new Promise((resolve) => setTimeout(resolve)));
      pausedAt = performance.now();
    }
    const { done, value } = await reader.read();
    const chunk = text.decode(value, { stream: !done });
    record.size += value?.length ?? 0;
    record.raw += chunk;
    if (!record.isStream && !done) record.first ??= since();
    if (record.isStream) {
      for (const block of events.push(chunk)) {
        const time = since();
        if (isEnd(record, block)) {
          record.end = block.data;
        } else if (block.data !== undefined) {
          record.first ??= time;
          record.items += 1;
        }
        record.events.push({ time, ...block });
      }
    }
    changed();
    if (done) return;
  }
}

/** Whether an event is the `end` event, which follows the last item in a stream with ids. */
function isEnd(record, { name }) {
  return record.hasIds && name === 'end';
}

/** Returns the format that the response headers name: 'envelope', 'value' or 'events'. */
function formatOf(record) {
  return headerOf(record, 'ppio-response-format');
}

function headerOf(record, wanted) {
  return record.headers.find(([name]) => name === wanted)?.[1];
}

/**
 * Returns the error in an event, or undefined. Where errors have their own event name, an item that
 * looks like an error is not one.
 */
function eventError(record, { name, data }) {
  if (data === undefined) return undefined;
  if (record.hasIds) {
    if (name !== 'end') return undefined;
    const { status, error, error_type: type } = objectOf(data);
    if (status === 'success') return undefined;
    return {
      error: textOf(error) ?? 'The agent did not complete this answer.',
      type: textOf(type) ?? textOf(status),
    };
  }
  if (formatOf(record) === 'events' && name !== 'error') return undefined;
  return errorItem(data);
}

/** Returns the `result` in the `end` event of a stream, as JSON; undefined if there is none. */
function resultOfEnd({ end }) {
  return end === undefined || jsonError(end) ? undefined : members(end).get('result');
}

/** Parses a JSON text and returns the object; an empty object if the text is anything else. */
function objectOf(text) {
  const value = jsonError(text) ? undefined : JSON.parse(text);
  return isObject(value) ? value : {};
}

/** Returns the error that ended a stream, or undefined. */
function streamError(record) {
  const last = record.events.findLast((event) => event.data !== undefined);
  return last && eventError(record, last);
}

/** Returns a copy of the record, cut to be small enough for the browser's storage. */
function truncated(record) {
  let room = MAX_KEPT;
  const events = [];
  for (const event of record.events) {
    room -= (event.data ?? event.comment).length + 40;
    if (room < 0) break;
    events.push(event);
  }
  const isCut = record.raw.length > MAX_KEPT || events.length < record.events.length;
  return { ...record, raw: record.raw.slice(0, MAX_KEPT), events, isCut: isCut || undefined };
}
