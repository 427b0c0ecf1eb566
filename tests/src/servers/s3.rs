//! An S3 server of a test's own: versitygw, which keeps objects as files of a folder.
//!
//! ```text
//! cargo xtask setup --builds--> versitygw --S3::start--> on a free port, with a bucket `data`
//! ```

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, fs};

use super::{free_port, skip, wait_until};
use crate::counting::files_below;
use crate::{Folder, Tidegate};

/// The bucket that there is from the start.
pub const BUCKET: &str = "data";

const ACCESS_KEY: &str = "tidegate";
const SECRET_KEY: &str = "not-much-of-a-secret";

/// How long a server may take to start.
const START_MAX: Duration = Duration::from_secs(30);

/// A running server, or one that was stopped.
pub struct S3 {
    folder: Folder,
    port: u16,
    child: Option<Child>,
}

impl S3 {
    /// Starts a server. None if this machine has none, which is said.
    pub fn start() -> Option<Self> {
        let mut server = Self::stopped()?;
        server.start_again();
        Some(server)
    }

    /// One that is not running yet.
    pub fn stopped() -> Option<Self> {
        if program().is_none() {
            skip("there is no versitygw (an S3 server) on this machine");
            return None;
        }
        let folder = Folder::new("s3");
        fs::create_dir_all(folder.join("objects").join(BUCKET)).expect("it is new");
        Some(Self { folder, port: free_port(), child: None })
    }

    /// Starts it, or starts it again on the same port with what it had.
    #[track_caller]
    pub fn start_again(&mut self) {
        assert!(self.child.is_none(), "it is running");
        let log = fs::File::options().create(true).append(true).open(self.folder.join("log"));
        let log = log.expect("the folder can be written");
        let mut command = Command::new(program().expect("it was there"));
        command
            .args(["--port", &format!("127.0.0.1:{}", self.port)])
            .args(["--access", ACCESS_KEY, "--secret", SECRET_KEY, "--quiet"])
            .arg("posix")
            .arg(self.folder.join("objects"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log);
        self.child = Some(command.spawn().expect("it is there"));
        let port = self.port;
        wait_until("the S3 server takes connections", START_MAX, || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
    }

    /// Kills it, as if its machine had lost power.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().and_then(|()| child.wait()).expect("it can be killed");
        }
    }

    /// Lets it take connections and answer nothing, until [`go_on`](Self::go_on).
    pub fn halt(&self) {
        self.signal("STOP");
    }

    /// Lets it answer again.
    pub fn go_on(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let id = self.child.as_ref().expect("it is running").id();
        let status = Command::new("sh").args(["-c", &format!("kill -{name} {id}")]).status();
        assert!(status.is_ok_and(|status| status.success()), "cannot signal the server");
    }

    /// What a call needs to find and to be let in.
    pub fn env(&self, call: Tidegate) -> Tidegate {
        call.env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ENDPOINT", format!("http://127.0.0.1:{}", self.port))
            .env("AWS_ALLOW_HTTP", "true")
    }

    /// Puts an object into the bucket, as if somebody else had.
    pub fn put(&self, key: &str, content: impl AsRef<[u8]>) {
        // Under another name first: an object is there as a whole or not at all.
        let object = self.folder.join("objects").join(BUCKET).join(key);
        let unfinished = self.folder.join("unfinished");
        fs::create_dir_all(object.parent().expect("it is in the bucket"))
            .and_then(|()| fs::write(&unfinished, content))
            .and_then(|()| fs::rename(&unfinished, &object))
            .unwrap_or_else(|error| panic!("{}: {error}", object.display()));
    }

    /// The objects below a prefix, by what follows it in their keys.
    pub fn objects(&self, prefix: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        files_below(&self.folder.join("objects").join(BUCKET).join(prefix))
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The server's program: what `TIDEGATE_S3_SERVER` names, or what `cargo xtask setup` has built.
fn program() -> Option<PathBuf> {
    if let Some(path) = env::var_os("TIDEGATE_S3_SERVER") {
        return Some(path.into());
    }
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")))?;
    Some(cache.join("tidegate/servers/versitygw")).filter(|path| path.is_file())
}
