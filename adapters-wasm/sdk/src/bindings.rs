//! What wit-bindgen makes of the contract. Authors use the types that the crate's root exports.

wit_bindgen::generate!({
    path: "../../wit",
    world: "adapter",
    pub_export_macro: true,
    export_macro_name: "export",
    default_bindings_module: "webai_adapter::bindings",
});
