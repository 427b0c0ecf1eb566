//! A MariaDB server of a test's own.
//!
//! ```text
//! Mysql::start -> mariadb-install-db, once a process -> a copy of it -> mariadbd on a free port
//! ```
//! Tests ask it by the client `mariadb`, which shares nothing with what they test.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use std::{env, fs};

use super::process::Server;
use super::{free_port, skip, wait_until};
use crate::{Folder, Tidegate};

/// The user that jobs connect as, and its password.
pub const USER: &str = "job";
pub const PASSWORD: &str = "secret-0f3a";

/// The database that jobs use.
pub const DATABASE: &str = "bigdata";

/// How long a server may take to start: it has to mend its files after a kill.
const START_MAX: Duration = Duration::from_secs(60);

/// A small server, without what only others need.
const OPTIONS: [&str; 6] = [
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--skip-log-bin",
    "--innodb-buffer-pool-size=32M",
    "--innodb-log-file-size=8M",
    "--performance-schema=OFF",
];

/// What one process of tests makes once: the files of an empty server.
static TEMPLATE: Mutex<Weak<Folder>> = Mutex::new(Weak::new());

/// A running server, or one that was stopped.
pub struct Mysql {
    folder: Folder,
    port: u16,
    more: Vec<String>,
    running: Option<Server>,
    /// Lives as long as any server does.
    _template: Arc<Folder>,
}

impl Mysql {
    /// Starts a server with the database [`DATABASE`], which [`USER`] may do everything in. None if
    /// this machine has no such server, which is said.
    pub fn start() -> Option<Self> {
        Self::start_with(|_| Vec::new())
    }

    /// Starts one with more options, which may name files of its folder.
    pub fn start_with(more: impl FnOnce(&Folder) -> Vec<String>) -> Option<Self> {
        if let Some(missing) = ["mariadbd", "mariadb-install-db", "mariadb"]
            .into_iter()
            .find(|program| find(program).is_none())
        {
            skip(&format!("there is no {missing} (MariaDB's server) on this machine"));
            return None;
        }
        let template = template();
        let folder = Folder::new("mysql");
        copy(&template.join("data"), &folder.join("data"));
        let more = more(&folder);
        let mut server =
            Self { folder, port: free_port(), more, running: None, _template: template };
        server.start_again();
        server.sql(&format!(
            "CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4; \
             CREATE USER '{USER}'@'%' IDENTIFIED BY '{PASSWORD}'; \
             GRANT ALL ON {DATABASE}.* TO '{USER}'@'%'"
        ));
        Some(server)
    }

    /// Starts it again, on the same port, with what it had written.
    #[track_caller]
    pub fn start_again(&mut self) {
        assert!(self.running.is_none(), "it is running");
        let path = |key: &str, path: PathBuf| format!("--{key}={}", path.display());
        // One of its own: a server that starts removes what others have in the common one.
        let temporary = self.folder.join("tmp");
        std::fs::create_dir_all(&temporary).expect("the folder is there");
        let mut arguments = own_arguments("mariadbd");
        arguments.extend([
            path("datadir", self.folder.join("data")),
            path("tmpdir", temporary),
            path("socket", self.socket()),
            path("pid-file", self.folder.join("pid")),
            format!("--port={}", self.port),
        ]);
        arguments.extend(OPTIONS.map(str::to_owned));
        arguments.extend(self.more.iter().cloned());
        let program = find("mariadbd").expect("it was looked for");
        let log = self.folder.join("log");
        self.running = Some(Server::start(&program.display().to_string(), arguments, &log));
        wait_until(&format!("the server is up; see {}", log.display()), START_MAX, || {
            self.client().args(["-e", "SELECT 1"]).output().is_ok_and(|o| o.status.success())
        });
    }

    /// Kills it, as if its machine had lost power.
    pub fn kill(&mut self) {
        if let Some(running) = self.running.take() {
            running.signal("KILL");
            running.wait();
        }
    }

    /// Has it do these statements, and returns the rows of its answer, columns set apart by tabs.
    #[track_caller]
    pub fn sql(&self, statements: &str) -> Vec<String> {
        self.ask(statements).unwrap_or_else(|error| panic!("{statements}: {error}"))
    }

    /// As [`sql`](Self::sql).
    ///
    /// # Errors
    /// What the client says, if the server is not there or refuses.
    pub fn ask(&self, statements: &str) -> Result<Vec<String>, String> {
        let mut client = self.client();
        client.args(["-N", "-B"]).stdin(Stdio::piped());
        let child = client.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.expect("the client is there");
        let mut stdin = child.stdin.take().expect("it was asked for as a pipe");
        // A client that could not connect reads nothing, and says why.
        let _ = stdin.write_all(statements.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().expect("it ends");
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let text = String::from_utf8(output.stdout).expect("the tests' tables hold text");
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// The client, as the server's administrator.
    fn client(&self) -> Command {
        let mut command = program("mariadb");
        command.arg(format!("--socket={}", self.socket().display()));
        command.args(["--user=root", "--default-character-set=utf8mb4"]);
        command
    }

    /// Where jobs find it.
    pub fn url(&self) -> String {
        format!("mysql://127.0.0.1:{}/{DATABASE}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its folder, for files that it is to use.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The keys of a job file by which a source or sink connects.
    pub fn keys(&self) -> String {
        format!(
            "url = \"{}\"\nuser_env = \"TEST_DB_USER\"\npassword_env = \"TEST_DB_PASSWORD\"\n",
            self.url()
        )
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }
}

/// A call that has the credentials which [`Mysql::keys`] names.
pub fn with_credentials(call: Tidegate) -> Tidegate {
    call.env("TEST_DB_USER", USER).env("TEST_DB_PASSWORD", PASSWORD)
}

fn template() -> Arc<Folder> {
    let mut template = TEMPLATE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some(made) = template.upgrade() {
        return made;
    }
    let folder = Folder::new("mysql-template");
    let mut command = program("mariadb-install-db");
    command.arg(format!("--datadir={}", folder.join("data").display()));
    command.args(["--auth-root-authentication-method=normal", "--skip-test-db"]);
    command.args(["--innodb-log-file-size=8M", "--innodb-flush-log-at-trx-commit=0"]);
    let output = command.output().expect("it is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let made = Arc::new(folder);
    *template = Arc::downgrade(&made);
    made
}

/// A program of MariaDB's, without the settings of this machine.
fn program(name: &str) -> Command {
    let mut command = Command::new(find(name).expect("it was looked for"));
    command.args(own_arguments(name));
    command
}

fn own_arguments(name: &str) -> Vec<String> {
    let mut arguments = vec!["--no-defaults".to_owned()];
    // A server of root's does not start unless it is said that this is wanted.
    if name != "mariadb" && is_root() {
        arguments.push("--user=root".to_owned());
    }
    arguments
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

/// Servers are where users' paths do not lead.
fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the folder is there");
    for entry in fs::read_dir(from).expect("it was made") {
        let entry = entry.expect("it can be read");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("the disk has room");
        }
    }
}
