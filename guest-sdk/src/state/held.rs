//! Lists and maps that are too long to come with the batch, read from the host in pieces.
//!
//! On wasm these are the contract's imports. Elsewhere a test has no host: the harness keeps here
//! what it holds back from the call under way.

#[cfg(not(target_family = "wasm"))]
pub(crate) use native::{HeldStates, hold};
#[cfg(not(target_family = "wasm"))]
pub(super) use native::{list_length, list_read, map_get, map_scan};

#[cfg(target_family = "wasm")]
pub(super) use crate::bindings::tidegate::function::held_state::{
    list_length, list_read, map_get, map_scan,
};

/// What is asked for at once.
pub(super) const READ_BYTES: u32 = 64 << 10;

#[cfg(not(target_family = "wasm"))]
mod native {
    use std::cell::RefCell;
    use std::collections::{BTreeMap, HashMap};
    use std::ops::Bound;

    use crate::bindings::tidegate::function::held_state::Entries;
    use crate::bindings::tidegate::function::types::Packed;

    /// The lists and maps that a call holds back, by state and key of the batch.
    #[derive(Default)]
    pub(crate) struct HeldStates {
        pub(crate) lists: HashMap<(u32, u32), Vec<Vec<u8>>>,
        pub(crate) maps: HashMap<(u32, u32), BTreeMap<Vec<u8>, Vec<u8>>>,
    }

    thread_local! {
        static HELD: RefCell<HeldStates> = RefCell::default();
    }

    /// What the next call holds back.
    pub(crate) fn hold(states: HeldStates) {
        HELD.with(|held| held.replace(states));
    }

    const HELD_BACK: &str = "only what the host holds back is read in pieces";

    fn push(packed: &mut Packed, string: &[u8]) {
        packed.bytes.extend_from_slice(string);
        packed.ends.push(packed.bytes.len() as u32);
    }

    fn packed() -> Packed {
        Packed { bytes: Vec::new(), ends: Vec::new() }
    }

    pub(in crate::state) fn list_length(state: u32, key: u32) -> u64 {
        HELD.with_borrow(|held| held.lists.get(&(state, key)).expect(HELD_BACK).len() as u64)
    }

    /// As a host does, but in smaller pieces, so that tests see more than one.
    pub(in crate::state) fn list_read(state: u32, key: u32, start: u64, _bytes: u32) -> Packed {
        HELD.with_borrow(|held| {
            let list = held.lists.get(&(state, key)).expect(HELD_BACK);
            let mut piece = packed();
            let rest = list.iter().skip(start as usize).take(3);
            rest.for_each(|element| push(&mut piece, element));
            piece
        })
    }

    pub(in crate::state) fn map_get(state: u32, key: u32, map_keys: &Packed) -> (Vec<u8>, Packed) {
        HELD.with_borrow(|held| {
            let map = held.maps.get(&(state, key)).expect(HELD_BACK);
            let (mut found, mut values) = (Vec::new(), packed());
            let mut start = 0;
            for end in &map_keys.ends {
                let value = map.get(&map_keys.bytes[start..*end as usize]);
                start = *end as usize;
                found.push(u8::from(value.is_some()));
                push(&mut values, value.map(Vec::as_slice).unwrap_or_default());
            }
            (found, values)
        })
    }

    pub(in crate::state) fn map_scan(
        state: u32,
        key: u32,
        after: Option<&[u8]>,
        _bytes: u32,
    ) -> Entries {
        HELD.with_borrow(|held| {
            let map = held.maps.get(&(state, key)).expect(HELD_BACK);
            let from = after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.to_vec()));
            let (mut keys, mut values) = (packed(), packed());
            let mut rest = map.range((from, Bound::Unbounded));
            for (map_key, value) in rest.by_ref().take(3) {
                push(&mut keys, map_key);
                push(&mut values, value);
            }
            Entries { keys, values, more: rest.next().is_some() }
        })
    }
}
