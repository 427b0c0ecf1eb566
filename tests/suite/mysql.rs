//! MySQL as a source: a query is read once or again and again, whatever becomes of the server and
//! of the host. The server is a real one, started here.

use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tidegate_tests::binary::{Running, component, repository};
use tidegate_tests::counting::files_below;
use tidegate_tests::lines::Committed;
use tidegate_tests::servers::mysql::{DATABASE, Mysql, PASSWORD, USER, with_credentials};
use tidegate_tests::servers::wait_until;
use tidegate_tests::{Folder, Tidegate};

/// For what takes a moment.
const SOON: Duration = Duration::from_secs(60);

/// How often the table is read in tests of reading again and again.
const PERIOD: Duration = Duration::from_secs(1);

/// A server with the source document's table.
pub fn start() -> Option<Mysql> {
    let server = Mysql::start()?;
    let table = repository().join("examples/broadcast-config/user_info.sql");
    let table = std::fs::read_to_string(table).expect("the example has a table");
    server.sql(&format!("USE {DATABASE}; {table}"));
    Some(server)
}

/// A job that writes what a query gives to `out`.
fn job(folder: &Folder, server: &Mysql, more: &str) -> PathBuf {
    let keys = server.keys();
    folder.write(
        "job.toml",
        format!(
            "[job]\nname = \"rows\"\n[[source]]\nid = \"in\"\nconnector = \"mysql\"\n{keys}{more}\n\
             [[sink]]\nid = \"out\"\nconnector = \"file\"\nfrom = \"in\"\npath = \"out/\"\n"
        ),
    )
}

fn run(job: &Path) -> Tidegate {
    with_credentials(Tidegate::run_job(job))
}

const ALL: &str = "query = \"SELECT userID, userName, userAge FROM user_info ORDER BY userID\"";

const DOCUMENT: &str = "user_1,张三,10\nuser_2,李四,20\nuser_3,王五,30\nuser_4,赵六,40\n";

#[test]
fn a_query_is_read_once() {
    let Some(server) = start() else { return };
    let folder = Folder::new("once");
    run(&job(&folder, &server, ALL)).run().expect(0).expect_story(["4 in"]);
    assert_eq!(folder.read("out/part-0"), DOCUMENT);
}

#[test]
fn values_of_every_kind_become_records() {
    let Some(server) = start() else { return };
    server.sql(&format!(
        "CREATE TABLE {DATABASE}.kinds (a INT, b DECIMAL(8,3), c DOUBLE, d VARCHAR(20), e DATE, \
         f BOOL, g INT(5) ZEROFILL, h TEXT); \
         INSERT INTO {DATABASE}.kinds VALUES \
         (-1, 1.5, 2.5e30, 'a \"b\", c', '2019-08-17', TRUE, 42, 'one\\ntwo'), \
         (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), (0, 0, 0, '', '1000-01-01', 0, 0, '王')"
    ));
    let query = "query = \"SELECT * FROM kinds\"\n";
    let folder = Folder::new("kinds");
    run(&job(&folder, &server, query)).run().expect(0);
    assert_eq!(
        folder.read("out/part-0"),
        "-1,1.500,2.5e30,\"a \"\"b\"\", c\",2019-08-17,1,00042,\"one\ntwo\"\n,,,,,,,\n\
         0,0.000,0,\"\",1000-01-01,0,00000,王\n"
    );
    let folder = Folder::new("kinds-json");
    run(&job(&folder, &server, &format!("{query}format = \"json\""))).run().expect(0);
    let objects = folder.read_json_lines("out/part-0");
    let expected = [
        r#"{"a":-1,"b":1.500,"c":2.5e30,"d":"a \"b\", c","e":"2019-08-17","f":1,"g":"00042",
            "h":"one\ntwo"}"#,
        r#"{"a":null,"b":null,"c":null,"d":null,"e":null,"f":null,"g":null,"h":null}"#,
        r#"{"a":0,"b":0.000,"c":0,"d":"","e":"1000-01-01","f":0,"g":"00000","h":"王"}"#,
    ];
    let expected = expected.map(|text| serde_json::from_str(text).expect("it is JSON"));
    assert_eq!(objects, expected as [serde_json::Value; 3]);
}

#[test]
fn what_the_user_must_mend_ends_the_job_at_once() {
    let Some(server) = start() else { return };
    let folder = Folder::new("mend");
    let ended = run(&job(&folder, &server, ALL)).env("TEST_DB_PASSWORD", "not-the-one").run();
    let ended = ended.expect(1).expect_story(["Access denied", "`password_env`"]);
    assert!(!ended.stderr.contains("not-the-one"), "{}", ended.stderr);
    for (query, told) in [
        ("SELECT * FROM nowhere", "bigdata.nowhere' doesn't exist"),
        ("SELECT nothing FROM user_info", "Unknown column 'nothing'"),
        ("SELEC 1", "error 1064"),
        ("DO 1", "write a SELECT"),
    ] {
        let job = job(&folder, &server, &format!("query = \"{query}\""));
        run(&job).run().expect(1).expect_story([told]);
    }
    let job = job(&folder, &server, ALL);
    let database = format!("mysql://127.0.0.1:{}/nowhere", server.port());
    let ended = run(&job).set("source.in.url", database).run();
    ended.expect(1).expect_story(["nowhere", "`url`"]);
    let unset = Tidegate::check_job(&job).env("TEST_DB_USER", "x").run().expect(1);
    unset
        .expect_story(["`source.in.password_env` names the environment variable TEST_DB_PASSWORD"]);
}

/// Answers the job's tries in place of the server, which is down, by ending the connection. Returns
/// when that has happened.
pub fn refuse_one(server: &Mysql) {
    let listener = TcpListener::bind(("127.0.0.1", server.port())).expect("the server is down");
    drop(listener.accept().expect("the job tries to connect"));
}

#[test]
fn a_server_that_is_down_at_start_is_waited_for() {
    let Some(mut server) = start() else { return };
    server.kill();
    let folder = Folder::new("down");
    let running = run(&job(&folder, &server, ALL)).start();
    refuse_one(&server);
    server.start_again();
    let told = ["in/0: cannot read from mysql at 127.0.0.1:", "tried again for up to 60s"];
    running.wait().expect(0).expect_story(told).expect_story(["answers again after"]);
    assert_eq!(folder.read("out/part-0"), DOCUMENT);
}

#[test]
fn a_server_that_stays_away_fails_the_job() {
    let Some(mut server) = start() else { return };
    server.kill();
    let folder = Folder::new("away");
    let restart = "[restart]\nstrategy = \"fixed-delay\"\nattempts = 2\ndelay = \"10ms\"";
    let job = job(&folder, &server, &format!("{ALL}\nretry_for = \"300ms\"\n{restart}"));
    let ended = run(&job).run().expect(4);
    assert_eq!(ended.stderr.matches("the job restarts in 10ms").count(), 2, "{}", ended.stderr);
    ended.expect_story(["Connection refused", "start the server, or look at `url`"]);
}

/// Takes a connection of the job in place of the server, which is down, and answers nothing, until
/// the job gives it up.
pub fn answer_nothing(server: &Mysql) {
    let listener = TcpListener::bind(("127.0.0.1", server.port())).expect("the server is down");
    let (mut held, _) = listener.accept().expect("the job tries to connect");
    // The server speaks first, so there is nothing to read before the end.
    let read = held.read(&mut [0]).expect("the job ends the connection");
    assert_eq!(read, 0, "the job speaks first");
}

#[test]
fn a_server_that_does_not_answer_is_tried_again() {
    let Some(mut server) = start() else { return };
    server.kill();
    let folder = Folder::new("silent");
    let job = job(&folder, &server, &format!("{ALL}\ntimeout = \"500ms\""));
    let running = run(&job).start();
    answer_nothing(&server);
    server.start_again();
    running.wait().expect(0).expect_story(["no answer within 500ms", "answers again after"]);
    assert_eq!(folder.read("out/part-0"), DOCUMENT);
}

#[test]
fn a_query_that_takes_too_long_is_tried_again() {
    let Some(server) = start() else { return };
    server.sql(&format!(
        "CREATE TABLE {DATABASE}.pace (seconds INT); INSERT INTO {DATABASE}.pace VALUES (30)"
    ));
    let folder = Folder::new("slow");
    let query = "query = \"SELECT userID, SLEEP(seconds) FROM user_info, pace ORDER BY userID\"\n";
    let running = run(&job(&folder, &server, &format!("{query}timeout = \"1s\""))).start();
    let connections =
        format!("SELECT ID FROM information_schema.PROCESSLIST WHERE USER = '{USER}'");
    let mut seen = std::collections::BTreeSet::new();
    wait_until("a second connection asks", SOON, || {
        seen.extend(server.sql(&connections));
        seen.len() > 1
    });
    server.sql(&format!("UPDATE {DATABASE}.pace SET seconds = 0"));
    running.wait().expect(0).expect_story(["no answer within 1s", "answers again after"]);
    assert_eq!(folder.read("out/part-0"), "user_1,0\nuser_2,0\nuser_3,0\nuser_4,0\n");
}

/// A query of many rows goes on behind those that are in the checkpoint, kill after kill.
#[test]
fn a_query_that_is_read_once_goes_on_where_it_was() {
    const ROWS: u32 = 2_000_000;
    let Some(mut server) = start() else { return };
    let folder = Folder::new("goes-on");
    let query = format!("query = \"SELECT seq FROM seq_1_to_{ROWS}\"");
    let (keys, count) = (server.keys(), component("count"));
    let job = folder.write(
        "job.toml",
        format!(
            "[job]\nname = \"goes-on\"\n[checkpoint]\nstorage = \"file://checkpoints\"\n\
             interval = \"20ms\"\n[[source]]\nid = \"in\"\nconnector = \"mysql\"\n{keys}{query}\n\
             [[operator]]\nid = \"count\"\ncomponent = {count:?}\n\
             inputs = [{{ from = \"in\", partition = {{ key = 0 }} }}]\n\
             [[sink]]\nid = \"out\"\nconnector = \"file\"\nfrom = \"count\"\npath = \"out/\"\n"
        ),
    );
    let start = || run(&job).arg("--restore").arg("latest").start();
    let visible = || {
        let files = std::fs::read_dir(folder.join("out")).into_iter().flatten().flatten();
        files.filter(|file| file.file_name().to_string_lossy().starts_with("part-")).count()
    };
    for turn in 0..3 {
        let before = visible();
        let running = start();
        wait_until("rows are committed", SOON, || visible() > before);
        if turn == 1 {
            server.kill();
            server.start_again();
        }
        running.kill_after(Duration::ZERO);
    }
    start().wait().expect(0);
    let lines = committed(&folder).into_iter().flat_map(|file| file.lines);
    let row = |line: String| {
        let row = line.strip_suffix(",1").unwrap_or_else(|| panic!("{line} came again"));
        row.parse::<u32>().expect("rows are numbers")
    };
    let mut rows: Vec<u32> = lines.map(row).collect();
    rows.sort_unstable();
    assert!(rows.iter().copied().eq(1..=ROWS), "{} rows instead of {ROWS}", rows.len());
    let again = run(&job).arg("--restore").arg("latest").run().expect(0);
    again.expect_story(["has finished before"]);
}

/// What is visible of the output in `out`; nothing if there is none yet.
fn committed(folder: &Folder) -> Vec<Committed> {
    if folder.join("out").is_dir() { Committed::read(&folder.join("out")) } else { Vec::new() }
}

/// The example with the real table, in a folder of a test.
struct Enriched {
    server: Mysql,
    folder: Folder,
}

impl Enriched {
    fn start(&self) -> Running {
        let job = repository().join("examples/broadcast-config/job-mysql.toml");
        let storage = format!("file://{}", self.folder.join("checkpoints").display());
        let run = Tidegate::run_job(&job)
            .arg("--restore")
            .arg("latest")
            .set("source.user_info.url", self.server.url())
            .set("source.user_info.every", format!("{}ms", PERIOD.as_millis()))
            .set("source.actions.params", "{ every = \"2ms\", products = 1000000000 }")
            .set("sink.out.path", self.folder.join("out").display())
            .set("checkpoint.storage", storage)
            .set("checkpoint.interval", "100ms")
            .set("checkpoint.min_pause", "0s");
        run.env("USER_INFO_USER", USER).env("USER_INFO_PASSWORD", PASSWORD).start()
    }

    fn set_age(&self, age: u32) {
        self.server.sql(&format!(
            "UPDATE {DATABASE}.user_info SET userAge = {age} WHERE userID = 'user_3'"
        ));
    }

    /// Of each partition, the ages of `user_3` in the order in which they were put out.
    fn ages(&self) -> [Vec<u32>; 2] {
        let mut ages = [Vec::new(), Vec::new()];
        for Committed { partition, lines, .. } in committed(&self.folder) {
            for line in lines.iter().filter(|line| line.starts_with("(user_3,")) {
                let age = line.trim_end_matches(')').rsplit_once(',').expect("a line has fields").1;
                ages[partition].push(age.parse().expect("ages are numbers"));
            }
        }
        ages
    }

    fn wait_for_age(&self, age: u32, most: Duration) -> Duration {
        wait_until(&format!("all partitions know the age {age}"), most, || {
            self.ages().iter().all(|ages| ages.last() == Some(&age))
        })
    }
}

/// The change of a row is in the output of every partition within two periods, and is not forgotten
/// by a kill; nor is any action lost or doubled.
#[test]
fn broadcast_config_follows_the_table() {
    let Some(server) = start() else { return };
    let mut test = Enriched { server, folder: Folder::new("enriched") };
    // A checkpoint later it is visible, and a test looks now and then.
    let within = PERIOD * 2 + Duration::from_millis(500);
    let running = test.start();
    test.wait_for_age(30, SOON);
    test.set_age(33);
    test.wait_for_age(33, within);
    running.kill_after(Duration::ZERO);
    test.set_age(34);
    let running = test.start();
    test.wait_for_age(34, SOON);
    // While the server is away what is known of users stays.
    test.server.kill();
    refuse_one(&test.server);
    let before: usize = test.ages().iter().map(Vec::len).sum();
    wait_until("actions go on", SOON, || test.ages().iter().map(Vec::len).sum::<usize>() > before);
    test.server.start_again();
    test.set_age(35);
    test.wait_for_age(35, SOON);
    running.interrupt();
    let ended = running.wait().expect(130);
    assert!(!ended.stderr.contains(PASSWORD), "{}", ended.stderr);
    for ages in test.ages() {
        assert!(ages.is_sorted(), "an age came back: {ages:?}");
    }
    let lines: Vec<String> =
        committed(&test.folder).into_iter().flat_map(|file| file.lines).collect();
    let product = |line: &String| line.split(',').nth(3).expect("a product").parse::<usize>();
    let mut products: Vec<usize> = lines.iter().map(|l| product(l).expect("a number")).collect();
    products.sort_unstable();
    assert_eq!(products, (0..lines.len()).collect::<Vec<_>>(), "each action once");
    for (path, bytes) in files_below(&test.folder.join("checkpoints")) {
        let holds = bytes.windows(PASSWORD.len()).any(|bytes| bytes == PASSWORD.as_bytes());
        assert!(!holds, "{} holds the password", path.display());
    }
}

/// A certificate that is its own authority, for 127.0.0.1.
fn certificate(folder: &Folder, name: &str) {
    let output = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(folder.join(format!("{name}.key")))
        .arg("-out")
        .arg(folder.join(format!("{name}.pem")))
        .output()
        .expect("openssl is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_connection_can_be_encrypted() {
    let server = Mysql::start_with(|folder| {
        certificate(folder, "server");
        let path = |file: &str| folder.join(file).display().to_string();
        vec![
            format!("--ssl-cert={}", path("server.pem")),
            format!("--ssl-key={}", path("server.key")),
        ]
    });
    let Some(server) = server else { return };
    server.sql(&format!("ALTER USER '{USER}'@'%' REQUIRE SSL"));
    let folder = Folder::new("tls");
    let query = "query = \"SELECT 1\"";
    let plain = job(&folder, &server, query);
    run(&plain).run().expect(1).expect_story(["Access denied"]);
    let authority = server.folder().join("server.pem");
    let encrypted = format!("{query}\ntls = true\ntls_ca = {authority:?}");
    run(&job(&folder, &server, &encrypted)).run().expect(0);
    assert_eq!(folder.read("out/part-0"), "1\n");
    certificate(&folder, "other");
    let other = format!("{query}\ntls = true\ntls_ca = \"other.pem\"");
    run(&job(&folder, &server, &other)).run().expect(1).expect_story(["look at `tls_ca`"]);
    run(&job(&folder, &server, &format!("{query}\ntls = true"))).run().expect(1);
}

#[test]
fn a_server_without_tls_is_not_talked_to_in_the_clear() {
    let Some(server) = Mysql::start_with(|_| vec!["--skip-ssl".into()]) else { return };
    let folder = Folder::new("no-tls");
    let ended = run(&job(&folder, &server, "query = \"SELECT 1\"\ntls = true")).run().expect(1);
    ended.expect_story(["leave `tls` out"]);
}
