// Decodes an event stream (text/event-stream) that arrives in chunks.

/** A decoder. `push` takes a chunk and returns the events and comments that the chunk completes. */
class EventDecoder {
  #buffer = '';
  #endsWithReturn = false;
  #data = [];
  #name = '';

  push(text) {
    const blocks = [];
    // A long line arrives in many chunks, so a chunk that continues the line is only appended.
    const isContinuation = !this.#endsWithReturn && !/[\r\n]/.test(text);
    this.#buffer += text;
    if (isContinuation) return blocks;
    // A carriage return at the end of a chunk may be the first half of CRLF.
    const lines = this.#buffer.split(/\r\n|\n|\r(?!$)/);
    this.#buffer = lines.pop();
    this.#endsWithReturn = this.#buffer.endsWith('\r');
    for (const line of lines) {
      if (line === '') {
        if (this.#data.length)
          blocks.push({ name: this.#name || 'data', data: this.#data.join('\n') });
        this.#data = [];
        this.#name = '';
      } else if (line[0] === ':') {
        blocks.push({ comment: line.slice(1).trim() });
      } else {
        const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line);
        if (field === 'data') this.#data.push(value);
        if (field === 'event') this.#name = value;
      }
    }
    return blocks;
  }
}

/** Returns the error in the item that ends a failed stream; undefined for other items. */
function errorItem(data) {
  if (!data.startsWith('{') || jsonError(data)) return undefined;
  const { error, error_type: type, ...others } = JSON.parse(data);
  return typeof error === 'string' && Object.keys(others).every((key) => key === 'message')
    ? { error, type: textOf(type) }
    : undefined;
}
