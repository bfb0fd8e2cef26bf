// What the others notice while one adapter misbehaves: a stream of the demo's adapter, alone and beside a neighbour that computes,
// hoards memory, floods its client or calls the host without end.

import { fileURLToPath } from 'node:url';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';

import { chat } from '../lib/client.mjs';
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
  /// Asks again and again; every answer is an error, or would go on for ever.
  const one = async () => {
    while (!signal.over) {
      const answer = await chat(server, { model: 'neighbour/script', prompt: `${kind} 4000000`, onData: () => !signal.over });
      const code = /"code":"(\w+)"/.exec(answer.failure ?? '')?.[1] ?? (answer.failure ? 'error' : 'left');
      codes[code] = (codes[code] ?? 0) + 1;
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

export async function neighbour(context) {
  const tokens = context.quick ? 200 : 600;
  const settings = {
    WEBAI_ADAPTERS_ENABLED: '[neighbour]',
    WEBAI_ADAPTERS_PAGES: String(AT_ONCE),
    // Else it would soon be out of use, and out of the way.
    WEBAI_ADAPTERS_CRASHES: '0',
    WEBAI_BROWSER_HOSTS: '{neighbour.localhost: "127.0.0.1:{demo}"}',
  };
  return withServer(context, settings, async (server) => {
    await warm(server, 1);
    const quiet = await measure(server, through, 1, tokens);
    const beside = {};
    for (const kind of KINDS) {
      const other = trouble(server, kind);
      beside[kind] = await measure(server, through, 1, tokens);
      beside[kind].neighbour = await other.stop();
      await server.settle();
    }
    const after = await measure(server, through, 1, tokens);
    const label = { burn: 'computes', bomb: 'hoards memory', flood: 'sends too much', push: 'sends tokens without end', query: 'asks the page without end' };
    return {
      figures: [
        figure('neighbour.quiet', 'page byte to client byte, no neighbour: p95', quiet.steady.p95, 'ms'),
        ...KINDS.map((kind) => figure(`neighbour.${kind}`, `the same beside two requests of an adapter that ${label[kind]}: p95`, beside[kind].steady.p95, 'ms')),
        figure('neighbour.after', 'the same when that is over: p95', after.steady.p95, 'ms'),
      ],
      detail: { quiet, beside, after },
    };
  }, { adapters: context.neighbour });
}
