// The light: asks /ping while the page is looked at, and notices an agent that was started anew.

const CALM = 2000, HASTY = 500;
/** Restarting is what it is called for this long; a build may take a while. */
const PATIENCE = 60_000;

let downSince, lastUpdate, timer, isAsking = false;

async function ask() {
  if (isAsking || document.hidden) return;
  isAsking = true;
  clearTimeout(timer);
  const { state, text, detail } = await health();
  isAsking = false;
  const wasDown = downSince !== undefined;
  const isDown = state === 'restarting';
  downSince = isDown ? downSince ?? Date.now() : undefined;
  const isGone = isDown && Date.now() - downSince > PATIENCE;
  const light = $('health');
  light.dataset.state = isGone ? 'unreachable' : state;
  light.title = detail ?? '';
  const words = isGone ? 'Unreachable' : text;
  // Set only when it changes: a screen reader says it each time.
  if ($('health-text').textContent !== words) $('health-text').textContent = words;
  $('notice').hidden = !(isDown && detail);
  if (isDown && detail && $('notice').textContent !== detail) $('notice').textContent = detail;
  if (wasDown && !isDown) describe();
  timer = setTimeout(ask, isDown ? HASTY : CALM);
}

async function health() {
  try {
    const response = await fetch('ping', { cache: 'no-store', signal: AbortSignal.timeout(12_000) });
    const answer = await response.json().catch(() => ({}));
    // What stands in front of an agent that is being built or started says so.
    if ([502, 503, 504].includes(response.status)) {
      return { state: 'restarting', text: 'Restarting…', detail: typeof answer.error === 'string' ? answer.error : undefined };
    }
    const detail = answer.message;
    if (!response.ok) return { state: 'unhealthy', text: 'Unhealthy', detail };
    // Another time of the last change: another process perhaps, which may take another request.
    if (lastUpdate !== undefined && answer.time_of_last_update !== lastUpdate) describe();
    lastUpdate = answer.time_of_last_update;
    return answer.status === 'HealthyBusy' ? { state: 'busy', text: 'Busy', detail: detail ?? 'Background work is running.' } : { state: 'healthy', text: 'Healthy', detail };
  } catch (error) {
    if (error.name === 'TimeoutError') return { state: 'unhealthy', text: 'Not answering' };
    return { state: 'restarting', text: 'Restarting…' };
  }
}

document.addEventListener('visibilitychange', ask);
