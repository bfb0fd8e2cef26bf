// A token's way: from the site's send to the client's receive, at 1, 10 and 30 streams of 50 tokens a second.
//
// The site notes the time before it hands a token to its socket, so that the figure holds the site's write, the guard,
// Chromium's network stack, the CDP socket, the host, the sandboxed adapter, the HTTP answer and this client's event loop.

import { chat, complete, events, request } from '../lib/client.mjs';
import { calibrate, sleep } from '../lib/clock.mjs';
import { figure, spread } from '../lib/figures.mjs';
import { Usage } from '../lib/proc.mjs';
import { withServer } from '../lib/server.mjs';

const RATE = 50;
/// Streams do not begin at once; only what was sent while all of them ran is counted.
const BEGINNING = 300;

/// Pages are opened when they are first needed: asks for so many answers at once until none has to wait for its page.
export async function warm(server, pages) {
  const prompt = 'tokens=2 rate=0 delay_ms=3000';
  for (let round = 0; round < 12; round += 1) {
    // On a busy machine a page may take longer to open than a request may wait: that is not what is measured here.
    const answers = await Promise.all(Array.from({ length: pages }, () => chat(server, { prompt })));
    await server.settle();
    // The site has sent all entries; thirty renderers on two cores need seconds to show them.
    await sleep(pages * 150);
    if (answers.every((answer) => answer.tokens.length === 2 && Number(answer.headers['x-webai-queue-ms']) < 100)) return;
  }
  throw new Error(`there were never ${pages} warm pages`);
}

const range = (n) => Array.from({ length: n }, (_, i) => i);

export async function through(server, n, tokens) {
  const marks = range(n).map((i) => `n${n}-${i}`);
  const answers = await Promise.all(marks.map((mark) => complete(server, { prompt: `tokens=${tokens} rate=${RATE} mark=${mark}` }, tokens)));
  return new Map(marks.map((mark, i) => [mark, answers[i].tokens]));
}

/// The same stream read by this client without a browser: what of the figure is the site's, the machine's and Node's.
async function direct(server, n, tokens) {
  const ask = async (mark) => {
    const body = JSON.stringify({ conversation: null, model: 'script', prompt: `tokens=${tokens} rate=${RATE} mark=${mark}` });
    const answer = await request({ port: server.demo, path: '/api/chat', method: 'POST', headers: { 'content-type': 'application/json' }, body });
    const got = [];
    for (const { at, data } of events(answer)) {
      for (const [, k] of data.matchAll(/"(?:v|text)":" ?t(\d+)"/g)) got[k] = at;
    }
    if (got.length !== tokens) throw new Error(`the site sent ${got.length} of ${tokens} tokens`);
    return [mark, got];
  };
  return new Map(await Promise.all(range(n).map((i) => ask(`d${n}-${i}`))));
}

/// Compares what the site sent with what came.
async function latencies(server, received) {
  const [stats, sends] = [await server.stats(), await server.sends()];
  const streams = stats.streams.list.filter((stream) => received.has(stream.mark));
  if (streams.length !== received.size) throw new Error(`the site counted ${streams.length} streams instead of ${received.size}`);
  const from = Math.max(...streams.map((stream) => stream.first_sent)) + BEGINNING;
  const to = Math.min(...streams.map((stream) => stream.last_sent));
  const all = [];
  const steady = [];
  if (to - from < 500) throw new Error(`the streams ran together for only ${Math.round(to - from)} ms`);
  for (const stream of streams) {
    const sent = sends.get(stream.id);
    received.get(stream.mark).forEach((at, k) => {
      all.push(at - sent[k]);
      if (sent[k] >= from && sent[k] <= to) steady.push(at - sent[k]);
    });
  }
  return { together_ms: to - from, steady: spread(steady), all: spread(all) };
}

export async function measure(server, way, n, tokens) {
  await server.reset();
  calibrate();
  const usage = new Usage(server.pid);
  const received = await way(server, n, tokens);
  const used = usage.stop();
  return { streams: n, tokens, ...(await latencies(server, received)), cores: used, clock_drift_ms: calibrate() };
}

const label = (n) => `page byte to client byte, ${n} stream${n > 1 ? 's' : ''}`;

export async function latency(context) {
  const tokens = context.quick ? 300 : 600;
  const counts = context.quick ? [1, 30] : [1, 10, 30];
  return withServer(context, { WEBAI_ADAPTERS_PAGES: String(Math.max(...counts)) }, async (server) => {
    const runs = [];
    for (const n of counts) {
      await warm(server, n);
      runs.push(await measure(server, through, n, tokens));
      await server.settle();
    }
    await sleep(500);
    const floor = await measure(server, direct, 30, tokens);
    const at = (run, goals) => ['p50', 'p95', 'max'].map((p) => figure(`latency.${run.streams}.${p}`, `${label(run.streams)}: ${p}`, run.steady[p], 'ms', goals?.[p]));
    const goals = { p50: 5, p95: 15 };
    const last = runs.at(-1).cores;
    return {
      figures: [
        ...runs.flatMap((run) => at(run, goals)),
        figure('latency.floor.p50', 'the same 30 streams read without a browser: p50', floor.steady.p50, 'ms'),
        figure('latency.floor.p95', 'the same 30 streams read without a browser: p95', floor.steady.p95, 'ms'),
        figure('latency.cpu.host', 'processor use at 30 streams: program and demo site', last.host, 'cores'),
        figure('latency.cpu.browser', 'processor use at 30 streams: Chromium', last.browser, 'cores'),
        figure('latency.cpu.client', 'processor use at 30 streams: this client', last.client, 'cores'),
      ],
      detail: { runs, floor },
    };
  });
}
