// The request being edited, the buttons and keys, and the start of the page.

const IS_MAC = /Mac|iPhone|iPad/.test(navigator.platform);
const SEND_KEY = IS_MAC ? '⌘ ↵' : 'Ctrl ↵';
const INITIAL_REQUEST = '{"prompt": ""}';

let schema;
let form;
let mode = 'json';
let running;

// Editing

const selectMode = tabs($('modes'), (value) => {
  if (value === 'form') toForm();
  else toJson();
});

function setMode(value) {
  mode = value;
  $('panel-form').hidden = value !== 'form';
  $('panel-json').hidden = value !== 'json';
  selectMode(value);
  for (const box of document.querySelectorAll('.request textarea')) fitHeight(box);
}

/** Returns the request as it would be sent. */
function requestText() {
  return mode === 'form' ? (form.read().text ?? 'null') : $('json').value;
}

function toJson() {
  if (mode === 'form') setJson(indented(requestText()));
  showNote();
  setMode('json');
}

function setJson(text) {
  $('json').value = text;
  checkJson();
}

/**
 * Fills the form from the JSON and shows the form. If the JSON does not fit, shows why and returns
 * false.
 */
function toForm() {
  const text = $('json').value;
  const wrong = jsonError(text) ? 'the text is not JSON' : form.fill(text);
  if (wrong) {
    showNote(`The form cannot show the request: ${wrong}.`);
    setMode('json');
    return false;
  }
  showNote();
  setMode('form');
  return true;
}

function showNote(text = '') {
  $('mismatch').hidden = !text;
  $('mismatch').textContent = text;
}

function checkJson() {
  const wrong = jsonError($('json').value);
  $('json-hint').textContent = wrong ? `Not JSON, sent unchanged: ${wrong}` : '';
}

/** Opens a request for editing: in the form if it fits and `preferred` is not `json`. */
function openRequest(text, preferred) {
  setJson(text);
  if (!form || preferred === 'json') {
    showNote();
    setMode('json');
  } else if (toForm()) {
    setJson(indented(text));
  }
}

/** Loads the schema of requests from the agent, and rebuilds the form if the schema has changed. */
async function loadSchema() {
  let description;
  try {
    const response = await fetch('./', {
      headers: { accept: 'application/json' },
      cache: 'no-store',
    });
    const text = await response.text();
    description = JSON.parse(text);
    if (!isObject(description) || isDeeper(text, MAX_DEPTH)) description = {};
  } catch {
    // Not reachable: the schema is loaded when the health check succeeds again.
    return;
  }
  const next = simplified(description.request);
  if (JSON.stringify(next) === JSON.stringify(schema)) return;
  const isFirst = schema === undefined;
  const typed = requestText();
  schema = next;
  form = hasForm(schema) ? control('', schema, true) : undefined;
  $('request-type').textContent = schema.title ?? '';
  $('modes').hidden = !form;
  const panel = $('panel-form');
  panel.replaceChildren(...(form ? [form.node] : []));
  offerChat();
  const draft = store.read('draft');
  if (!isFirst || typed) {
    openRequest(typed, mode);
  } else if (draft) {
    openRequest(draft.text, draft.mode);
  } else if (form) {
    setMode('form');
  } else {
    openRequest(INITIAL_REQUEST);
  }
}

// The views of the page

let place = 'request';
const selectPlace = tabs($('places'), (value) => {
  store.write('place', value);
  setPlace(value);
});

function setPlace(value) {
  place = value;
  $('chat').hidden = value !== 'chat';
  $('request').hidden = value !== 'request';
  $('runs').hidden = value !== 'runs';
  selectPlace(value);
  for (const box of document.querySelectorAll('textarea')) fitHeight(box);
  pollRuns();
}

/** Shows the tabs of the views that the agent supports. */
function showPlaces() {
  $('tab-chat').hidden = !chat.fields;
  $('tab-runs').hidden = !hasRuns;
  $('places').hidden = !chat.fields && !hasRuns;
  if ($(`tab-${place}`).hidden) setPlace('request');
}

/** Shows the chat if the agent takes messages, and opens the chat if no other field is required. */
function offerChat() {
  chat.fields = chatFieldsOf(schema);
  showThread();
  setPlace(store.read('place') ?? (chat.fields && isChatOnly(schema) ? 'chat' : 'request'));
  showPlaces();
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
$('json').addEventListener('input', () => {
  checkJson();
  fitHeight($('json'));
});

// Sending

/** Returns the headers to send. Throws an error for a line that is not a header. */
function typedHeaders() {
  const headers = new Headers({ 'content-type': 'application/json' });
  for (const line of $('headers').value.split('\n')) {
    if (!line.trim()) continue;
    const [, name, value] = /^\s*([^:\s]+)\s*:(.*)$/.exec(line) ?? [];
    if (!name) throw new Error(`“${line.trim()}” is not a header; write name: value`);
    headers.set(name, value.trim());
  }
  // Requests the format that is the default anyway, so that the response names its format.
  if (!headers.has('ppio-response-format')) {
    const agentCore = /^x-amzn-bedrock-agentcore-runtime-(session|request)-id$/;
    const isBare = [...headers.keys()].some((name) => agentCore.test(name));
    headers.set('ppio-response-format', isBare ? 'value' : 'envelope');
  }
  return headers;
}

async function send() {
  if (running) return;
  if (mode === 'form') {
    const { problem, problems = [] } = form.read();
    if (problem) problems.push({ field: form, problem });
    for (const { field, problem } of problems) field.showProblem(problem);
    if (problems.length) {
      problems[0].field.focus();
      announce(problems[0].problem);
      return;
    }
  }
  let headers;
  try {
    headers = typedHeaders();
    showHeadersProblem();
  } catch (error) {
    showHeadersProblem(error.message);
    return;
  }
  saveDraft();
  running = new AbortController();
  swapButtons($('send'), $('cancel'));
  announce('Sent');
  if (matchMedia('(max-width: 859px)').matches) $('answer-card').scrollIntoView({ block: 'start' });
  const clock = setInterval(() => show(shownRecord), 100);
  let wasStreaming = false;
  let record;
  try {
    record = await sendRequest(requestText(), headers, running.signal, (record) => {
      if (record.isStream && !wasStreaming) announce('Streaming');
      wasStreaming = record.isStream;
      show(record);
    });
  } finally {
    clearInterval(clock);
    running = undefined;
    swapButtons($('cancel'), $('send'));
  }
  addEntry(record);
  const items = record.isStream ? `, ${record.items} items` : '';
  announce(`${summary(record)[1]}, ${milliseconds(record.total)}${items}`);
}

/** Hides the button `out` and shows `into`, which gets the focus if `out` had it. */
function swapButtons(out, into) {
  const hadFocus = document.activeElement === out;
  out.hidden = true;
  into.hidden = false;
  if (hadFocus) into.focus();
}

function showHeadersProblem(problem) {
  const hint = $('headers-hint');
  hint.classList.toggle('problem', Boolean(problem));
  hint.textContent = problem ?? 'One header per line, kept in this tab only.';
  if (problem) {
    $('more').open = true;
    $('headers').focus();
    announce(problem);
  }
}

function openEntry(record) {
  openRequest(indentedOr(record.request), mode);
  saveDraft();
  if (running) return;
  show(record);
  showHistory();
}

function indentedOr(text) {
  return jsonError(text) ? text : indented(text);
}

/** Returns the request as a curl command. */
function shellLine() {
  const quoted = (text) => `'${text.replaceAll("'", String.raw`'\''`)}'`;
  const headers = $('headers')
    .value.split('\n')
    .filter((line) => line.trim())
    .map((line) => ` -H ${quoted(line.trim())}`);
  const url = new URL('invocations', document.baseURI).href;
  return `curl -N --json ${quoted(requestText())}${headers.join('')} ${quoted(url)}`;
}

$('send').addEventListener('click', send);
$('cancel').addEventListener('click', () => running?.abort());
$('curl').addEventListener('click', () => copy(shellLine(), $('curl')));
$('copy').addEventListener('click', () => copy(copyText(), $('copy')));
$('clear').addEventListener('click', () => {
  entries = [];
  saveHistory();
  $('send').focus();
});
addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    if (place === 'chat') sendMessage();
    else send();
  } else if (event.key === 'Escape' && (place === 'chat' ? chat.running : running)) {
    event.preventDefault();
    if (place === 'chat') stop();
    else running.abort();
  }
});

// Light and dark

const THEMES = ['auto', 'light', 'dark'];
let theme = store.read('theme', 'auto');
function setTheme(value) {
  theme = THEMES.includes(value) ? value : 'auto';
  if (theme === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  for (const icon of $('theme').children)
    icon.toggleAttribute('hidden', icon.dataset.theme !== theme);
  $('theme').title = `Colours: ${theme}`;
  $('theme').setAttribute('aria-label', `Colours: ${theme}; change`);
}
$('theme').addEventListener('click', () => {
  setTheme(THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]);
  store.write('theme', theme);
});

// Start

setTheme(theme);
$('host').textContent = location.host;
document.title = `Playground · ${location.host}`;
$('send-key').textContent = SEND_KEY;
setMode('json');
$('modes').hidden = true;
render();
showHistory();
offerRuns().then(loadSchema).then(restoreChat);
pollHealth();
