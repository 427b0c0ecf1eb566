//! Makes prepared output visible. Every step can be repeated: a restore does so, since it cannot
//! know how far the commit came before the crash.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind::NotFound;
use std::sync::Arc;

use super::manifest::PreparedOutput;
use super::storage::Storage;
use crate::error::{Error, ErrorKind, Result};

/// Commits the output of a job's sinks.
#[derive(Clone, Default)]
pub struct Commits {
    /// By the sink's id, the folder that its output lies in.
    pub folders: BTreeMap<String, Arc<dyn Storage>>,
}

impl Commits {
    /// Makes output visible, after removing what it replaces.
    ///
    /// # Errors
    /// If a folder fails, or if prepared output is neither there nor committed already.
    pub fn commit(&self, outputs: &[&PreparedOutput]) -> Result<()> {
        for output in outputs {
            if let PreparedOutput::Replace { sink } = output {
                self.replace(sink, outputs)?;
            }
        }
        for output in outputs {
            if let PreparedOutput::File { sink, from, to } = output {
                self.rename(sink, from, to)?;
            }
        }
        Ok(())
    }

    fn folder(&self, sink: &str) -> Result<&dyn Storage> {
        self.folders.get(sink).map(|folder| &**folder).ok_or_else(|| {
            let message =
                format!("there is output to commit of sink {sink:?}, which the job lacks");
            Error::input(message).hint("give the job a sink of that id, writing to the same folder")
        })
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

    /// Removes the visible output of earlier runs.
    fn replace(&self, sink: &str, outputs: &[&PreparedOutput]) -> Result<()> {
        let folder = self.folder(sink)?;
        // Files of this very commit are there already if it is repeated.
        let kept: BTreeSet<&str> = outputs
            .iter()
            .filter_map(|output| match output {
                PreparedOutput::File { sink: other, to, .. } if other == sink => Some(to.as_str()),
                _ => None,
            })
            .collect();
        let removed = folder.list("part-").and_then(|files| {
            let old = files.iter().filter(|file| !kept.contains(file.name.as_str()));
            old.filter(|file| !file.name.contains('/'))
                .try_for_each(|file| folder.delete(&file.name))
        });
        removed.map_err(|cause| {
            let message = format!("cannot remove earlier output in {}", folder.root());
            Error::storage(message).caused_by(cause)
        })
    }

    /// Removes prepared output that will never be committed: what an attempt left that ended.
    ///
    /// # Errors
    /// If a folder fails.
    pub fn remove_leftovers(&self) -> Result<()> {
        for folder in self.folders.values() {
            let removed = folder.list(".part-").and_then(|files| {
                files.iter().try_for_each(|file| folder.delete(&file.name))?;
                folder.remove_unfinished()
            });
            removed.map_err(|cause| {
                let message = format!("cannot remove unfinished output in {}", folder.root());
                Error::storage(message).caused_by(cause)
            })?;
        }
        Ok(())
    }
}
