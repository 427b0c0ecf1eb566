//! What a record costs beside the work of its function.

use super::Numbers;
use crate::bindings::exports::tidegate::function::function::OpenContext;
use crate::bindings::tidegate::function::types::{Batch, Packed, StateColumn};
use crate::runtime::{Instance, Window};

fn packed(strings: &[&str]) -> Packed {
    let length = |end: &mut u32, string: &&str| {
        *end += string.len() as u32;
        Some(*end)
    };
    Packed { bytes: strings.concat().into_bytes(), ends: strings.iter().scan(0, length).collect() }
}

/// A batch of records of one key that has no state.
fn batch(records: &[&str], times: &[i64]) -> Batch {
    let none = |state| StateColumn { state, forms: vec![0], values: packed(&[""]) };
    Batch {
        input: 0,
        values: packed(records),
        timestamps: times.to_vec(),
        watermarks: vec![i64::MIN; records.len()],
        keys: packed(&["a"]),
        key_of: vec![0; records.len()],
        operator_states: Vec::new(),
        states: vec![none(0), none(1)],
        processing_time: 0,
    }
}

fn instance(kind: &str) -> Instance {
    let place = OpenContext {
        operator: "test".to_owned(),
        partition: 0,
        parallelism: 1,
        parameters: vec![("kind".to_owned(), kind.to_owned())],
        ttl: vec![None, None],
    };
    Instance::open::<Window<Numbers>>(place).expect("it opens")
}

#[test]
fn only_the_first_record_of_a_window_registers_its_timer() {
    let effects = instance("tumbling").process(batch(&["n,1", "n,2", "n,3"], &[5, 5, 12])).unwrap();
    assert_eq!(effects.timers.timestamps, [9, 19]);
    assert_eq!(effects.timers.origins, [0, 2]);
    assert_eq!(effects.states[0].operations, [1, 1], "one change of state a window");
}

#[test]
fn a_session_that_does_not_grow_keeps_its_timer() {
    let effects = instance("session").process(batch(&["n,1", "n,2", "n,3"], &[5, 5, 3])).unwrap();
    assert_eq!(effects.timers.timestamps, [14, 14, 14], "made, then made anew for a new start");
    assert_eq!(effects.timers.operations, [0, 1, 0]);
}
