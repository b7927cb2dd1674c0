// Elements and texts. What comes from outside becomes text nodes and never markup.

const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\p{Cs}]/gu;

/** A text from outside, with what cannot be seen, or turns the direction of writing, spelled out; bytes that are no text, too. */
function visible(text) {
  return String(text).replace(HIDDEN, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

const get = (id) => document.getElementById(id);

/** An element with attributes and children; a child that is no element becomes a text. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === 'class') element.className = value;
    else element.setAttribute(name, value === true ? '' : value);
  }
  for (const child of children.flat()) {
    if (child !== null && child !== undefined) element.append(child);
  }
  return element;
}

/** A text from outside that cannot disturb the direction of its surroundings. */
function name(text, attributes = {}) {
  return make('bdi', attributes, visible(text));
}

function swatch(label) {
  const element = make('span', { class: 'swatch', 'aria-hidden': 'true' });
  element.style.setProperty('--colour', colours.get(label) || '#8a8f98');
  return element;
}

/** A picture, or a plain field where there is none. */
function image(kind, index, description, attributes = {}) {
  const source = picture(kind, index);
  if (source === null) return make('span', { class: `blank ${attributes.class || ''}`, role: 'img', 'aria-label': `${description}: no picture` }, 'no picture');
  const element = make('img', { alt: description, decoding: 'async', ...attributes });
  element.src = source;
  return element;
}

function bar(share, label, attributes = {}) {
  const element = make('span', { class: 'meter', 'aria-hidden': 'true', ...attributes });
  element.style.setProperty('--share', String(Math.max(0, Math.min(1, share))));
  element.style.setProperty('--colour', colours.get(label) || 'var(--accent)');
  return element;
}

const percent = (share) => `${(100 * share).toFixed(1)}%`;
const fileName = (path) => path.split(/[\\/]/).pop() || path;
/** What names a region beside its image's name. */
function regionName(region) {
  const whole = fileName(region.source);
  const image = fileName(region.image);
  return whole.startsWith(image) ? whole.slice(image.length) : whole;
}
const plural = (count, what) => `${count.toLocaleString('en')} ${what}${count === 1 ? '' : 's'}`;
