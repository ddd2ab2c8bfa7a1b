// The answer of an agent in a chat, assembled from its items.

/** The most parts that one answer keeps. Browsers slow down with more. */
const MAX_PARTS = 1000;

/**
 * An answer as a list of parts. They are plain data, in the order of their first item:
 *
 * { type: 'text'|'reasoning', text }
 * { type: 'tool', id, name, arguments, isComplete, result, isError }
 * { type: 'json', name, text }
 * { type: 'step', name }
 * { type: 'source', url, title }
 * { type: 'interrupt', id, reason, message, schema, response }
 *
 * `arguments`, `result` and `text` of `json` are JSON texts, so that no digit is lost.
 */
class ChatAnswer {
  parts = [];
  /** The parts that changed since the answer was shown. */
  changed = new Set();
  usage;
  finish;
  #state = new SharedState();
  problem;
  hidden = 0;

  /** The state that the agent shares, as JSON; undefined if there is none that can be sent back. */
  get stateText() {
    return this.#state.text;
  }

  /** Adds one item, a JSON text. An item that is not an event is shown as JSON. */
  add(item) {
    try {
      const event = eventOf(item);
      if (event) this.#event(event, item);
      else this.#part({ type: 'json', text: item });
    } catch {
      // An item that cannot be processed is shown as JSON; it does not end the chat.
      this.#part({ type: 'json', text: item });
    }
  }

  #event(event, item) {
    // Finding a value is the slowest step, so it is done for shown parts only.
    const isShown = this.parts.length < MAX_PARTS || event.type === 'tool_result';
    const value = (name) => (isShown && members(item).get(name)) || 'null';
    switch (event.type) {
      case 'text_delta':
        return this.#text('text', event.text);
      case 'reasoning_delta':
        return this.#text('reasoning', event.text);
      case 'tool_call_start':
        return this.#part({ type: 'tool', id: event.id, name: event.name, arguments: '' });
      case 'tool_call_arguments':
        return this.#tool(event.id, (tool) => (tool.arguments += event.delta));
      case 'tool_call_end':
        return this.#tool(event.id, (tool) => (tool.isComplete = true));
      case 'tool_result':
        return this.#tool(event.id, (tool) => {
          tool.result = value('result');
          tool.isError = event.is_error === true;
        });
      case 'state_snapshot':
        this.#state.set(event.state);
        return this.#part({ type: 'json', name: 'state', text: value('state') });
      case 'state_delta':
        this.#state.apply(event.patch);
        return this.#part({ type: 'json', name: 'state change', text: value('patch') });
      case 'data':
        return this.#part({ type: 'json', name: event.name, text: value('data') });
      case 'step_start':
        return this.#part({ type: 'step', name: event.name });
      case 'step_end':
        return undefined;
      case 'source':
        return this.#part({ type: 'source', url: event.url, title: event.title });
      case 'usage':
        this.usage ??= { input: 0, output: 0 };
        this.usage.input += event.input_tokens;
        this.usage.output += event.output_tokens;
        // The cost is optional.
        if (typeof event.cost === 'number') this.usage.cost = (this.usage.cost ?? 0) + event.cost;
        return undefined;
      case 'finish':
        this.finish = event.reason;
        return undefined;
      case 'interrupt':
        return this.#part({
          type: 'interrupt',
          id: event.id,
          reason: event.reason,
          message: event.message,
          schema: event.response_schema,
        });
    }
  }

  #text(type, text) {
    const last = this.parts.at(-1);
    if (last?.type !== type) {
      if (text) this.#part({ type, text });
      return;
    }
    last.text += text;
    this.changed.add(last);
  }

  #tool(id, change) {
    let tool = this.parts.findLast((part) => part.type === 'tool' && part.id === id);
    // There is no such call in this answer: the call may be in an earlier answer.
    tool ??= this.#part({ type: 'tool', id, name: id, arguments: '' });
    if (!tool) return;
    change(tool);
    this.changed.add(tool);
  }

  #part(part) {
    // An interrupt is always shown: the chat waits for it.
    if (this.parts.length >= MAX_PARTS && part.type !== 'interrupt') {
      this.hidden += 1;
      return undefined;
    }
    this.parts.push(part);
    this.changed.add(part);
    return part;
  }

  get interrupts() {
    return this.parts.filter((part) => part.type === 'interrupt');
  }

  /** Returns the answer as messages of a chat. A new message begins after the results of tools. */
  messages(withTools) {
    const all = [];
    let message, results;
    const flush = () => {
      if (message) all.push(message, ...results);
      message = undefined;
    };
    const current = () => {
      if (!message || results.length) {
        flush();
        message = { role: 'assistant', content: '' };
        results = [];
      }
      return message;
    };
    for (const part of this.parts) {
      if (part.type === 'text') {
        current().content += part.text;
      } else if (part.type === 'tool' && withTools) {
        const { id, name, result } = part;
        const caller = message?.tool_calls ? message : current();
        (caller.tool_calls ??= []).push({ id, name, arguments: part.arguments });
        if (result !== undefined) {
          const content = jsonType(result) === 'string' ? JSON.parse(result) : result;
          results.push({ role: 'tool', tool_call_id: id, content });
        }
      }
    }
    flush();
    return all;
  }

  /** Returns the answer as plain data, for the browser's storage. */
  saved() {
    const { parts, usage, finish, stateText, problem, hidden, figures } = this;
    return { parts, usage, finish, stateText, problem, hidden, figures };
  }

  static restored({ stateText, ...saved }) {
    const answer = Object.assign(new ChatAnswer(), saved);
    if (stateText !== undefined) answer.#state.set(JSON.parse(stateText));
    for (const part of answer.parts) answer.changed.add(part);
    return answer;
  }
}
