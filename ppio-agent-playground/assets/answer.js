// Shows an answer: one that is arriving, or one from the history.

/** The most rows that a list shows. Browsers slow down with more. */
const MAX_ROWS = 1000;

let currentTab = 'answer';
let shownRecord;
/** What the current tab already shows of the record, so that a chunk only appends to it. */
let rendered;

const selectView = tabs($('views'), (value) => {
  currentTab = value;
  selectView(value);
  $('view').setAttribute('aria-labelledby', `tab-${value}`);
  rendered = undefined;
  render();
});
selectView(currentTab);

let pendingFrame;
/** Shows a record at the next frame, so that a fast stream renders at most once per frame. */
function show(record) {
  if (record?.id !== shownRecord?.id) rendered = undefined;
  shownRecord = record;
  pendingFrame ??= requestAnimationFrame(() => {
    pendingFrame = undefined;
    render();
  });
}

function render() {
  renderHead();
  const box = $('view');
  const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
  if (!shownRecord) {
    const key = (text) => element('kbd', {}, text);
    box.replaceChildren(
      element(
        'div',
        { className: 'blank' },
        element('strong', {}, 'Nothing sent yet'),
        element('span', {}, key(SEND_KEY), ' sends from anywhere, ', key('Esc'), ' cancels'),
      ),
    );
    return;
  }
  const renderers = {
    answer: renderAnswer,
    events: renderEvents,
    headers: renderHeaders,
    raw: renderRaw,
  };
  if (!rendered) box.replaceChildren();
  rendered ??= {};
  renderers[currentTab](box, shownRecord);
  if (shownRecord.state === 'running' && atEnd) box.scrollTop = box.scrollHeight;
}

function renderHead() {
  const record = shownRecord;
  $('status').hidden = $('figures').hidden = $('answer-foot').hidden = !record;
  if (!record) return;
  const [state, text] = summary(record);
  $('status').dataset.state = state;
  $('status').textContent = text;
  const elapsed = record.total ?? performance.now() - record.start;
  const figures = [
    [
      record.isStream ? 'first token' : 'first byte',
      record.first === undefined ? '–' : milliseconds(record.first),
    ],
    ['total', milliseconds(elapsed)],
    ...(record.isStream ? [['items', String(record.items)]] : []),
    ['size', bytes(record.size)],
  ];
  const list = $('figures');
  if (list.children.length !== figures.length) {
    list.replaceChildren(...figures.map(() => element('div', {}, element('dt'), element('dd'))));
  }
  figures.forEach(([name, value], index) => {
    const [dt, dd] = list.children[index].children;
    dt.textContent = name;
    dd.textContent = value;
  });
  const id = record.headers.find(([name]) => name === 'x-request-id')?.[1];
  $('request-id').textContent = id ? `request ${id}` : '';
  $('request-id').title = id ?? '';
}

/** Returns the state of a record, as a pair of the style and the text. */
function summary(record) {
  const status = record.status && `${record.status} ${record.statusText}`.trim();
  if (record.state === 'running') return ['running', record.isStream ? 'streaming' : 'waiting'];
  if (record.state === 'cancelled') return ['warn', 'cancelled'];
  if (record.failure) return ['bad', record.status ? 'broken off' : 'no answer'];
  if (streamError(record)) return ['bad', 'failed midway'];
  return [record.state === 'done' ? 'good' : 'bad', status];
}

function renderAnswer(box, record) {
  if (record.isStream) renderItems(box, record);
  if (record.state === 'running' || rendered.isFinal) return;
  rendered.isFinal = true;
  if (record.isStream) rendered.live?.classList.remove('live');
  else if (record.raw && record.status < 400) box.append(valueView(resultText(record)));
  const problem = problemOf(record);
  if (problem) {
    box.append(
      element(
        'div',
        { className: record.state === 'cancelled' ? 'fault calm' : 'fault' },
        element('strong', {}, problem.title),
        element('p', {}, problem.text),
      ),
    );
  } else if (!box.hasChildNodes()) {
    box.append(
      element(
        'p',
        { className: 'note' },
        record.isStream ? 'The stream ended without an item.' : 'The answer has no body.',
      ),
    );
  }
  if (record.isCut)
    box.append(
      element('p', { className: 'note' }, 'The history keeps the beginning of a long answer.'),
    );
}

/** Returns the result in the envelope, or the whole body if there is no envelope. */
function resultText(record) {
  const { raw } = record;
  return formatOf(record) === 'envelope' && !jsonError(raw) && jsonType(raw) === 'object'
    ? (members(raw).get('result') ?? 'null')
    : raw;
}

function valueView(text) {
  if (text[0] === '"' && !jsonError(text))
    return element('div', { className: 'prose' }, JSON.parse(text));
  return jsonView(text);
}

/** Shows consecutive texts as one text, and each other item separately. */
function renderItems(box, record) {
  rendered.next ??= 0;
  for (; rendered.next < record.events.length; rendered.next++) {
    const event = record.events[rendered.next];
    const { data } = event;
    if (data === undefined || isEnd(record, event) || eventError(record, event)) continue;
    const isText = data[0] === '"' && !jsonError(data);
    if (isText && rendered.text) {
      rendered.text.append(JSON.parse(data));
      continue;
    }
    rendered.count = (rendered.count ?? 0) + 1;
    if (rendered.count > MAX_ROWS) {
      if (rendered.count === MAX_ROWS + 1)
        box.append(
          element(
            'p',
            { className: 'note' },
            `Only ${MAX_ROWS} items are shown; Raw has all of them.`,
          ),
        );
      continue;
    }
    rendered.live?.classList.remove('live');
    const node = isText ? element('div', { className: 'prose' }, JSON.parse(data)) : jsonView(data);
    rendered.text = isText ? node : undefined;
    rendered.live = node;
    if (record.state === 'running') node.classList.add('live');
    box.append(node);
  }
}

/** Returns why a record failed or was cancelled, or undefined. */
function problemOf(record) {
  if (record.state === 'cancelled') {
    return {
      title: 'Cancelled',
      text: 'The connection was closed, which cancels the agent’s work on this request.',
    };
  }
  if (record.failure)
    return { title: record.status ? 'Broken off' : 'No answer', text: record.failure };
  const item = streamError(record);
  if (item) return { title: item.type ?? 'Error', text: item.error };
  if (record.status < 400) return undefined;
  try {
    const { error, error_type: type } = JSON.parse(record.raw);
    if (typeof error === 'string') return { title: textOf(type) ?? `Status ${record.status}`, text: error };
  } catch {
    // Not an error body of the runtime: shown as it is.
  }
  return { title: `Status ${record.status}`, text: record.raw || record.statusText };
}

function renderEvents(box, record) {
  if (!record.isStream) {
    box.replaceChildren(
      element(
        'p',
        { className: 'note' },
        record.state === 'running' ? 'No event yet.' : 'This answer is one value, not a stream.',
      ),
    );
    rendered = undefined;
    return;
  }
  if (!rendered.body) {
    rendered.body = element('tbody');
    rendered.next = 0;
    box.append(element('table', { className: 'table' }, rendered.body));
  }
  for (; rendered.next < Math.min(record.events.length, MAX_ROWS); rendered.next++) {
    const event = record.events[rendered.next];
    const { time, name, data, comment } = event;
    const kind = comment !== undefined ? 'comment' : eventError(record, event) ? 'wrong' : '';
    rendered.body.append(
      element(
        'tr',
        { className: kind },
        element('td', { className: 'time' }, milliseconds(time)),
        element('th', { scope: 'row' }, comment === undefined ? name : 'comment'),
        element('td', {}, data ?? comment),
      ),
    );
  }
  if (record.events.length > MAX_ROWS && !rendered.isNoted) {
    rendered.isNoted = true;
    box.append(
      element(
        'p',
        { className: 'note' },
        `Only the first ${MAX_ROWS} events are shown; Raw has all of them.`,
      ),
    );
  }
}

function renderHeaders(box, record) {
  const rows = record.headers.map(([name, value]) =>
    element('tr', {}, element('th', { scope: 'row' }, name), element('td', {}, value)),
  );
  box.replaceChildren(
    rows.length
      ? element('table', { className: 'table' }, element('tbody', {}, ...rows))
      : element('p', { className: 'note' }, 'No response headers yet.'),
  );
}

function renderRaw(box, record) {
  rendered.pre ??= box.appendChild(element('pre', { className: 'json' }));
  const { raw } = record;
  rendered.length ??= 0;
  if (rendered.length < Math.min(raw.length, MAX_SHOWN)) {
    rendered.pre.append(raw.slice(rendered.length, MAX_SHOWN));
    rendered.length = Math.min(raw.length, MAX_SHOWN);
  }
}

/** Returns the text of the current tab, for the copy button. */
function copyText() {
  if (currentTab === 'headers')
    return shownRecord.headers.map(([name, value]) => `${name}: ${value}`).join('\n');
  if (currentTab === 'answer' && shownRecord.isStream) {
    const items = shownRecord.events
      .filter((event) => event.data !== undefined && !isEnd(shownRecord, event))
      .map((event) => event.data);
    return items.every((item) => item[0] === '"')
      ? items.map((item) => JSON.parse(item)).join('')
      : items.join('\n');
  }
  return currentTab === 'answer' ? $('view').innerText : shownRecord.raw;
}

function milliseconds(time) {
  if (time < 10) return `${time.toFixed(1)} ms`;
  return time < 1000
    ? `${Math.round(time)} ms`
    : `${(time / 1000).toFixed(time < 10_000 ? 2 : 1)} s`;
}

function bytes(count) {
  if (count < 1000) return `${count} B`;
  return count < 1e6 ? `${(count / 1000).toFixed(1)} kB` : `${(count / 1e6).toFixed(1)} MB`;
}
