//! S3 as a storage.
//!
//! An upload becomes visible when it is complete, so nothing is renamed. Credentials, region and
//! endpoint come from the environment (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`,
//! `AWS_ENDPOINT`, `AWS_ALLOW_HTTP`, …), never from a job file.

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, Read};
use std::sync::Arc;

use futures_util::TryStreamExt;
use futures_util::stream::BoxStream;
use hyper::body::Bytes;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as Key;
use object_store::{
    GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload, RetryConfig,
    WriteMultipart,
};
use tokio::runtime::{Builder, Runtime};

use super::{Storage, StorageWriter, Stored};
use crate::error::{Error, Result};

/// An object's bytes as they come.
type Chunks = BoxStream<'static, object_store::Result<Bytes>>;

/// Where machines of Amazon's get credentials that nobody gave them.
const INSTANCE_METADATA: &str = "169.254.169.254";

/// How often a request is tried again, within some seconds and without a word. Then whoever asked
/// fails, which is told; a job restarts as its strategy says.
const RETRIES_MAX: usize = 5;

/// A part of an upload; S3 takes none below 5 MiB but the last.
const PART_BYTES: usize = 8 << 20;

/// Parts of one file that are under way at once.
const PARTS_MAX: usize = 4;

/// Objects of a bucket below a prefix.
pub struct ObjectStorage {
    shared: Arc<Shared>,
    prefix: String,
    /// Whether it was written as a folder, not as what may be an object.
    ends_with_slash: bool,
    url: String,
}

struct Shared {
    store: AmazonS3,
    runtime: Runtime,
}

impl Shared {
    /// Waits for an answer. Whoever calls is no async code.
    fn wait<T>(&self, answer: impl Future<Output = object_store::Result<T>>) -> io::Result<T> {
        self.runtime.block_on(answer).map_err(|error| {
            let text = for_people(&error);
            io::Error::new(kind_of(&error), text)
        })
    }
}

/// What kind of failure the server has told.
fn kind_of(error: &object_store::Error) -> io::ErrorKind {
    match error {
        object_store::Error::NotFound { .. } => io::ErrorKind::NotFound,
        object_store::Error::PermissionDenied { .. }
        | object_store::Error::Unauthenticated { .. } => io::ErrorKind::PermissionDenied,
        // What was asked for is no longer what it was.
        object_store::Error::Precondition { .. } => io::ErrorKind::InvalidData,
        _ => match innermost_code(error).as_deref() {
            Some(code) if REFUSALS.contains(&code) => io::ErrorKind::PermissionDenied,
            Some("NoSuchBucket") => io::ErrorKind::NotFound,
            _ => io::ErrorKind::Other,
        },
    }
}

/// What servers say to those whom they do not let in. Some answers come without a kind of their
/// own.
const REFUSALS: [&str; 6] = [
    "AccessDenied",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
];

/// The text of what lies beneath all other causes.
fn innermost(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.last().unwrap_or(error).to_string()
}

/// What stands between the tags of an answer in XML.
fn tagged(answer: &str, tag: &str) -> Option<String> {
    let (_, rest) = answer.split_once(&format!("<{tag}>"))?;
    Some(rest.split_once(&format!("</{tag}>"))?.0.to_owned())
}

/// The word by which a server says what is wrong.
fn innermost_code(error: &dyn std::error::Error) -> Option<String> {
    tagged(&innermost(error), "Code")
}

/// The one sentence that matters of an error whose causes repeat each other, with a server's whole
/// answer in each.
fn for_people(error: &dyn std::error::Error) -> String {
    if error.to_string().contains(INSTANCE_METADATA) {
        return "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".into();
    }
    let innermost = innermost(error);
    match (tagged(&innermost, "Code"), tagged(&innermost, "Message")) {
        (Some(code), Some(message)) => format!("{message} ({code})"),
        _ => innermost,
    }
}

impl ObjectStorage {
    /// The storage of a URL `s3://BUCKET/PREFIX`.
    ///
    /// # Errors
    /// If the environment lacks what is needed to reach it.
    pub fn open(url: &str) -> Result<Self> {
        Self::open_with(url, RetryConfig { max_retries: RETRIES_MAX, ..RetryConfig::default() })
    }

    /// As [`open`](Self::open), for somebody who tries again by himself what fails.
    ///
    /// # Errors
    /// As of [`open`](Self::open).
    pub fn open_impatient(url: &str) -> Result<Self> {
        Self::open_with(url, RetryConfig { max_retries: 0, ..RetryConfig::default() })
    }

    fn open_with(url: &str, retry: RetryConfig) -> Result<Self> {
        // Whoever was first has installed the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let rest = url.strip_prefix("s3://").unwrap_or(url);
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let failed = |cause: Box<dyn std::error::Error + Send + Sync>| {
            Error::input(format!("cannot use {url}")).caused_by(cause).hint(
                "credentials and endpoint come from the environment: AWS_ACCESS_KEY_ID, \
                 AWS_SECRET_ACCESS_KEY, AWS_REGION and, for other servers than Amazon's, \
                 AWS_ENDPOINT",
            )
        };
        let builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(retry);
        let store = builder.build().map_err(|cause| failed(cause.into()))?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|cause| failed(cause.into()))?;
        let mut prefix = prefix.trim_matches('/').to_owned();
        if !prefix.is_empty() {
            prefix.push('/');
        }
        let ends_with_slash = url.ends_with('/');
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self { shared: Arc::new(Shared { store, runtime }), prefix, ends_with_slash, url })
    }

    fn key(&self, name: &str) -> Key {
        Key::from(format!("{}{name}", self.prefix))
    }

    /// What there is to read: the object of the prefix itself, whose name is then empty, or all
    /// that lie directly below it.
    ///
    /// # Errors
    /// If the server does not tell.
    pub fn objects(&self) -> io::Result<Vec<ObjectFound>> {
        let found = |object: ObjectMeta, name: String| ObjectFound {
            name,
            bytes: object.size,
            modified_ms: object.last_modified.timestamp_millis(),
        };
        let whole = self.prefix.trim_end_matches('/');
        if !whole.is_empty() && !self.ends_with_slash {
            match self.shared.wait(self.shared.store.head(&Key::from(whole))) {
                Ok(object) => return Ok(vec![found(object, String::new())]),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                // Why, only the answer to another question says: this one has no text.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
                Err(error) => return Err(error),
            }
        }
        let folder = Some(Key::from(whole)).filter(|_| !whole.is_empty());
        let listed = self.shared.wait(self.shared.store.list_with_delimiter(folder.as_ref()))?;
        let named = |object: ObjectMeta| {
            let name = object.location.as_ref().strip_prefix(&self.prefix)?.to_owned();
            (!name.is_empty()).then(|| found(object, name))
        };
        Ok(listed.objects.into_iter().filter_map(named).collect())
    }

    /// Reads an object from a byte on, which it must have unless that is the first. With a version
    /// it must still be that one.
    ///
    /// # Errors
    /// `NotFound` if there is none, `InvalidData` if it is another version, or if the server fails.
    pub fn open_from(
        &self,
        name: &str,
        offset: u64,
        version: Option<String>,
    ) -> io::Result<OpenObject> {
        let whole = format!("{}{name}", self.prefix);
        // As it is: the names of others are not written as ours are.
        let key = Key::parse(whole.trim_end_matches('/')).map_err(io::Error::other)?;
        // Servers take no range that begins after the last byte.
        let range = (offset > 0).then_some(GetRange::Offset(offset));
        let options = GetOptions { range, if_match: version, ..GetOptions::default() };
        let found = self.shared.wait(self.shared.store.get_opts(&key, options))?;
        let version = found.meta.e_tag.clone().filter(|tag| !tag.trim_matches('"').is_empty());
        let (shared, bytes) = (self.shared.clone(), found.meta.size);
        let chunks = found.into_stream();
        let content = Box::new(Reader { shared, chunks, chunk: VecDeque::new() });
        Ok(OpenObject { content, version, bytes })
    }
}

/// An object that is being read.
pub struct OpenObject {
    /// Its bytes, from where they were asked for.
    pub content: Box<dyn Read + Send>,
    /// Tells it from what may be written in its place; none if the server tells none.
    pub version: Option<String>,
    /// Its length in all.
    pub bytes: u64,
}

/// An object that can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectFound {
    /// Below the prefix; empty for the object that the prefix names.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// When it was written, in milliseconds since 1970.
    pub modified_ms: i64,
}

impl Storage for ObjectStorage {
    fn create(&self, name: &str) -> io::Result<Box<dyn StorageWriter>> {
        let (shared, key) = (self.shared.clone(), self.key(name));
        Ok(Box::new(Writer { shared, key, bytes: Vec::new(), upload: None }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Read + Send>> {
        let found = self.shared.wait(self.shared.store.get(&self.key(name)))?;
        let (shared, chunks) = (self.shared.clone(), found.into_stream());
        Ok(Box::new(Reader { shared, chunks, chunk: VecDeque::new() }))
    }

    fn list(&self, prefix: &str) -> io::Result<Vec<Stored>> {
        // S3 lists by whole folders here; the rest of the prefix is held against the names.
        let whole = format!("{}{prefix}", self.prefix);
        let folder = whole.rsplit_once('/').map(|(folder, _)| Key::from(folder));
        let list = async { self.shared.store.list(folder.as_ref()).try_collect::<Vec<_>>().await };
        let mut files = Vec::new();
        for object in self.shared.wait(list)? {
            let name = object.location.as_ref().strip_prefix(&self.prefix);
            if let Some(name) = name.filter(|name| name.starts_with(prefix)) {
                files.push(Stored { name: name.to_owned(), bytes: object.size });
            }
        }
        files.sort();
        Ok(files)
    }

    fn delete(&self, name: &str) -> io::Result<()> {
        match self.shared.wait(self.shared.store.delete(&self.key(name))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.shared.wait(self.shared.store.rename(&self.key(from), &self.key(to)))
    }

    fn settle(&self, _name: &str) -> io::Result<()> {
        Ok(())
    }

    fn remove_unfinished(&self) -> io::Result<()> {
        // Parts of uploads that were given up are a matter of the bucket's life-cycle rules.
        Ok(())
    }

    fn root(&self) -> String {
        self.url.clone()
    }
}

struct Writer {
    shared: Arc<Shared>,
    key: Key,
    bytes: Vec<u8>,
    upload: Option<WriteMultipart>,
}

impl StorageWriter for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.upload.is_none() && self.bytes.len() + bytes.len() <= PART_BYTES {
            self.bytes.extend_from_slice(bytes);
            return Ok(());
        }
        if self.upload.is_none() {
            let begun = self.shared.wait(self.shared.store.put_multipart(&self.key))?;
            let mut upload = WriteMultipart::new_with_chunk_size(begun, PART_BYTES);
            let _inside = self.shared.runtime.enter();
            upload.write(&std::mem::take(&mut self.bytes));
            self.upload = Some(upload);
        }
        let upload = self.upload.as_mut().expect("it was begun");
        self.shared.wait(upload.wait_for_capacity(PARTS_MAX))?;
        let _inside = self.shared.runtime.enter();
        upload.write(bytes);
        Ok(())
    }

    fn finish(self: Box<Self>) -> io::Result<()> {
        let Self { shared, key, bytes, upload } = *self;
        match upload {
            Some(upload) => shared.wait(upload.finish()).map(drop),
            None => shared.wait(shared.store.put(&key, PutPayload::from(bytes))).map(drop),
        }
    }
}

struct Reader {
    shared: Arc<Shared>,
    /// What comes over the network.
    chunks: Chunks,
    /// What of it has come and is not read yet.
    chunk: VecDeque<u8>,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self.shared.wait(self.chunks.try_next())? {
                Some(chunk) => self.chunk = Vec::from(chunk).into(),
                None => return Ok(0),
            }
        }
        self.chunk.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_known_by_their_code() {
        let generic = |code: &str| object_store::Error::Generic {
            store: "S3",
            source: format!("403: <Error><Code>{code}</Code><Message>No.</Message></Error>").into(),
        };
        assert_eq!(kind_of(&generic("SignatureDoesNotMatch")), io::ErrorKind::PermissionDenied);
        assert_eq!(kind_of(&generic("NoSuchBucket")), io::ErrorKind::NotFound);
        assert_eq!(kind_of(&generic("SlowDown")), io::ErrorKind::Other);
    }

    #[test]
    fn errors_are_told_once_and_without_xml() {
        let xml = "403: <Error><Code>Denied</Code><Message>Go away.</Message></Error>";
        let denied = Error::storage("outer").caused_by(Error::storage(xml));
        assert_eq!(for_people(&denied), "Go away. (Denied)");
        assert_eq!(for_people(&Error::storage("connection refused")), "connection refused");
        let lost = Error::storage("Error performing PUT http://169.254.169.254/latest");
        assert!(for_people(&lost).contains("AWS_ACCESS_KEY_ID"));
    }
}
