//! Passes records on and keeps those of the broadcast input in a map, but changes what its call
//! must not change, in the way that the parameter `mode` names, in each call with a record that
//! contains `poison`.
//!
//! Written against the contract by hand, since the SDK does not let a function do any of this.
#![cfg(target_family = "wasm")]

wit_bindgen::generate!({ path: "../../../wit", world: "operator" });

use std::cell::RefCell;

use exports::tidegate::function::function::{Guest, OpenContext};
use tidegate::function::declarations::{
    Declaration, Format, InputDeclaration, Kind, OperatorStateDeclaration, OutputDeclaration,
    ParameterDeclaration, Redistribution, StateDeclaration, StateKind,
};
use tidegate::function::types::{
    Batch, Effects, Fault, OperatorStateChanges, OutputColumn, Packed, PollRequest, Polled,
    StateChanges, TimerBatch, TimerChanges,
};

/// Index of the broadcast input.
const BROADCAST: u32 = 1;

const PUT: u8 = 1;

thread_local! {
    static MODE: RefCell<String> = const { RefCell::new(String::new()) };
}

struct Meddler;

impl Guest for Meddler {
    fn describe() -> Declaration {
        let input = |name: &str| InputDeclaration { name: name.into(), type_name: "bytes".into() };
        Declaration {
            kind: Kind::KeyedBroadcastProcess,
            inputs: vec![input("data"), input("broadcast")],
            outputs: vec![OutputDeclaration { name: "main".into(), format: Format::Lines }],
            states: vec![StateDeclaration {
                name: "last".into(),
                kind: StateKind::Value,
                schema_version: 1,
                ttl: None,
                type_name: "bytes".into(),
            }],
            operator_states: vec![OperatorStateDeclaration {
                name: "rules".into(),
                redistribution: Redistribution::Broadcast,
                schema_version: 1,
                type_name: "bytes".into(),
            }],
            parameters: vec![ParameterDeclaration {
                name: "mode".into(),
                type_name: "text".into(),
                default: Some("none".into()),
            }],
            timers: true,
            extracts_keys: false,
        }
    }

    fn open(context: OpenContext) -> Result<(), Fault> {
        let mode = context.parameters.into_iter().find(|(name, _)| name == "mode");
        MODE.set(mode.map_or_else(String::new, |(_, mode)| mode));
        Ok(())
    }

    fn process(batch: Batch) -> Result<Effects, Fault> {
        let poisoned = batch.values.bytes.windows(6).any(|window| window == b"poison");
        let is_broadcast = batch.input == BROADCAST;
        let mut effects = pass_on(&batch);
        if is_broadcast {
            effects.operator_states.push(put_rule());
        }
        if poisoned {
            MODE.with_borrow(|mode| meddle(mode, is_broadcast, &mut effects));
        }
        Ok(effects)
    }

    fn fire(_timers: TimerBatch) -> Result<Effects, Fault> {
        unreachable!("registers no timers where it may")
    }

    fn poll(_request: PollRequest) -> Result<Polled, Fault> {
        unreachable!("declares that it is no source")
    }

    fn extract_keys(_input: u32, _values: Packed) -> Result<Packed, Fault> {
        unreachable!("declares that it extracts no keys")
    }

    fn close() {}
}

fn pass_on(batch: &Batch) -> Effects {
    let count = batch.values.ends.len() as u32;
    let values = Packed { bytes: batch.values.bytes.clone(), ends: batch.values.ends.clone() };
    let main = OutputColumn { output: 0, values, origins: (0..count).collect() };
    Effects {
        outputs: vec![main],
        states: Vec::new(),
        operator_states: Vec::new(),
        timers: TimerChanges {
            timestamps: Vec::new(),
            operations: Vec::new(),
            origins: Vec::new(),
        },
    }
}

/// Puts `1` under `a`.
fn put_rule() -> OperatorStateChanges {
    let entries = Packed { bytes: b"\x01\0\0\0a1".to_vec(), ends: vec![6] };
    OperatorStateChanges { state: 0, operations: vec![PUT], entries }
}

fn meddle(mode: &str, is_broadcast: bool, effects: &mut Effects) {
    match (mode, is_broadcast) {
        ("rule", false) => effects.operator_states.push(put_rule()),
        ("timer", true) => {
            effects.timers.timestamps.push(1);
            effects.timers.operations.push(0);
            effects.timers.origins.push(0);
        }
        ("keyed", true) => effects.states.push(StateChanges {
            state: 0,
            keys: vec![0],
            operations: vec![PUT],
            entries: Packed { bytes: b"x".to_vec(), ends: vec![1] },
        }),
        ("entry", true) => {
            // The entry says that the key has 255 bytes, and has none.
            let entries = &mut effects.operator_states[0].entries;
            entries.bytes = vec![255, 0, 0, 0];
            entries.ends = vec![4];
        }
        ("twice", true) => effects.operator_states.push(put_rule()),
        ("unknown", true) => effects.operator_states[0].state = 7,
        _ => {}
    }
}

export!(Meddler);
