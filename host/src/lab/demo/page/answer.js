// One answer: reading its event stream, applying patches, showing it.

import { markdown, picture } from '/markdown.js';
import { Rows } from '/rows.js';

// Applies one patch to the document of conversation and message. A line leaves out the path and operation that it
// shares with the line before.
export class Patches {
  constructor() {
    this.doc = null;
    this.path = null;
    this.op = null;
  }

  apply(event) {
    if (!this.doc && 'v' in event && !('p' in event)) {
      this.doc = event.v;
      return;
    }
    this.path = event.p ?? this.path;
    this.op = event.o ?? this.op;
    const keys = this.path.split('/').slice(1);
    const last = keys.pop();
    const holder = keys.reduce((value, key) => value[key], this.doc);
    if (this.op === 'replace') holder[last] = event.v;
    else if (Array.isArray(holder[last])) holder[last].push(event.v);
    else holder[last] += event.v;
  }
}

// The data of each server-sent event, as it comes.
export async function* events(body) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      text += decoder.decode(value, { stream: true });
      const whole = text.split('\n\n');
      text = whole.pop();
      for (const event of whole) {
        const data = event.split('\n').filter((line) => line.startsWith('data: ')).map((line) => line.slice(6)).join('\n');
        if (data) yield data;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

// The answers of one model are sealed on their way: whoever reads the page's traffic learns nothing of them.
export const unsealed = (data) => {
  if (!data.startsWith('~')) return data;
  return new TextDecoder().decode(Uint8Array.from(atob(data.slice(1)), (char) => char.charCodeAt(0) ^ 0x5a));
};

// Names an element for tests, as the page of this day names them.
export const name = (made, testid) => {
  if (document.documentElement.hasAttribute('data-changed')) made.dataset.qa = `v2-${testid}`;
  else made.dataset.testid = testid;
  return made;
};

const element = (tag, className, testid) => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  return testid ? name(made, testid) : made;
};

// A message in the thread. Rendering is put off while it would cost more than a thirtieth of the time: many pages may stream
// at once on a small machine.
export class Bubble {
  constructor(thread, role) {
    this.article = element('article', `message ${role}`, 'message');
    this.article.dataset.role = role;
    this.article.setAttribute('aria-label', role === 'user' ? 'You said' : 'Demo said');
    this.thread = thread;
    this.timer = 0;
    this.cost = 0;
    if (role === 'assistant') {
      this.reasoning = element('details', 'reasoning', 'reasoning');
      this.reasoning.hidden = true;
      this.reasoning.open = true;
      const summary = element('summary');
      summary.textContent = 'Thoughts';
      this.thought = element('div', '', 'reasoning-text');
      this.reasoning.append(summary, this.thought);
      this.article.append(this.reasoning);
    }
    this.body = element('div', role === 'user' ? 'plain' : 'md', role === 'user' ? 'prompt' : 'answer');
    this.article.append(this.body);
    thread.append(this.article);
  }

  files(list) {
    if (!list.length) return;
    const row = element('div', 'chips');
    for (const file of list) {
      const chip = element('span', 'chip', 'sent-attachment');
      if (file.width) chip.append(Object.assign(element('img'), { src: `/api/files/${file.id}`, alt: '' }));
      chip.append(file.name);
      row.append(chip);
    }
    this.article.prepend(row);
  }

  // `message` has reasoning and parts.
  show(message, now = false) {
    this.message = message;
    if (message.id) this.article.dataset.messageId = message.id;
    this.article.dataset.status = message.status;
    if (now) {
      clearTimeout(this.timer);
      this.timer = 0;
      this.render();
    } else if (!this.timer) {
      const pause = document.hidden ? 500 : 60;
      this.timer = setTimeout(() => { this.timer = 0; this.render(); }, Math.max(pause, this.cost * 30));
    }
  }

  render() {
    const start = performance.now();
    const box = this.thread;
    const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 80;
    const { reasoning, parts, error, finish, model, status } = this.message;
    let keep = false;
    this.reasoning.hidden = !reasoning;
    this.thought.textContent = reasoning;
    const content = document.createDocumentFragment();
    for (const part of parts) {
      if (part.type === 'text' && model === 'list') {
        this.rows ??= new Rows();
        this.rows.show(part.text, status);
        if (!this.rows.box.isConnected) content.append(this.rows.box);
        else keep = true;
      } else if (part.type === 'text') content.append(markdown(part.text));
      else if (part.type === 'image') {
        const img = picture(part.url, part.alt ?? '');
        if (!img) continue;
        // Its height is known only now.
        if (atEnd) img.addEventListener('load', () => { box.scrollTop = box.scrollHeight; });
        content.append(name(img, 'picture'));
      }
    }
    if (error || finish === 'content_filter') {
      const note = element('p', 'failed', 'answer-error');
      note.textContent = error?.message ?? 'The answer was withheld by the content rules.';
      note.dataset.code = error?.code ?? 'content_filter';
      content.append(note);
    }
    if (keep) this.body.append(content);
    else this.body.replaceChildren(content);
    this.rows?.place();
    if (atEnd) box.scrollTop = box.scrollHeight;
    this.cost = performance.now() - start;
  }
}
