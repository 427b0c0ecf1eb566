//! A column of byte strings in one allocation: the shape in which records cross every boundary.

/// A column of n byte strings. String i is `bytes[ends[i - 1]..ends[i]]`, as in the contract.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Packed {
    /// All strings, one after the other.
    pub bytes: Vec<u8>,
    /// Where each ends. Never decreases.
    pub ends: Vec<u32>,
}

impl Packed {
    /// An empty column with room for `strings` strings of `bytes` bytes altogether.
    pub fn with_capacity(strings: usize, bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ends: Vec::with_capacity(strings) }
    }

    /// How many strings there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Where string `index` begins.
    pub fn start(&self, index: usize) -> usize {
        if index == 0 { 0 } else { self.ends[index - 1] as usize }
    }

    /// String `index`.
    ///
    /// # Panics
    /// If there is no such string.
    pub fn get(&self, index: usize) -> &[u8] {
        &self.bytes[self.start(index)..self.ends[index] as usize]
    }

    /// Appends a string.
    ///
    /// # Panics
    /// If the column grows past 4 GiB, which batch limits keep far away.
    pub fn push(&mut self, string: &[u8]) {
        self.bytes.extend_from_slice(string);
        self.seal();
    }

    /// Ends the string whose bytes were appended to `bytes` directly.
    pub fn seal(&mut self) {
        let end = u32::try_from(self.bytes.len()).expect("a batch stays far below 4 GiB");
        self.ends.push(end);
    }

    /// Removes all strings and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// The strings in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let string = &self.bytes[start..end as usize];
            start = end as usize;
            string
        })
    }

    /// Appends strings `range` of `other`.
    pub fn extend(&mut self, other: &Packed, range: std::ops::Range<usize>) {
        if range.is_empty() {
            return;
        }
        let (from, to) = (other.start(range.start), other.ends[range.end - 1] as usize);
        let base = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes[from..to]);
        // Ends never decrease, so none is past the last.
        u32::try_from(self.bytes.len()).expect("a batch stays far below 4 GiB");
        let end = |&end: &u32| (base + end as usize - from) as u32;
        self.ends.extend(other.ends[range].iter().map(end));
    }
}

impl<S: AsRef<[u8]>> FromIterator<S> for Packed {
    fn from_iter<I: IntoIterator<Item = S>>(strings: I) -> Self {
        let mut packed = Packed::default();
        strings.into_iter().for_each(|string| packed.push(string.as_ref()));
        packed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extends_by_a_range_in_the_middle() {
        let source: Packed = ["a", "bcd", "", "ef"].into_iter().collect();
        let mut target: Packed = ["x"].into_iter().collect();
        target.extend(&source, 1..4);
        target.extend(&source, 2..2);
        let strings: Vec<&[u8]> = target.iter().collect();
        assert_eq!(strings, [b"x".as_slice(), b"bcd", b"", b"ef"]);
        assert_eq!(target.get(1), b"bcd");
    }
}
