//! Saying which models an account really has.

use crate::bindings::discovering::exports::webai::adapter::discovery as wit;
use crate::{Failure, Kind, Page};

pub use wit::Model;

/// What an adapter of a site implements whose page shows which models the account has. Registered by
/// `register!(Example, discovery)`; without it the manifest's models stand.
pub trait Discovery {
    /// Looks at the page and says which models it offers. Sends nothing.
    fn models(page: &Page) -> Result<Vec<Model>, Failure>;
}

impl Model {
    /// A text model: as clients name it after the adapter's id and a slash, and as the site shows it.
    pub fn new(id: impl Into<String>, label: impl Into<String>) -> Self {
        Self { id: id.into(), label: label.into(), facts: Vec::new() }
    }

    /// What it makes, if not text.
    #[must_use]
    pub fn making(self, kind: Kind) -> Self {
        let kind = match kind {
            Kind::Text => "text",
            Kind::Image => "image",
            Kind::Video => "video",
            Kind::Audio => "audio",
        };
        self.with_fact("kind", kind)
    }

    /// A further fact, by name.
    #[must_use]
    pub fn with_fact(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.facts.push((name.into(), value.into()));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_described() {
        let model = Model::new("paint", "Paint 2").making(Kind::Image).with_fact("new", "yes");
        assert_eq!((model.id.as_str(), model.label.as_str()), ("paint", "Paint 2"));
        assert_eq!(model.facts, [("kind".into(), "image".into()), ("new".into(), "yes".into())]);
    }
}
