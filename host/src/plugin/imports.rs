//! The host functions of contract 0.1, a file for each interface of `wit/`.

mod host;
mod page;
mod reply;
mod request;

use wasmtime::component::Resource;

/// The numbers under which a store's handles are known to the guest.
pub(super) struct Handles {
    pub(super) page: Resource<super::handles::PageHandle>,
    pub(super) reply: Resource<super::handles::ReplyHandle>,
    pub(super) request: Resource<super::handles::RequestHandle>,
}
