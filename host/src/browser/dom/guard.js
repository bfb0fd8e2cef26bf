// Input that was meant for one element goes to no other. From the moment before the browser is asked for input until
// afterwards, these listeners stand before all of the page's own: what lands elsewhere is stopped, and told.

let armed = null;
// A host that was stopped midway never disarms; the operator's own input must not be held for long.
const EXPIRES = 10_000;

const POINTER = ['pointerdown', 'mousedown', 'pointerup', 'mouseup', 'click', 'auxclick', 'dblclick', 'contextmenu'];
const KEYS = ['keydown', 'keypress', 'keyup', 'beforeinput'];

// Without a target all of it is meant for another document.
function arm(kind, target, token, expires = EXPIRES) {
  for (const type of [...POINTER, ...KEYS]) addEventListener(type, watchInput, { capture: true, passive: false });
  armed = { token, kind, target, letting: target !== null, told: false, expires: Date.now() + expires };
}

// A document that came while an input for another was in flight.
const BORN = 3000;
const born = ({ act }) => arm('all', null, act, BORN);

function disarm(token) {
  if (!armed || armed.token !== token) return;
  for (const type of [...POINTER, ...KEYS]) removeEventListener(type, watchInput, { capture: true });
  armed = null;
}

// Told at once and not asked for later: when input leads to another document, this one answers no more.
function tellLanding(blocked) {
  if (!armed.told) tell({ kind: 'input', token: armed.token, blocked });
  armed.told = true;
}

// One press decides for all that follows from it: a menu may well open under the pointer between down and up.
function watchInput(event) {
  if (!armed || !event.isTrusted || Date.now() > armed.expires) return;
  const pointer = POINTER.includes(event.type);
  if (armed.kind !== 'all' && pointer !== (armed.kind === 'pointer')) return;
  const hit = dom.composedPath(event)[0];
  const first = event.type === 'pointerdown' || event.type === 'keydown' || event.type === 'beforeinput';
  if (first) {
    const el = hit instanceof Element ? hit : null;
    armed.letting = el !== null && armed.target !== null && (pointer ? takesHit(armed.target, el) : within(el, armed.target));
    tellLanding(armed.letting ? null : el ? describe(el) : 'the document');
  }
  if (!armed.letting) {
    event.preventDefault();
    event.stopImmediatePropagation();
  }
}

function deepActive() {
  let active = dom.active(document);
  for (;;) {
    const shadow = active && dom.shadow(active);
    const inner = shadow && dom.active(shadow);
    if (!inner) return active;
    active = inner;
  }
}

// Gives the element the focus. Returns what has it then, or null when that is something else. In a frame it may be the active
// element while the focus is in another document.
function takeFocus(el, framed) {
  const control = controlOf(el);
  const target = control instanceof HTMLElement && dom.editable(control) ? editingHost(control) : control;
  let active = deepActive();
  const settled = () => active !== null && !isFrame(active) && (within(active, target) || within(target, active) && dom.editable(active));
  if (!framed && settled() && active !== dom.body(document)) return active;
  if (target instanceof HTMLElement || target instanceof SVGElement) dom.focus(target, { preventScroll: true });
  active = deepActive();
  return settled() ? active : null;
}
