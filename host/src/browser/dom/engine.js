// Walks a parsed selector (`selectors.rs`) over the document. Looked up anew at every call: nothing is remembered, so
// nothing goes stale.

class Failure extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

// Compiles once per call: CSS is checked, regular expressions are built.
function compile(chain) {
  return chain.map((step) => {
    const [kind, value] = Object.entries(step)[0];
    switch (kind) {
      case 'css':
        return { kind, css: compileCss(value) };
      case 'role':
        return { kind, role: value.role, name: value.name && compileText(value.name) };
      case 'has':
        return { kind, chain: compile(value) };
      case 'any':
        return { kind, branches: value.map(compile) };
      case 'visible':
      case 'nth':
        return { kind, value };
      default:
        return { kind, test: compileText(value) };
    }
  });
}

function compileText(text) {
  if ('part' in text) {
    const part = squeeze(text.part).toLowerCase();
    return (s) => squeeze(s).toLowerCase().includes(part);
  }
  if ('exact' in text) {
    const exact = squeeze(text.exact);
    return (s) => squeeze(s) === exact;
  }
  try {
    const regex = new RegExp(text.regex.source, text.regex.flags);
    return (s) => regex.test(squeeze(s));
  } catch (e) {
    throw new Failure('invalid-selector', `/${text.regex.source}/: ${e.message}`);
  }
}

function findAll(chain, scope = document) {
  let scopes = [scope];
  for (const step of chain) {
    scopes = advance(step, scopes);
    if (scopes.length === 0) break;
  }
  return scopes;
}

const findFirst = (chain) => findAll(chain)[0] ?? null;

function advance(step, scopes) {
  switch (step.kind) {
    case 'nth': {
      const at = step.value < 0 ? scopes.length + step.value : step.value;
      return at >= 0 && at < scopes.length ? [scopes[at]] : [];
    }
    case 'visible':
      return scopes.filter((el) => isVisible(el) === step.value);
    case 'has-text':
      return scopes.filter((el) => step.test(textWithin(el, new Map())));
    case 'has':
      return scopes.filter((el) => findAll(step.chain, el).length > 0);
    default: {
      const found = new Set();
      for (const scope of scopes) for (const el of find(step, scope)) found.add(el);
      const merged = scopes.length > 1 || step.kind === 'any';
      return merged ? inOrder(found) : Array.from(found);
    }
  }
}

function inOrder(found) {
  if (found.size < 2) return Array.from(found);
  const sorted = [];
  for (const el of elementsBelow(document)) if (found.has(el)) sorted.push(el);
  return sorted;
}

function find(step, scope) {
  switch (step.kind) {
    case 'css':
      return findCss(step.css, scope);
    case 'any':
      return step.branches.flatMap((chain) => findAll(chain, scope));
    case 'text':
      return findText(step.test, scope);
    default: {
      const found = [];
      const keep = KEEPS[step.kind];
      for (const el of elementsBelow(scope)) if (keep(el, step)) found.push(el);
      return found;
    }
  }
}

const KEEPS = {
  role: (el, step) =>
    roleOf(el) === step.role && !isAriaHidden(el) && (!step.name || step.name(accessibleName(el))),
  label: (el, step) => labelTexts(el).some(step.test),
  placeholder: (el, step) => [dom.attr(el, 'placeholder'), dom.attr(el, 'aria-placeholder')].some((p) => p && step.test(p)),
  testid: (el, step) => {
    const id = dom.attr(el, 'data-testid');
    return id !== null && step.test(id);
  },
};

function labelTexts(el) {
  const texts = labelsOf(el).map((label) => textWithin(label, new Map()));
  const referred = referredElements(el, 'aria-labelledby');
  if (referred.length) texts.push(referred.map((r) => textWithin(r, new Map())).join(' '));
  const label = dom.attr(el, 'aria-label');
  if (label) texts.push(label);
  return texts;
}

const SILENT = new Set(['script', 'style', 'noscript', 'template', 'head']);

// All text in an element, drawn or not. A button's caption is its value.
function textWithin(el, memo) {
  const known = memo.get(el);
  if (known !== undefined) return known;
  let text = '';
  if (isInput(el, 'submit', 'button', 'reset')) text = valueOf(el);
  else if (!SILENT.has(dom.name(el))) {
    const add = (node) => {
      const type = dom.type(node);
      if (type === TEXT) text += dom.data(node);
      else if (type === ELEMENT) text += dom.name(node) === 'br' ? '\n' : textWithin(node, memo);
    };
    const shadow = dom.shadow(el);
    if (shadow) for (const node of childrenOf(shadow)) add(node);
    for (const node of childrenOf(el)) add(node);
  }
  memo.set(el, text);
  return text;
}

// The smallest elements whose text passes.
function findText(test, scope) {
  const memo = new Map();
  const passes = new Map();
  const passed = (el) => {
    let known = passes.get(el);
    if (known === undefined) passes.set(el, (known = test(textWithin(el, memo))));
    return known;
  };
  const smaller = (el) => {
    const shadow = dom.shadow(el);
    const any = (root) => {
      for (const node of childrenOf(root)) if (dom.type(node) === ELEMENT && passed(node)) return true;
      return false;
    };
    return any(el) || (shadow !== null && any(shadow));
  };
  const found = [];
  for (const el of elementsBelow(scope)) {
    if (!SILENT.has(dom.name(el)) && passed(el) && !smaller(el)) found.push(el);
  }
  return found;
}
