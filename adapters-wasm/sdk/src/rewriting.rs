//! Building a rewrite.

use crate::{Edit, Rewriting};

impl Rewriting {
    /// Of bodies to addresses that match this URL pattern, so far without an edit.
    pub fn of(url: impl Into<String>) -> Self {
        Self { url: url.into(), method: None, edits: Vec::new() }
    }

    /// Only of requests with this method.
    #[must_use]
    pub fn only(mut self, method: impl Into<String>) -> Self {
        self.method = Some(method.into());
        self
    }

    /// Sets a value, as JSON text, at a JSON Pointer whose parent is there; `-` appends to an array.
    #[must_use]
    pub fn set(mut self, pointer: impl Into<String>, json: impl Into<String>) -> Self {
        self.edits.push(Edit::Set((pointer.into(), json.into())));
        self
    }

    /// Leaves nothing at a JSON Pointer.
    #[must_use]
    pub fn remove(mut self, pointer: impl Into<String>) -> Self {
        self.edits.push(Edit::Remove(pointer.into()));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_made_in_their_order() {
        let rewriting = Rewriting::of("https://a.test/api").only("POST").set("/model", "\"x\"").remove("/y");
        assert_eq!((rewriting.url.as_str(), rewriting.method.as_deref()), ("https://a.test/api", Some("POST")));
        assert!(matches!(&rewriting.edits[..], [Edit::Set((at, value)), Edit::Remove(gone)]
            if at == "/model" && value == "\"x\"" && gone == "/y"));
    }
}
