// The request being edited, and how everything hangs together.

const IS_MAC = /Mac|iPhone|iPad/.test(navigator.platform);
const SEND_KEY = IS_MAC ? '⌘ ↵' : 'Ctrl ↵';
const START = '{"prompt": ""}';

let schema;
let form;
let mode = 'json';
let running;

// Editing

const selectMode = tabs($('modes'), (value) => { if (value === 'form') toForm(); else toJson(); });

function setMode(value) {
  mode = value;
  $('panel-form').hidden = value !== 'form';
  $('panel-json').hidden = value !== 'json';
  selectMode(value);
  for (const box of document.querySelectorAll('.request textarea')) fit(box);
}

/** The request as it would be sent. */
function requestText() {
  return mode === 'form' ? form.read().text ?? 'null' : $('json').value;
}

function toJson() {
  if (mode === 'form') setJson(laidOut(requestText()));
  note();
  setMode('json');
}

function setJson(text) {
  $('json').value = text;
  checkJson();
}

/** Shows the form with what the editor holds, where that fits into it. */
function toForm() {
  const text = $('json').value;
  const wrong = fault(text) ? 'this is not JSON' : form.fill(text);
  if (wrong) {
    note(`Still JSON: ${wrong}.`);
    setMode('json');
    return false;
  }
  note();
  setMode('form');
  return true;
}

function note(text = '') {
  $('misfit').hidden = !text;
  $('misfit').textContent = text;
}

function checkJson() {
  const wrong = fault($('json').value);
  $('json-hint').textContent = wrong ? `Not JSON, and sent as it is: ${wrong}` : '';
}

/** Puts a request into the editor, as a form where it fits. */
function edit(text, preferred) {
  setJson(text);
  if (!form || preferred === 'json') {
    note();
    setMode('json');
  } else if (toForm()) {
    setJson(laidOut(text));
  }
}

/** Asks the agent what it takes, and makes the form anew when that has changed. */
async function describe() {
  let description;
  try {
    const response = await fetch('./', { headers: { accept: 'application/json' }, cache: 'no-store' });
    description = await response.json();
  } catch {
    // Not there yet; asked again when the light turns green.
    return;
  }
  const next = description.request ?? {};
  if (JSON.stringify(next) === JSON.stringify(schema)) return;
  const isFirst = schema === undefined;
  const typed = isFirst ? undefined : requestText();
  schema = next;
  form = hasForm(schema) ? control('', schema, true) : undefined;
  $('request-type').textContent = schema.title ?? '';
  $('modes').hidden = !form;
  const panel = $('panel-form');
  panel.replaceChildren(...form ? [form.node] : []);
  if (!isFirst) {
    edit(typed, mode);
    return;
  }
  const draft = store.read('draft');
  if (draft) {
    edit(draft.text, draft.mode);
  } else if (form) {
    setMode('form');
  } else {
    edit(START);
  }
}

let saving;
document.querySelector('.request').addEventListener('input', () => {
  clearTimeout(saving);
  saving = setTimeout(saveDraft, 200);
});
function saveDraft() {
  clearTimeout(saving);
  if (schema) store.write('draft', { text: requestText(), mode });
}
addEventListener('pagehide', saveDraft);
$('json').addEventListener('input', () => { checkJson(); fit($('json')); });

// Sending

/** The headers that were typed, as a list; throws at a line that is none. */
function typedHeaders() {
  const headers = new Headers({ 'content-type': 'application/json' });
  for (const line of $('headers').value.split('\n')) {
    if (!line.trim()) continue;
    const [, name, value] = /^\s*([^:\s]+)\s*:(.*)$/.exec(line) ?? [];
    if (!name) throw new Error(`“${line.trim()}” is not a header; write name: value`);
    headers.set(name, value.trim());
  }
  return headers;
}

async function send() {
  if (running) return;
  if (mode === 'form') {
    const { problem, faults = [] } = form.read();
    if (problem) faults.push({ field: form, problem });
    for (const { field, problem } of faults) field.complain(problem);
    if (faults.length) {
      faults[0].field.focus();
      announce(faults[0].problem);
      return;
    }
  }
  let headers;
  try {
    headers = typedHeaders();
    complain();
  } catch (error) {
    complain(error.message);
    return;
  }
  saveDraft();
  running = new AbortController();
  swap($('send'), $('cancel'));
  announce('Sent');
  if (matchMedia('(max-width: 859px)').matches) $('answer-card').scrollIntoView({ block: 'start' });
  const clock = setInterval(() => show(shown), 100);
  let wasStreaming = false;
  const record = await exchange(requestText(), headers, running.signal, (record) => {
    if (record.isStream && !wasStreaming) announce('Streaming');
    wasStreaming = record.isStream;
    show(record);
  });
  clearInterval(clock);
  running = undefined;
  swap($('cancel'), $('send'));
  remember(record);
  const items = record.isStream ? `, ${record.items} items` : '';
  announce(`${summary(record)[1]}, ${milliseconds(record.total)}${items}`);
}

/** Puts one button in the place of another, with the keyboard's focus. */
function swap(out, into) {
  const hadFocus = document.activeElement === out;
  out.hidden = true;
  into.hidden = false;
  if (hadFocus) into.focus();
}

function complain(problem) {
  const hint = $('headers-hint');
  hint.classList.toggle('problem', Boolean(problem));
  hint.textContent = problem ?? 'One per line. They are kept in this tab only.';
  if (problem) {
    $('more').open = true;
    $('headers').focus();
    announce(problem);
  }
}

function recall(record) {
  edit(laidOutOr(record.request), mode);
  saveDraft();
  if (running) return;
  show(record);
  list();
}

function laidOutOr(text) {
  return fault(text) ? text : laidOut(text);
}

/** The request as a line for a shell. */
function shellLine() {
  const quoted = (text) => `'${text.replaceAll("'", String.raw`'\''`)}'`;
  const headers = $('headers').value.split('\n').filter((line) => line.trim()).map((line) => ` -H ${quoted(line.trim())}`);
  const url = new URL('invocations', document.baseURI).href;
  return `curl -N --json ${quoted(requestText())}${headers.join('')} ${quoted(url)}`;
}

$('send').addEventListener('click', send);
$('cancel').addEventListener('click', () => running?.abort());
$('curl').addEventListener('click', () => copy(shellLine(), $('curl')));
$('copy').addEventListener('click', () => copy(copyText(), $('copy')));
$('clear').addEventListener('click', () => { past = []; save(); $('send').focus(); });
addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    send();
  } else if (event.key === 'Escape' && running) {
    event.preventDefault();
    running.abort();
  }
});

// Light and dark

const THEMES = ['auto', 'light', 'dark'];
let theme = store.read('theme', 'auto');
function setTheme(value) {
  theme = THEMES.includes(value) ? value : 'auto';
  if (theme === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  for (const icon of $('theme').children) icon.toggleAttribute('hidden', icon.dataset.theme !== theme);
  $('theme').title = `Colours: ${theme}`;
  $('theme').setAttribute('aria-label', `Colours: ${theme}; change`);
}
$('theme').addEventListener('click', () => {
  setTheme(THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]);
  store.write('theme', theme);
});

// Begin

setTheme(theme);
$('host').textContent = location.host;
document.title = `Playground · ${location.host}`;
$('send-key').textContent = SEND_KEY;
setMode('json');
$('modes').hidden = true;
draw();
list();
describe();
ask();
