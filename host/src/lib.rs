//! webai2api: AI chat websites as standard APIs. See ARCHITECTURE.md for the map of this crate.

pub mod app;
pub mod browser;
pub mod chat;
pub mod cli;
pub mod config;
pub mod dispatch;
pub mod doctor;
pub mod http;
pub mod kit;
pub mod lab;
mod net;
pub mod plugin;
pub mod store;
pub mod telemetry;
