//! Cuts what is read into lines, with a bound on their length: a longer line is passed over, its
//! beginning kept.

use memchr::memchr;

use super::Next;

/// How much of a line that is too long is kept for messages and dead letters.
pub(super) const BEGINNING_BYTES: usize = 1024;

/// Bytes that were read but not yet given out as lines.
#[derive(Debug)]
pub(super) struct LineBuffer {
    bytes: Vec<u8>,
    /// Where in the split the first byte of the buffer is.
    base: u64,
    /// Where the next line begins.
    start: usize,
    /// Up to here there is no line end.
    searched: usize,
    line: u64,
    line_bytes_max: usize,
    /// If the current line is too long: how many of its bytes have been dropped. Its beginning
    /// stays.
    dropped: Option<u64>,
}

/// A line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Where it is in the buffer, and its number.
    Whole(std::ops::Range<usize>, u64),
    /// Where its beginning is, its number, and its bytes in all.
    TooLong(std::ops::Range<usize>, u64, u64),
}

impl LineBuffer {
    /// An empty buffer for lines of at most that many bytes.
    pub(super) fn new(line_bytes_max: usize) -> Self {
        Self {
            bytes: Vec::new(),
            base: 0,
            start: 0,
            searched: 0,
            line: 0,
            line_bytes_max,
            dropped: None,
        }
    }

    /// Starts over with line 1 of another split.
    pub(super) fn reset(&mut self) {
        *self = Self { bytes: std::mem::take(&mut self.bytes), ..Self::new(self.line_bytes_max) };
        self.bytes.clear();
    }

    /// Starts over after line `line` of a split, with what begins at `offset`.
    pub(super) fn go_on(&mut self, offset: u64, line: u64) {
        self.reset();
        self.base = offset;
        self.line = line;
    }

    /// Where in the split the next line begins, and how many lines came before it.
    pub(super) fn place(&self) -> (u64, u64) {
        (self.base + self.start as u64, self.line)
    }

    /// A line as a connector gives it.
    pub(super) fn give(&self, line: Line) -> Next<'_> {
        match line {
            Line::Whole(range, number) => Next::Line(&self.bytes[range], number),
            Line::TooLong(range, number, bytes) => Next::TooLong(&self.bytes[range], number, bytes),
        }
    }

    /// The next line whose end has been read.
    pub(super) fn next_line(&mut self) -> Option<Line> {
        let length = memchr(b'\n', &self.bytes[self.searched..]);
        let Some(length) = length else {
            self.searched = self.bytes.len();
            self.drop_excess();
            return None;
        };
        let end = self.searched + length;
        let line = self.cut(end);
        self.start = end + 1;
        self.searched = self.start;
        Some(line)
    }

    /// The last line, if the input ends without a line end.
    pub(super) fn last_line(&mut self) -> Option<Line> {
        let end = self.bytes.len();
        if self.start == end && self.dropped.is_none() {
            return None;
        }
        let line = self.cut(end);
        self.start = end;
        self.searched = end;
        Some(line)
    }

    fn cut(&mut self, end: usize) -> Line {
        self.line += 1;
        let dropped = self.dropped.take();
        self.base += dropped.unwrap_or(0);
        let length = (end - self.start) as u64 + dropped.unwrap_or(0);
        if dropped.is_none() && length <= self.line_bytes_max as u64 {
            return Line::Whole(self.start..end, self.line);
        }
        let beginning = self.start..end.min(self.start + BEGINNING_BYTES);
        Line::TooLong(beginning, self.line, length)
    }

    /// Keeps only the beginning of a line that is already too long.
    fn drop_excess(&mut self) {
        let length = self.bytes.len() - self.start;
        if self.dropped.is_none() && length <= self.line_bytes_max {
            return;
        }
        let kept = length.min(BEGINNING_BYTES);
        self.bytes.truncate(self.start + kept);
        self.searched = self.bytes.len();
        *self.dropped.get_or_insert(0) += (length - kept) as u64;
    }

    /// Makes room and lets `read` append to the buffer. Lines given out before are gone.
    pub(super) fn fill<T>(&mut self, read: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        self.base += self.start as u64;
        self.bytes.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        read(&mut self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `input` in chunks of `chunk` bytes.
    fn lines(input: &[u8], chunk: usize, line_bytes_max: usize) -> Vec<String> {
        let mut buffer = LineBuffer::new(line_bytes_max);
        let mut lines = Vec::new();
        let show = |buffer: &LineBuffer, line| match buffer.give(line) {
            Next::Line(line, number) => format!("{number} {}", String::from_utf8_lossy(line)),
            Next::TooLong(line, number, bytes) => {
                format!("{number} {} of {bytes}", String::from_utf8_lossy(line))
            }
            other => panic!("{other:?} is no line"),
        };
        for chunk in input.chunks(chunk) {
            buffer.fill(|bytes| bytes.extend_from_slice(chunk));
            while let Some(line) = buffer.next_line() {
                lines.push(show(&buffer, line));
                let (offset, before) = buffer.place();
                assert_eq!(before, lines.len() as u64);
                let ends = input.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
                let end = ends.map(|(at, _)| at as u64 + 1).nth(lines.len() - 1);
                assert_eq!(Some(offset), end, "a line begins after the end of the one before");
            }
        }
        if let Some(line) = buffer.last_line() {
            lines.push(show(&buffer, line));
        }
        lines
    }

    #[test]
    fn cuts_lines_whatever_the_chunks() {
        for chunk in 1..12 {
            assert_eq!(lines(b"ab\n\nc", chunk, 10), ["1 ab", "2 ", "3 c"]);
            assert_eq!(lines(b"ab\n", chunk, 10), ["1 ab"]);
            assert!(lines(b"", chunk, 10).is_empty());
        }
    }

    #[test]
    fn passes_over_lines_that_are_too_long() {
        let long = "x".repeat(5000);
        let input = format!("abc\nabcd\n{long}\nab\n{long}");
        for chunk in [1, 7, 100, 20_000] {
            let lines = lines(input.as_bytes(), chunk, 3);
            let beginning = "x".repeat(BEGINNING_BYTES);
            let expected = [
                "1 abc".to_string(),
                "2 abcd of 4".to_string(),
                format!("3 {beginning} of 5000"),
                "4 ab".to_string(),
                format!("5 {beginning} of 5000"),
            ];
            assert_eq!(lines, expected, "chunks of {chunk}");
        }
    }

    #[test]
    fn a_long_line_takes_no_memory() {
        let mut buffer = LineBuffer::new(1 << 20);
        for _ in 0..100 {
            buffer.fill(|bytes| bytes.extend_from_slice(&[b'x'; 1 << 20]));
            assert_eq!(buffer.next_line(), None);
        }
        assert!(buffer.bytes.capacity() < 8 << 20);
        let Some(Line::TooLong(_, 1, bytes)) = buffer.last_line() else { panic!("it is too long") };
        assert_eq!(bytes, 100 << 20);
    }
}
