//! Lines that come through a socket: a job reads them from a real connection, ends with it, and
//! connects again after a failure.

use std::io::Write;
use std::net::TcpListener;
use std::thread;

use tidegate_tests::binary::repository;
use tidegate_tests::counting::files_below;
use tidegate_tests::{Folder, Job, Tidegate, data};

/// The job of the example, with its files in a folder.
fn run(folder: &Folder, address: &str) -> Tidegate {
    let job = repository().join("examples/socket-alert/job.toml");
    let run = Tidegate::run_job(&job).set("source.sensors.address", address);
    let storage = format!("file://{}", folder.join("checkpoints").display());
    run.set("sink.out.path", folder.join("out").display()).set("checkpoint.storage", storage)
}

/// Sends lines in pieces that end anywhere.
fn serve(lines: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound").to_string();
    thread::spawn(move || {
        let (mut connection, _) = listener.accept().expect("the job connects");
        lines.chunks(777).try_for_each(|piece| connection.write_all(piece)).expect("it is read");
    });
    address
}

#[test]
fn alerts_come_through_a_socket() {
    let example = repository().join("examples/temp-alert");
    let lines = std::fs::read(example.join("sensors.csv")).expect("the example has input");
    let folder = Folder::new("socket");
    run(&folder, &serve(lines)).run().expect(0).expect_story(["611 in", "cannot be read again"]);
    let mut expected = data::lines(&example.join("expected.txt"));
    let files = files_below(&folder.join("out")).into_values();
    let texts = files.map(|bytes| String::from_utf8(bytes).expect("output is text"));
    let mut found: Vec<String> =
        texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
}

#[test]
fn a_job_says_where_nobody_listens() {
    let folder = Folder::new("nobody");
    // Bound and given up again, so that nobody listens there.
    let address = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port is free");
    run(&folder, &address.to_string()).run().expect(4).expect_story([
        &format!("cannot connect to {address}"),
        "start the server that the lines come from",
    ]);
}

/// The first connection ends with an error in the middle, the second has the rest.
#[test]
fn a_job_connects_again_after_a_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound").to_string();
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

#[test]
fn an_address_has_a_port() {
    let folder = Folder::new("port");
    run(&folder, "localhost").run().expect(1).expect_story(["`source.sensors.address`", "port"]);
}
