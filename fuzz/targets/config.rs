//! `config.yaml`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use webai2api::config::{Config, Sources};

fuzz_target!(|text: &str| {
    let sources = Sources { file: Some(("config.yaml".into(), text.into())), ..Sources::default() };
    if let Err(error) = Config::load(&sources) {
        assert!(!error.to_string().is_empty());
    }
});
