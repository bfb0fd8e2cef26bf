// Frames on the way to an element, as the document around them sees them. What lies in a frame is looked at by the helper
// there, and only if its own origin is granted.

const kept = new Map();
const KEPT = 64;

const keptFrame = ({ token }) => kept.get(token) ?? null;

// Looks a frame up, and keeps it for what follows.
const enter = (args) =>
  until(args, async (el) => {
    if (!isFrame(el)) throw new Failure('not-a-frame', `${describe(el)} is no frame`);
    kept.delete(args.token);
    if (kept.size >= KEPT) kept.delete(kept.keys().next().value);
    kept.set(args.token, el);
    return { value: null };
  });

const layoutWidth = getter(HTMLElement, 'offsetWidth');
const layoutHeight = getter(HTMLElement, 'offsetHeight');
const pixels = (length) => Number.parseFloat(length) || 0;

// A rectangle in a frame's document, in this one: the frame's border, its padding, and a transform that scales it.
function outOf(frame, { x, y, width = 0, height = 0 }) {
  const box = dom.rect(frame);
  const style = getComputedStyle(frame);
  const across = layoutWidth(frame) > 0 ? box.width / layoutWidth(frame) : 1;
  const down = layoutHeight(frame) > 0 ? box.height / layoutHeight(frame) : 1;
  return {
    x: box.x + (pixels(style.borderLeftWidth) + pixels(style.paddingLeft) + x) * across,
    y: box.y + (pixels(style.borderTopWidth) + pixels(style.paddingTop) + y) * down,
    width: width * across,
    height: height * down,
  };
}

const placed = ({ token, rect }) => {
  const el = kept.get(token);
  return el && dom.connected(el) ? { gone: false, ...outOf(el, rect) } : { gone: true };
};

// Where a pointer must be to be at this point of the frame; `why` when it would not hit the frame there.
function pointAt(el, at) {
  if (!isVisible(el)) return { why: `its frame ${describe(el)} is not visible` };
  const { x, y } = outOf(el, at);
  if (x < 0 || y < 0 || x >= innerWidth || y >= innerHeight) return { why: `its frame ${describe(el)} cannot be scrolled into view` };
  const hit = hitAt({ x, y });
  return hit === el ? { x, y } : { why: `${describe(hit)} lies over its frame` };
}

async function outward({ token, at }) {
  const el = kept.get(token);
  if (!el || !dom.connected(el)) return { gone: true };
  if (!(await isStill(el))) return { gone: false, why: `its frame ${describe(el)} is moving` };
  return { gone: false, ...pointAt(el, at) };
}

// Right before the input: does it still go into the frame? From here on none of it may stay in this document.
function through({ token, act, kind, at, out }) {
  const el = kept.get(token);
  if (!el || !dom.connected(el)) return { gone: true };
  if (kind === 'keys') {
    if (deepActive() !== el) return { gone: false, why: `the focus is not in its frame but on ${describe(deepActive())}` };
  } else {
    const { x, y, why } = pointAt(el, at);
    if (why) return { gone: false, why };
    if (Math.abs(x - out.x) > 1 || Math.abs(y - out.y) > 1) return { gone: false, why: 'its frame moved away' };
  }
  if (act) arm(kind, null, act);
  return { gone: false };
}

// The part of an element that can be seen, through all frames around it; null when there is none.
function seenOf(el) {
  return new Promise((resolve) => {
    const timer = setTimeout(() => done(null), 500);
    const observer = new IntersectionObserver((entries) => done(entries[entries.length - 1].intersectionRect));
    const done = (rect) => {
      clearTimeout(timer);
      observer.disconnect();
      resolve(rect && rect.width > 0 && rect.height > 0 ? rect : null);
    };
    observer.observe(el);
  });
}
