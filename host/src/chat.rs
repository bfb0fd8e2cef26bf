//! What every API dialect shares, free of HTTP and of any browser: the request, the pieces of an answer, the failures.

mod failure;
mod reply;
mod request;

pub use failure::{Failure, FailureKind, Stage};
pub use reply::{Citation, Delta, Finish, JobEvent, Outcome, Usage};
pub use request::{Attachment, Kind, Part, Request, Role, Turn};
