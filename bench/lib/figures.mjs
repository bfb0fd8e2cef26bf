// Numbers: percentiles, and the figures that the report is made of.

export function percentile(values, p) {
  if (!values.length) return NaN;
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(p * sorted.length) - 1))];
}

export const median = (values) => percentile(values, 0.5);

export const spread = (values) => ({
  n: values.length,
  min: percentile(values, 0),
  p50: percentile(values, 0.5),
  p95: percentile(values, 0.95),
  max: percentile(values, 1),
});

/// One line of the report. `goal`: the most that it should be.
export const figure = (id, label, value, unit, goal) => ({ id, label, value, unit, ...(goal === undefined ? {} : { goal }) });

export function format(value, unit) {
  if (value === null || Number.isNaN(value)) return '-';
  const digits = Number.isInteger(value) || Math.abs(value) >= 1000 ? 0 : Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return `${value.toFixed(digits)}${unit ? ` ${unit}` : ''}`;
}

/// Several runs as one: the median of each figure, and how far the runs lay apart.
export function merge(runs) {
  const ids = new Map();
  for (const run of runs) {
    for (const one of run) {
      if (!ids.has(one.id)) ids.set(one.id, { ...one, values: [] });
      ids.get(one.id).values.push(one.value);
    }
  }
  return [...ids.values()].map(({ values, ...one }) => ({
    ...one,
    // Of two runs the worse: a median must not be the better half of a pair.
    value: one.worst ? Math.max(...values) : values.sort((a, b) => a - b)[Math.floor(values.length / 2)],
    low: Math.min(...values),
    high: Math.max(...values),
    runs: values.length,
  }));
}
