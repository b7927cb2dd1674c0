// The map of embeddings on a canvas: circles are regions, diamonds support instances.

const canvas = get('map');
const view = { scale: 1, x: 0, y: 0 };
const MARGIN = 24;
let bounds = null;
let markedSupport = null;

function extent() {
  const places = [...regions, ...support].map((item) => item.xy).filter(Boolean);
  const spans = [0, 1].map((axis) => {
    let low = Infinity;
    let high = -Infinity;
    for (const place of places) {
      low = Math.min(low, place[axis]);
      high = Math.max(high, place[axis]);
    }
    return [low, Math.max(high - low, 1e-6)];
  });
  const [[left, width], [bottom, height]] = spans;
  return { x: left + width / 2, y: bottom + height / 2, width, height };
}

/** CSS pixels for a unit of the map; the same both ways, so that distances can be compared. */
function unit() {
  const fitting = Math.min((canvas.clientWidth - 2 * MARGIN) / bounds.width, (canvas.clientHeight - 2 * MARGIN) / bounds.height);
  return fitting * view.scale;
}

/** Where on the canvas a place of the map lies, in CSS pixels. */
function onCanvas([x, y]) {
  return [canvas.clientWidth / 2 + (x - bounds.x + view.x) * unit(), canvas.clientHeight / 2 - (y - bounds.y + view.y) * unit()];
}

function drawMap(supportIndex = null) {
  markedSupport = supportIndex;
  if (canvas.offsetParent === null || bounds === null) return;
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(canvas.clientWidth * ratio);
  canvas.height = Math.round(canvas.clientHeight * ratio);
  const pen = canvas.getContext('2d');
  pen.scale(ratio, ratio);
  const style = getComputedStyle(document.documentElement);
  const ink = style.getPropertyValue('--ink').trim();
  const faint = style.getPropertyValue('--line').trim();
  const kept = new Set(shown);
  const size = regions.length > 3000 ? 3 : 4.5;
  for (const region of regions) if (region.xy && !kept.has(region)) dot(pen, onCanvas(region.xy), size - 1, faint, null);
  pen.globalAlpha = 0.8;
  for (const region of shown) if (region.xy) dot(pen, onCanvas(region.xy), size, colours.get(region.called), region.wrong ? ink : null);
  pen.globalAlpha = 1;
  for (const item of support) if (item.xy) diamond(pen, onCanvas(item.xy), 8, colours.get(item.label), ink);
  const marked = markedSupport !== null ? support[markedSupport] : selected;
  if (marked && marked.xy) {
    const [x, y] = onCanvas(marked.xy);
    if (marked === selected) dot(pen, [x, y], size + 1, colours.get(marked.called), ink);
    pen.beginPath();
    pen.arc(x, y, 12, 0, 2 * Math.PI);
    pen.lineWidth = 3;
    pen.strokeStyle = ink;
    pen.stroke();
  }
}

function dot(pen, [x, y], radius, fill, edge) {
  pen.beginPath();
  pen.arc(x, y, radius, 0, 2 * Math.PI);
  pen.fillStyle = fill;
  pen.fill();
  if (edge) {
    pen.lineWidth = 1.2;
    pen.strokeStyle = edge;
    pen.stroke();
  }
}

function diamond(pen, [x, y], radius, fill, edge) {
  pen.beginPath();
  pen.moveTo(x, y - radius);
  pen.lineTo(x + radius, y);
  pen.lineTo(x, y + radius);
  pen.lineTo(x - radius, y);
  pen.closePath();
  pen.fillStyle = fill;
  pen.fill();
  pen.lineWidth = 1.6;
  pen.strokeStyle = edge;
  pen.stroke();
}

/** The nearest region or support instance within reach of a pointer, or null. */
function under(event) {
  const frame = canvas.getBoundingClientRect();
  const at = [event.clientX - frame.left, event.clientY - frame.top];
  let best = null;
  let reach = event.pointerType === 'touch' ? 24 : 12;
  const look = (item, found) => {
    if (!item.xy) return;
    const [x, y] = onCanvas(item.xy);
    const distance = Math.hypot(x - at[0], y - at[1]);
    if (distance < reach) {
      reach = distance;
      best = found;
    }
  };
  for (const region of shown) look(region, { region });
  for (const [index, item] of support.entries()) look(item, { support: index, item });
  return best;
}

function zoom(factor) {
  view.scale = Math.max(1, Math.min(64, view.scale * factor));
  if (view.scale === 1) Object.assign(view, { x: 0, y: 0 });
  drawMap(markedSupport);
}

function setUpMap() {
  if (!regions.some((region) => region.xy)) {
    get('tab-map').hidden = true;
    return;
  }
  bounds = extent();
  const share = data.explained.reduce((sum, value) => sum + value, 0);
  get('map-text').textContent = `Two principal components, ${percent(share)} of the spread of the embeddings`;
  get('wrong-key').hidden = !labelled.length;
  let held = null;
  let moved = false;
  canvas.addEventListener('pointerdown', (event) => { held = [event.clientX, event.clientY]; moved = false; });
  canvas.addEventListener('pointermove', (event) => {
    if (held && view.scale > 1) {
      const across = event.clientX - held[0];
      const down = event.clientY - held[1];
      if (moved || Math.hypot(across, down) > 4) {
        moved = true;
        view.x += across / unit();
        view.y -= down / unit();
        held = [event.clientX, event.clientY];
        drawMap(markedSupport);
      }
      return;
    }
    showTip(event, under(event));
  });
  canvas.addEventListener('pointerleave', () => { held = null; get('map-tip').hidden = true; });
  canvas.addEventListener('pointerup', (event) => {
    const found = moved ? null : under(event);
    held = null;
    if (!found) return;
    if (found.region) select(found.region);
    else showSupport(found.support);
    openDetail();
  });
  get('zoom-in').addEventListener('click', () => zoom(1.6));
  get('zoom-out').addEventListener('click', () => zoom(1 / 1.6));
  window.matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => drawMap(markedSupport));
}

function showTip(event, found) {
  const tip = get('map-tip');
  tip.hidden = !found;
  canvas.classList.toggle('over', Boolean(found));
  if (!found) return;
  const label = found.region ? found.region.called : found.item.label;
  const words = found.region ? percent(found.region.probability) : 'support';
  tip.replaceChildren(swatch(label), name(label), ` ${words} `, name(fileName(found.region ? found.region.image : found.item.source), { class: 'muted' }));
  const frame = canvas.getBoundingClientRect();
  const x = event.clientX - frame.left;
  tip.style.setProperty('left', `${Math.min(x + 14, Math.max(0, frame.width - tip.offsetWidth - 4))}px`);
  tip.style.setProperty('top', `${event.clientY - frame.top + 14}px`);
}
