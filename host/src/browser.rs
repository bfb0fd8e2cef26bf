//! Chromium: launching and supervising it, its pages, what is done in them and what they receive.
//!
//! **Invariant:** nothing here knows wasmtime, HTTP dialects or any site.

pub mod cdp;
mod dom;
mod error;
mod event;
pub mod guard;
mod instance;
mod json;
mod launch;
mod media;
mod origin;
mod page;
mod selectors;
mod traffic;

pub use error::PageError;
pub use event::{Condition, DialogInfo, Ending, EventBody, Filter, PageEvent, ResponseHead};
pub use instance::{
    ArchiveSource, Instance, InstanceOptions, InstanceState, Keeping, SessionImport, SessionImported, SessionRead,
    StartImport,
};
pub use json::{Edit, Pointer};
pub use launch::{LaunchError, LaunchOptions, MIN_MAJOR, Profile, find};
pub use origin::Origin;
pub use page::{
    Bounds, Brought, CLIENT_TOO_SLOW, CloseReason, Page, PageSpec, RewriteGrant, Rewriting, SavedFile, Source,
    UploadFile, brought_by,
};
pub use selectors::{Selector, SelectorError, Step, Text};
pub use traffic::UrlPattern;
