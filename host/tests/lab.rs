//! Adapters of real chat applications, installed and started here: `scripts/setup` and `scripts/lab` say what they are.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests report by panicking, and latencies by printing"
)]

#[path = "lab/app.rs"]
mod app;
#[path = "lab/backend.rs"]
mod backend;
#[path = "lab/llama_cpp.rs"]
mod llama_cpp;
#[path = "lab/open_webui.rs"]
mod open_webui;
mod support;
