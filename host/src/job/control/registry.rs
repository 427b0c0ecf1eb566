//! Where the sockets of a user's running jobs lie, and which of them are alive.
//!
//! ```text
//! $XDG_RUNTIME_DIR/tidegate/        or, without that, <temporary files>/tidegate-<user>/
//!   periodic-pv-4711.sock           0600, in a folder 0700 of the user: nobody else is let in
//! ```
//! The folder is the list: there is no file that could disagree with it. A socket that refuses
//! connections was left behind by a process that was killed, and is removed when it is found.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use super::Client;
use crate::env;
use crate::error::{Error, Result};
use crate::job::spec::name_hint;

const ENDING: &str = ".sock";

/// The longest path that Linux takes for a socket, in bytes. Other systems take a few less, and say
/// so themselves.
const PATH_BYTES_MAX: usize = 107;

/// The folders that the sockets of one user's jobs lie in.
#[derive(Debug)]
pub struct Registry {
    /// New sockets go to the first.
    folders: Vec<PathBuf>,
    /// Whom they must belong to.
    pub(super) user: u32,
}

/// A job that can be asked.
#[derive(Debug)]
pub struct RunningJob {
    /// The job's name.
    pub name: String,
    /// The number of its process.
    pub pid: u32,
    /// Asks it.
    pub client: Client,
}

impl RunningJob {
    /// The name that no other running job has: `periodic-pv-4711`.
    pub fn full_name(&self) -> String {
        full_name(&self.name, self.pid)
    }
}

/// A socket that lies in a registry as long as this lives.
#[derive(Debug)]
pub(super) struct Entry(PathBuf);

impl Drop for Entry {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

/// Removes a socket, if it is there. One that stays is found dead by whoever looks next.
fn remove(path: &Path) {
    let _ = fs::remove_file(path);
}

impl Registry {
    /// The registry of the user who runs this process. A job that was started without
    /// `XDG_RUNTIME_DIR`, as by cron, is found by a shell that has it.
    ///
    /// # Errors
    /// If the system does not tell who the user is.
    pub fn of_user() -> Result<Self> {
        let user = user()?;
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        // After `sudo` the variable can name a folder of somebody else.
        let is_own = |path: &PathBuf| fs::metadata(path).is_ok_and(|folder| folder.uid() == user);
        let runtime = runtime.filter(|path| path.is_absolute() && is_own(path));
        let temporary = std::env::temp_dir().join(format!("tidegate-{user}"));
        let folders = runtime.map(|path| path.join("tidegate")).into_iter().chain([temporary]);
        Ok(Self { folders: folders.collect(), user })
    }

    /// A registry in this folder alone.
    ///
    /// # Errors
    /// As [`Registry::of_user`].
    pub fn in_folder(folder: PathBuf) -> Result<Self> {
        Ok(Self { folders: vec![folder], user: user()? })
    }

    /// All jobs that are running, by name and process. Removes what dead ones left.
    ///
    /// # Errors
    /// If a folder cannot be read, or is not the user's own.
    pub fn jobs(&self) -> Result<Vec<RunningJob>> {
        let mut jobs = Vec::new();
        for folder in &self.folders {
            if self.examine(folder)? {
                let entries =
                    fs::read_dir(folder).map_err(|cause| failed("read", folder, cause))?;
                for entry in entries {
                    let entry = entry.map_err(|cause| failed("read", folder, cause))?;
                    jobs.extend(alive(&entry.path()));
                }
            }
        }
        jobs.sort_by(|a, b| (&a.name, a.pid).cmp(&(&b.name, b.pid)));
        Ok(jobs)
    }

    /// The running job of this name, or full name where several have it.
    ///
    /// # Errors
    /// If there is none, or more than one; as [`Registry::jobs`].
    pub fn find(&self, name: &str) -> Result<RunningJob> {
        let jobs = self.jobs()?;
        let known: Vec<String> = jobs.iter().map(|job| job.name.clone()).collect();
        let (mut named, others): (Vec<_>, Vec<_>) =
            jobs.into_iter().partition(|job| job.name == name);
        if named.len() > 1 {
            let names: Vec<String> = named.iter().map(RunningJob::full_name).collect();
            let message = format!("{} running jobs are called {name:?}", names.len());
            return Err(Error::input(message).hint(format!("name one: {}", names.join(", "))));
        }
        let found = named.pop().or_else(|| others.into_iter().find(|job| job.full_name() == name));
        found.ok_or_else(|| {
            let hint = match known.is_empty() {
                true => "no job of yours is running here".into(),
                false => name_hint(name, "running jobs", known.iter().map(String::as_str)),
            };
            Error::input(format!("no running job is called {name:?}")).hint(hint)
        })
    }

    /// Makes the socket of a job. It can be connected to when it appears under its name.
    ///
    /// # Errors
    /// If the folder cannot be made or is not the user's own, or if the path is too long.
    pub(super) fn bind(&self, job: &str, pid: u32) -> Result<(UnixListener, Entry)> {
        let folder = &self.folders[0];
        if !self.examine(folder)? {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
            made.map_err(|cause| failed("make", folder, cause))?;
            // Somebody else may have been faster.
            self.examine(folder)?;
        }
        let name = full_name(job, pid);
        let path = folder.join(format!("{name}{ENDING}"));
        let length = path.as_os_str().len();
        if length > PATH_BYTES_MAX {
            let message = format!(
                "the path of the control socket {} has {length} bytes, more than {PATH_BYTES_MAX}",
                path.display()
            );
            let hint = "shorten the job's name, or point XDG_RUNTIME_DIR to a shorter path";
            return Err(Error::input(message).hint(hint));
        }
        if alive(&path).is_some() {
            let message = format!("the control socket {} is in use", path.display());
            return Err(Error::input(message));
        }
        // A socket that is bound but does not listen yet looks like one left behind, so it gets its
        // name last.
        let unfinished = Entry(folder.join(format!(".{name}")));
        let listen = || {
            remove(&unfinished.0);
            let listener = UnixListener::bind(&unfinished.0)?;
            fs::set_permissions(&unfinished.0, Permissions::from_mode(0o600))?;
            fs::rename(&unfinished.0, &path)?;
            Ok(listener)
        };
        let listener = listen().map_err(|cause| failed("make a socket in", folder, cause))?;
        Ok((listener, Entry(path)))
    }

    /// Whether the folder is there.
    ///
    /// # Errors
    /// If it is none of the user's own, to which nobody else has access: what lies in it could be
    /// anybody's.
    fn examine(&self, folder: &Path) -> Result<bool> {
        let metadata = match fs::symlink_metadata(folder) {
            Ok(metadata) => metadata,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(cause) => return Err(failed("look at", folder, cause)),
        };
        let (shown, owner, mode) = (folder.display(), metadata.uid(), metadata.mode() & 0o777);
        let wrong = match () {
            () if !metadata.is_dir() => "is no folder".into(),
            () if owner != self.user => format!("belongs to user {owner}, not to {}", self.user),
            () if mode & 0o077 != 0 => format!("is open to other users (mode {mode:o})"),
            () => return Ok(true),
        };
        let message = format!("the folder of control sockets {shown} {wrong}");
        let hint = match metadata.is_dir() && owner == self.user {
            true => format!("`chmod 700 {shown}`"),
            false => "remove it, or set XDG_RUNTIME_DIR to a folder of your own".into(),
        };
        Err(Error::input(message).hint(hint))
    }
}

fn user() -> Result<u32> {
    let unknown = |cause| Error::input("cannot tell who runs this process").caused_by(cause);
    env::user_id().map_err(unknown)
}

fn full_name(name: &str, pid: u32) -> String {
    format!("{name}-{pid}")
}

/// The job of a socket, if it answers. Removes a socket that nobody listens to.
fn alive(path: &Path) -> Option<RunningJob> {
    let (name, pid) = path.file_name()?.to_str()?.strip_suffix(ENDING)?.rsplit_once('-')?;
    let pid = pid.parse().ok()?;
    match UnixStream::connect(path) {
        Ok(_) => Some(RunningJob { name: name.into(), pid, client: Client::new(path.into()) }),
        Err(cause) => {
            if cause.kind() == io::ErrorKind::ConnectionRefused {
                remove(path);
            }
            None
        }
    }
}

fn failed(what: &str, folder: &Path, cause: io::Error) -> Error {
    Error::input(format!("cannot {what} the folder of control sockets {}", folder.display()))
        .hint("set XDG_RUNTIME_DIR to a folder of your own")
        .caused_by(cause)
}
