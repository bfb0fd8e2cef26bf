// The adapter of DeepSeek once more, in JavaScript: what src/lib.rs and src/wire.rs do, held to the same fixtures. To try it, put
// it into a project of `webai2api adapter new deepseek --lang js`, with adapter.toml and fixtures/ from here.
import { adapter, done, fail, rateLimited, remaining, Sse, Utf8 } from "./webai.js";

const COMPLETION = "https://chat.deepseek.com/api/v0/chat/completion";
// A chat's address, before its id; what was said in a chat.
const CHAT = "https://chat.deepseek.com/a/chat/s/";
const MESSAGE = "css=.ds-message";
// In which time the site shows that, and then who is signed in: both together leave time before the host's deadline for sending.
const SHOWN = 5000;
const SIGNED_IN = 3000;
const COMPOSER = 'css=textarea.ds-scroll-area, textarea#chat-input, textarea[placeholder*="DeepSeek"]';
// Send and stop are one element. With an empty box it can be pressed only while an answer comes.
const SEND = 'css=input[type="file"] + div[role="button"][aria-disabled="false"]';
const SIGN_IN = '(css=input[type="password"]) | (role=button[name=/^(log in|登录)$/i]) >> visible=true';
const CHALLENGE = "css=#challenge-running, #challenge-stage, form#challenge-form";
const DEEP_THINK = "role=button[name=/deepthink|深度思考/i]";
const SEARCH = "role=button[name=/search|联网搜索|智能搜索/i]";
const MODES = { instant: "default", expert: "expert", vision: "vision" };
// Marks in the text that point at search results.
const REFERENCE = /\[(?:reference|citation):[^\]]*\]/g;
const REFERENCE_BEGUN = /\[(?:[a-z]*|(?:reference|citation):[^\]]*)$/;

function probe(page, timeout) {
  page.step("see who is signed in");
  const signs = [CHALLENGE, SIGN_IN, COMPOSER];
  page.attribute(signs.map((sign) => `(${sign})`).join(" | "), "id", timeout);
  return { tag: ["challenge", "signed-out", "signed-in"][signs.findIndex((sign) => page.count(sign) > 0)] };
}

function generate(page, reply, request) {
  const [chat, newTurn] = [request.conversation(), request.newTurn()];
  const goesOn = chat != null && newTurn != null;
  if (goesOn) openChat(page, CHAT + chat);
  else openNewChat(page, request.model());
  const mode = MODES[request.model()];
  page.step("set thinking and search");
  toggle(page, DEEP_THINK, request.setting("reasoning-effort"));
  toggle(page, SEARCH, request.setting("web-search"));
  page.step("type the prompt");
  page.fill(COMPOSER, goesOn ? newTurn : request.prompt());
  attach(page, request.attachments());

  page.step("send");
  const source = page.listen({ url: COMPLETION, method: "POST", statuses: [], contentTypes: [] });
  reply.submitting();
  page.click(SEND);

  page.step("read the answer");
  const outcome = read(page, reply, source, new Stream(mode));
  const [, conversation = null] = /\/a\/chat\/s\/([^/?#]+)/.exec(page.url()) ?? [];
  return { ...outcome, conversation };
}

function signedIn(page, timeout) {
  const account = probe(page, timeout).tag;
  if (account === "challenge") throw fail("challenge", "DeepSeek wants a person");
  if (account === "signed-out") throw fail("login-required", "nobody is signed in to DeepSeek");
}

// A site that has deleted the chat leads elsewhere, or shows nothing of it; so does one where nobody is signed in. The chat's mode is fixed,
// and is offered no more.
function openChat(page, url) {
  page.step("open the chat");
  page.goto(url);
  if (isShown(page, url)) return;
  try {
    signedIn(page, SIGNED_IN);
  } catch (error) {
    // A page that only says that there is no such chat has nothing that is known here.
    if ((error.tag ?? error.payload?.tag) !== "not-found") throw error;
  }
  throw fail("other", { code: "conversation-gone", message: "DeepSeek has this chat no more" });
}

function isShown(page, url) {
  const shown = page.expect({ tag: "attached", val: MESSAGE });
  const until = remaining() - SHOWN;
  // That the page has another address is an event too.
  while (page.url().startsWith(url)) {
    const event = page.next(Math.max(0, remaining() - until));
    if (event == null) return false;
    if (event.source === shown && event.body.tag === "reached") return true;
  }
  return false;
}

// The mode is fixed with the first message, so it is chosen here.
function openNewChat(page, model) {
  page.step("open a new chat");
  page.backToEntry();
  signedIn(page);
  page.step("choose the model");
  const mode = MODES[model];
  const button = `css=div[data-model-type="${mode}"]`;
  if (page.count(button) === 0) {
    // An account without the choice has the default.
    if (mode === "default" && page.count("css=div[data-model-type]") === 0) return;
    throw fail("model-unavailable", `DeepSeek does not offer ${model} to this account now`);
  }
  if (!page.checked(button)) page.click(button);
  if (!page.checked(button)) throw fail("model-unavailable", `${model} could not be chosen`);
}

// The site remembers its toggles between chats, so they are read first. Without a wish they stay as they are.
function toggle(page, selector, wish) {
  if (wish == null) return;
  const wanted = !["none", "minimal", "false", "off"].includes(wish);
  // Expert and Vision have no search.
  if (!wanted && page.count(selector) === 0) return;
  const isOn = () => (page.attribute(selector, "class") ?? "").split(/\s+/).includes("ds-toggle-button--selected");
  if (isOn() !== wanted) page.click(selector);
  if (isOn() !== wanted) throw fail("site-changed", { step: "set thinking and search", selector });
}

// With a prompt in the box, the button can be pressed as soon as the site has read all files.
function attach(page, files) {
  if (files.length === 0) return;
  page.step("attach files");
  page.attach('css=input[type="file"]', files.map((_, n) => n));
  page.step("wait for the uploads");
  page.attribute(SEND, "role", 60_000);
}

function read(page, reply, source, stream) {
  const refusal = new Utf8();
  let head = null;
  let said = "";
  for (let event; (event = page.next(remaining())); ) {
    const { tag, val } = event.body;
    if (event.source !== source) continue;
    if (tag === "response") {
      reply.accepted();
      head = val;
    } else if (tag === "bytes" && isStream(head)) {
      for (const piece of stream.push(val)) {
        if (piece.tag === "restart") reply.restart();
        else if (reply.push(piece) === "stop") return stop(page, stream);
      }
      if (stream.isOver()) return stream.end();
    } else if (tag === "bytes") {
      said += refusal.push(val);
    } else if (tag === "end") {
      if (isStream(head)) return stream.end();
      throw refused(head.status, said);
    } else if (tag === "failed") {
      throw fail("upstream", val);
    }
  }
  throw fail("timeout", "the answer did not end");
}

// Errors come with status 200 too, as JSON.
const isStream = ({ status, headers }) =>
  status === 200 && headers.some(([name, value]) => name === "content-type" && value.startsWith("text/event-stream"));

function stop(page, stream) {
  page.step("stop the answer");
  page.click(SEND, 1, 1000);
  return done({ model: stream.model });
}

// An answer as far as it has come: events that patch a response made of fragments: thoughts, searches, text.
class Stream {
  #events = new Sse();
  #document = new Document();
  #wanted;
  #failure = null;
  #closed = false;
  #told = false;
  #held = "";
  model = null;

  constructor(wanted) {
    this.#wanted = wanted;
  }

  push(bytes) {
    const pieces = [];
    for (const { event, data } of this.#events.push(bytes)) {
      if (event === "ready") this.#ready(parsed(data));
      else if (event === "hint") this.#failure ??= hint(parsed(data));
      else if (event === "close") this.#closed = true;
      else if (event === "message") this.#document.apply(parsed(data)).forEach((change) => this.#change(change, pieces));
    }
    if (this.isOver() && this.#held) pieces.push({ tag: "text", val: this.#held });
    if (this.isOver()) this.#held = "";
    this.#told ||= pieces.length > 0;
    return pieces;
  }

  get #status() {
    return this.#document.root?.response?.status ?? "WIP";
  }

  isOver() {
    return this.#closed || this.#failure !== null || !["WIP", "PENDING"].includes(this.#status);
  }

  end() {
    if (this.#failure) throw this.#failure;
    const finish = { FINISHED: "stop", INCOMPLETE: "length", CONTENT_FILTER: "content-filter" }[this.#status];
    if (finish === "content-filter" && !this.#told) throw fail("content-blocked", "DeepSeek refused this content");
    if (["WIP", "PENDING"].includes(this.#status)) throw fail("upstream", "DeepSeek broke the answer off");
    return done({ finish: finish ? { tag: finish } : { tag: "other", val: this.#status.toLowerCase() }, model: this.model });
  }

  // The first event names the model that answers.
  #ready({ model_type: model = null }) {
    if (model !== null && model !== this.#wanted) {
      throw fail("model-unavailable", `DeepSeek answered with ${model} and not ${this.#wanted}`);
    }
    this.model = model;
  }

  #change({ path, more }, pieces) {
    const [root, list, index, field, item] = path;
    if (more === undefined && (path.length === 0 || (root === "response" && (path.length === 1 || (list === "fragments" && path.length === 2))))) {
      if (this.#told || pieces.length > 0) pieces.push({ tag: "restart" });
      this.#held = "";
      this.#fragments.forEach((fragment) => this.#fragment(fragment, pieces));
    } else if (root === "response" && list === "fragments") {
      const fragment = this.#fragments[index];
      // A fragment that is new may hold its first words already.
      if (field === undefined) this.#fragment(fragment, pieces);
      else if (field === "content" && more !== undefined) this.#grew(fragment, more, pieces);
      else if (field === "results") this.#results(item === undefined ? fragment.results : [fragment.results[item]], pieces);
    }
  }

  get #fragments() {
    return this.#document.root?.response?.fragments ?? [];
  }

  #fragment(fragment, pieces) {
    this.#grew(fragment, fragment.content ?? "", pieces);
    this.#results(fragment.results, pieces);
  }

  #grew({ type }, more, pieces) {
    if (type === "THINK" && more) pieces.push({ tag: "reasoning", val: more });
    // Notices, and what searches and opened pages hold, are not the answer.
    if (!["RESPONSE", "TEMPLATE_RESPONSE"].includes(type)) return;
    const text = (this.#held + more).replace(REFERENCE, "");
    const at = text.search(REFERENCE_BEGUN);
    this.#held = at < 0 ? "" : text.slice(at);
    const ready = at < 0 ? text : text.slice(0, at);
    if (ready) pieces.push({ tag: "text", val: ready });
  }

  #results(results, pieces) {
    for (const { url, title = "" } of results ?? []) {
      if (url) pieces.push({ tag: "citation", val: { url, title } });
    }
  }
}

// A JSON document that is sent once and then as changes; a line without path or operator has those of the line before.
class Document {
  root = null;
  #state = { p: "", o: "SET" };

  // What changed: each with its path, and with what a text has more.
  apply({ p = this.#state.p, o = this.#state.o, v }) {
    this.#state = { p, o };
    const changes = [];
    this.#set(segments(p), o, v, changes);
    return changes;
  }

  #set(path, operator, value, changes) {
    if (operator === "BATCH") {
      let state = { p: "", o: "SET" };
      for (const { p = state.p, o = state.o, v } of value) {
        state = { p, o };
        this.#set([...path, ...segments(p)], o, v, changes);
      }
      return;
    }
    const holder = { "": this.root };
    let [at, key] = [holder, ""];
    const plain = [];
    for (const segment of path) {
      at = at[key] ??= {};
      if (typeof at !== "object") throw unknown(`a value at ${plain.join("/")}`);
      key = Array.isArray(at) && segment.startsWith("-") ? String(at.length + Number(segment)) : segment;
      plain.push(key);
    }
    const before = at[key];
    if (operator !== "APPEND" || before == null) {
      at[key] = value;
      changes.push({ path: plain });
    } else if (typeof before === "string") {
      at[key] = before + value;
      changes.push({ path: plain, more: value });
    } else if (Array.isArray(before)) {
      for (const item of [value].flat()) {
        changes.push({ path: [...plain, String(before.length)] });
        before.push(item);
      }
    } else {
      Object.assign(before, value);
      Object.keys(value).forEach((name) => changes.push({ path: [...plain, name] }));
    }
    this.root = holder[""];
  }
}

const segments = (path) => path.split("/").filter((segment) => segment !== "");

function parsed(data) {
  try {
    return JSON.parse(data);
  } catch {
    throw unknown(data);
  }
}

const unknown = (data) =>
  fail("site-changed", { step: "read the answer", selector: `a known event instead of ${data.slice(0, 80)}` });

// A notice beside the answer. Only those of type `error` stand in its place.
function hint({ type, content = "", finish_reason: reason = "" }) {
  if (type !== "error") return null;
  if (["rate_limit_reached", "parallel_chat_limit_by_queue"].includes(reason)) return rateLimited(content);
  return fail(reason === "input_exceeds_limit" ? "invalid-request" : "upstream", content);
}

// An error in the answer's place: {"code", "msg", "data": {"biz_code", "biz_msg"}}, with any status.
function refused(status, said) {
  if (/just a moment|verify you are human/i.test(said)) return fail("challenge", "DeepSeek wants a person");
  let body = {};
  try {
    body = JSON.parse(said) ?? {};
  } catch {
    // A page of some server in between.
  }
  const message = body.msg || body.data?.biz_msg || "";
  if (status === 401 || body.code === 40003) return fail("login-required", "nobody is signed in to DeepSeek");
  if (status === 403) return fail("challenge", "DeepSeek refuses this browser");
  if (status === 429) return rateLimited(message);
  if (status === 422) return fail("invalid-request", message);
  return fail("upstream", `DeepSeek answered ${status}, code ${body.code ?? 0}/${body.data?.biz_code ?? 0}: ${message}`);
}

export const { provider } = adapter({ probe, generate });
