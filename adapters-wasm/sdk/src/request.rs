//! What the client asked for.

use crate::bindings::webai::adapter::request as wit;
use crate::{Attachment, Kind};

/// One request.
#[derive(Debug)]
pub struct Request(wit::Request);

impl Request {
    #[doc(hidden)]
    pub fn new(handle: wit::Request) -> Self {
        Self(handle)
    }

    pub fn kind(&self) -> Kind {
        self.0.kind()
    }

    /// The model's id as the manifest has it.
    pub fn model(&self) -> String {
        self.0.model()
    }

    /// The whole conversation, rendered to one text.
    pub fn prompt(&self) -> String {
        self.0.prompt()
    }

    /// Only what is new, if the chat of [`conversation`](Self::conversation) is to go on.
    pub fn new_turn(&self) -> Option<String> {
        self.0.new_turn()
    }

    pub fn conversation(&self) -> Option<String> {
        self.0.conversation()
    }

    pub fn attachments(&self) -> Vec<Attachment> {
        self.0.attachments()
    }

    /// The indices of all attachments, as [`Page::attach`](crate::Page::attach) takes them.
    pub fn attachment_indices(&self) -> Vec<u32> {
        (0..).zip(self.attachments()).map(|(index, _)| index).collect()
    }

    /// Some bytes of an attachment.
    pub fn attachment_bytes(&self, index: u32, offset: u64, length: u32) -> Vec<u8> {
        self.0.attachment_bytes(index, offset, length)
    }

    pub fn temporary(&self) -> bool {
        self.0.temporary()
    }

    /// A setting of this request, such as `reasoning-effort`.
    pub fn setting(&self, name: &str) -> Option<String> {
        self.0.setting(name)
    }
}
