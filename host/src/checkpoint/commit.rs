//! Makes prepared output visible. Every step can be repeated: a restore does so, since it cannot
//! know how far the commit came before the crash.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind::NotFound;
use std::sync::Arc;

use super::committer::LoggedSink;
use super::manifest::{PreparedOutput, SourcePosition, SourceState};
use super::storage::Storage;
use crate::error::{Error, ErrorKind, Result};

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
        let files = folder.list("part-").map_err(|cause| {
            Error::storage(format!("cannot list {}", folder.root())).caused_by(cause)
        })?;
        let names = files.into_iter().map(|file| file.name);
        let is_later = |name: &String| checkpoint_of(name).is_some_and(|id| id > after);
        Ok(names.filter(|name| !name.contains('/') && (after == 0 || is_later(name))).collect())
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
            let removed = folder.list(".part-").and_then(|files| {
                let left = files.iter().filter(|file| !is_held(&file.name));
                left.map(|file| folder.delete(&file.name)).collect::<std::io::Result<()>>()?;
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

/// The checkpoint that a visible file was committed with: `part-PARTITION-CHECKPOINT`.
fn checkpoint_of(name: &str) -> Option<u64> {
    let (_partition, checkpoint) = name.strip_prefix("part-")?.split_once('-')?;
    checkpoint.parse().ok()
}
