// What the sandbox costs: the adapter's processor time, a fresh instance for each call, and a call of the host.

import { chat, complete } from '../lib/client.mjs';
import { until } from '../lib/clock.mjs';
import { figure, median, spread } from '../lib/figures.mjs';
import { Usage } from '../lib/proc.mjs';
import { withServer } from '../lib/server.mjs';

const DEBUG = { LOG_LEVEL: 'debug', LOG_FORMAT: 'json' };

/// The adapter of the demo site, answering a long answer token by token.
async function adapter(context, server) {
  const tokens = context.quick ? 500 : 1000;
  const [long, short] = context.quick ? [1, 5] : [5, 20];
  for (let i = 0; i < long; i += 1) { await complete(server, { prompt: `tokens=${tokens} rate=200` }, tokens); await server.settle(200); }
  for (let i = 0; i < short; i += 1) { await complete(server, { prompt: 'tokens=1 rate=0' }, 1); await server.settle(100); }
  const jobs = await until('the log', () => { const all = server.jobs(); return all.length >= long + short && all; });
  const perThousand = jobs.slice(0, long).map((job) => (job.guest_cpu_us / 1000 / tokens) * 1000);
  return { per_thousand_ms: spread(perThousand), instantiate_us: spread(jobs.map((job) => job.instantiate_us)), memory_mib: spread(jobs.map((job) => job.guest_memory_kib / 1024)), short_cpu_us: spread(jobs.slice(long).map((job) => job.guest_cpu_us)) };
}

/// An adapter that does nothing but call the host, and says how long it took.
async function boundary(context, server) {
  const ask = async (what, count) => {
    const answer = await chat(server, { prompt: `${what} ${count}` });
    const took = /took (\d+) ms/.exec(answer.text);
    if (!took) throw new Error(`the measuring adapter said: ${answer.text} ${answer.failure ?? ''}`);
    return Number(took[1]);
  };
  const each = async (what, count) => {
    const runs = [];
    for (let i = 0; i < (context.quick ? 1 : 5); i += 1) runs.push((await ask(what, count)) / count);
    return median(runs);
  };
  return { remaining_us: (await each('remaining', 200_000)) * 1000, push_us: (await each('push', 20_000)) * 1000, query_ms: await each('query', 300) };
}

export async function guest(context) {
  const usage = new Usage();
  const own = await withServer(context, DEBUG, (server) => adapter(context, server));
  const calls = await withServer(context, {}, (server) => boundary(context, server), { adapters: context.probe });
  return {
    figures: [
      figure('guest.cpu', 'adapter processor time for 1,000 tokens', own.per_thousand_ms.p50, 'ms'),
      figure('guest.instantiate', 'store and instance for a call: p50', own.instantiate_us.p50, 'us'),
      figure('guest.memory', "an adapter's instance: its memory at a call's end (largest)", own.memory_mib.max, 'MiB'),
      figure('guest.call', 'a host call that does nothing', calls.remaining_us, 'us'),
      figure('guest.push', 'a token pushed, up to the HTTP client', calls.push_us, 'us'),
      figure('guest.query', 'a query of the page (to Chromium and back)', calls.query_ms, 'ms'),
    ],
    detail: { adapter: own, calls, cores: usage.stop() },
  };
}
