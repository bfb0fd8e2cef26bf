// Whether an element can be acted on: drawn, enabled, still, and what the pointer would hit.

// Whether the element takes part in the drawing. `display: contents` has no box of its own and counts by its parent.
function isRendered(el) {
  if (dom.drawn(el)) return true;
  if (el instanceof HTMLOptionElement || el instanceof HTMLOptGroupElement) {
    const select = nearest(el, 'select, datalist');
    return select !== null && isRendered(select);
  }
  if (getComputedStyle(el).display !== 'contents') return false;
  const parent = flatParent(el);
  return parent === null || isRendered(parent);
}

function isVisible(el) {
  if (!dom.connected(el) || !isRendered(el)) return false;
  const style = getComputedStyle(el);
  if (style.display === 'contents') {
    for (const child of flatChildren(el)) {
      if (dom.type(child) === ELEMENT && isVisible(child)) return true;
      if (dom.type(child) === TEXT && squeeze(dom.data(child))) return style.visibility === 'visible';
    }
    return false;
  }
  if (style.visibility !== 'visible') return false;
  const rect = dom.rect(el);
  return rect.width > 0 && rect.height > 0;
}

const CONTROL = 'button, input, select, textarea, [role=button], [role=link], a[href]';

// A part of a button is disabled with its button, a label with its control.
function isEnabled(el) {
  const control = controlOf(el);
  const whole = nearest(control, CONTROL) ?? control;
  if (dom.matches(control, ':disabled') || dom.matches(whole, ':disabled')) return false;
  for (let at = control; at; at = parentElement(at)) {
    const disabled = dom.attr(at, 'aria-disabled');
    if (disabled !== null) return disabled !== 'true';
  }
  return true;
}

function controlOf(el) {
  const label = nearest(el, 'label');
  if (!label || nearest(el, CONTROL)) return el;
  return dom.labelTarget(label) ?? el;
}

const UNTYPED = ['button', 'checkbox', 'file', 'hidden', 'image', 'radio', 'reset', 'submit'];

function isEditable(el) {
  if (isInput(el)) return !UNTYPED.includes(inputType(el)) && !inputReadOnly(el);
  if (el instanceof HTMLTextAreaElement) return !areaReadOnly(el);
  return el instanceof HTMLElement && dom.editable(el) && dom.attr(el, 'aria-readonly') !== 'true';
}

// The whole editor around a node of it.
function editingHost(el) {
  let host = el;
  for (let at = el; at instanceof HTMLElement && dom.editable(at); at = parentElement(at)) host = at;
  return host;
}

// The next frame. A hidden page draws none, so that a timer stands in.
function frame() {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, dom.hidden(document) ? 16 : 100);
    requestAnimationFrame(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

const sameRect = (a, b) => a.x === b.x && a.y === b.y && a.width === b.width && a.height === b.height;

// Whether it stays in its place over two frames.
async function isStill(el) {
  await frame();
  const before = dom.rect(el);
  await frame();
  return dom.connected(el) && sameRect(before, dom.rect(el));
}

const SLIVER = 8;

// The middle of the part that can be seen. In a frame not all that lies in its window can.
async function middleOf(el, framed) {
  if (framed) {
    const seen = await seenOf(el);
    const { width, height } = dom.rect(el);
    // A sliver at an edge is not enough: where it lies in the window is known to a fraction of a pixel.
    if (!seen || seen.width < Math.min(width, SLIVER) || seen.height < Math.min(height, SLIVER)) return null;
    return { x: seen.x + seen.width / 2, y: seen.y + seen.height / 2 };
  }
  const boxes = Array.from(dom.rects(el));
  const box = boxes.find((b) => b.width * b.height >= 1) ?? dom.rect(el);
  const left = Math.max(0, box.left);
  const top = Math.max(0, box.top);
  const right = Math.min(innerWidth, box.right);
  const bottom = Math.min(innerHeight, box.bottom);
  return right - left < 1 && box.width >= 1 || bottom - top < 1 && box.height >= 1
    ? null
    : { x: (left + right) / 2, y: (top + bottom) / 2 };
}

function hitAt({ x, y }) {
  let root = document;
  let hit = null;
  for (;;) {
    const next = dom.at(root, x, y);
    if (!next || next === hit) return hit;
    hit = next;
    const shadow = dom.shadow(hit);
    if (!shadow) return hit;
    root = shadow;
  }
}

const FRAMES = new Set(['iframe', 'frame', 'object', 'embed', 'fencedframe', 'portal']);
const isFrame = (el) => FRAMES.has(dom.name(el));

// What may be hit for `target`: itself, what lies in it, the button that it is a part of, the label of its control.
function takesHit(target, hit) {
  if (!hit || isFrame(hit)) return false;
  if (within(hit, nearest(target, CONTROL) ?? target) || within(hit, target)) return true;
  const label = nearest(hit, 'label');
  return label !== null && dom.labelTarget(label) === target;
}

const ALIGNMENTS = ['center', 'end', 'start'];

function bringIntoView(el, attempt) {
  if (attempt === 0) dom.scrollIfNeeded(el, true);
  else {
    const block = ALIGNMENTS[attempt % ALIGNMENTS.length];
    dom.scrollTo(el, { block, inline: 'center', behavior: 'instant' });
  }
}

// Says what keeps the element from being acted on; null when nothing does.
function obstacle(el, needs) {
  if (needs.includes('visible') && !isVisible(el)) return 'it is not visible';
  if (needs.includes('enabled') && !isEnabled(el)) return 'it is disabled';
  if (needs.includes('editable') && !isEditable(controlOf(el))) return 'it is not editable';
  return null;
}

// The point at which a pointer hits the element, or why there is none.
async function pointOf(el, attempt, framed) {
  if (!(await isStill(el))) return { why: 'it is moving' };
  bringIntoView(el, attempt);
  let point = await middleOf(el, framed);
  if (!point) return { why: 'it cannot be scrolled into view' };
  if (!takesHit(el, hitAt(point))) {
    // Scrolling may have set something going.
    await frame();
    point = await middleOf(el, framed);
    if (!point) return { why: 'it cannot be scrolled into view' };
    const hit = hitAt(point);
    if (hit && isFrame(hit)) return { why: `a frame lies over it: ${describe(hit)}` };
    if (!takesHit(el, hit)) return { why: `${describe(hit)} lies over it` };
  }
  return { point };
}
