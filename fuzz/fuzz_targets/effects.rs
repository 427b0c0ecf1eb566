//! Whatever bytes an untrusted function returns, its effects are refused or well formed.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    tidegate::wasm::fuzzing::check_effects(bytes);
});
