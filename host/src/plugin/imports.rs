//! The host functions of contract 0.1, a file for each interface of `wit/`; the small ones share one.

mod address;
mod files;
mod host;
mod kv;
mod page;
mod reply;
mod request;
