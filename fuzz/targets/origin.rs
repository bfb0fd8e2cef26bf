//! Origins as manifests write them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use webai2api::browser::Origin;

fuzz_target!(|text: &str| {
    if let Ok(origin) = Origin::parse(text) {
        let again = Origin::parse(&origin.to_string());
        assert_eq!(again.as_ref(), Ok(&origin), "written and read again");
        assert!(origin.contains(&origin) && origin.overlaps(&origin));
    }
});
