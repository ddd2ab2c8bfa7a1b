// The log of a run.

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error'];

function makeRunLogs(run) {
  const { telemetry } = run;
  const whole = element('div', { className: 'item-whole', tabIndex: 0, role: 'region', 'aria-label': 'Log line' });
  whole.hidden = true;
  const empty = note('');
  const count = element('span', { className: 'id', role: 'status' });
  const level = element(
    'select',
    {
      'aria-label': 'Level',
      onchange() {
        store.write('log-level', level.value);
        shown = undefined;
        update();
      },
    },
    ...LEVELS.map((name) =>
      element('option', { value: name }, name === 'trace' ? 'all levels' : name === 'error' ? name : `${name} and above`),
    ),
  );
  level.value = store.read('log-level', 'trace');
  let shown, chosen;
  const list = new VirtualList({
    label: 'Log',
    height: 28,
    follows: true,
    row: (record) => [
      element('span', { className: 'time' }, logTime(record.timestamp)),
      element('span', { className: `level ${record.level}` }, record.level),
      element('span', { className: 'what' }, logText(record)),
    ],
    choose(record) {
      chosen = record;
      whole.replaceChildren(jsonView(JSON.stringify(record)));
      whole.hidden = false;
    },
  });
  const filters = element('div', { className: 'log-filters' }, level, count);
  const node = element('div', { className: 'run-items run-logs' }, filters, list.node, empty, whole);
  function update() {
    const key = [run.isRead, telemetry.isRead, telemetry.problem].join();
    if (shown?.logs === telemetry.logs && shown.key === key) return;
    shown = { logs: telemetry.logs, key };
    const least = LEVELS.indexOf(level.value);
    const records = telemetry.logs.filter((record) => LEVELS.indexOf(record.level) >= least);
    const same = ({ timestamp, message }) => timestamp === chosen.timestamp && message === chosen.message;
    list.set(records, chosen && records.find(same));
    const { length } = telemetry.logs;
    count.textContent = records.length === length ? lines(length) : `${records.length} of ${lines(length)}`;
    list.node.hidden = records.length === 0;
    empty.hidden = records.length > 0;
    empty.textContent =
      telemetry.problem ??
      (length ? 'No line matches.' : telemetry.isRead ? 'No line has the id of this run.' : 'Loading…');
  }
  return { node, isDev: true, update };
}

function lines(number) {
  return number === 1 ? '1 line' : `${number} lines`;
}

/** Returns the time of day of a timestamp, with milliseconds. */
function logTime(timestamp) {
  const time = new Date(timestamp);
  const milliseconds = String(time.getMilliseconds()).padStart(3, '0');
  return `${time.toLocaleTimeString([], { hour12: false })}.${milliseconds}`;
}

/** Returns the message of a log record with its target and fields. */
function logText({ message, target, fields = {} }) {
  // The runtime's own modules are left out: their names do not help the author of an agent.
  const from = target && !target.startsWith('ppio::') ? `${target}: ` : '';
  const rest = Object.entries(fields).map(([name, value]) => ` ${name}=${JSON.stringify(value)}`);
  return `${from}${message}${rest.join('')}`.slice(0, 500);
}
