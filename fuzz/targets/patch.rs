//! Lines of patches, one after the other, to one document.
#![no_main]

use libfuzzer_sys::fuzz_target;
use webai_adapter::patch::Document;

fuzz_target!(|text: &str| {
    let mut document = Document::default();
    for line in text.lines() {
        let before = document.root().clone();
        if document.apply(line).is_err() {
            assert_eq!(*document.root(), before, "a line that is refused changes nothing: {line}");
        }
    }
});
