//! Whether outputs say the same, without holding them in memory or sorting them.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::jobs::Rule;

/// What an output comes to under a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// How many lines it has.
    pub lines: u64,
    rule: Rule,
    /// The lines, or keys, that count, and the sum of their hashes.
    parts: u64,
    sum: u64,
}

impl Fingerprint {
    /// Whether two outputs are the same under their rule.
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        (self.rule, self.parts, self.sum) == (other.rule, other.parts, other.sum)
    }
}

/// Reads an output.
///
/// # Errors
/// If a file cannot be read, or a line does not fit the rule.
pub fn fingerprint(files: &[PathBuf], rule: Rule) -> Result<Fingerprint> {
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    let (mut lines, mut sum) = (0, 0_u64);
    let mut keys: HashMap<Vec<u8>, u64> = HashMap::new();
    for path in files {
        let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut reader = BufReader::with_capacity(1 << 20, file);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 {
            let text = line.strip_suffix(b"\n").unwrap_or(&line);
            lines += 1;
            match rule {
                Rule::Lines => sum = sum.wrapping_add(hasher.hash_one(text)),
                Rule::HighestOfKey => {
                    let (key, number) = key_and_number(text, b" pv: ")?;
                    let highest = keys.entry(key).or_insert(0);
                    *highest = number.max(*highest);
                }
                Rule::SumOfKey => {
                    let (key, number) = key_and_number(text, b",")?;
                    *keys.entry(key).or_insert(0) += number;
                }
            }
            line.clear();
        }
    }
    for entry in &keys {
        sum = sum.wrapping_add(hasher.hash_one(entry));
    }
    let parts = if rule == Rule::Lines { lines } else { keys.len() as u64 };
    Ok(Fingerprint { lines, rule, parts, sum })
}

/// `key` and `number` of `key SEPARATOR number`, whatever follows after a comma.
fn key_and_number(line: &[u8], separator: &[u8]) -> Result<(Vec<u8>, u64)> {
    let line = std::str::from_utf8(line)?;
    let separator = std::str::from_utf8(separator)?;
    let odd = || format!("a line that the rule does not know: {line:?}");
    let (key, rest) = line.split_once(separator).with_context(odd)?;
    let number = rest.split(',').next().unwrap_or_default();
    Ok((key.as_bytes().to_vec(), number.parse().with_context(odd)?))
}

/// The finished files of a sink, also in folders below: those whose names begin with a letter.
///
/// # Errors
/// If a folder cannot be read.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("there is no output in {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        match entry.file_type()?.is_dir() {
            true => found.append(&mut files(&entry.path())?),
            false => found.push(entry.path()),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, rule: Rule, text: &str) -> Fingerprint {
        let name = format!("tidegate-fingerprint-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        let fingerprint = fingerprint(std::slice::from_ref(&path), rule).unwrap();
        std::fs::remove_file(path).unwrap();
        fingerprint
    }

    #[test]
    fn lines_count_as_often_as_they_are_there() {
        let one = of("lines", Rule::Lines, "a\nb\na\n");
        assert!(one.says_the_same_as(&of("lines", Rule::Lines, "b\na\na\n")));
        assert!(!one.says_the_same_as(&of("lines", Rule::Lines, "a\nb\nb\n")));
        assert!(!one.says_the_same_as(&of("lines", Rule::Lines, "a\nb\n")));
    }

    #[test]
    fn keys_count_by_their_highest_number() {
        let one = of("highest", Rule::HighestOfKey, "a pv: 3\nb pv: 1\na pv: 5\n");
        assert!(one.says_the_same_as(&of("highest", Rule::HighestOfKey, "b pv: 1\na pv: 5\n")));
        assert!(!one.says_the_same_as(&of("highest", Rule::HighestOfKey, "b pv: 1\na pv: 4\n")));
        assert_eq!(one.lines, 3);
    }

    #[test]
    fn keys_count_by_their_sum() {
        let one = of("sum", Rule::SumOfKey, "1,3,0\n2,1,0\n1,2,10\n");
        assert!(one.says_the_same_as(&of("sum", Rule::SumOfKey, "1,5,10\n2,1,0\n")));
        assert!(!one.says_the_same_as(&of("sum", Rule::SumOfKey, "1,5,10\n2,2,0\n")));
    }
}
