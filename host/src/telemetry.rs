//! What the program tells about itself. Nothing here ever sees a prompt, an answer or a key.

pub mod log;
pub mod memory;
pub mod metrics;
mod request;

pub use request::{Entry, RequestLog};
