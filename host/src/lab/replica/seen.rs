//! What the replica saw of a case: what reached it, and how its streams went.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use bytes::Bytes;

/// Requests of a case that are kept.
const REQUESTS_MAX: usize = 2_000;

/// A request that came.
#[derive(Debug, Clone)]
pub struct Request {
    pub at: Instant,
    pub method: String,
    pub url: String,
    pub body: Bytes,
    /// 0 where the connection was broken off, 101 for a WebSocket.
    pub status: u16,
    /// Whether some route answered it.
    pub served: bool,
    /// Whether it came for the origin that the adapter has no right to.
    pub foreign: bool,
}

/// A prompt that came.
#[derive(Debug, Clone)]
pub struct Prompt {
    pub at: Instant,
    pub url: String,
    pub text: String,
}

/// How an answer went.
#[derive(Debug, Clone)]
pub struct Stream {
    pub url: String,
    /// Whether it answers a prompt.
    pub of_prompt: bool,
    pub opened: Instant,
    pub last_sent: Option<Instant>,
    pub ended: Option<Instant>,
    /// Sent to its end by the replica, and not broken off by the page.
    pub complete: bool,
    pub bytes: usize,
}

/// All of it, since the case began.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    pub requests: Vec<Request>,
    pub prompts: Vec<Prompt>,
    pub streams: Vec<Stream>,
    pub(super) signals: BTreeSet<String>,
    /// How often a route with `times` was used.
    pub(super) spent: BTreeMap<usize, u32>,
}

impl Seen {
    pub(super) fn request(&mut self, request: Request) {
        if self.requests.len() < REQUESTS_MAX {
            self.requests.push(request);
        }
    }

    /// Addresses that no route answered.
    pub fn unserved(&self) -> BTreeSet<String> {
        let unserved = self.requests.iter().filter(|request| !request.served);
        unserved.map(|request| format!("{} {}", request.method, request.url)).collect()
    }

    /// Whether every answer to a prompt is over.
    pub fn is_quiet(&self) -> bool {
        self.streams.iter().filter(|stream| stream.of_prompt).all(|stream| stream.ended.is_some())
    }
}
