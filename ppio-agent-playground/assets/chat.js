// The chat: its messages, sending them, and going on after a reload of the page.
//
// Each answer is a run with a key, so that a page that is loaded again finds it by its id. A run
// that no page reads is cancelled by the agent after its grace.

/** The fields of a request that the chat fills. */
const CHAT_FIELDS = ['prompt', 'messages', 'thread_id', 'resume', 'state', 'stream'];
/** How long the page tries to read on after the connection broke, in milliseconds. */
const RECONNECT_TIMEOUT = 60_000;
const RECONNECT_PAUSE = 500;

/** Which fields of the chat the request has, or undefined if it has none for a message. */
function chatFieldsOf(schema) {
  const properties = schema.type === 'object' ? (schema.properties ?? {}) : {};
  const has = (name, type) =>
    Object.hasOwn(properties, name) && simplified(properties[name]).type === type;
  const fields = new Set(CHAT_FIELDS.filter((name) => Object.hasOwn(properties, name)));
  if (!has('prompt', 'string')) fields.delete('prompt');
  if (!has('messages', 'array')) fields.delete('messages');
  return fields.has('prompt') || fields.has('messages') ? fields : undefined;
}

/** Whether a chat is all that the agent needs. */
function isChatOnly(schema) {
  return (schema.required ?? []).every((name) => CHAT_FIELDS.includes(name));
}

const chat = { fields: undefined, thread: '', turns: [], running: undefined };

/**
 * A turn is a message of the user, or responses to interrupts, and its answer:
 * { text, resume, responses, runId, request, isRunning, answer, record }
 */
function newTurn(said) {
  return { ...said, isRunning: true, runId: randomId(), answer: new ChatAnswer() };
}

// The browser's storage, for reloads of this tab.

function saveChat() {
  const turns = chat.turns.map((turn) => {
    const { text, resume, responses, runId, request, isRunning, answer } = turn;
    const saved = isRunning ? undefined : answer.saved();
    return { text, resume, responses, runId, request, isRunning, answer: saved };
  });
  // Without room, the beginning of the chat is not found after a reload.
  while (!tabStore.write('chat', { thread: chat.thread, turns }) && turns.length) turns.shift();
}

function restoreChat() {
  const saved = tabStore.read('chat');
  chat.thread = saved?.thread ?? randomId();
  for (const { answer, ...turn } of saved?.turns ?? []) {
    const restored = answer ? ChatAnswer.restored(answer) : new ChatAnswer();
    addTurn({ ...turn, answer: restored });
  }
  showThread();
  const last = chat.turns.at(-1);
  if (last?.isRunning) run(last, true);
}

// Showing

function addTurn(turn) {
  chat.turns.push(turn);
  const said = new LongText('bubble');
  said.update(turn.text ?? turn.responses.join(', '));
  turn.view = new AnswerView(turn.answer, () => respond(turn));
  $('turns').append(
    element(
      'article',
      { className: turn.text === undefined ? 'turn user calm' : 'turn user' },
      element('h3', { className: 'hidden' }, 'You'),
      said.node,
    ),
    turn.view.node,
  );
  for (const each of chat.turns.slice(-2)) showTurn(each);
}

let pendingTurn;
/** Shows a turn at the next frame. */
function showTurnSoon(turn) {
  pendingTurn ??= requestAnimationFrame(() => {
    pendingTurn = undefined;
    showTurn(turn);
  });
}

function showTurn(turn) {
  const box = $('turns');
  const isAtEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 60;
  const isLast = turn === chat.turns.at(-1);
  const button = (text, onclick) =>
    element('button', { className: 'quiet', type: 'button', onclick }, text);
  const actions = [];
  if (isLast && turn.answer.problem) actions.push(button('Try again', () => retry(turn)));
  if (hasRuns && !turn.isRunning)
    actions.push(button('Run', () => showRun(turn.runId)));
  if (turn.record) actions.push(button('Details', () => openRecord(turn.record)));
  turn.view.update(turn.isRunning, isLast, actions);
  if (isAtEnd) box.scrollTop = box.scrollHeight;
}

function showThread() {
  const isEmpty = chat.turns.length === 0;
  $('thread').textContent = chat.fields?.has('thread_id') ? `thread ${chat.thread}` : '';
  $('new-chat').hidden = isEmpty;
  const blank = $('turns').querySelector('.blank');
  if (!isEmpty) blank?.remove();
  else if (!blank)
    $('turns').replaceChildren(
      element(
        'div',
        { className: 'blank' },
        element('strong', {}, 'No messages yet'),
        element('span', {}, 'The chat is kept in this tab only.'),
      ),
    );
}

function showRun(id) {
  setPlace('runs');
  openRun(id, true);
}

function openRecord(record) {
  setPlace('request');
  openEntry(record);
  $('tab-events').click();
}

// Sending

/** The request as JSON text: what Request has, with the fields of the chat in it. */
function chatRequest(turn) {
  const base = requestText();
  const fields = !jsonError(base) && jsonType(base) === 'object' ? members(base) : new Map();
  const { fields: known, turns } = chat;
  const before = turns.slice(0, turns.indexOf(turn));
  const messages = before.flatMap((each) => [...userMessage(each), ...each.answer.messages(hasTools())]);
  const set = (name, text) => {
    if (!known.has(name)) return;
    if (text === undefined) fields.delete(name);
    else fields.set(name, text);
  };
  const prompt = turn.text ?? before.findLast((each) => each.text !== undefined)?.text;
  set('prompt', JSON.stringify(prompt ?? ''));
  set('messages', JSON.stringify([...messages, ...userMessage(turn)]));
  set('thread_id', JSON.stringify(chat.thread));
  set('resume', turn.resume && `[${turn.resume.join(',')}]`);
  const last = before.findLast((each) => each.answer.stateText !== undefined);
  if (last) set('state', last.answer.stateText);
  set('stream', 'true');
  return objectText([...fields]);
}

const userMessage = ({ text }) => (text === undefined ? [] : [{ role: 'user', content: text }]);

/** Whether the agent's messages have the calls of tools. */
function hasTools() {
  const items = simplified(simplified(schema.properties.messages ?? {}).items);
  return Object.hasOwn(items.properties ?? {}, 'tool_calls');
}

function say(said) {
  if (chat.running) return;
  const turn = newTurn(said);
  addTurn(turn);
  turn.request = chatRequest(turn);
  showThread();
  $('turns').scrollTop = $('turns').scrollHeight;
  run(turn, false);
}

/** Answers the agent once all interrupts of its answer have a response. */
function respond(turn) {
  const { interrupts } = turn.answer;
  if (interrupts.some(({ response }) => !response)) return;
  say({
    resume: interrupts.map(({ id, response: { status, payload } }) => {
      const parts = [
        ['interrupt_id', JSON.stringify(id)],
        ['status', JSON.stringify(status)],
      ];
      if (status === 'resolved') parts.push(['payload', payload]);
      return objectText(parts);
    }),
    responses: interrupts.map(({ response }) => response.text),
  });
  $('message').focus();
}

function retry(turn) {
  if (chat.running) return;
  const { text, resume, responses } = turn;
  chat.turns.pop();
  turn.view.node.previousSibling.remove();
  turn.view.node.remove();
  say({ text, resume, responses });
}

/** Sends a turn, or reads on in its run after a reload, until it has ended. */
async function run(turn, isReload) {
  let headers;
  try {
    headers = typedHeaders();
    showHeadersProblem();
  } catch (error) {
    setPlace('request');
    showHeadersProblem(error.message);
    endTurn(turn, undefined, { title: 'Not sent', text: error.message });
    return;
  }
  const controller = new AbortController();
  chat.running = { turn, headers, controller };
  saveChat();
  swapButtons($('say'), $('stop'));
  announce('Sent');
  let next = 0;
  const changed = (record) => {
    turn.record = record;
    for (; next < record.events.length; next++) {
      const event = record.events[next];
      if (event.data !== undefined && !isEnd(record, event) && !eventError(record, event))
        turn.answer.add(event.data);
    }
    showTurnSoon(turn);
  };
  let record;
  if (isReload) {
    record = newRecord(turn.request);
  } else {
    const first = new Headers(headers);
    first.set('accept', 'text/event-stream, application/json');
    first.set('idempotency-key', turn.runId);
    first.set('ppio-stream-ids', 'true');
    first.set('x-request-id', turn.runId);
    record = await sendRequest(turn.request, first, controller.signal, changed);
    turn.runId = headerOf(record, 'x-request-id') ?? turn.runId;
  }
  const deadline = performance.now() + RECONNECT_TIMEOUT;
  const isOpen = () =>
    isReload || (record.isBroken && record.hasIds) || [502, 503, 504].includes(record.status);
  // A first request that was not answered may not have arrived: the user decides.
  if (isReload || record.hasIds) {
    while (isOpen() && !controller.signal.aborted && performance.now() < deadline) {
      await followRun(record, turn.runId, headers, controller.signal, changed);
      isReload = false;
      if (isOpen()) await pause(RECONNECT_PAUSE, controller.signal);
    }
  }
  if (controller.signal.aborted) record.state = 'cancelled';
  else takeValue(turn.answer, record);
  chat.running = undefined;
  const isLost = record.status === 404 || record.status === 410;
  endTurn(
    turn,
    record,
    isLost
      ? { title: 'Broken off', text: 'The agent no longer has this answer; it may have been restarted.' }
      : problemOf(record),
  );
}

/** Adds the value of an answer that is not a stream of items. */
function takeValue(answer, record) {
  if (record.isStream) {
    const value = record.end && members(record.end).get('result');
    if (value !== undefined) answer.add(value);
    return;
  }
  if (record.status >= 400 || !record.raw) return;
  answer.add(resultText(record));
}

function endTurn(turn, record, problem) {
  turn.isRunning = false;
  turn.answer.figures = record && { total: record.total, first: record.first };
  turn.answer.problem = problem && {
    title: problem.title,
    text: problem.text,
    isCalm: record?.state === 'cancelled',
  };
  showTurn(turn);
  swapButtons($('stop'), $('say'));
  if (record && !isRecorded(record)) addEntry(record);
  saveChat();
  announce(problem ? `${problem.title}: ${problem.text.slice(0, 200)}` : 'The answer is complete');
}

/** Stops the agent: cancels the run, which would otherwise wait for a page to come back. */
function stop() {
  if (!chat.running) return;
  const { turn, headers, controller } = chat.running;
  fetch(`invocations/${encodeURIComponent(turn.runId)}`, { method: 'DELETE', headers }).catch(
    () => {},
  );
  controller.abort();
}

function pause(time, signal) {
  return new Promise((resolve) => {
    setTimeout(resolve, time);
    signal.addEventListener('abort', resolve);
  });
}

function newChat() {
  stop();
  chat.turns = [];
  chat.thread = randomId();
  $('turns').replaceChildren();
  showThread();
  saveChat();
  $('message').focus();
}

$('composer').addEventListener('submit', (event) => {
  event.preventDefault();
  sendMessage();
});
function sendMessage() {
  const text = $('message').value;
  if (!text.trim() || chat.running) return;
  $('message').value = '';
  fitHeight($('message'));
  say({ text });
}
$('message').addEventListener('input', () => fitHeight($('message')));
$('message').addEventListener('keydown', (event) => {
  // Enter also ends the input of a composed character.
  const isPlain = !event.shiftKey && !event.ctrlKey && !event.metaKey && !event.isComposing;
  if (event.key === 'Enter' && isPlain) {
    event.preventDefault();
    sendMessage();
  }
});
$('stop').addEventListener('click', stop);
$('new-chat').addEventListener('click', newChat);
