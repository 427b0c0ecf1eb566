//! What the steps of a state make of the bytes of its cells. The packing of a cell, and the access
//! times in it, stay as they are.

use super::cells::{push_framed, take_framed};
use super::encoding;
use super::migration::Step;
use super::ttl::Lifetime;
use crate::bindings::tidegate::function::declarations::StateKind;
use crate::error::{Error, Result, quote};

/// Bytes of the length before an element.
const LENGTH_BYTES: usize = 4;

/// Appends what becomes of a value, without access time. False if nothing is left.
type OfValue<'s> = dyn Fn(&[u8], &mut Vec<u8>) -> Result<bool> + 's;

/// Appends what becomes of the key and of the value of an entry.
type OfEntry<'s> = dyn Fn(&[u8], &[u8], &mut Vec<u8>, &mut Vec<u8>) -> Result<bool> + 's;

/// The migrations of one declared state.
pub(crate) struct Migrations {
    pub(crate) state: String,
    pub(super) layout: Layout,
    /// Ascending by version.
    pub(crate) steps: Vec<Step>,
}

/// How the cells of a state are packed.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    pub(super) kind: StateKind,
    /// None for an operator state.
    pub(super) lifetime: Option<Lifetime>,
    /// Whether values are byte strings as they are.
    pub(super) is_raw: bool,
}

impl Layout {
    /// That of an operator state.
    pub(super) fn of_partition(kind: StateKind) -> Self {
        Self { kind, lifetime: None, is_raw: false }
    }
}

impl Migrations {
    /// Whether a cell is that of a key, and not the one of a partition.
    pub(crate) fn is_keyed(&self) -> bool {
        self.layout.lifetime.is_some()
    }

    /// Appends what `step` makes of the cell of a key. False if there is no state any more, and
    /// then, as after an error, what was appended is void.
    ///
    /// # Errors
    /// What the step gives; if what is stored is not what it takes; if two entries become one.
    pub(crate) fn migrate(
        &self,
        step: &Step,
        key: &[u8],
        cell: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<bool> {
        step.take(&Cell { layout: self.layout, key, bytes: cell }, out)
    }
}

/// What one key, or the partition, has in a state.
pub(super) struct Cell<'c> {
    layout: Layout,
    pub(super) key: &'c [u8],
    bytes: &'c [u8],
}

impl Cell<'_> {
    /// Appends what `step` makes of each value. False if nothing is left.
    pub(super) fn migrate_values(&self, out: &mut Vec<u8>, step: &OfValue<'_>) -> Result<bool> {
        let start = out.len();
        match self.layout.kind {
            StateKind::List => self.list(step, out)?,
            StateKind::Map => self.map(step, out)?,
            _ => return self.value(step, self.bytes, out),
        }
        Ok(out.len() > start)
    }

    /// Appends what `step` makes of each entry of a map. False if nothing is left.
    pub(super) fn migrate_entries(&self, out: &mut Vec<u8>, step: &OfEntry<'_>) -> Result<bool> {
        let start = out.len();
        self.entries(step, out)?;
        Ok(out.len() > start)
    }

    fn list(&self, step: &OfValue<'_>, out: &mut Vec<u8>) -> Result<()> {
        for (index, element) in framed(self.bytes).enumerate() {
            let before = out.len();
            let is_left = self
                .framed_value(step, element, out)
                .map_err(|error| error.context(format_args!("element {index}")))?;
            if !is_left {
                out.truncate(before);
            }
        }
        Ok(())
    }

    fn map(&self, step: &OfValue<'_>, out: &mut Vec<u8>) -> Result<()> {
        for (index, (key, value)) in entries(self.bytes).enumerate() {
            let before = out.len();
            push_framed(out, key);
            let is_left = self
                .framed_value(step, value, out)
                .map_err(|error| error.context(format_args!("entry {index}")))?;
            if !is_left {
                out.truncate(before);
            }
        }
        Ok(())
    }

    fn entries(&self, step: &OfEntry<'_>, out: &mut Vec<u8>) -> Result<()> {
        let mut migrated: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        for (index, (key, value)) in entries(self.bytes).enumerate() {
            let (stamp, value) = self.split(value);
            let (mut new_key, mut new_value) = (Vec::new(), stamp.to_vec());
            let is_left = step(key, value, &mut new_key, &mut new_value)
                .map_err(|error| error.context(format_args!("entry {index}")))?;
            if is_left {
                migrated.push((new_key, new_value));
            }
        }
        // Other keys may sort otherwise, and the host keeps them by their bytes.
        migrated.sort();
        if let Some(same) = migrated.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(Error::msg(format_args!(
                "two entries get the same key, {} as it is encoded",
                quote(&same[0].0)
            )));
        }
        for (key, value) in &migrated {
            push_framed(out, key);
            push_framed(out, value);
        }
        Ok(())
    }

    /// Appends what has become of a value with its length before it.
    fn framed_value(&self, step: &OfValue<'_>, stored: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        let start = out.len();
        out.extend_from_slice(&[0; LENGTH_BYTES]);
        let is_left = self.value(step, stored, out)?;
        let length = (out.len() - start - LENGTH_BYTES) as u32;
        out[start..start + LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
        Ok(is_left)
    }

    fn value(&self, step: &OfValue<'_>, stored: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        let (stamp, value) = self.split(stored);
        out.extend_from_slice(stamp);
        if !self.layout.is_raw {
            return step(value, out);
        }
        let (mut old, mut new) = (Vec::new(), Vec::new());
        encoding::encode(value, &mut old)?;
        let is_left = step(&old, &mut new)?;
        if is_left {
            out.extend_from_slice(&encoding::decode::<Vec<u8>>(&new)?);
        }
        Ok(is_left)
    }

    /// The access time before a value, which may be none, and the value.
    fn split<'b>(&self, stored: &'b [u8]) -> (&'b [u8], &'b [u8]) {
        self.layout.lifetime.map_or((&[][..], stored), |lifetime| lifetime.split(stored))
    }
}

/// The strings of a packed list.
fn framed(cell: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut at = 0;
    std::iter::from_fn(move || {
        ((at as usize) < cell.len()).then(|| take_framed(cell, &mut at).of(cell))
    })
}

/// The keys and values of a packed map.
fn entries(cell: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut strings = framed(cell);
    std::iter::from_fn(move || {
        let key = strings.next()?;
        Some((key, strings.next().expect("the host sends a value for each key of a map")))
    })
}
