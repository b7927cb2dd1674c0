// One region in full: its picture, every probability, its nearest support instances, its views.

const detail = get('detail');
const narrow = window.matchMedia('(max-width: 899px)');
const MOST_BARS = 12;
let large = false;

function showDetail(region) {
  const path = visible(region.image);
  const heading = make('h2', { id: 'detail-heading' }, swatch(region.called), name(region.called, { class: 'label' }), ' ', make('span', { class: 'value' }, percent(region.probability)), nearestClass(region), verdict(region), review(region), damage(region));
  detail.replaceChildren(
    controls(),
    heading,
    make('div', { class: large ? 'top large' : 'top' },
      mainPicture(region, `${visible(region.called)} on ${path}`),
      make('div', {}, make('h3', {}, 'Probabilities'), probabilities(region))),
    make('h3', {}, 'Nearest support instances'),
    nearest(region),
    ...viewSheet(region),
    ...adding(region),
    make('h3', {}, 'Facts'),
    facts(region),
  );
  detail.scrollTop = 0;
}

/** The picture, which a click makes larger or smaller, for this region and all that follow. */
function mainPicture(region, description) {
  const button = make('button', { type: 'button', class: 'enlarge', 'aria-pressed': String(large), title: 'larger or smaller' }, image('crop', region.index, description));
  button.addEventListener('click', () => {
    large = !large;
    button.setAttribute('aria-pressed', String(large));
    button.closest('.top').classList.toggle('large', large);
  });
  return make('figure', { class: 'main-picture' }, button, make('figcaption', { class: 'muted' }, name(fileName(region.image))));
}

function controls() {
  const button = (text, label, action) => {
    const element = make('button', { type: 'button', 'aria-label': label }, text);
    element.addEventListener('click', action);
    return element;
  };
  const place = selected && shown[selected.place] === selected ? `${selected.place + 1} of ${shown.length.toLocaleString('en')}` : '';
  return make('div', { class: 'line controls' },
    button('\u2190', 'Previous region', () => step(-1)),
    button('\u2192', 'Next region', () => step(1)),
    make('span', { class: 'muted' }, place), make('span', { class: 'spring' }),
    make('span', { class: 'closer' }, button('\u00d7', 'Close', closeDetail)));
}

function probabilities(region) {
  const order = region.p.map((value, place) => [value, classes[place].name]).sort((a, b) => b[0] - a[0]);
  const row = ([value, label]) => make('tr', {}, make('th', { scope: 'row' }, swatch(label), name(label)), make('td', { class: 'wide' }, bar(value, label)), make('td', { class: 'value' }, percent(value)));
  const first = make('table', { class: 'bars' }, make('tbody', {}, order.slice(0, MOST_BARS).map(row)));
  if (order.length <= MOST_BARS) return first;
  const rest = make('details', {}, make('summary', {}, `${order.length - MOST_BARS} more`), make('table', { class: 'bars' }, make('tbody', {}, order.slice(MOST_BARS).map(row))));
  return make('div', {}, first, rest);
}

function nearest(region) {
  const card = (caption, ...content) => make('figure', { class: 'near' }, ...content, make('figcaption', {}, caption));
  const cards = [card([make('strong', {}, 'this region')], image('crop', region.index, 'this region'))];
  for (const [index, similarity] of region.near) {
    const item = support[index];
    const figure = card(
      [make('strong', {}, swatch(item.label), name(item.label)), make('span', { class: 'muted' }, `cosine ${similarity.toFixed(3)}`), name(fileName(item.source), { class: 'muted file', title: visible(item.source) })],
      image('support', index, `support instance ${visible(item.source)}`));
    cards.push(figure);
  }
  if (cards.length === 1) return make('p', { class: 'muted' }, 'None was asked for.');
  return make('div', { class: 'nears', tabindex: '0', role: 'group', 'aria-label': 'Nearest support instances' }, cards);
}

function viewSheet(region) {
  if (!data.views.length) return [];
  const source = picture('views', region.index);
  const used = usedViews(region);
  const title = make('h3', {}, region.views === data.views.length ? `Views (${region.views})` : `Views (${region.views} of ${data.views.length} were used)`);
  if (source === null) return [title, make('p', { class: 'muted' }, 'No picture was kept.')];
  const columns = Math.min(data.columns, data.views.length);
  const frame = make('div', { class: 'sheet' }, image('views', region.index, 'the views that were encoded'));
  const grid = make('div', { class: 'cells' });
  grid.style.setProperty('--columns', String(columns));
  grid.style.setProperty('--lines', String(Math.ceil(data.views.length / columns)));
  grid.append(...data.views.map((words, place) => make('span', { class: used.has(place) ? null : 'unused', title: used.has(place) ? words : `${words} (not used)` })));
  frame.append(grid);
  return [title, frame];
}

/** The views that were used, by their places in the plan: so many from the front of the order they are encoded in. */
function usedViews(region) {
  return new Set(data.order.slice(0, region.views));
}

function facts(region) {
  const [x1, y1, x2, y2] = region.box;
  const rows = [
    ['image', region.image],
    ['region', region.source],
    ['labelled', region.annotated === null ? 'not known' : region.annotated],
    ['margin', region.margin.toFixed(3)],
    ['box', `${x1}, ${y1} to ${x2}, ${y2}`],
    ['mask', `${region.area.toLocaleString('en')} px`],
    ['time', region.ms.some((value) => value > 0) ? `${region.ms.reduce((sum, value) => sum + value, 0).toFixed(1)} ms` : ''],
    ...Object.entries(region.more || {}).map(([key, value]) => [key.replaceAll('_', ' '), value === true ? 'yes' : value === false ? 'no' : value]),
  ];
  return make('table', { class: 'facts' }, make('tbody', {}, rows.filter((row) => row[1] !== '').map(([key, value]) => make('tr', {}, make('th', { scope: 'row' }, name(key)), make('td', {}, name(value))))));
}

/** A support instance in full, and which regions are near it. */
function showSupport(index) {
  const item = support[index];
  selected = null;
  markSelected();
  const near = regions.filter((region) => region.near.some((pair) => pair[0] === index));
  const links = near.slice(0, 30).map((region) => {
    const button = make('button', { type: 'button', class: 'small-picture', 'aria-label': `Region ${region.index + 1}, ${visible(region.called)}` }, image('crop', region.index, ''));
    button.addEventListener('click', () => select(region));
    return button;
  });
  detail.replaceChildren(
    controls(),
    make('h2', { id: 'detail-heading' }, swatch(item.label), name(item.label, { class: 'label' })),
    make('p', { class: 'muted' }, 'support instance'),
    make('figure', { class: 'main-picture' }, image('support', index, `support instance ${visible(item.source)}`), make('figcaption', { class: 'muted' }, name(item.source))),
    make('h3', {}, near.length ? `Among the nearest of ${plural(near.length, 'region')}` : 'Among the nearest of no region'),
    make('div', { class: 'pictures' }, links),
  );
  drawMap(index);
}

/** On a narrow screen the detail covers the page; going back closes it. */
function openDetail() {
  if (!narrow.matches) return;
  if (document.body.classList.contains('open')) return;
  document.body.classList.add('open');
  detail.setAttribute('role', 'dialog');
  detail.setAttribute('aria-modal', 'true');
  for (const element of [document.querySelector('.bar'), document.querySelector('.content')]) element.inert = true;
  try {
    history.pushState({ open: true }, '');
  } catch { /* a page in a frame may not */ }
  detail.focus();
}

function closeDetail() {
  if (!document.body.classList.contains('open')) return;
  hideDetail();
  if (history.state && history.state.open) history.back();
}

function hideDetail() {
  document.body.classList.remove('open');
  detail.removeAttribute('role');
  detail.removeAttribute('aria-modal');
  for (const element of [document.querySelector('.bar'), document.querySelector('.content')]) element.inert = false;
  bringIntoSight();
  list.focus({ preventScroll: true });
}
