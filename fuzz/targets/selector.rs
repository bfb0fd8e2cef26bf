//! Selectors as adapters write them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use webai2api::browser::Selector;

fuzz_target!(|text: &str| {
    match text.parse::<Selector>() {
        Ok(selector) => {
            let whole = serde_json::to_value(&selector);
            assert!(whole.is_ok());
            let (_, last) = selector.into_legs();
            assert!(serde_json::to_value(&last).is_ok());
        }
        Err(error) => assert!(error.at >= 1 && error.at <= text.chars().count() + 1, "{error}"),
    }
});
