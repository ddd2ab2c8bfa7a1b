// The form, created from the JSON Schema of the request.
//
// A control has
// - `node`: its element,
// - `focus()`,
// - `read()`: returns the `text` of the value as JSON, undefined if the value is not sent, with the
//   `problem` of the value or the `problems` of the fields in it,
// - `fill(text)`: sets the value; returns why the JSON does not fit, or undefined,
// - `showProblem(problem)`: shows a problem; without an argument, removes the shown problem.

/** Returns the control for a simplified schema; `name` is empty for the request itself. */
function control(name, schema, required) {
  if (schema.enum)
    return selectControl(
      name,
      schema,
      required,
      schema.enum.map((value) => JSON.stringify(value)),
    );
  if (schema.type === 'boolean') {
    return required
      ? checkboxControl(name, schema)
      : selectControl(name, { ...schema, title: 'yes or no' }, false, ['true', 'false']);
  }
  if (schema.type === 'string') return textControl(name, schema, required);
  if (schema.type === 'integer' || schema.type === 'number')
    return numberControl(name, schema, required);
  if (schema.type === 'object' && schema.properties) return objectControl(name, schema, required);
  return jsonControl(name, schema, required);
}

let lastId = 0;

/**
 * An input with its label, the kind of its value, and its description. A problem is shown in place
 * of the description.
 */
function labelledField(name, kind, schema, required, input) {
  lastId += 1;
  input.id = `field-${lastId}`;
  const hint = element('p', { className: 'hint', id: `${input.id}-hint` }, schema.description);
  input.setAttribute('aria-describedby', hint.id);
  const node = element(
    'div',
    { className: 'field' },
    element(
      'div',
      { className: 'label' },
      element('label', { htmlFor: input.id }, name || 'request'),
      element('span', { className: 'kind' }, required ? kind : `${kind} · optional`),
    ),
    input,
    hint,
  );
  const showProblem = (problem) => {
    hint.textContent = problem ?? schema.description ?? '';
    hint.classList.toggle('problem', Boolean(problem));
    if (problem) input.setAttribute('aria-invalid', 'true');
    else input.removeAttribute('aria-invalid');
  };
  return { node, showProblem, focus: () => input.focus() };
}

const area = (properties) =>
  element('textarea', {
    rows: 1,
    spellcheck: false,
    autocomplete: 'off',
    autocapitalize: 'off',
    oninput: (event) => fitHeight(event.target),
    ...properties,
  });

function textControl(name, schema, required) {
  const kind = schema.maxLength === 1 ? 'one character' : (schema.format ?? 'text');
  const isLong =
    !schema.format &&
    /^(prompt|input|message|question|query|text|content|instructions?)$/i.test(name);
  const input = area({ rows: isLong ? 3 : 1, spellcheck: isLong });
  const base = labelledField(name, kind, schema, required, input);
  if (!schema.format) base.node.classList.add('wide');
  return {
    ...base,
    read: () => ({
      text: input.value === '' && !required ? undefined : JSON.stringify(input.value),
    }),
    fill(text) {
      if (text !== undefined && jsonType(text) !== 'string')
        return mismatchWith(name, 'text', text);
      input.value = text === undefined ? '' : JSON.parse(text);
      fitHeight(input);
    },
  };
}

function numberControl(name, schema, required) {
  const isWhole = schema.type === 'integer';
  const { minimum, maximum } = schema;
  let kind = isWhole ? 'integer' : 'number';
  if (minimum === 0) kind += maximum <= 0xffff ? ` 0–${maximum}` : ' ≥ 0';
  else if (maximum <= 0xffff) kind += ` ${minimum} to ${maximum}`;
  const input = element('input', {
    type: 'text',
    inputMode: isWhole ? 'numeric' : 'decimal',
    autocomplete: 'off',
  });
  const base = labelledField(name, kind, schema, required, input);
  const problem = () => {
    const value = input.value.trim();
    if (value === '')
      return required ? `this needs a ${isWhole ? 'whole number' : 'number'}` : undefined;
    if (!/^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(value)) return 'this is not a number';
    if (!isWhole) return undefined;
    if (!/^-?\d+$/.test(value)) return 'this is not a whole number';
    if (minimum === 0 && value[0] === '-') return 'this cannot be below 0';
    if (Number(value) > maximum) return `this is over ${maximum}`;
    if (Number(value) < minimum) return `this is below ${minimum}`;
  };
  input.addEventListener('input', () => {
    if (input.hasAttribute('aria-invalid')) base.showProblem(problem());
  });
  input.addEventListener('blur', () => {
    if (input.value.trim() !== '') base.showProblem(problem());
  });
  return {
    ...base,
    read() {
      const value = input.value.trim();
      const wrong = problem();
      // The text as it was typed keeps every digit, and what is not a number for the JSON editor.
      if (value === '') return { problem: wrong };
      return wrong && jsonError(value)
        ? { text: JSON.stringify(value), problem: wrong }
        : { text: value, problem: wrong };
    },
    fill(text) {
      if (text !== undefined && jsonType(text) !== 'number')
        return mismatchWith(name, 'a number', text);
      input.value = text?.trim() ?? '';
      base.showProblem();
    },
  };
}

function checkboxControl(name, schema) {
  const input = element('input', { type: 'checkbox' });
  const base = labelledField(name, 'yes or no', schema, true, input);
  const [label, , hint] = base.node.children;
  base.node.replaceChildren(element('div', { className: 'tick' }, input, label), hint);
  return {
    ...base,
    read: () => ({ text: String(input.checked) }),
    fill(text) {
      if (text !== undefined && jsonType(text) !== 'boolean')
        return mismatchWith(name, 'true or false', text);
      input.checked = text?.trim() === 'true';
    },
  };
}

/** Returns a control that offers a choice among JSON texts. */
function selectControl(name, schema, required, choices) {
  const input = element(
    'select',
    {},
    ...(required ? [] : [element('option', { value: '' }, 'not sent')]),
    ...choices.map((choice) => element('option', { value: choice }, choice.replace(/^"|"$/g, ''))),
  );
  return {
    ...labelledField(name, schema.title ?? 'choice', schema, required, input),
    read: () => ({ text: input.value || undefined }),
    fill(text) {
      const choice = text === undefined ? '' : JSON.stringify(JSON.parse(text));
      if (text !== undefined && !choices.includes(choice))
        return mismatchWith(name, `one of ${choices.join(', ')}`, text);
      input.value = choice;
      if (input.selectedIndex < 0) input.selectedIndex = 0;
    },
  };
}

function jsonControl(name, schema, required) {
  const kinds = { array: 'list, as JSON', object: 'object, as JSON', null: 'null' };
  const start = { array: '[]', object: '{}' }[schema.type] ?? 'null';
  const input = area({ className: 'code', value: required ? start : '' });
  const base = labelledField(
    name,
    kinds[schema.type] ?? (schema.title ? `${schema.title}, as JSON` : 'JSON'),
    schema,
    required,
    input,
  );
  base.node.classList.add('wide');
  const problem = () => {
    const value = input.value.trim();
    if (value === '') return required ? 'this needs a JSON value' : undefined;
    const wrong = jsonError(value);
    if (wrong) return `not JSON: ${wrong}`;
    if (schema.type && schema.type !== jsonType(value))
      return schema.type === 'array'
        ? 'this has to be a list: [ … ]'
        : `this has to be of type ${schema.type}`;
  };
  input.addEventListener('input', () => {
    if (input.hasAttribute('aria-invalid')) base.showProblem(problem());
  });
  input.addEventListener('blur', () => base.showProblem(problem()));
  return {
    ...base,
    read() {
      const value = input.value.trim();
      const wrong = problem();
      if (value === '') return { problem: wrong };
      return jsonError(value)
        ? { text: JSON.stringify(value), problem: wrong }
        : { text: value, problem: wrong };
    },
    fill(text) {
      input.value = text === undefined ? (required ? start : '') : indented(text);
      base.showProblem();
      fitHeight(input);
    },
  };
}

function objectControl(name, schema, required) {
  const fields = Object.entries(schema.properties).map(([key, child]) => [
    key,
    control(key, simplified(child), schema.required?.includes(key) ?? false),
  ]);
  const others =
    schema.additionalProperties && jsonControl('other fields', { type: 'object' }, false);
  const isRoot = name === '';
  const body = element('fieldset', { className: 'fields' });
  const isSent = element('input', { type: 'checkbox', checked: required });
  const show = () => {
    body.classList.toggle('folded', !isSent.checked);
    for (const child of body.querySelectorAll(':scope > :is(.field, .fields, .hint)'))
      child.hidden = !isSent.checked;
  };
  if (!isRoot) {
    const title = [
      name,
      ' ',
      element(
        'span',
        { className: 'kind' },
        schema.title ?? 'object',
        required ? '' : ' · optional',
      ),
    ];
    body.append(
      element(
        'legend',
        {},
        required
          ? element('span', {}, ...title)
          : element('label', { className: 'tick' }, isSent, element('span', {}, ...title)),
      ),
    );
  }
  if (schema.description) body.append(element('p', { className: 'hint wide' }, schema.description));
  body.append(...fields.map(([, field]) => field.node), ...(others ? [others.node] : []));
  isSent.addEventListener('change', show);
  show();
  return {
    node: body,
    focus: () => (fields[0]?.[1] ?? others)?.focus(),
    read() {
      if (!isRoot && !isSent.checked) return {};
      const parts = [];
      const problems = [];
      for (const [key, field] of [...fields, ...(others ? [[undefined, others]] : [])]) {
        const { text, problem, problems: inner = [] } = field.read();
        problems.push(...inner, ...(problem ? [{ field, problem }] : []));
        if (text === undefined) continue;
        if (field !== others) parts.push([key, text]);
        else if (!problem) parts.push(...members(text));
      }
      return { text: objectText(parts), problems };
    },
    fill(text) {
      if (text !== undefined && jsonType(text) !== 'object')
        return mismatchWith(name || 'the request', 'an object', text);
      const values = text === undefined ? new Map() : members(text);
      isSent.checked = required || text !== undefined;
      show();
      for (const [key, field] of fields) {
        const value = values.get(key);
        const isLeftOut = value === 'null' && !schema.required?.includes(key);
        const mismatch = field.fill(isLeftOut ? undefined : value);
        if (mismatch) return mismatch;
        values.delete(key);
      }
      if (others) return others.fill(values.size ? objectText([...values]) : undefined);
      const [unknown] = values.keys();
      if (unknown !== undefined) return `the form has no field for “${unknown}”`;
    },
  };
}

function objectText(parts) {
  return `{${parts.map(([key, text]) => `${JSON.stringify(key)}:${text}`).join(',')}}`;
}

function mismatchWith(name, expected, text) {
  const shown = text.length > 40 ? `${text.slice(0, 40)}…` : text;
  return `“${name || 'the request'}” takes ${expected}, not ${shown}`;
}
