// What an element shows, for the host to keep. Of what came over the network only the address: the host fetches that by itself,
// where it may. A blob, a data URL and a canvas are handed over in pieces.

const pictureNow = getter(HTMLImageElement, 'currentSrc');
const pictureDone = getter(HTMLImageElement, 'complete');
const soundNow = getter(HTMLMediaElement, 'currentSrc');
const canvasBlob = method(HTMLCanvasElement, 'toBlob');

let handed = null;

function handOver(args, blob, text) {
  if (blob.size > (text ? args.max * 1.5 : args.max)) {
    throw new Failure('too-large', `it has ${blob.size} bytes; at most ${args.max} can be saved`);
  }
  handed = { token: args.token, blob };
  return { value: { size: blob.size, mime: blob.type, text } };
}

function drawn(canvas) {
  return new Promise((resolve, reject) => {
    try {
      canvasBlob(canvas, (blob) => (blob ? resolve(blob) : reject(new Failure('nothing-to-save', 'the canvas is empty'))));
    } catch {
      reject(new Failure('nothing-to-save', 'the canvas shows something of another origin'));
    }
  });
}

const shown = (args) =>
  until(args, async (el) => {
    let url;
    if (el instanceof HTMLCanvasElement) return handOver(args, await drawn(el), false);
    if (el instanceof HTMLImageElement) {
      url = pictureNow(el);
      if (!url || !pictureDone(el)) return { why: 'it has not loaded' };
    } else if (el instanceof HTMLMediaElement) {
      url = soundNow(el);
      if (!url) return { why: 'it has no source yet' };
    } else {
      throw new Failure('nothing-to-save', `${describe(el)} is no picture, video, audio or canvas`);
    }
    if (url.startsWith('data:')) return handOver(args, new Blob([url]), true);
    if (!url.startsWith('blob:')) return { value: { url } };
    try {
      const answer = await fetch(url);
      return handOver(args, await answer.blob(), false);
    } catch (e) {
      if (e instanceof Failure) throw e;
      // The page's policy forbids it to fetch, or the address was revoked: the browser may still have what is drawn.
      return { value: { url } };
    }
  });

// Some bytes of it in base64; none when it is another document's.
async function shownPiece({ token, from, to }) {
  if (handed?.token !== token) return { piece: null };
  const bytes = new Uint8Array(await handed.blob.slice(from, to).arrayBuffer());
  if (to >= handed.blob.size) handed = null;
  let text = '';
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return { piece: btoa(text) };
}
