// What it takes to load an adapter: compiled at the first start with a data folder, and taken from the cache at all others.

import { mkdtempSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';

import { until } from '../lib/clock.mjs';
import { figure, spread } from '../lib/figures.mjs';
import { withServer } from '../lib/server.mjs';

const loads = (server) => Object.fromEntries(server.lines().flatMap((line) => {
  const found = /adapter loaded.*?adapter="?([^@"]+)@\S*.*?\bms=(\d+)/.exec(line);
  return found ? [[found[1], Number(found[2])]] : [];
}));

export async function compile(context) {
  const files = readdirSync(context.adapters).filter((name) => name.endsWith('.wasm'));
  const ids = files.map((name) => name.slice(0, -'.wasm'.length));
  const sizes = Object.fromEntries(ids.map((id) => [id, statSync(path.join(context.adapters, `${id}.wasm`)).size / 1024]));
  const settings = { WEBAI_ADAPTERS_ENABLED: `[${ids.join(', ')}]` };
  const data = mkdtempSync(path.join(context.scratch, 'data-'));
  // One that wants settings before it can serve is told of, and not loaded.
  const told = (server) => server.lines().filter((line) => /adapter (not )?loaded/.test(line)).length;
  const loaded = () => withServer(context, settings, (server) => until('all adapters', () => told(server) >= ids.length && loads(server), { timeout: 120_000 }), { data });
  const cold = await loaded();
  const cached = await loaded();
  const [first, later, size] = [cold, cached, sizes].map((all) => spread(Object.values(all)));
  return {
    figures: [
      figure('compile.size', `an adapter's file: median of ${ids.length}`, size.p50, 'KiB'),
      figure('compile.size.max', "the largest adapter's file", size.max, 'KiB'),
      figure('compile.cold', 'loading an adapter, compiled: median', first.p50, 'ms'),
      figure('compile.cold.max', 'loading an adapter, compiled: the slowest', first.max, 'ms'),
      figure('compile.cached', 'loading an adapter from the cache: median', later.p50, 'ms'),
      figure('compile.cached.max', 'loading an adapter from the cache: the slowest', later.max, 'ms'),
    ],
    detail: { cold, cached, sizes },
  };
}
