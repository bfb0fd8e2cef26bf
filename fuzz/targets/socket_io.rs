//! Messages of socket.io, one by one and as polling joins them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use webai_adapter::socket_io;

fuzz_target!(|text: &str| {
    let _ = socket_io::parse(text);
    let _ = socket_io::polled(text).count();
});
