//! Makes prepared output visible. Every step can be repeated: a restore does so, since it cannot
//! know how far the commit came before the crash.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind::NotFound;
use std::sync::Arc;

use super::committer::LoggedSink;
use super::manifest::{PreparedOutput, SourcePosition, SourceState};
use super::storage::Storage;
use crate::error::{Error, ErrorKind, Result};
use crate::model::FolderPattern;

/// What the names of visible output begin with.
const PART: &str = "part-";

/// What the names of prepared output begin with.
const HIDDEN: &str = ".part-";

/// Tells an external system how far a source has come. The job goes on from its own checkpoints,
/// whatever becomes of that.
pub trait Monitor: Send + Sync {
    /// A checkpoint is complete, with the source at this position.
    fn completed(&self, position: &SourcePosition);
}

/// Commits the output of a job's sinks.
#[derive(Clone, Default)]
pub struct Commits {
    /// By the sink's id, the folder that its output lies in.
    pub folders: BTreeMap<String, Arc<dyn Storage>>,
    /// By the sink's id, who brings its logs to an external system.
    pub logs: BTreeMap<String, LoggedSink>,
    /// By the source's id, who tells how far it has come.
    pub monitors: BTreeMap<String, Arc<dyn Monitor>>,
    /// Of sinks that sort their output into folders below it: which ones.
    pub patterns: BTreeMap<String, FolderPattern>,
}

impl Commits {
    /// Shuts out whoever committed for these sinks before: a process that is taken for dead and is
    /// not must not add to what this one goes on from.
    ///
    /// # Errors
    /// If an external system cannot be reached, or refuses.
    pub fn claim(&self) -> Result<()> {
        self.logs.values().try_for_each(LoggedSink::claim)
    }

    /// Makes output visible, after removing what it replaces.
    ///
    /// # Errors
    /// If a folder fails, or if prepared output is neither there nor committed already.
    pub fn commit(&self, outputs: &[&PreparedOutput]) -> Result<()> {
        for output in outputs {
            if let PreparedOutput::Replace { sink, after } = output {
                self.replace(sink, *after, outputs)?;
            }
        }
        for output in outputs {
            if let PreparedOutput::File { sink, from, to } = output {
                self.rename(sink, from, to)?;
            }
        }
        for output in outputs {
            if let PreparedOutput::Log { sink, .. } = output
                && !self.logs.contains_key(sink)
            {
                return Err(lacks(sink, "give the job a sink of that id, to the same system"));
            }
        }
        self.logs.iter().try_for_each(|(sink, logged)| logged.commit(sink, outputs))
    }

    /// Tells how far sources had come with a checkpoint that is complete.
    pub fn completed(&self, sources: &[SourceState]) {
        for source in sources {
            if let Some(monitor) = self.monitors.get(&source.id) {
                monitor.completed(&source.position);
            }
        }
    }

    /// The last checkpoint whose output a sink's external system has; none if there is none, or if
    /// the sink has no such system.
    ///
    /// # Errors
    /// If the system cannot be reached.
    pub fn committed_last(&self, sink: &str) -> Result<Option<u64>> {
        let Some(logged) = self.logs.get(sink) else { return Ok(None) };
        Ok(logged.committed()?.map(|marker| marker.checkpoint))
    }

    fn folder(&self, sink: &str) -> Result<&dyn Storage> {
        let hint = "give the job a sink of that id, writing to the same folder";
        self.folders.get(sink).map(|folder| &**folder).ok_or_else(|| lacks(sink, hint))
    }

    fn rename(&self, sink: &str, from: &str, to: &str) -> Result<()> {
        let folder = self.folder(sink)?;
        let renamed = match folder.rename(from, to) {
            Err(cause) if cause.kind() == NotFound => match folder.open(to) {
                // It was committed before. Whether for good is not known: whoever did so may have
                // failed right after.
                Ok(_) => folder.settle(to),
                Err(cause) if cause.kind() == NotFound => {
                    let message = format!(
                        "output that sink {sink:?} had prepared is gone: neither {from} nor {to} \
                         is in {}",
                        folder.root()
                    );
                    return Err(Error::new(ErrorKind::Corruption, message));
                }
                Err(cause) => Err(cause),
            },
            renamed => renamed,
        };
        renamed.map_err(|cause| {
            let message = format!("cannot rename {from} to {to} in {}", folder.root());
            Error::storage(message).caused_by(cause)
        })
    }

    /// The names of a sink's visible output: of all of it, or of what was committed with later
    /// checkpoints than `after`, if that is above 0.
    ///
    /// # Errors
    /// If there is no such sink, or if its folder fails.
    pub fn output_after(&self, sink: &str, after: u64) -> Result<Vec<String>> {
        let folder = self.folder(sink)?;
        let pattern = self.patterns.get(sink);
        let prefix = if pattern.is_some() { "" } else { PART };
        let files = folder.list(prefix).map_err(|cause| {
            Error::storage(format!("cannot list {}", folder.root())).caused_by(cause)
        })?;
        let names = files.into_iter().map(|file| file.name);
        let is_later = |name: &str| checkpoint_of(name).is_some_and(|id| id > after);
        let is_wanted = |name: &String| is_output(name, pattern) && (after == 0 || is_later(name));
        Ok(names.filter(is_wanted).collect())
    }

    /// Removes visible output: that of earlier runs, or that of later checkpoints than `after`.
    fn replace(&self, sink: &str, after: u64, outputs: &[&PreparedOutput]) -> Result<()> {
        // Files of this very commit are there already if it is repeated.
        let kept: BTreeSet<&str> = outputs
            .iter()
            .filter_map(|output| match output {
                PreparedOutput::File { sink: other, to, .. } if other == sink => Some(to.as_str()),
                _ => None,
            })
            .collect();
        let folder = self.folder(sink)?;
        let old = self.output_after(sink, after)?;
        let mut old = old.iter().filter(|name| !kept.contains(name.as_str()));
        old.try_for_each(|name| folder.delete(name)).map_err(|cause| {
            let message = format!("cannot remove earlier output in {}", folder.root());
            Error::storage(message).caused_by(cause)
        })
    }

    /// Removes prepared output that will never be committed: what an attempt left that ended, but
    /// for `held`, which waits.
    ///
    /// # Errors
    /// If a folder fails.
    pub fn remove_leftovers(&self, held: &[PreparedOutput]) -> Result<()> {
        for (sink, folder) in &self.folders {
            let is_held = |name: &str| {
                let is_it = |output: &PreparedOutput| match output {
                    PreparedOutput::File { sink: of, from, .. } => of == sink && from == name,
                    PreparedOutput::Log { .. } | PreparedOutput::Replace { .. } => false,
                };
                held.iter().any(is_it)
            };
            let pattern = self.patterns.get(sink);
            let prefix = if pattern.is_some() { "" } else { HIDDEN };
            let removed = folder.list(prefix).and_then(|files| {
                let mut left = files
                    .iter()
                    .filter(|file| is_named(&file.name, HIDDEN, pattern) && !is_held(&file.name));
                left.try_for_each(|file| folder.delete(&file.name))?;
                folder.remove_unfinished()
            });
            removed.map_err(|cause| {
                let message = format!("cannot remove unfinished output in {}", folder.root());
                Error::storage(message).caused_by(cause)
            })?;
        }
        self.logs.iter().try_for_each(|(sink, logged)| logged.remove_leftovers(sink, held))
    }
}

fn lacks(sink: &str, hint: &str) -> Error {
    let message = format!("there is output to commit of sink {sink:?}, which the job lacks");
    Error::input(message).hint(hint)
}

/// Whether a sink's folder has this name as output. Other sinks and people may have folders below
/// it: only those that the sink's own pattern makes count.
pub fn is_output(name: &str, pattern: Option<&FolderPattern>) -> bool {
    is_named(name, PART, pattern)
}

/// Whether a file of a sink has a name that begins so.
fn is_named(name: &str, beginning: &str, pattern: Option<&FolderPattern>) -> bool {
    match name.rsplit_once('/') {
        None => name.starts_with(beginning),
        Some((folder, file)) => {
            file.starts_with(beginning) && pattern.is_some_and(|pattern| pattern.makes(folder))
        }
    }
}

/// The checkpoint that a visible file was committed with: `part-PARTITION-CHECKPOINT`, or
/// `FOLDER/part-PARTITION-CHECKPOINT-NUMBER`.
fn checkpoint_of(name: &str) -> Option<u64> {
    let file = name.rsplit_once('/').map_or(name, |(_folder, file)| file);
    let (_partition, rest) = file.strip_prefix(PART)?.split_once('-')?;
    let checkpoint = rest.split_once('-').map_or(rest, |(checkpoint, _number)| checkpoint);
    checkpoint.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::storage::{MemoryStorage, put};

    #[test]
    fn names_of_output_tell_their_checkpoint() {
        for (name, checkpoint) in [
            ("part-0-7", Some(7)),
            ("part-0-7-12", Some(7)),
            ("2026-11-26/14/part-3-17-2", Some(17)),
            ("part-0", None),
            ("part-x-y", None),
        ] {
            assert_eq!(checkpoint_of(name), checkpoint, "{name}");
        }
    }

    #[test]
    fn only_a_sinks_own_folders_hold_its_output() {
        let storage = Arc::new(MemoryStorage::default());
        let names = ["part-0-1", "2026-11-26/part-0-2-0", "late/part-0-2", "2026-11-26/notes"];
        names.iter().for_each(|name| put(&*storage, name, b"x").expect("memory takes it"));
        let mut commits = Commits::default();
        commits.folders.insert("out".into(), storage.clone());
        assert_eq!(commits.output_after("out", 0).expect("listed"), ["part-0-1"]);
        let pattern = FolderPattern::parse("%Y-%m-%d").expect("it is one");
        commits.patterns.insert("out".into(), pattern);
        let own = ["2026-11-26/part-0-2-0", "part-0-1"];
        assert_eq!(commits.output_after("out", 0).expect("listed"), own);
        assert_eq!(commits.output_after("out", 1).expect("listed"), own[..1]);
        let all = PreparedOutput::Replace { sink: "out".into(), after: 0 };
        commits.commit(&[&all]).expect("memory forgets");
        let left: Vec<String> =
            storage.list("").expect("listed").into_iter().map(|file| file.name).collect();
        assert_eq!(left, ["2026-11-26/notes", "late/part-0-2"]);
        let hidden = [".part-0-after-2-0", "2026-11-26/.part-0-after-2-1", "late/.part-0-after-2"];
        hidden.iter().for_each(|name| put(&*storage, name, b"x").expect("memory takes it"));
        commits.remove_leftovers(&[]).expect("memory forgets");
        let left: Vec<String> =
            storage.list("").expect("listed").into_iter().map(|file| file.name).collect();
        assert_eq!(left, ["2026-11-26/notes", "late/.part-0-after-2", "late/part-0-2"]);
    }
}
