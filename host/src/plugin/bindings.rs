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
