//! `request`: what the client asked for.

use wasmtime::component::Resource;

use crate::chat;
use crate::plugin::AdapterRequest;
use crate::plugin::bindings::webai::adapter::request::{Attachment, Host, HostRequest, Kind};
use crate::plugin::handles::{HostState, RequestHandle};

impl Host for HostState {}

impl HostState {
    fn asked(&self) -> wasmtime::Result<&AdapterRequest> {
        self.job.as_ref().map(|job| &*job.request).ok_or_else(|| wasmtime::Error::msg("no request in this call"))
    }
}

impl HostRequest for HostState {
    async fn kind(&mut self, _: Resource<RequestHandle>) -> wasmtime::Result<Kind> {
        Ok(match self.asked()?.kind {
            chat::Kind::Text => Kind::Text,
            chat::Kind::Image => Kind::Image,
            chat::Kind::Video => Kind::Video,
            chat::Kind::Audio => Kind::Audio,
        })
    }

    async fn model(&mut self, _: Resource<RequestHandle>) -> wasmtime::Result<String> {
        Ok(self.asked()?.model.clone())
    }

    async fn prompt(&mut self, _: Resource<RequestHandle>) -> wasmtime::Result<String> {
        Ok(self.asked()?.prompt.clone())
    }

    async fn new_turn(&mut self, _: Resource<RequestHandle>) -> wasmtime::Result<Option<String>> {
        Ok(self.asked()?.continues.as_ref().map(|continues| continues.new_turn.clone()))
    }

    async fn conversation(&mut self, _: Resource<RequestHandle>) -> wasmtime::Result<Option<String>> {
        Ok(self.asked()?.continues.as_ref().map(|continues| continues.conversation.clone()))
    }

    async fn attachments(&mut self, _: Resource<RequestHandle>) -> wasmtime::Result<Vec<Attachment>> {
        let describe = |a: &std::sync::Arc<chat::Attachment>| Attachment {
            name: a.name.clone(),
            mime_type: a.mime_type.clone(),
            size: a.bytes.len() as u64,
        };
        Ok(self.asked()?.attachments.iter().map(describe).collect())
    }

    async fn attachment_bytes(
        &mut self,
        _: Resource<RequestHandle>,
        index: u32,
        offset: u64,
        length: u32,
    ) -> wasmtime::Result<Vec<u8>> {
        let Some(attachment) = self.asked()?.attachments.get(index as usize) else { return Ok(Vec::new()) };
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(attachment.bytes.len());
        let end = start.saturating_add(length as usize).min(attachment.bytes.len());
        Ok(attachment.bytes.slice(start..end).to_vec())
    }

    async fn temporary(&mut self, _: Resource<RequestHandle>) -> wasmtime::Result<bool> {
        Ok(self.asked()?.temporary)
    }

    async fn setting(&mut self, _: Resource<RequestHandle>, name: String) -> wasmtime::Result<Option<String>> {
        Ok(self.asked()?.options.get(&name).cloned())
    }

    async fn drop(&mut self, handle: Resource<RequestHandle>) -> wasmtime::Result<()> {
        self.table.delete(handle)?;
        Ok(())
    }
}
