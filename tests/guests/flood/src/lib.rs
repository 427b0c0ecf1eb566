//! A source that sends three records, then, when it is asked again, one record more than it was
//! asked for.
//!
//! Written against the contract by hand, so that nothing of the SDK stands between it and the host.
#![cfg(target_family = "wasm")]

wit_bindgen::generate!({ path: "../../../wit", world: "operator" });

use std::cell::Cell;

use exports::tidegate::function::function::{Guest, OpenContext};
use tidegate::function::declarations::{Declaration, Format, Kind, OutputDeclaration};
use tidegate::function::types::{
    Batch, Effects, Fault, NextPoll, OutputColumn, Packed, PollRequest, Polled, TimerBatch,
    TimerChanges,
};

thread_local! {
    static POLLS: Cell<u32> = const { Cell::new(0) };
}

struct Flood;

impl Guest for Flood {
    fn describe() -> Declaration {
        Declaration {
            kind: Kind::Source,
            inputs: Vec::new(),
            outputs: vec![OutputDeclaration { name: "main".into(), format: Format::Lines }],
            states: Vec::new(),
            operator_states: Vec::new(),
            parameters: Vec::new(),
            timers: false,
            extracts_keys: false,
        }
    }

    fn open(_context: OpenContext) -> Result<(), Fault> {
        Ok(())
    }

    fn process(_batch: Batch) -> Result<Effects, Fault> {
        unreachable!("has no input")
    }

    fn fire(_timers: TimerBatch) -> Result<Effects, Fault> {
        unreachable!("declares no timers")
    }

    fn poll(request: PollRequest) -> Result<Polled, Fault> {
        let count = if POLLS.replace(1) == 0 { 3 } else { request.records_max + 1 };
        let values = Packed { bytes: vec![b'x'; count as usize], ends: (1..=count).collect() };
        let main = OutputColumn { output: 0, values, origins: vec![0; count as usize] };
        let effects = Effects {
            outputs: vec![main],
            states: Vec::new(),
            operator_states: Vec::new(),
            timers: TimerChanges {
                timestamps: Vec::new(),
                operations: Vec::new(),
                origins: Vec::new(),
            },
        };
        Ok(Polled { effects, next: NextPoll::Now })
    }

    fn extract_keys(_input: u32, _values: Packed) -> Result<Packed, Fault> {
        unreachable!("declares that it extracts no keys")
    }

    fn close() {}
}

export!(Flood);
