//! Which files of a source have been read: what its position says of them, and what is new when it
//! looks again.
//!
//! In a directory that is watched a file is known by its name, its length and the time of its last
//! change, as long as it is there. So that positions stay short, of the files that were changed
//! least recently only the time of the newest is kept: what is not later counts as read.

use std::collections::{BTreeMap, BTreeSet};

use super::shelf::Found;
use crate::checkpoint::manifest::{SourcePosition, WatchedPosition};
use crate::error::{Error, ErrorKind, Result};

/// Files that a position names, at most.
const NAMED_MAX: usize = 10_000;

/// When a file was changed and its name: the order in which new files are read.
type Age = (i64, String);

/// What has been read.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// By name alone: files of a directory that is not watched.
    named: Vec<String>,
    watched: BTreeMap<String, (i64, u64)>,
    by_age: BTreeSet<Age>,
    /// Everything not later counts as read.
    before: Option<Age>,
    /// What the last look found that may still be growing.
    growing: BTreeMap<String, (i64, u64)>,
}

impl Memory {
    /// What a position says.
    ///
    /// # Errors
    /// If it is not one that was written.
    pub(super) fn restored(from: &SourcePosition) -> Result<Self> {
        let mut memory = Self { named: from.done.clone(), ..Self::default() };
        let Some(watched) = &from.watched else { return Ok(memory) };
        for line in &watched.read {
            let (modified_ns, bytes, name) = parse(line)?;
            memory.insert(&Found { name, bytes, modified_ns });
        }
        if let Some(line) = &watched.before {
            let (modified_ns, _, name) = parse(line)?;
            memory.before = Some((modified_ns, name));
        }
        Ok(memory)
    }

    /// Adds what has been read to a position.
    pub(super) fn tell(&self, watches: bool, position: &mut SourcePosition) {
        position.done.clone_from(&self.named);
        if !watches {
            position.done.extend(self.watched.keys().cloned());
            return;
        }
        let line = |(name, (modified_ns, bytes)): (&String, &(i64, u64))| {
            format!("{modified_ns} {bytes} {name}")
        };
        position.watched = Some(WatchedPosition {
            read: self.watched.iter().map(line).collect(),
            before: self
                .before
                .as_ref()
                .map(|(modified_ns, name)| format!("{modified_ns} 0 {name}")),
        });
    }

    fn insert(&mut self, file: &Found) {
        let now = (file.modified_ns, file.bytes);
        if let Some((modified_ns, _)) = self.watched.insert(file.name.clone(), now) {
            self.by_age.remove(&(modified_ns, file.name.clone()));
        }
        self.by_age.insert((file.modified_ns, file.name.clone()));
    }

    fn forget(&mut self, name: &str) {
        if let Some((modified_ns, _)) = self.watched.remove(name) {
            self.by_age.remove(&(modified_ns, name.to_owned()));
        }
    }

    /// Takes note that a file has been read, as it was when it was found.
    pub(super) fn add(&mut self, file: &Found, watches: bool) {
        if !watches {
            self.named.push(file.name.clone());
            return;
        }
        self.insert(file);
        while self.watched.len() > NAMED_MAX {
            let Some(oldest) = self.by_age.pop_first() else { return };
            self.watched.remove(&oldest.1);
            self.before = self.before.take().max(Some(oldest));
        }
    }

    /// Whether nothing has been read.
    pub(super) fn is_empty(&self) -> bool {
        self.named.is_empty() && self.watched.is_empty()
    }

    /// The files that have not been read, in no order.
    pub(super) fn unread(&self, found: Vec<Found>) -> Vec<Found> {
        let is_read =
            |file: &Found| self.named.contains(&file.name) || self.watched.contains_key(&file.name);
        found.into_iter().filter(|file| !is_read(file)).collect()
    }

    /// What is new in a directory that is watched, in the order in which it is read, and the names
    /// of files that have changed after they were read. A file that may still be written to, since
    /// it was not the same at the last look, is not there yet, unless all files are whole.
    pub(super) fn news(&mut self, found: Vec<Found>, are_whole: bool) -> (Vec<Found>, Vec<String>) {
        let (mut new, mut changed, mut growing) = (Vec::new(), Vec::new(), BTreeMap::new());
        let mut there = BTreeSet::new();
        for file in found {
            there.insert(file.name.clone());
            let now = (file.modified_ns, file.bytes);
            if let Some(then) = self.watched.get(&file.name) {
                if *then != now {
                    self.insert(&file);
                    changed.push(file.name);
                }
            } else if self.named.contains(&file.name) || self.counts_as_read(&file) {
                // Read by a job that did not watch, or so long ago that its name is forgotten.
            } else if are_whole || self.growing.get(&file.name) == Some(&now) {
                new.push(file);
            } else {
                growing.insert(file.name, now);
            }
        }
        self.growing = growing;
        let gone: Vec<String> =
            self.watched.keys().filter(|name| !there.contains(*name)).cloned().collect();
        gone.iter().for_each(|name| self.forget(name));
        self.named.retain(|name| there.contains(name));
        new.sort_unstable_by(|a, b| (a.modified_ns, &a.name).cmp(&(b.modified_ns, &b.name)));
        (new, changed)
    }

    fn counts_as_read(&self, file: &Found) -> bool {
        let age = (file.modified_ns, &file.name);
        self.before.as_ref().is_some_and(|(modified_ns, name)| age <= (*modified_ns, name))
    }
}

/// Reads `MODIFIED_NS BYTES NAME`.
fn parse(line: &str) -> Result<(i64, u64, String)> {
    let mut words = line.splitn(3, ' ');
    let mut word = || words.next();
    let parsed = (|| Some((word()?.parse().ok()?, word()?.parse().ok()?, word()?.to_owned())))();
    parsed.ok_or_else(|| {
        let message = format!("the checkpoint has {line:?} as a file that was read");
        Error::new(ErrorKind::Corruption, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, modified_ns: i64) -> Found {
        Found { name: name.into(), bytes: 3, modified_ns }
    }

    fn names(files: &[Found]) -> Vec<&str> {
        files.iter().map(|file| file.name.as_str()).collect()
    }

    fn after_a_restart(memory: &Memory) -> Memory {
        let mut position = SourcePosition::default();
        memory.tell(true, &mut position);
        Memory::restored(&position).expect("it was written just now")
    }

    #[test]
    fn new_files_come_by_age_once_they_have_stopped_to_grow() {
        let mut memory = Memory::default();
        let longer = Found { bytes: 4, ..file("c", 1) };
        assert!(memory.news(vec![file("b", 5), file("a", 5), file("c", 1)], false).0.is_empty());
        let (new, changed) = memory.news(vec![file("b", 5), file("a", 5), longer.clone()], false);
        assert_eq!((names(&new), changed.len()), (vec!["a", "b"], 0));
        new.iter().for_each(|file| memory.add(file, true));
        let (new, _) = memory.news(vec![file("b", 5), file("a", 5), longer], false);
        assert_eq!(names(&new), ["c"]);
    }

    #[test]
    fn what_was_read_is_known_after_a_restart() {
        let mut memory = Memory::default();
        for name in ["a b", "c"] {
            memory.add(&file(name, 7), true);
        }
        let mut memory = after_a_restart(&memory);
        let look = || vec![file("a b", 7), file("c", 8), file("old", 1)];
        assert_eq!(memory.news(look(), false), (Vec::new(), vec!["c".to_owned()]));
        // An older one is as new as any other, and what has changed is told once.
        assert_eq!(memory.news(look(), false), (vec![file("old", 1)], Vec::new()));
        // What is gone is forgotten: its name may come again.
        memory.news(vec![file("c", 8)], false);
        assert_eq!(memory.watched.len(), 1);
    }

    #[test]
    fn positions_stay_short() {
        let mut memory = Memory::default();
        for number in 0..NAMED_MAX as i64 + 5 {
            memory.add(&file("x", number).renamed(number), true);
        }
        let mut memory = after_a_restart(&memory);
        assert_eq!((memory.watched.len(), memory.by_age.len()), (NAMED_MAX, NAMED_MAX));
        let forgotten = || vec![file("x", 4).renamed(4), file("y", 4), file("w", 4)];
        memory.news(forgotten(), false);
        // `x4` was read; `w` sorts before it and counts as read, `y` does not.
        assert_eq!(names(&memory.news(forgotten(), true).0), ["y"]);
    }

    impl Found {
        fn renamed(self, number: i64) -> Self {
            Self { name: format!("{}{number}", self.name), ..self }
        }
    }

    #[test]
    fn a_position_that_is_none_is_refused() {
        let watched = |read: &str| SourcePosition {
            watched: Some(WatchedPosition { read: vec![read.into()], before: None }),
            ..SourcePosition::default()
        };
        for read in ["", "1 2", "a 2 x"] {
            let error = Memory::restored(&watched(read)).expect_err(read);
            assert_eq!(error.kind, ErrorKind::Corruption);
        }
    }
}
