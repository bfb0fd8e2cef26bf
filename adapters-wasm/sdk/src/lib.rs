//! Write an adapter for webai2api: a chat website as a sandboxed WebAssembly component.
//!
//! ```no_run
//! use webai_adapter::{Adapter, Failure, Outcome, Page, Reply, Request, Seconds};
//!
//! struct Example;
//!
//! impl Adapter for Example {
//!     fn generate(page: &Page, reply: &Reply, request: &Request) -> Result<Outcome, Failure> {
//!         page.step("type the prompt");
//!         page.fill("role=textbox[name=\"Message\"]", &request.prompt())?;
//!         let answer = page.watch("css=.answer >> nth=-1")?;
//!         reply.submitting();
//!         page.click("role=button[name=\"Send\"]")?;
//!         while let Some(event) = page.next(Seconds(30))? {
//!             if event.source == answer {
//!                 // ...
//!             }
//!         }
//!         Ok(Outcome::stop())
//!     }
//! }
//!
//! webai_adapter::register!(Example);
//! ```
//!
//! A page error becomes a failure by `?`: an element that was not found is reported as "the site changed", with the step that was
//! under way and the selector.
//!
//! Parsers of what sites send, each taking bytes as they come, cut anywhere: [`sse`], [`patch`], [`length_frames`], [`array_items`],
//! [`connect`], [`socket_io`]; and [`snapshot`], [`markers`], [`data_uri`], [`halves`] for what is in it.
//! [`Answer`] reads one answer with a [`Wire`] made of them. [`chat`] opens a chat that goes on.

mod answer;
pub mod array_items;
#[doc(hidden)]
pub mod bindings;
pub mod chat;
pub mod connect;
pub mod data_uri;
mod discovery;
mod failure;
pub mod halves;
pub mod kv;
pub mod length_frames;
mod log;
pub mod markers;
mod page;
pub mod patch;
mod provider;
mod reply;
mod request;
mod rewriting;
pub mod signs;
pub mod snapshot;
pub mod socket_io;
pub mod sse;
mod time;

pub use answer::{Answer, Piece, Wire};
pub use bindings::webai::adapter::page::{
    BodyPart, Condition, DialogInfo, Edit, Ending, Event, EventBody, Filter, Message, Rect, ResponseHead, Rewriting,
    Saved, Source,
};
pub use bindings::webai::adapter::reply::{Appetite, Citation};
pub use bindings::webai::adapter::request::{Attachment, Kind};
pub use bindings::webai::adapter::types::{Failure, Fault, Limit, Missing, PageError};
pub use discovery::{Discovery, Model};
pub use log::Level;
#[doc(hidden)]
pub use log::write as write_log;
pub use page::Page;
pub use provider::{Account, Adapter, Finish, Outcome};
pub use reply::Reply;
pub use request::Request;
pub use time::{Millis, Seconds, now, remaining, sleep};

/// The operator's settings: a JSON object that fits the manifest's `config.schema`.
pub fn config() -> String {
    bindings::webai::adapter::config::get()
}
