//! What wit-bindgen makes of the contract. Authors use the types that the crate's root exports.

wit_bindgen::generate!({
    path: "../../wit",
    world: "adapter",
    pub_export_macro: true,
    export_macro_name: "export",
    default_bindings_module: "webai_adapter::bindings",
});

/// The export that only some adapters have. It shares what it imports with the world above.
pub mod discovering {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package webai:guest;

            world discovering {
                import webai:adapter/types@0.1.0;
                import webai:adapter/page@0.1.0;
                export webai:adapter/discovery@0.1.0;
            }
        ",
        world: "webai:guest/discovering",
        with: {
            "webai:adapter/types@0.1.0": crate::bindings::webai::adapter::types,
            "webai:adapter/page@0.1.0": crate::bindings::webai::adapter::page,
        },
        pub_export_macro: true,
        export_macro_name: "export_discovery",
        default_bindings_module: "webai_adapter::bindings::discovering",
    });
}
