// The page's half of each act: everything up to the input itself, which the browser's own pipeline gives.

const POINTED = ['visible', 'enabled'];

// Waits until a pointer would hit the element, and guards that spot.
const aim = (args) =>
  until(args, async (el, attempt) => {
    const why = obstacle(el, args.hover ? ['visible'] : POINTED);
    if (why) return { why };
    const { point, why: missed } = await pointOf(el, attempt, args.framed);
    if (!point) return { why: missed };
    if (!args.hover) arm('pointer', el, args.token);
    return { value: point };
  });

// Right before the button goes down: is the pointer still over what was meant?
function aimed({ token, x, y }) {
  if (!armed || armed.token !== token) return { gone: true };
  const ok = dom.connected(armed.target) && takesHit(armed.target, hitAt({ x, y }));
  return ok ? { gone: false } : { gone: false, why: 'it moved away' };
}

// Right before a key goes down: has the guarded element the focus still?
function focused({ token }) {
  if (!armed || armed.token !== token) return { gone: true };
  const active = deepActive();
  const ok = active !== null && (within(active, armed.target) || within(armed.target, active));
  return ok && !isFrame(active) ? { gone: false } : { gone: false, why: describe(active) };
}

const finish = ({ token }) => disarm(token);

const focusOn = (args) =>
  until(args, async (el) => {
    const why = obstacle(el, POINTED);
    if (why) return { why };
    const active = takeFocus(el, args.framed);
    if (!active) return { why: 'it does not take the focus' };
    if (args.token) arm('keys', active, args.token);
    return { value: null };
  });

const SET_WHOLE = ['color', 'date', 'datetime-local', 'month', 'range', 'time', 'week'];
const setInput = setter(HTMLInputElement, 'value');
const selectInput = method(HTMLInputElement, 'select');
const selectArea = method(HTMLTextAreaElement, 'select');

function announce(el) {
  dom.dispatch(el, new Event('input', { bubbles: true, composed: true }));
  dom.dispatch(el, new Event('change', { bubbles: true }));
}

// Focuses and selects all there is. `empty`: nothing is to be replaced. `done`: nothing is to be inserted.
const fillable = (args) =>
  until(args, async (el) => {
    const why = obstacle(el, ['visible', 'enabled', 'editable']);
    if (why) return { why };
    const active = takeFocus(el, args.framed);
    if (!active) return { why: 'it does not take the focus' };
    const control = controlOf(el);
    if (isInput(control, ...SET_WHOLE)) {
      setInput(control, args.text);
      announce(control);
      arm('keys', control, args.token);
      return { value: { done: true, empty: false } };
    }
    if (isInput(control)) selectInput(control);
    else if (control instanceof HTMLTextAreaElement) selectArea(control);
    else {
      dom.command(document, 'selectAll');
      // Editors learn of a selection by an event that comes later.
      await frame();
    }
    const field = editingHost(control);
    arm('keys', field, args.token);
    return { value: { done: false, empty: contentOf(field) === '' } };
  });

const contentOf = (field) => valueOf(field) ?? textWithin(field, new Map());

const solid = (text) => text.replace(/[\s\u00a0\u200b-\u200d\u2060\ufeff]+/gu, '');
const letters = (text) => text.replace(/[^\p{L}]+/gu, '');

// A field holds the text itself. An editor may turn marks into formatting, but every letter must be there.
function holds(field, text) {
  const content = contentOf(field);
  if (field instanceof HTMLTextAreaElement) return content === text.replace(/\r\n?/g, '\n');
  if (isInput(field, 'number')) return content === text.trim();
  if (isInput(field, ...SET_WHOLE)) return content.toLowerCase() === text.trim().toLowerCase();
  if (solid(content) === solid(text)) return true;
  if (isInput(field)) return false;
  const wanted = letters(text);
  return wanted !== '' && letters(content) === wanted;
}

// Whether the text has arrived. Editors draw a moment later.
async function filled({ token, text, ms }) {
  if (!armed || armed.token !== token) return { gone: true };
  const { target } = armed;
  const end = Date.now() + ms;
  let ok = holds(target, text);
  while (!ok && Date.now() < end) {
    await pause(20);
    ok = holds(target, text);
  }
  const length = dom.connected(target) ? contentOf(target).length : 0;
  disarm(token);
  return { gone: false, ok, length };
}

const options = (el) => Array.from(dom.all(el, 'option'));
const setSelected = setter(HTMLOptionElement, 'selected');
const optionValue = getter(HTMLOptionElement, 'value');
const optionLabel = getter(HTMLOptionElement, 'label');

const choose = (args) =>
  until(args, async (el) => {
    const select = controlOf(el);
    if (!(select instanceof HTMLSelectElement)) throw new Failure('not-a-select', `${describe(el)} is no <select>; click its options`);
    const why = obstacle(select, POINTED);
    if (why) return { why };
    const all = options(select);
    const wanted = args.values.map((value) =>
      all.find((o) => optionValue(o) === value) ?? all.find((o) => squeeze(optionLabel(o)) === squeeze(value)));
    const missing = args.values.find((_, i) => !wanted[i]);
    if (missing !== undefined) return { why: `it has no option ${JSON.stringify(missing)}` };
    if (wanted.some((o) => dom.matches(o, ':disabled'))) return { why: 'the option is disabled' };
    if (wanted.length > 1 && !dom.hasAttr(select, 'multiple')) {
      throw new Failure('too-many-options', `${describe(select)} takes one option`);
    }
    for (const option of all) setSelected(option, wanted.includes(option));
    announce(select);
    return { value: null };
  });

const reveal = (args) =>
  until(args, async (el) => {
    if (!isVisible(el)) return { why: 'it is not visible' };
    if (!(await isStill(el))) return { why: 'it is moving' };
    dom.scrollIfNeeded(el, true);
    return { value: null };
  });
