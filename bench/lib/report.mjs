// The table on the terminal, and the same in docs/performance.md.

import { format } from './figures.mjs';

const verdict = (one) => (one.goal === undefined ? '' : one.value <= one.goal ? 'met' : 'MISSED');

const rows = (report) => Object.values(report.items).flatMap(({ figures }) => figures.map((one) => [
  one.label,
  format(one.value, one.unit),
  one.runs > 1 ? `${format(one.low)} to ${format(one.high)}` : '',
  one.goal === undefined ? '' : `${one.goal}${one.unit ? ` ${one.unit}` : ''}`,
  verdict(one),
]));

const HEAD = ['what', 'measured', 'runs', 'goal', ''];

function describe(report) {
  const { machine } = report;
  const load = (list) => list.map((n) => n.toFixed(1)).join(' ');
  const others = Object.values(report.items).flatMap(({ runs }) => runs.flatMap((run) => [run.cores, ...(run.runs ?? []).map((one) => one.cores)])).filter(Boolean).map((cores) => cores.others);
  return [
    `${report.began.slice(0, 10)}, commit ${machine.commit}, ${report.program}${report.quick ? ' (quick)' : ''}, ${report.seconds} s in all`,
    `${machine.cores} cores of ${machine.cpu}, ${machine.memory_gib} GiB, Linux ${machine.kernel}, ${machine.chromium}, Node ${machine.node}`,
    `load average before ${load(report.load_before)}, after ${load(report.load_after)}; other programs used ${others.length ? `${Math.min(...others).toFixed(1)} to ${Math.max(...others).toFixed(1)}` : 'an unknown number of'} cores meanwhile`,
  ];
}

export function table(report) {
  const all = [HEAD, ...rows(report)];
  const widths = HEAD.map((_, i) => Math.max(...all.map((row) => row[i].length)));
  const line = (row) => row.map((cell, i) => (i === 1 ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join('  ').trimEnd();
  const problems = report.problems.map((problem) => `NOT MEASURED: ${problem}`);
  return [...describe(report), '', line(HEAD), widths.map((n) => '-'.repeat(n)).join('  '), ...all.slice(1).map(line), ...problems].join('\n');
}

/// Puts the figures between the marks of a document.
export function document(text, report) {
  const line = (row) => `| ${row.join(' | ')} |`;
  const figures = [...describe(report).map((one) => `- ${one}`), '', line(HEAD), line(['---', '---:', '---', '---', '---']), ...rows(report).map(line)];
  const [before, rest] = text.split('<!-- figures -->\n');
  const after = rest.split('<!-- /figures -->')[1];
  return `${before}<!-- figures -->\n${figures.join('\n')}\n<!-- /figures -->${after}`;
}
