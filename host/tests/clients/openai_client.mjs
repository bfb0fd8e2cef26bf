// OpenAI's own client for Node against a running server, as openai_client.py does it for Python.
// Environment: BASE, KEY, SITE, STARTING, and CLIENTS: the folder with node_modules.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const { BASE, KEY, SITE, STARTING, CLIENTS } = process.env;
const OpenAI = createRequire(`${CLIENTS}/index.js`)('openai');

const client = ({ key = KEY, base = BASE, retries = 0 } = {}) =>
  new OpenAI({ apiKey: key, baseURL: `${base}/v1`, maxRetries: retries, timeout: 40_000 });
const site = async (path, body) => {
  const options = body && { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
  return (await fetch(SITE + path, options)).json();
};
const prompts = async (mark) => (await site('/stats')).prompts.list.filter((prompt) => prompt.mark === mark).length;
const ask = (content, { model = 'demo/script', by = client(), ...options } = {}) =>
  by.chat.completions.create({ model, messages: [{ role: 'user', content }], ...options });
const all = async (stream) => {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
};
const rejects = (kind, status, code, content, options) =>
  assert.rejects(ask(content, options), (error) => {
    assert.equal(error.constructor, kind, String(error));
    assert.deepEqual([error.status, error.code], [status, code]);
    return true;
  });

const whole = await ask('Hello, 你好', { model: 'demo/echo' });
assert.equal(whole.choices[0].message.content, 'Hello, 你好');
assert.equal(whole.usage.total_tokens, whole.usage.prompt_tokens + whole.usage.completion_tokens);

const chunks = await all(await ask('tokens=30 rate=200', { stream: true, stream_options: { include_usage: true } }));
const text = chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('');
assert.equal(text, Array.from({ length: 30 }, (_, n) => `t${n}`).join(' '));
assert.ok(chunks.at(-1).usage.completion_tokens > 0);
assert.equal(chunks.at(-2).choices[0].finish_reason, 'stop');

const models = await all(await client().models.list());
assert.deepEqual(models.slice(0, 2).map((model) => model.id), ['demo/echo', 'demo/reasoner']);
assert.equal((await client().models.retrieve('demo/echo')).id, 'demo/echo');

await rejects(OpenAI.AuthenticationError, 401, 'invalid_api_key', 'x', { by: client({ key: 'wrong' }) });
await rejects(OpenAI.PermissionDeniedError, 403, 'login_required', 'error=signed-out');
await rejects(OpenAI.NotFoundError, 404, 'model_not_found', 'x', { model: 'demo/none' });
await rejects(OpenAI.BadRequestError, 400, 'content_policy_violation', 'error=content-blocked');
await rejects(OpenAI.InternalServerError, 503, 'starting', 'x', { by: client({ base: STARTING }) });

// After the prompt was sent, no retry of the client's own sends it again.
for (const error of ['rate-limited', 'quota', 'server-error', 'site-changed']) {
  for (const stream of [false, true]) {
    const mark = `node-${error}-${stream}`;
    const asking = ask(`error=${error} mark=${mark}`, { by: client({ retries: 3 }), stream });
    await assert.rejects(asking, (refused) => refused.status === 424, error);
    assert.equal(await prompts(mark), 1, error);
  }
}
const broken = ask('error=in-stream after=3 rate=20 mark=node-broken', { by: client({ retries: 3 }), stream: true });
await assert.rejects(broken.then(all), (error) => error instanceof OpenAI.APIError && error.code === 'upstream_error');
assert.equal(await prompts('node-broken'), 1);

// A client whose patience ends asks again by itself; that is not a second message either.
const impatient = new OpenAI({ apiKey: KEY, baseURL: `${BASE}/v1`, maxRetries: 2, timeout: 2000 });
await assert.rejects(
  ask('delay_ms=600000 mark=node-impatient', { by: impatient }),
  (refused) => refused.status === 424 && refused.code === 'already_submitted',
);
assert.equal(await prompts('node-impatient'), 1);

// Leaving a stream early stops the site.
for await (const chunk of await ask('tokens=2000 rate=20 mark=node-left', { stream: true })) {
  if (chunk.choices[0]?.delta.content) break;
}
for (const until = Date.now() + 40_000; ;) {
  const stream = (await site('/stats')).streams.list.find((stream) => stream.mark === 'node-left');
  if (stream.state === 'aborted' && stream.stopped) break;
  assert.ok(Date.now() < until, 'the site was not stopped');
  await new Promise((resolve) => setTimeout(resolve, 20));
}

// Before it was sent, the limit is a limit.
await site('/control', { state: 'limit', retry_after: 1 });
await ask('a page that was loaded before', { model: 'demo/echo' }).catch(() => {});
await rejects(OpenAI.RateLimitError, 429, 'rate_limited', 'mark=node-limit', { by: client({ retries: 1 }) });
assert.equal(await prompts('node-limit'), 0);
await site('/control', { state: 'ok' });
console.log('ok');
