//! The keys of a partition that have state or timers, each with a small number that stands for it.

use hashbrown::HashTable;
use smallvec::SmallVec;

use crate::model::KeyHash;

/// Stands for a key of one partition as long as the key is in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u32);

impl Slot {
    /// The slot as an index into columns.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Finds keys by hash and bytes. Slots of removed keys are used again.
///
/// A lookup misses the cache twice, once in the index and once in the row. The index holds the
/// whole hash, so that [`prefetch`](Self::prefetch) can bring in the rows of many keys at once
/// before they are compared.
#[derive(Debug, Default)]
pub struct KeyTable {
    index: HashTable<Entry>,
    rows: Vec<Row>,
    free: Vec<Slot>,
    /// Every key without state and timers, and others.
    idle: Vec<Slot>,
    /// Which call `Row::local` belongs to.
    call: u32,
}

/// What the index holds of a key.
#[derive(Debug, Clone, Copy)]
struct Entry {
    hash: KeyHash,
    slot: Slot,
}

/// A cache line, so that a lookup costs one and not two.
#[derive(Debug)]
#[repr(align(64))]
struct Row {
    key: SmallVec<[u8; 40]>,
    hash: KeyHash,
    /// States and timers that the key has. A key without any leaves the table.
    uses: u32,
    /// The key's index in call `call`.
    local: u32,
    call: u32,
}

impl KeyTable {
    /// The slot of a key, which is entered if it is new.
    pub fn enter(&mut self, key: &[u8], hash: KeyHash) -> Slot {
        let rows = &self.rows;
        let is_key =
            |entry: &Entry| entry.hash == hash && rows[entry.slot.index()].key.as_slice() == key;
        if let Some(entry) = self.index.find(hash.spread(), is_key) {
            return entry.slot;
        }
        let row = Row { key: SmallVec::from_slice(key), hash, uses: 0, local: 0, call: 0 };
        let slot = match self.free.pop() {
            Some(slot) => {
                if let Some(&ahead) = self.free.iter().nth_back(AHEAD) {
                    self.prefetch_row(ahead);
                }
                self.rows[slot.index()] = row;
                slot
            }
            None => {
                let slot = u32::try_from(self.rows.len()).expect("a partition has below 2^32 keys");
                self.rows.push(row);
                Slot(slot)
            }
        };
        let rehash = |entry: &Entry| entry.hash.spread();
        self.index.insert_unique(hash.spread(), Entry { hash, slot }, rehash);
        self.idle.push(slot);
        slot
    }

    /// Starts to bring the rows of keys with these hashes into the cache.
    pub fn prefetch(&self, hashes: &[KeyHash]) {
        for &hash in hashes {
            if let Some(entry) = self.index.find(hash.spread(), |entry| entry.hash == hash) {
                prefetch(&self.rows[entry.slot.index()]);
            }
        }
    }

    /// Starts to bring the row of a key into the cache whose slot is known.
    #[inline]
    pub fn prefetch_row(&self, slot: Slot) {
        if let Some(row) = self.rows.get(slot.index()) {
            prefetch(row);
        }
    }

    /// The key in a slot.
    pub fn key(&self, slot: Slot) -> &[u8] {
        &self.rows[slot.index()].key
    }

    /// The hash of the key in a slot.
    pub fn hash(&self, slot: Slot) -> KeyHash {
        self.rows[slot.index()].hash
    }

    /// How many slots there are, used or free: the length of a column of state.
    pub fn slots(&self) -> usize {
        self.rows.len()
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Starts a call: no key is part of it yet.
    pub fn begin_call(&mut self) {
        // After 2^32 calls an old mark could pass for a new one, so all are wiped.
        self.call = self.call.checked_add(1).unwrap_or_else(|| {
            self.rows.iter_mut().for_each(|row| row.call = 0);
            1
        });
    }

    /// The index of a key in the current call, or none if it is not part of it.
    pub fn local(&self, slot: Slot) -> Option<u32> {
        let row = &self.rows[slot.index()];
        (row.call == self.call).then_some(row.local)
    }

    /// Makes a key part of the current call.
    pub fn set_local(&mut self, slot: Slot, local: u32) {
        let row = &mut self.rows[slot.index()];
        row.local = local;
        row.call = self.call;
    }

    /// Counts a state or timer of the key.
    pub fn retain(&mut self, slot: Slot) {
        self.rows[slot.index()].uses += 1;
    }

    /// Counts a state or timer of the key less.
    pub fn release(&mut self, slot: Slot) {
        let row = &mut self.rows[slot.index()];
        row.uses -= 1;
        if row.uses == 0 {
            self.idle.push(slot);
        }
    }

    /// Removes the keys that have no state and no timer.
    pub fn sweep(&mut self) {
        for (place, &slot) in self.idle.iter().enumerate() {
            if let Some(&ahead) = self.idle.get(place + AHEAD) {
                self.prefetch_row(ahead);
            }
            let row = &self.rows[slot.index()];
            if row.uses > 0 {
                continue;
            }
            // A key can be idle more than once.
            let is_key = |entry: &Entry| entry.slot == slot;
            if let Ok(entry) = self.index.find_entry(row.hash.spread(), is_key) {
                entry.remove();
                self.free.push(slot);
            }
        }
        self.idle.clear();
    }
}

/// How many turns before its own a loop over slots asks for what it needs of one. Asking for many
/// at once is of little use: the processor passes over what it has no room to wait for. (Where keys
/// are looked up first, as for [`KeyTable::prefetch`], the lookups keep them apart.)
pub const AHEAD: usize = 16;

/// Starts to bring a value into the cache, where the processor has a way to say so.
#[inline]
pub(super) fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch is a hint. It reads nothing and is allowed at any address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(table: &mut KeyTable, key: &str) -> Slot {
        table.enter(key.as_bytes(), KeyHash::of(key.as_bytes()))
    }

    #[test]
    fn keys_without_uses_make_room() {
        let mut table = KeyTable::default();
        let (a, b) = (enter(&mut table, "a"), enter(&mut table, "b"));
        table.retain(a);
        // Idle twice.
        table.retain(b);
        table.release(b);
        table.sweep();
        table.sweep();
        assert_eq!(table.len(), 1);
        assert_eq!(enter(&mut table, "a"), a);
        let c = enter(&mut table, "a key that does not fit inline");
        assert_eq!((c, table.slots()), (b, 2));
        assert_eq!(table.key(c), b"a key that does not fit inline");
        assert_ne!(enter(&mut table, "b"), c);
    }

    #[test]
    fn a_key_belongs_to_one_call_only() {
        let mut table = KeyTable::default();
        let a = enter(&mut table, "a");
        table.begin_call();
        assert_eq!(table.local(a), None);
        table.set_local(a, 7);
        assert_eq!(table.local(a), Some(7));
        table.begin_call();
        assert_eq!(table.local(a), None);
    }
}
