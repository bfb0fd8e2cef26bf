// The chat page.

import { Bubble, Patches, events, name, unsealed } from '/answer.js';

// By the names that the page was made with; a redesign renames the attributes, not these.
const ui = {};
for (const element of document.querySelectorAll('[data-testid], [data-qa]')) {
  ui[element.dataset.testid ?? element.dataset.qa.replace('v2-', '')] = element;
}

const state = { me: null, model: 'echo', thinking: false, conversation: null, running: null, uploads: [] };

const api = async (path, body) => {
  const options = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
  const answer = await fetch(path, options);
  const json = answer.status === 204 ? null : await answer.json().catch(() => null);
  return { ok: answer.ok, status: answer.status, json };
};

// Composer

const update = () => {
  const uploading = state.uploads.some((upload) => upload.state === 'uploading');
  ui.send.disabled = !ui.composer.value.trim() || uploading || !!state.running;
  ui.send.hidden = !!state.running;
  ui.stop.hidden = !state.running;
  ui.attachments.hidden = !state.uploads.length;
  ui.thinking.setAttribute('aria-pressed', state.thinking);
  ui['model-name'].textContent = state.me?.models.find((model) => model.id === state.model)?.label ?? state.model;
};

ui.composer.addEventListener('input', update);
ui.composer.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    if (!ui.send.disabled) send();
  }
});
ui['composer-form'].addEventListener('submit', (event) => {
  event.preventDefault();
  if (!ui.send.disabled) send();
});
ui.thinking.addEventListener('click', () => { state.thinking = !state.thinking; update(); });

// Attachments

const upload = async (file) => {
  const entry = { state: 'uploading', about: null };
  const chip = document.createElement('span');
  chip.className = 'chip';
  name(chip, 'attachment');
  chip.append(file.name);
  const remove = Object.assign(document.createElement('button'), { type: 'button', textContent: '×' });
  remove.setAttribute('aria-label', `Remove ${file.name}`);
  remove.addEventListener('click', () => {
    state.uploads = state.uploads.filter((other) => other !== entry);
    chip.remove();
    update();
  });
  chip.append(remove);
  const show = (now) => { entry.state = now; chip.dataset.state = now; update(); };
  state.uploads.push(entry);
  entry.chip = chip;
  ui.attachments.append(chip);
  show('uploading');
  try {
    const headers = { 'x-file-name': encodeURIComponent(file.name), 'content-type': file.type || 'application/octet-stream' };
    const answer = await fetch('/api/upload', { method: 'POST', body: file, headers });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    entry.about = await answer.json();
    if (entry.about.width) {
      chip.prepend(Object.assign(document.createElement('img'), { src: `/api/files/${entry.about.id}`, alt: '' }));
    }
    show('ready');
  } catch {
    show('failed');
    banner('error', `${file.name} could not be uploaded.`);
  }
};

ui['file-input'].addEventListener('change', () => {
  for (const file of ui['file-input'].files) upload(file);
  ui['file-input'].value = '';
});
ui['composer-form'].addEventListener('dragover', (event) => event.preventDefault());
ui['composer-form'].addEventListener('drop', (event) => {
  event.preventDefault();
  for (const file of event.dataTransfer.files) upload(file);
});

// Model menu

const openMenu = (open) => {
  ui['model-menu'].hidden = !open;
  ui['model-picker'].setAttribute('aria-expanded', open);
  if (open) ui['model-menu'].querySelector('[aria-checked=true]')?.focus();
};

const fillMenu = () => {
  ui['model-menu'].replaceChildren(...state.me.models.map((model) => {
    const item = Object.assign(document.createElement('button'), { type: 'button' });
    item.setAttribute('role', 'menuitemradio');
    item.setAttribute('aria-checked', model.id === state.model);
    name(item, `model-${model.id}`);
    item.append(Object.assign(document.createElement('b'), { textContent: model.label }),
      Object.assign(document.createElement('small'), { textContent: model.about }));
    item.addEventListener('click', () => {
      choose(model.id);
      openMenu(false);
      ui['model-picker'].focus();
    });
    return item;
  }));
};

const choose = (id) => {
  state.model = id;
  state.thinking = id === 'reasoner';
  sessionStorage.setItem('model', id);
  fillMenu();
  update();
};

ui['model-picker'].addEventListener('click', (event) => { event.stopPropagation(); openMenu(ui['model-menu'].hidden); });
document.addEventListener('click', (event) => { if (!ui['model-menu'].contains(event.target)) openMenu(false); });
ui['model-menu'].addEventListener('keydown', (event) => {
  const items = [...ui['model-menu'].children];
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step) items[(items.indexOf(document.activeElement) + step + items.length) % items.length].focus();
  if (event.key === 'Escape') { openMenu(false); ui['model-picker'].focus(); }
});

// Banner

const banner = (kind, text, retryAfter) => {
  ui.banner.hidden = !kind;
  ui.banner.dataset.kind = kind ?? '';
  ui.banner.dataset.retryAfter = retryAfter ?? '';
  ui['banner-text'].textContent = text ?? '';
};
ui['banner-close'].addEventListener('click', () => banner(null));

const wait = (seconds) => (seconds >= 120 ? `${Math.ceil(seconds / 60)} minutes` : `${seconds} seconds`);

const refused = (status, error) => {
  const code = error?.code ?? 'error';
  if (code === 'signed_out') return view('sign-in');
  if (code === 'challenge') return challenge();
  const again = error?.retry_after === undefined ? '' : ` Try again in ${wait(error.retry_after)}.`;
  return banner(code, `${error?.message ?? `The site answered with status ${status}.`}${again}`, error?.retry_after);
};

// A challenge in the middle of a chat covers the page, as it does on sites that use one.
const challenge = () => {
  document.title = 'Just a moment...';
  document.body.dataset.view = 'challenge';
  const main = document.createElement('main');
  main.className = 'challenge';
  name(main, 'challenge');
  const again = Object.assign(document.createElement('input'), { type: 'checkbox' });
  name(again, 'challenge-box');
  again.addEventListener('change', async () => { await api('/api/challenge', {}); location.reload(); });
  const label = Object.assign(document.createElement('label'), { className: 'box' });
  label.append(again, ' I am a person');
  main.append(Object.assign(document.createElement('h1'), { textContent: location.host }),
    Object.assign(document.createElement('p'), { textContent: 'Checking that you are a person before you go on.' }), label);
  document.body.append(main);
};

// A redesign while the page is open: nothing keeps its name.
const redesign = () => {
  document.documentElement.setAttribute('data-changed', '');
  let n = 0;
  for (const element of document.querySelectorAll('[data-testid]')) {
    element.dataset.qa = `v2-${element.dataset.testid}`;
    delete element.dataset.testid;
  }
  for (const key of ['aria-label', 'placeholder']) {
    for (const element of document.querySelectorAll(`[${key}]`)) element.setAttribute(key, `Item ${n += 1}`);
  }
};

// Chat

const send = async () => {
  const prompt = ui.composer.value;
  const files = state.uploads.filter((upload) => upload.about).map((upload) => upload.about);
  banner(null);
  ui.composer.value = '';
  ui.attachments.replaceChildren();
  state.uploads = [];
  ui.welcome.hidden = true;
  const mine = new Bubble(ui.thread, 'user');
  mine.body.textContent = prompt;
  mine.files(files);
  const running = { abort: new AbortController(), ignoreStop: false, stream: 0 };
  state.running = running;
  update();
  ui.thread.scrollTop = ui.thread.scrollHeight;
  try {
    await ask(running, { conversation: state.conversation, model: state.model, thinking: state.thinking, prompt, attachments: files.map((file) => file.id) });
  } catch (error) {
    if (error.name !== 'AbortError') banner('interrupted', 'The connection was lost.');
  } finally {
    if (running.bubble) {
      const message = running.bubble.message ?? { status: 'streaming', reasoning: '', parts: [] };
      if (message.status === 'streaming') message.status = running.abort.signal.aborted ? 'stopped' : 'error';
      running.bubble.show(message, true);
    }
    if (state.running === running) state.running = null;
    update();
    history();
  }
};

const ask = async (running, body) => {
  const answer = await fetch('/api/chat', {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
    signal: running.abort.signal,
  });
  if (!answer.ok) {
    refused(answer.status, (await answer.json().catch(() => null))?.error);
    return;
  }
  const patches = new Patches();
  running.bubble = new Bubble(ui.thread, 'assistant');
  const old = { status: 'streaming', reasoning: '', parts: [{ type: 'text', text: '' }] };
  for await (const sealed of events(answer.body)) {
    const data = unsealed(sealed);
    if (data === '[DONE]') return;
    const event = JSON.parse(data);
    if ('delta' in event || 'finish' in event) {
      if (!document.documentElement.hasAttribute('data-changed')) redesign();
      old.parts[0].text += event.delta ?? '';
      old.status = event.finish ? 'done' : 'streaming';
      running.bubble.show(old);
      continue;
    }
    const fresh = !patches.doc;
    patches.apply(event);
    if (fresh) began(running, patches.doc);
    if (patches.doc.page) { act(patches.doc.page); delete patches.doc.page; }
    running.bubble.show(patches.doc.message);
  }
  if (running.bubble.message?.status === 'streaming') banner('interrupted', 'The answer ended early.');
};

const began = (running, doc) => {
  running.stream = doc.message.stream;
  running.ignoreStop = doc.message.ignore_stop;
  if (state.running === running && state.conversation !== doc.conversation.id) {
    state.conversation = doc.conversation.id;
    window.history.pushState({}, '', `/c/${doc.conversation.id}`);
  }
};

// What a script may have the page do, so that tests see tabs misbehave.
const act = (what) => {
  if (what === 'hang') for (const end = Date.now() + 60_000; Date.now() < end;);
  else if (what === 'leave') location.href = 'https://elsewhere.example/';
  else if (what === 'dialog') alert('A dialog of the demo site');
  else if (what === 'reload') location.reload();
};

const stop = () => {
  const running = state.running;
  if (!running) return;
  api('/api/stop', { stream: running.stream }).catch(() => {});
  if (!running.ignoreStop) running.abort.abort();
};
ui.stop.addEventListener('click', stop);

// Conversations

const clear = () => {
  state.running?.abort.abort();
  state.running = null;
  state.conversation = null;
  for (const message of ui.thread.querySelectorAll('article')) message.remove();
  ui.welcome.hidden = false;
  banner(null);
};

const newChat = () => {
  clear();
  if (location.pathname !== '/') window.history.pushState({}, '', '/');
  sidebar(false);
  update();
  history();
  ui.composer.focus();
};
ui['new-chat'].addEventListener('click', newChat);

const history = async () => {
  const { json } = await api('/api/conversations').catch(() => ({}));
  ui.history.replaceChildren(...(json ?? []).map(({ id, title }) => {
    const link = Object.assign(document.createElement('a'), { href: `/c/${id}`, textContent: title, className: 'row' });
    name(link, 'history-item');
    if (id === state.conversation) link.setAttribute('aria-current', 'page');
    link.addEventListener('click', (event) => {
      event.preventDefault();
      window.history.pushState({}, '', link.href);
      open(id);
    });
    return link;
  }));
};

const open = async (id) => {
  clear();
  sidebar(false);
  const { ok, json } = await api(`/api/conversations/${encodeURIComponent(id)}`);
  if (!ok) {
    banner('not_found', 'This conversation is not here any more.');
    return;
  }
  state.conversation = id;
  ui.welcome.hidden = true;
  for (const message of json.messages) {
    const bubble = new Bubble(ui.thread, message.role);
    if (message.role === 'user') {
      bubble.body.textContent = message.text;
      bubble.files(message.attachments);
    } else {
      const pictures = message.pictures.map((url) => ({ type: 'image', url }));
      bubble.show({ ...message, parts: [{ type: 'text', text: message.text }, ...pictures] }, true);
    }
  }
  ui.thread.scrollTop = ui.thread.scrollHeight;
  update();
  history();
};

const route = () => {
  const id = location.pathname.startsWith('/c/') && location.pathname.slice(3);
  return id ? open(id) : (clear(), update());
};
window.addEventListener('popstate', route);

// Sidebar on a phone

const sidebar = (shown) => {
  document.body.toggleAttribute('data-sidebar', shown);
  ui.shade.hidden = !shown;
  ui['toggle-sidebar'].setAttribute('aria-expanded', shown);
};
ui['toggle-sidebar'].addEventListener('click', () => sidebar(!document.body.hasAttribute('data-sidebar')));
ui.shade.addEventListener('click', () => sidebar(false));

// Signing in

const view = (which) => { document.body.dataset.view = which; };

ui['sign-in-form'].addEventListener('submit', async (event) => {
  event.preventDefault();
  const form = new FormData(ui['sign-in-form']);
  const { ok, json } = await api('/api/login', { email: form.get('email'), password: form.get('password') });
  ui['sign-in-error'].hidden = ok;
  ui['sign-in-error'].textContent = json?.error.message ?? '';
  if (ok) location.assign('/');
});
ui['sign-out'].addEventListener('click', async () => { await api('/api/logout', {}); location.assign('/login'); });

// Ideas for a first prompt

const IDEAS = [
  ['echo', 'Say this back to me'],
  ['reasoner', 'How long is this sentence?'],
  ['image', 'A quiet evening in the hills'],
  ['script', 'fixture=markdown rate=60 chunk=2'],
];
ui.ideas.append(...IDEAS.map(([model, text]) => {
  const idea = Object.assign(document.createElement('button'), { type: 'button', textContent: text });
  idea.addEventListener('click', () => { choose(model); ui.composer.value = text; update(); ui.composer.focus(); });
  return idea;
}));

// Start

const start = async () => {
  const { json } = await api('/api/me');
  state.me = json;
  const wanted = sessionStorage.getItem('model');
  state.model = json.models.find((model) => model.id === wanted)?.id ?? json.models[0]?.id ?? 'echo';
  state.thinking = state.model === 'reasoner';
  ui.account.textContent = json.user ?? 'Guest';
  ui['sign-out'].hidden = false;
  ui['sign-in-link'].hidden = !!json.user;
  fillMenu();
  if (document.body.dataset.view !== 'chat') return;
  await route();
  if (json.limited !== null) refused(429, { code: 'rate_limited', message: 'You have reached the limit.', retry_after: json.limited });
  update();
  await history();
  document.body.setAttribute('data-ready', '');
};
start();
