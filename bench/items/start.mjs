// From the start of the process to its listening, its being ready, and its first token.

import { complete } from '../lib/client.mjs';
import { figure, median, spread } from '../lib/figures.mjs';
import { Usage } from '../lib/proc.mjs';
import { Server } from '../lib/server.mjs';

async function once(context, data) {
  const server = await Server.start(context, {}, { data });
  try {
    const answer = await complete(server, { prompt: 'tokens=1 rate=0' }, 1);
    return {
      data: server.data,
      listening: server.listening - server.began,
      ready: server.ready - server.began,
      first: answer.tokens[0] - server.began,
    };
  } finally {
    await server.stop();
  }
}

export async function start(context) {
  const usage = new Usage();
  const cold = await once(context);
  const runs = [];
  for (let i = 0; i < (context.quick ? 3 : 10); i += 1) runs.push(await once(context, cold.data));
  const of = (key) => runs.map((run) => run[key]);
  return {
    figures: [
      figure('start.listening', 'start to listening', median(of('listening')), 'ms', 300),
      figure('start.ready', 'start to ready', median(of('ready')), 'ms', 3000),
      figure('start.first', 'start to the first token of a request sent when ready', median(of('first')), 'ms'),
      figure('start.cold', 'start to ready with a new data folder', cold.ready, 'ms'),
    ],
    detail: { cold, listening: spread(of('listening')), ready: spread(of('ready')), first: spread(of('first')), cores: usage.stop() },
  };
}
