// A rendered answer back to Markdown: blocks. An answer is drawn from Markdown by all sites, each in its own way, so that
// meaning is taken from tags and from how things are drawn, never from one site's classes.

const DROPPED = new Set('script style noscript template button select textarea input svg canvas audio video dialog iframe object embed'.split(' '));
const DROPPED_ROLES = new Set(['button', 'toolbar', 'tooltip', 'menu', 'alertdialog', 'dialog']);
const INLINE_TAGS = new Set('a abbr b bdi bdo cite code del dfn em i img ins kbd label mark q s samp small strike strong sub sup time tt u var wbr'.split(' '));
const BLOCK_TAGS = 'address, article, aside, blockquote, details, dd, div, dl, dt, fieldset, figure, footer, form, h1, h2, h3, h4, h5, h6, header, hr, li, main, nav, ol, p, pre, section, table, ul';
const BREAK = '\v';

const markdownOf = (el) => joinBlocks(isDropped(el, true) ? [] : blockOf(el));

const joinBlocks = (blocks) => blocks.map((b) => b.text).join('\n\n').trim();

function isDropped(el, asked = false) {
  const role = dom.attr(el, 'role');
  const href = dom.name(el) === 'a' && /^https?:/.test(hrefOf(el));
  if (!asked && (DROPPED.has(dom.name(el)) || DROPPED_ROLES.has(role)) && !href) return true;
  if (!asked && dom.attr(el, 'aria-hidden') === 'true' && !isMath(el)) return true;
  const style = getComputedStyle(el);
  if (style.display === 'contents') return false;
  if (style.visibility !== 'visible' || !isRendered(el)) return true;
  // Text for screen readers only.
  if (style.position === 'absolute' && style.overflow === 'hidden' && !isMath(el)) {
    const rect = dom.rect(el);
    return rect.width <= 1 && rect.height <= 1;
  }
  return false;
}

function isBlock(el) {
  const name = dom.name(el);
  if (INLINE_TAGS.has(name)) return false;
  if (dom.matches(el, BLOCK_TAGS) && dom.name(el) !== 'div') return true;
  const display = getComputedStyle(el).display;
  const drawn = (b) => !getComputedStyle(b).display.startsWith('inline');
  const inner = () => [el, ...shadowRootsBelow(el)].some((root) => Array.from(dom.all(root, BLOCK_TAGS)).some(drawn));
  if (display.startsWith('inline') || display === 'contents') return inner();
  if (name !== 'span') return true;
  // What lies in a flex or grid box counts as a block to the browser, but not to a reader.
  const parent = flatParent(el);
  return !(parent && /flex|grid/.test(getComputedStyle(parent).display)) || inner();
}

// The blocks that an element stands for.
function blockOf(el) {
  const name = dom.name(el);
  const math = mathOf(el);
  if (math?.skip) return [];
  if (math) return [{ kind: 'math', text: math.display ? `$$\n${math.tex}\n$$` : `$${math.tex}$` }];
  const code = codeWidget(el);
  if (code) return [code];
  const level = headingLevel(el);
  if (level) {
    const text = finishInline(inlineOf(el), ' ');
    return text ? [{ kind: 'heading', text: `${'#'.repeat(level)} ${text}` }] : [];
  }
  switch (name) {
    case 'ul':
    case 'ol':
    case 'menu':
      return listOf(el);
    case 'table':
      return tableOf(el);
    case 'blockquote': {
      const inside = joinBlocks(blocksIn(el));
      return inside ? [{ kind: 'quote', text: inside.replace(/^/gm, '> ').replace(/^> $/gm, '>') }] : [];
    }
    case 'hr':
      return [{ kind: 'rule', text: '---' }];
    default:
      return isBlock(el) ? blocksIn(el) : paragraph(inlineNode(el));
  }
}

function headingLevel(el) {
  const tag = /^h([1-6])$/.exec(dom.name(el));
  if (tag) return Number(tag[1]);
  if (dom.attr(el, 'role') !== 'heading') return 0;
  return Math.min(6, Math.max(1, Number(dom.attr(el, 'aria-level')) || 2));
}

function paragraph(inline) {
  const text = finishInline(inline, '  \n');
  return text ? [{ kind: 'p', text: escapeStarts(text) }] : [];
}

function blocksIn(el) {
  const blocks = [];
  let run = '';
  const flush = () => {
    blocks.push(...paragraph(run));
    run = '';
  };
  for (const node of flatChildren(el)) {
    const element = dom.type(node) === ELEMENT;
    const math = element ? mathOf(node) : null;
    if (element && !math && isDropped(node)) continue;
    if (element && (math ? math.display : isBlock(node))) {
      flush();
      blocks.push(...blockOf(node));
    } else run += inlineNode(node);
  }
  flush();
  return blocks;
}

function listOf(el) {
  const ordered = dom.name(el) === 'ol';
  let number = ordered ? Number.parseInt(dom.attr(el, 'start') ?? '1', 10) || 1 : 0;
  const items = [];
  let loose = false;
  for (const child of flatChildren(el)) {
    if (dom.type(child) !== ELEMENT || isDropped(child)) continue;
    const blocks = dom.name(child) === 'li' ? blocksIn(child) : blockOf(child);
    if (dom.name(child) !== 'li' && items.length && blocks[0]?.kind === 'list') {
      items[items.length - 1] += `\n${indent(joinBlocks(blocks), ordered ? 3 : 2)}`;
      continue;
    }
    const mark = ordered ? `${dom.attr(child, 'value') ?? number}. ` : '- ';
    number++;
    const task = taskMark(child);
    const texts = blocks.filter((b) => b.kind !== 'list').length;
    loose ||= texts > 1;
    let text = '';
    for (const block of blocks) {
      if (text) text += block.kind === 'list' && texts <= 1 ? '\n' : '\n\n';
      text += block.text;
    }
    items.push(mark + indent(task + text, mark.length).slice(mark.length));
  }
  return items.length ? [{ kind: 'list', text: items.join(loose ? '\n\n' : '\n') }] : [];
}

const indent = (text, width) => text.replace(/^(?=.)/gm, ' '.repeat(width));

function taskMark(li) {
  const boxes = dom.all(li, 'input[type=checkbox]');
  if (!boxes.length || nearest(boxes[0], 'li') !== li) return '';
  return inputChecked(boxes[0]) ? '[x] ' : '[ ] ';
}

const cellText = (cell) => finishInline(inlineOf(cell), '<br>').replace(/\|/g, '\\|');

function tableOf(table) {
  const rows = Array.from(dom.all(table, 'tr')).filter((row) => nearest(row, 'table') === table && !isDropped(row));
  const cells = rows.map((row) => Array.from(dom.all(row, ':scope > th, :scope > td')));
  const width = Math.max(0, ...cells.map((row) => row.length));
  if (width === 0) return [];
  const line = (row) => `| ${Array.from({ length: width }, (_, i) => (row[i] ? cellText(row[i]) : '')).join(' | ')} |`;
  const sample = cells[1] ?? [];
  const rule = Array.from({ length: width }, (_, i) => {
    const align = sample[i] ? getComputedStyle(sample[i]).textAlign.replace('-webkit-', '') : '';
    return { center: ':---:', right: '---:', end: '---:' }[align] ?? '---';
  });
  const lines = [line(cells[0]), `| ${rule.join(' | ')} |`, ...cells.slice(1).map(line)];
  const caption = dom.all(table, ':scope > caption')[0];
  const title = caption && !isDropped(caption) ? paragraph(inlineOf(caption)) : [];
  return [...title, { kind: 'table', text: lines.join('\n') }];
}
