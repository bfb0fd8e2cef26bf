//! Compiling an adapter's file, in the child process that the server uses (`WEBAI_PROGRAM`): it may refuse the file, and be ended
//! by its own limits, but not die of the file.
#![no_main]

use std::io::Write as _;
use std::process::{Command, Stdio};

use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    let program = std::env::var_os("WEBAI_PROGRAM").expect("WEBAI_PROGRAM is the program that compiles");
    let cache = std::env::temp_dir().join("webai-fuzz-cache");
    std::fs::create_dir_all(&cache).expect("a cache folder");
    let mut compile = Command::new(program);
    compile.arg("compile").arg("--cache").arg(cache).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = compile.spawn().expect("the compiler starts");
    // A compiler that has ended reads no more.
    let _ = child.stdin.take().map(|mut stdin| stdin.write_all(file));
    let output = child.wait_with_output().expect("the compiler ends");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code().is_some(), "{}: {words}", output.status);
    assert!(!words.contains("panicked"), "{words}");
});
