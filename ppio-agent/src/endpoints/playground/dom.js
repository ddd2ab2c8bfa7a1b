// The page's elements. Everything that is shown is made of elements and text here, never of markup.

const $ = (id) => document.getElementById(id);

/** An element with properties and children; strings become text. */
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

/** Tells a screen reader. */
function announce(text) {
  $('announce').textContent = text;
}

/** A tab list: arrow keys move, one tab stop. Calls `choose` with the value of the new tab. */
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
    const shown = all.filter((tab) => !tab.hidden);
    let next;
    if (step) next = shown[(shown.indexOf(document.activeElement) + step + shown.length) % shown.length];
    if (event.key === 'Home') next = shown[0];
    if (event.key === 'End') next = shown.at(-1);
    if (!next) return;
    event.preventDefault();
    next.focus();
    choose(next.dataset.value);
  });
  return select;
}

/** Makes a text area as high as its text, within reason. */
function fit(area) {
  if (area.offsetParent === null) return;
  area.style.height = 'auto';
  area.style.height = `${Math.min(area.scrollHeight + 2, 420)}px`;
}

/** Copies a text; the clipboard is there on https and localhost only, hence the second way. */
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
  setTimeout(() => { button.textContent = label; }, 1200);
}

/** What is kept in the browser. A browser that keeps nothing loses nothing but the history. */
const store = {
  read(key, otherwise) {
    try {
      return JSON.parse(localStorage.getItem(`playground.${key}`)) ?? otherwise;
    } catch {
      return otherwise;
    }
  },
  /** Whether there was room. */
  write(key, value) {
    try {
      localStorage.setItem(`playground.${key}`, JSON.stringify(value));
      return true;
    } catch {
      return false;
    }
  },
};
