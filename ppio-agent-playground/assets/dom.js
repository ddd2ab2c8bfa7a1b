// Elements, focus, clipboard and storage. Elements are created from text, never from markup.

const $ = (id) => document.getElementById(id);

/** Creates an element with properties and children. Strings become text nodes. */
function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith('on')) made.addEventListener(key.slice(2), value);
    else if (key in made && key !== 'list') made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== undefined && child !== null));
  return made;
}

/** Announces a text to screen readers. */
function announce(text) {
  $('announce').textContent = text;
}

/**
 * Turns buttons into a tab list with one tab stop, in which the arrow keys move the focus. Calls
 * `choose` with the value of the new tab. Returns the function that marks a tab as selected.
 */
function tabs(list, choose) {
  const all = [...list.querySelectorAll('[role=tab]')];
  const select = (value) => {
    for (const tab of all) {
      const selected = tab.dataset.value === value;
      tab.setAttribute('aria-selected', selected);
      tab.tabIndex = selected ? 0 : -1;
    }
  };
  for (const tab of all) tab.addEventListener('click', () => choose(tab.dataset.value));
  list.addEventListener('keydown', (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const visible = all.filter((tab) => !tab.hidden);
    let next;
    if (step)
      next =
        visible[(visible.indexOf(document.activeElement) + step + visible.length) % visible.length];
    if (event.key === 'Home') next = visible[0];
    if (event.key === 'End') next = visible.at(-1);
    if (!next) return;
    event.preventDefault();
    next.focus();
    choose(next.dataset.value);
  });
  return select;
}

/** The largest height of a text area, in pixels. */
const MAX_AREA_HEIGHT = 420;

/** Sets the height of a text area to that of its text. */
function fitHeight(area) {
  if (area.offsetParent === null) return;
  area.style.height = 'auto';
  area.style.height = `${Math.min(area.scrollHeight + 2, MAX_AREA_HEIGHT)}px`;
}

/** Copies a text. Browsers offer the clipboard on https and localhost only, hence the fallback. */
async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = element('textarea', { value: text, className: 'hidden' });
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
    button.focus();
  }
  const label = button.textContent;
  button.textContent = 'Copied';
  announce('Copied');
  setTimeout(() => {
    button.textContent = label;
  }, 1200);
}

/** Returns a random id. Browsers offer `crypto.randomUUID` on https and localhost only. */
function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** A storage of the browser. Where it is disabled, only history, drafts and theme are lost. */
function storeIn(storage) {
  return {
    read(key, fallback) {
      try {
        return JSON.parse(storage().getItem(`playground.${key}`)) ?? fallback;
      } catch {
        return fallback;
      }
    },
    /** Writes a value as JSON. Returns whether the write succeeded. */
    write(key, value) {
      try {
        storage().setItem(`playground.${key}`, JSON.stringify(value));
        return true;
      } catch {
        return false;
      }
    },
  };
}
const store = storeIn(() => localStorage);
/** The storage of this tab, which survives reloads. */
const tabStore = storeIn(() => sessionStorage);
