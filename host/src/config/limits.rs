//! `limits`: what the HTTP edge takes from a client, and how much memory there is for all.

use std::time::Duration;

use super::key::Key;
use super::shape::Shape;
use super::values::Values;

pub(super) const KEYS: &[Key] = &[
    Key::new("limits.body", Shape::Bytes, "32MB", "the largest request body"),
    Key::new("limits.bodyTimeout", Shape::Duration, "60s", "for a request body to arrive"),
    Key::new("limits.headers", Shape::Integer { min: 8, max: 1000 }, "100", "the most header fields of a request"),
    Key::new("limits.headerBytes", Shape::Bytes, "64KB", "the largest request head"),
    Key::new(
        "limits.headerTimeout",
        Shape::Duration,
        "15s",
        "for a request head to arrive; also how long an idle connection is kept",
    ),
    Key::new("limits.connections", Shape::Integer { min: 1, max: 100_000 }, "1024", "the most connections at once"),
    Key::new("limits.imageBytes", Shape::Bytes, "20MB", "the largest picture or file of a request, after decoding"),
    Key::new(
        "limits.imagePixels",
        Shape::Integer { min: 1, max: 1_000_000_000 },
        "64000000",
        "the most pixels of a picture",
    ),
    Key::new("limits.mediaBytes", Shape::Bytes, "64MB", "the most bytes of all pictures and files of one answer"),
    Key::new("limits.fetchTimeout", Shape::Duration, "20s", "for a picture that is given by its address"),
    Key::new(
        "limits.memory",
        Shape::Bytes,
        "0",
        "what this program and its browsers may use; from 85% on idle pages are closed and browsers recycled, from 95% on new \
         work is refused; 0: the container's limit and all that runs in it, or else the machine's",
    ),
];

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// In bytes.
    pub body: usize,
    pub body_timeout: Duration,
    pub headers: usize,
    /// In bytes.
    pub header_bytes: usize,
    pub header_timeout: Duration,
    pub connections: usize,
    /// In bytes.
    pub image_bytes: usize,
    pub image_pixels: u64,
    /// In bytes.
    pub media_bytes: usize,
    pub fetch_timeout: Duration,
    /// In bytes; none: the system's limit.
    pub memory: Option<u64>,
}

impl Limits {
    pub(super) fn read(values: &Values) -> Self {
        Self {
            body: values.usize("limits.body"),
            body_timeout: values.duration("limits.bodyTimeout"),
            headers: values.usize("limits.headers"),
            // The HTTP library does not work with a buffer below 8 KiB.
            header_bytes: values.usize("limits.headerBytes").max(8192),
            header_timeout: values.duration("limits.headerTimeout"),
            connections: values.usize("limits.connections"),
            image_bytes: values.usize("limits.imageBytes"),
            image_pixels: values.u64("limits.imagePixels"),
            media_bytes: values.usize("limits.mediaBytes"),
            fetch_timeout: values.duration("limits.fetchTimeout"),
            memory: Some(values.u64("limits.memory")).filter(|bytes| *bytes > 0),
        }
    }
}
