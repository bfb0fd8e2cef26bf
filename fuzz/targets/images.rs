//! Pictures of strangers in an answer. However it is cut up, the same comes out, and once is as good as twice.
#![no_main]

use libfuzzer_sys::fuzz_target;
use webai2api::chat::images::{Allowed, ImageFilter};

fn filtered<'a>(pieces: impl Iterator<Item = &'a str>) -> String {
    let mut filter = ImageFilter::new(Allowed::new(["https://good.example", "https://*.cdn.example/**"]));
    let mut out: String = pieces.map(|piece| filter.push(piece)).collect();
    out.push_str(&filter.finish());
    out
}

fuzz_target!(|text: &str| {
    let whole = filtered(std::iter::once(text));
    let cut = filtered(text.char_indices().map(|(at, c)| &text[at..at + c.len_utf8()]));
    assert_eq!(whole, cut);
    assert_eq!(filtered(std::iter::once(whole.as_str())), whole);
});
