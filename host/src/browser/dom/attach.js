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

async function attach(args) {
  const value = await until(args, async (el) => {
    const input = controlOf(el);
    if (!isInput(input, 'file')) throw new Failure('not-a-file-input', `${describe(el)} is no <input type=file>`);
    if (!isEnabled(input)) return { why: 'it is disabled' };
    const files = staged?.token === args.token ? staged.files : [];
    if (files.length !== args.count) return { value: { gone: true } };
    if (files.length > 1 && !dom.hasAttr(input, 'multiple')) {
      throw new Failure('too-many-files', `${describe(input)} takes one file`);
    }
    const transfer = new DataTransfer();
    for (const { name, mime, pieces } of files) transfer.items.add(new File(pieces, name, { type: mime }));
    setFiles(input, transfer.files);
    announce(input);
    return { value: { gone: false } };
  });
  staged = null;
  return value;
}
