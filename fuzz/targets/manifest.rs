//! `adapter.toml`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use webai2api::plugin::Manifest;

fuzz_target!(|text: &str| {
    match Manifest::parse(text) {
        Ok(manifest) => assert!(manifest.asks().covers(&manifest.asks())),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
