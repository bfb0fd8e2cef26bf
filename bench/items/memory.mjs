// Resident memory of the program, and what its Chromium takes.

import { complete } from '../lib/client.mjs';
import { sleep, until } from '../lib/clock.mjs';
import { figure } from '../lib/figures.mjs';
import { pss, rss, tree } from '../lib/proc.mjs';
import { withServer } from '../lib/server.mjs';
import { warm } from './latency.mjs';

const STREAMS = 30;

/// One warm page and nothing to do.
async function idle(context, server) {
  await server.settle();
  await sleep(context.quick ? 1000 : 5000);
  const browser = tree(server.pid).slice(1);
  return { rss: rss(server.pid), pss: pss(browser), processes: browser.length };
}

async function streaming(context, server) {
  await warm(server, STREAMS);
  await sleep(1000);
  const before = rss(server.pid);
  const seconds = context.quick ? 10 : 15;
  const answers = Array.from({ length: STREAMS }, () => complete(server, { prompt: `tokens=${seconds * 50} rate=50` }, seconds * 50));
  await until('all streams', async () => (await server.stats()).streams.open === STREAMS, { timeout: seconds * 1000 });
  await sleep(1000);
  const during = rss(server.pid);
  await Promise.all(answers);
  return { before, during };
}

async function many(context, server, requests) {
  let left = requests;
  const one = async () => { while (left > 0) { left -= 1; await complete(server, { prompt: 'tokens=5 rate=0' }, 5); } };
  await Promise.all(Array.from({ length: 4 }, one));
  await server.settle();
  await sleep(context.quick ? 1000 : 5000);
  return rss(server.pid);
}

export async function memory(context) {
  const requests = context.quick ? 40 : 500;
  const on = await withServer(context, { WEBAI_ADAPTERS_PAGES: '4' }, async (server) => {
    const first = await idle(context, server);
    return { idle: first, after: await many(context, server, requests) };
  });
  const off = await withServer(context, { WEBAI_BROWSER_FISSION: 'false' }, (server) => idle(context, server));
  const streams = await withServer(context, { WEBAI_ADAPTERS_PAGES: String(STREAMS) }, (server) => streaming(context, server));
  return {
    figures: [
      figure('memory.idle', 'program, idle (resident)', on.idle.rss.total, 'MiB', 50),
      figure('memory.anonymous', 'program, idle (of it not backed by its file)', on.idle.rss.anonymous, 'MiB'),
      figure('memory.stream', 'program, for each live stream', (streams.during.total - streams.before.total) / STREAMS, 'MiB', 1),
      figure('memory.page', 'program, for each further warm page', (streams.before.total - on.idle.rss.total) / (STREAMS - 1), 'MiB'),
      figure('memory.after', `program, after ${requests} requests`, on.after.total, 'MiB'),
      figure('memory.chromium.fission', 'Chromium with one page (PSS), fission on', on.idle.pss, 'MiB'),
      figure('memory.chromium.single', 'Chromium with one page (PSS), fission off', off.pss, 'MiB'),
    ],
    detail: { on, off, streams },
  };
}
