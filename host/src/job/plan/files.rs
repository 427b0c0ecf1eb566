//! Files and sockets in a plan: what a source reads of them, how a sink cuts its output.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::model::FolderPattern;

/// Files to read.
#[derive(Debug, Clone)]
pub struct FileSourcePlan {
    /// A file, or a directory, without hidden files and subdirectories; or `s3://BUCKET/PREFIX`.
    pub path: PathBuf,
    /// How often the directory is looked at for new files; none = once, at the start.
    pub watch: Option<Duration>,
    /// How files are packed. Default by their names.
    pub compression: Compression,
    /// Whether the first line of each file names the fields and is no record. Default no.
    pub header: bool,
    /// That line, if it was known before the job ran: all files must have it.
    pub header_line: Option<String>,
    /// What a bucket gets that does not answer.
    pub retry: RetryPlan,
}

/// How the bytes of a file are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// As the end of its name says: `.gz`, `.zst`, or not at all.
    #[default]
    ByName,
    /// Not at all.
    None,
    /// Gzip, of one member or several.
    Gzip,
    /// Zstandard, of one frame or several.
    Zstd,
}

/// How long something outside that fails is tried again before the job fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPlan {
    /// After so long without any success it is given up; none = never. Default 1 min; zero = with
    /// the first failure.
    pub give_up_after: Option<Duration>,
    /// The longest time between two tries. The first is 100 ms, each further one twice as long.
    /// Default 10 s.
    pub max_delay: Duration,
}

impl Default for RetryPlan {
    fn default() -> Self {
        let (give_up_after, max_delay) = (Some(Duration::from_secs(60)), Duration::from_secs(10));
        Self { give_up_after, max_delay }
    }
}

/// A server that sends lines.
#[derive(Debug, Clone)]
pub struct SocketPlan {
    /// `host:port`.
    pub address: String,
    /// What it means that the server closes the connection.
    pub on_close: OnClose,
    /// A connection through which nothing has come for so long counts as lost; none = never.
    pub silence: Option<Duration>,
    /// What a server gets that is not there or breaks off.
    pub retry: RetryPlan,
}

/// What it means that a server closes a connection in good order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnClose {
    /// The input has ended.
    #[default]
    End,
    /// There will be more: the source connects again.
    Reconnect,
}

/// How the output of a partition of a sink is cut into files, beside at every barrier.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileShape {
    /// A file that has so many bytes is ended; none = however long it gets.
    pub roll_bytes: Option<u64>,
    /// A file that has been open for so long is ended; none = however old it gets.
    pub roll_after: Option<Duration>,
    /// The folders that records are sorted into by their event times; none = all in one.
    pub folders: Option<FolderPattern>,
}

impl FileShape {
    /// Whether there can be several files from one barrier to the next.
    pub fn is_cut(&self) -> bool {
        self.roll_bytes.is_some() || self.roll_after.is_some() || self.folders.is_some()
    }
}

/// What the path of a source or sink begins with that lies in a bucket.
pub const S3: &str = "s3://";

/// Whether a path of a plan lies in a bucket.
pub fn is_in_bucket(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().starts_with(S3.as_bytes())
}
