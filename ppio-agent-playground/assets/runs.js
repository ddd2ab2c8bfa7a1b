// The runs of the agent: the list, and the one or two runs that are open.

/** The minimum pause between two requests for the list, in milliseconds. */
const RUNS_INTERVAL = 2000;
/** The minimum pause between two requests, as a multiple of the time that the first one took. */
const RUNS_INTERVAL_FACTOR = 10;
/** The most runs that an agent lists. */
const MAX_RUNS = 10_000;

let allRuns = [];
let shownRuns = [];
let hasRuns = false;
/** The open run, and the run that it is compared with. */
let opened, compared;

const runList = new VirtualList({
  label: 'Runs',
  height: 52,
  row: runRow,
  key: ({ id }) => id,
  choose: (run) => openRun(run.id, true),
});
$('run-list').append(runList.node);

function runRow(run) {
  const { status, usage } = run;
  const cost = usage && costOf(usage.input_tokens, usage.output_tokens);
  const figures = [
    new Date(run.started_at).toLocaleTimeString([], { hour12: false }),
    status === 'success' ? undefined : status,
    leftovers.has(run.id) && 'leaves something behind',
    runDuration(run),
    run.stream ? `${run.items} ${run.items === 1 ? 'item' : 'items'}` : undefined,
    usage && `${usage.input_tokens + usage.output_tokens} tokens`,
    cost !== undefined && `cost ${costText(cost)}`,
    run.session_id && `session ${run.session_id}`,
  ];
  return [
    element('span', { className: `dot ${RUN_STATES[status] ?? 'bad'}`, title: status }),
    element('span', { className: 'what' }, runTitle(run)),
    element('span', { className: 'when' }, figures.filter(Boolean).join(' · ')),
  ];
}

function runTitle(run) {
  const own = run.summary ?? requestOfEntry(run.id);
  return (run.summary === undefined && own !== undefined ? preview(own) : own) || run.id;
}

/** Returns the request of a run from the history of this browser, or undefined. */
function requestOfEntry(id) {
  return entries.find((record) => headerOf(record, 'x-request-id') === id)?.request;
}

// The list

let runsTimer;
async function pollRuns() {
  clearTimeout(runsTimer);
  if (document.hidden || place !== 'runs') return;
  const start = performance.now();
  await loadRuns(MAX_RUNS, [loadBlocking(), loadLeftovers()]);
  showBlocking();
  // The duration of a run increases while nothing arrives.
  for (const run of [opened, compared]) run?.updateSoon();
  const pause = Math.max(RUNS_INTERVAL, (performance.now() - start) * RUNS_INTERVAL_FACTOR);
  clearTimeout(runsTimer);
  runsTimer = setTimeout(pollRuns, pause);
}

/**
 * Loads the newest runs, and shows them when the promises in `rest` have resolved. Returns whether
 * the runs could be loaded.
 */
async function loadRuns(limit, rest = []) {
  try {
    const response = await fetch(`invocations?limit=${limit}`, {
      headers: runHeaders(),
      cache: 'no-store',
    });
    noteDev(response);
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.error ?? `status ${response.status}`);
    if (!Array.isArray(answer.invocations)) throw new Error('the answer is not a list of runs');
    await Promise.all(rest);
    allRuns = answer.invocations;
    showRunsProblem();
    showRuns();
    return true;
  } catch (error) {
    showRunsProblem(`The runs cannot be listed: ${error.message}`);
    return false;
  }
}

function showRunsProblem(problem) {
  $('runs-problem').hidden = !problem;
  if (problem) $('runs-problem').textContent = problem;
}

/** The value of `blocking` that is shown, as JSON. */
let blockingShown = '';
function showBlocking() {
  const text = JSON.stringify(blocking);
  if (text === blockingShown) return;
  blockingShown = text;
  $('runs-blocking').hidden = !blocking.length;
  $('runs-blocking').replaceChildren(
    ...blocking.map((found) =>
      element(
        'p',
        {},
        `${blockingText(found)} ${BLOCKING_REMEDY} `,
        element(
          'button',
          { type: 'button', className: 'quiet', onclick: () => openRun(found.request_id, true) },
          'Open the first blocking run',
        ),
      ),
    ),
  );
}

function showRuns() {
  const wanted = $('run-filter').value.trim().toLowerCase();
  const status = $('run-status').value;
  shownRuns = allRuns.filter(
    (run) =>
      (!status || run.status === status) &&
      (!wanted ||
        [run.id, run.session_id, runTitle(run)].some((text) => text?.toLowerCase().includes(wanted))),
  );
  runList.set(
    shownRuns,
    shownRuns.find(({ id }) => id === opened?.id),
  );
  const { length } = shownRuns;
  $('run-count').textContent =
    length === allRuns.length ? String(length) : `${length} of ${allRuns.length}`;
  $('runs-empty').hidden = length > 0;
  $('runs-empty').textContent = allRuns.length
    ? 'No run matches the filters.'
    : 'No runs yet. Under `agent dev`, each request to the agent is listed as a run.';
  runList.node.hidden = length === 0;
}

for (const kind of ['input', 'output']) {
  const box = $(`price-${kind}`);
  box.value = store.read('prices', {})[kind] ?? '';
  box.addEventListener('input', () => {
    store.write('prices', { ...store.read('prices', {}), [kind]: box.value });
    showRuns();
    for (const run of [opened, compared]) run?.updateSoon();
  });
}
$('run-filter').addEventListener('input', showRuns);
$('run-status').addEventListener('change', showRuns);
document.addEventListener('visibilitychange', pollRuns);

// What is opened

function openRun(id, isChosen) {
  if (opened?.id === id) return;
  if (opened && opened !== compared) opened.close();
  opened = compared?.id === id ? compared : new RunView(id, runActions);
  showOpened();
  if (isChosen && matchMedia('(max-width: 859px)').matches)
    $('run-panes').scrollIntoView({ block: 'start' });
}

function showOpened() {
  const panes = [opened, compared].filter((run, at, all) => run && all.indexOf(run) === at);
  $('run-panes').replaceChildren(
    ...(panes.length
      ? panes.map(({ node }) => node)
      : [
          element(
            'div',
            { className: 'card' },
            element(
              'div',
              { className: 'blank' },
              element('strong', {}, 'No run is open'),
              element('span', {}, 'Choose a run to see its answer, items and request.'),
            ),
          ),
        ]),
  );
  tabStore.write('runs', { opened: opened?.id, compared: compared?.id });
  showRuns();
  for (const pane of panes) pane.show(store.read('run-view', 'answer'));
}

/** Returns the buttons of an open run. */
function runActions(view) {
  const { run, request } = view;
  const actions = [];
  if (run.status === 'running')
    actions.push({ text: 'Cancel', className: 'danger', onclick: () => cancelRun(view) });
  if (request !== undefined) {
    actions.push({ text: 'Send again', onclick: () => sendAgain(view) });
    actions.push({ text: 'Edit and send', onclick: () => editRun(view) });
  }
  if (run.id)
    actions.push({
      text: compared === view ? 'Stop comparing' : 'Compare',
      pressed: compared === view,
      onclick: () => compare(view),
    });
  return actions;
}

async function cancelRun(view) {
  await fetch(runUrl(view.id), { method: 'DELETE', headers: runHeaders() }).catch(() => {});
  announce('Cancelled');
  pollRuns();
}

/** Starts a run with the same request and opens it; a run that is being compared stays open. */
async function sendAgain({ run, request }) {
  const headers = runHeaders();
  headers.set('content-type', 'application/json');
  headers.set('prefer', 'respond-async');
  headers.delete('x-request-id');
  if (run.stream) headers.set('accept', 'text/event-stream, application/json');
  try {
    const response = await fetch('invocations', { method: 'POST', headers, body: request });
    const answer = await response.json();
    if (response.status !== 202) throw new Error(answer.error ?? `status ${response.status}`);
    announce('Sent');
    await loadRuns(MAX_RUNS);
    openRun(answer.id, true);
  } catch (error) {
    showRunsProblem(`The request cannot be sent again: ${error.message}`);
  }
}

function editRun({ request }) {
  setPlace('request');
  openRequest(indentedOr(request), mode);
  saveDraft();
  (mode === 'form' ? form : $('json')).focus();
}

/** Toggles whether a run stays open for comparison while another run is opened. */
function compare(view) {
  const isEnd = compared === view;
  if (compared && compared !== opened) compared.close();
  compared = isEnd ? undefined : view;
  announce(isEnd ? 'No longer compared' : 'Choose another run for the comparison');
  showOpened();
}

/** Shows the tab of the runs if the agent lists runs. */
async function offerRuns() {
  if (hasRuns) return;
  hasRuns = await loadRuns(1);
  showPlaces();
  const { opened: first, compared: second } = tabStore.read('runs', {});
  if (!hasRuns || opened) return;
  if (second) compared = new RunView(second, runActions);
  if (first) openRun(first, false);
  else showOpened();
}
