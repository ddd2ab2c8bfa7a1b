// The chat: its messages, sending them, and continuing after the page is reloaded.
//
// Each answer is a run with an idempotency key, so that the page finds the run by its id after a
// reload. After a grace period the agent cancels a run that no page reads.

/** The fields of a request that the chat fills. */
const CHAT_FIELDS = ['prompt', 'messages', 'thread_id', 'resume', 'state', 'stream'];

/** Returns the fields of the chat that the request has; undefined if none takes a message. */
function chatFieldsOf(schema) {
  const properties = schema.type === 'object' ? (schema.properties ?? {}) : {};
  const has = (name, type) =>
    Object.hasOwn(properties, name) && simplified(properties[name]).type === type;
  const fields = new Set(CHAT_FIELDS.filter((name) => Object.hasOwn(properties, name)));
  if (!has('prompt', 'string')) fields.delete('prompt');
  if (!has('messages', 'array')) fields.delete('messages');
  return fields.has('prompt') || fields.has('messages') ? fields : undefined;
}

/** Whether the chat fills all required fields of a request. */
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
  // If the storage is full, the oldest turns are not kept for a reload.
  while (!tabStore.write('chat', { thread: chat.thread, turns }) && turns.length) turns.shift();
}

function restoreChat() {
  const saved = tabStore.read('chat');
  chat.thread = saved?.thread ?? randomId();
  try {
    for (const { answer, ...turn } of saved?.turns ?? []) {
      const restored = answer ? ChatAnswer.restored(answer) : new ChatAnswer();
      addTurn({ ...turn, answer: restored });
    }
  } catch (error) {
    // Saved by another version of the page: the chat continues with the turns restored so far.
    reportError(error);
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

/** Returns the request as JSON: the one in the Request view, with the fields of the chat set. */
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

/** Whether the messages in the request's schema have the member `tool_calls`. */
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

/** Sends the responses to the agent once all interrupts of the answer have one. */
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
  // Enter also confirms the text of an input method; that must not send the message.
  const isPlain = !event.shiftKey && !event.ctrlKey && !event.metaKey && !event.isComposing;
  if (event.key === 'Enter' && isPlain) {
    event.preventDefault();
    sendMessage();
  }
});
$('stop').addEventListener('click', stop);
$('new-chat').addEventListener('click', newChat);
