// The system's clock to the microsecond. `Date.now()` counts whole milliseconds, and `performance.timeOrigin` is off by
// whatever the clock was corrected by since this process started. The demo site stamps what it sends with the same clock.

let offset = 0;

/// Compares the two clocks anew. A pause while it looks can only make the offset too small, so that the largest counts.
export function calibrate() {
  let best = -Infinity;
  for (let i = 0; i < 8; i += 1) {
    const before = Date.now();
    let now = Date.now();
    while (now === before) now = Date.now();
    best = Math.max(best, now - performance.now());
  }
  const drift = offset ? best - offset : 0;
  offset = best;
  return drift;
}

calibrate();

/// Milliseconds since 1970, with fractions.
export const now = () => performance.now() + offset;

export const sleep = (ms) => new Promise((done) => { setTimeout(done, ms); });

/// Looks until `probe` gives something, every few milliseconds.
export async function until(what, probe, { timeout = 30_000, every = 5 } = {}) {
  const end = performance.now() + timeout;
  for (;;) {
    const found = await probe();
    if (found) return found;
    if (performance.now() > end) throw new Error(`${what}: not within ${timeout / 1000} s`);
    await sleep(every);
  }
}
