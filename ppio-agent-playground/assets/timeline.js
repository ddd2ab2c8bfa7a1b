// The timeline of a run: its spans as bars, each below its parent.

/** The width in pixels below which the bar of a span is placed under its name. */
const NARROW_TIMELINE = 560;

function makeRunTimeline(run) {
  const { telemetry } = run;
  const notes = element('div', { className: 'timeline-notes' });
  const axis = element('div', { className: 'timeline-axis', 'aria-hidden': 'true' });
  const detail = element('div', { className: 'item-whole', tabIndex: 0, role: 'region', 'aria-label': 'Span' });
  detail.hidden = true;
  const empty = element('div', { className: 'timeline-empty' });
  let shown, spans, chosen, end, answered;
  const list = new VirtualList({
    label: 'Timeline',
    height: 30,
    follows: true,
    row: (span) => spanRow(span, end, answered),
    key: ({ span_id: id }) => id,
    choose(span) {
      chosen = span;
      detail.replaceChildren(spanDetail(span));
      detail.hidden = false;
    },
  });
  const node = element('div', { className: 'timeline' }, notes, axis, list.node, empty, detail);
  const fit = () => {
    const isNarrow = node.clientWidth < NARROW_TIMELINE;
    node.classList.toggle('narrow', isNarrow);
    list.resize(isNarrow ? 50 : 30);
  };
  new ResizeObserver(fit).observe(node);
  return {
    node,
    isDev: true,
    update() {
      const remarks = runRemarks(run);
      const key = JSON.stringify([remarks, run.isRead, telemetry.isRead, telemetry.problem]);
      if (shown?.traces === telemetry.traces && shown.key === key) return;
      shown = { traces: telemetry.traces, key };
      spans = spansOf(telemetry.traces);
      end = Math.max(1e-3, ...spans.map((span) => span.from + span.duration_ms));
      const outliving = spans.filter((span) => span.outlives_answer);
      const invocation = spans.find((span) => span.attributes['ppio.request.id'] === run.id);
      answered = outliving.length && invocation ? invocation.from + invocation.duration_ms : undefined;
      chosen = spans.find(({ span_id: id }) => id === chosen?.span_id);
      list.set(spans, chosen);
      if (chosen) detail.replaceChildren(spanDetail(chosen));
      else detail.hidden = true;
      axis.replaceChildren(
        element('span'),
        element(
          'span',
          { className: 'ticks' },
          ...[0, 0.5, 1].map((part) => element('span', {}, spanTime(end * part))),
        ),
      );
      notes.replaceChildren(...timelineNotes(remarks, outliving, telemetry.traces));
      list.node.hidden = axis.hidden = spans.length === 0;
      empty.hidden = spans.length > 0;
      empty.replaceChildren(...noSpans(run));
    },
  };
}

/** Returns the spans of all traces; `from` is the start in ms since that of the first trace. */
function spansOf(traces) {
  const starts = traces.map((trace) => Date.parse(trace.started_at));
  const first = Math.min(...starts);
  const oldestFirst = traces.map((trace, at) => ({ trace, start: starts[at] - first })).reverse();
  return oldestFirst.flatMap(({ trace, start }) =>
    trace.spans.map((span) => ({ ...span, from: start + span.offset_ms })),
  );
}

const SPAN_CATEGORIES = { __proto__: null, agent: 'agent', tool: 'tool', model: 'model', step: 'step', task: 'task', other: 'span' };

function spanRow(span, end, answered) {
  const { category, depth, from, duration_ms: duration } = span;
  const bar = element('span', { className: `span-bar of-${category}${span.is_error ? ' failed' : ''}` });
  bar.style.left = `${(from / end) * 100}%`;
  bar.style.width = `${(duration / end) * 100}%`;
  const track = element('span', { className: 'span-track' }, bar);
  if (answered !== undefined) {
    const line = element('span', { className: 'span-answered', title: 'The answer was complete' });
    line.style.left = `${(answered / end) * 100}%`;
    track.append(line);
  }
  const name = element(
    'span',
    { className: 'span-name' },
    element('span', { className: `span-kind of-${category}` }, SPAN_CATEGORIES[category] ?? 'span'),
    element('span', { className: 'what', title: span.name }, spanTitle(span)),
    span.is_error ? element('span', { className: 'span-mark bad' }, 'error') : undefined,
    span.outlives_answer
      ? element('span', { className: 'span-mark warn', title: 'Continued after the answer' }, 'continued')
      : undefined,
  );
  name.style.paddingLeft = `${Math.min(depth, 12) * 14}px`;
  return [name, track, element('span', { className: 'span-time' }, spanTime(duration))];
}

/** Returns the name of a span without the prefix that repeats the kind of the span. */
function spanTitle({ name, attributes }) {
  const [, rest] = /^(?:invoke_agent|execute_tool|step) (.+)$/.exec(name) ?? [];
  return name === 'task' && attributes.task ? String(attributes.task) : (rest ?? name);
}

function spanTime(time) {
  if (time === 0) return '0';
  return time < 1 ? `${Math.round(time * 1000)} µs` : milliseconds(time);
}

function spanDetail(span) {
  const rows = (entries) =>
    entries.map(([name, value]) =>
      element('div', {}, element('dt', {}, name), element('dd', {}, attributeText(value))),
    );
  const facts = [
    ['name', span.name],
    ['service', span.service],
    ['kind', span.kind],
    ['began', `${spanTime(span.from)} after the start`],
    ['duration', spanTime(span.duration_ms)],
    ['status', span.is_error ? `error${span.status_message ? `: ${span.status_message}` : ''}` : 'ok'],
    ...(span.outlives_answer ? [['', 'The span continued after the answer was complete.']] : []),
    ['span', span.span_id],
  ];
  const events = (span.events ?? []).map(({ name, offset_ms: at, attributes }) =>
    element(
      'div',
      {},
      element('dt', {}, `event at ${spanTime(span.from + at - span.offset_ms)}`),
      element('dd', {}, `${name} ${Object.keys(attributes).length ? JSON.stringify(attributes) : ''}`),
    ),
  );
  return element(
    'dl',
    { className: 'span-detail' },
    ...rows(facts),
    ...rows(Object.entries(span.attributes)),
    ...events,
  );
}

function attributeText(value) {
  return typeof value === 'string' ? value.slice(0, MAX_SHOWN) : JSON.stringify(value);
}

/** Returns the warnings about a run, as pairs of a sentence and a recommendation. */
function runRemarks({ id, telemetry }) {
  const remarks = blocking
    .filter((found) => found.request_id === id)
    .map((found) => [blockingText(found), BLOCKING_REMEDY]);
  // After a restart the agent no longer reports the blocking function, but the log still has it.
  const logged = telemetry.logs.find(({ target }) => target === 'ppio::blocking');
  if (logged && !remarks.length) {
    const { function: name, blocked_ms: time } = logged.fields;
    remarks.push([`${name} blocked its thread for ${milliseconds(time)} or more.`, BLOCKING_REMEDY]);
  }
  const left = leftoversText(id);
  if (left)
    remarks.push([
      `This run left ${left} behind.`,
      'A spawned task that is not awaited continues after the answer; so does the task of an idle HTTP connection. ' +
        'Use ppio::task::spawn for work that should continue.',
    ]);
  return remarks;
}

function timelineNotes(remarks, outliving, traces) {
  const warning = (strong, ...rest) =>
    element('p', { className: 'hint warning' }, element('strong', {}, strong), ' ', ...rest);
  const notes = remarks.map(([sentence, advice]) => warning(sentence, advice));
  if (outliving.length)
    notes.push(
      warning(
        `${outliving.length === 1 ? 'A span' : `${outliving.length} spans`} continued after the answer: ${[...new Set(outliving.map(spanTitle))].slice(0, 5).join(', ')}.`,
        'The dashed line is the end of the answer.',
      ),
    );
  const dropped = traces.reduce((sum, trace) => sum + trace.dropped_spans, 0);
  if (dropped) notes.push(note(`${dropped} more spans are not kept: the trace is too large.`));
  return notes;
}

function noSpans({ isRead, telemetry }) {
  if (telemetry.problem) return [note(telemetry.problem)];
  if (!telemetry.isRead) return [note('Loading…')];
  if (!isRead) return [note('Spans are shown when they end.')];
  return [
    note('There is no trace of this run.'),
    note('An agent exports traces if it is built with the feature otel: in its Cargo.toml,'),
    element('pre', { className: 'json' }, 'ppio-agent = { version = "0.1", features = ["otel"] }'),
    note('Traces from before agent dev started, and traces dropped for lack of space, are lost.'),
  ];
}
