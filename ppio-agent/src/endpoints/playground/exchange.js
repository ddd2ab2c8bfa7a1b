// One request and its answer.

/** What of an answer is kept in the history. */
const KEPT = 60_000;

/**
 * Sends a request and calls `changed` whenever the record of it has grown. The record is plain data:
 *
 * { at, request, state: 'running'|'done'|'failed'|'cancelled', status, statusText, headers, isStream,
 *   raw, size, events: [{time, name, data}|{time, comment}], items, head, first, total, fault }
 *
 * Times are milliseconds since the request was sent.
 */
async function exchange(request, headers, signal, changed) {
  const record = {
    id: `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 8)}`,
    at: Date.now(), request, state: 'running', headers: [], raw: '', size: 0, events: [], items: 0,
  };
  const start = performance.now();
  const since = () => performance.now() - start;
  record.start = start;
  changed(record);
  try {
    const response = await fetch('invocations', { method: 'POST', headers, body: request, signal, cache: 'no-store' });
    record.head = since();
    record.status = response.status;
    record.statusText = response.statusText;
    record.headers = [...response.headers];
    record.isStream = (response.headers.get('content-type') ?? '').startsWith('text/event-stream');
    changed(record);
    await read(response, record, since, changed);
    record.state = record.status < 400 && !streamError(record) ? 'done' : 'failed';
  } catch (error) {
    record.state = signal.aborted ? 'cancelled' : 'failed';
    if (!signal.aborted) {
      record.fault = record.status === undefined
        ? 'The agent cannot be reached, or it closed the connection. What you typed is still here; send it again when the light is green.'
        : 'The connection broke before the answer was complete.';
      if (error.name !== 'TypeError') record.fault = error.message;
    }
  }
  record.total = since();
  delete record.start;
  changed(record);
  return record;
}

async function read(response, record, since, changed) {
  if (!response.body) return;
  const text = new TextDecoder();
  const events = new EventDecoder();
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    const piece = text.decode(value, { stream: !done });
    record.size += value?.length ?? 0;
    record.raw += piece;
    if (!record.isStream && !done) record.first ??= since();
    if (record.isStream) {
      for (const block of events.push(piece)) {
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

/** The error item that ended a stream. */
function streamError(record) {
  const last = record.events.findLast((event) => event.data !== undefined);
  return last && errorItem(last.data);
}

/** The record in a size that the browser's store takes. */
function kept(record) {
  let room = KEPT;
  const events = [];
  for (const event of record.events) {
    room -= (event.data ?? event.comment).length + 40;
    if (room < 0) break;
    events.push(event);
  }
  const isCut = record.raw.length > KEPT || events.length < record.events.length;
  return { ...record, raw: record.raw.slice(0, KEPT), events, isCut: isCut || undefined };
}
