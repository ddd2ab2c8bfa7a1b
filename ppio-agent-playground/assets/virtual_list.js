// A long list of rows of one height, with elements only for the rows in sight.

let lists = 0;

/**
 * A list box. `row(item, index)` returns the children of a row. `choose(item, index)` is called for
 * a click, Enter and Space, and with `follows` also when a key moves the active row.
 * `key(item, index)` identifies an item, so that its row is reused after `set` with other items.
 */
class VirtualList {
  #items = [];
  /** The elements of the rows in sight, by the keys of their items. */
  #rows = new Map();
  /** How many items are shown; the array may grow meanwhile. */
  #count = 0;
  #active = -1;
  #chosen = -1;
  #frame;
  #id = `list-${(lists += 1)}`;

  constructor({ label, height, row, choose, key = (item, index) => index, follows = false }) {
    Object.assign(this, { height, row, choose, key, follows });
    this.spacer = element('div', { className: 'rows' });
    this.node = element(
      'div',
      {
        className: 'virtual',
        role: 'listbox',
        tabIndex: 0,
        'aria-label': label,
        onscroll: () => this.#renderSoon(),
        onkeydown: (event) => this.#key(event),
        onclick: (event) => {
          const index = event.target.closest('[role=option]')?.dataset.index;
          if (index !== undefined) this.#move(Number(index), true);
        },
      },
      this.spacer,
    );
    new ResizeObserver(() => this.#renderSoon()).observe(this.node);
  }

  /** Replaces the items. The array may be the same as before, with items appended. */
  set(items, chosen) {
    this.#items = items;
    this.#count = items.length;
    this.#chosen = items.indexOf(chosen);
    this.#active = this.#chosen >= 0 ? this.#chosen : Math.min(this.#active, items.length - 1);
    this.#renderSoon();
  }

  /** Sets the height of the rows, in pixels, and keeps the scroll position. */
  resize(height) {
    if (height === this.height) return;
    this.node.scrollTop *= height / this.height;
    this.height = height;
    this.#renderSoon();
  }

  get isAtEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.node;
    return scrollHeight - scrollTop - clientHeight < this.height;
  }

  scrollToEnd() {
    this.#resizeSpacer();
    this.node.scrollTop = this.node.scrollHeight;
  }

  /** Gives the scrolled area the height of all rows. */
  #resizeSpacer() {
    this.spacer.style.height = `${this.#count * this.height}px`;
  }

  #key(event) {
    const page = Math.max(1, Math.floor(this.node.clientHeight / this.height) - 1);
    const last = this.#count - 1;
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page }[event.key];
    let next;
    if (step) next = Math.max(0, Math.min(last, this.#active + step));
    else if (event.key === 'Home') next = 0;
    else if (event.key === 'End') next = last;
    else if (event.key === 'Enter' || event.key === ' ') next = this.#active;
    else return;
    if (event.ctrlKey || event.metaKey || last < 0) return;
    event.preventDefault();
    this.#move(next, this.follows || event.key === 'Enter' || event.key === ' ');
  }

  #move(index, isChoice) {
    this.#active = Math.max(0, index);
    if (isChoice) {
      this.#chosen = this.#active;
      // `choose` may shrink the list, so the size is read after it.
      this.choose(this.#items[this.#active], this.#active);
    }
    // A position beyond the previous end could not be scrolled to.
    this.#resizeSpacer();
    const top = this.#active * this.height;
    const { scrollTop, clientHeight } = this.node;
    if (top < scrollTop) this.node.scrollTop = top;
    else if (top + this.height > scrollTop + clientHeight)
      this.node.scrollTop = top + this.height - clientHeight;
    this.#render();
  }

  #renderSoon() {
    this.#frame ??= requestAnimationFrame(() => this.#render());
  }

  #render() {
    this.#frame = undefined;
    const { height, node, spacer } = this;
    this.#resizeSpacer();
    const first = Math.max(0, Math.floor(node.scrollTop / height) - 5);
    const end = Math.min(this.#count, first + Math.ceil(node.clientHeight / height) + 10);
    const rows = new Map();
    for (let index = first; index < end; index++) {
      const item = this.#items[index];
      const key = this.key(item, index);
      const fresh = element(
        'div',
        {
          id: `${this.#id}-${index}`,
          role: 'option',
          className: index === this.#active ? 'row active' : 'row',
          'aria-selected': String(index === this.#chosen),
          'aria-setsize': String(this.#count),
          'aria-posinset': String(index + 1),
          'data-index': String(index),
        },
        ...this.row(item, index),
      );
      fresh.style.top = `${index * height}px`;
      fresh.style.height = `${height}px`;
      // A second item with the same key is shown too.
      if (rows.has(key)) rows.set(fresh, fresh);
      else rows.set(key, updatedRow(this.#rows.get(key), fresh));
    }
    for (const [key, row] of this.#rows) if (rows.get(key) !== row) row.remove();
    let next = spacer.firstChild;
    for (const row of rows.values()) {
      if (row === next) next = next.nextSibling;
      else spacer.insertBefore(row, next);
    }
    this.#rows = rows;
    const isActiveInSight = this.#active >= first && this.#active < end;
    if (isActiveInSight) node.setAttribute('aria-activedescendant', `${this.#id}-${this.#active}`);
    else node.removeAttribute('aria-activedescendant');
  }
}

/**
 * Updates `row` in place to equal `fresh`, and returns it; returns `fresh` if there is no row. The
 * element is kept, since a click is lost if its element is replaced between press and release.
 */
function updatedRow(row, fresh) {
  if (!row) return fresh;
  if (!row.isEqualNode(fresh)) {
    for (const { name, value } of fresh.attributes) {
      // The page's content security policy refuses `style` as an attribute.
      if (name !== 'style') row.setAttribute(name, value);
    }
    row.style.cssText = fresh.style.cssText;
    row.replaceChildren(...fresh.childNodes);
  }
  return row;
}
