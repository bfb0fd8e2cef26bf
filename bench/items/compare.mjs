// Time to the prompt, to the first token and to the end, beside a script that waits for the whole body. Both take turns on
// the same site, so that they share the machine's moods.
//
// The site ends its answers without its end marker here: at the marker its page stops reading, as pages do, and Playwright
// cannot give the body of an answer whose reader left. The program does not mind either way.

import { Plain } from '../plain.mjs';
import { complete } from '../lib/client.mjs';
import { calibrate, now } from '../lib/clock.mjs';
import { figure, median, spread } from '../lib/figures.mjs';
import { Usage } from '../lib/proc.mjs';
import { withServer } from '../lib/server.mjs';

const TOKENS = 100;
const RATE = 50;

const script = (tokens, rate, mark) => `tokens=${tokens} rate=${rate} end=unmarked mark=${mark}`;

const promptTime = async (server, mark) => (await server.stats()).prompts.list.find((prompt) => prompt.mark === mark).time;

async function ours(server, mark, tokens, rate) {
  const answer = await complete(server, { prompt: script(tokens, rate, mark) }, tokens);
  const submitted = await promptTime(server, mark);
  await server.settle(200);
  return { submit: submitted - answer.sent, first: answer.tokens[0] - answer.sent, end: answer.ended - answer.sent };
}

async function plains(server, plain, mark, tokens, rate, needsBody = true) {
  let began;
  let body;
  for (let tries = 1; ; tries += 1) {
    began = now();
    try {
      body = await plain.ask(script(tokens, rate, mark));
      break;
    } catch (error) {
      // Now and then Chromium does not have the body any more. Where only the prompt's time is asked for, that is no matter.
      if (!needsBody) break;
      if (tries === 5) throw error;
      plain.failures += 1;
      await plain.back();
      mark += '-again';
    }
  }
  const ended = now();
  if (needsBody && !body.includes(`t${tokens - 1}"`)) throw new Error('the plain script did not get the whole body');
  const submitted = await promptTime(server, mark);
  await plain.back();
  // The first token is known when all are.
  return { submit: submitted - began, first: ended - began, end: ended - began };
}

export async function compare(context) {
  const [long, short] = context.quick ? [2, 5] : [10, 30];
  return withServer(context, { WEBAI_ADAPTERS_PAGES: '1' }, async (server) => {
    const plain = await Plain.start(context, server.demo);
    try {
      calibrate();
      const usage = new Usage(server.pid);
      const results = { ours: [], plain: [] };
      // The first of each chooses the model, which is no part of the comparison.
      await ours(server, 'warm-o', 1, 0);
      await plains(server, plain, 'warm-p', 2, 0, false);
      for (let i = 0; i < long + short; i += 1) {
        const [tokens, rate] = i < long ? [TOKENS, RATE] : [2, 0];
        const kind = i < long ? 'long' : 'short';
        results.ours.push({ kind, ...(await ours(server, `o${i}`, tokens, rate)) });
        results.plain.push({ kind, ...(await plains(server, plain, `p${i}`, tokens, rate, kind === 'long')) });
      }
      const of = (who, what, kind) => results[who].filter((one) => !kind || one.kind === kind).map((one) => one[what]);
      const pair = (what, kind, label, goal) => [
        figure(`compare.${what}.ours`, `${label}: webai2api`, median(of('ours', what, kind)), 'ms', goal),
        figure(`compare.${what}.plain`, `${label}: plain script`, median(of('plain', what, kind)), 'ms'),
      ];
      const detail = { cores: usage.stop(), plain_failures: plain.failures };
      for (const who of ['ours', 'plain']) {
        detail[who] = { submit: spread(of(who, 'submit')), first: spread(of(who, 'first', 'long')), end: spread(of(who, 'end', 'long')) };
      }
      return {
        figures: [
          ...pair('submit', undefined, 'request in to prompt at the site, warm page'),
          ...pair('first', 'long', `first token of ${TOKENS} at ${RATE}/s`),
          ...pair('end', 'long', `last token of ${TOKENS} at ${RATE}/s`),
        ],
        detail,
      };
    } finally {
      await plain.stop();
    }
  });
}
