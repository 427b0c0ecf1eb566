//! Takes key groups over from the files of another store, for a restore at another parallelism.
//!
//! They are written as files of RocksDB that the store adopts, past write buffers and compaction.

use std::ops::Range;
use std::path::{Path, PathBuf};

use rocksdb::{IngestExternalFileOptions, Options, SstFileWriter};

use super::RocksDbStore;
use super::failure::failed;
use super::scan::{of_groups, open_tables, visit_all};
use crate::error::Result;

/// A file is closed when it has so many bytes: the size of the files that RocksDB makes.
const FILE_BYTES: u64 = 64 << 20;

impl RocksDbStore {
    /// Adds what some key groups have in the files of another store, in place of what is here under
    /// the same keys. Indices of states stay as they are: they must mean the same here.
    ///
    /// # Errors
    /// If the disk fails; of kind `Corruption` if the files are not what RocksDB wrote.
    pub fn import(&mut self, from: &Path, groups: &Range<u32>) -> Result<()> {
        let source = open_tables(from)?;
        let cannot = |cause| failed("restore", &self.folder, cause);
        let mut files = Files { folder: &self.folder, options: &self.options, paths: Vec::new() };
        let mut open = None;
        visit_all(source.raw_iterator_opt(of_groups(groups)), from, |key, value| {
            let mut writer = match open.take() {
                Some(writer) => writer,
                None => files.create().map_err(cannot)?,
            };
            writer.put(key, value).map_err(cannot)?;
            if writer.file_size() < FILE_BYTES {
                open = Some(writer);
                return Ok(());
            }
            writer.finish().map_err(cannot)
        })?;
        if let Some(mut writer) = open {
            writer.finish().map_err(cannot)?;
        }
        if files.paths.is_empty() {
            return Ok(());
        }
        let mut options = IngestExternalFileOptions::default();
        options.set_move_files(true);
        self.db.ingest_external_file_opts(&options, files.paths).map_err(cannot)
    }
}

/// The files that an import writes.
struct Files<'a> {
    folder: &'a Path,
    options: &'a Options,
    paths: Vec<PathBuf>,
}

impl<'a> Files<'a> {
    fn create(&mut self) -> Result<SstFileWriter<'a>, rocksdb::Error> {
        // Names that RocksDB takes for none of its own files.
        let path = self.folder.join(format!("import-{}", self.paths.len()));
        let writer = SstFileWriter::create(self.options);
        writer.open(&path)?;
        self.paths.push(path);
        Ok(writer)
    }
}
