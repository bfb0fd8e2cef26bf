//! The adapter's own log.

use crate::bindings::webai::adapter::log;

/// How much a line matters.
pub use log::Level;

/// Writes a line. The macros are shorter.
pub fn write(level: Level, message: &str) {
    log::write(level, message);
}

/// Writes a line that tells of an error into the adapter's log.
#[macro_export]
macro_rules! error { ($($arg:tt)*) => { $crate::write_log($crate::Level::Error, &::std::format!($($arg)*)) } }
/// Writes a line that warns into the adapter's log.
#[macro_export]
macro_rules! warn { ($($arg:tt)*) => { $crate::write_log($crate::Level::Warn, &::std::format!($($arg)*)) } }
/// Writes a line into the adapter's log.
#[macro_export]
macro_rules! info { ($($arg:tt)*) => { $crate::write_log($crate::Level::Info, &::std::format!($($arg)*)) } }
/// Writes a line for whoever looks for a fault into the adapter's log.
#[macro_export]
macro_rules! debug { ($($arg:tt)*) => { $crate::write_log($crate::Level::Debug, &::std::format!($($arg)*)) } }
