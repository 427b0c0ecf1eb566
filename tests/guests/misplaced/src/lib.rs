//! A function without a broadcast input that declares broadcast state: nobody could ever write it.
//!
//! Written against the contract by hand, since the SDK does not describe such a function.
#![cfg(target_family = "wasm")]

wit_bindgen::generate!({ path: "../../../wit", world: "operator" });

use exports::tidegate::function::function::{Guest, OpenContext};
use tidegate::function::declarations::{
    Declaration, Format, InputDeclaration, Kind, OperatorStateDeclaration, OutputDeclaration,
    Redistribution,
};
use tidegate::function::types::{Batch, Effects, Fault, Packed, PollRequest, Polled, TimerBatch};

struct Misplaced;

impl Guest for Misplaced {
    fn describe() -> Declaration {
        Declaration {
            kind: Kind::Process,
            inputs: vec![InputDeclaration { name: "in".into(), type_name: "bytes".into() }],
            outputs: vec![OutputDeclaration { name: "main".into(), format: Format::Lines }],
            states: Vec::new(),
            operator_states: vec![OperatorStateDeclaration {
                name: "rules".into(),
                redistribution: Redistribution::Broadcast,
                schema_version: 1,
                type_name: "bytes".into(),
            }],
            parameters: Vec::new(),
            timers: false,
            extracts_keys: false,
        }
    }

    fn open(_context: OpenContext) -> Result<(), Fault> {
        Ok(())
    }

    fn process(_batch: Batch) -> Result<Effects, Fault> {
        unreachable!("is never opened")
    }

    fn fire(_timers: TimerBatch) -> Result<Effects, Fault> {
        unreachable!("declares no timers")
    }

    fn poll(_request: PollRequest) -> Result<Polled, Fault> {
        unreachable!("declares that it is no source")
    }

    fn extract_keys(_input: u32, _values: Packed) -> Result<Packed, Fault> {
        unreachable!("declares that it extracts no keys")
    }

    fn close() {}
}

export!(Misplaced);
