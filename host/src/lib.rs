//! webai2api: AI chat websites as standard APIs. See ARCHITECTURE.md for the map of this crate.

pub mod accounts;
pub mod app;
pub mod browser;
pub mod chat;
pub mod cli;
pub mod config;
pub mod dispatch;
pub mod doctor;
pub mod http;
pub mod instances;
pub mod kit;
pub mod lab;
pub mod login;
mod net;
pub mod plugin;
pub mod session;
pub mod store;
pub mod telemetry;
