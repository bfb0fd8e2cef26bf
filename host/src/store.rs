//! What outlives a run: the data folder and what lies in it.

mod admin_key;
mod database;
mod folder;
mod kv;
mod media;

pub use admin_key::{AdminKey, read_admin_key, rotate_admin_key};
pub use database::{
    Bucket, Conversation, ConversationKey, Database, DatabaseCounts, DatabaseError, DatabaseState, Latency,
    RequestQuery, RequestRecord, Sizes, Stages, StatisticsRow, StoredRequest, Tokens, TryRecord,
};
pub(crate) use folder::write_private;
pub use folder::{DataFolder, StoreError};
pub use kv::{Kv, KvError, Memory};
pub use media::{Media, MediaFile};
