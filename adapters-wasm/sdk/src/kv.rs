//! A small memory of this adapter's, apart for each account. It outlives restarts.

use crate::Fault;
use crate::bindings::webai::adapter::kv as wit;

/// None where nothing is kept.
pub fn get(key: &str) -> Option<Vec<u8>> {
    wit::get(key)
}

/// At most 64 KiB a value and 256 bytes a key; 1 MiB in all.
///
/// # Errors
/// `too-large` or `unavailable`.
pub fn set(key: &str, value: &[u8]) -> Result<(), Fault> {
    wit::set(key, value)
}

/// # Errors
/// `unavailable`.
pub fn delete(key: &str) -> Result<(), Fault> {
    wit::delete(key)
}

/// The keys that begin so, sorted.
pub fn keys(prefix: &str) -> Vec<String> {
    wit::keys(prefix)
}
