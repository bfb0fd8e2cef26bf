//! `data:` addresses, whole and in pieces.
#![no_main]

mod cuts;

use libfuzzer_sys::fuzz_target;
use webai_adapter::data_uri::{self, Parser};

fuzz_target!(|input: &[u8]| {
    let Some((whole, pieces)) = cuts::pieces(input) else { return };
    let Ok(text) = std::str::from_utf8(whole) else { return };
    let at_once = data_uri::parse(text);
    if let Some(data) = &at_once {
        assert!(data.bytes.len() <= text.len());
    }
    let mut parser = Parser::new();
    let mut bytes = Vec::new();
    for piece in pieces {
        match parser.push(piece) {
            Ok(some) => bytes.extend(some),
            Err(_) => return assert!(at_once.is_none()),
        }
    }
    let in_pieces = parser.finish().ok().map(|rest| [bytes, rest].concat());
    assert_eq!(at_once.map(|data| data.bytes), in_pieces);
});
