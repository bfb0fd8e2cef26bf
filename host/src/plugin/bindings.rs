//! What wasmtime makes of `wit/`: contract 0.1.

wasmtime::component::bindgen!({
    path: "../wit",
    world: "adapter",
    imports: { default: async | trappable },
    exports: { default: async },
    with: {
        "webai:adapter/page.page": crate::plugin::handles::PageHandle,
        "webai:adapter/reply.reply": crate::plugin::handles::ReplyHandle,
        "webai:adapter/request.request": crate::plugin::handles::RequestHandle,
    },
});

/// What an adapter may export beside its `provider`. It shares all that it imports with the bindings above.
pub(super) mod discovery {
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package webai:host;

            world discovering {
                import webai:adapter/types@0.1.0;
                import webai:adapter/page@0.1.0;
                export webai:adapter/discovery@0.1.0;
            }
        ",
        world: "webai:host/discovering",
        imports: { default: async | trappable },
        exports: { default: async },
        with: {
            "webai:adapter/types": crate::plugin::bindings::webai::adapter::types,
            "webai:adapter/page": crate::plugin::bindings::webai::adapter::page,
        },
    });
}
