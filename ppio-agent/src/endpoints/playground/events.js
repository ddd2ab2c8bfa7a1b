// An event stream, read piece by piece.

/** Takes text as it comes and returns the blocks that it completes: events and comments. */
class EventDecoder {
  #rest = '';
  #data = [];
  #name = '';

  push(text) {
    const blocks = [];
    this.#rest += text;
    // A carriage return at the end may be half of a line end.
    const lines = this.#rest.split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop();
    for (const line of lines) {
      if (line === '') {
        if (this.#data.length) blocks.push({ name: this.#name || 'data', data: this.#data.join('\n') });
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

/** The error that ends a stream, where this item is one. */
function errorItem(data) {
  if (!data.startsWith('{') || fault(data)) return undefined;
  const { error, error_type: type, ...others } = JSON.parse(data);
  return typeof error === 'string' && Object.keys(others).every((key) => key === 'message') ? { error, type } : undefined;
}
