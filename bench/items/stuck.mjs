// A page on which the site goes silent in mid-answer: how late is its client told, when is its place of use again, and does a stream on
// the other page notice?

import { chat } from '../lib/client.mjs';
import { calibrate, until } from '../lib/clock.mjs';
import { figure, spread } from '../lib/figures.mjs';
import { withServer } from '../lib/server.mjs';
import { measure, through, warm } from './latency.mjs';

const IDLE = 1000;

async function once(server, mark) {
  // The other page has its stream: the next one waits in the queue for the page that hangs.
  let next;
  const onData = () => { next ??= chat(server, { prompt: `tokens=1 rate=0 mark=${mark}-next` }); };
  const silent = await chat(server, { prompt: `tokens=6 rate=0 silence_ms=600000 mark=${mark}`, onData });
  const answered = await next;
  if (!/stage: idle/.test(silent.failure ?? '')) throw new Error(`it ended otherwise: ${silent.failure}`);
  if (answered.tokens.length !== 1) throw new Error(`the next one was not answered: ${answered.failure}`);
  const told = silent.ended - silent.tokens.at(-1) - IDLE;
  return { told, back: answered.tokens[0] - silent.ended };
}

export async function stuck(context) {
  const tokens = context.quick ? 400 : 1000;
  const settings = { WEBAI_ADAPTERS_PAGES: '2', WEBAI_DEADLINES_IDLE: `${IDLE}ms` };
  return withServer(context, settings, async (server) => {
    await warm(server, 2);
    calibrate();
    const quiet = await measure(server, through, 1, tokens);
    const runs = [];
    const signal = { over: false };
    const again = async () => {
      for (let i = 0; !signal.over; i += 1) runs.push(await once(server, `stuck${i}`));
    };
    // The stream has its page before the others ask.
    const streaming = measure(server, through, 1, tokens);
    await until('the stream', async () => (await server.stats()).streams.list.some((one) => one.first_sent && !one.ended));
    const hanging = again();
    const beside = await streaming;
    signal.over = true;
    await hanging;
    const of = (key) => spread(runs.map((run) => run[key]));
    return {
      figures: [
        figure('stuck.told', 'a page hangs: error after the end of its deadline: p95', of('told').p95, 'ms'),
        figure('stuck.back', "from that error to the next request's answer in its place: p95", of('back').p95, 'ms', 3000),
        figure('stuck.quiet', 'page byte to client byte on the other page, nothing hangs: p95', quiet.steady.p95, 'ms'),
        figure('stuck.beside', 'the same while one page after the other hangs: p95', beside.steady.p95, 'ms'),
      ],
      detail: { hung: runs.length, told: of('told'), back: of('back'), quiet, beside },
    };
  });
}
