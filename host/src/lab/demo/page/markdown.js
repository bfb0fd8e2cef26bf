// A small Markdown renderer. It builds elements and never sets HTML, so that a tag in an answer stays text.

const make = (tag, props = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), props);
  element.append(...children);
  return element;
};

const INLINE = new RegExp([
  '(?<code>(?<tick>`+)(?<codeText>[^]*?[^`])\\k<tick>(?!`))',
  '(?<math>\\$(?! )[^$\\n]+?\\$|\\\\\\([^\\n]+?\\\\\\))',
  '(?<image>!\\[(?<alt>[^\\]]*)\\]\\((?<src>[^)\\s]+)\\))',
  '(?<link>\\[(?<label>[^\\]]+)\\]\\((?<href>https?://[^)\\s]+)\\))',
  '(?<bold>\\*\\*(?<boldText>[^*]+?)\\*\\*)',
  '(?<italic>(?<![\\w*])[*](?! )(?<italicText>[^*\\n]+?)(?<! )[*](?![\\w*]))',
  '(?<escaped>\\\\(?<char>[\\\\`*_{}\\[\\]()#+.!|-]))',
].join('|'));

export const inline = (text) => {
  const out = document.createDocumentFragment();
  while (text) {
    const found = INLINE.exec(text);
    if (!found) break;
    out.append(text.slice(0, found.index));
    text = text.slice(found.index + found[0].length);
    const g = found.groups;
    if (g.code) out.append(make('code', { textContent: g.codeText.replace(/^ (.*) $/, '$1') }));
    else if (g.math) out.append(math(g.math, 'span'));
    else if (g.image) out.append(picture(g.src, g.alt) ?? found[0]);
    else if (g.link) out.append(make('a', { href: g.href, rel: 'noreferrer', target: '_blank' }, inline(g.label)));
    else if (g.bold) out.append(make('strong', {}, inline(g.boldText)));
    else if (g.italic) out.append(make('em', {}, inline(g.italicText)));
    else out.append(g.char);
  }
  out.append(text);
  return out;
};

const math = (source, tag) => {
  const element = make(tag, { className: 'math', textContent: source });
  element.dataset.latex = source.replace(/^(\$\$?|\\[([])\s*|\s*(\$\$?|\\[)\]])$/g, '');
  return element;
};

// Pictures of other hosts are not loaded: an answer could carry data out in their address.
export const picture = (src, alt) =>
  /^(data:image\/(png|jpeg|gif|webp);|\/api\/files\/)/.test(src) ? make('img', { src, alt }) : null;

const cells = (line) => line.trim().replace(/^\||\|$/g, '').split(/(?<!\\)\|/).map((cell) => cell.trim());
const aligned = (rule) => cells(rule).map((c) => (/^:-+:$/.test(c) ? 'center' : /-:$/.test(c) ? 'right' : 'left'));

const table = (lines) => {
  const align = aligned(lines[1]);
  const row = (line, tag) => make('tr', {}, ...cells(line).map((cell, n) =>
    make(tag, { align: align[n] ?? 'left' }, inline(cell.replaceAll('\\|', '|')))));
  return make('div', { className: 'scroll' }, make('table', {},
    make('thead', {}, row(lines[0], 'th')),
    make('tbody', {}, ...lines.slice(2).map((line) => row(line, 'td')))));
};

const code = (language, text) => {
  const copy = make('button', { type: 'button', textContent: 'Copy', className: 'copy' });
  copy.addEventListener('click', () => navigator.clipboard?.writeText(text));
  const inner = make('code', { textContent: text });
  if (language) inner.className = `language-${language}`;
  return make('figure', { className: 'code' },
    make('figcaption', {}, make('span', { textContent: language || 'text' }), copy), make('pre', {}, inner));
};

const ITEM = /^(\s*)([-*+]|\d+[.)])\s+(.*)$/;

const list = (lines) => {
  const [, indent, sign] = ITEM.exec(lines[0]);
  const out = make(/\d/.test(sign) ? 'ol' : 'ul');
  for (let n = 0; n < lines.length;) {
    const text = (ITEM.exec(lines[n]) ?? [0, 0, 0, lines[n].trim()])[3];
    const nested = [];
    for (n += 1; n < lines.length && ITEM.exec(lines[n])?.[1].length !== indent.length; n += 1) nested.push(lines[n]);
    const item = make('li', {}, inline(text));
    if (nested.length) item.append(ITEM.test(nested[0]) ? list(nested) : inline(` ${nested.join(' ').trim()}`));
    out.append(item);
  }
  return out;
};

// Takes the lines of one block from the front of `lines` and returns its element.
const block = (lines) => {
  const take = (test) => {
    const taken = [];
    while (lines.length && test(lines[0])) taken.push(lines.shift());
    return taken;
  };
  const first = lines[0];
  const fence = /^(`{3,}|~{3,})\s*([^\s`]*)/.exec(first);
  if (fence) {
    lines.shift();
    const body = take((line) => !(line.startsWith(fence[1]) && !line.slice(fence[1].length).trim()));
    lines.shift();
    return code(fence[2], body.join('\n'));
  }
  if (/^(\$\$|\\\[)/.test(first)) {
    const end = first.startsWith('$$') ? '$$' : '\\]';
    const body = [lines.shift()];
    if (!body[0].slice(2).includes(end)) {
      body.push(...take((line) => !line.includes(end)));
      if (lines.length) body.push(lines.shift());
    }
    return math(body.join('\n'), 'div');
  }
  const heading = /^(#{1,6})\s+(.*)$/.exec(first);
  if (heading) {
    lines.shift();
    return make(`h${Math.min(6, heading[1].length + 1)}`, {}, inline(heading[2]));
  }
  if (/^(-{3,}|\*{3,})\s*$/.test(first)) return lines.shift() && make('hr');
  if (first.startsWith('>')) {
    return make('blockquote', {}, markdown(take((line) => line.startsWith('>')).map((l) => l.replace(/^> ?/, '')).join('\n')));
  }
  if (first.includes('|') && /^\s*\|?[\s:|-]*-[\s:|-]*$/.test(lines[1] ?? '') && lines[1].includes('|')) {
    return table(take((line) => line.includes('|')));
  }
  if (ITEM.test(first)) return list(take((line) => ITEM.test(line) || /^\s+\S/.test(line)));
  const text = [lines.shift(), ...take((line) => line.trim() && !/^(#{1,6}\s|```|~~~|>|\$\$)/.test(line) && !ITEM.test(line))];
  const paragraph = make('p');
  text.forEach((line, n) => paragraph.append(...(n ? [make('br')] : []), inline(line)));
  return paragraph;
};

// Text as a fragment of blocks.
export const markdown = (text) => {
  const out = document.createDocumentFragment();
  const lines = text.split('\n');
  while (lines.length) {
    if (lines[0].trim()) out.append(block(lines));
    else lines.shift();
  }
  return out;
};
