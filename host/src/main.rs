//! The program `webai2api`; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    webai2api::cli::run()
}
