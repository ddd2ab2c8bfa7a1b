// The state that an agent shares with the page, and updates with JSON Patch (RFC 6902).

/** The most characters of JSON that an answer's patches may copy: a copy can double the state. */
const MAX_COPIED = 2_000_000;
/** The deepest nesting of a state that is sent back. Parsers of JSON refuse more than about 128. */
const MAX_STATE_DEPTH = 100;

class SharedState {
  /** Holds the state in the member `value`, so that the empty pointer has a parent and a key. */
  #root = { value: undefined };
  #copyBudget = MAX_COPIED;

  set(value) {
    this.#root = { value };
  }

  /** Applies the operations of a patch. Skips those that fail: the agent has the correct state. */
  apply(operations) {
    for (const operation of operations) {
      try {
        this.#applyOperation(operation);
      } catch {
        // The failed operation is skipped.
      }
    }
  }

  /** The state as JSON; undefined if there is none, or if it is too deeply nested to send back. */
  get text() {
    try {
      const text = JSON.stringify(this.#root.value);
      return text === undefined || isDeeper(text, MAX_STATE_DEPTH) ? undefined : text;
    } catch {
      return undefined;
    }
  }

  #applyOperation(operation) {
    const { op, path, from } = operation;
    switch (op) {
      case 'add':
        return this.#add(path, givenValue(operation));
      case 'replace':
        return putMember(this.#existing(path), givenValue(operation));
      case 'remove':
        return takeMember(this.#existing(path));
      case 'copy':
        return this.#add(path, this.#copy(this.#existing(from)));
      case 'move':
        return this.#move(from, path);
    }
  }

  #add(pointer, value) {
    const { parent, key } = this.#resolve(pointer);
    if (!Array.isArray(parent)) return putMember({ parent, key }, value);
    const isEnd = key === '-' || key === String(parent.length);
    if (!isEnd && !hasMember({ parent, key })) throw new RangeError('there is no such element');
    parent.splice(isEnd ? parent.length : Number(key), 0, value);
  }

  #move(from, path) {
    if (path.startsWith(`${from}/`)) throw new RangeError('a value cannot be moved into itself');
    const value = takeMember(this.#existing(from));
    try {
      this.#add(path, value);
    } catch (error) {
      this.#add(from, value);
      throw error;
    }
  }

  #copy({ parent, key }) {
    if (this.#copyBudget <= 0) throw new RangeError('too much is copied');
    const text = JSON.stringify(parent[key]);
    this.#copyBudget -= text.length;
    if (this.#copyBudget <= 0) throw new RangeError('too much is copied');
    return JSON.parse(text);
  }

  #existing(pointer) {
    const member = this.#resolve(pointer);
    if (!hasMember(member)) throw new RangeError('there is no such member');
    return member;
  }

  /** Resolves a JSON pointer to the object or array that contains the member, and the key in it. */
  #resolve(pointer) {
    if (pointer !== '' && pointer[0] !== '/') throw new RangeError('this is not a pointer');
    const names = pointer.split('/').slice(1);
    const keys = names.map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'));
    let member = { parent: this.#root, key: 'value' };
    for (const key of keys) {
      if (!hasMember(member)) throw new RangeError('there is no such member');
      member = { parent: member.parent[member.key], key };
    }
    return member;
  }
}

function givenValue(operation) {
  if (!Object.hasOwn(operation, 'value')) throw new RangeError('the operation has no value');
  return operation.value;
}

/** Whether a member is an own property: inherited ones, such as `constructor`, do not count. */
function hasMember({ parent, key }) {
  if (Array.isArray(parent)) return /^(0|[1-9]\d*)$/.test(key) && Number(key) < parent.length;
  return isObject(parent) && Object.hasOwn(parent, key);
}

/** Defines an own property, because assigning to `__proto__` would change the prototype. */
function putMember({ parent, key }, value) {
  if (typeof parent !== 'object' || parent === null) throw new RangeError('only objects have members');
  Object.defineProperty(parent, key, { value, enumerable: true, writable: true, configurable: true });
}

function takeMember({ parent, key }) {
  const value = parent[key];
  if (Array.isArray(parent)) parent.splice(Number(key), 1);
  else delete parent[key];
  return value;
}
