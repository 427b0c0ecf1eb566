//! MySQL as a sink: rows are added exactly once or replaced by their key, whatever becomes of the
//! server and of the host. The server is a real one, started here.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tidegate_tests::binary::{component, repository};
use tidegate_tests::counting::files_below;
use tidegate_tests::random::Random;
use tidegate_tests::servers::mysql::{DATABASE, Mysql, PASSWORD, USER, with_credentials};
use tidegate_tests::servers::wait_until;
use tidegate_tests::{Folder, Tidegate, counts};

const SOON: Duration = Duration::from_secs(60);

/// Records of the whole job.
const RECORDS: u64 = 40_000;

/// A table in which it shows which rows came when, and how often.
const ADDED: &str = "CREATE TABLE bigdata.counts (id INT AUTO_INCREMENT PRIMARY KEY, \
    user VARCHAR(40) NOT NULL, n INT NOT NULL) ENGINE = InnoDB";

/// A table with one row a user.
const REPLACED: &str = "CREATE TABLE bigdata.counts (user VARCHAR(40) PRIMARY KEY, \
    n INT NOT NULL) ENGINE = InnoDB";

const CHECKPOINTS: &str = "[checkpoint]\nstorage = \"file://checkpoints\"\ninterval = \"50ms\"\n\
    [restart]\nstrategy = \"none\"\n";

/// A job that counts made-up clicks by user, and writes `user,count` for each.
fn job(folder: &Folder, server: &Mysql, checkpoint: &str, sink: &str) -> PathBuf {
    let (keys, count) = (server.keys(), component("count"));
    folder.write(
        "job.toml",
        format!(
            "[job]\nname = \"counts\"\nparallelism = 2\nmax_parallelism = 16\n{checkpoint}\
             [[source]]\nid = \"in\"\nconnector = \"generator\"\nshape = \"clicks\"\n\
             count = {RECORDS}\nkeys = 500\n\
             [[operator]]\nid = \"count\"\ncomponent = {count:?}\n\
             inputs = [{{ from = \"in\", partition = {{ key = 0 }} }}]\n\
             [[sink]]\nid = \"out\"\nconnector = \"mysql\"\nfrom = \"count\"\n{keys}\
             table = \"counts\"\ncolumns = [\"user\", \"n\"]\n{sink}\n"
        ),
    )
}

fn run(job: &Path) -> Tidegate {
    with_credentials(Tidegate::run_job(job))
}

fn latest(job: &Path) -> Tidegate {
    run(job).arg("--restore").arg("latest")
}

/// The rows in the order in which they were added.
fn added(server: &Mysql) -> String {
    let rows = server.sql("SELECT CONCAT(user, ',', n) FROM bigdata.counts ORDER BY id");
    rows.into_iter().map(|row| row + "\n").collect()
}

fn count(server: &Mysql) -> u64 {
    server.sql("SELECT COUNT(*) FROM bigdata.counts")[0].parse().expect("a number")
}

/// Users and how often they clicked, as another run of the same job says that writes files.
fn expected(folder: &Folder, job: &Path) -> Vec<String> {
    let out = folder.join("expected");
    let sink =
        format!("{{ id = \"out\", connector = \"file\", from = \"count\", path = {out:?} }}");
    let text = std::fs::read_to_string(job).expect("it was written");
    let (before, _) = text.split_once("[checkpoint]").unwrap_or((&text, ""));
    let (_, from_source) = text.split_once("[[source]]").expect("it has a source");
    let (source, _) = from_source.split_once("[[sink]]").expect("it has a sink");
    let before = before.split("[[source]]").next().expect("the first part");
    let plain =
        folder.write("expected.toml", format!("sink = [{sink}]\n{before}[[source]]{source}"));
    Tidegate::run_job(&plain).run().expect(0);
    let mut last = std::collections::BTreeMap::new();
    for bytes in files_below(&out).into_values() {
        for line in String::from_utf8(bytes).expect("output is text").lines() {
            let (user, n) = line.split_once(',').expect("a user and a count");
            last.insert(user.to_owned(), n.to_owned());
        }
    }
    last.into_iter().map(|(user, n)| format!("{user}\t{n}")).collect()
}

/// Rows that nothing but the marker keeps from being there twice.
#[test]
fn added_rows_survive_kills_of_host_and_server() {
    const KILLS: u32 = 24;
    let Some(mut server) = Mysql::start() else { return };
    server.sql(ADDED);
    let folder = Folder::new("added");
    let job = job(&folder, &server, CHECKPOINTS, "");
    let mut random = Random::new(5);
    for turn in 0..KILLS {
        let running = latest(&job).set("source.in.rate", 5_000).start();
        if turn % 6 == 5 {
            let before = count(&server);
            wait_until("rows come", SOON, || count(&server) > before);
            server.kill();
            server.start_again();
        }
        running.kill_after(Duration::from_millis(random.between(1, 400) as u64));
    }
    let left = RECORDS - count(&server);
    assert!(left > 0, "there was nothing left to kill");
    let ended = latest(&job).set("source.in.rate", 1_000_000_000).run().expect(0);
    assert!(!ended.stderr.contains(PASSWORD), "{}", ended.stderr);
    assert_eq!(counts::check(&[added(&server)], RECORDS), Ok(()));
    let logs: Vec<PathBuf> = files_below(&folder.join("checkpoints"))
        .into_iter()
        .inspect(|(path, bytes)| {
            let holds = bytes.windows(PASSWORD.len()).any(|bytes| bytes == PASSWORD.as_bytes());
            assert!(!holds, "{} holds the password", path.display());
        })
        .map(|(path, _)| path)
        .filter(|path| path.starts_with("sinks"))
        .collect();
    assert!(logs.is_empty(), "what is committed is removed: {logs:?}");
}

/// It holds the sink when it is stopped; the next one takes it, ends the connection, and is not
/// disturbed when the first one goes on.
#[test]
fn a_process_that_was_taken_for_dead_writes_nothing_more() {
    let Some(server) = Mysql::start() else { return };
    for turn in 0..3 {
        server.sql(&format!("DROP TABLE IF EXISTS bigdata.counts; {ADDED}"));
        let folder = Folder::new("dead");
        let job = job(&folder, &server, CHECKPOINTS, "");
        let stopped = latest(&job).set("source.in.rate", 5_000).start();
        wait_until("rows come", SOON, || count(&server) > 1000 * turn);
        stopped.signal("STOP");
        latest(&job).set("source.in.rate", 1_000_000_000).run().expect(0);
        stopped.signal("CONT");
        let ended = stopped.wait();
        assert!(ended.status.is_some_and(|status| status != 0), "{}", ended.stderr);
        assert_eq!(counts::check(&[added(&server)], RECORDS), Ok(()), "{}", ended.stderr);
    }
}

/// The server is away for a while, then answers nothing, and the job neither ends nor restarts.
#[test]
fn a_server_that_goes_away_holds_the_job_up_and_no_more() {
    let Some(mut server) = Mysql::start() else { return };
    server.sql(ADDED);
    let folder = Folder::new("away");
    let job = job(&folder, &server, CHECKPOINTS, "timeout = \"500ms\"");
    let running = latest(&job).set("source.in.rate", 5_000).start();
    let wait_for_rows = |server: &Mysql| {
        let before = count(server);
        wait_until("rows come", SOON, || count(server) > before);
    };
    wait_for_rows(&server);
    server.kill();
    super::mysql::refuse_one(&server);
    server.start_again();
    wait_for_rows(&server);
    server.kill();
    super::mysql::answer_nothing(&server);
    server.start_again();
    // An outage is told once, with what it began with: mostly the refusal before the silence.
    let ended = running.wait().expect(0);
    ended.expect_story(["tried again for up to 60s", "answers again"]);
    assert_eq!(counts::check(&[added(&server)], RECORDS), Ok(()));
}

#[test]
fn a_server_that_is_down_at_start_is_waited_for() {
    let Some(mut server) = Mysql::start() else { return };
    server.sql(ADDED);
    for (name, checkpoint) in [("logged", CHECKPOINTS), ("direct", "")] {
        let folder = Folder::new(name);
        let job = job(&folder, &server, checkpoint, "");
        server.sql("DELETE FROM bigdata.counts");
        server.kill();
        let running = run(&job).start();
        super::mysql::refuse_one(&server);
        server.start_again();
        running.wait().expect(0).expect_story(["tried again for up to", "answers again after"]);
        assert_eq!(counts::check(&[added(&server)], RECORDS), Ok(()), "{name}");
    }
}

/// Without checkpoints, with them, and at least once with kills, a row is what came last.
#[test]
fn replaced_rows_are_what_came_last() {
    let Some(server) = Mysql::start() else { return };
    server.sql(REPLACED);
    let folder = Folder::new("replaced");
    let key = "key = [\"user\"]";
    let plain = job(&folder, &server, "", key);
    let expected = expected(&folder, &plain);
    let all = || server.sql("SELECT user, n FROM bigdata.counts ORDER BY user");
    let check = |how: &str| {
        assert!(all() == expected, "{how}: {} rows, not {}", all().len(), expected.len());
        server.sql("DELETE FROM bigdata.counts");
    };
    run(&plain).run().expect(0);
    check("without checkpoints");
    run(&job(&folder, &server, CHECKPOINTS, key)).run().expect(0);
    check("exactly once");
    let once = CHECKPOINTS.replace("[restart]", "mode = \"at-least-once\"\n[restart]");
    let once = once.replace("checkpoints", "checkpoints-2");
    let job = job(&folder, &server, &once, key);
    for turn in 0..6 {
        let running = latest(&job).set("source.in.rate", 20_000).start();
        running.kill_after(Duration::from_millis(100 + 40 * turn));
    }
    latest(&job).run().expect(0);
    check("at least once");
}

/// The job of the manual, with the files of the example: from one table to another.
#[test]
fn the_job_of_the_manual_runs() {
    let Some(server) = super::mysql::start() else { return };
    server.sql("CREATE TABLE bigdata.enriched (line VARCHAR(100)) ENGINE = InnoDB");
    let page = repository().join("docs/connectors/mysql.md");
    let page = std::fs::read_to_string(page).expect("it is in the repository");
    let text = page.split("<!-- file: job.toml -->\n```toml\n").nth(1).expect("it shows a job");
    let folder = Folder::new("manual");
    let job = folder.write("job.toml", text.split("```").next().expect("it ends"));
    let actions = repository().join("examples/broadcast-config/actions.json");
    let running = Tidegate::run_job(&job)
        .env("USER_INFO_USER", USER)
        .env("USER_INFO_PASSWORD", PASSWORD)
        .set("source.user_info.url", server.url())
        .set("sink.out.url", server.url())
        .set("source.actions.path", actions.display())
        .set("operator.enrich.component", component("broadcast-config").display())
        .start();
    let rows = || server.sql("SELECT line FROM bigdata.enriched");
    wait_until("all actions are there", SOON, || rows().len() == 40);
    running.interrupt();
    running.wait().expect(130);
    assert_eq!(rows().len(), 40);
    assert!(rows().contains(&"(user_2,2019-08-17 12:19:10,browse,4,李四,20)".to_owned()));
}

#[test]
fn json_fills_columns_by_their_names() {
    let Some(server) = Mysql::start() else { return };
    server.sql(
        "CREATE TABLE bigdata.notes (id INT PRIMARY KEY, note VARCHAR(20), more TEXT, ok BOOL)",
    );
    let folder = Folder::new("json");
    folder.write(
        "in.json",
        "{\"note\":\"王 \\\"x\\\"\",\"id\":1,\"ok\":true}\n{\"id\":2,\"more\":[1,2],\"x\":3}\n",
    );
    let keys = server.keys();
    let job = folder.write(
        "job.toml",
        format!(
            "[job]\nname = \"notes\"\n[[source]]\nid = \"in\"\nconnector = \"file\"\n\
             path = \"in.json\"\nformat = \"json\"\n[[sink]]\nid = \"out\"\n\
             connector = \"mysql\"\nfrom = \"in\"\n{keys}table = \"bigdata.notes\"\n\
             columns = [\"id\", \"note\", \"more\", \"ok\"]\nkey = [\"id\"]\n"
        ),
    );
    for _ in 0..2 {
        run(&job).run().expect(0);
        let rows = server.sql("SELECT * FROM bigdata.notes ORDER BY id");
        assert_eq!(rows, ["1\t王 \"x\"\tNULL\t1", "2\tNULL\t[1,2]\tNULL"]);
    }
}

#[test]
fn a_table_that_cannot_take_the_rows_is_refused_before_any_is_written() {
    let Some(server) = Mysql::start() else { return };
    let folder = Folder::new("refused");
    let check = |checkpoint: &str, sink: &str, told: &str| {
        let job = job(&folder, &server, checkpoint, sink);
        run(&job).run().expect(1).expect_story([told]);
    };
    check(CHECKPOINTS, "", "table counts of mysql at 127.0.0.1:");
    check("", "", "is not there");
    server.sql("CREATE TABLE bigdata.counts (user VARCHAR(40), n INT) ENGINE = MyISAM");
    check(CHECKPOINTS, "", "has the engine MyISAM, which knows no transactions");
    check(CHECKPOINTS, "key = [\"user\"]", "has no unique index of the key user");
    check("", "key = [\"user\"]", "ALTER TABLE counts ADD UNIQUE (user)");
    server.sql("ALTER TABLE bigdata.counts DROP COLUMN n, ENGINE = InnoDB");
    check(CHECKPOINTS, "", "has no column n");
    assert_eq!(count(&server), 0);
}

#[test]
fn a_record_that_is_no_row_is_named() {
    let Some(server) = Mysql::start() else { return };
    server.sql("CREATE TABLE bigdata.three (a INT, b INT, c INT)");
    let folder = Folder::new("no-row");
    folder.write("in.csv", "1,2,3\n4,5\n");
    let keys = server.keys();
    let job = folder.write(
        "job.toml",
        format!(
            "[job]\nname = \"three\"\n[[source]]\nid = \"in\"\nconnector = \"file\"\n\
             path = \"in.csv\"\nformat = \"csv\"\n[[sink]]\nid = \"out\"\n\
             connector = \"mysql\"\nfrom = \"in\"\n{keys}table = \"three\"\n\
             columns = [\"a\", \"b\", \"c\"]\n"
        ),
    );
    run(&job).run().expect(1).expect_story(["in.csv:2", "it has 2 fields, but `columns` names 3"]);
    // The server refuses what only it can judge.
    folder.write("in.csv", "1,2,many\n");
    let ended = run(&job).run().expect(1);
    ended.expect_story([
        "Incorrect integer value: 'many'",
        "let the table take what the job writes",
    ]);
    assert_eq!(server.sql(&format!("SELECT COUNT(*) FROM {DATABASE}.three")), ["0"]);
}
