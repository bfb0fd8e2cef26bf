// What the others notice while one adapter misbehaves: a stream of the demo's adapter, alone and beside a neighbour that computes,
// hoards memory, floods its client or calls the host without end.

import { fileURLToPath } from 'node:url';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';

import { chat, json } from '../lib/client.mjs';
import { sleep } from '../lib/clock.mjs';
import { figure } from '../lib/figures.mjs';
import { withServer } from '../lib/server.mjs';
import { measure, through, warm } from './latency.mjs';

const KINDS = ['burn', 'bomb', 'flood', 'push', 'query'];
/// Requests that misbehave at once: as many as there are cores here.
const AT_ONCE = 2;

/// A client of its own, in a thread of its own: what it has to read must not hold up the one that measures.
if (!isMainThread && workerData?.trouble) {
  const { server, kind } = workerData.trouble;
  const signal = { over: false };
  parentPort.once('message', () => { signal.over = true; });
  const codes = {};
  /// Asks again and again; every answer is an error, or would go on for ever. Where the adapter is out of use, it comes back as clients do.
  const one = async () => {
    while (!signal.over) {
      const answer = await chat(server, { model: 'neighbour/script', prompt: `${kind} 4000000`, onData: () => !signal.over });
      const code = /"code":"(\w+)"/.exec(answer.failure ?? '')?.[1] ?? (answer.failure ? 'error' : 'left');
      codes[code] = (codes[code] ?? 0) + 1;
      if (answer.status === 503) await sleep(1000);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
  parentPort.postMessage(codes);
}

function trouble({ port, key }, kind) {
  const worker = new Worker(fileURLToPath(import.meta.url), { workerData: { trouble: { server: { port, key }, kind } } });
  const codes = new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  return { stop: () => { worker.postMessage('over'); return codes; } };
}

/// A stream of the demo's adapter, alone, beside each kind of neighbour, and alone again. `crashes`: how many put the neighbour out of use.
function beside(context, crashes, tokens) {
  const settings = {
    WEBAI_ADAPTERS_ENABLED: '[neighbour]',
    WEBAI_ADAPTERS_PAGES: String(AT_ONCE),
    WEBAI_ADAPTERS_CRASHES: crashes,
    WEBAI_BROWSER_HOSTS: '{neighbour.localhost: "127.0.0.1:{demo}"}',
  };
  return withServer(context, settings, async (server) => {
    await warm(server, 1);
    const result = { quiet: await measure(server, through, 1, tokens) };
    for (const kind of KINDS) {
      const other = trouble(server, kind);
      result[kind] = await measure(server, through, 1, tokens);
      result[kind].neighbour = await other.stop();
      await json(server.port, '/admin/api/adapters/neighbour/enable', { method: 'POST', headers: { authorization: `Bearer ${server.key}` } });
      await server.settle();
    }
    result.after = await measure(server, through, 1, tokens);
    return result;
  }, { adapters: context.neighbour });
}

export async function neighbour(context) {
  const tokens = context.quick ? 500 : 1500;
  const guarded = await beside(context, '5', tokens);
  const unguarded = await beside(context, '0', tokens);
  const label = { burn: 'computes', bomb: 'hoards memory', flood: 'sends too much', push: 'sends tokens without end', query: 'asks the page without end' };
  const figures = (name, result, note) => [
    figure(`neighbour.${name}.quiet`, `page byte to client byte, no neighbour${note}: p95`, result.quiet.steady.p95, 'ms'),
    ...KINDS.map((kind) => figure(`neighbour.${name}.${kind}`, `the same beside two requests of an adapter that ${label[kind]}${note}: p95`, result[kind].steady.p95, 'ms')),
    figure(`neighbour.${name}.after`, `the same when that is over${note}: p95`, result.after.steady.p95, 'ms'),
  ];
  return {
    figures: [...figures('guarded', guarded, ''), ...figures('unguarded', unguarded, ', never put out of use')],
    detail: { guarded, unguarded },
  };
}
