// Sends one request and reads its answer.

/** How much of an answer the history keeps, in characters. */
const MAX_KEPT = 60_000;

/**
 * Sends a request, and calls `changed` with its record after each chunk. The record is plain data:
 *
 * { at, request, state: 'running'|'done'|'failed'|'cancelled', status, statusText, headers,
 *   isStream, raw, size, events: [{time, name, data}|{time, comment}], items, head, first, total,
 *   failure }
 *
 * Times are milliseconds since the request was sent: `head` until the headers, `first` until the
 * first item, or byte of a body that is not a stream.
 */
async function sendRequest(request, headers, signal, changed) {
  const record = {
    id: `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 8)}`,
    at: Date.now(),
    request,
    state: 'running',
    headers: [],
    raw: '',
    size: 0,
    events: [],
    items: 0,
  };
  const start = performance.now();
  const since = () => performance.now() - start;
  record.start = start;
  changed(record);
  try {
    const response = await fetch('invocations', {
      method: 'POST',
      headers,
      body: request,
      signal,
      cache: 'no-store',
    });
    record.head = since();
    record.status = response.status;
    record.statusText = response.statusText;
    record.headers = [...response.headers];
    record.isStream = (response.headers.get('content-type') ?? '').startsWith('text/event-stream');
    changed(record);
    await readBody(response, record, since, changed);
    record.state = record.status < 400 && !streamError(record) ? 'done' : 'failed';
  } catch (error) {
    record.state = signal.aborted ? 'cancelled' : 'failed';
    if (!signal.aborted) {
      record.failure =
        record.status === undefined
          ? 'The agent cannot be reached, or it closed the connection. ' +
            'What you typed is still here; send it again when the light is green.'
          : 'The connection broke before the answer was complete.';
      if (error.name !== 'TypeError') record.failure = error.message;
    }
  }
  record.total = since();
  delete record.start;
  changed(record);
  return record;
}

async function readBody(response, record, since, changed) {
  if (!response.body) return;
  const text = new TextDecoder();
  const events = new EventDecoder();
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    const chunk = text.decode(value, { stream: !done });
    record.size += value?.length ?? 0;
    record.raw += chunk;
    if (!record.isStream && !done) record.first ??= since();
    if (record.isStream) {
      for (const block of events.push(chunk)) {
        const time = since();
        if (block.data !== undefined) {
          record.first ??= time;
          record.items += 1;
        }
        record.events.push({ time, ...block });
      }
    }
    changed(record);
    if (done) return;
  }
}

/** What the answer says that it is: 'envelope', 'value' or 'events'. */
function formatOf(record) {
  return record.headers.find(([name]) => name === 'ppio-response-format')?.[1];
}

/** The error that an event is, or undefined. An item may look like an error where those have a name. */
function eventError(record, { name, data }) {
  if (data === undefined) return undefined;
  if (formatOf(record) === 'events' && name !== 'error') return undefined;
  return errorItem(data);
}

/** The error that ended a stream. */
function streamError(record) {
  const last = record.events.findLast((event) => event.data !== undefined);
  return last && eventError(record, last);
}

/** A copy of the record that is small enough for the browser's storage. */
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
