// A copy by `document.execCommand('copy')`, taken before the page and the browser get it. The page's listeners see an event of
// the same kind, and what they put in it, or what is selected, is told; to the clipboard nothing goes.

let copying = null;
let replayed = false;
const dataOf = method(DataTransfer, 'getData');
const selectionStart = { input: getter(HTMLInputElement, 'selectionStart'), textarea: getter(HTMLTextAreaElement, 'selectionStart') };
const selectionEnd = { input: getter(HTMLInputElement, 'selectionEnd'), textarea: getter(HTMLTextAreaElement, 'selectionEnd') };

function selectedText() {
  const active = deepActive();
  const name = active && controlType(active) ? dom.name(active) : '';
  if (selectionStart[name]) {
    const [start, end] = [selectionStart[name](active), selectionEnd[name](active)];
    if (start !== null && end > start) return valueOf(active).slice(start, end);
  }
  return String(getSelection());
}

function onCopy(event) {
  if (copying === null || replayed || !event.isTrusted) return;
  const target = dom.composedPath(event)[0];
  // Prevented with nothing in it: nothing is written.
  event.preventDefault();
  event.stopImmediatePropagation();
  const clipboardData = new DataTransfer();
  const copy = new ClipboardEvent('copy', { bubbles: true, cancelable: true, composed: true, clipboardData });
  let kept = true;
  replayed = true;
  try {
    kept = dom.dispatch(target, copy);
  } finally {
    replayed = false;
  }
  const text = kept ? selectedText() : dataOf(clipboardData, 'text/plain') || dataOf(clipboardData, 'text/html');
  if (text) tell({ kind: 'copied', token: copying, text });
}

// Before any listener of the page's; at rest it does nothing.
addEventListener('copy', onCopy, { capture: true });

function copyStart({ token }) {
  copying = token;
  return null;
}

function copyEnd({ token }) {
  if (copying === token) copying = null;
  return null;
}
