// The confusion matrix of the regions whose label is known; a cell shows its regions.

function setUpConfusion() {
  if (!labelled.length) {
    get('tab-confusion').hidden = true;
    return;
  }
  const truths = classes.map((item) => item.name).filter((label) => labelled.some((region) => region.annotated === label));
  const called = classes.map((item) => item.name).filter((label) => truths.includes(label) || labelled.some((region) => region.called === label));
  const counts = new Map();
  for (const region of labelled) {
    const key = JSON.stringify([region.annotated, region.called]);
    counts.set(key, (counts.get(key) || 0) + 1);
  }
  const count = (truth, label) => counts.get(JSON.stringify([truth, label])) || 0;
  const head = make('tr', {}, make('th', { scope: 'col', class: 'corner muted' }, 'label'), called.map((label) => make('th', { scope: 'col' }, name(label))), make('th', { scope: 'col', class: 'sum' }, 'right'));
  const body = truths.map((truth) => {
    const total = called.reduce((sum, label) => sum + count(truth, label), 0);
    const cells = called.map((label) => cell(truth, label, count(truth, label), total, fitting(truth, label)));
    return make('tr', {}, make('th', { scope: 'row' }, swatch(truth), name(truth)), cells, make('td', { class: 'sum' }, percent(called.filter((label) => fitting(truth, label)).reduce((sum, label) => sum + count(truth, label), 0) / total)));
  });
  const foot = called.map((label) => {
    const total = truths.reduce((sum, truth) => sum + count(truth, label), 0);
    return make('td', { class: 'sum' }, total ? percent(truths.filter((truth) => fitting(truth, label)).reduce((sum, truth) => sum + count(truth, label), 0) / total) : '\u2013');
  });
  const right = labelled.filter((region) => !region.wrong).length;
  get('panel-confusion').append(make('div', { class: 'card' },
    make('h2', {}, `${percent(right / labelled.length)} right`),
    make('p', { class: 'muted' }, `${right.toLocaleString('en')} of ${plural(labelled.length, 'labelled region')}. Rows are the labels, columns what was said; a click shows the regions.`),
    make('div', { class: 'scroller', tabindex: '0', role: 'group', 'aria-label': 'Confusion matrix' }, make('table', { class: 'confusion' }, make('thead', {}, head), make('tbody', {}, body, make('tr', {}, make('th', { scope: 'row', class: 'sum' }, 'of these right'), foot, make('td', {})))))));
}

/** Whether nothing better could have been said of a region with this label. */
function fitting(truth, label) {
  return truth === label || (label === UNKNOWN && !known.has(truth));
}

function cell(truth, label, number, total, same) {
  const element = make('td', { class: same ? 'same' : 'other' });
  element.style.setProperty('--share', String(total ? number / total : 0));
  if (!number) {
    element.append(make('span', { class: 'zero' }, '0'));
    return element;
  }
  const button = make('button', { type: 'button', 'aria-label': `${number} labelled ${visible(truth)}, classified ${visible(label)}` }, number.toLocaleString('en'));
  button.addEventListener('click', () => showPair(truth, label));
  element.append(button);
  return element;
}
