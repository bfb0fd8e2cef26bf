// What the kernel tells of processes and of the machine.

import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import os from 'node:os';

const read = (path) => { try { return readFileSync(path, 'utf8'); } catch { return ''; } };

/// Fields of /proc/PID/stat after the name, which may hold anything.
const stat = (pid) => {
  const text = read(`/proc/${pid}/stat`);
  return text ? text.slice(text.lastIndexOf(')') + 2).split(' ') : null;
};

/// A process and all that descend from it.
export function tree(root) {
  const children = new Map();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const parent = Number(stat(name)?.[1]);
    if (!children.has(parent)) children.set(parent, []);
    children.get(parent).push(Number(name));
  }
  const all = [root];
  for (let i = 0; i < all.length; i += 1) all.push(...(children.get(all[i]) ?? []));
  return all;
}

/// Resident memory in MiB: all, and what is not backed by files.
export function rss(pid) {
  const field = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(read(`/proc/${pid}/status`))?.[1] ?? NaN) / 1024;
  return { total: field('VmRSS'), anonymous: field('RssAnon') };
}

/// Memory of several processes in MiB, with what they share counted once.
export function pss(pids) {
  const one = (pid) => Number(/^Pss:\s+(\d+) kB/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0) / 1024;
  return pids.map(one).reduce((sum, value) => sum + value, 0);
}

/// Seconds of processor time.
const HZ = 100;
export const cpu = (pids) => pids.reduce((sum, pid) => {
  const fields = stat(pid);
  return sum + (fields ? (Number(fields[11]) + Number(fields[12])) / HZ : 0);
}, 0);

const busy = () => {
  const [user, nice, system, , , irq, softirq, steal] = read('/proc/stat').split('\n', 1)[0].trim().split(/\s+/).slice(1).map(Number);
  return (user + nice + system + irq + softirq + steal) / HZ;
};

/// Watches who uses the processors while something is measured.
export class Usage {
  constructor(host) {
    this.host = host;
    this.began = performance.now();
    this.before = this.#sample();
  }

  #sample() {
    const own = new Set(tree(process.pid));
    const browser = this.host ? tree(this.host).slice(1) : [];
    return { busy: busy(), own: cpu([...own]), host: this.host ? cpu([this.host]) : 0, browser: cpu(browser), client: cpu([process.pid]) };
  }

  /// Cores in use, on average: by the host (the demo site in it), its browser, this script, and by all others.
  stop() {
    const after = this.#sample();
    const seconds = (performance.now() - this.began) / 1000;
    const cores = (key) => Math.max(0, (after[key] - this.before[key]) / seconds);
    return { seconds, host: cores('host'), browser: cores('browser'), client: cores('client'), others: Math.max(0, cores('busy') - cores('own')), load: os.loadavg()[0] };
  }
}

export function machine(chromium) {
  const run = (...command) => { try { return execFileSync(command[0], command.slice(1), { encoding: 'utf8' }).trim(); } catch { return 'unknown'; } };
  return {
    cpu: os.cpus()[0]?.model ?? 'unknown',
    cores: os.cpus().length,
    memory_gib: Math.round(os.totalmem() / 2 ** 30),
    kernel: os.release(),
    chromium: run(chromium, '--version').split('\n').at(-1),
    node: process.version,
    commit: run('git', 'rev-parse', '--short', 'HEAD'),
  };
}
