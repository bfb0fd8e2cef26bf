// Role and accessible name, after ARIA in HTML and the basics of accname 1.2.

const ROLES = new Set(
  ('alert alertdialog application article banner blockquote button caption cell checkbox code columnheader combobox ' +
    'complementary contentinfo definition deletion dialog directory document emphasis feed figure form generic grid ' +
    'gridcell group heading img insertion link list listbox listitem log main mark marquee math menu menubar menuitem ' +
    'menuitemcheckbox menuitemradio meter navigation none note option paragraph presentation progressbar radio ' +
    'radiogroup region row rowgroup rowheader scrollbar search searchbox separator slider spinbutton status strong ' +
    'subscript superscript switch tab table tablist tabpanel term textbox time timer toolbar tooltip tree treegrid ' +
    'treeitem').split(' '),
);
const NAMED_BY_CONTENT = new Set(
  ('button cell checkbox columnheader gridcell heading link menuitem menuitemcheckbox menuitemradio option radio row ' +
    'rowheader switch tab tooltip treeitem').split(' '),
);
const SECTIONING = 'article, aside, main, nav, section, [role=article], [role=complementary], [role=main], [role=navigation], [role=region]';
const byName = (role) => (el) => (hasOwnLabel(el) ? role : null);
const outsideSections = (role) => (el) => {
  const parent = parentElement(el);
  return parent && nearest(parent, SECTIONING) ? null : role;
};
const IMPLICIT = {
  a: (el) => (dom.hasAttr(el, 'href') ? 'link' : null),
  area: (el) => (dom.hasAttr(el, 'href') ? 'link' : null),
  article: 'article',
  aside: 'complementary',
  blockquote: 'blockquote',
  button: 'button',
  caption: 'caption',
  code: 'code',
  datalist: 'listbox',
  dd: 'definition',
  del: 'deletion',
  details: 'group',
  dfn: 'term',
  dialog: 'dialog',
  dt: 'term',
  em: 'emphasis',
  fieldset: 'group',
  figure: 'figure',
  footer: outsideSections('contentinfo'),
  form: byName('form'),
  h1: 'heading', h2: 'heading', h3: 'heading', h4: 'heading', h5: 'heading', h6: 'heading',
  header: outsideSections('banner'),
  hr: 'separator',
  html: 'document',
  img: (el) => (dom.attr(el, 'alt') === '' && !hasOwnLabel(el) && !dom.hasAttr(el, 'title') ? 'presentation' : 'img'),
  input: (el) => {
    const type = inputType(el);
    if (['button', 'submit', 'reset', 'image'].includes(type)) return 'button';
    if (['checkbox', 'radio'].includes(type)) return dom.hasAttr(el, 'switch') ? 'switch' : type;
    if (['text', 'email', 'tel', 'url', 'search'].includes(type)) {
      if (dom.hasAttr(el, 'list')) return 'combobox';
      return type === 'search' ? 'searchbox' : 'textbox';
    }
    return { number: 'spinbutton', range: 'slider', password: 'textbox' }[type] ?? null;
  },
  ins: 'insertion',
  li: 'listitem',
  main: 'main',
  mark: 'mark',
  math: 'math',
  menu: 'list',
  meter: 'meter',
  nav: 'navigation',
  ol: 'list',
  optgroup: 'group',
  option: 'option',
  output: 'status',
  p: 'paragraph',
  progress: 'progressbar',
  search: 'search',
  section: byName('region'),
  select: (el) => (dom.hasAttr(el, 'multiple') || Number(dom.attr(el, 'size')) > 1 ? 'listbox' : 'combobox'),
  strong: 'strong',
  sub: 'subscript',
  summary: 'button',
  sup: 'superscript',
  svg: 'img',
  table: 'table',
  tbody: 'rowgroup',
  td: (el) => (nearest(el, 'table[role=grid], table[role=treegrid]') ? 'gridcell' : 'cell'),
  textarea: 'textbox',
  tfoot: 'rowgroup',
  th: (el) => (['row', 'rowgroup'].includes(dom.attr(el, 'scope')) ? 'rowheader' : 'columnheader'),
  thead: 'rowgroup',
  time: 'time',
  tr: 'row',
  ul: 'list',
};

const hasOwnLabel = (el) =>
  squeeze(dom.attr(el, 'aria-label') ?? '') !== '' || referredElements(el, 'aria-labelledby').length > 0;

function implicitRole(el) {
  const role = Object.hasOwn(IMPLICIT, dom.name(el)) ? IMPLICIT[dom.name(el)] : null;
  return typeof role === 'function' ? role(el) : role;
}

function roleOf(el) {
  const roles = (dom.attr(el, 'role') ?? '').toLowerCase().split(/\s+/);
  const role = roles.find((r) => ROLES.has(r));
  if (!role) return implicitRole(el);
  // What can be reached by keyboard or carries a label cannot be declared to mean nothing.
  if ((role === 'none' || role === 'presentation') && (dom.hasAttr(el, 'tabindex') || hasOwnLabel(el))) {
    return implicitRole(el);
  }
  return role;
}

// Whether assistive technology would not be told of it: not drawn, or hidden by `aria-hidden`.
function isAriaHidden(el) {
  for (let at = el; at; at = flatParent(at)) if (dom.attr(at, 'aria-hidden') === 'true') return true;
  return !isRendered(el) || getComputedStyle(el).visibility !== 'visible';
}

function referredElements(el, attribute) {
  const ids = (dom.attr(el, attribute) ?? '').split(/\s+/).filter(Boolean);
  const root = dom.rootOf(el);
  if (dom.type(root) === ELEMENT) return [];
  return ids.map((id) => dom.byId(root, id)).filter(Boolean);
}

const accessibleName = (el) => squeeze(nameOf(el, { seen: new Set(), referred: false, inside: false }));

// `referred`: reached by aria-labelledby; `inside`: part of another element's name.
function nameOf(el, way) {
  if (way.seen.has(el)) return '';
  way.seen.add(el);
  if (!way.referred && way.inside && isAriaHidden(el)) return '';
  if (!way.referred) {
    const referred = referredElements(el, 'aria-labelledby');
    if (referred.length) {
      return referred.map((r) => nameOf(r, { seen: new Set([...way.seen].filter((s) => s !== r)), referred: true, inside: true })).join(' ');
    }
  }
  const role = roleOf(el);
  if (way.inside) {
    const value = embeddedValue(el, role);
    if (value !== null) return value;
  }
  const label = dom.attr(el, 'aria-label');
  if (label && squeeze(label)) return label;
  const native = role === 'none' || role === 'presentation' ? '' : nativeName(el, way);
  if (squeeze(native)) return native;
  if (way.inside || NAMED_BY_CONTENT.has(role)) {
    const content = contentName(el, way);
    if (squeeze(content)) return content;
  }
  const title = dom.attr(el, 'title');
  if (title) return title;
  if (role === 'textbox' || role === 'searchbox' || role === 'combobox') {
    return dom.attr(el, 'placeholder') ?? dom.attr(el, 'aria-placeholder') ?? '';
  }
  return '';
}

// A control within a label counts by its value.
function embeddedValue(el, role) {
  if (role === 'textbox' || role === 'searchbox') return valueOf(el) ?? dom.textContent(el);
  if ((role === 'combobox' || role === 'listbox') && el instanceof HTMLSelectElement) {
    return Array.from(dom.all(el, 'option:checked'), (option) => dom.textContent(option)).join(' ');
  }
  if (role === 'slider' || role === 'spinbutton') {
    return dom.attr(el, 'aria-valuetext') ?? dom.attr(el, 'aria-valuenow') ?? valueOf(el) ?? '';
  }
  return null;
}

function nativeName(el, way) {
  const child = (css) => {
    const found = dom.all(el, css)[0];
    return found ? nameOf(found, { ...way, referred: false, inside: true }) : '';
  };
  if (isInput(el, 'button', 'submit', 'reset')) {
    return valueOf(el) || dom.attr(el, 'title') || { submit: 'Submit', reset: 'Reset' }[inputType(el)] || '';
  }
  if (isInput(el, 'image')) return dom.attr(el, 'alt') || valueOf(el) || dom.attr(el, 'title') || 'Submit';
  const labels = labelsOf(el).filter((label) => !way.seen.has(label));
  if (labels.length) {
    const text = labels.map((label) => nameOf(label, { seen: new Set(way.seen), referred: true, inside: true })).join(' ');
    if (squeeze(text)) return text;
  }
  switch (dom.name(el)) {
    case 'img':
    case 'area':
      return dom.attr(el, 'alt') ?? '';
    case 'fieldset':
      return child(':scope > legend');
    case 'figure':
      return child(':scope > figcaption');
    case 'table':
      return child(':scope > caption');
    case 'svg': {
      // Never drawn, and so hidden to every other rule.
      const title = dom.all(el, ':scope > title')[0];
      return title ? dom.textContent(title) : '';
    }
    case 'optgroup':
      return dom.attr(el, 'label') ?? '';
    default:
      return '';
  }
}

function pseudoText(el, which) {
  const content = getComputedStyle(el, which).content;
  const quoted = /^"((?:[^"\\]|\\.)*)"/.exec(content);
  return quoted ? quoted[1].replace(/\\(.)/g, '$1') : '';
}

function contentName(el, way) {
  let text = pseudoText(el, '::before');
  for (const node of flatChildren(el)) {
    if (dom.type(node) === TEXT) text += dom.data(node);
    else if (dom.type(node) === ELEMENT && !SILENT.has(dom.name(node))) {
      const part = nameOf(node, { seen: way.seen, referred: false, inside: true });
      const inline = getComputedStyle(node).display.startsWith('inline') && dom.name(node) !== 'br';
      text += inline ? part : ` ${part} `;
    }
  }
  return text + pseudoText(el, '::after');
}
