//! Server, client and registry against each other, over real sockets.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use super::*;
use crate::checkpoint::Completed;
use crate::checkpoint::manifest::Kind;
use crate::error::{Error, ErrorKind};
use crate::flow::NodeKind;
use crate::job::NodeReport;

/// A job that does nothing but note what it is asked.
struct Job {
    status: JobStatus,
    asked: Mutex<Sender<(Request, Reply)>>,
}

impl Control for Job {
    fn status(&self) -> JobStatus {
        self.status.clone()
    }

    fn request(&self, request: Request, reply: Reply) {
        self.asked.lock().unwrap().send((request, reply)).unwrap();
    }
}

fn job(name: &str, pid: u32) -> (Arc<Job>, Receiver<(Request, Reply)>) {
    let (asked, requests) = channel();
    let node = NodeReport {
        id: "clicks".into(),
        kind: NodeKind::Source,
        records_in: 7,
        records_out: 6,
        malformed: 1,
        faults: 0,
    };
    let last =
        Completed { id: 4, kind: Kind::Savepoint, completed_ms: 12, duration_ms: 3, bytes: 99 };
    let checkpoints = CheckpointsStatus {
        completed: 3,
        failed: 1,
        in_progress: 0,
        last: Some(last),
        restored_from: Some(2),
    };
    let status = JobStatus {
        job: name.into(),
        pid,
        state: JobState::Running,
        started_ms: 5,
        uptime_ms: 6,
        restarts: 1,
        nodes: vec![node],
        checkpoints,
        functions: Vec::new(),
    };
    (Arc::new(Job { status, asked: Mutex::new(asked) }), requests)
}

/// A folder of its own, with a registry in it that is not there yet.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tidegate-c{}-{name}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn sockets(&self) -> PathBuf {
        self.0.join("sockets")
    }

    fn registry(&self) -> Registry {
        Registry::in_folder(self.sockets()).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.sockets()).unwrap();
        let name = |entry: std::io::Result<fs::DirEntry>| {
            entry.unwrap().file_name().into_string().unwrap()
        };
        let mut names: Vec<String> = entries.map(name).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_job_tells_how_it_is_doing() {
    let folder = Folder::new("status");
    let (control, _requests) = job("pv", 7);
    let _server = Server::start(&folder.registry(), "pv", 7, control.clone()).unwrap();
    let found = folder.registry().find("pv").unwrap();
    assert_eq!((found.name.as_str(), found.pid), ("pv", 7));
    assert_eq!(found.client.status().unwrap(), control.status);
    assert_eq!(folder.registry().find("pv-7").unwrap().pid, 7);
}

#[test]
fn requests_arrive_as_they_were_sent_and_wait_for_their_answers() {
    let folder = Folder::new("requests");
    let (control, requests) = job("pv", 7);
    let _server = Server::start(&folder.registry(), "pv", 7, control).unwrap();
    let place = || Some("file:///elsewhere".to_owned());
    let sent = [
        Request::Savepoint { path: None },
        Request::Savepoint { path: place() },
        Request::Stop { savepoint: None },
        Request::Stop { savepoint: Some(None) },
        Request::Stop { savepoint: Some(place()) },
        Request::Cancel,
    ];
    for request in sent {
        let client = folder.registry().find("pv").unwrap().client;
        let asked = request.clone();
        let waiting = thread::spawn(move || client.request(&asked));
        let (received, reply) = requests.recv().unwrap();
        assert_eq!(received, request);
        // Others are served while it waits.
        folder.registry().find("pv").unwrap().client.status().unwrap();
        let answer = Answer { savepoint: place(), swap: None };
        reply.send(Ok(answer.clone()));
        assert_eq!(waiting.join().unwrap().unwrap(), answer);
    }
}

#[test]
fn errors_keep_their_words_and_whose_turn_it_is() {
    let folder = Folder::new("errors");
    let (control, requests) = job("pv", 7);
    let _server = Server::start(&folder.registry(), "pv", 7, control).unwrap();
    let client = folder.registry().find("pv").unwrap().client;
    let answer_with = |reply_with: &dyn Fn(Reply)| {
        let client = client.clone();
        let waiting = thread::spawn(move || client.request(&Request::Cancel));
        reply_with(requests.recv().unwrap().1);
        waiting.join().unwrap().unwrap_err()
    };
    let error = answer_with(&|reply| {
        reply.send(Err(Error::input("the job takes no checkpoints").hint("add [checkpoint]")));
    });
    assert_eq!(error.kind, ErrorKind::Input);
    assert_eq!(error.message, "the job takes no checkpoints");
    assert_eq!(error.hint.as_deref(), Some("add [checkpoint]"));
    let error = answer_with(&|reply| {
        let cause = std::io::Error::other("the disk is full");
        reply.send(Err(Error::storage("cannot write chk-4").caused_by(cause)));
    });
    assert_eq!(error.kind, ErrorKind::Storage);
    assert_eq!(error.message, "cannot write chk-4: the disk is full");
    let error = answer_with(&|reply| drop(reply));
    assert_eq!(error.kind, ErrorKind::Input);
    assert_eq!(error.message, "the job ended before it answered");
}

/// As curl would talk to it.
#[test]
fn what_is_no_request_is_refused_in_words() {
    let folder = Folder::new("refused");
    let (control, _requests) = job("pv", 7);
    let _server = Server::start(&folder.registry(), "pv", 7, control).unwrap();
    let call = |method: &str, route: &str, body: &str| {
        let mut stream = UnixStream::connect(folder.sockets().join("pv-7.sock")).unwrap();
        let length = body.len();
        let head = format!("{method} {route} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
        write!(stream, "{head}Content-Length: {length}\r\n\r\n{body}").unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        response
    };
    let cases = [
        ("GET", "/v2/job", "", "404", "there is no GET /v2/job"),
        ("GET", "/v1/stop", "", "404", "there is no GET /v1/stop"),
        ("POST", "/v1/stop", "{", "400", "cannot read the request"),
        ("POST", "/v1/savepoints", "{\"paht\":\"x\"}", "400", "unknown field `paht`"),
        ("POST", "/v1/stop", "{\"savepoint\":7}", "400", "cannot read the request"),
    ];
    for (method, route, body, status, words) in cases {
        let response = call(method, route, body);
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{response}");
        assert!(response.contains("{\"error\":") && response.contains(words), "{response}");
    }
    assert!(call("GET", "/v1/job", "").contains("\"state\":\"running\""));
}

#[test]
fn nobody_else_is_let_in() {
    let folder = Folder::new("modes");
    let (control, _requests) = job("pv", 7);
    let server = Server::start(&folder.registry(), "pv", 7, control.clone()).unwrap();
    let mode = |path: PathBuf| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(folder.sockets()), 0o700);
    assert_eq!(mode(folder.sockets().join("pv-7.sock")), 0o600);
    drop(server);
    fs::set_permissions(folder.sockets(), Permissions::from_mode(0o750)).unwrap();
    let open = folder.registry().jobs().unwrap_err();
    assert!(open.message.ends_with("is open to other users (mode 750)"), "{open}");
    let refused = Server::start(&folder.registry(), "pv", 7, control).unwrap_err();
    assert_eq!(refused.message, open.message);
    assert!(refused.hint.unwrap().starts_with("`chmod 700 "));
    // A link could lead to a folder that is fine now and something else later.
    fs::remove_dir(folder.sockets()).unwrap();
    symlink(&folder.0, folder.sockets()).unwrap();
    let link = folder.registry().jobs().unwrap_err();
    assert!(link.message.ends_with("is no folder"), "{link}");
}

#[test]
fn a_folder_of_somebody_else_is_refused() {
    let folder = Folder::new("owner");
    let mut somebody_else = folder.registry();
    somebody_else.user += 1;
    fs::create_dir(folder.sockets()).unwrap();
    fs::set_permissions(folder.sockets(), Permissions::from_mode(0o700)).unwrap();
    let refused = somebody_else.jobs().unwrap_err();
    assert!(refused.message.contains("belongs to user"), "{refused}");
}

#[test]
fn what_dead_jobs_left_is_removed_when_it_is_found() {
    let folder = Folder::new("dead");
    let (control, _requests) = job("pv", 7);
    let server = Server::start(&folder.registry(), "pv", 7, control.clone()).unwrap();
    // A process that is killed closes its socket and leaves the file.
    drop(UnixListener::bind(folder.sockets().join("pv-6.sock")).unwrap());
    fs::write(folder.sockets().join("notes.txt"), "").unwrap();
    assert_eq!(folder.names(), ["notes.txt", "pv-6.sock", "pv-7.sock"]);
    let jobs = folder.registry().jobs().unwrap();
    assert_eq!(jobs.iter().map(RunningJob::full_name).collect::<Vec<_>>(), ["pv-7"]);
    assert_eq!(folder.names(), ["notes.txt", "pv-7.sock"]);
    // The name of a dead process can come back.
    drop(UnixListener::bind(folder.sockets().join("pv-8.sock")).unwrap());
    let again = Server::start(&folder.registry(), "pv", 8, control.clone()).unwrap();
    assert_eq!(folder.registry().find("pv-8").unwrap().pid, 8);
    let taken = Server::start(&folder.registry(), "pv", 8, control).unwrap_err();
    assert!(taken.message.ends_with("pv-8.sock is in use"), "{taken}");
    drop((server, again));
    assert_eq!(folder.names(), ["notes.txt"]);
}

#[test]
fn jobs_of_one_name_are_told_apart() {
    let folder = Folder::new("names");
    let none = folder.registry().find("pv").unwrap_err();
    assert_eq!(none.message, "no running job is called \"pv\"");
    assert_eq!(none.hint.as_deref(), Some("no job of yours is running here"));
    let (control, _requests) = job("pv", 0);
    let start = |name, pid| Server::start(&folder.registry(), name, pid, control.clone()).unwrap();
    let _servers = [start("pv", 7), start("pv", 12), start("clicks-per-user", 3)];
    let two = folder.registry().find("pv").unwrap_err();
    assert_eq!(two.message, "2 running jobs are called \"pv\"");
    assert_eq!(two.hint.as_deref(), Some("name one: pv-7, pv-12"));
    assert_eq!(folder.registry().find("pv-12").unwrap().pid, 12);
    let typo = folder.registry().find("click-per-user").unwrap_err();
    assert_eq!(typo.hint.as_deref(), Some("did you mean `clicks-per-user`?"));
}

#[test]
fn a_path_that_is_too_long_for_a_socket_is_told() {
    let folder = Folder::new("long");
    let (control, _requests) = job("pv", 7);
    let error = Server::start(&folder.registry(), &"x".repeat(100), 7, control).unwrap_err();
    assert!(error.message.contains("more than 107"), "{error}");
    assert!(error.hint.unwrap().contains("XDG_RUNTIME_DIR"));
}

#[test]
fn closing_waits_for_answers_under_way_and_not_for_the_silent() {
    let folder = Folder::new("closing");
    let (control, requests) = job("pv", 7);
    let server = Server::start(&folder.registry(), "pv", 7, control).unwrap();
    let client = folder.registry().find("pv").unwrap().client;
    let silent = UnixStream::connect(folder.sockets().join("pv-7.sock")).unwrap();
    let waiting = thread::spawn(move || client.request(&Request::Cancel));
    let (_, reply) = requests.recv().unwrap();
    let closing = thread::spawn(move || drop(server));
    reply.send(Ok(Answer::default()));
    assert_eq!(waiting.join().unwrap().unwrap(), Answer::default());
    closing.join().unwrap();
    assert_eq!(folder.names(), [""; 0]);
    drop(silent);
}
