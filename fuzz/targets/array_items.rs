//! The items of one endless JSON array.
#![no_main]

mod cuts;

use libfuzzer_sys::fuzz_target;
use webai_adapter::array_items::Parser;

fuzz_target!(|input: &[u8]| {
    let Some((whole, pieces)) = cuts::pieces(input) else { return };
    let at_once = Parser::new().push(whole);
    let mut parser = Parser::new();
    let mut found = Vec::new();
    for piece in pieces {
        match parser.push(piece) {
            Ok(some) => found.extend(some),
            Err(_) => return assert!(at_once.is_err()),
        }
    }
    assert_eq!(at_once.ok(), Some(found));
});
