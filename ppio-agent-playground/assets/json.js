// JSON as text. JSON.parse rounds numbers such as 9007199254740993; the text keeps every digit.

const TOKEN =
  /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|[{}[\],:]/g;

/** Returns the parser's message for a text that is not JSON; undefined for valid JSON. */
function jsonError(text) {
  try {
    JSON.parse(text);
  } catch (error) {
    return error.message;
  }
}

/** Returns the type of a JSON text: `object`, `array`, `string`, `number`, `boolean` or `null`. */
function jsonType(text) {
  const first = text.trimStart()[0];
  return (
    { '{': 'object', '[': 'array', '"': 'string', t: 'boolean', f: 'boolean', n: 'null' }[first] ??
    'number'
  );
}

/** Whether a JSON value is an object. */
function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Returns a JSON value if it is a string, otherwise undefined. */
function textOf(value) {
  return typeof value === 'string' ? value : undefined;
}

/** The deepest nesting of a JSON text that is formatted; deeper texts are shown unchanged. */
const MAX_DEPTH = 200;

/** Whether a valid JSON text nests objects and arrays more deeply than `limit`. */
function isDeeper(text, limit) {
  // Each level takes at least two characters, its brackets.
  if (text.length <= 2 * limit) return false;
  let depth = 0,
    isString = false;
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (isString) {
      if (character === '\\') i += 1;
      else if (character === '"') isString = false;
    } else if (character === '"') isString = true;
    else if (character === '{' || character === '[') {
      depth += 1;
      if (depth > limit) return true;
    } else if (character === '}' || character === ']') depth -= 1;
  }
  return false;
}

/**
 * Returns the members of a valid JSON text, as a map from name to the text of the value. The map is
 * empty if the text is not an object.
 */
function members(text) {
  const found = new Map();
  if (jsonType(text) !== 'object') return found;
  let depth = 0,
    key,
    start,
    end;
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    const isClosing = token === '}' || token === ']';
    if (isClosing) depth -= 1;
    if ((depth === 1 && token === ',') || (depth === 0 && isClosing)) {
      if (key !== undefined) found.set(key, text.slice(start, end));
      key = start = undefined;
    } else if (depth === 1 && key === undefined) {
      key = JSON.parse(token);
    } else if ((depth >= 1 && token !== ':') || depth > 1) {
      start ??= index;
      end = index + token.length;
    }
    if (token === '{' || token === '[') depth += 1;
  }
  return found;
}

/** The deepest level that is indented further than the level above it. */
const MAX_INDENTED = 40;

/**
 * Yields the tokens of a valid JSON text with line breaks and indentation, as `[class, text]`.
 * Objects and arrays of up to `width` characters stay on one line.
 */
function* prettyTokens(text, width) {
  const tokens = [...text.matchAll(TOKEN)].map((match) => match[0]);
  // The index of the last token of the latest object or array that is put on one line.
  let inlineTo = -1;
  let depth = 0;
  const indent = () => '  '.repeat(Math.min(depth, MAX_INDENTED));
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i];
    const isInline = i <= inlineTo;
    if (token === '{' || token === '[') {
      if (!isInline) inlineTo = Math.max(inlineTo, inlineEnd(tokens, i, width));
      if (i > inlineTo) depth += 1;
      yield ['', i > inlineTo ? `${token}\n${indent()}` : token];
    } else if (token === '}' || token === ']') {
      if (!isInline) depth -= 1;
      yield ['', isInline ? token : `\n${indent()}${token}`];
    } else if (token === ',') {
      yield ['', isInline ? ', ' : `,\n${indent()}`];
    } else if (token === ':') {
      yield ['', ': '];
    } else if (token[0] === '"') {
      yield [tokens[i + 1] === ':' ? 'key' : 'string', token];
    } else {
      yield [/[a-z]/.test(token[0]) ? 'word' : 'number', token];
    }
  }
}

/** Returns the index of the bracket that closes `start`, or -1 if it is beyond `width`. */
function inlineEnd(tokens, start, width) {
  let depth = 0,
    length = 0;
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

/** Returns a valid JSON text with a line for each member; unchanged if it is nested too deeply. */
function indented(text) {
  if (isDeeper(text, MAX_DEPTH)) return text;
  return [...prettyTokens(text, 0)].map(([, part]) => part).join('');
}

/** The longest text that is highlighted, in characters: more would take seconds. */
const MAX_HIGHLIGHTED = 200_000;
/** The longest text that is shown, in characters. */
const MAX_SHOWN = 2_000_000;
/** The longest object or array that is shown on one line, in characters. */
const LINE_WIDTH = 80;

/** Returns an element that shows a text, highlighted if it is JSON and not too long or deep. */
function jsonView(text) {
  const view = element('pre', { className: 'json' });
  if (text.length > MAX_HIGHLIGHTED || jsonError(text) || isDeeper(text, MAX_DEPTH)) {
    view.append(
      text.length > MAX_SHOWN
        ? `${text.slice(0, MAX_SHOWN)}\n… cut here; Copy has the full text`
        : text,
    );
    return view;
  }
  for (const [kind, part] of prettyTokens(text, LINE_WIDTH)) {
    view.append(kind ? element('span', { className: kind }, part) : part);
  }
  return view;
}
