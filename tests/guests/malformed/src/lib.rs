//! Passes records on and counts them, but breaks the contract, in the way that the parameter `mode`
//! names, in each call that has a record which contains `poison`.
//!
//! Written against the contract by hand, since the SDK does not let a function do any of this.
#![cfg(target_family = "wasm")]

wit_bindgen::generate!({ path: "../../../wit", world: "operator" });

use std::cell::RefCell;

use exports::tidegate::function::function::{Guest, OpenContext};
use tidegate::function::declarations::{
    Declaration, Format, InputDeclaration, Kind, OutputDeclaration, ParameterDeclaration,
    StateDeclaration, StateKind,
};
use tidegate::function::types::{
    Batch, Effects, Fault, FaultKind, OutputColumn, Packed, PollRequest, Polled, StateChanges,
    TimerBatch, TimerChanges,
};

/// Index of the state that holds a value.
const VALUE: u32 = 0;
/// Index of the state that holds a map.
const MAP: u32 = 1;

const PUT: u8 = 1;

thread_local! {
    static MODE: RefCell<String> = const { RefCell::new(String::new()) };
}

struct Malformed;

impl Guest for Malformed {
    fn describe() -> Declaration {
        let state = |name: &str, kind| StateDeclaration {
            name: name.into(),
            kind,
            schema_version: 1,
            ttl: None,
            type_name: "bytes".into(),
        };
        let mode = ParameterDeclaration {
            name: "mode".into(),
            type_name: "text".into(),
            default: Some("none".into()),
        };
        Declaration {
            kind: Kind::KeyedProcess,
            inputs: vec![InputDeclaration { name: "in".into(), type_name: "bytes".into() }],
            outputs: vec![OutputDeclaration { name: "main".into(), format: Format::Lines }],
            states: vec![state("last", StateKind::Value), state("seen", StateKind::Map)],
            operator_states: Vec::new(),
            parameters: vec![mode],
            timers: false,
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
        let effects = pass_on(&batch);
        if poisoned { MODE.with_borrow(|mode| corrupt(mode, effects)) } else { Ok(effects) }
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

/// What a good function would return: each record again, and the last record of each key as its
/// state.
fn pass_on(batch: &Batch) -> Effects {
    let count = batch.values.ends.len() as u32;
    let main =
        OutputColumn { output: 0, values: copy(&batch.values), origins: (0..count).collect() };
    let last = StateChanges {
        state: VALUE,
        keys: batch.key_of.clone(),
        operations: vec![PUT; count as usize],
        entries: copy(&batch.values),
    };
    Effects {
        outputs: vec![main],
        states: vec![last],
        operator_states: Vec::new(),
        timers: no_timers(),
    }
}

fn corrupt(mode: &str, mut effects: Effects) -> Result<Effects, Fault> {
    let main = &mut effects.outputs[0];
    let last = &mut effects.states[0];
    let length = main.values.bytes.len() as u32;
    match mode {
        "ends-decrease" => {
            main.values.ends = vec![length, 0, length];
            main.origins = vec![0, 0, 0];
        }
        "ends-short" => *main.values.ends.last_mut().unwrap() -= 1,
        "ends-long" => *main.values.ends.last_mut().unwrap() = u32::MAX,
        "entries-ends" => last.entries.ends.clear(),
        "key-index" => last.keys[0] = u32::MAX,
        "unknown-state" => last.state = 7,
        "unknown-output" => main.output = 3,
        "state-twice" => {
            let again = copy_changes(last);
            effects.states.push(again);
        }
        "output-twice" => {
            let again = OutputColumn {
                output: 0,
                values: copy(&main.values),
                origins: main.origins.clone(),
            };
            effects.outputs.push(again);
        }
        "origins-decrease" => {
            main.values = Packed { bytes: Vec::new(), ends: vec![0, 0] };
            main.origins = vec![1, 0];
        }
        "origin-range" => *main.origins.last_mut().unwrap() = u32::MAX,
        "origins-missing" => main.origins.clear(),
        "operation" => last.operations[0] = 9,
        "operations-missing" => last.operations.clear(),
        "map-entry" => {
            // The entry says that the key has 255 bytes, and has none.
            last.state = MAP;
            let count = last.keys.len();
            last.entries.bytes = [255, 0, 0, 0].repeat(count);
            last.entries.ends = (1..=count as u32).map(|entry| 4 * entry).collect();
        }
        "timer" => {
            effects.timers.timestamps.push(0);
            effects.timers.operations.push(0);
            effects.timers.origins.push(0);
        }
        "fault-at" => {
            return Err(Fault {
                kind: FaultKind::Failed,
                at: Some(u32::MAX),
                message: "a fault at a record that there is not".into(),
            });
        }
        "text" => {
            // SAFETY: none; that is the point. The string goes straight to the host, which must
            // refuse it.
            let message = unsafe { String::from_utf8_unchecked(vec![b'a', 0xff, b'b']) };
            return Err(Fault { kind: FaultKind::Failed, at: None, message });
        }
        other => panic!("there is no mode {other:?}"),
    }
    Ok(effects)
}

fn copy(packed: &Packed) -> Packed {
    Packed { bytes: packed.bytes.clone(), ends: packed.ends.clone() }
}

fn copy_changes(changes: &StateChanges) -> StateChanges {
    StateChanges {
        state: changes.state,
        keys: changes.keys.clone(),
        operations: changes.operations.clone(),
        entries: copy(&changes.entries),
    }
}

fn no_timers() -> TimerChanges {
    TimerChanges { timestamps: Vec::new(), operations: Vec::new(), origins: Vec::new() }
}

export!(Malformed);
