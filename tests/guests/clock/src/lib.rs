//! Sends out the time of day: a component that imports the wall clock, which no function is given.
#![cfg(target_family = "wasm")]

wit_bindgen::generate!({
    path: ["../../../wit", "wasi", "wit"],
    world: "tidegate-tests:clock/clock",
    generate_all,
});

use exports::tidegate::function::function::{Guest, OpenContext};
use tidegate::function::declarations::{
    Declaration, Format, InputDeclaration, Kind, OutputDeclaration,
};
use tidegate::function::types::{
    Batch, Effects, Fault, OutputColumn, Packed, PollRequest, Polled, TimerBatch, TimerChanges,
};

struct Clock;

impl Guest for Clock {
    fn describe() -> Declaration {
        Declaration {
            kind: Kind::Process,
            inputs: vec![InputDeclaration { name: "in".into(), type_name: "bytes".into() }],
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
        let now = wasi::clocks::wall_clock::now().seconds.to_string().into_bytes();
        let ends = vec![now.len() as u32];
        let values = Packed { bytes: now, ends };
        let timers =
            TimerChanges { timestamps: Vec::new(), operations: Vec::new(), origins: Vec::new() };
        let outputs = vec![OutputColumn { output: 0, values, origins: vec![0] }];
        Ok(Effects { outputs, states: Vec::new(), operator_states: Vec::new(), timers })
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

export!(Clock);
