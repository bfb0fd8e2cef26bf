//! What an author writes.

use crate::bindings::exports::webai::adapter::provider as wit;
use crate::{Failure, Page, Reply, Request};

pub use wit::{Account, Finish, Outcome};

/// An adapter: all knowledge of one site.
pub trait Adapter {
    /// Looks at the page and says who is signed in. Sends nothing.
    fn probe(page: &Page) -> Result<Account, Failure> {
        let _ = page;
        Ok(Account::Unknown)
    }

    /// Answers one request on this page.
    fn generate(page: &Page, reply: &Reply, request: &Request) -> Result<Outcome, Failure>;
}

impl Outcome {
    /// A complete answer.
    pub fn stop() -> Self {
        Self::new(Finish::Stop)
    }

    pub fn new(finish: Finish) -> Self {
        Self { finish, conversation: None, model: None, facts: Vec::new() }
    }

    /// The site's own id of the chat.
    #[must_use]
    pub fn with_conversation(mut self, id: Option<String>) -> Self {
        self.conversation = id;
        self
    }

    /// The model that answered, as the site names it.
    #[must_use]
    pub fn with_model(mut self, model: Option<String>) -> Self {
        self.model = model;
        self
    }
}

/// Makes a type the adapter of this component. `register!(Example, discovery)` also exports what its [`Discovery`](crate::Discovery)
/// says.
#[macro_export]
macro_rules! register {
    ($adapter:ty, discovery) => {
        $crate::register!($adapter);

        #[cfg(not(target_arch = "wasm32"))]
        const _: fn() = || {
            fn discovers<A: $crate::Discovery>() {}
            discovers::<$adapter>();
        };
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::bindings::discovering::exports::webai::adapter::discovery as exported;

            struct Component;

            impl exported::Guest for Component {
                fn models(
                    page: $crate::bindings::webai::adapter::page::Page,
                ) -> ::std::result::Result<::std::vec::Vec<$crate::Model>, $crate::Failure> {
                    <$adapter as $crate::Discovery>::models(&$crate::Page::new(page))
                }
            }

    $crate::bindings::discovering::export_discovery!(Component with_types_in $crate::bindings::discovering);
        };
    };
    ($adapter:ty) => {
        // On other machines only its unit tests run: linkers there do not take the names that a component exports.
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn() = || {
            fn is_an_adapter<A: $crate::Adapter>() {}
            is_an_adapter::<$adapter>();
        };
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::bindings::exports::webai::adapter::provider as exported;

            struct Component;

            impl exported::Guest for Component {
                fn probe(
                    page: $crate::bindings::webai::adapter::page::Page,
                ) -> ::std::result::Result<$crate::Account, $crate::Failure> {
                    <$adapter as $crate::Adapter>::probe(&$crate::Page::new(page))
                }

                fn generate(
                    page: $crate::bindings::webai::adapter::page::Page,
                    reply: $crate::bindings::webai::adapter::reply::Reply,
                    request: $crate::bindings::webai::adapter::request::Request,
                ) -> ::std::result::Result<$crate::Outcome, $crate::Failure> {
                    <$adapter as $crate::Adapter>::generate(
                        &$crate::Page::new(page),
                        &$crate::Reply::new(reply),
                        &$crate::Request::new(request),
                    )
                }
            }

    $crate::bindings::export!(Component with_types_in $crate::bindings);
        };
    };
}
