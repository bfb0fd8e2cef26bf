//! `reply`: the way back to the client.

use std::time::Duration;

use bytes::BytesMut;
use wasmtime::component::Resource;

use crate::chat::{Delta, JobEvent, media_type};
use crate::plugin::allowance::MAX_REPLY;
use crate::plugin::bindings::webai::adapter::reply::{Appetite, Host, HostReply, Piece};
use crate::plugin::border;
use crate::plugin::handles::{HostState, OpenMedia, ReplyHandle};

/// How long a piece may wait for a client that does not read.
const CLIENT_STALL: Duration = Duration::from_secs(120);
/// Files that may be open at once.
const MAX_OPEN_MEDIA: usize = 8;

impl Host for HostState {}

impl HostState {
    /// Sends a piece on, waiting for a slow client.
    async fn deliver(&mut self, delta: Delta) -> Appetite {
        self.transcript.take(&delta);
        let Some(job) = &self.job else { return Appetite::Stop };
        let progress = &self.progress;
        if progress.cancel.is_cancelled() {
            return Appetite::Stop;
        }
        let full = job.events.capacity() == 0;
        if full {
            progress.clock.pause();
        }
        tokio::select! {
            sent = job.events.send(JobEvent::Delta(delta)) => {
                progress.piece();
                if sent.is_ok() { Appetite::More } else { Appetite::Stop }
            }
            () = progress.cancel.cancelled() => Appetite::Stop,
            () = tokio::time::sleep(CLIENT_STALL) => {
                progress.set_client_too_slow();
                Appetite::Stop
            }
        }
    }
}

impl HostReply for HostState {
    async fn submitting(&mut self, _: Resource<ReplyHandle>) -> wasmtime::Result<()> {
        self.submit().await;
        Ok(())
    }

    async fn accepted(&mut self, _: Resource<ReplyHandle>) -> wasmtime::Result<()> {
        self.submit().await;
        Ok(())
    }

    async fn push(&mut self, _: Resource<ReplyHandle>, piece: Piece) -> wasmtime::Result<Appetite> {
        // An answer means that the prompt has been sent, whether the adapter said so or not.
        self.submit().await;
        let size = match &piece {
            Piece::Text(text) | Piece::Reasoning(text) | Piece::Progress(text) => text.len(),
            Piece::Citation(c) => c.url.len() + c.title.len(),
            Piece::Other(_) => 0,
        };
        if !self.allowance.reply(size) {
            return Err(wasmtime::Error::msg(format!("more than {MAX_REPLY} bytes in one answer")));
        }
        let delta = match piece {
            Piece::Text(text) => Delta::Text(text),
            Piece::Reasoning(text) => Delta::Reasoning(text),
            Piece::Citation(c) => match border::citation(c.url, c.title) {
                Some(citation) => Delta::Citation(citation),
                None => return Ok(Appetite::More),
            },
            Piece::Progress(text) => Delta::Progress(text),
            Piece::Other(_) => return Ok(Appetite::More),
        };
        Ok(self.deliver(delta).await)
    }

    async fn restart(&mut self, _: Resource<ReplyHandle>) -> wasmtime::Result<()> {
        self.deliver(Delta::Restart).await;
        Ok(())
    }

    async fn media(&mut self, _: Resource<ReplyHandle>, saved: u32) -> wasmtime::Result<bool> {
        let Some(file) = self.kept(saved) else { return Ok(false) };
        self.submit().await;
        self.allowance.file(file.bytes.len(), self.means.media_max).map_err(wasmtime::Error::msg)?;
        self.deliver(Delta::Media { mime_type: file.mime, bytes: file.bytes }).await;
        Ok(true)
    }

    async fn media_start(&mut self, reply: Resource<ReplyHandle>, mime_type: String) -> wasmtime::Result<u32> {
        let Some(mime_type) = media_type(&mime_type) else {
            let said = border::name(mime_type);
            return Err(wasmtime::Error::msg(format!("media-start: a type is such as image/png, and not {said:?}")));
        };
        self.allowance.file(0, self.means.media_max).map_err(wasmtime::Error::msg)?;
        let reply = self.table.get_mut(&reply)?;
        if reply.media.len() >= MAX_OPEN_MEDIA {
            return Err(wasmtime::Error::msg("more than 8 files open at once in one answer"));
        }
        let id = reply.media.iter().map(|m| m.id).max().unwrap_or(0) + 1;
        reply.media.push(OpenMedia { id, mime_type, bytes: BytesMut::new() });
        Ok(id)
    }

    async fn media_write(
        &mut self,
        reply: Resource<ReplyHandle>,
        id: u32,
        bytes: Vec<u8>,
    ) -> wasmtime::Result<Appetite> {
        self.allowance.file_bytes(bytes.len(), self.means.media_max).map_err(wasmtime::Error::msg)?;
        let reply = self.table.get_mut(&reply)?;
        let Some(open) = reply.media.iter_mut().find(|m| m.id == id) else {
            return Err(wasmtime::Error::msg(format!("media-write: no file {id} is open")));
        };
        open.bytes.extend_from_slice(&bytes);
        self.progress.clock.data();
        Ok(if self.progress.cancel.is_cancelled() { Appetite::Stop } else { Appetite::More })
    }

    async fn media_end(&mut self, reply: Resource<ReplyHandle>, id: u32) -> wasmtime::Result<Appetite> {
        let reply = self.table.get_mut(&reply)?;
        let Some(at) = reply.media.iter().position(|m| m.id == id) else {
            return Err(wasmtime::Error::msg(format!("media-end: no file {id} is open")));
        };
        let done = reply.media.swap_remove(at);
        self.submit().await;
        Ok(self.deliver(Delta::Media { mime_type: done.mime_type, bytes: done.bytes.freeze() }).await)
    }

    async fn drop(&mut self, handle: Resource<ReplyHandle>) -> wasmtime::Result<()> {
        self.table.delete(handle)?;
        Ok(())
    }
}
