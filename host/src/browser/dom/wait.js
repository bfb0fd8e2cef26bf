// Looks an element up, again and again, until it is as it must be.

const PAUSES = [0, 20, 20, 50, 50, 100];
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// `attempt(el, n)` returns {value} or {why}. Fails with not-found when nothing ever matched.
async function until(args, attempt) {
  const chain = compile(args.selector);
  let why = null;
  let misses = 0;
  for (let n = 0; ; n++) {
    const el = findFirst(chain);
    if (el) {
      const result = await attempt(el, misses++);
      if (result.why === undefined) return result.value;
      why = result.why;
    }
    const left = args.until - Date.now();
    if (left <= 0) break;
    await pause(Math.min(left, PAUSES[Math.min(n, PAUSES.length - 1)]));
  }
  if (why === null) throw new Failure('not-found', '');
  throw new Failure('timeout', why);
}

const found = (args, get) => until(args, async (el) => ({ value: await get(el) }));
