//! URL patterns as manifests write them: a wide pattern, a narrow one and an address, each on a line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use webai2api::browser::UrlPattern;

fuzz_target!(|text: &str| {
    let mut lines = text.lines();
    let (Some(wide), Some(narrow)) = (lines.next().and_then(UrlPattern::parse), lines.next().and_then(UrlPattern::parse))
    else {
        return;
    };
    let Some(url) = lines.next() else { return };
    if wide.contains(&narrow) && narrow.matches(url) {
        assert!(wide.matches(url), "what a grant contains, it matches");
    }
});
