//! The contract in `wit/function.wit` as Rust types, generated at compile time.
//!
//! Authors of functions never need it: [`export!`](crate::export) and the runtime are its only
//! callers.
#![allow(missing_docs, clippy::all)]

wit_bindgen::generate!({
    path: "../wit",
    world: "migrating-operator",
    pub_export_macro: true,
    export_macro_name: "export_operator",
    default_bindings_module: "tidegate_sdk::bindings",
});
