// Sends a turn of the chat, and reads its answer to the end.

/** How long the page tries to reconnect after the connection broke, in milliseconds. */
const RECONNECT_TIMEOUT = 60_000;
/** The pause between two attempts to reconnect, in milliseconds. */
const RECONNECT_PAUSE = 500;

/**
 * Sends a turn, or after a reload continues to read its run. Resolves when the turn has ended; then
 * the next turn can be sent.
 */
async function run(turn, isReload) {
  let headers, record, problem;
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
  try {
    record = await exchange(turn, headers, controller.signal, isReload);
    problem = problemOfTurn(record);
  } catch (error) {
    problem = { title: 'Not read', text: error.message };
  } finally {
    chat.running = undefined;
  }
  endTurn(turn, record, problem);
}

/**
 * Sends a turn, or after a reload reads its run again, and adds the received items to the turn's
 * answer. Returns the record.
 */
async function exchange(turn, headers, signal, isReload) {
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
    record = await sendRequest(turn.request, first, signal, changed);
    turn.runId = headerOf(record, 'x-request-id') ?? turn.runId;
  }
  const deadline = performance.now() + RECONNECT_TIMEOUT;
  const isOpen = () =>
    isReload || (record.isBroken && record.hasIds) || [502, 503, 504].includes(record.status);
  // A first request without a response may not have arrived: the user decides whether to retry.
  if (isReload || record.hasIds) {
    while (isOpen() && !signal.aborted && performance.now() < deadline) {
      await followRun(record, turn.runId, headers, signal, changed);
      isReload = false;
      if (isOpen()) await pause(RECONNECT_PAUSE, signal);
    }
  }
  if (signal.aborted) record.state = 'cancelled';
  else takeValue(turn.answer, record);
  return record;
}

/** Returns why a turn has no complete answer, or undefined. */
function problemOfTurn(record) {
  const isLost = record.status === 404 || record.status === 410;
  return isLost
    ? { title: 'Broken off', text: 'The agent no longer has this answer; it may have been restarted.' }
    : problemOf(record);
}

/** Adds the value of an answer that is not a stream of items. */
function takeValue(answer, record) {
  if (record.isStream) {
    const value = resultOfEnd(record);
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
  swapButtons($('stop'), $('say'));
  saveChat();
  if (record && !isRecorded(record)) addEntry(record);
  showTurn(turn);
  announce(problem ? `${problem.title}: ${problem.text.slice(0, 200)}` : 'The answer is complete');
}

/** Cancels the run of the current turn, which would otherwise wait for a page to reconnect. */
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
