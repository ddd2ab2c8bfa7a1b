// The form: made from the JSON Schema that the agent gives of its request.
//
// A control has its `node`, `focus()`, `read()` (the JSON text, undefined for "not sent", and what is
// wrong with it: a `problem`, or the `faults` of the fields inside), `fill(text)` (the misfit in words, or
// undefined) and `complain(problem)`.

/** Whether a form says more than a JSON editor would. */
function hasForm(schema) {
  return Boolean(schema) && (schema.enum || ['string', 'integer', 'number', 'boolean'].includes(schema.type)
    || schema.type === 'object' && Object.keys(schema.properties ?? {}).length > 0);
}

function control(name, schema, required) {
  if (schema.enum) return choiceControl(name, schema, required, schema.enum.map((value) => JSON.stringify(value)));
  if (schema.type === 'boolean') {
    return required ? tickControl(name) : choiceControl(name, { title: 'yes or no' }, false, ['true', 'false']);
  }
  if (schema.type === 'string') return textControl(name, schema, required);
  if (schema.type === 'integer' || schema.type === 'number') return numberControl(name, schema, required);
  if (schema.type === 'object' && schema.properties) return objectControl(name, schema, required);
  return jsonControl(name, schema, required);
}

let lastId = 0;

/** A label, a control and its hint. `hint` is what the type asks for. */
function labelled(name, kind, required, input) {
  lastId += 1;
  input.id = `field-${lastId}`;
  const hint = element('p', { className: 'hint', id: `${input.id}-hint` });
  input.setAttribute('aria-describedby', hint.id);
  const node = element('div', { className: 'field' },
    element('div', { className: 'label' },
      element('label', { htmlFor: input.id }, name || 'request'),
      element('span', { className: 'kind' }, required ? kind : `${kind} · optional`)),
    input, hint);
  const complain = (problem) => {
    hint.textContent = problem ?? '';
    hint.classList.toggle('problem', Boolean(problem));
    if (problem) input.setAttribute('aria-invalid', 'true');
    else input.removeAttribute('aria-invalid');
  };
  return { node, complain, focus: () => input.focus() };
}

const area = (properties) => element('textarea', {
  rows: 1, spellcheck: false, autocomplete: 'off', autocapitalize: 'off',
  oninput: (event) => fit(event.target), ...properties,
});

function textControl(name, schema, required) {
  const kind = schema.maxLength === 1 ? 'one character' : schema.format ?? 'text';
  const isLong = !schema.format && /^(prompt|input|message|question|query|text|content|instructions?)$/i.test(name);
  const input = area({ rows: isLong ? 3 : 1, spellcheck: isLong });
  const base = labelled(name, kind, required, input);
  if (!schema.format) base.node.classList.add('wide');
  return {
    ...base,
    read: () => ({ text: input.value === '' && !required ? undefined : JSON.stringify(input.value) }),
    fill(text) {
      if (text !== undefined && kindOf(text) !== 'string') return mismatch(name, 'text', text);
      input.value = text === undefined ? '' : JSON.parse(text);
      fit(input);
    },
  };
}

function numberControl(name, schema, required) {
  const isWhole = schema.type === 'integer';
  const { minimum, maximum } = schema;
  let kind = isWhole ? 'integer' : 'number';
  if (minimum === 0) kind += maximum <= 0xffff ? ` 0–${maximum}` : ' ≥ 0';
  else if (maximum <= 0xffff) kind += ` ${minimum} to ${maximum}`;
  const input = element('input', { type: 'text', inputMode: isWhole ? 'numeric' : 'decimal', autocomplete: 'off' });
  const base = labelled(name, kind, required, input);
  const problem = () => {
    const value = input.value.trim();
    if (value === '') return required ? `this needs a ${isWhole ? 'whole number' : 'number'}` : undefined;
    if (!/^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(value)) return 'this is not a number';
    if (!isWhole) return undefined;
    if (!/^-?\d+$/.test(value)) return 'this is not a whole number';
    if (minimum === 0 && value[0] === '-') return 'this cannot be below 0';
    if (Number(value) > maximum) return `this is over ${maximum}`;
    if (Number(value) < minimum) return `this is below ${minimum}`;
  };
  input.addEventListener('input', () => { if (input.hasAttribute('aria-invalid')) base.complain(problem()); });
  input.addEventListener('blur', () => { if (input.value.trim() !== '') base.complain(problem()); });
  return {
    ...base,
    read() {
      const value = input.value.trim();
      const wrong = problem();
      // As it was typed: no digit is lost, and what is no number survives a change to JSON.
      if (value === '') return { problem: wrong };
      return wrong && fault(value) ? { text: JSON.stringify(value), problem: wrong } : { text: value, problem: wrong };
    },
    fill(text) {
      if (text !== undefined && kindOf(text) !== 'number') return mismatch(name, 'a number', text);
      input.value = text?.trim() ?? '';
      base.complain();
    },
  };
}

function tickControl(name) {
  const input = element('input', { type: 'checkbox' });
  const base = labelled(name, 'yes or no', true, input);
  const [label, , hint] = base.node.children;
  base.node.replaceChildren(element('div', { className: 'tick' }, input, label), hint);
  return {
    ...base,
    read: () => ({ text: String(input.checked) }),
    fill(text) {
      if (text !== undefined && kindOf(text) !== 'boolean') return mismatch(name, 'true or false', text);
      input.checked = text?.trim() === 'true';
    },
  };
}

/** One of some JSON texts. */
function choiceControl(name, schema, required, choices) {
  const input = element('select', {},
    ...required ? [] : [element('option', { value: '' }, 'not sent')],
    ...choices.map((choice) => element('option', { value: choice }, choice.replace(/^"|"$/g, ''))));
  return {
    ...labelled(name, schema.title ?? 'choice', required, input),
    read: () => ({ text: input.value || undefined }),
    fill(text) {
      const choice = text === undefined ? '' : JSON.stringify(JSON.parse(text));
      if (text !== undefined && !choices.includes(choice)) return mismatch(name, `one of ${choices.join(', ')}`, text);
      input.value = choice;
      if (input.selectedIndex < 0) input.selectedIndex = 0;
    },
  };
}

function jsonControl(name, schema, required) {
  const kinds = { array: 'list, as JSON', object: 'object, as JSON', null: 'null' };
  const start = { array: '[]', object: '{}' }[schema.type] ?? 'null';
  const input = area({ className: 'code', value: required ? start : '' });
  const base = labelled(name, kinds[schema.type] ?? (schema.title ? `${schema.title}, as JSON` : 'JSON'), required, input);
  base.node.classList.add('wide');
  const problem = () => {
    const value = input.value.trim();
    if (value === '') return required ? 'this needs a JSON value' : undefined;
    const wrong = fault(value);
    if (wrong) return `not JSON: ${wrong}`;
    if (schema.type && schema.type !== kindOf(value)) return `this has to be ${schema.type === 'array' ? 'a list: [ … ]' : `of type ${schema.type}`}`;
  };
  input.addEventListener('input', () => { if (input.hasAttribute('aria-invalid')) base.complain(problem()); });
  input.addEventListener('blur', () => base.complain(problem()));
  return {
    ...base,
    read() {
      const value = input.value.trim();
      const wrong = problem();
      if (value === '') return { problem: wrong };
      return fault(value) ? { text: JSON.stringify(value), problem: wrong } : { text: value, problem: wrong };
    },
    fill(text) {
      input.value = text === undefined ? (required ? start : '') : laidOut(text);
      base.complain();
      fit(input);
    },
  };
}

function objectControl(name, schema, required) {
  const fields = Object.entries(schema.properties).map(([key, child]) =>
    [key, control(key, child, schema.required?.includes(key) ?? false)]);
  const others = schema.additionalProperties && jsonControl('other fields', { type: 'object' }, false);
  const isRoot = name === '';
  const body = element('fieldset', { className: 'fields' });
  const isSent = element('input', { type: 'checkbox', checked: required });
  const show = () => {
    body.classList.toggle('folded', !isSent.checked);
    for (const child of body.querySelectorAll(':scope > .field, :scope > .fields')) child.hidden = !isSent.checked;
  };
  if (!isRoot) {
    const title = [name, ' ', element('span', { className: 'kind' }, schema.title ?? 'object', required ? '' : ' · optional')];
    body.append(element('legend', {}, required ? element('span', {}, ...title) : element('label', { className: 'tick' }, isSent, element('span', {}, ...title))));
  }
  body.append(...fields.map(([, field]) => field.node), ...others ? [others.node] : []);
  isSent.addEventListener('change', show);
  show();
  return {
    node: body,
    focus: () => (fields[0]?.[1] ?? others)?.focus(),
    read() {
      if (!isRoot && !isSent.checked) return {};
      const parts = [];
      const faults = [];
      for (const [key, field] of [...fields, ...others ? [[undefined, others]] : []]) {
        const { text, problem, faults: inner = [] } = field.read();
        faults.push(...inner, ...problem ? [{ field, problem }] : []);
        if (text === undefined) continue;
        if (field !== others) parts.push([key, text]);
        else if (!problem) parts.push(...members(text));
      }
      return { text: objectText(parts), faults };
    },
    fill(text) {
      if (text !== undefined && kindOf(text) !== 'object') return mismatch(name || 'the request', 'an object', text);
      const values = text === undefined ? new Map() : members(text);
      isSent.checked = required || text !== undefined;
      show();
      for (const [key, field] of fields) {
        const value = values.get(key);
        const isLeftOut = value === 'null' && !schema.required?.includes(key);
        const misfit = field.fill(isLeftOut ? undefined : value);
        if (misfit) return misfit;
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

function mismatch(name, expected, text) {
  const shown = text.length > 40 ? `${text.slice(0, 40)}…` : text;
  return `“${name || 'the request'}” takes ${expected}, not ${shown}`;
}
