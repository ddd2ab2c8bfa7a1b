// What was sent, kept in the browser. Headers that were typed are not: they may hold a secret.

const MOST = 50;
let past = store.read('history', []);

function remember(record) {
  past = [kept(record), ...past].slice(0, MOST);
  save();
}

function save() {
  // Where the browser's store is full, the oldest go.
  while (!store.write('history', past) && past.length) past.pop();
  list();
}

function list() {
  const current = shown?.id;
  $('past').replaceChildren(...past.map((record) => {
    const [state, text] = summary(record);
    const what = preview(record.request);
    const time = new Date(record.at).toLocaleTimeString([], { hour12: false });
    return element('li', { 'aria-current': record.id === current ? 'true' : 'false' },
      element('button', { className: 'entry', type: 'button', title: record.request.slice(0, 500), 'aria-label': `${what}, ${text}, ${time}`, onclick: () => recall(record) },
        element('span', { className: `dot ${state}` }), element('span', { className: 'what' }, what),
        element('span', { className: 'when' }, `${/^\d+/.exec(text)?.[0] ?? text} · ${milliseconds(record.total)} · ${time}`)),
      element('button', { className: 'forget', type: 'button', 'aria-label': `Forget ${what}`, title: 'Forget', onclick: () => forget(record) }, '×'));
  }));
  $('past-empty').hidden = past.length > 0;
  $('clear').hidden = past.length === 0;
}

function forget(record) {
  const index = past.indexOf(record);
  past = past.filter((other) => other !== record);
  save();
  // The keyboard stays where it was.
  const left = $('past').querySelectorAll('.forget');
  (left[Math.min(index, left.length - 1)] ?? $('send')).focus();
}

/** The request in a few words: its first text, where it has one. */
function preview(request) {
  try {
    const value = JSON.parse(request);
    const text = typeof value === 'object' && value ? Object.values(value).find((it) => typeof it === 'string' && it) : value;
    if (typeof text === 'string' && text.trim()) return text.trim().slice(0, 200);
  } catch {
    // Shown as it was sent.
  }
  return request.trim().slice(0, 200) || 'empty';
}
