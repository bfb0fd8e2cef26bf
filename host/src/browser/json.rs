//! JSON bodies: pointing into them, and changing one place without touching another.
//!
//! A body is edited as text. A value that is read into memory and written again has its fields in another order, and long
//! numbers rounded; a site may look at either.

mod edit;
mod pointer;

pub use edit::Edit;
pub use pointer::Pointer;

use serde_json::Value;

impl Pointer {
    /// The value at this place; none where there is none.
    pub(super) fn find<'a>(&self, root: &'a Value) -> Option<&'a Value> {
        self.tokens().iter().try_fold(root, |value, token| match value {
            Value::Object(fields) => fields.get(token),
            Value::Array(items) => items.get(pointer::index(token)?),
            _ => None,
        })
    }
}
