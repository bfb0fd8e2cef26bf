//! The helper that runs in every granted document: one script for the isolated world, put together from `dom/*.js`.
//!
//! An isolated world shares the DOM with the page and no JavaScript object: the page can neither see nor change the helper.

#[cfg(test)]
mod tests;

/// Defines `webai` in a world, once per document.
pub(super) const HELPER: &str = concat!(
    "(() => {\n'use strict';\n// An element with this id would seem to be it.\nif (Object.hasOwn(globalThis, 'webai')) return;\n",
    include_str!("dom/natives.js"),
    include_str!("dom/css.js"),
    include_str!("dom/engine.js"),
    include_str!("dom/aria.js"),
    include_str!("dom/actionability.js"),
    include_str!("dom/guard.js"),
    include_str!("dom/wait.js"),
    include_str!("dom/frames.js"),
    include_str!("dom/act.js"),
    include_str!("dom/attach.js"),
    include_str!("dom/save.js"),
    include_str!("dom/copy.js"),
    include_str!("dom/text.js"),
    include_str!("dom/markdown.js"),
    include_str!("dom/markdown-inline.js"),
    include_str!("dom/markdown-code.js"),
    include_str!("dom/watch.js"),
    include_str!("dom/entry.js"),
    "})();\n",
);
