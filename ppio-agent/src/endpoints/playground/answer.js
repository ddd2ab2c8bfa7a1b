// The answer as it is shown: while it comes, and again from the history.

/** The most rows of a list; a browser slows down with more. */
const ROWS = 1000;

let view = 'answer';
let shown;
/** What of the shown record is on the page already, so that a stream only adds. */
let drawn;

const selectView = tabs($('views'), (value) => {
  view = value;
  selectView(value);
  $('view').setAttribute('aria-labelledby', `tab-${value}`);
  drawn = undefined;
  draw();
});
selectView(view);

let frame;
/** Shows a record at the next frame: a thousand tokens a second are sixty drawings a second. */
function show(record) {
  if (record?.id !== shown?.id) drawn = undefined;
  shown = record;
  frame ??= requestAnimationFrame(() => { frame = undefined; draw(); });
  // In a tab in the background there are no frames, and nobody looks.
}

function draw() {
  drawHead();
  const box = $('view');
  const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
  if (!shown) {
    const key = (text) => element('kbd', {}, text);
    box.replaceChildren(element('div', { className: 'blank' }, element('strong', {}, 'Nothing sent yet'),
      element('span', {}, key(SEND_KEY), ' sends from anywhere, ', key('Esc'), ' cancels')));
    return;
  }
  const draws = { answer: drawAnswer, events: drawEvents, headers: drawHeaders, raw: drawRaw };
  if (!drawn) box.replaceChildren();
  drawn ??= {};
  draws[view](box, shown);
  if (shown.state === 'running' && atEnd) box.scrollTop = box.scrollHeight;
}

function drawHead() {
  const record = shown;
  $('status').hidden = $('figures').hidden = $('answer-foot').hidden = !record;
  if (!record) return;
  const [state, text] = summary(record);
  $('status').dataset.state = state;
  $('status').textContent = text;
  const elapsed = record.total ?? performance.now() - record.start;
  const figures = [
    [record.isStream ? 'first token' : 'first byte', record.first === undefined ? '–' : milliseconds(record.first)],
    ['total', milliseconds(elapsed)],
    ...record.isStream ? [['items', String(record.items)]] : [],
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

/** The state of a record: how good, and in words. */
function summary(record) {
  const status = record.status && `${record.status} ${record.statusText}`.trim();
  if (record.state === 'running') return ['running', record.isStream ? 'streaming' : 'waiting'];
  if (record.state === 'cancelled') return ['warn', 'cancelled'];
  if (record.fault) return ['bad', record.status ? 'broken off' : 'no answer'];
  if (streamError(record)) return ['bad', 'failed midway'];
  return [record.state === 'done' ? 'good' : 'bad', status];
}

function drawAnswer(box, record) {
  if (record.isStream) drawItems(box, record);
  if (record.state === 'running' || drawn.isFinal) return;
  drawn.isFinal = true;
  if (record.isStream) drawn.live?.classList.remove('live');
  else if (record.raw && record.status < 400) box.append(drawValue(record));
  const wrong = trouble(record);
  if (wrong) {
    box.append(element('div', { className: record.state === 'cancelled' ? 'fault calm' : 'fault' },
      element('strong', {}, wrong.title), element('p', {}, wrong.text)));
  } else if (!box.hasChildNodes()) {
    box.append(element('p', { className: 'note' }, record.isStream ? 'The stream ended without an item.' : 'The answer has no body.'));
  }
  if (record.isCut) box.append(element('p', { className: 'note' }, 'The history keeps the beginning of a long answer.'));
}

/** The agent's value: what the envelope holds, or the body itself. */
function drawValue(record) {
  const { raw } = record;
  if (!fault(raw) && kindOf(raw) === 'object') {
    const parts = members(raw);
    if (parts.has('result') && parts.has('metadata')) return valueView(parts.get('result'));
  }
  return valueView(raw);
}

function valueView(text) {
  if (text[0] === '"' && !fault(text)) return element('div', { className: 'prose' }, JSON.parse(text));
  return jsonView(text);
}

/** Texts run on as one text; other items stand by themselves. */
function drawItems(box, record) {
  drawn.next ??= 0;
  for (; drawn.next < record.events.length; drawn.next++) {
    const { data } = record.events[drawn.next];
    if (data === undefined || errorItem(data)) continue;
    const isText = data[0] === '"' && !fault(data);
    if (isText && drawn.text) {
      drawn.text.append(JSON.parse(data));
      continue;
    }
    drawn.count = (drawn.count ?? 0) + 1;
    if (drawn.count > ROWS) {
      if (drawn.count === ROWS + 1) box.append(element('p', { className: 'note' }, `Only ${ROWS} items are shown; Raw has all of them.`));
      continue;
    }
    drawn.live?.classList.remove('live');
    const node = isText ? element('div', { className: 'prose' }, JSON.parse(data)) : jsonView(data);
    drawn.text = isText ? node : undefined;
    drawn.live = node;
    if (record.state === 'running') node.classList.add('live');
    box.append(node);
  }
}

function trouble(record) {
  if (record.state === 'cancelled') {
    return { title: 'Cancelled', text: 'The connection was closed, and with it the agent’s work on this request.' };
  }
  if (record.fault) return { title: record.status ? 'Broken off' : 'No answer', text: record.fault };
  const item = streamError(record);
  if (item) return { title: item.type ?? 'Error', text: item.error };
  if (record.status < 400) return undefined;
  try {
    const { error, error_type: type } = JSON.parse(record.raw);
    if (typeof error === 'string') return { title: type ?? `Status ${record.status}`, text: error };
  } catch {
    // Not an error of the runtime's: shown as it is.
  }
  return { title: `Status ${record.status}`, text: record.raw || record.statusText };
}

function drawEvents(box, record) {
  if (!record.isStream) {
    box.replaceChildren(element('p', { className: 'note' }, record.state === 'running' ? 'No event yet.' : 'This answer is one value, not a stream.'));
    drawn = undefined;
    return;
  }
  if (!drawn.body) {
    drawn.body = element('tbody');
    drawn.next = 0;
    box.append(element('table', { className: 'table' }, drawn.body));
  }
  for (; drawn.next < Math.min(record.events.length, ROWS); drawn.next++) {
    const { time, name, data, comment } = record.events[drawn.next];
    const kind = comment !== undefined ? 'comment' : errorItem(data) ? 'wrong' : '';
    drawn.body.append(element('tr', { className: kind },
      element('td', { className: 'time' }, milliseconds(time)),
      element('th', { scope: 'row' }, comment === undefined ? name : 'comment'),
      element('td', {}, data ?? comment)));
  }
  if (record.events.length > ROWS && !drawn.isNoted) {
    drawn.isNoted = true;
    box.append(element('p', { className: 'note' }, `Only the first ${ROWS} events are shown; Raw has all of them.`));
  }
}

function drawHeaders(box, record) {
  const rows = record.headers.map(([name, value]) =>
    element('tr', {}, element('th', { scope: 'row' }, name), element('td', {}, value)));
  box.replaceChildren(rows.length ? element('table', { className: 'table' }, element('tbody', {}, ...rows))
    : element('p', { className: 'note' }, 'No head of an answer yet.'));
}

function drawRaw(box, record) {
  drawn.pre ??= box.appendChild(element('pre', { className: 'json' }));
  const { raw } = record;
  drawn.length ??= 0;
  if (drawn.length < Math.min(raw.length, SHOWN)) {
    drawn.pre.append(raw.slice(drawn.length, SHOWN));
    drawn.length = Math.min(raw.length, SHOWN);
  }
}

/** What the copy button takes: what is looked at. */
function copyText() {
  if (view === 'headers') return shown.headers.map(([name, value]) => `${name}: ${value}`).join('\n');
  if (view === 'answer' && shown.isStream) {
    const items = shown.events.filter((event) => event.data !== undefined).map((event) => event.data);
    return items.every((item) => item[0] === '"') ? items.map((item) => JSON.parse(item)).join('') : items.join('\n');
  }
  return view === 'answer' ? $('view').innerText : shown.raw;
}

function milliseconds(time) {
  if (time < 10) return `${time.toFixed(1)} ms`;
  return time < 1000 ? `${Math.round(time)} ms` : `${(time / 1000).toFixed(time < 10_000 ? 2 : 1)} s`;
}

function bytes(count) {
  if (count < 1000) return `${count} B`;
  return count < 1e6 ? `${(count / 1000).toFixed(1)} kB` : `${(count / 1e6).toFixed(1)} MB`;
}
