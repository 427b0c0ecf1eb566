//! The real binary as a child process, with a time limit instead of a hang.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{env, fs};

/// No test runs the binary for that long, however slow the machine.
const TIME_MAX: Duration = Duration::from_secs(180);

/// A call of the binary that is being put together.
pub struct Tidegate {
    command: Command,
    stdin: Vec<u8>,
}

/// A call that is over.
#[derive(Debug)]
pub struct Ended {
    /// The exit status; none if a signal ended it.
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A call that goes on.
pub struct Running {
    id: u32,
    stdout: BufReader<ChildStdout>,
    stderr: JoinHandle<String>,
    ended: Receiver<ExitStatus>,
}

impl Tidegate {
    /// A call with these arguments.
    pub fn new<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Self {
        let mut command = Command::new(path());
        command.args(arguments).env("NO_COLOR", "1").env("RUST_BACKTRACE", "0");
        command.env("XDG_CACHE_HOME", caches());
        Self { command, stdin: Vec::new() }
    }

    /// A call of `run` on a job file.
    pub fn run_job(job: &Path) -> Self {
        Self::new([OsStr::new("run"), job.as_os_str()])
    }

    /// A call of `check` on a job file.
    pub fn check_job(job: &Path) -> Self {
        Self::new([OsStr::new("check"), job.as_os_str()])
    }

    /// Adds an argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds `--set` with a key and a value.
    pub fn set(self, key: &str, value: impl std::fmt::Display) -> Self {
        self.arg("--set").arg(format!("{key}={value}"))
    }

    /// Where it runs.
    pub fn in_folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// A variable of its environment.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// What it reads from standard input.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Lets it write no file longer than so many blocks of 512 bytes: what would be longer fails,
    /// as on a full disk.
    pub fn file_blocks_max(self, blocks: u32) -> Self {
        let mut command = Command::new("sh");
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        command.arg("-c").arg(script).arg(self.command.get_program());
        command.args(self.command.get_args());
        let variables = self.command.get_envs();
        command.envs(variables.filter_map(|(name, value)| Some((name, value?))));
        if let Some(folder) = self.command.get_current_dir() {
            command.current_dir(folder);
        }
        Self { command, stdin: self.stdin }
    }

    /// Starts it.
    pub fn start(mut self) -> Running {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().unwrap_or_else(|e| panic!("{:?}: {e}", self.command));
        let mut stdin = child.stdin.take().expect("it was asked for as a pipe");
        let bytes = self.stdin;
        // A program that does not read to the end is no failure of the test by itself.
        thread::spawn(move || stdin.write_all(&bytes).is_ok());
        let stdout = child.stdout.take().expect("it was asked for as a pipe");
        let stderr = child.stderr.take().expect("it was asked for as a pipe");
        let id = child.id();
        Running {
            id,
            stdout: BufReader::new(stdout),
            stderr: thread::spawn(move || read_text(stderr)),
            ended: wait(child),
        }
    }

    /// Runs it to its end.
    pub fn run(self) -> Ended {
        self.start().wait()
    }
}

impl Running {
    /// Waits for the next line of its standard output. None at the end.
    pub fn next_line(&mut self) -> Option<String> {
        let mut line = String::new();
        let length = self.stdout.read_line(&mut line).expect("it writes text");
        (length > 0).then(|| line.trim_end_matches('\n').to_owned())
    }

    /// Sends it the signal that Ctrl-C sends.
    pub fn interrupt(&self) {
        signal(self.id, "INT");
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        signal(self.id, name);
    }

    /// Kills it with SIGKILL if it is still there after a while. One that ended by itself must have
    /// done so without an error.
    pub fn kill_after(self, time: Duration) {
        let status = self.ended.recv_timeout(time).unwrap_or_else(|_| {
            // It may have ended at this very moment.
            let _ = try_signal(self.id, "KILL");
            self.ended.recv().expect("a killed program ends")
        });
        let story = self.stderr.join().expect("reading does not panic");
        assert!(status.code().is_none_or(|code| code == 0), "{status}\n{story}");
    }

    /// Waits for its end; what was not read of its standard output is part of the result.
    pub fn wait(self) -> Ended {
        let Self { id, stdout, stderr, ended } = self;
        let stdout = thread::spawn(move || read_text(stdout));
        finish(id, || stdout.join().expect("reading does not panic"), stderr, &ended)
    }

    /// Closes the reading end of its standard output and waits for its end.
    pub fn close_stdout(self) -> Ended {
        let Self { id, stdout, stderr, ended } = self;
        drop(stdout);
        finish(id, String::new, stderr, &ended)
    }
}

impl Ended {
    /// Fails the test unless the exit status is `wanted` and the host itself did not panic.
    #[track_caller]
    pub fn expect(self, wanted: i32) -> Self {
        let Self { status, stdout, stderr } = &self;
        assert!(
            *status == Some(wanted),
            "exit status {status:?} instead of {wanted}\n--- stdout\n{stdout}\n--- stderr\n{stderr}"
        );
        // A panic of a guest is told without a thread.
        assert!(!stderr.contains("thread '"), "the host panicked:\n{stderr}");
        self
    }

    /// Fails the test unless standard error has each of these texts in it.
    #[track_caller]
    pub fn expect_story<T: AsRef<str>>(self, texts: impl IntoIterator<Item = T>) -> Self {
        for text in texts {
            let text = text.as_ref();
            assert!(self.stderr.contains(text), "{text:?} is not in\n{}", self.stderr);
        }
        self
    }
}

/// The binary: what `TIDEGATE_BIN` names, or else the one in the target folder of this test.
pub fn path() -> PathBuf {
    if let Some(path) = env::var_os("TIDEGATE_BIN") {
        return path.into();
    }
    let test = env::current_exe().expect("a test has a file");
    let name = format!("tidegate{}", env::consts::EXE_SUFFIX);
    // target/release/deps/suite-… and target/release/tidegate
    let path = test.ancestors().nth(2).expect("a test is in target/release/deps").join(name);
    assert!(path.is_file(), "there is no {}; run `cargo xtask guests`", path.display());
    path
}

/// The folder in place of the user's own for caches: compiled components, for the tests alone.
pub fn caches() -> PathBuf {
    let test = env::current_exe().expect("a test has a file");
    test.ancestors().nth(2).expect("a test is in target/release/deps").join("caches-of-tests")
}

/// The root of the repository.
pub fn repository() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests is below the root");
    root.to_owned()
}

/// The component of a crate of `examples/` or `tests/guests/`, as `cargo xtask guests` builds it.
pub fn component(crate_name: &str) -> PathBuf {
    let file = format!("{}.wasm", crate_name.replace('-', "_"));
    let folders = ["examples", "tests/guests"].map(|f| repository().join(f).join(crate_name));
    let folder = folders.iter().find(|folder| folder.is_dir());
    let folder = folder.unwrap_or_else(|| panic!("there is no crate {crate_name}"));
    let path = folder.join(file);
    assert!(path.is_file(), "{} is not built; run `cargo xtask guests`", path.display());
    path
}

/// Creates a file with a writer, for inputs too large to be put together in memory.
pub fn write_large(path: &Path, write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) {
    let file = fs::File::create(path).expect("the folder is there");
    let mut file = std::io::BufWriter::new(file);
    write(&mut file).and_then(|()| file.flush()).expect("the disk has room");
}

/// Waits for the end of process `id`, or ends it when its time is up.
fn finish(
    id: u32,
    stdout: impl FnOnce() -> String,
    stderr: JoinHandle<String>,
    ended: &Receiver<ExitStatus>,
) -> Ended {
    let status = ended.recv_timeout(TIME_MAX);
    if status.is_err() {
        signal(id, "KILL");
    }
    let stdout = stdout();
    let stderr = stderr.join().expect("reading does not panic");
    match status {
        Ok(status) => Ended { status: status.code(), stdout, stderr },
        Err(_) => panic!("still running after {TIME_MAX:?}; it wrote\n{stdout}\n{stderr}"),
    }
}

fn wait(mut child: Child) -> Receiver<ExitStatus> {
    let (sender, receiver) = channel();
    // If nobody waits any more the test has failed already.
    thread::spawn(move || child.wait().map(|status| sender.send(status)));
    receiver
}

fn read_text(mut from: impl Read) -> String {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).expect("a pipe can be read");
    String::from_utf8_lossy(&bytes).into_owned()
}

fn signal(process: u32, name: &str) {
    assert!(try_signal(process, name), "cannot signal process {process}");
}

fn try_signal(process: u32, name: &str) -> bool {
    // The shell's own, since a minimal system has no other.
    let status = Command::new("sh").args(["-c", &format!("kill -{name} {process}")]).status();
    status.is_ok_and(|status| status.success())
}
