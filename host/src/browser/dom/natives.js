// The DOM's own functions, captured once. A page cannot reach this world's prototypes, but a form field named
// `getAttribute`, or an image named `querySelector`, shadows the method of its form or document even here: so nothing in
// these files calls a method or reads a property of a node directly.

const bind = (f) => Function.prototype.call.bind(f);
const method = (type, name) => bind(type.prototype[name]);
const getter = (type, name) => bind(Object.getOwnPropertyDescriptor(type.prototype, name).get);
const setter = (type, name) => bind(Object.getOwnPropertyDescriptor(type.prototype, name).set);

const ELEMENT = 1;
const TEXT = 3;
const FRAGMENT = 11;

const dom = {
  type: getter(Node, 'nodeType'),
  parent: getter(Node, 'parentNode'),
  first: getter(Node, 'firstChild'),
  next: getter(Node, 'nextSibling'),
  data: getter(Node, 'nodeValue'),
  textContent: getter(Node, 'textContent'),
  connected: getter(Node, 'isConnected'),
  rootOf: method(Node, 'getRootNode'),
  contains: method(Node, 'contains'),

  name: getter(Element, 'localName'),
  attr: method(Element, 'getAttribute'),
  hasAttr: method(Element, 'hasAttribute'),
  matches: method(Element, 'matches'),
  rect: method(Element, 'getBoundingClientRect'),
  rects: method(Element, 'getClientRects'),
  shadow: getter(Element, 'shadowRoot'),
  slot: getter(Element, 'assignedSlot'),
  previous: getter(Element, 'previousElementSibling'),
  drawn: method(Element, 'checkVisibility'),
  scrollTo: method(Element, 'scrollIntoView'),
  scrollIfNeeded: method(Element, 'scrollIntoViewIfNeeded'),
  assigned: method(HTMLSlotElement, 'assignedNodes'),
  host: getter(ShadowRoot, 'host'),

  editable: getter(HTMLElement, 'isContentEditable'),
  innerText: getter(HTMLElement, 'innerText'),
  focus: method(HTMLElement, 'focus'),
  labelTarget: getter(HTMLLabelElement, 'control'),

  body: getter(Document, 'body'),
  top: getter(Document, 'documentElement'),
  hidden: getter(Document, 'hidden'),
  command: method(Document, 'execCommand'),
  byId: (root, id) => (dom.type(root) === FRAGMENT ? fragmentById(root, id) : documentById(root, id)),
  active: (root) => (dom.type(root) === FRAGMENT ? shadowActive(root) : documentActive(root)),
  at: (root, x, y) => (dom.type(root) === FRAGMENT ? shadowAt(root, x, y) : documentAt(root, x, y)),
  all: (root, css) => {
    const type = dom.type(root);
    return type === ELEMENT ? elementAll(root, css) : type === FRAGMENT ? fragmentAll(root, css) : documentAll(root, css);
  },

  composedPath: method(Event, 'composedPath'),
  dispatch: method(EventTarget, 'dispatchEvent'),
};

const elementAll = method(Element, 'querySelectorAll');
const fragmentAll = method(DocumentFragment, 'querySelectorAll');
const documentAll = method(Document, 'querySelectorAll');
const fragmentById = method(DocumentFragment, 'getElementById');
const documentById = method(Document, 'getElementById');
const documentActive = getter(Document, 'activeElement');
const shadowActive = getter(ShadowRoot, 'activeElement');
const documentAt = method(Document, 'elementFromPoint');
const shadowAt = method(ShadowRoot, 'elementFromPoint');

// The controls that have a value, a state and labels of their own.
const CONTROLS = {
  input: HTMLInputElement,
  textarea: HTMLTextAreaElement,
  select: HTMLSelectElement,
  button: HTMLButtonElement,
  output: HTMLOutputElement,
  meter: HTMLMeterElement,
  progress: HTMLProgressElement,
};
const controlType = (el) => {
  const type = CONTROLS[dom.name(el)];
  return type && el instanceof type ? type : null;
};
const read = {};
for (const [name, type] of Object.entries(CONTROLS)) {
  read[name] = { labels: getter(type, 'labels'), value: getter(type, 'value') };
}
const inputType = getter(HTMLInputElement, 'type');
const inputChecked = getter(HTMLInputElement, 'checked');
const inputReadOnly = getter(HTMLInputElement, 'readOnly');
const areaReadOnly = getter(HTMLTextAreaElement, 'readOnly');

const valueOf = (el) => (controlType(el) ? String(read[dom.name(el)].value(el)) : null);
const labelsOf = (el) => (controlType(el) ? Array.from(read[dom.name(el)].labels(el) ?? []) : []);
const isInput = (el, ...types) => el instanceof HTMLInputElement && (!types.length || types.includes(inputType(el)));

function* childrenOf(node) {
  for (let child = dom.first(node); child; child = dom.next(child)) yield child;
}

// Up the tree of elements, out of a shadow root to its host.
function parentElement(node) {
  const parent = dom.parent(node);
  if (!parent) return null;
  const type = dom.type(parent);
  if (type === ELEMENT) return parent;
  return type === FRAGMENT && parent instanceof ShadowRoot ? dom.host(parent) : null;
}

// Up the tree as it is drawn: what is slotted lies in its slot.
function flatParent(node) {
  return (node instanceof Element && dom.slot(node)) || parentElement(node);
}

// The children as they are drawn.
function flatChildren(el) {
  const shadow = dom.shadow(el);
  if (shadow) return childrenOf(shadow);
  if (el instanceof HTMLSlotElement) {
    const assigned = dom.assigned(el);
    if (assigned.length) return assigned;
  }
  return childrenOf(el);
}

// Whether `node` is `ancestor` or is drawn within it.
function within(node, ancestor) {
  for (let at = node; at; at = flatParent(at)) if (at === ancestor) return true;
  return false;
}

// The nearest element, this one included, that matches, across shadow roots.
function nearest(el, css) {
  for (let at = el; at; at = parentElement(at)) if (dom.matches(at, css)) return at;
  return null;
}

// Every element below, shadow trees included, in document order.
function* elementsBelow(root) {
  if (dom.type(root) === ELEMENT) {
    const shadow = dom.shadow(root);
    if (shadow) yield* elementsBelow(shadow);
  }
  for (const el of dom.all(root, '*')) {
    yield el;
    const shadow = dom.shadow(el);
    if (shadow) yield* elementsBelow(shadow);
  }
}

function shadowRootsBelow(root, found = []) {
  const add = (el) => {
    const shadow = dom.shadow(el);
    if (shadow) {
      found.push(shadow);
      shadowRootsBelow(shadow, found);
    }
  };
  if (dom.type(root) === ELEMENT) add(root);
  for (const el of dom.all(root, '*')) add(el);
  return found;
}

const squeeze = (text) => text.replace(/[\s\u00a0\u200b]+/g, ' ').trim();

// What a person would call this element, for messages.
function describe(el) {
  if (!el) return 'nothing';
  const id = dom.attr(el, 'id');
  const kind = (dom.attr(el, 'class') ?? '').trim().split(/\s+/)[0];
  return `<${dom.name(el)}${id ? ` id="${id}"` : ''}${kind ? ` class="${kind}"` : ''}>`.slice(0, 120);
}
