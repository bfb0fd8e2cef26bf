//! Files for `<input type=file>`. They go through memory: of a file on disk Chromium reads only when the site does, which may
//! be long after it was removed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::query::Deadline;
use super::{COMMAND_DEADLINE, Page, Shared};
use crate::browser::error::PageError;

/// A piece of a file in one command, in bytes; a multiple of three, so that its base64 has no filling within.
const PIECE: usize = 768 * 1024;

/// A file as the site sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadFile {
    pub name: String,
    pub mime: String,
    pub bytes: Bytes,
}

#[derive(Debug, Deserialize)]
struct Attached {
    /// The document that had the pieces was replaced.
    gone: bool,
}

static TOKENS: AtomicU64 = AtomicU64::new(1);

impl Page {
    /// Gives files to an `<input type=file>`, which need not be visible. They replace what it had.
    ///
    /// # Errors
    /// `Other { code: "not-a-file-input" }`, `Other { code: "too-many-files" }`; [`PageError::NotFound`] and
    /// [`PageError::Timeout`] as for all acts.
    pub async fn attach(
        &self,
        selector: &str,
        files: Vec<UploadFile>,
        timeout: Option<Duration>,
    ) -> Result<(), PageError> {
        self.shared.spend_act()?;
        let deadline = Deadline::after(timeout);
        loop {
            let token = TOKENS.fetch_add(1, Ordering::Relaxed);
            self.shared.stage(token, &files).await?;
            let args = json!({"token": token, "count": files.len()});
            let attached: Attached = self.shared.ask("attach", selector, args, deadline).await?;
            if !attached.gone {
                return Ok(());
            }
            if deadline.is_over() {
                return Err(PageError::Timeout(format!("{selector}: the document keeps changing")));
            }
        }
    }
}

impl Shared {
    async fn stage(&self, token: u64, files: &[UploadFile]) -> Result<(), PageError> {
        for (n, file) in files.iter().enumerate() {
            let mut pieces = file.bytes.chunks(PIECE);
            // An empty file is a file, too.
            let mut piece = Some(pieces.next().unwrap_or_default());
            while let Some(bytes) = piece {
                let args = json!({"token": token, "file": n, "name": file.name, "mime": file.mime,
                    "piece": STANDARD.encode(bytes)});
                let _: Value = self.follow_up("stage", args, COMMAND_DEADLINE).await?;
                piece = pieces.next();
            }
        }
        Ok(())
    }
}
