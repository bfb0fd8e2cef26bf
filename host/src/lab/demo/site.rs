//! What the site remembers: its state, who is signed in, conversations and files. All of it is bounded.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use super::stats::Stats;

const CONVERSATIONS_MAX: usize = 300;
const CONVERSATION_BYTES_MAX: usize = 16 << 20;
const FILES_BYTES_MAX: usize = 64 << 20;
pub(super) const SESSIONS_MAX: usize = 1_000;
const GATES_MAX: usize = 1_000;

/// A state that tests put the site into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Mood {
    #[default]
    Ok,
    /// Nobody is signed in, and anonymous use is off.
    SignedOut,
    /// Every page is an interstitial until its box is ticked.
    Challenge,
    /// Test ids, labels and the wire format are others.
    SiteChanged,
    /// The account's limit is reached.
    Limit,
    /// No document comes, for as long as this lasts.
    Silent,
}

/// A model as the page's menu shows it.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Model {
    pub(super) id: &'static str,
    pub(super) label: &'static str,
    pub(super) about: &'static str,
}

/// The model whose answers are nowhere but in the page: sealed on their way, and shown in a list that keeps only what is in view.
pub(super) const LIST: &str = "list";

pub(super) const MODELS: [Model; 5] = [
    Model { id: "echo", label: "Echo", about: "Says what it was sent" },
    Model { id: "reasoner", label: "Reasoner", about: "Thinks, then counts words" },
    Model { id: "image", label: "Image", about: "Draws a small landscape" },
    Model { id: "script", label: "Script", about: "Does what the first line says" },
    Model { id: LIST, label: "List", about: "Keeps only what is in view" },
];

/// One message of a conversation.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) role: &'static str,
    pub(super) model: String,
    pub(super) status: &'static str,
    pub(super) text: String,
    pub(super) reasoning: String,
    pub(super) pictures: Vec<String>,
    pub(super) attachments: Vec<Value>,
}

impl Message {
    fn size(&self) -> usize {
        self.text.len() + self.reasoning.len() + self.pictures.iter().map(String::len).sum::<usize>() + 256
    }
}

#[derive(Debug)]
struct Conversation {
    id: String,
    owner: String,
    title: String,
    messages: Vec<Message>,
}

impl Conversation {
    fn size(&self) -> usize {
        self.messages.iter().map(Message::size).sum()
    }
}

/// An uploaded file.
#[derive(Debug, Clone)]
pub(super) struct File {
    pub(super) id: String,
    pub(super) mime_type: String,
    pub(super) bytes: Bytes,
    /// As JSON for the page and the statistics.
    pub(super) about: Value,
    /// As a line of the echo model's answer.
    pub(super) line: String,
}

#[derive(Debug)]
pub(super) struct Memory {
    pub(super) mood: Mood,
    /// Tokens and addresses of those who signed in.
    pub(super) sessions: VecDeque<(String, String)>,
    /// Ids of the models in the menu.
    pub(super) models: Vec<&'static str>,
    /// Seconds, as the limit's banner says them.
    pub(super) retry_after: u64,
    conversations: VecDeque<Conversation>,
    files: VecDeque<File>,
    gates: VecDeque<(String, Arc<Semaphore>)>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            mood: Mood::Ok,
            sessions: VecDeque::new(),
            models: MODELS.iter().map(|model| model.id).collect(),
            retry_after: 30,
            conversations: VecDeque::new(),
            files: VecDeque::new(),
            gates: VecDeque::new(),
        }
    }
}

/// One demo site.
#[derive(Debug, Default)]
pub(super) struct Site {
    pub(super) stats: Stats,
    /// Until when nothing reaches the site.
    pub(super) outage: watch::Sender<Option<Instant>>,
    memory: Mutex<Memory>,
}

impl Site {
    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    pub(super) fn models(&self) -> Vec<Model> {
        MODELS.into_iter().filter(|model| self.models.contains(&model.id)).collect()
    }

    /// Where the events of the answer with this mark wait until they are let go; those let go before count too.
    pub(super) fn gate(&mut self, mark: &str) -> Arc<Semaphore> {
        if let Some((_, gate)) = self.gates.iter().find(|(name, _)| name == mark) {
            return Arc::clone(gate);
        }
        if self.gates.len() >= GATES_MAX {
            self.gates.pop_front();
        }
        let gate = Arc::new(Semaphore::new(0));
        self.gates.push_back((mark.to_owned(), Arc::clone(&gate)));
        gate
    }

    /// Adds to a conversation, or begins one. Returns its title.
    pub(super) fn remember(&mut self, id: &str, owner: &str, message: Message) -> String {
        if !self.conversations.iter().any(|conversation| conversation.id == id) {
            let title = title_of(&message.text);
            let (id, owner) = (id.to_owned(), owner.to_owned());
            self.conversations.push_back(Conversation { id, owner, title, messages: Vec::new() });
        }
        let mut title = String::new();
        if let Some(conversation) = self.conversations.iter_mut().find(|conversation| conversation.id == id) {
            conversation.messages.push(message);
            title.clone_from(&conversation.title);
        }
        let mut size: usize = self.conversations.iter().map(Conversation::size).sum();
        while self.conversations.len() > CONVERSATIONS_MAX || size > CONVERSATION_BYTES_MAX {
            size -= self.conversations.pop_front().map_or(size, |conversation| conversation.size());
        }
        title
    }

    /// Whether the conversation is there and this person's.
    pub(super) fn owns(&self, id: &str, owner: &str) -> bool {
        self.conversations.iter().any(|conversation| conversation.id == id && conversation.owner == owner)
    }

    /// Titles of a person's conversations, the newest first.
    pub(super) fn titles(&self, owner: &str) -> Vec<Value> {
        let own = self.conversations.iter().rev().filter(|conversation| conversation.owner == owner);
        own.take(100).map(|own| json!({ "id": own.id, "title": own.title })).collect()
    }

    pub(super) fn conversation(&self, id: &str, owner: &str) -> Option<Value> {
        let mut own = self.conversations.iter().filter(|conversation| conversation.owner == owner);
        own.find(|conversation| conversation.id == id)
            .map(|own| json!({ "id": own.id, "title": own.title, "messages": own.messages }))
    }

    pub(super) fn store(&mut self, file: File) {
        self.files.push_back(file);
        let mut size: usize = self.files.iter().map(|file| file.bytes.len()).sum();
        while size > FILES_BYTES_MAX {
            size -= self.files.pop_front().map_or(size, |file| file.bytes.len());
        }
    }

    pub(super) fn file(&self, id: &str) -> Option<File> {
        self.files.iter().find(|file| file.id == id).cloned()
    }
}

/// The prompt's first words.
fn title_of(text: &str) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("New chat").trim();
    let mut title: String = line.chars().take(40).collect();
    if title.len() < line.len() {
        title.push('…');
    }
    title
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded() {
        let mut memory = Memory::default();
        for n in 0..1_000 {
            let message = Message { text: "x".repeat(100_000), ..Message::default() };
            memory.remember(&format!("c{n}"), "me", message);
        }
        assert!(memory.conversations.len() <= 170);
        assert!(memory.owns("c999", "me") && !memory.owns("c0", "me") && !memory.owns("c999", "you"));
    }
}
