// Watches of texts and conditions. A MutationObserver wakes them; a page in which nothing happens costs nothing. What they
// find goes out through a binding that only this world has.

const watches = new Map();
let observer = null;
let due = 0;

// A condition can change without a mutation: by layout, a transition, a click that opens a `details`.
const OTHER_CAUSES = ['transitionend', 'animationend', 'toggle', 'load', 'input', 'change', 'resize', 'scrollend'];

function addWatch({ id, selector, condition }) {
  if (watches.has(id)) return null;
  const chain = compile(selector);
  watches.set(id, { id, chain, condition, last: condition === 'frame' ? findFirst(chain) : null });
  if (!observer) {
    observer = new MutationObserver(wake);
    for (const type of OTHER_CAUSES) addEventListener(type, wake, { capture: true, passive: true });
  }
  evaluate();
  return null;
}

function removeWatch({ id }) {
  watches.delete(id);
  if (watches.size === 0 && observer) {
    observer.disconnect();
    observer = null;
    roots = new WeakSet();
    for (const type of OTHER_CAUSES) removeEventListener(type, wake, { capture: true });
  }
  return null;
}

let roots = new WeakSet();

// The observer does not see into shadow trees by itself.
function observeRoots() {
  for (const root of [document, ...shadowRootsBelow(document)]) {
    if (roots.has(root)) continue;
    roots.add(root);
    observer.observe(root, { subtree: true, childList: true, characterData: true, attributes: true });
  }
}

let timer = null;

// At once after a rest; in a storm of changes at most a fifth of the page's time.
function wake() {
  if (timer !== null || !observer) return;
  const wait = due - performance.now();
  if (wait <= 0) return evaluate();
  timer = setTimeout(() => {
    timer = null;
    if (observer) evaluate();
  }, wait);
}

function evaluate() {
  const start = performance.now();
  observeRoots();
  for (const watch of [...watches.values()]) {
    if (watch.condition === 'frame') {
      const frame = findFirst(watch.chain);
      if (frame !== watch.last) tell({ id: watch.id, kind: 'moved' });
      watch.last = frame;
      continue;
    }
    if (watch.condition) {
      if (meets(watch)) {
        removeWatch(watch);
        tell({ id: watch.id, kind: 'reached' });
      }
      continue;
    }
    const el = findFirst(watch.chain);
    const text = el && textOf(el);
    if (text === null || text === watch.last) continue;
    watch.last = text;
    tell({ id: watch.id, kind: 'text', text });
  }
  const end = performance.now();
  due = end + 4 * (end - start);
}

function meets({ chain, condition }) {
  const all = findAll(chain);
  switch (condition) {
    case 'attached':
      return all.length > 0;
    case 'detached':
      return all.length === 0;
    case 'visible':
      return all.length > 0 && isVisible(all[0]);
    case 'hidden':
      return !all.some(isVisible);
    case 'enabled':
      return all.length > 0 && isEnabled(all[0]);
    case 'disabled':
      return all.length > 0 && !isEnabled(all[0]);
    default:
      return false;
  }
}

function tell(news) {
  globalThis.webaiTell?.(JSON.stringify(news));
}
