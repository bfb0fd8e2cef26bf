//! `adapters` and `demo`: where adapters come from, and how many pages each gets.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::key::Key;
use super::shape::Shape;
use super::values::Values;

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "adapters.dir",
        Shape::Text,
        "",
        "the folder that is watched for adapters of yours; empty: `adapters` in the data folder",
    ),
    Key::new(
        "adapters.enabled",
        Shape::Texts,
        "",
        "a list of the adapters that come with the program and are used, beside those that workers name; \
         `webai2api adapter enable` does the same while it runs",
    ),
    Key::new(
        "adapters.allowUnapproved",
        Shape::Bool,
        "false",
        "load adapters of that folder that nobody approved: for development only",
    ),
    Key::new(
        "adapters.pages",
        Shape::Integer { min: 1, max: 64 },
        "2",
        "how many pages an adapter has, and so how many requests at once",
    ),
    Key::new(
        "adapters.crashes",
        Shape::Integer { min: 0, max: 1000 },
        "5",
        "after how many crashes within ten minutes an adapter is out of use; 0: after none. One act that it was not granted \
         is enough in any case",
    ),
    Key::new("demo.enabled", Shape::Bool, "true", "whether the built-in demo site and its models are there"),
    Key::new(
        "demo.listen",
        Shape::Loopback,
        "127.0.0.1:0",
        "where the demo site listens, for those who read its /stats; port 0 takes a free one",
    ),
];

#[derive(Debug, Clone, PartialEq)]
pub struct Adapters {
    pub dir: Option<PathBuf>,
    /// Bundled ones to use, by id.
    pub enabled: Vec<String>,
    pub allow_unapproved: bool,
    pub pages: usize,
    /// None: no number of crashes puts an adapter out of use.
    pub crashes: Option<usize>,
    /// `demo.enabled`
    pub demo: bool,
    /// `demo.listen`
    pub demo_listen: SocketAddr,
}

impl Adapters {
    /// The operator's folder of adapters, given the folder of all data.
    pub fn folder(&self, data: &Path) -> PathBuf {
        self.dir.clone().unwrap_or_else(|| data.join("adapters"))
    }

    pub(super) fn read(values: &Values) -> Self {
        Self {
            dir: values.optional_text("adapters.dir").map(PathBuf::from),
            enabled: values.texts("adapters.enabled"),
            allow_unapproved: values.bool("adapters.allowUnapproved"),
            pages: values.usize("adapters.pages").max(1),
            crashes: Some(values.usize("adapters.crashes")).filter(|most| *most > 0),
            demo: values.bool("demo.enabled"),
            demo_listen: values.loopback("demo.listen"),
        }
    }
}
