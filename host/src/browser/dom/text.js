// Text as a person sees it. The browser's own `innerText` where it sees everything; it does not see into shadow trees.

function textOf(el) {
  if (el instanceof HTMLElement && shadowRootsBelow(el).length === 0) return dom.innerText(el).trim();
  const out = [];
  writeText(el, out);
  return out.join('').replace(/[^\S\n]*\n[^\S\n]*/g, '\n').replace(/\n{3,}/g, '\n\n').trim();
}

function writeText(el, out) {
  const style = getComputedStyle(el);
  if (style.display === 'none' || SILENT.has(dom.name(el))) return;
  if (dom.name(el) === 'br') return void out.push('\n');
  const block = !/^(inline|contents|ruby|table-cell)/.test(style.display);
  if (block) out.push('\n');
  const visible = style.visibility === 'visible';
  const keeps = /^(pre|break-spaces)/.test(style.whiteSpaceCollapse ?? style.whiteSpace) || style.whiteSpace.startsWith('pre');
  for (const node of flatChildren(el)) {
    if (dom.type(node) === ELEMENT) writeText(node, out);
    else if (dom.type(node) === TEXT && visible) out.push(keeps ? dom.data(node) : dom.data(node).replace(/\s+/g, ' '));
  }
  if (style.display === 'table-cell') out.push('\t');
  if (block) out.push('\n');
}
