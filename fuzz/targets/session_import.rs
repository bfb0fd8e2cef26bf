//! cookies.txt, and the JSON of cookie extensions and of Playwright.
#![no_main]

use libfuzzer_sys::fuzz_target;
use webai2api::session::import;

fuzz_target!(|bytes: &[u8]| {
    match import::parse(bytes) {
        Ok(found) => {
            assert!(!found.session.is_empty());
            for cookie in found.session.cookies {
                assert!(cookie.path.starts_with('/') && !cookie.host().is_empty());
                assert!(cookie.expires.is_none_or(f64::is_finite));
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
