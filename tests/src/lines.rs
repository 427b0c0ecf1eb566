//! What a file sink wrote, compared with what it should have written.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::oracle::Line;

/// The output of a file sink: the lines of each partition.
#[derive(Debug)]
pub struct Sink {
    parts: Vec<Vec<String>>,
}

impl Sink {
    /// Reads the folder of a sink.
    ///
    /// # Panics
    /// If it holds anything but `part-0`, `part-1` and so on, or a file does not end with a line.
    #[track_caller]
    pub fn read(folder: &Path) -> Self {
        let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        let name = |entry: std::io::Result<fs::DirEntry>| {
            entry.expect("the folder can be read").file_name().to_string_lossy().into_owned()
        };
        let found: BTreeSet<String> = entries.map(name).collect();
        let wanted: BTreeSet<String> = (0..found.len()).map(|p| format!("part-{p}")).collect();
        assert_eq!(found, wanted, "the files in {}", folder.display());
        let read = |part| {
            let text = fs::read_to_string(folder.join(format!("part-{part}")));
            let text = text.expect("output is UTF-8");
            assert!(text.is_empty() || text.ends_with('\n'), "part-{part} ends within a line");
            text.lines().map(str::to_owned).collect()
        };
        Self { parts: (0..found.len()).map(read).collect() }
    }

    /// Reads what is visible in the folder of a sink that takes part in checkpoints, whatever else
    /// is in it: of each of `parts` partitions, what it committed, in that order.
    ///
    /// # Panics
    /// If there is a partition more.
    #[track_caller]
    pub fn committed(folder: &Path, parts: usize) -> Self {
        let mut sink = Self { parts: vec![Vec::new(); parts] };
        for Committed { partition, lines, .. } in Committed::read(folder) {
            assert!(partition < parts, "there is a part-{partition} in {}", folder.display());
            sink.parts[partition].extend(lines);
        }
        sink
    }

    /// The lines of each partition.
    pub fn by_part(&self) -> &[Vec<String>] {
        &self.parts
    }

    /// How many partitions wrote.
    pub fn parts(&self) -> usize {
        self.parts.len()
    }

    /// All lines, the partitions one after the other.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().flatten().map(String::as_str)
    }

    /// All lines, sorted: for comparisons in which order has no meaning.
    pub fn sorted(&self) -> Vec<&str> {
        let mut lines: Vec<&str> = self.lines().collect();
        lines.sort_unstable();
        lines
    }

    /// Fails the test unless there are the same lines, each once, for each key in the same order
    /// and in one partition.
    #[track_caller]
    pub fn assert_equals(&self, expected: &[Line], key_of: fn(&str) -> String) {
        let mut actual: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        let mut owner: BTreeMap<String, usize> = BTreeMap::new();
        for (part, lines) in self.parts.iter().enumerate() {
            for line in lines {
                let key = key_of(line);
                let first = *owner.entry(key.clone()).or_insert(part);
                assert_eq!(first, part, "key {key:?} is in part-{first} and part-{part}");
                actual.entry(key).or_default().push(line);
            }
        }
        let mut wanted: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for Line { key, text } in expected {
            wanted.entry(key.clone()).or_default().push(text);
        }
        for (key, wanted) in &wanted {
            let actual = actual.remove(key).unwrap_or_default();
            assert_same_lines(key, &actual, wanted);
        }
        assert!(actual.is_empty(), "lines of keys that should have none: {actual:?}");
    }
}

/// What one partition committed with one checkpoint.
#[derive(Debug)]
pub struct Committed {
    /// The checkpoint, or the savepoint.
    pub checkpoint: u64,
    /// The partition.
    pub partition: usize,
    /// Its lines.
    pub lines: Vec<String>,
}

impl Committed {
    /// All visible files of a sink that takes part in checkpoints, `part-PARTITION-CHECKPOINT`, in
    /// the order of checkpoints and then of partitions.
    #[track_caller]
    pub fn read(folder: &Path) -> Vec<Self> {
        let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        let file = |entry: std::io::Result<fs::DirEntry>| {
            let entry = entry.expect("the folder can be read");
            let name = entry.file_name().to_string_lossy().into_owned();
            let (partition, checkpoint) = name.strip_prefix("part-")?.split_once('-')?;
            let text = fs::read_to_string(entry.path()).expect("output is UTF-8");
            assert!(text.is_empty() || text.ends_with('\n'), "{name} ends within a line");
            Some(Self {
                checkpoint: checkpoint.parse().expect("checkpoints have numbers"),
                partition: partition.parse().expect("partitions have numbers"),
                lines: text.lines().map(str::to_owned).collect(),
            })
        };
        let mut files: Vec<Self> = entries.filter_map(file).collect();
        files.sort_by_key(|file| (file.checkpoint, file.partition));
        files
    }
}

/// Fails the test at the first line that differs, with its neighbours.
#[track_caller]
fn assert_same_lines(key: &str, actual: &[&str], wanted: &[&str]) {
    if actual == wanted {
        return;
    }
    let same = actual.iter().zip(wanted).take_while(|(actual, wanted)| actual == wanted).count();
    let around = |lines: &[&str]| {
        let shown = lines.iter().skip(same.saturating_sub(2)).take(5);
        shown.map(|line| format!("    {line}\n")).collect::<String>()
    };
    panic!(
        "key {key:?} has {} lines instead of {}; line {same} (from 0) differs\n\
         got\n{}wanted\n{}",
        actual.len(),
        wanted.len(),
        around(actual),
        around(wanted)
    );
}

/// The key of a line that begins with it as a CSV field.
pub fn first_field(line: &str) -> String {
    let Some(quoted) = line.strip_prefix('"') else {
        return line.split(',').next().unwrap_or_default().to_owned();
    };
    let end = quoted.replace("\"\"", "..").find('"').expect("a quoted field ends");
    quoted[..end].replace("\"\"", "\"")
}

/// The key of a line `user pv: n`.
pub fn before_pv(line: &str) -> String {
    let (key, _) = line.rsplit_once(" pv: ").unwrap_or_else(|| panic!("no count in {line:?}"));
    key.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_from_lines() {
        assert_eq!(first_field("a b,1"), "a b");
        assert_eq!(first_field("\"a,\"\"b\"\"\",1"), "a,\"b\"");
        assert_eq!(before_pv("a pv: b pv: 3"), "a pv: b");
    }

    #[test]
    #[should_panic(expected = "line 1 (from 0) differs")]
    fn order_within_a_key_counts() {
        let sink = Sink { parts: vec![vec!["a,1".into(), "a,3".into(), "a,2".into()]] };
        let line = |text: &str| Line { key: "a".into(), text: text.into() };
        sink.assert_equals(&[line("a,1"), line("a,2"), line("a,3")], first_field);
    }

    #[test]
    #[should_panic(expected = "is in part-0 and part-1")]
    fn a_key_belongs_to_one_partition() {
        let sink = Sink { parts: vec![vec!["a,1".into()], vec!["a,2".into()]] };
        sink.assert_equals(&[], first_field);
    }
}
