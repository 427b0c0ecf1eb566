//! Lines that come through a socket: a job reads them from a real connection, waits for a server
//! that is not there, and connects again when a connection is lost.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use tidegate_tests::binary::repository;
use tidegate_tests::counted::{Counted, clicks};
use tidegate_tests::counting::files_below;
use tidegate_tests::servers::free_port;
use tidegate_tests::{Folder, Job, Tidegate, data};

/// The job of the example, with its files in a folder.
fn run(folder: &Folder, address: &str) -> Tidegate {
    let job = repository().join("examples/socket-alert/job.toml");
    let run = Tidegate::run_job(&job).set("source.sensors.address", address);
    let storage = format!("file://{}", folder.join("checkpoints").display());
    run.set("sink.out.path", folder.join("out").display()).set("checkpoint.storage", storage)
}

fn bind() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound").to_string();
    (listener, address)
}

/// Sends lines in pieces that end anywhere.
fn serve(lines: Vec<u8>) -> String {
    let (listener, address) = bind();
    thread::spawn(move || {
        let (mut connection, _) = listener.accept().expect("the job connects");
        lines.chunks(777).try_for_each(|piece| connection.write_all(piece)).expect("it is read");
    });
    address
}

/// The lines of a folder's visible files, sorted.
fn output(folder: &Folder) -> Vec<String> {
    let files = files_below(&folder.join("out")).into_values();
    let texts = files.map(|bytes| String::from_utf8(bytes).expect("output is text"));
    let mut lines: Vec<String> =
        texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    lines.sort();
    lines
}

fn readings() -> (Vec<u8>, Vec<String>) {
    let example = repository().join("examples/temp-alert");
    let lines = std::fs::read(example.join("sensors.csv")).expect("the example has input");
    let mut expected = data::lines(&example.join("expected.txt"));
    expected.sort();
    (lines, expected)
}

#[test]
fn alerts_come_through_a_socket() {
    let (lines, expected) = readings();
    let folder = Folder::new("socket");
    run(&folder, &serve(lines)).run().expect(0).expect_story(["611 in", "cannot be read again"]);
    assert_eq!(output(&folder), expected);
}

/// The example as it stands, with the settings of the source document: the server is not there yet
/// when the job starts, goes away in the middle, and comes back.
#[test]
fn the_example_waits_for_its_server_and_outlives_it() {
    let (lines, expected) = readings();
    let folder = Folder::new("outlives");
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let runtime = |call: Tidegate| call.env("XDG_RUNTIME_DIR", folder.path());
    let running =
        runtime(run(&folder, &address).set("source.sensors.on_close", "reconnect")).start();
    let status = |wanted: &dyn Fn(&serde_json::Value) -> bool| {
        let ask = |arguments: &[&str]| runtime(Tidegate::new(arguments));
        tidegate_tests::counting::wait("socket-alert", ask, wanted)
    };
    status(&|status| status["state"] == "running");
    let read = |count: u64| {
        status(&|status| status["nodes"][0]["records_in"].as_u64() >= Some(count));
    };
    // In the middle between two lines.
    let middle =
        lines[..lines.len() / 2].iter().rposition(|byte| *byte == b'\n').expect("a line") + 1;
    let half = lines[..middle].iter().filter(|byte| **byte == b'\n').count() as u64;
    for (part, count) in [(&lines[..middle], half), (&lines[middle..], 611)] {
        let listener = TcpListener::bind(&address).expect("the port is still free");
        let (mut connection, _) = listener.accept().expect("the job connects");
        connection.write_all(part).expect("it is read");
        read(count);
    }
    runtime(Tidegate::new(["stop", "socket-alert"])).run().expect(0);
    let ended = running.wait().expect(130);
    ended.expect_story([
        &format!(
            "{address}: no connection: Connection refused (os error 111); trying again in 100ms"
        ),
        &format!("{address}: connected, after "),
        &format!("{address}: the connection was closed; trying again in"),
    ]);
    // The last sensors' timers do not fire, but alerts have none.
    assert_eq!(output(&folder), expected);
}

/// What a thread that serves is told.
enum Do {
    Send(&'static str),
    /// Closes with an error: the other side has sent what was never read.
    Break,
}

/// A server of one connection after the other, each with its orders.
fn obey(connections: Vec<Vec<Do>>) -> (String, Sender<()>) {
    let (listener, address) = bind();
    let (here, gone) = channel();
    thread::spawn(move || {
        for orders in connections {
            let (mut connection, _) = listener.accept().expect("the job connects");
            for order in orders {
                match order {
                    Do::Send(text) => connection.write_all(text.as_bytes()).expect("it is read"),
                    Do::Break => reset(&connection),
                }
            }
        }
        // Keeps the port until the test is over.
        let _ = gone.recv();
    });
    (address, here)
}

/// Makes the system send a reset in place of a good end: what was asked for is thrown away.
fn reset(connection: &TcpStream) {
    let socket = socket2::SockRef::from(connection);
    socket.set_linger(Some(Duration::ZERO)).expect("it is a socket");
}

#[test]
fn a_line_that_broke_off_is_left_out_and_told() {
    let (address, _server) =
        obey(vec![vec![Do::Send("a,1\na,2\nb,"), Do::Break], vec![Do::Send("a,3\nb,1")]]);
    let source = format!("connector = \"socket\"\naddress = {address:?}\nformat = \"csv\"\n");
    let job = Counted::new("broke", &source, Counted::file_sink(), "");
    let ended = job.run().run().expect(0);
    ended.expect_story([
        "the connection broke",
        "line 3 of socket",
        "broke off and is left out: \"b,\"",
    ]);
    assert_eq!(output(job.folder()), ["a,1", "a,2", "a,3", "b,1"]);
}

#[test]
fn a_silent_connection_counts_as_lost_if_that_is_asked_for() {
    let (listener, address) = bind();
    thread::spawn(move || {
        let (mut first, _) = listener.accept().expect("the job connects");
        first.write_all(b"a,1\n").expect("it is read");
        // Says nothing more, and holds the first connection open.
        let (mut second, _) = listener.accept().expect("the job connects again");
        second.write_all(b"a,2\n").expect("it is read");
    });
    let source = format!("connector = \"socket\"\naddress = {address:?}\nformat = \"csv\"\n");
    let job = Counted::new("silent", &source, Counted::file_sink(), "");
    let ended = job.run().set("source.in.silence", "200ms").run().expect(0);
    ended.expect_story(["the connection broke: nothing has come for too long; trying again"]);
    job.assert_exactly_once_in_all(2);
}

#[test]
fn a_job_gives_up_when_it_was_told_to() {
    let folder = Folder::new("nobody");
    let address = format!("127.0.0.1:{}", free_port());
    let run = run(&folder, &address).set("restart.attempts", 1).set("restart.delay", "10ms");
    let ended = run.set("source.sensors.retry_for", "300ms").run().expect(4);
    let refused = format!("cannot read socket {address}: no connection: Connection refused");
    ended.expect_story([
        refused.as_str(),
        "the job restarts in 10ms",
        "hint: start the server that the lines come from",
        "`retry_for` says how long it is tried",
    ]);
}

/// Each connection has its own lines; the job faults at one of the first.
#[test]
fn a_job_connects_again_after_a_failure() {
    let (listener, address) = bind();
    thread::spawn(move || {
        for lines in ["a,1,10\na,2,poison\n", "b,1,10\nb,2,30\n"] {
            let (mut connection, _) = listener.accept().expect("the job connects");
            connection.write_all(lines.as_bytes()).expect("it is read");
        }
    });
    let folder = Folder::new("again");
    let out = folder.join("out-pv");
    let source = format!("connector = \"socket\"\naddress = {address:?}\nformat = \"csv\"\n");
    let more = "[restart]\nstrategy = \"fixed-delay\"\nattempts = 1\ndelay = \"10ms\"\n";
    let job = Job::new(folder, source).operator("pv", "fail", "0", more);
    job.run().expect(0).expect_story(["poison", "the job restarts in 10ms"]);
    let found: Vec<u8> = files_below(&out).into_values().flatten().collect();
    assert_eq!(String::from_utf8_lossy(&found), "b,1\nb,2\n");
}

/// A line without an end takes no memory and is malformed.
#[test]
fn a_line_without_an_end_is_bounded() {
    let (listener, address) = bind();
    thread::spawn(move || {
        let (mut connection, _) = listener.accept().expect("the job connects");
        let megabyte = vec![b'x'; 1 << 20];
        (0..64).try_for_each(|_| connection.write_all(&megabyte)).expect("it is read");
        connection.write_all(format!("\n{}", clicks(0, 10)).as_bytes()).expect("it is read");
    });
    let source = format!(
        "connector = \"socket\"\naddress = {address:?}\nformat = \"csv\"\nmax_line = \"1KiB\"\n\
         malformed = \"dead-letter\"\n"
    );
    let job = Counted::new("long", &source, Counted::file_sink(), "");
    let report = job.folder().join("report.json");
    job.run().arg("--report").arg(&report).run().expect(0);
    job.assert_exactly_once_in_all(10);
    let letters = job.folder().read_json_lines("dead-letters/in-0.jsonl");
    assert_eq!((letters.len(), &letters[0]["bytes"]), (1, &serde_json::json!(64 << 20)));
    let report = tidegate_tests::job::Report::read(&report);
    assert!(report.peak_memory_bytes() < 200 << 20, "{}", report.peak_memory_bytes());
}

#[test]
fn standard_input_is_a_source() {
    let source = "connector = \"stdin\"\nformat = \"csv\"\ntimestamp = { field = 2 }\n";
    let job = Counted::new("stdin", source, Counted::file_sink(), Counted::checkpoints());
    let ended = job.run().stdin(clicks(0, 5000)).run().expect(0);
    ended.expect_story(["reads standard input, which cannot be read again"]);
    job.assert_exactly_once(5000);
}

#[test]
fn what_cannot_be_a_socket_is_refused() {
    let folder = Folder::new("port");
    let set = |key: &str, value: &str| {
        run(&folder, "localhost:1").set(&format!("source.sensors.{key}"), value).run().expect(1)
    };
    run(&folder, "localhost").run().expect(1).expect_story(["`source.sensors.address`", "port"]);
    set("on_close", "reconect").expect_story(["did you mean \"reconnect\"?"]);
    set("retry_for", "soon").expect_story(["not a duration", "or \"ever\""]);
    set("silence", "0s").expect_story(["not a duration above zero"]);
    set("retry_fro", "1s").expect_story(["did you mean `retry_for`?"]);
}
