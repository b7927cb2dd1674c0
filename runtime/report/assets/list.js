// The list: only the rows near the window exist, so that it does not matter how many regions there are.

const list = get('list');
const rows = new Map();
const OVERSCAN = 6;
let selected = null;
let waiting = false;

const rowHeight = () => parseFloat(getComputedStyle(list).getPropertyValue('--row'));

function resetList() {
  for (const row of rows.values()) row.remove();
  rows.clear();
  list.style.setProperty('--rows', String(shown.length));
  drawRows();
}

function drawRows() {
  waiting = false;
  if (list.offsetParent === null) return;
  const height = rowHeight();
  const above = -list.getBoundingClientRect().top;
  const first = Math.max(0, Math.floor(above / height) - OVERSCAN);
  const last = Math.min(shown.length, Math.ceil((above + window.innerHeight) / height) + OVERSCAN);
  for (const [place, row] of rows) {
    if (place < first || place >= last) {
      row.remove();
      rows.delete(place);
    }
  }
  for (let place = first; place < last; place += 1) {
    if (!rows.has(place)) {
      const row = makeRow(shown[place], place);
      rows.set(place, row);
      list.append(row);
    }
  }
  markSelected();
}

function makeRow(region, place) {
  const row = make('div', { class: 'row', role: 'option', id: `row-${region.index}`, 'aria-posinset': place + 1, 'aria-setsize': shown.length });
  row.style.setProperty('--place', String(place));
  const picture = make('span', { class: 'thumb' }, image('crop', region.index, ''));
  const heading = make('span', { class: 'heading' }, swatch(region.called), name(region.called, { class: 'label' }), nearestClass(region), verdict(region), review(region), damage(region));
  const file = make('span', { class: 'file muted' }, name(fileName(region.image)), regionName(region) ? ' \u00b7 ' : '', name(regionName(region)));
  row.append(picture, make('span', { class: 'middle' }, heading, bar(region.probability, region.called), file));
  row.append(make('span', { class: 'value' }, percent(region.probability)));
  row.addEventListener('click', () => { select(region); openDetail(); });
  return row;
}

/** Of an unknown region, the class it is nearest to, which is the one that the probability is for. */
function nearestClass(region) {
  if (!region.unknown || !region.more.nearest_class) return null;
  return make('span', { class: 'badge muted' }, 'nearest ', name(region.more.nearest_class));
}

/** Whether the class is the labelled one, in a sign and in words. */
function verdict(region) {
  if (region.annotated === null) return null;
  if (!region.wrong) return make('span', { class: 'badge right', title: 'as labelled' }, '\u2713', make('span', { class: 'spoken' }, ' as labelled'));
  return make('span', { class: 'badge wrong' }, '\u2717 ', make('span', { class: 'wordy' }, 'labelled '), name(region.annotated));
}

/** That a human looks at the region. */
function review(region) {
  return region.review ? make('span', { class: 'badge review', title: 'not certain enough to go without a human' }, 'look at') : null;
}

/** That the image is damaged; what is missing of it stands among the facts as well. */
function damage(region) {
  const text = region.more && region.more.damaged;
  return text ? make('span', { class: 'badge damaged', title: visible(text) }, 'damaged') : null;
}

function markSelected() {
  for (const row of rows.values()) row.setAttribute('aria-selected', String(selected !== null && row.id === `row-${selected.index}`));
  const active = selected !== null && get(`row-${selected.index}`);
  if (active) list.setAttribute('aria-activedescendant', active.id);
  else list.removeAttribute('aria-activedescendant');
}

/** Selects a region everywhere: list, detail, map, address. */
function select(region) {
  selected = region;
  showDetail(region);
  markSelected();
  drawMap();
  try {
    history.replaceState(history.state, '', `#region-${region.index}`);
  } catch { /* a page in a frame may not */ }
}

/** Selects the region so many places further in the list, and brings it into sight. */
function step(by) {
  if (!shown.length) return;
  const inside = selected !== null && shown[selected.place] === selected;
  const from = inside ? selected.place : by > 0 ? -1 : shown.length;
  select(shown[Math.max(0, Math.min(shown.length - 1, from + by))]);
  bringIntoSight();
}

function bringIntoSight() {
  if (selected === null || list.offsetParent === null) return;
  const height = rowHeight();
  const top = list.getBoundingClientRect().top + selected.place * height;
  const covered = document.querySelector('.bar').getBoundingClientRect().bottom;
  if (top < covered) window.scrollBy(0, top - covered - 8);
  else if (top + height > window.innerHeight) window.scrollBy(0, top + height - window.innerHeight + 8);
  drawRows();
}

function setUpList() {
  const later = () => {
    if (!waiting) {
      waiting = true;
      requestAnimationFrame(drawRows);
    }
  };
  window.addEventListener('scroll', later, { passive: true });
  window.addEventListener('resize', () => { later(); drawMap(); });
}
