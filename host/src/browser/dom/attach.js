// Files for an `<input type=file>`. Their bytes come piece by piece and stay in memory: a file on disk would be read by the
// browser whenever the site gets to it, long after it was removed.

let staged = null;
const setFiles = setter(HTMLInputElement, 'files');

function stage({ token, file, name, mime, piece }) {
  if (staged?.token !== token) staged = { token, files: [] };
  staged.files[file] ??= { name, mime, pieces: [] };
  staged.files[file].pieces.push(Uint8Array.from(atob(piece), (c) => c.charCodeAt(0)));
  return null;
}

// The staged files; null when they were lost with their document.
function stagedFiles({ token, count }) {
  const files = staged?.token === token ? staged.files : [];
  return files.length === count ? files : null;
}

function give(input, files) {
  if (files.length > 1 && !dom.hasAttr(input, 'multiple') && !dom.hasAttr(input, 'webkitdirectory')) {
    throw new Failure('too-many-files', `${describe(input)} takes one file`);
  }
  const transfer = new DataTransfer();
  for (const { name, mime, pieces } of files) transfer.items.add(new File(pieces, name, { type: mime }));
  setFiles(input, transfer.files);
  staged = null;
  announce(input);
}

const attach = (args) =>
  until(args, async (el) => {
    const input = controlOf(el);
    if (!isInput(input, 'file')) throw new Failure('not-a-file-input', `${describe(el)} is no <input type=file>`);
    if (!isEnabled(input)) return { why: 'it is disabled' };
    const files = stagedFiles(args);
    if (!files) return { value: { gone: true } };
    give(input, files);
    return { value: { gone: false } };
  });

// The same for the input of a chooser, which need not be in the document.
function receive({ element, ...args }) {
  if (!isInput(element, 'file')) throw new Failure('not-a-file-input', `${describe(element)} is no <input type=file>`);
  const files = stagedFiles(args);
  if (!files) throw new Failure('helper', 'the files did not arrive');
  give(element, files);
  return null;
}
