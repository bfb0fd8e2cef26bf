//! `data:` addresses.
#![no_main]

use libfuzzer_sys::fuzz_target;
use webai_adapter::data_uri;

fuzz_target!(|text: &str| {
    if let Some(data) = data_uri::parse(text) {
        assert!(data.bytes.len() <= text.len());
    }
});
