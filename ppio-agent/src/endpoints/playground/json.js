// JSON as text. A number such as 9007199254740993 does not survive JSON.parse; here nothing is lost,
// because values stay the text that they came as.

const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|[{}[\],:]/g;

/** What is wrong with a JSON text, or undefined. */
function fault(text) {
  try {
    JSON.parse(text);
  } catch (error) {
    return error.message;
  }
}

/** `object`, `array`, `string`, `number`, `boolean` or `null`. */
function kindOf(text) {
  const first = text.trimStart()[0];
  return { '{': 'object', '[': 'array', '"': 'string', t: 'boolean', f: 'boolean', n: 'null' }[first] ?? 'number';
}

/** The members of a valid JSON object, each with the text of its value. */
function members(text) {
  const found = new Map();
  let depth = 0, key, start, end;
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    const isClosing = token === '}' || token === ']';
    if (isClosing) depth -= 1;
    if (depth === 1 && (token === ',' ) || depth === 0 && isClosing) {
      if (key !== undefined) found.set(key, text.slice(start, end));
      key = start = undefined;
    } else if (depth === 1 && key === undefined) {
      key = JSON.parse(token);
    } else if (depth >= 1 && token !== ':' || depth > 1) {
      start ??= index;
      end = index + token.length;
    }
    if (token === '{' || token === '[') depth += 1;
  }
  return found;
}

/**
 * The tokens of a valid JSON text with the white space that makes it readable: `[class, text]`. What fits
 * into `width` characters stays on one line.
 */
function* pretty(text, width) {
  const tokens = [...text.matchAll(TOKEN)].map((match) => match[0]);
  // Where the flat part around the current token ends; outside of one, before the token.
  let flatTo = -1;
  let indent = '';
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i];
    const isFlat = i <= flatTo;
    if (token === '{' || token === '[') {
      if (!isFlat) flatTo = Math.max(flatTo, endOfFlat(tokens, i, width));
      if (i > flatTo) indent += '  ';
      yield ['', i > flatTo ? `${token}\n${indent}` : token];
    } else if (token === '}' || token === ']') {
      if (!isFlat) indent = indent.slice(2);
      yield ['', isFlat ? token : `\n${indent}${token}`];
    } else if (token === ',') {
      yield ['', isFlat ? ', ' : `,\n${indent}`];
    } else if (token === ':') {
      yield ['', ': '];
    } else if (token[0] === '"') {
      yield [tokens[i + 1] === ':' ? 'key' : 'string', token];
    } else {
      yield [/[a-z]/.test(token[0]) ? 'word' : 'number', token];
    }
  }
}

/** The index of the bracket that closes the one at `start`, where that is within `width`; else -1. */
function endOfFlat(tokens, start, width) {
  let depth = 0, length = 0;
  for (let i = start; i < tokens.length; i++) {
    const token = tokens[i];
    length += token.length + (token === ',' || token === ':' ? 1 : 0);
    if (token === '{' || token === '[') depth += 1;
    if (token === '}' || token === ']') depth -= 1;
    if (depth === 0) return length <= width || i === start + 1 ? i : -1;
    if (length > width && i > start) return -1;
  }
  return -1;
}

/** A valid JSON text, laid out for an editor: a line for each member. */
function laidOut(text) {
  return [...pretty(text, 0)].map(([, part]) => part).join('');
}

/** Longer texts are shown as they are: colours would cost seconds. */
const COLOURED = 200_000;
const SHOWN = 2_000_000;
/** What is shown on one line. */
const LINE = 80;

/** An element that shows JSON, or any text that is none. */
function jsonView(text) {
  const view = element('pre', { className: 'json' });
  if (text.length > COLOURED || fault(text)) {
    view.append(text.length > SHOWN ? `${text.slice(0, SHOWN)}\n… cut here; Copy has all of it` : text);
    return view;
  }
  for (const [kind, part] of pretty(text, LINE)) {
    view.append(kind ? element('span', { className: kind }, part) : part);
  }
  return view;
}
