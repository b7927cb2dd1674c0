// Which regions are shown, and in which order.

const filters = { search: '', chosen: new Set(), pair: null, wrong: false, review: false, measure: 'probability', limit: 100, order: 'doubt' };

const ORDERS = {
  doubt: ['probability, lowest first', (a, b) => a.probability - b.probability],
  sure: ['probability, highest first', (a, b) => b.probability - a.probability],
  margin: ['margin, smallest first', (a, b) => a.margin - b.margin],
  class: ['class, then probability', (a, b) => (a.called < b.called ? -1 : a.called > b.called ? 1 : a.probability - b.probability)],
  file: ['as classified', () => 0],
};
const novelty = (region) => (region.more && typeof region.more.novelty === 'number' ? region.more.novelty : -Infinity);
if (regions.some((region) => novelty(region) > -Infinity)) {
  ORDERS.novelty = ['novelty, highest first', (a, b) => novelty(b) - novelty(a) || 0];
}

let shown = [];

function fits(region) {
  if (filters.chosen.size && !filters.chosen.has(region.called)) return false;
  if (filters.wrong && !region.wrong) return false;
  if (filters.review && !region.review) return false;
  if (filters.pair && (region.annotated !== filters.pair[0] || region.called !== filters.pair[1])) return false;
  // At the end of the slider nothing is left out, whatever rounding did to a value.
  if (filters.limit < 100 && region[filters.measure] > filters.limit / 100) return false;
  return filters.search.split(/\s+/).every((word) => region.text.includes(word));
}

/** Filters and sorts anew, and shows what is left. */
function applyFilters() {
  const compare = ORDERS[filters.order][1];
  shown = regions.filter(fits).sort((a, b) => compare(a, b) || a.index - b.index);
  for (const [place, region] of shown.entries()) region.place = place;
  const all = shown.length === regions.length;
  get('count').textContent = all ? plural(regions.length, 'region') : `${shown.length.toLocaleString('en')} of ${plural(regions.length, 'region')}`;
  get('limit-text').textContent = filters.limit < 100 ? `up to ${(filters.limit / 100).toFixed(2)}` : 'any';
  get('nothing').hidden = shown.length > 0;
  get('reset').hidden = isPlain();
  for (const chip of get('classes').children) chip.setAttribute('aria-pressed', String(filters.chosen.has(chip.value)));
  showExtra();
  drawHistogram();
  resetList();
  drawMap();
}

function isPlain() {
  return !filters.search && !filters.chosen.size && !filters.pair && !filters.wrong && !filters.review && filters.limit === 100;
}

function resetFilters() {
  Object.assign(filters, { search: '', pair: null, wrong: false, review: false, limit: 100 });
  filters.chosen.clear();
  get('search').value = '';
  get('limit').value = '100';
  applyFilters();
}

/** Shows what a cell of the confusion matrix counts. */
function showPair(annotated, called) {
  resetFilters();
  filters.pair = [annotated, called];
  applyFilters();
  openTab('regions');
  if (shown.length) select(shown[0]);
}

function showExtra() {
  const extra = get('extra');
  extra.replaceChildren();
  if (filters.pair) {
    const chip = make('button', { type: 'button', class: 'chip', 'aria-pressed': 'true', 'aria-label': 'Remove this filter' });
    chip.append('labelled ', name(filters.pair[0]), ', classified ', name(filters.pair[1]), ' \u00d7');
    chip.addEventListener('click', () => { filters.pair = null; applyFilters(); });
    extra.append(chip);
  }
  const wrong = labelled.filter((region) => region.wrong).length;
  if (wrong) {
    const chip = make('button', { type: 'button', class: 'chip wrong', id: 'wrong', 'aria-pressed': String(filters.wrong) }, `only the ${wrong.toLocaleString('en')} wrong`);
    chip.addEventListener('click', () => { filters.wrong = !filters.wrong; applyFilters(); get('wrong').focus(); });
    extra.append(chip);
  }
  const review = regions.filter((region) => region.review).length;
  if (review) {
    const chip = make('button', { type: 'button', class: 'chip', id: 'review', 'aria-pressed': String(filters.review) }, `only the ${review.toLocaleString('en')} to look at`);
    chip.addEventListener('click', () => { filters.review = !filters.review; applyFilters(); get('review').focus(); });
    extra.append(chip);
  }
}

function drawHistogram() {
  const bins = new Array(25).fill(0);
  for (const region of regions) bins[Math.min(24, Math.floor(region[filters.measure] * 25))] += 1;
  const most = Math.max(...bins, 1);
  get('histogram').replaceChildren(...bins.map((count, place) => {
    const column = make('span', { class: place * 4 < filters.limit ? 'inside' : null });
    column.style.setProperty('--share', String(count ? Math.max(count / most, 0.04) : 0));
    return column;
  }));
}

function setUpFilters() {
  for (const [value, [text]] of Object.entries(ORDERS)) get('sort').append(make('option', { value }, text));
  const counts = new Map();
  for (const region of regions) counts.set(region.called, (counts.get(region.called) || 0) + 1);
  for (const item of classes) {
    if (!counts.has(item.name)) continue;
    const chip = make('button', { type: 'button', class: 'chip', 'aria-pressed': 'false' }, swatch(item.name), name(item.name), make('span', { class: 'number' }, counts.get(item.name).toLocaleString('en')));
    chip.value = item.name;
    chip.addEventListener('click', () => {
      if (!filters.chosen.delete(item.name)) filters.chosen.add(item.name);
      applyFilters();
    });
    get('classes').append(chip);
  }
  get('search').addEventListener('input', () => { filters.search = get('search').value.toLowerCase().trim(); applyFilters(); });
  get('sort').addEventListener('change', () => { filters.order = get('sort').value; applyFilters(); });
  get('measure').addEventListener('change', () => { filters.measure = get('measure').value; applyFilters(); });
  get('limit').addEventListener('input', () => { filters.limit = Number(get('limit').value); applyFilters(); });
  get('reset').addEventListener('click', resetFilters);
  get('tools').addEventListener('submit', (event) => event.preventDefault());
}
