//! What every API dialect shares, free of HTTP and of any browser: the request, the pieces of an answer, the failures.

pub mod compose;
mod failure;
pub mod images;
pub mod limit;
mod mime;
pub mod prompt;
mod reply;
mod request;
pub mod usage;

pub use failure::{Failure, FailureKind, Stage};
pub use mime::media_type;
pub use reply::{Citation, Delta, Finish, JobEvent, Outcome, Transcript, Usage};
pub use request::{Attachment, Fingerprint, Kind, Part, Request, Role, Turn};
