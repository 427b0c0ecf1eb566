//! S3 as a storage.
//!
//! An upload becomes visible when it is complete, so nothing is renamed. Credentials, region and
//! endpoint come from the environment (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`,
//! `AWS_ENDPOINT`, `AWS_ALLOW_HTTP`, …), never from a job file.

use std::future::Future;
use std::io::{self, Read};
use std::sync::Arc;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as Key;
use object_store::{GetResult, ObjectStore, ObjectStoreExt, PutPayload, WriteMultipart};
use tokio::runtime::{Builder, Runtime};

use super::{Storage, StorageWriter, Stored};
use crate::error::{Error, Result};

/// A part of an upload; S3 takes none below 5 MiB but the last.
const PART_BYTES: usize = 8 << 20;

/// Parts of one file that are under way at once.
const PARTS_MAX: usize = 4;

/// Objects of a bucket below a prefix.
pub struct ObjectStorage {
    shared: Arc<Shared>,
    prefix: String,
    url: String,
}

struct Shared {
    store: AmazonS3,
    runtime: Runtime,
}

impl Shared {
    /// Waits for an answer. Whoever calls is no async code.
    fn wait<T>(&self, answer: impl Future<Output = object_store::Result<T>>) -> io::Result<T> {
        self.runtime.block_on(answer).map_err(Into::into)
    }
}

impl ObjectStorage {
    /// The storage of a URL `s3://BUCKET/PREFIX`.
    ///
    /// # Errors
    /// If the environment lacks what is needed to reach it.
    pub fn open(url: &str) -> Result<Self> {
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
        let builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
        let store = builder.build().map_err(|cause| failed(cause.into()))?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|cause| failed(cause.into()))?;
        let mut prefix = prefix.trim_matches('/').to_owned();
        if !prefix.is_empty() {
            prefix.push('/');
        }
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self { shared: Arc::new(Shared { store, runtime }), prefix, url })
    }

    fn key(&self, name: &str) -> Key {
        Key::from(format!("{}{name}", self.prefix))
    }
}

impl Storage for ObjectStorage {
    fn create(&self, name: &str) -> io::Result<Box<dyn StorageWriter>> {
        let (shared, key) = (self.shared.clone(), self.key(name));
        Ok(Box::new(Writer { shared, key, bytes: Vec::new(), upload: None }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Read + Send>> {
        let found = self.shared.wait(self.shared.store.get(&self.key(name)))?;
        Ok(Box::new(Reader { shared: self.shared.clone(), found: Some(found), bytes: None }))
    }

    fn list(&self, prefix: &str) -> io::Result<Vec<Stored>> {
        // S3 lists by whole folders here; the rest of the prefix is held against the names.
        let whole = format!("{}{prefix}", self.prefix);
        let folder = whole.rsplit_once('/').map(|(folder, _)| Key::from(folder));
        let list = async {
            use futures_util::TryStreamExt;
            self.shared.store.list(folder.as_ref()).try_collect::<Vec<_>>().await
        };
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
    found: Option<GetResult>,
    bytes: Option<io::Cursor<Vec<u8>>>,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(found) = self.found.take() {
            let bytes = self.shared.wait(found.bytes())?;
            self.bytes = Some(io::Cursor::new(bytes.to_vec()));
        }
        self.bytes.as_mut().map_or(Ok(0), |bytes| bytes.read(buffer))
    }
}
