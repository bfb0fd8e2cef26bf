// An adapter's file is replaced again and again while requests run: none may be lost, none may notice.

import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { chat, json } from '../lib/client.mjs';
import { now, sleep, until } from '../lib/clock.mjs';
import { figure, spread } from '../lib/figures.mjs';
import { Usage, rss } from '../lib/proc.mjs';
import { withServer } from '../lib/server.mjs';
import { warm } from './latency.mjs';

const CLIENTS = 4;
/// SWAPS=1000: the long form, which looks for what leaks. Its answers are long, so that each lives through several swaps, and so that
/// the compiler, at its low priority, gets on beside them.
const SWAPS = Number(process.env.SWAPS) || 0;
const [TOKENS, RATE] = SWAPS ? [100, 20] : [25, 50];
/// Between two swaps: one after the other without a pause would measure the compiler's appetite.
const PAUSE = SWAPS ? 0 : 200;

/// The demo adapter under many versions: each is another file to the program, and compiled anew.
function variants(context, folder, count) {
  const manifest = readFileSync(path.join(context.root, 'adapters-wasm/demo/adapter.toml'), 'utf8');
  const module = path.join(context.root, 'target/guest/wasm32-unknown-unknown/guest/webai_adapter_demo.wasm');
  return Array.from({ length: count }, (_, i) => {
    const version = `0.9.${i + 1}`;
    const toml = path.join(folder, 'adapter.toml');
    writeFileSync(toml, manifest.replace(/^version = .*$/m, `version = "${version}"`));
    const file = path.join(folder, `${version}.wasm`);
    execFileSync(context.program, ['adapter', 'pack', module, '--manifest', toml, '-o', file], { stdio: 'ignore' });
    return { version, file };
  });
}

/// Clients that ask again and again until `signal.over`.
function load(server, signal) {
  const answers = [];
  const client = async () => {
    while (!signal.over) {
      const answer = await chat(server, { prompt: `tokens=${TOKENS} rate=${RATE}` });
      const whole = !answer.failure && answer.done && answer.finish === 'stop' && answer.tokens.length === TOKENS;
      answers.push({ whole, first: answer.tokens[0] - answer.sent, total: answer.ended - answer.sent, version: answer.headers['x-webai-adapter'], failure: answer.failure });
    }
  };
  return { answers, over: Promise.all(Array.from({ length: CLIENTS }, client)) };
}

const serving = async (server) => {
  const headers = { authorization: `Bearer ${server.key}` };
  return (await json(server.port, '/v1/models', { headers })).data.find((model) => model.id === 'demo/script')?.webai.adapter.version;
};

async function under(server, work) {
  const signal = { over: false };
  const { answers, over } = load(server, signal);
  const swaps = await work();
  signal.over = true;
  await over;
  return { swaps, answers };
}

export async function swap(context) {
  const count = SWAPS || (context.quick ? 15 : 100);
  const adapters = path.join(context.scratch, `adapters-${now()}`);
  const staging = path.join(context.scratch, `staging-${now()}`);
  mkdirSync(adapters);
  mkdirSync(staging);
  copyFileSync(path.join(context.adapters, 'demo.wasm'), path.join(adapters, 'demo.wasm'));
  const files = variants(context, staging, count);
  return withServer(context, { WEBAI_ADAPTERS_PAGES: String(CLIENTS) }, async (server) => {
    await warm(server, CLIENTS);
    const usage = new Usage(server.pid);
    const calm = await under(server, () => sleep(context.quick ? 3000 : 10_000));
    const before = rss(server.pid);
    // What is not backed by a file, now and then: the first swaps fill the allocator's stock, the later ones must not add to it.
    const course = [];
    const { swaps, answers } = await under(server, async () => {
      const times = [];
      for (const [n, { version, file }] of files.entries()) {
        if (n % Math.ceil(count / 20) === 0) course.push(rss(server.pid).anonymous);
        renameSync(file, path.join(adapters, 'demo.wasm'));
        const began = now();
        await until(`version ${version}`, async () => (await serving(server)) === version, { every: 5 });
        times.push(now() - began);
        await sleep(PAUSE);
      }
      return times;
    });
    const after = rss(server.pid);
    const loads = server.lines().map((line) => /adapter loaded.*?\bms=(\d+)/.exec(line)?.[1]).filter(Boolean).map(Number).slice(1);
    const lost = answers.filter((answer) => !answer.whole);
    const first = (list) => spread(list.answers ? list.answers.map((answer) => answer.first) : list.map((answer) => answer.first));
    const [quiet, busy] = [first(calm), first(answers)];
    return {
      figures: [
        figure('swap.lost', `requests lost in ${count} swaps`, lost.length, '', 0),
        figure('swap.requests', 'requests answered meanwhile', answers.length, ''),
        figure('swap.memory', `anonymous memory of the host that ${count} swaps leave behind`, after.anonymous - before.anonymous, 'MiB'),
        figure('swap.memory.late', 'the second half of them alone', after.anonymous - course[Math.floor(course.length / 2)], 'MiB'),
        figure('swap.load', 'swap: reading, compiling, putting in place (p50)', spread(loads).p50, 'ms', 100),
        figure('swap.visible', 'swap: from the new file to its version serving (p50)', spread(swaps).p50, 'ms'),
        figure('swap.noticed', "what swaps add to a request's first token (p50)", busy.p50 - quiet.p50, 'ms', 100),
        figure('swap.noticed.p95', "what swaps add to a request's first token (p95)", busy.p95 - quiet.p95, 'ms'),
      ],
      detail: { before, after, course, visible: spread(swaps), load: spread(loads), first_calm: quiet, first_swapping: busy, versions: new Set(answers.map((a) => a.version)).size, lost: lost.slice(0, 5), cores: usage.stop() },
    };
  }, { adapters });
}
