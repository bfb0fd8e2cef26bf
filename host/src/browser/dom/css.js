// CSS across open shadow roots: `a b` and `a > b` hold over the border between a shadow tree and its host. Within one tree
// the browser's own engine does the work.

// Cuts `a > b, c d` into [[{css: 'a'}, {css: 'b', by: '>'}], ...]. What stands in brackets or quotes is left whole.
function cutCss(css) {
  const list = [];
  let parts = [];
  let start = 0;
  let by = null;
  let depth = 0;
  const close = (end) => {
    const text = css.slice(start, end).trim();
    if (text) {
      parts.push({ css: text, by });
      by = ' ';
    }
  };
  for (let i = 0; i < css.length; i++) {
    const c = css[i];
    if (c === '\\') i++;
    else if (c === '"' || c === "'") {
      for (i++; i < css.length && css[i] !== c; i++) if (css[i] === '\\') i++;
    } else if (c === '(' || c === '[') depth++;
    else if (c === ')' || c === ']') depth--;
    else if (depth === 0 && /[\s>+~,]/.test(c)) {
      close(i);
      start = i + 1;
      if (c === ',') {
        list.push(parts);
        parts = [];
        by = null;
      } else if (!/\s/.test(c)) by = c;
    }
  }
  close(css.length);
  list.push(parts);
  return list;
}

function compileCss(source) {
  const css = /^[>+~]/.test(source) ? `:scope ${source}` : source;
  try {
    fragmentAll(new DocumentFragment(), css);
  } catch {
    throw new Failure('invalid-selector', `css=${source}: the browser cannot read this CSS selector`);
  }
  return { css, list: cutCss(css) };
}

const partMatches = (el, part, scope) =>
  part.css === ':scope' ? el === scope || (scope === document && el === dom.top(document)) : dom.matches(el, part.css);

function complexMatches(el, parts, scope, at = parts.length - 1) {
  if (!partMatches(el, parts[at], scope)) return false;
  if (at === 0) return true;
  switch (parts[at].by) {
    case '>': {
      const parent = parentElement(el);
      return parent !== null && complexMatches(parent, parts, scope, at - 1);
    }
    case '+': {
      const before = dom.previous(el);
      return before !== null && complexMatches(before, parts, scope, at - 1);
    }
    case '~':
      for (let before = dom.previous(el); before; before = dom.previous(before)) {
        if (complexMatches(before, parts, scope, at - 1)) return true;
      }
      return false;
    default:
      for (let up = parentElement(el); up; up = parentElement(up)) {
        if (complexMatches(up, parts, scope, at - 1)) return true;
      }
      return false;
  }
}

function findCss({ css, list }, scope) {
  if (shadowRootsBelow(scope).length === 0) return Array.from(dom.all(scope, css));
  const found = [];
  for (const el of elementsBelow(scope)) {
    if (list.some((parts) => complexMatches(el, parts, scope))) found.push(el);
  }
  return found;
}
