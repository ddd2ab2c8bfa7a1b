// Shows one answer of a chat while it arrives.

/** The characters in a block of text: browsers lay out a short block quickly as text is added. */
const BLOCK_LENGTH = 8000;

/** A growing text, split into blocks, so that blocks outside the viewport are not laid out. */
class LongText {
  #last;
  #length = 0;
  shown = 0;

  constructor(className) {
    this.node = element('div', { className });
  }

  /** Shows what was added to the text since the last call. */
  update(text) {
    let rest = text.slice(this.shown);
    this.shown = text.length;
    while (rest) {
      if (!this.#last || this.#length >= BLOCK_LENGTH) {
        this.#last = document.createTextNode('');
        this.#length = 0;
        this.node.append(element('div', { className: 'block' }, this.#last));
      }
      const end = this.#cut(rest, BLOCK_LENGTH - this.#length);
      this.#last.appendData(rest.slice(0, end));
      this.#length = end < rest.length ? BLOCK_LENGTH : this.#length + end;
      rest = rest.slice(end);
    }
  }

  /** Returns where a block ends: after a line, else after a space, else after `room` characters. */
  #cut(text, room) {
    if (text.length <= room) return text.length;
    const end = text.lastIndexOf('\n', room) + 1 || text.lastIndexOf(' ', room) + 1 || room;
    // Never between the two halves of a surrogate pair.
    return /[\uD800-\uDBFF]/.test(text[end - 1]) ? end + 1 : end;
  }
}

/** The view of a `ChatAnswer`. `respond` is called with an interrupt that the user responded to. */
class AnswerView {
  #views = new Map();
  #foot = element('footer', { className: 'turn-foot' });
  #end = element('div');

  constructor(answer, respond) {
    this.answer = answer;
    this.respond = respond;
    this.parts = element('div', { className: 'parts' });
    this.node = element(
      'article',
      { className: 'turn agent' },
      element('h3', { className: 'hidden' }, 'Agent'),
      this.parts,
      this.#end,
      this.#foot,
    );
  }

  update(isRunning, isLast, actions = []) {
    const { answer } = this;
    const changed = [...answer.changed];
    answer.changed.clear();
    for (const part of changed) this.#show(part);
    this.node.classList.toggle('running', isRunning);
    this.node.setAttribute('aria-busy', isRunning);
    for (const [part, view] of this.#views) {
      if (part.type === 'interrupt') view.setOpen?.(isLast && !isRunning);
    }
    const { problem, hidden } = answer;
    this.#end.replaceChildren(
      ...(hidden ? [note(`${hidden} more items are not shown.`)] : []),
      ...(problem
        ? [
            element(
              'div',
              { className: problem.isCalm ? 'fault calm' : 'fault', role: 'alert' },
              element('strong', {}, problem.title),
              element('p', {}, problem.text.slice(0, MAX_SHOWN)),
            ),
          ]
        : !isRunning && !answer.parts.length
          ? [note('The agent answered nothing.')]
          : []),
    );
    if (isRunning) this.#foot.replaceChildren();
    else this.#foot.replaceChildren(element('span', {}, this.#figures()), ...actions);
  }

  /** Shows a part in its view, or as JSON if the view throws, so other parts are still shown. */
  #show(part) {
    let view = this.#views.get(part);
    try {
      if (!view) view = partView(part, this.respond);
      view.update?.(part);
    } catch {
      view?.node.remove();
      view = { node: jsonView(JSON.stringify(part)) };
    }
    if (view.node.parentNode !== this.parts) this.parts.append(view.node);
    this.#views.set(part, view);
  }

  #figures() {
    const { usage, finish, figures } = this.answer;
    return [
      figures && milliseconds(figures.total),
      figures?.first !== undefined && `first token ${milliseconds(figures.first)}`,
      usage && `${usage.input} tokens in, ${usage.output} out`,
      finish && finish !== 'stop' && `ended by ${finish.replaceAll('_', ' ')}`,
    ]
      .filter(Boolean)
      .join(' · ');
  }
}

const note = (text) => element('p', { className: 'note' }, text);

/** Returns the view of a part: its `node`, and `update(part)` if the part can change. */
function partView(part, respond) {
  switch (part.type) {
    case 'text': {
      const text = new LongText('prose');
      return { node: text.node, update: (part) => text.update(part.text) };
    }
    case 'reasoning': {
      const text = new LongText('prose');
      const node = fold('Reasoning', undefined, text.node);
      return { node, update: (part) => text.update(part.text) };
    }
    case 'tool':
      return toolView(part);
    case 'step':
      return { node: element('p', { className: 'step' }, part.name) };
    case 'source':
      return { node: sourceView(part) };
    case 'interrupt':
      return interruptView(part, respond);
    default:
      return part.name === undefined
        ? { node: jsonView(part.text) }
        : { node: lazyFold(part.name, short(part.text), () => [jsonView(part.text)]) };
  }
}

function fold(title, detail, ...children) {
  return element(
    'details',
    { className: 'fold' },
    element(
      'summary',
      {},
      element('span', { className: 'fold-title' }, title),
      element('span', { className: 'fold-detail' }, detail),
    ),
    ...children,
  );
}

/** Returns a fold whose content is created each time the fold is opened. */
function lazyFold(title, detail, content) {
  const node = fold(title, detail);
  const body = element('div', { className: 'fold-body' });
  node.addEventListener('toggle', () => {
    if (node.open) body.replaceChildren(...content());
  });
  node.append(body);
  return node;
}

function toolView(part) {
  const state = element('span', { className: 'tool-state' });
  const body = element('div', { className: 'fold-body' });
  const node = fold(part.name, undefined, body);
  node.classList.add('tool');
  const summary = node.querySelector('summary');
  const detail = node.querySelector('.fold-detail');
  summary.append(state);
  const fill = () => {
    if (!node.open) return;
    body.replaceChildren(
      element('h4', {}, 'Arguments'),
      jsonView(part.arguments || '(none)'),
      ...(part.result === undefined
        ? []
        : [element('h4', {}, part.isError ? 'Error' : 'Result'), valueView(part.result)]),
    );
  };
  node.addEventListener('toggle', fill);
  return {
    node,
    update() {
      const isDone = part.result !== undefined;
      detail.textContent = short(part.arguments);
      state.textContent = part.isError ? 'failed' : isDone ? 'done' : part.isComplete ? 'called' : '…';
      state.dataset.state = part.isError ? 'bad' : isDone ? 'good' : 'running';
      fill();
    },
  };
}

/** Returns the view of a source: a link if its URL is http or https, otherwise text. */
function sourceView({ url, title }) {
  const text = title || url;
  const isLink = /^https?:\/\//i.test(url);
  const link = isLink
    ? element('a', { href: url, target: '_blank', rel: 'noopener noreferrer' }, text)
    : element('span', {}, text);
  return element('p', { className: 'source' }, 'Source: ', link, isLink ? '' : ` (${url})`);
}

function short(text) {
  return text.length > 120 ? `${text.slice(0, 120)}…` : text;
}
