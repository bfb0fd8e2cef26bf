//! What the program does, seen from outside: the real binary, a real Chromium, real clients. One program for all of it, because each
//! would link the whole host anew.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests report by panicking, and some print figures"
)]

mod accounts;
mod adapter_kit;
mod adapter_watch;
mod adapters;
mod bad_input;
mod browser_fence;
mod browser_instance;
mod browser_page;
mod browser_support;
mod capture;
mod chaos;
mod chat_cancel;
mod chat_echo;
mod chat_errors;
mod chat_streaming;
mod choose_and_copy;
mod clients;
mod contract;
mod data_guest;
mod doctor;
mod dom;
mod frames;
mod healing;
mod history;
mod lab;
mod limits;
mod memory_guard;
mod metrics;
mod pictures;
mod pool;
mod prompt_limit;
mod queue;
mod reload;
mod rewrite;
mod routes;
mod sandbox_guest;
mod save;
mod session;
mod soak;
mod start_and_stop;
mod support;
mod swap;
mod tracing_ids;
mod watch;
