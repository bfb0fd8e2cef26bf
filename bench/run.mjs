#!/usr/bin/env node
// Measures the program and prints a table. See docs/performance.md.
//
//   node bench/run.mjs <webai2api binary> [--quick] [--only start,latency,...] [--repeat N] [--docs]
//
//   --quick   some minutes: fewer rounds, for development
//   --repeat  every measurement N times; figures are the medians
//   --docs    also writes the figures into docs/performance.md

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { cancel } from './items/cancel.mjs';
import { compare } from './items/compare.mjs';
import { compile } from './items/compile.mjs';
import { guest } from './items/guest.mjs';
import { latency } from './items/latency.mjs';
import { memory } from './items/memory.mjs';
import { neighbour } from './items/neighbour.mjs';
import { start } from './items/start.mjs';
import { stuck } from './items/stuck.mjs';
import { swap } from './items/swap.mjs';
import { merge } from './lib/figures.mjs';
import { machine } from './lib/proc.mjs';
import { document, table } from './lib/report.mjs';

const ITEMS = { start, latency, compare, cancel, stuck, swap, compile, guest, neighbour, memory };

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const out = path.join(root, 'target/bench');
const say = (text) => process.stderr.write(`bench: ${text}\n`);

function arguments_() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { quick: { type: 'boolean' }, only: { type: 'string' }, repeat: { type: 'string', default: '1' }, docs: { type: 'boolean' } },
  });
  const only = values.only?.split(',') ?? Object.keys(ITEMS);
  const unknown = only.find((name) => !ITEMS[name]);
  if (unknown) throw new Error(`no such item: ${unknown}; there are ${Object.keys(ITEMS).join(', ')}`);
  return { ...values, only, repeat: Number(values.repeat), program: path.resolve(positionals[0] ?? path.join(root, 'target/release/webai2api')) };
}

function chromium() {
  const which = (name) => { try { return execFileSync('which', [name], { encoding: 'utf8' }).trim(); } catch { return ''; } };
  const found = [process.env.WEBAI_BROWSER_PATH, '/usr/bin/chromium', ...['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'].map(which)].find((file) => file && existsSync(file));
  if (!found) throw new Error('no Chromium was found; run scripts/setup browser');
  return found;
}

function prepare(program) {
  mkdirSync(out, { recursive: true });
  const context = {
    root,
    program,
    adapters: path.join(root, 'target/adapters'),
    /// The folder of the adapter that measures the boundary, made by scripts/bench.
    probe: path.join(out, 'guest'),
    /// The demo's adapter, and beside it the same one under a name of its own.
    neighbour: path.join(out, 'neighbour'),
    clients: path.join(root, 'target/clients'),
    chromium: chromium(),
    scratch: mkdtempSync(path.join(os.tmpdir(), 'webai2api-bench-')),
  };
  for (const needed of [program, path.join(context.adapters, 'demo.wasm'), path.join(context.clients, 'node_modules')]) {
    if (!existsSync(needed)) throw new Error(`${path.relative(root, needed)} is missing; run make bench`);
  }
  return context;
}

const options = arguments_();
const context = { ...prepare(options.program), quick: options.quick };
const report = {
  machine: machine(context.chromium),
  program: path.relative(root, options.program),
  quick: !!options.quick,
  began: new Date().toISOString(),
  load_before: os.loadavg(),
  items: {},
  problems: [],
};
say(`load before: ${report.load_before.map((n) => n.toFixed(1)).join(' ')}; scratch ${context.scratch}`);
for (const name of options.only) {
  const runs = [];
  for (let i = 0; i < options.repeat; i += 1) {
    const began = performance.now();
    try {
      runs.push(await ITEMS[name](context));
      say(`${name}: ${((performance.now() - began) / 1000).toFixed(0)} s, load ${os.loadavg()[0].toFixed(1)}`);
    } catch (error) {
      say(`${name} failed: ${error.stack ?? error}`);
      report.problems.push(`${name}: ${String(error.message).split('\n', 1)[0]}`);
    }
  }
  if (runs.length) report.items[name] = { figures: merge(runs.map((run) => run.figures)), runs: runs.map((run) => run.detail) };
}
report.load_after = os.loadavg();
report.seconds = Math.round((Date.now() - Date.parse(report.began)) / 1000);
writeFileSync(path.join(out, 'results.json'), `${JSON.stringify(report, null, 2)}\n`);
process.stdout.write(`\n${table(report)}\n\ntarget/bench/results.json has the details.\n`);
if (options.docs) {
  const file = path.join(root, 'docs/performance.md');
  writeFileSync(file, document(readFileSync(file, 'utf8'), report));
}
if (report.problems.length) process.exitCode = 1;
else rmSync(context.scratch, { recursive: true, force: true });
