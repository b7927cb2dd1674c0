// The data of the page, which stands in it as JSON, and its pictures, parsed block by block when they are looked at.

const data = JSON.parse(document.getElementById('data').textContent);
const regions = data.regions;
const support = data.support;
const classes = data.classes;
const UNKNOWN = 'unknown';
const BLOCK = 32;
const MOST_BLOCKS = 40;

const known = new Set(classes.slice(0, data.known).map((item) => item.name));
const colours = new Map(classes.map((item) => [item.name, item.colour]));

for (const [index, region] of regions.entries()) {
  const sorted = [...region.p].sort((a, b) => b - a);
  region.index = index;
  region.probability = sorted[0] || 0;
  region.margin = (sorted[0] || 0) - (sorted[1] || 0);
  region.unknown = Boolean(region.more && region.more.unknown === true);
  region.review = Boolean(region.more && region.more.review === true);
  region.called = region.unknown ? UNKNOWN : region.label;
  // Of a class that the support does not have, nothing better can be said than that it is unknown.
  region.right = region.called === region.annotated || (region.unknown && !known.has(region.annotated));
  region.wrong = region.annotated !== null && !region.right;
  region.text = `${region.image} ${region.source} ${region.called} ${region.label} ${region.annotated || ''}`.toLowerCase();
}
if (regions.some((region) => region.unknown) && !colours.has(UNKNOWN)) {
  colours.set(UNKNOWN, '#8a8f98');
  classes.push({ name: UNKNOWN, colour: '#8a8f98' });
}
const labelled = regions.filter((region) => region.annotated !== null);

const blocks = new Map();

/** The data URI of a picture, or null where there is none. */
function picture(kind, index) {
  const id = `${kind}-${Math.floor(index / BLOCK)}`;
  let block = blocks.get(id);
  if (block === undefined) {
    const element = document.getElementById(id);
    block = new Map(element ? Object.entries(JSON.parse(element.textContent)) : []);
    // The block used longest ago makes room, so that a look through thousands of regions does not fill the memory.
    if (blocks.size >= MOST_BLOCKS) blocks.delete(blocks.keys().next().value);
  } else {
    blocks.delete(id);
  }
  blocks.set(id, block);
  const text = block.get(String(index));
  return text === undefined ? null : `data:image/jpeg;base64,${text}`;
}
