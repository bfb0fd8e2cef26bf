//! What outlives a run: the data folder and what lies in it.

mod admin_key;
mod folder;
mod kv;

pub use admin_key::{AdminKey, read_admin_key, rotate_admin_key};
pub(crate) use folder::write_private;
pub use folder::{DataFolder, StoreError};
pub use kv::{Kv, KvError, Memory};
