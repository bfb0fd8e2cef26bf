//! An adapter's file as it is looked at before anything of it is compiled.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    if let Err(error) = webai2api::plugin::read_manifest(file) {
        assert!(!error.to_string().is_empty());
    }
});
