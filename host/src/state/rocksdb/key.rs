//! The keys of a store: the key group in 16 bits, big-endian, the key's bytes, the state in 16
//! bits. So the groups of a partition lie together, and the states of a key, which are read
//! together, in one block.

use std::ops::Range;

use crate::model::KeyGroup;
use crate::state::StoredKey;

/// Appends a key.
pub(super) fn push(bytes: &mut Vec<u8>, key: StoredKey<'_>) {
    let group = u16::try_from(key.group.0).expect("a job has at most 32,768 key groups");
    bytes.extend_from_slice(&group.to_be_bytes());
    bytes.extend_from_slice(key.key);
    bytes.extend_from_slice(&key.state.to_be_bytes());
}

/// Reads a key; none if the bytes are not one.
pub(super) fn read(bytes: &[u8]) -> Option<StoredKey<'_>> {
    let (group, rest) = bytes.split_first_chunk()?;
    let (key, state) = rest.split_last_chunk()?;
    let group = KeyGroup(u16::from_be_bytes(*group).into());
    Some(StoredKey { group, state: u16::from_be_bytes(*state), key })
}

/// The bytes from which and before which the keys of some groups lie. No group is past 65,534.
pub(super) fn bounds(groups: &Range<u32>) -> Range<[u8; 2]> {
    let bound = |group| u16::try_from(group).unwrap_or(u16::MAX).to_be_bytes();
    bound(groups.start)..bound(groups.end)
}
