// Polls /ping while the page is visible, and reloads the schema after the agent has restarted.

/** The pause between polls, in milliseconds. */
const POLL_INTERVAL = 2000;
const POLL_INTERVAL_WHILE_DOWN = 500;
/** How long an agent that does not answer counts as restarting, in ms: builds take long. */
const RESTART_TIMEOUT = 60_000;

let downSince,
  lastUpdate,
  timer,
  isPolling = false;

async function pollHealth() {
  if (isPolling || document.hidden) return;
  isPolling = true;
  clearTimeout(timer);
  const { state, text, detail } = await readHealth();
  isPolling = false;
  const wasDown = downSince !== undefined;
  const isDown = state === 'restarting';
  downSince = isDown ? (downSince ?? Date.now()) : undefined;
  const isGone = isDown && Date.now() - downSince > RESTART_TIMEOUT;
  const light = $('health');
  light.dataset.state = isGone ? 'unreachable' : state;
  light.title = detail ?? '';
  const label = isGone ? 'Unreachable' : text;
  // Set only if the text changes: screen readers announce a text each time that it is set.
  if ($('health-text').textContent !== label) $('health-text').textContent = label;
  $('notice').hidden = !(isDown && detail);
  if (isDown && detail && $('notice').textContent !== detail) $('notice').textContent = detail;
  if (wasDown && !isDown) offerRuns().then(loadSchema);
  timer = setTimeout(pollHealth, isDown ? POLL_INTERVAL_WHILE_DOWN : POLL_INTERVAL);
}

async function readHealth() {
  try {
    const response = await fetch('ping', {
      cache: 'no-store',
      signal: AbortSignal.timeout(12_000),
    });
    const answer = await response.json().catch(() => ({}));
    // The response of a proxy, sent while the agent is being built or started.
    if ([502, 503, 504].includes(response.status)) {
      return {
        state: 'restarting',
        text: 'Restarting…',
        detail: typeof answer.error === 'string' ? answer.error : undefined,
      };
    }
    const detail = answer.message;
    if (!response.ok) return { state: 'unhealthy', text: 'Unhealthy', detail };
    // The time changes when the process restarts, and a new build may have another schema.
    if (lastUpdate !== undefined && answer.time_of_last_update !== lastUpdate) loadSchema();
    lastUpdate = answer.time_of_last_update;
    return answer.status === 'HealthyBusy'
      ? { state: 'busy', text: 'Busy', detail: detail ?? 'Background work is running.' }
      : { state: 'healthy', text: 'Healthy', detail };
  } catch (error) {
    if (error.name === 'TimeoutError') return { state: 'unhealthy', text: 'Not answering' };
    return { state: 'restarting', text: 'Restarting…' };
  }
}

document.addEventListener('visibilitychange', pollHealth);
