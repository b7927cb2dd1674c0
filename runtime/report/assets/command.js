// The command that adds a region to the support, under the class that a person says it is of.

const PLAIN = /^[\w@%+=:,./-]+$/;

/** A text as one word of a shell: names with blanks, quotes or line feeds, and bytes that are no text, come back whole. */
function shellWord(text) {
  if (PLAIN.test(text)) return text;
  if (text.search(HIDDEN) < 0) return `'${text.replaceAll("'", "'\\''")}'`;
  const inside = text.replace(/[\\']/g, '\\$&').replace(HIDDEN, (sign) => bytesOf(sign).map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join(''));
  return `$'${inside}'`;
}

/** The bytes of a sign in UTF-8; a byte of a file name that is no text stands as a half of a surrogate pair. */
function bytesOf(sign) {
  const code = sign.charCodeAt(0);
  if (sign.length === 1 && code >= 0xdc80 && code <= 0xdcff) return [code - 0xdc00];
  return [...new TextEncoder().encode(sign)];
}

function addCommand(region, label) {
  const { before, after } = data.add;
  // In one word with its option, a class may begin with a dash.
  return [...before, ...region.add, ...after, `--label=${label}`].map(shellWord).join(' ');
}

/** Where a person says the class of a region and copies the command; open where the class is in doubt. */
function adding(region) {
  if (!data.add || !region.add) return [];
  const field = make('input', { id: 'add-label', type: 'text', list: 'add-labels', autocomplete: 'off', spellcheck: 'false' });
  field.value = region.wrong && region.annotated !== null ? region.annotated : '';
  const button = make('button', { type: 'button' }, 'Copy the command');
  const shown = make('code', { class: 'command', tabindex: '0' });
  const said = make('span', { class: 'muted', role: 'status' });
  const update = () => {
    const label = field.value.trim();
    button.disabled = label === '';
    shown.hidden = label === '';
    shown.textContent = label === '' ? '' : addCommand(region, label);
    said.textContent = '';
  };
  field.addEventListener('input', update);
  button.addEventListener('click', async () => {
    said.textContent = (await copied(shown.textContent)) ? 'Copied.' : 'Copy it from below.';
  });
  update();
  const names = make('datalist', { id: 'add-labels' }, classes.filter((item) => known.has(item.name)).map((item) => make('option', { value: item.name })));
  return [make('details', { class: 'adding', open: region.wrong || region.unknown || region.review },
    make('summary', {}, 'Add this region to the support'),
    make('div', { class: 'line' }, make('label', { for: 'add-label' }, 'as'), field, names, button, said),
    shown,
    make('p', { class: 'muted small' }, 'To be run in the folder in which the images were classified.'))];
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch { /* not every browser lets a file do that */ }
  const area = make('textarea', { class: 'spoken' });
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  return done;
}
