// The client leaves in mid-answer: when is the site's stop button pressed, and when is the page of use again?

import { chat, complete } from '../lib/client.mjs';
import { calibrate, until } from '../lib/clock.mjs';
import { figure, spread } from '../lib/figures.mjs';
import { Usage } from '../lib/proc.mjs';
import { withServer } from '../lib/server.mjs';

async function once(server, mark) {
  const left = await chat(server, { prompt: `tokens=1000 rate=50 mark=${mark}`, onData: (answer) => answer.chunks.length < 20 });
  // The one page is busy: the next request waits for it in the queue.
  const next = complete(server, { prompt: `tokens=1 rate=0 mark=${mark}-next` }, 1);
  const stream = await until('the stop button', async () => {
    const stats = await server.stats();
    return stats.streams.list.find((one) => one.mark === mark && one.stopped_at && one.ended);
  }, { timeout: 10_000 });
  await next;
  const prompt = (await server.stats()).prompts.list.find((one) => one.mark === `${mark}-next`);
  await server.settle(200);
  return { stopped: stream.stopped_at - left.left, ended: stream.ended - left.left, next: prompt.time - left.left };
}

export async function cancel(context) {
  return withServer(context, { WEBAI_ADAPTERS_PAGES: '1' }, async (server) => {
    await complete(server, { prompt: 'tokens=1' }, 1);
    await server.settle();
    calibrate();
    const usage = new Usage(server.pid);
    const runs = [];
    for (let i = 0; i < (context.quick ? 5 : 20); i += 1) runs.push(await once(server, `c${i}`));
    const of = (key) => spread(runs.map((run) => run[key]));
    return {
      figures: [
        figure('cancel.p50', 'client gone to stop pressed: p50', of('stopped').p50, 'ms', 100),
        figure('cancel.p95', 'client gone to stop pressed: p95', of('stopped').p95, 'ms'),
        figure('cancel.next', "client gone to the next request's prompt on the same page: p50", of('next').p50, 'ms', 1000),
      ],
      detail: { stopped: of('stopped'), ended: of('ended'), next: of('next'), cores: usage.stop() },
    };
  });
}
