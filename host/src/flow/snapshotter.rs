//! A task's part in a checkpoint: collects what a barrier cuts off, has it written in the
//! background, and acknowledges when all of it is durable.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard};

use super::lane::{Job, Lane};
use super::sink::Prepared;
use super::{Barrier, Event};
use crate::checkpoint::checked::Writer;
use crate::checkpoint::manifest::{
    FileRef, PartitionSnapshot, PreparedOutput, SourceState, TableFile,
};
use crate::checkpoint::state_file::StateFileWriter;
use crate::checkpoint::{Acknowledgement, Part, Target};
use crate::error::{Error, Result};
use crate::model::{KeyGroup, TIME_NONE};
use crate::state::entry;
use crate::state::{Frozen, FrozenEntries, LocalFile, LocalTables};

/// Entries that are collected before they are written, where a store hands them over one by one.
const CHUNK_BYTES: usize = 64 << 10;

/// Bytes that are read from a local file at once.
const COPY_BYTES: usize = 1 << 20;

/// Uploaded files that later checkpoints can share, by the store's name for them.
type Shared = Arc<Mutex<BTreeMap<String, FileRef>>>;

/// Writes a task's parts.
pub struct Snapshotter {
    task: usize,
    lane: Box<dyn Lane>,
    events: Sender<Event>,
    waiting: VecDeque<Job>,
    /// Distinguishes files of this attempt from those of others under the same names.
    run: String,
    shared: Shared,
    current: Option<Current>,
}

/// A snapshot whose entries still come.
struct Current {
    id: u64,
    upload: Arc<Mutex<Upload>>,
    outputs: Vec<Prepared>,
    /// Operator states as entries, if there are any.
    operator: Option<Vec<u8>>,
    partition: PartitionOf,
}

/// Which partition a snapshot is of, and the time there.
#[derive(Debug, Clone)]
pub struct PartitionOf {
    /// Index of the operator in the plan.
    pub operator: usize,
    /// Index of the partition.
    pub partition: usize,
    /// `operator-partition`, for names of files.
    pub name: String,
    /// Its key groups.
    pub groups: Range<u32>,
    /// The watermark in force.
    pub watermark: i64,
    /// Whether all of its state is where its function wants it.
    pub is_settled: bool,
}

/// The file of entries, made by the first job that writes to it.
struct Upload {
    target: Target,
    name: String,
    file: Option<StateFileWriter>,
    failure: Option<Error>,
}

impl Upload {
    fn write(&mut self, group: KeyGroup, entries: &[u8]) {
        if self.failure.is_none() {
            let written = self.file().and_then(|file| file.write_chunk(group.0, entries));
            self.failure = written.err();
        }
    }

    fn file(&mut self) -> Result<&mut StateFileWriter> {
        if self.file.is_none() {
            self.file = Some(StateFileWriter::create(&*self.target.storage, &self.name)?);
        }
        Ok(self.file.as_mut().expect("it was made just now"))
    }

    fn finish(&mut self) -> Result<FileRef> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        self.file()?;
        self.file.take().expect("it was made just now").finish()
    }
}

impl Snapshotter {
    /// For the task of this index. `run` distinguishes attempts; `shared` are the tables that the
    /// task was restored from.
    pub fn new(
        task: usize,
        lane: Box<dyn Lane>,
        events: Sender<Event>,
        run: String,
        shared: impl IntoIterator<Item = TableFile>,
    ) -> Self {
        let shared = shared.into_iter().map(|table| (table.name, table.file)).collect();
        Self {
            task,
            lane,
            events,
            waiting: VecDeque::new(),
            run,
            shared: Arc::new(Mutex::new(shared)),
            current: None,
        }
    }

    /// Tells the coordinator something that is no acknowledgement.
    pub(super) fn tell(&self, event: Event) {
        // The coordinator outlives its tasks unless the job is failing.
        let _ = self.events.send(event);
    }

    /// Acknowledges a barrier for a source, or for a task that writes no state.
    pub(super) fn acknowledge(
        &mut self,
        id: u64,
        source: Option<SourceState>,
        outputs: Vec<Prepared>,
    ) {
        let (task, events) = (self.task, self.events.clone());
        let part = Ok(Part { source, operator: None });
        self.run(Box::new(move || {
            let outputs = finish_all(outputs);
            let _ = events.send(Acknowledgement { id, task, outputs, part }.into());
        }));
    }

    /// Begins the snapshot of a partition. Its entries come by [`write`](Self::write), those of its
    /// operator states are here already.
    pub(super) fn begin(
        &mut self,
        barrier: &Barrier,
        target: Target,
        partition: PartitionOf,
        operator: Option<Vec<u8>>,
        outputs: Vec<Prepared>,
    ) {
        let name = target.name(&format!("{}.state", partition.name));
        let upload = Upload { target, name, file: None, failure: None };
        let upload = Arc::new(Mutex::new(upload));
        self.current = Some(Current { id: barrier.id, upload, outputs, operator, partition });
    }

    /// Whether entries are still to come.
    pub(super) fn is_open(&self) -> bool {
        self.current.is_some()
    }

    /// Whether so much waits to be written that no more should be copied.
    pub(super) fn is_clogged(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Takes entries of a key group.
    pub(super) fn write(&mut self, group: KeyGroup, entries: Vec<u8>) {
        let current = self.current.as_ref().expect("entries belong to a snapshot");
        let upload = current.upload.clone();
        self.run(Box::new(move || lock(&upload).write(group, &entries)));
    }

    /// All entries have come; what a store holds is `frozen`. The rest is done in the background.
    pub(super) fn finish(&mut self, frozen: Frozen) {
        let Some(current) = self.current.take() else { return };
        let Current { id, upload, outputs, operator, partition } = current;
        let (task, events) = (self.task, self.events.clone());
        let tables = Tables { shared: self.shared.clone(), prefix: format!("{id}-{}", self.run) };
        self.run(Box::new(move || {
            let outputs = finish_all(outputs);
            let operator = operator.as_deref();
            let snapshot = write_rest(&mut lock(&upload), frozen, operator, &partition, &tables);
            let part = snapshot.map(|snapshot| {
                let operator = Some((partition.operator, partition.partition, snapshot));
                Part { source: None, operator }
            });
            let _ = events.send(Acknowledgement { id, task, outputs, part }.into());
        }));
    }

    fn run(&mut self, job: Job) {
        self.waiting.push_back(job);
        self.pump();
    }

    /// Hands jobs to the background as far as it takes them.
    pub(super) fn pump(&mut self) {
        while let Some(job) = self.waiting.pop_front() {
            if let Err(job) = self.lane.try_run(job) {
                self.waiting.push_front(job);
                return;
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("jobs of a lane run one after the other")
}

/// Makes prepared output durable.
fn finish_all(outputs: Vec<Prepared>) -> Result<Vec<PreparedOutput>> {
    let finished = outputs.into_iter().map(|output| output.finish().transpose());
    finished.flatten().collect()
}

/// How files of a store are named and shared.
struct Tables {
    shared: Shared,
    /// Begins with the checkpoint's number, by which the catalog knows a file's age.
    prefix: String,
}

fn write_rest(
    upload: &mut Upload,
    frozen: Frozen,
    operator: Option<&[u8]>,
    partition: &PartitionOf,
    naming: &Tables,
) -> Result<PartitionSnapshot> {
    let tables = match frozen {
        Frozen::Nothing => None,
        Frozen::Entries(entries) => {
            write_entries(upload, entries)?;
            None
        }
        Frozen::Tables(freezing) => {
            let tables = freezing.take()?;
            Some(upload_tables(&upload.target, &tables, &partition.name, naming)?)
        }
    };
    Ok(PartitionSnapshot {
        first_group: partition.groups.start,
        end_group: partition.groups.end,
        watermark: Some(partition.watermark).filter(|time| *time > TIME_NONE),
        unsettled: !partition.is_settled,
        entries: upload.finish()?,
        tables,
        operator_entries: match operator {
            None => None,
            Some(entries) => Some(write_operator(&upload.target, entries, &partition.name)?),
        },
    })
}

fn write_operator(target: &Target, entries: &[u8], partition: &str) -> Result<FileRef> {
    let name = target.name(&format!("{partition}.operator"));
    let mut file = StateFileWriter::create(&*target.storage, &name)?;
    file.write_chunk(0, entries)?;
    file.finish()
}

fn write_entries(upload: &mut Upload, entries: Box<dyn FrozenEntries>) -> Result<()> {
    let mut chunk = Vec::new();
    let mut chunk_group = KeyGroup(0);
    entries.for_each(&mut |group, one| {
        if (group != chunk_group || chunk.len() >= CHUNK_BYTES) && !chunk.is_empty() {
            upload.write(chunk_group, &chunk);
            chunk.clear();
        }
        chunk_group = group;
        entry::push(&mut chunk, one);
        upload.failure.take().map_or(Ok(()), Err)
    })?;
    if !chunk.is_empty() {
        upload.write(chunk_group, &chunk);
    }
    Ok(())
}

/// Uploads a store's files, those that are in the storage already excepted.
fn upload_tables(
    target: &Target,
    tables: &LocalTables,
    partition: &str,
    naming: &Tables,
) -> Result<Vec<TableFile>> {
    let mut uploaded = Vec::new();
    for local in &tables.files {
        let known = lock(&naming.shared).get(&local.name).cloned();
        let file = match known.filter(|_| local.shareable) {
            Some(file) => file,
            None if local.shareable => {
                let name = format!("shared/{}-{partition}-{}", naming.prefix, local.name);
                let file = copy_in(target, tables, local, name)?;
                lock(&naming.shared).insert(local.name.clone(), file.clone());
                file
            }
            None => {
                let name = target.name(&format!("{partition}.{}", local.name));
                copy_in(target, tables, local, name)?
            }
        };
        uploaded.push(TableFile { name: local.name.clone(), file });
    }
    // What the store has dropped will not come back.
    lock(&naming.shared).retain(|name, _| uploaded.iter().any(|table| table.name == *name));
    Ok(uploaded)
}

fn copy_in(
    target: &Target,
    tables: &LocalTables,
    local: &LocalFile,
    name: String,
) -> Result<FileRef> {
    let path = tables.folder.join(&local.name);
    let failed = |cause| Error::storage(format!("cannot read {}", path.display())).caused_by(cause);
    let mut from = File::open(&path).map_err(failed)?;
    let mut to = Writer::create(&*target.storage, &name)?;
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        match from.read(&mut buffer).map_err(failed)? {
            0 => return to.finish(),
            read => to.write(&buffer[..read])?,
        }
    }
}
