//! The output of the function `count`, whose lines say themselves whether any is missing or there
//! twice: the counts of a key go up by one from 1.

use std::collections::BTreeMap;

/// The lines of visible files of a sink that takes part in checkpoints, by file, in the order in
/// which they were committed. Files of other names are passed over.
///
/// # Panics
/// If a visible file is not called `part-PARTITION-CHECKPOINT` or
/// `FOLDER/part-PARTITION-CHECKPOINT-NUMBER`.
pub fn in_order_of_commits(files: impl IntoIterator<Item = (String, String)>) -> Vec<String> {
    let mut visible: Vec<((u64, u64, u64), String)> = files
        .into_iter()
        .filter_map(|(name, text)| {
            let file = name.rsplit('/').next().unwrap_or(&name);
            let mut numbers = file.strip_prefix("part-")?.split('-');
            let mut number = || numbers.next().map(|text| text.parse().expect("a number"));
            let (partition, checkpoint) = (number(), number());
            let place = (checkpoint.expect("a checkpoint"), partition.expect("a partition"));
            Some(((place.0, place.1, number().unwrap_or(0)), text))
        })
        .collect();
    visible.sort();
    visible.into_iter().map(|(_, text)| text).collect()
}

/// Whether there is one line for each record, and the counts of each key are in order.
///
/// # Errors
/// With what is wrong.
pub fn check(files: &[String], records: u64) -> Result<(), String> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for line in files.iter().flat_map(|text| text.lines()) {
        let (key, count) = line.rsplit_once(',').ok_or(format!("{line:?} is not key,count"))?;
        let before = counts.entry(key).or_default();
        *before += 1;
        if count != before.to_string() {
            return Err(format!("{line:?} stands where {key} should have {before}"));
        }
    }
    let lines: u64 = counts.values().sum();
    if lines == records { Ok(()) } else { Err(format!("{records} records have {lines} lines")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_are_in_the_order_of_checkpoints() {
        let names = ["part-0-10", "part-1-9", ".part-0-after-10", "part-0-9"];
        let files = names.map(|name| (name.to_owned(), name.to_owned()));
        assert_eq!(in_order_of_commits(files), ["part-0-9", "part-1-9", "part-0-10"]);
        let names = ["b/part-0-9-1", "part-0-10-0", "a/part-0-9-10", "part-0-9-2"];
        let files = names.map(|name| (name.to_owned(), name.to_owned()));
        let sorted = ["b/part-0-9-1", "part-0-9-2", "a/part-0-9-10", "part-0-10-0"];
        assert_eq!(in_order_of_commits(files), sorted);
    }

    #[test]
    fn finds_what_is_missing_or_there_twice() {
        let check = |text: &str, records| check(&[text.to_owned()], records);
        assert_eq!(check("a,1\nb,1\na,2\n", 3), Ok(()));
        for (text, records) in [("a,1\n", 2), ("a,1\na,1\n", 2), ("a,2\n", 1), ("a,1\na,3\n", 2)] {
            assert!(check(text, records).is_err(), "{text:?}");
        }
    }
}
