// A rendered answer back to Markdown: code blocks with their language, and formulas with their LaTeX source.

const CODE_AREA = 'pre, .cm-content, .view-lines';
const LABEL = /^[A-Za-z][\w+#./ -]{0,29}$/;
const LANGUAGE = /(?:^|\s)(?:language|lang|highlight-source|brush:)-?\s*([\w+#.-]+)/;
const NO_LANGUAGE = new Set(['hljs', 'none', 'highlight', 'code']);
const ALIASES = { 'c++': 'cpp', 'c#': 'csharp', 'f#': 'fsharp', 'plain text': 'text', 'objective-c': 'objectivec' };
const CAPTIONS = /^(copy( code)?|copied!?|download|run|edit|wrap( lines)?|expand|collapse|复制(代码)?|下载|运行|编辑|展开|收起|預覽|预览|複製(程式碼)?|コピー)$/i;

// A code block is a `pre`, an editor's text, or a box around one of these with a caption that names the language.
function codeWidget(el) {
  if (dom.matches(el, CODE_AREA)) return codeBlock(el, el);
  if (INLINE_TAGS.has(dom.name(el)) || dom.matches(el, 'li, td, th, blockquote, p, ul, ol, table')) return null;
  const areas = Array.from(dom.all(el, CODE_AREA)).filter((area) => !isWithinOther(area, el));
  if (areas.length !== 1 || dom.all(el, 'p, li, h1, h2, h3, h4, h5, h6, table, blockquote').length) return null;
  const label = captionOf(el, areas[0]);
  return label === null ? null : codeBlock(areas[0], el, label);
}

const isWithinOther = (area, stop) => {
  const up = parentElement(area);
  const outer = up && nearest(up, CODE_AREA);
  return outer !== null && outer !== stop && within(outer, stop);
};

// What stands beside the code: '' for nothing, a language, or null when it is more than a caption.
function captionOf(box, area) {
  const pieces = [];
  const collect = (node) => {
    if (node === area) return;
    if (dom.type(node) === TEXT) {
      const text = squeeze(dom.data(node));
      if (text && !CAPTIONS.test(text)) pieces.push(text);
    } else if (dom.type(node) === ELEMENT && !isDropped(node)) for (const child of flatChildren(node)) collect(child);
  };
  collect(box);
  if (pieces.length === 0) return '';
  return pieces.length === 1 && LABEL.test(pieces[0]) ? pieces[0] : null;
}

function codeBlock(area, box, label = '') {
  const inner = dom.all(area, 'code, .cm-content, .view-lines')[0];
  const source = inner ?? area;
  const caption = label || (inner ? captionOf(area, inner) : '') || '';
  const text = codeText(source).replace(/\n$/, '');
  const language = languageOf(source, area, box) || ALIASES[caption.toLowerCase()] || caption.toLowerCase().replace(/\s+/g, '-');
  const longest = Math.max(2, ...Array.from(text.matchAll(/^\s*(`{3,})/gm), (run) => run[1].length));
  const fence = '`'.repeat(longest + 1);
  return { kind: 'code', text: `${fence}${language}\n${text}\n${fence}` };
}

function languageOf(...elements) {
  for (const el of elements) {
    for (const name of ['data-language', 'data-lang', 'data-code-language']) {
      const value = dom.attr(el, name);
      if (value) return value.toLowerCase();
    }
    const kind = LANGUAGE.exec(dom.attr(el, 'class') ?? '');
    if (kind && !NO_LANGUAGE.has(kind[1])) return kind[1];
    const hljs = /(?:^|\s)hljs\s+([\w+#-]+)/.exec(dom.attr(el, 'class') ?? '');
    if (hljs && !NO_LANGUAGE.has(hljs[1])) return hljs[1];
  }
  return '';
}

const LINE_NUMBERS = /(^|[\s_-])(line-?numbers?|lineno|gutter)($|[\s_-])/i;

// Lines may be text, boxes, or boxes with line ends of their own; each is one line.
function codeText(root) {
  let out = '';
  let pending = false;
  const emit = (text) => {
    if (!text) return;
    if (pending && !text.startsWith('\n')) out += '\n';
    pending = false;
    out += text;
  };
  const walk = (el) => {
    for (const node of flatChildren(el)) {
      if (dom.type(node) === TEXT) emit(dom.data(node));
      else if (dom.type(node) === ELEMENT) element(node);
    }
  };
  const element = (el) => {
    if (dom.name(el) === 'br') return emit('\n');
    if (DROPPED.has(dom.name(el)) || LINE_NUMBERS.test(dom.attr(el, 'class') ?? '')) return;
    const style = getComputedStyle(el);
    if (style.display === 'none' || style.userSelect === 'none') return;
    const line = !/^(inline|contents|table-cell)/.test(style.display);
    if (line && (pending || (out && !out.endsWith('\n')))) out += '\n';
    if (line) pending = false;
    const before = out.length;
    walk(el);
    if (line) pending = out.length === before || !out.endsWith('\n');
  };
  walk(root);
  return out.replace(/\u00a0/g, ' ').replace(/\u200b/g, '');
}

const MATH_BOX = 'math, .katex, .katex-display, mjx-container, .MathJax, .MathJax_Display, [data-math], [data-latex], [data-tex]';
const DISPLAY_BOX = '.katex-display, .MathJax_Display, mjx-container[display=true], math[display=block], .math-block, .math-display';
const SOURCE = 'annotation[encoding="application/x-tex"]';

const isMath = (el) => nearest(el, MATH_BOX) !== null;

// The LaTeX source of a formula, where the element is one.
function mathOf(el) {
  const name = dom.name(el);
  if (name === 'script' && (dom.attr(el, 'type') ?? '').startsWith('math/tex')) {
    return { tex: dom.textContent(el).trim(), display: dom.attr(el, 'type').includes('mode=display') };
  }
  if (!dom.matches(el, MATH_BOX)) return null;
  const note = dom.all(el, SOURCE)[0];
  const math = name === 'math' ? el : dom.all(el, 'math')[0];
  const given = ['data-math', 'data-latex', 'data-tex'].map((a) => dom.attr(el, a)).find(Boolean);
  const tex = given ?? (note ? dom.textContent(note) : (math && dom.attr(math, 'alttext')));
  if (!tex) {
    // The second version of MathJax keeps the source in a script beside what it drew.
    if (dom.matches(el, '.MathJax, .MathJax_Display')) return { tex: '', display: false, skip: true };
    return { tex: squeeze(math ? dom.textContent(math) : dom.textContent(el)), display: dom.matches(el, DISPLAY_BOX) };
  }
  const display = dom.matches(el, DISPLAY_BOX) || (math !== undefined && dom.attr(math, 'display') === 'block');
  return { tex: tex.trim(), display };
}
