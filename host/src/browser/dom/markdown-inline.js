// A rendered answer back to Markdown: what stands within a line. A hard break is written as BREAK until the line is done.

const anchorHref = getter(HTMLAnchorElement, 'href');
const imageChosen = getter(HTMLImageElement, 'currentSrc');
const imageNamed = getter(HTMLImageElement, 'src');
const hrefOf = (el) => (el instanceof HTMLAnchorElement ? anchorHref(el) : '');

function inlineOf(el) {
  let text = '';
  for (const node of flatChildren(el)) text += inlineNode(node);
  return text;
}

function inlineNode(node) {
  const type = dom.type(node);
  if (type === TEXT) return inlineText(node);
  if (type !== ELEMENT) return '';
  const math = mathOf(node);
  if (math?.skip) return '';
  if (math) return math.display ? `${BREAK}$$${math.tex}$$${BREAK}` : `$${math.tex}$`;
  if (dom.name(node) === 'br') return BREAK;
  if (isDropped(node)) return '';
  switch (dom.name(node)) {
    case 'strong':
    case 'b':
      return wrapped('**', inlineOf(node));
    case 'em':
    case 'i':
      return wrapped('*', inlineOf(node));
    case 'del':
    case 's':
    case 'strike':
      return wrapped('~~', inlineOf(node));
    case 'code':
    case 'kbd':
    case 'samp':
    case 'tt':
      return codeSpan(node);
    case 'sup':
    case 'sub':
      return raised(node);
    case 'a':
      return linkOf(node);
    case 'img':
      return imageOf(node);
    default: {
      const inside = inlineOf(node);
      return isBlock(node) ? BREAK + inside + BREAK : inside;
    }
  }
}

function inlineText(node) {
  const text = dom.data(node);
  const parent = flatParent(node);
  const keeps = parent && /^(pre|break-spaces)/.test(getComputedStyle(parent).whiteSpace);
  const escaped = escapeText(text);
  return keeps ? escaped.replace(/\r?\n/g, BREAK) : escaped.replace(/[ \t\r\n]+/g, ' ');
}

// Marks hold only when they touch the text: spaces go outside.
function wrapped(mark, inside) {
  const [, before, text, after] = /^([\s]*)([^]*?)([\s]*)$/.exec(inside);
  if (!text) return inside;
  return before + mark + text.replaceAll(BREAK, `${mark}${BREAK}${mark}`) + mark + after;
}

function codeSpan(el) {
  const text = dom.textContent(el).replace(/\s+/g, ' ');
  if (!text.trim()) return text;
  const longest = Math.max(0, ...Array.from(text.matchAll(/`+/g), (run) => run[0].length));
  const fence = '`'.repeat(longest + 1);
  const pad = text.startsWith('`') || text.endsWith('`') ? ' ' : '';
  return fence + pad + text + pad + fence;
}

// A raised link is a citation; anything else raised has no mark of its own.
function raised(el) {
  const inside = inlineOf(el).trim();
  if (!inside || dom.all(el, 'a[href]').length) return inside;
  return `<${dom.name(el)}>${inside}</${dom.name(el)}>`;
}

function linkOf(el) {
  const href = hrefOf(el);
  const inside = finishInline(inlineOf(el), ' ');
  if (!/^(https?|mailto|tel):/.test(href) || (dom.attr(el, 'href') ?? '').startsWith('#')) return inside;
  const spoken = finishInline(escapeText(dom.attr(el, 'aria-label') ?? dom.attr(el, 'title') ?? ''), ' ');
  const text = inside || spoken || escapeText(new URL(href).hostname || href);
  const bare = dom.textContent(el).trim();
  if (bare === href || `${bare}/` === href) return href;
  return `[${text.replace(/(?<!!)\[([^\]]*)\](?!\()/g, '\\[$1\\]')}](${target(href)})`;
}

const target = (url) => (/[()\s]/.test(url) ? `<${url.replace(/>/g, '%3E')}>` : url);

function imageOf(el) {
  // A picture that has not begun to load, or could not, has chosen nothing yet.
  const source = el instanceof HTMLImageElement ? imageChosen(el) || imageNamed(el) : '';
  const alt = escapeText(squeeze(dom.attr(el, 'alt') ?? ''));
  const rect = dom.rect(el);
  // An icon without a word says nothing; bytes written into the address would drown the answer.
  if (!/^https?:/.test(source) || (!alt && rect.width <= 32 && rect.height <= 32)) return '';
  return `![${alt}](${target(source)})`;
}

// Only what would be read as Markdown is escaped.
function escapeText(text) {
  return text
    .replace(/\\(?=[!-/:-@[-`{-~])/g, '\\\\')
    .replace(/`/g, '\\`')
    .replace(/\*(?=\S)|(?<=\S)\*/g, '\\*')
    .replace(/(?<![\p{L}\p{N}_])_|_(?![\p{L}\p{N}_])/gu, '\\_')
    .replace(/~~/g, '\\~~')
    .replace(/<(?=[a-zA-Z/!])/g, '\\<')
    .replace(/\[(?=[^\]]*\]\()/g, '\\[');
}

const escapeStarts = (text) =>
  text.replace(/^(#{1,6}|[-+*>])(?=\s|$)/gm, '\\$1').replace(/^>/gm, '\\>').replace(/^(\d+)([.)])(?=\s)/gm, '$1\\$2');

function finishInline(text, lineBreak) {
  return text
    .split(BREAK)
    .map((line) => line.replace(/[ \t\r\n]+/g, ' ').trim())
    .join(BREAK)
    .replace(/^\v+|\v+$/g, '')
    .replace(/\v{2,}/g, BREAK)
    .replaceAll(BREAK, lineBreak);
}
