//! A component that exports version 0.0.9 of the contract, which no host runs.
#![cfg(target_family = "wasm")]

wit_bindgen::generate!({ path: "wit", world: "operator" });

struct OldContract;

impl exports::tidegate::function::function::Guest for OldContract {
    fn describe() -> String {
        "a function of long ago".into()
    }
}

export!(OldContract);
