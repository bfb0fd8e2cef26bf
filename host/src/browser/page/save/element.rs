//! What an element shows. A blob, a data URL and a canvas come from the document itself, in pieces that fit into a command;
//! what has an address on the network is fetched from there.

use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chromiumoxide::cdp::browser_protocol::page::GetResourceContentParams;
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::super::query::Deadline;
use super::super::reach::Path;
use super::super::world::{Lenient, World};
use super::super::{COMMAND_DEADLINE, Shared};
use super::{SavedFile, failed, too_large};
use crate::browser::error::PageError;
use crate::browser::media;

/// Bytes in one command; a multiple of three, so that its base64 has no filling within.
const PIECE: usize = 1536 * 1024;

static TOKENS: AtomicU64 = AtomicU64::new(1);

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Shown {
    Here {
        size: usize,
        mime: String,
        /// It is a data URL.
        text: bool,
    },
    At {
        url: String,
    },
}

#[derive(Debug, Deserialize)]
struct Piece {
    piece: Option<String>,
}

/// The answer to `Page.getResourceContent`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    content: String,
    base64_encoded: bool,
}

impl Shared {
    pub(super) async fn save_element(
        &self,
        selector: &str,
        max: usize,
        until: Instant,
    ) -> Result<SavedFile, PageError> {
        let token = TOKENS.fetch_add(1, Ordering::Relaxed);
        let args = json!({"token": token, "max": max});
        let deadline = Deadline::after(Some(until.saturating_duration_since(Instant::now())));
        let (shown, reach) = self.ask_at("shown", &Path::parse(selector)?, &args, deadline).await?;
        match shown {
            Shown::At { url } if url.starts_with("blob:") => self.drawn_content(&reach.world, &url, max).await,
            Shown::At { url } => self.fetch_file(&url, max).await,
            Shown::Here { size, mime, text } => {
                let bytes = self.pieces(&reach.world, token, size).await?;
                if !text {
                    return Ok(SavedFile::new(&mime, bytes.into()));
                }
                let text = String::from_utf8(bytes).map_err(|_| failed("its data URL is not UTF-8"))?;
                let (declared, bytes) = media::written_out(&text, max)?;
                Ok(SavedFile::new(&declared, bytes))
            }
        }
    }

    async fn pieces(&self, world: &World, token: u64, size: usize) -> Result<Vec<u8>, PageError> {
        let mut bytes = Vec::with_capacity(size);
        while bytes.len() < size {
            let args = json!({"token": token, "from": bytes.len(), "to": bytes.len() + PIECE});
            let piece: Option<Piece> = self.follow_up(world, "shownPiece", &args, COMMAND_DEADLINE).await?;
            let piece = piece.and_then(|piece| piece.piece).ok_or_else(|| failed("its document was replaced"))?;
            let piece = STANDARD.decode(piece).map_err(|error| failed(error.to_string()))?;
            if piece.is_empty() || bytes.len() + piece.len() > size {
                return Err(failed("it changed while it was read"));
            }
            bytes.extend(piece);
        }
        Ok(bytes)
    }

    /// What the browser holds of a picture that is drawn in this document.
    async fn drawn_content(&self, world: &World, url: &str, max: usize) -> Result<SavedFile, PageError> {
        let ask = GetResourceContentParams::new(world.frame.clone(), url);
        let answer = self.session.child(&world.session).execute(Lenient(ask), COMMAND_DEADLINE).await;
        let answer = answer.map_err(|_| failed("the browser no longer has what it shows"))?;
        let content: Content = serde_json::from_value(answer).map_err(|error| failed(error.to_string()))?;
        let bytes = match content.base64_encoded {
            true => STANDARD.decode(content.content).map_err(|error| failed(error.to_string()))?,
            false => content.content.into_bytes(),
        };
        if bytes.len() > max {
            return Err(too_large(media::too_large(bytes.len(), max)));
        }
        Ok(SavedFile::new("", bytes.into()))
    }
}
