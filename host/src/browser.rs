//! Chromium: launching and supervising it, its pages, what is done in them and what they receive.
//!
//! **Invariant:** nothing here knows wasmtime, HTTP dialects or any site.

mod error;
mod event;

pub use error::PageError;
pub use event::{Condition, DialogInfo, Ending, EventBody, Filter, PageEvent, ResponseHead};
