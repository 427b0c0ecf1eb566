//! One thing that a key has, as it is written to checkpoints and savepoints: the encoding that all
//! backends share.

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryKind {
    /// An event-time timer. The value is its time: milliseconds, eight bytes, little-endian.
    EventTimer,
    /// A processing-time timer, in the same form.
    ProcessingTimer,
    /// The state of this index among those that the function declares. The value is in the form of
    /// the contract's `state-column`.
    State(u16),
}

/// One timer or one state of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// What it is.
    pub kind: EntryKind,
    /// Whose it is.
    pub key: &'a [u8],
    /// What it holds.
    pub value: &'a [u8],
}

/// Bytes that are no entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// Where the entry begins that cannot be read.
    pub offset: usize,
}

/// Appends an entry: its tag, and key and value with their lengths. All numbers are varints.
pub fn push(bytes: &mut Vec<u8>, entry: Entry<'_>) {
    let tag = match entry.kind {
        EntryKind::EventTimer => 0,
        EntryKind::ProcessingTimer => 1,
        EntryKind::State(index) => 2 + u64::from(index),
    };
    push_varint(bytes, tag);
    for string in [entry.key, entry.value] {
        push_varint(bytes, string.len() as u64);
        bytes.extend_from_slice(string);
    }
}

/// Reads entries one after the other; ends after the first that cannot be read.
pub fn read(bytes: &[u8]) -> impl Iterator<Item = Result<Entry<'_>, Malformed>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let offset = bytes.len() - rest.len();
        let entry = take_entry(&mut rest);
        if entry.is_none() {
            rest = &[];
        }
        Some(entry.ok_or(Malformed { offset }))
    })
}

fn take_entry<'a>(rest: &mut &'a [u8]) -> Option<Entry<'a>> {
    let kind = match take_varint(rest)? {
        0 => EntryKind::EventTimer,
        1 => EntryKind::ProcessingTimer,
        tag => EntryKind::State(u16::try_from(tag - 2).ok()?),
    };
    let key = take_string(rest)?;
    let value = take_string(rest)?;
    let is_timer = !matches!(kind, EntryKind::State(_));
    (!is_timer || value.len() == 8).then_some(Entry { kind, key, value })
}

fn take_string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(take_varint(rest)?).ok()?;
    let (string, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(string)
}

fn push_varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
