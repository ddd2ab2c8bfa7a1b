// The sent requests, kept in the browser. Request headers are not kept: they may hold a secret.

const MAX_ENTRIES = 50;
let entries = store.read('history', []);

function addEntry(record) {
  entries = [truncated(record), ...entries].slice(0, MAX_ENTRIES);
  saveHistory();
}

function isRecorded({ id }) {
  return entries.some((entry) => entry.id === id);
}

function saveHistory() {
  // If the storage is full, the oldest entries are removed.
  while (!store.write('history', entries) && entries.length) entries.pop();
  showHistory();
}

function showHistory() {
  const current = shownRecord?.id;
  $('past').replaceChildren(
    ...entries.map((record) => {
      const [state, text] = summary(record);
      const what = preview(record.request);
      const time = new Date(record.at).toLocaleTimeString([], { hour12: false });
      return element(
        'li',
        { 'aria-current': record.id === current ? 'true' : 'false' },
        element(
          'button',
          {
            className: 'entry',
            type: 'button',
            title: record.request.slice(0, 500),
            'aria-label': `${what}, ${text}, ${time}`,
            onclick: () => openEntry(record),
          },
          element('span', { className: `dot ${state}` }),
          element('span', { className: 'what' }, what),
          element(
            'span',
            { className: 'when' },
            `${/^\d+/.exec(text)?.[0] ?? text} · ${milliseconds(record.total)} · ${time}`,
          ),
        ),
        element(
          'button',
          {
            className: 'forget',
            type: 'button',
            'aria-label': `Forget ${what}`,
            title: 'Forget',
            onclick: () => removeEntry(record),
          },
          '×',
        ),
      );
    }),
  );
  $('past-empty').hidden = entries.length > 0;
  $('clear').hidden = entries.length === 0;
}

function removeEntry(record) {
  const index = entries.indexOf(record);
  entries = entries.filter((other) => other !== record);
  saveHistory();
  // Focus moves to the entry that took the place of the removed one.
  const left = $('past').querySelectorAll('.forget');
  (left[Math.min(index, left.length - 1)] ?? $('send')).focus();
}

/** Returns a short form of the request: its first text, or the beginning of the JSON. */
function preview(request) {
  try {
    const value = JSON.parse(request);
    const text =
      typeof value === 'object' && value
        ? Object.values(value).find((it) => typeof it === 'string' && it)
        : value;
    if (typeof text === 'string' && text.trim()) return text.trim().slice(0, 200);
  } catch {
    // Not JSON: shown as it was sent.
  }
  return request.trim().slice(0, 200) || 'empty';
}
