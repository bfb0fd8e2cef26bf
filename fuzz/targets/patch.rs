//! Lines of patches, one after the other, to one document.
#![no_main]

use libfuzzer_sys::fuzz_target;
use webai_adapter::patch::Document;

fuzz_target!(|text: &str| {
    let mut document = Document::default();
    for line in text.lines() {
        for change in document.apply(line).unwrap_or_default() {
            assert!(change.path.is_empty() || change.path.starts_with('/'), "{change:?}");
        }
    }
});
