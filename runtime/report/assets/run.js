// What is said about the run: details, time for each stage, what failed, what was left out, the keys.

const KEYS = [
  ['j, \u2193', 'next region'],
  ['k, \u2191', 'previous region'],
  ['Home, End', 'first and last region'],
  ['/', 'search'],
  ['Enter', 'to the selected region in full'],
  ['Esc', 'back to the list; out of the search'],
  ['1 to 4', 'regions, confusion, map, run'],
  ['w', 'only the wrong ones, where labels are known'],
  ['r', 'only those to look at, where the support cache has a limit'],
  ['+, \u2212', 'zoom the map'],
];

function table(rows) {
  return make('table', { class: 'facts' }, make('tbody', {}, rows.map(([key, value]) => make('tr', {}, make('th', { scope: 'row' }, name(key)), make('td', {}, name(value))))));
}

function card(title, ...content) {
  return make('section', { class: 'card' }, make('h2', {}, title), ...content);
}

function setUpRun() {
  const panel = get('panel-run');
  for (const section of data.details) panel.append(card(visible(section.title), table(section.rows)));
  const total = Object.values(data.times).reduce((sum, value) => sum + value, 0);
  if (total > 0) {
    const rows = Object.entries(data.times).map(([stage, value]) => make('tr', {}, make('th', { scope: 'row' }, stage), make('td', { class: 'wide' }, bar(value / total, '')), make('td', { class: 'value' }, `${(value / data.counts.regions).toFixed(1)} ms`), make('td', { class: 'value' }, percent(value / total))));
    panel.append(card('Time for a region', make('table', { class: 'bars' }, make('tbody', {}, rows)), make('p', { class: 'muted' }, `${(total / data.counts.regions).toFixed(1)} ms a region, ${(total / 1000).toFixed(1)} s in all.`)));
  }
  if (data.problems.length) {
    const rows = data.problems.map((item) => make('tr', {}, make('th', { scope: 'row' }, name(fileName(item.image))), make('td', {}, name(item.what), item.fix ? make('span', { class: 'muted' }, ' (', name(item.fix), ')') : null)));
    panel.append(card(`${plural(data.counts.problems, 'item')} failed`, make('table', { class: 'facts' }, make('tbody', {}, rows))));
  }
  if (data.left_out.length) panel.append(card('Left out', make('ul', {}, data.left_out.map((text) => make('li', {}, text)))));
  panel.append(card('Keys', table(KEYS)));
  panel.append(card('This file', make('p', {}, 'It holds pictures of the parts that were classified, and the names of their files. Nothing is fetched, and nothing is sent.')));
}

function setUpHeading() {
  const written = new Date(data.written);
  const right = labelled.filter((region) => region.right).length;
  const share = labelled.length ? `, ${percent(right / labelled.length)} as labelled` : '';
  get('subtitle').textContent = `${plural(data.counts.regions, 'region')} on ${plural(data.counts.images, 'image')}${share} \u00b7 ${written.toLocaleString()}`;
  const notes = data.notes.map((text) => make('p', { class: 'note' }, visible(text)));
  if (data.counts.problems) notes.push(make('p', { class: 'note' }, `${plural(data.counts.problems, 'item')} failed; see Run.`));
  if (data.left_out.length) notes.push(make('p', { class: 'note quiet' }, 'Not everything is in this file; see Run.'));
  get('notes').append(...notes);
}
