//! Sinks: writers within the task whose records they take.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::connectors::{file_sink::FileWriter, stdout::StdoutWriter};
use super::{NodeMetrics, StopFlag};
use crate::error::{Error, Result};
use crate::job::plan::{SinkConnector, SinkPlan};
use crate::model::Batch;

/// A file that is complete but not yet visible under its final name.
#[derive(Debug)]
pub struct PendingFile {
    /// Where it is.
    pub from: PathBuf,
    /// Where it belongs.
    pub to: PathBuf,
}

/// The files that wait for the job to end well. Those that still wait when the job is gone are
/// removed.
#[derive(Debug, Clone, Default)]
pub struct PendingFiles {
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Debug, Default)]
struct Waiting {
    files: Vec<PendingFile>,
    /// Directories whose output of an earlier run gives way.
    replaced: Vec<PathBuf>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        for file in &self.files {
            // If it cannot be removed it stays hidden, and the next run writes over it.
            let _ = std::fs::remove_file(&file.from);
        }
    }
}

impl PendingFiles {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("nobody panics with this lock")
    }

    /// Adds a file.
    pub(super) fn add(&self, file: PendingFile) {
        self.waiting().files.push(file);
    }

    /// Makes all files visible under their final names, and removes what they replace.
    ///
    /// # Errors
    /// If a file cannot be renamed or removed, or a directory not be synced; what comes after it
    /// stays invisible.
    pub fn commit(&self) -> Result<()> {
        let mut waiting = self.waiting();
        let committed: Vec<PathBuf> = waiting.files.iter().map(|file| file.to.clone()).collect();
        while let Some(PendingFile { from, to }) = waiting.files.last() {
            let renamed = std::fs::rename(from, to).and_then(|()| to.parent().map_or(Ok(()), sync));
            renamed.map_err(|cause| {
                let (from, to) = (from.display(), to.display());
                Error::storage(format!("cannot rename {from} to {to}")).caused_by(cause)
            })?;
            waiting.files.pop();
        }
        for directory in waiting.replaced.drain(..) {
            remove_other_parts(&directory, &committed).map_err(|cause| {
                let directory = directory.display();
                Error::storage(format!("cannot remove earlier output in {directory}"))
                    .caused_by(cause)
            })?;
        }
        Ok(())
    }
}

fn sync(directory: &Path) -> std::io::Result<()> {
    std::fs::File::open(directory)?.sync_all()
}

/// Removes the output files in a directory that are not among `kept`.
fn remove_other_parts(directory: &Path, kept: &[PathBuf]) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.as_encoded_bytes().to_vec());
        let is_part = name.is_some_and(|name| name.starts_with(b"part-"));
        if is_part && !kept.contains(&path) {
            std::fs::remove_file(path)?;
        }
    }
    sync(directory)
}

/// The writer of one partition of a sink.
#[derive(Debug)]
pub struct SinkWriter {
    writer: Writer,
    metrics: Arc<NodeMetrics>,
}

#[derive(Debug)]
enum Writer {
    File(FileWriter),
    Stdout(StdoutWriter),
    Discard,
}

/// Opens partition `partition` of a sink.
///
/// # Errors
/// If its file cannot be made.
pub fn open_sink(
    plan: &SinkPlan,
    partition: u32,
    pending: &PendingFiles,
    metrics: Arc<NodeMetrics>,
    stop: &Arc<StopFlag>,
) -> Result<SinkWriter> {
    let writer = match &plan.connector {
        SinkConnector::File { path, replace } => {
            if *replace && partition == 0 {
                pending.waiting().replaced.push(path.clone());
            }
            Writer::File(FileWriter::create(path, partition, pending.clone())?)
        }
        SinkConnector::Stdout => Writer::Stdout(StdoutWriter::new(stop.clone())),
        SinkConnector::Discard => Writer::Discard,
    };
    Ok(SinkWriter { writer, metrics })
}

impl SinkWriter {
    /// Writes the records of a batch, a line each.
    pub(super) fn write(&mut self, batch: &Batch) -> Result<()> {
        NodeMetrics::add(&self.metrics.records_in, batch.len());
        match &mut self.writer {
            Writer::File(file) => file.write(batch),
            Writer::Stdout(stdout) => stdout.write(batch),
            Writer::Discard => Ok(()),
        }
    }

    /// Makes what was written visible, where it becomes visible record by record.
    pub(super) fn flush(&mut self) -> Result<()> {
        match &mut self.writer {
            Writer::Stdout(stdout) => stdout.flush(),
            Writer::File(_) | Writer::Discard => Ok(()),
        }
    }

    /// Completes the output, which becomes visible when the job ends well.
    pub(super) fn finish(&mut self) -> Result<()> {
        match &mut self.writer {
            Writer::File(file) => file.finish(),
            Writer::Stdout(stdout) => stdout.flush(),
            Writer::Discard => Ok(()),
        }
    }
}

/// Appends the records of a batch to `bytes`, a line each.
pub(super) fn append_lines(bytes: &mut Vec<u8>, batch: &Batch) {
    bytes.reserve(batch.values.bytes.len() + batch.len());
    for value in batch.values.iter() {
        bytes.extend_from_slice(value);
        bytes.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory of its own under the system's, removed at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = format!("tidegate-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(folder);
            std::fs::create_dir_all(&path).expect("a temporary folder");
            Self(path)
        }

        fn names(&self) -> Vec<String> {
            let entries = std::fs::read_dir(&self.0).expect("it is there");
            let name = |entry: std::io::Result<std::fs::DirEntry>| {
                entry.expect("readable").file_name().to_string_lossy().into_owned()
            };
            let mut names: Vec<String> = entries.map(name).collect();
            names.sort();
            names
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn finished(folder: &Folder, partition: u32, pending: &PendingFiles) {
        let mut file = FileWriter::create(&folder.0, partition, pending.clone()).expect("made");
        file.finish().expect("finished");
    }

    #[test]
    fn what_is_committed_replaces_all_parts_of_an_earlier_run() {
        let folder = Folder::new("replace");
        for name in ["part-0", "part-1", "part-2", "notes.txt"] {
            std::fs::write(folder.0.join(name), "old").expect("written");
        }
        let pending = PendingFiles::default();
        pending.waiting().replaced.push(folder.0.clone());
        finished(&folder, 0, &pending);
        assert_eq!(folder.names().len(), 5, "nothing is touched before the commit");
        pending.commit().expect("committed");
        assert_eq!(folder.names(), ["notes.txt", "part-0"]);
        assert_eq!(std::fs::read(folder.0.join("part-0")).expect("read"), b"");
    }

    #[test]
    fn what_is_never_committed_leaves_nothing_behind() {
        let folder = Folder::new("uncommitted");
        let pending = PendingFiles::default();
        finished(&folder, 0, &pending);
        let unfinished = FileWriter::create(&folder.0, 1, pending.clone()).expect("made");
        assert_eq!(folder.names(), [".part-0.in-progress", ".part-1.in-progress"]);
        drop((pending, unfinished));
        assert!(folder.names().is_empty());
    }
}
