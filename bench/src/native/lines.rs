//! Lines of a file without an allocation each, their fields and numbers.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use memchr::{memchr, memchr_iter};

/// Read at once.
const CHUNK: usize = 256 << 10;

/// The lines of a file, one at a time.
pub(super) struct Lines {
    file: File,
    buffer: Vec<u8>,
    /// Where the line at hand begins and ends in the buffer.
    line: (usize, usize),
    /// Where the next one begins.
    next: usize,
    is_at_end: bool,
}

impl Lines {
    /// Opens a file and moves to its first line.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        let buffer = Vec::with_capacity(2 * CHUNK);
        let mut lines = Self { file, buffer, line: (0, 0), next: 0, is_at_end: false };
        lines.advance()?;
        Ok(lines)
    }

    /// The line at hand, none at the end.
    #[inline]
    pub(super) fn get(&self) -> Option<&[u8]> {
        if self.is_at_end { None } else { Some(&self.buffer[self.line.0..self.line.1]) }
    }

    /// Moves to the next line.
    #[inline]
    pub(super) fn advance(&mut self) -> Result<()> {
        loop {
            if let Some(length) = memchr(b'\n', &self.buffer[self.next..]) {
                self.line = (self.next, self.next + length);
                self.next += length + 1;
                return Ok(());
            }
            self.buffer.drain(..self.next);
            self.next = 0;
            let chunk = CHUNK as u64;
            if (&mut self.file).take(chunk).read_to_end(&mut self.buffer)? == 0 {
                ensure!(self.buffer.is_empty(), "the last line has no end");
                self.is_at_end = true;
                return Ok(());
            }
        }
    }
}

/// The fields of a line.
#[inline]
pub(super) fn fields<const N: usize>(line: &[u8]) -> Result<[&[u8]; N]> {
    let mut fields: [&[u8]; N] = [&[]; N];
    let (mut start, mut index) = (0, 0);
    for end in memchr_iter(b',', line).chain([line.len()]) {
        let Some(field) = fields.get_mut(index) else { bail!("a line has too many fields") };
        *field = &line[start..end];
        start = end + 1;
        index += 1;
    }
    ensure!(index == N, "a line has too few fields");
    Ok(fields)
}

/// A number of digits only.
#[inline]
pub(super) fn number(field: &[u8]) -> Result<u64> {
    let mut number = 0_u64;
    for digit in field {
        let digit = digit.wrapping_sub(b'0');
        ensure!(digit < 10, "a field is no number");
        number = number * 10 + u64::from(digit);
    }
    Ok(number)
}

/// A time in milliseconds.
#[inline]
pub(super) fn time(field: &[u8]) -> Result<i64> {
    Ok(number(field)? as i64)
}
