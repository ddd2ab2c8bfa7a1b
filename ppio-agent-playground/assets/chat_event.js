// The events that an answer of a chat consists of.

/** The members of each type of event, with their types. Those with a `?` may be left out. */
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
 * The event that an item, a JSON text, is. Undefined for one that is no event, whose members have
 * other types, or that is nested too deeply: the rest of the page can rely on events.
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
