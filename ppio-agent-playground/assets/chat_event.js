// The events in the answer of a chat.

/** The members of each event type, with their types. Members with a `?` are optional. */
const EVENT_MEMBERS = {
  __proto__: null,
  text_delta: { text: 'string' },
  reasoning_delta: { text: 'string' },
  tool_call_start: { id: 'string', name: 'string' },
  tool_call_arguments: { id: 'string', delta: 'string' },
  tool_call_end: { id: 'string' },
  tool_result: { id: 'string', is_error: 'boolean?' },
  state_snapshot: {},
  state_delta: { patch: 'array' },
  data: { name: 'string' },
  step_start: { name: 'string' },
  step_end: { name: 'string' },
  source: { url: 'string', title: 'string?' },
  usage: { input_tokens: 'number', output_tokens: 'number' },
  finish: { reason: 'string' },
  interrupt: { id: 'string', reason: 'string', message: 'string?' },
};

/**
 * Returns the event in an item, which is a JSON text. Returns undefined if the item is not an
 * event, if a member has another type, or if the item is nested too deeply. The rest of the page
 * need not check events again.
 */
function eventOf(item) {
  let event;
  try {
    event = JSON.parse(item);
  } catch {
    return undefined;
  }
  if (typeof event === 'string') return { type: 'text_delta', text: event };
  if (!isObject(event) || typeof event.type !== 'string' || isDeeper(item, MAX_DEPTH)) return undefined;
  const known = EVENT_MEMBERS[event.type];
  const isEvent = known && Object.entries(known).every(([name, type]) => hasType(event[name], type));
  return isEvent ? event : undefined;
}

function hasType(value, type) {
  if (type.endsWith('?')) return value === undefined || value === null || hasType(value, type.slice(0, -1));
  return type === 'array' ? Array.isArray(value) : typeof value === type;
}
