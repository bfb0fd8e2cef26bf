//! What is kept of a request, and how it is given back.

use serde::{Deserialize, Serialize};

/// One request, as dispatch tells it when the job is over.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RequestRecord {
    /// `x-request-id`. A second record with the same id is passed over.
    pub id: String,
    /// When it came, in milliseconds since 1970.
    pub created: i64,
    /// The name of the API key; never the key.
    pub key: String,
    /// The API's dialect, such as `openai`.
    pub dialect: String,
    /// As the client asked for it.
    pub model: String,
    pub adapter: Option<String>,
    pub adapter_version: Option<String>,
    pub instance: Option<String>,
    pub stream: bool,
    /// `ok`, or the error's code.
    pub outcome: String,
    /// Of HTTP; 0 if none was sent.
    pub status: u16,
    /// `stop`, `length`, `content_filter` or the site's own word.
    pub finish: Option<String>,
    pub sizes: Sizes,
    pub stages: Stages,
    pub tokens: Tokens,
    /// In their order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tries: Vec<TryRecord>,
    /// Kept only where the history is `full`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// As `prompt`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
}

/// In characters, and in numbers of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Sizes {
    pub prompt_chars: u64,
    pub answer_chars: u64,
    /// Files that the request brought.
    pub attachments: u64,
    /// Pictures and files of the answer.
    pub media: u64,
}

/// Milliseconds from the request's coming to the end of each stage; `queue` is the wait alone. None: it was not reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Stages {
    pub queue_ms: Option<u64>,
    pub submit_ms: Option<u64>,
    pub first_ms: Option<u64>,
    pub total_ms: u64,
}

/// Estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Tokens {
    pub input: u64,
    /// Reasoning included.
    pub output: u64,
}

/// One try of a request, on one page.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TryRecord {
    pub adapter: String,
    pub adapter_version: String,
    pub instance: String,
    pub worker: String,
    /// The last stage that it reached: `queue`, `page`, `submit`, `first`, `done`.
    pub stage: String,
    /// `ok`, or the error's code.
    pub outcome: String,
    /// From the lease to the end, in milliseconds.
    pub ms: u64,
}

/// A request out of the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoredRequest {
    /// Rises with each request, whatever the clock does.
    pub number: i64,
    pub attempts: u64,
    #[serde(flatten)]
    pub record: RequestRecord,
}

/// Which requests are asked for; the newest come first.
#[derive(Debug, Clone, Default)]
pub struct RequestQuery {
    pub limit: usize,
    /// Only those with a smaller number.
    pub before: Option<i64>,
    pub model: Option<String>,
    pub outcome: Option<String>,
    pub instance: Option<String>,
}

impl RequestRecord {
    /// About how many bytes it takes while it waits to be written.
    pub(super) fn weight(&self) -> usize {
        const FIXED: usize = 1024;
        let texts = [&self.prompt, &self.answer].into_iter().flatten().map(String::len).sum::<usize>();
        FIXED + texts + self.model.len() + self.tries.len() * 256
    }
}
