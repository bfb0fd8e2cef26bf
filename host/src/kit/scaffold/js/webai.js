// Helpers around the contract (wit/), so that an adapter is plain, blocking code.
import log from "webai:adapter/log@0.1.0";
import clock from "webai:adapter/clock@0.1.0";
import config from "webai:adapter/config@0.1.0";

const say = (level) => (...words) =>
  log.write(level, words.map((w) => (typeof w === "string" ? w : JSON.stringify(w))).join(" "));
export const console = { log: say("info"), info: say("info"), debug: say("debug"), warn: say("warn"), error: say("error") };
globalThis.console = console;

export const remaining = () => Number(clock.remaining());
export const sleep = (ms) => clock.sleep(ms);
export const settings = () => JSON.parse(config.get() || "{}");

/** A failure by its name in the contract: throw fail("login-required", "nobody is signed in"). */
export class Failed extends Error {
  constructor(failure) {
    super(failure.tag);
    this.failure = failure;
  }
}
export const fail = (tag, val) => new Failed(val === undefined ? { tag } : { tag, val });
export const rateLimited = (message, retryAfterS = null) => fail("rate-limited", { message, retryAfterS });

let step = "";

/** The page, with a step that errors carry and time-outs in milliseconds that may be left out. */
export const lend = (page) =>
  new Proxy(page, {
    get(target, name) {
      if (name === "step") return (text) => { step = text; target.step(text); };
      const method = target[name];
      if (typeof method !== "function") return method;
      // The last parameter of acts and queries is a time-out: null is the host's default.
      return (...words) => method.apply(target, padded(name, words));
    },
  });

const LENGTHS = {
  goto: 2, reload: 1, backToEntry: 1, text: 2, attribute: 3, box: 2, enabled: 2, checked: 2, markdown: 2, hover: 2, focus: 2,
  fill: 3, typeText: 3, press: 3, select: 3, scrollIntoView: 2, attach: 3, chooseFiles: 3, copy: 2, save: 2,
};
const padded = (name, words) => {
  if (name === "click") return [words[0], words[1] ?? 1, words[2] ?? null];
  const length = LENGTHS[name] ?? words.length;
  return Array.from({ length }, (_, n) => words[n] ?? null);
};

/**
 * Wraps the functions of an adapter: what they throw becomes a failure of the contract, and no bare trap. With `models`, export
 * `discovery` too, and build for the world `adapter-with-discovery` (package.json).
 */
export const adapter = ({ probe, generate, models }) => {
  const guarded = (run) => (page, ...rest) => {
    step = "";
    try {
      return run(lend(page), ...rest);
    } catch (error) {
      throw failureOf(error);
    }
  };
  const provider = { probe: guarded(probe ?? (() => ({ tag: "unknown" }))), generate: guarded(generate) };
  return models ? { provider, discovery: { models: guarded(models) } } : { provider };
};

const failureOf = (error) => {
  if (error instanceof Failed) return error.failure;
  // A page error of the contract, thrown by a host function.
  const page = error?.tag ? error : error?.payload;
  switch (page?.tag) {
    case "not-found":
      return { tag: "site-changed", val: { step, selector: page.val } };
    case "timeout":
      return { tag: "site-changed", val: { step, selector: page.val } };
    case "cancelled":
      return { tag: "cancelled" };
    case "closed":
      return { tag: "other", val: { code: "page-closed", message: "the page was closed" } };
    case "other":
      return { tag: "other", val: page.val };
    case "origin-denied":
    case "not-granted":
      return { tag: "other", val: { code: page.tag, message: String(page.val) } };
    default:
      console.error(String(error?.stack ?? error));
      return { tag: "other", val: { code: "script-error", message: `${error}` } };
  }
};

/** An outcome of the contract. */
export const done = ({ finish = { tag: "stop" }, conversation = null, model = null } = {}) =>
  ({ finish, conversation, model, facts: [] });

/** A model that the account has, for `models`. `kind` is text, image, video or audio. */
export const model = (id, label, kind = null) => ({ id, label, facts: kind ? [["kind", kind]] : [] });

/** Bytes to text, whatever a character is cut into. */
export class Utf8 {
  #rest = [];
  push(bytes) {
    const all = [...this.#rest, ...bytes];
    let out = "";
    let at = 0;
    while (at < all.length) {
      const first = all[at];
      const length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
      if (at + length > all.length) break;
      let code = length === 1 ? first : first & (0xff >> (length + 1));
      for (let n = 1; n < length; n++) code = (code << 6) | (all[at + n] & 0x3f);
      out += String.fromCodePoint(code);
      at += length;
    }
    this.#rest = all.slice(at);
    return out;
  }
}

/** Server-sent events from bytes in any pieces. */
export class Sse {
  #text = new Utf8();
  #rest = "";
  push(bytes) {
    const events = (this.#rest + this.#text.push(bytes)).split(/\r?\n\r?\n/);
    this.#rest = events.pop();
    return events.map((event) => {
      const lines = event.split(/\r?\n/);
      const of = (name) => lines.filter((l) => l.startsWith(`${name}:`)).map((l) => l.slice(name.length + 1).replace(/^ /, ""));
      return { event: of("event").at(-1) ?? "message", data: of("data").join("\n") };
    });
  }
}
