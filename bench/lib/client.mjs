// A client that does as little as possible while it receives: it notes times, and reads what came afterwards.

import http from 'node:http';

import { now } from './clock.mjs';

const agent = new http.Agent({ keepAlive: true, maxSockets: Infinity });

/// One request. Resolves when the answer is over, or was given up by `onData` returning false.
export function request({ port, path, method = 'GET', headers = {}, body, onData }) {
  return new Promise((resolve) => {
    const out = { status: 0, headers: {}, chunks: [], sent: now(), ended: 0, error: null };
    const done = (error) => {
      if (out.ended) return;
      out.ended = now();
      out.error = error ?? null;
      resolve(out);
    };
    const asked = http.request({ host: '127.0.0.1', port, path, method, headers, agent }, (answer) => {
      Object.assign(out, { status: answer.statusCode, headers: answer.headers, head: now() });
      answer.on('data', (bytes) => {
        out.chunks.push({ at: now(), bytes });
        if (onData && onData(out) === false) {
          out.left = now();
          asked.destroy();
        }
      });
      answer.on('end', () => done());
      answer.on('error', (error) => done(out.left ? null : error.message));
      answer.on('close', () => done(answer.complete || out.left ? null : 'cut off'));
    });
    asked.on('error', (error) => done(out.left ? null : error.message));
    asked.setTimeout(120_000, () => asked.destroy(new Error('silent for 120 s')));
    asked.end(body);
  });
}

export async function json(port, path, options = {}) {
  const answer = await request({ port, path, ...options });
  if (answer.status !== 200) throw new Error(`${path}: status ${answer.status} ${answer.error ?? ''}`);
  return JSON.parse(Buffer.concat(answer.chunks.map((chunk) => chunk.bytes)).toString());
}

/// The `data:` lines of an answer, each with the time at which its last byte came.
export function* events(answer) {
  let rest = '';
  for (const { at, bytes } of answer.chunks) {
    const lines = (rest + bytes.toString('latin1')).split('\n');
    rest = lines.pop();
    for (const line of lines) if (line.startsWith('data: ')) yield { at, data: line.slice(6) };
  }
}

/// A streamed chat: `tokens[k]` is when ` t<k>` came.
export async function chat(server, { model = 'demo/script', prompt, onData }) {
  const body = JSON.stringify({ model, stream: true, messages: [{ role: 'user', content: prompt }] });
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${server.key}` };
  const answer = await request({ port: server.port, path: '/v1/chat/completions', method: 'POST', headers, body, onData });
  const out = { ...answer, tokens: [], text: '', finish: null, done: false, failure: answer.error };
  for (const { at, data } of events(answer)) {
    if (data === '[DONE]') { out.done = true; continue; }
    const chunk = JSON.parse(data);
    if (chunk.error) out.failure = chunk.error.message;
    const choice = chunk.choices?.[0];
    out.finish = choice?.finish_reason ?? out.finish;
    const text = choice?.delta?.content;
    if (!text) continue;
    out.text += text;
    for (const [, n] of text.matchAll(/t(\d+)/g)) out.tokens[n] = at;
  }
  if (answer.status !== 200) out.failure ??= Buffer.concat(answer.chunks.map((chunk) => chunk.bytes)).toString().slice(0, 300);
  delete out.chunks;
  return out;
}

/// As [`chat`], and an answer that is not whole is an error.
export async function complete(server, options, tokens) {
  const answer = await chat(server, options);
  const got = answer.tokens.length;
  if (answer.failure || !answer.done || (tokens !== undefined && got !== tokens)) {
    throw new Error(`an answer is not whole: status ${answer.status}, ${got} of ${tokens} tokens, ${answer.failure}`);
  }
  return answer;
}
