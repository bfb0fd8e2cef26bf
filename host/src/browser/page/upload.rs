//! Files for `<input type=file>`. They go through memory: of a file on disk Chromium reads only when the site does, which may
//! be long after it was removed.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::query::Deadline;
use super::reach::{Path, new_token};
use super::world::World;
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
        let path = Path::parse(selector)?;
        self.shared.spend_act()?;
        let deadline = Deadline::after(timeout);
        loop {
            let token = new_token();
            let reach = self.shared.reach(&path, deadline).await?;
            if let Some(reach) = reach
                && self.shared.stage(&reach.world, token, &files).await?
            {
                let args = json!({"token": token, "count": files.len()});
                let attached = self.shared.ask_in(&reach, "attach", &path, &args, deadline).await?;
                if let Some(Attached { gone: false }) = attached {
                    return Ok(());
                }
            }
            if deadline.is_over() {
                return Err(PageError::Timeout(format!("{selector}: the document keeps changing")));
            }
        }
    }
}

impl Shared {
    /// Hands the files' bytes to the helper of one document. False when that is gone.
    pub(super) async fn stage(&self, world: &World, token: u64, files: &[UploadFile]) -> Result<bool, PageError> {
        for (n, file) in files.iter().enumerate() {
            let mut pieces = file.bytes.chunks(PIECE);
            // An empty file is a file, too.
            let mut piece = Some(pieces.next().unwrap_or_default());
            while let Some(bytes) = piece {
                let args = json!({"token": token, "file": n, "name": file.name, "mime": file.mime,
                    "piece": STANDARD.encode(bytes)});
                let staged: Option<Value> = self.follow_up(world, "stage", &args, COMMAND_DEADLINE).await?;
                if staged.is_none() {
                    return Ok(false);
                }
                piece = pieces.next();
            }
        }
        Ok(true)
    }
}
