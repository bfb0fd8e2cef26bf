//! webai2api: AI chat websites as standard APIs. See ARCHITECTURE.md for the map of this crate.

pub mod browser;
pub mod chat;
pub mod dispatch;
pub mod lab;
