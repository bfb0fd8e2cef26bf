// Starts the program as a person would, with a data folder of its own.

import { spawn } from 'node:child_process';
import { openSync, closeSync, readFileSync, mkdtempSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';

import { json, request } from './client.mjs';
import { now, sleep, until } from './clock.mjs';

const running = new Set();
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => { for (const child of running) child.kill('SIGKILL'); process.exit(130); });
}

export const freePort = () => new Promise((resolve, reject) => {
  const server = net.createServer().listen(0, '127.0.0.1', () => {
    const { port } = server.address();
    server.close(() => resolve(port));
  }).on('error', reject);
});

const accepts = (port) => new Promise((resolve) => {
  const socket = net.connect(port, '127.0.0.1', () => { socket.destroy(); resolve(true); });
  socket.on('error', () => resolve(false));
});

const status = (port, where) => new Promise((resolve) => {
  http.get({ host: '127.0.0.1', port, path: where, agent: false }, (answer) => { answer.resume(); resolve(answer.statusCode); })
    .on('error', () => resolve(0));
});

export class Server {
  /// `settings`: keys of the configuration by their variables; `{demo}` in them is the demo site's port.
  static async start(context, settings = {}, { data, adapters } = {}) {
    const server = new Server();
    server.key = 'bench';
    server.port = await freePort();
    server.demo = await freePort();
    server.data = data ?? mkdtempSync(path.join(context.scratch, 'data-'));
    server.log = path.join(context.scratch, `log-${server.port}.txt`);
    const env = {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      AUTH_TOKEN: server.key,
      PORT: String(server.port),
      WEBAI_DATA_DIR: server.data,
      WEBAI_BUNDLED: adapters ?? context.adapters,
      WEBAI_DEMO_LISTEN: `127.0.0.1:${server.demo}`,
      WEBAI_SERVER_HOST: '127.0.0.1',
      WEBAI_BROWSER_PATH: context.chromium,
      WEBAI_QUEUE_QUEUE_BUFFER: '0',
      LOG_LEVEL: process.env.BENCH_LOG ?? 'info',
      ...Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, value.replace('{demo}', server.demo)])),
    };
    const log = openSync(server.log, 'w');
    server.began = now();
    server.child = spawn(context.program, ['serve'], { env, cwd: context.scratch, stdio: ['ignore', log, log] });
    closeSync(log);
    running.add(server.child);
    server.pid = server.child.pid;
    server.exited = new Promise((resolve) => { server.child.once('exit', (code, signal) => { running.delete(server.child); server.code = code ?? signal; resolve(); }); });
    const alive = () => { if (server.code !== undefined) throw new Error(`the program ended (${server.code}); see ${server.log}\n${server.lines().slice(-5).join('\n')}`); };
    server.listening = await until('listening', async () => { alive(); return (await accepts(server.port)) && now(); }, { every: 1 });
    server.ready = await until('ready', async () => { alive(); return (await status(server.port, '/readyz')) === 200 && now(); }, { every: 2, timeout: 60_000 });
    return server;
  }

  lines() {
    return readFileSync(this.log, 'utf8').split('\n').filter(Boolean);
  }

  async stop() {
    if (this.code !== undefined) return;
    this.child.kill('SIGTERM');
    const forced = setTimeout(() => this.child.kill('SIGKILL'), 15_000);
    await this.exited;
    clearTimeout(forced);
  }

  /// What the site counted.
  stats() {
    return json(this.demo, '/stats');
  }

  async sends() {
    const sends = new Map();
    for (const [stream, at] of await json(this.demo, '/stats/sends')) {
      if (!sends.has(stream)) sends.set(stream, []);
      sends.get(stream).push(at);
    }
    return sends;
  }

  async reset() {
    await request({ port: this.demo, path: '/stats/reset', method: 'POST' });
  }

  /// Pages go back to their entry after each answer: waits until no page has been loaded for a while.
  async settle(quiet = 400) {
    let last = -1;
    let since = now();
    await until('the pages at rest', async () => {
      const loads = (await this.stats()).page_loads;
      if (loads !== last) { last = loads; since = now(); }
      return now() - since > quiet;
    }, { every: 50, timeout: 60_000 });
    await sleep(100);
  }

  /// The program's debug lines of finished jobs.
  jobs() {
    return this.lines().flatMap((line) => {
      try { const entry = JSON.parse(line); return entry.message === 'job' ? [entry] : []; } catch { return []; }
    });
  }
}

/// Starts, measures, and ends, whatever happens.
export async function withServer(context, settings, measure, options) {
  const server = await Server.start(context, settings, options);
  try {
    return await measure(server);
  } catch (error) {
    error.message += `\nthe program's last lines (${server.log}):\n${server.lines().slice(-8).join('\n')}`;
    throw error;
  } finally {
    await server.stop();
  }
}
