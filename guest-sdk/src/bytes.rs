//! What is done to a few bytes at a time.
//!
//! In a component, a copy of a length that the compiler does not know is a call to the host's
//! `memmove`, by way of the engine. Keys, values and fields are so short that the way there takes
//! longer than the copy; these are copied a word at a time.

use std::str::Utf8Error;

/// What is longer goes the common way.
const SHORT_MAX: usize = 32;

/// Whether a copy of so many bytes is worth it. Native code reaches `memmove` at once.
#[inline]
fn is_short(length: usize) -> bool {
    cfg!(any(target_family = "wasm", test)) && length <= SHORT_MAX
}

/// Appends `bytes` to `out`.
#[inline]
pub(crate) fn append(out: &mut Vec<u8>, bytes: &[u8]) {
    if !is_short(bytes.len()) {
        out.extend_from_slice(bytes);
        return;
    }
    out.reserve(bytes.len());
    let length = out.len();
    // SAFETY: there is room for the bytes behind the first `length`, and since `out` is borrowed
    // for writing, it is not where they are.
    unsafe {
        copy_short(bytes.as_ptr(), out.as_mut_ptr().add(length), bytes.len());
        out.set_len(length + bytes.len());
    }
}

/// Moves what `out` has from `tail` on to `start`, which has as much room before `tail`.
///
/// # Panics
/// If there is less room.
#[inline]
pub(crate) fn move_tail(out: &mut Vec<u8>, tail: usize, start: usize) {
    let length = out.len() - tail;
    assert!(start + length <= tail, "a tail is moved to where there is room for it");
    if is_short(length) {
        let bytes = out.as_mut_ptr();
        // SAFETY: both are within the vector, and the assertion keeps them apart.
        unsafe { copy_short(bytes.add(tail), bytes.add(start), length) };
    } else {
        out.copy_within(tail.., start);
    }
    out.truncate(tail);
}

/// Reads UTF-8. Most of it is ASCII, which is cheaper to see.
///
/// # Errors
/// If it is not.
#[inline]
pub(crate) fn text(bytes: &[u8]) -> Result<&str, Utf8Error> {
    let (words, tail) = bytes.as_chunks::<8>();
    let seen = words.iter().fold(0, |seen, word| seen | u64::from_le_bytes(*word));
    let seen = tail.iter().fold(seen, |seen, byte| seen | u64::from(*byte));
    if seen & 0x8080_8080_8080_8080 == 0 {
        // SAFETY: no byte has its highest bit set, so each is a character of ASCII.
        return Ok(unsafe { std::str::from_utf8_unchecked(bytes) });
    }
    std::str::from_utf8(bytes)
}

/// Copies `length` bytes.
///
/// # Safety
/// `from` can be read and `to` written for `length` bytes, at most `SHORT_MAX`, and they do not
/// overlap.
#[inline]
unsafe fn copy_short(from: *const u8, to: *mut u8, length: usize) {
    // Two words from either end cover a length between one and two of them, so that lengths which
    // vary take few branches. SAFETY: every word begins and ends within `length` bytes.
    unsafe {
        match length {
            0 => {}
            1..4 => {
                copy::<u8>(from, to, 0);
                copy::<u8>(from, to, length / 2);
                copy::<u8>(from, to, length - 1);
            }
            4..8 => {
                copy::<u32>(from, to, 0);
                copy::<u32>(from, to, length - 4);
            }
            8..=16 => {
                copy::<u64>(from, to, 0);
                copy::<u64>(from, to, length - 8);
            }
            _ => {
                copy::<u64>(from, to, 0);
                copy::<u64>(from, to, 8);
                copy::<u64>(from, to, length - 16);
                copy::<u64>(from, to, length - 8);
            }
        }
    }
}

/// Copies one word at a distance of `at` bytes.
///
/// # Safety
/// As [`copy_short`], for the bytes of the word.
#[inline]
unsafe fn copy<T>(from: *const u8, to: *mut u8, at: usize) {
    // SAFETY: as the caller promises; neither needs to be aligned.
    unsafe { to.add(at).cast::<T>().write_unaligned(from.add(at).cast::<T>().read_unaligned()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_of_every_length_are_whole_and_touch_nothing_else() {
        let bytes: Vec<u8> = (0..=2 * SHORT_MAX as u8).collect();
        for length in 0..bytes.len() {
            for capacity in [0, 200] {
                let mut out = Vec::with_capacity(capacity);
                out.extend_from_slice(b"before");
                append(&mut out, &bytes[..length]);
                append(&mut out, b"after");
                assert_eq!(out, [b"before", &bytes[..length], b"after"].concat());
            }
        }
    }

    #[test]
    fn a_tail_moves_into_the_room_before_it() {
        for length in 0..2 * SHORT_MAX {
            let new: Vec<u8> = (0..length as u8).collect();
            let mut out = [b"a", &vec![b'.'; length][..], b"bc", &new].concat();
            move_tail(&mut out, 1 + length + 2, 1);
            assert_eq!(out, [b"a", &new[..], b"bc"].concat());
        }
    }

    #[test]
    fn text_is_what_the_standard_library_takes_for_text() {
        for character in ["é", "\u{10ffff}", "x"] {
            for before in 0..20 {
                let bytes = ["a".repeat(before), character.into(), "bc".into()].concat();
                assert_eq!(text(bytes.as_bytes()), Ok(bytes.as_str()));
                let mut cut = bytes.into_bytes();
                cut[before] = 0xff;
                assert_eq!(text(&cut), std::str::from_utf8(&cut));
            }
        }
    }

    #[test]
    #[should_panic(expected = "room")]
    fn a_tail_without_room_is_refused() {
        move_tail(&mut vec![0; 10], 4, 0);
    }
}
