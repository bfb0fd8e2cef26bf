// What the host may call. Each function takes one argument and returns {ok} or {fail}. The host's call has compared
// `self.origin` with the grant in its first statement, in this very world.

const exported = (f) => async (args) => {
  try {
    return { ok: (await f(args)) ?? null };
  } catch (e) {
    if (e instanceof Failure) return { fail: { code: e.code, message: e.message } };
    return { fail: { code: 'helper', message: String(e?.stack ?? e).slice(0, 500) } };
  }
};

const checkedState = (el) => {
  const control = controlOf(el);
  if (isInput(control, 'checkbox', 'radio')) return inputChecked(control);
  for (const name of ['aria-checked', 'aria-pressed', 'aria-selected']) {
    const state = dom.attr(control, name);
    if (state !== null) return state === 'true';
  }
  if (control instanceof HTMLOptionElement) return dom.matches(control, ':checked');
  throw new Failure('not-checkable', `${describe(el)} has no checked state`);
};

const FUNCTIONS = {
  count: (args) => findAll(compile(args.selector)).length,
  visible: (args) => {
    const el = findFirst(compile(args.selector));
    return el !== null && isVisible(el);
  },
  texts: (args) => findAll(compile(args.selector)).map(textOf),
  text: (args) => found(args, textOf),
  attribute: (args) =>
    found(args, (el) => (args.name.toLowerCase() === 'value' ? valueOf(el) : null) ?? dom.attr(el, args.name)),
  bounds: (args) =>
    found(args, (el) => {
      const { x, y, width, height } = dom.rect(el);
      return { x, y, width, height };
    }),
  enabled: (args) => found(args, isEnabled),
  checked: (args) => found(args, checkedState),
  markdown: (args) => found(args, markdownOf),
  html: (args) => (findFirst(compile(args.selector))?.outerHTML ?? '').slice(0, 4 << 20),
  born,
  enter,
  placed,
  outward,
  through,
  aim,
  aimed,
  focused,
  finish,
  focus: focusOn,
  fillable,
  filled,
  select: choose,
  reveal,
  shown,
  shownPiece,
  stage,
  attach,
  receive,
  copyStart,
  copyEnd,
  watch: addWatch,
  unwatch: removeWatch,
};

const api = {};
for (const [name, f] of Object.entries(FUNCTIONS)) api[name] = exported(f);
// The host wants the element itself.
api.kept = keptFrame;
Object.defineProperty(globalThis, 'webai', { value: api });
