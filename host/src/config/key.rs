//! One key that can be set.

use super::shape::Shape;

/// A row of a section's table.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Where it stands in the file, such as `server.keepalive.mode`.
    pub path: &'static str,
    pub(super) shape: Shape,
    /// As one would write it in the environment.
    pub default: &'static str,
    /// For people.
    pub about: &'static str,
    /// A variable beside `WEBAI_...` that sets it.
    pub env: Option<&'static str>,
    /// Its value never appears in a message or a log.
    pub secret: bool,
    /// Whether it has a meaning here. If not, it is accepted for the sake of existing files, and named once.
    pub used: bool,
}

impl Key {
    pub(super) const fn new(path: &'static str, shape: Shape, default: &'static str, about: &'static str) -> Self {
        Self { path, shape, default, about, env: None, secret: false, used: true }
    }

    pub(super) const fn env(mut self, name: &'static str) -> Self {
        self.env = Some(name);
        self
    }

    pub(super) const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// A key of WebAI2API that means nothing here.
    pub(super) const fn unused(path: &'static str, about: &'static str) -> Self {
        Self { path, shape: Shape::Free, default: "", about, env: None, secret: false, used: false }
    }

    /// The variable that always sets it: `server.keepalive.mode` is `WEBAI_SERVER_KEEPALIVE_MODE`.
    pub fn variable(&self) -> String {
        let mut name = String::from("WEBAI_");
        for c in self.path.chars() {
            match c {
                '.' => name.push('_'),
                _ if c.is_ascii_uppercase() => {
                    name.push('_');
                    name.push(c);
                }
                _ => name.push(c.to_ascii_uppercase()),
            }
        }
        name
    }

    /// What may be written, in words.
    pub fn expects(&self) -> String {
        self.shape.expects()
    }
}
