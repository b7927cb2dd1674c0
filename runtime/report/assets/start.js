// Tabs, keys, and the first look.

const TABS = ['regions', 'confusion', 'map', 'run'];

function openTab(wanted) {
  for (const tab of TABS) {
    const chosen = tab === wanted;
    get(`tab-${tab}`).setAttribute('aria-selected', String(chosen));
    get(`tab-${tab}`).tabIndex = chosen ? 0 : -1;
    get(`panel-${tab}`).hidden = !chosen;
  }
  get('tools').hidden = wanted === 'run' || wanted === 'confusion';
  detail.hidden = get('tools').hidden;
  get('main').classList.toggle('single', get('tools').hidden);
  window.scrollTo(0, 0);
  drawRows();
  drawMap();
}

function setUpTabs() {
  const there = TABS.filter((tab) => !get(`tab-${tab}`).hidden);
  for (const tab of there) get(`tab-${tab}`).addEventListener('click', () => openTab(tab));
  get('tabs').addEventListener('keydown', (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by) return;
    const now = there.findIndex((tab) => get(`tab-${tab}`) === document.activeElement);
    const next = there[(now + by + there.length) % there.length];
    openTab(next);
    get(`tab-${next}`).focus();
    event.stopPropagation();
    event.preventDefault();
  });
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  const target = event.target;
  if (event.key === 'Escape') {
    if (document.body.classList.contains('open')) closeDetail();
    else {
      if (target === get('search')) target.blur();
      list.focus({ preventScroll: true });
    }
    return;
  }
  const typing = target.matches('input, select, textarea');
  if (typing) return;
  const pressing = target.matches('button, summary, a');
  if (pressing && (event.key === 'Enter' || event.key === ' ')) return;
  const actions = new Map([
    ['/', () => { openTab('regions'); get('search').focus(); }],
    ['1', () => openTab('regions')],
    ['2', () => get('tab-confusion').hidden || openTab('confusion')],
    ['3', () => get('tab-map').hidden || openTab('map')],
    ['4', () => openTab('run')],
    ['w', () => get('wrong') && get('wrong').click()],
    ['r', () => get('review') && get('review').click()],
    ['+', () => zoom(1.6)],
    ['-', () => zoom(1 / 1.6)],
  ]);
  const steps = [
    ['j', () => step(1)],
    ['ArrowDown', () => step(1)],
    ['k', () => step(-1)],
    ['ArrowUp', () => step(-1)],
    ['Home', () => step(-regions.length)],
    ['End', () => step(regions.length)],
    ['Enter', () => { if (selected) { openDetail(); detail.focus({ preventScroll: true }); } }],
  ];
  // Where there is no list to walk through, the arrows scroll.
  if (!get('panel-regions').hidden || !get('panel-map').hidden) for (const [key, action] of steps) actions.set(key, action);
  const action = actions.get(event.key);
  if (action) {
    action();
    event.preventDefault();
  }
}

setUpHeading();
setUpFilters();
setUpList();
setUpConfusion();
setUpMap();
setUpRun();
setUpTabs();
document.addEventListener('keydown', onKey);
window.addEventListener('popstate', () => { if (document.body.classList.contains('open')) hideDetail(); });
const wantedRegion = /^#region-(\d+)$/.exec(location.hash);
openTab('regions');
applyFilters();
const first = wantedRegion && regions[Number(wantedRegion[1])] ? regions[Number(wantedRegion[1])] : shown[0];
if (first) {
  select(first);
  if (wantedRegion) bringIntoSight();
} else {
  detail.append(make('p', { class: 'empty' }, 'There is no region to show.'));
}
document.documentElement.dataset.ready = 'yes';
