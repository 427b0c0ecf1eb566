//! The same components in jobs of other shapes: other fields, formats, units, sources, edges and
//! graphs than those of their examples.

use std::fmt::Write;
use std::path::PathBuf;

use tidegate_tests::binary::component;
use tidegate_tests::job::Source;
use tidegate_tests::lines::{before_pv, first_field};
use tidegate_tests::oracle::{self, Event, Line};
use tidegate_tests::random::Random;
use tidegate_tests::{Ended, Folder, Job, Sink, Tidegate};

/// Clicks of eight users on five urls, up to two seconds out of order.
fn clicks(count: usize) -> Vec<String> {
    let mut random = Random::new(11);
    let mut time = 0;
    let click = |_| {
        time += random.between(0, 400);
        let (user, url) = (random.between(1, 8), random.between(1, 5));
        format!("user_{user},/page/{url},{}", time - random.between(0, 2_000))
    };
    (0..count).map(click).collect()
}

/// Writes and runs a job file in `folder`; the rest of it follows `[job]`.
#[track_caller]
fn run(folder: &Folder, parallelism: u32, rest: &str) -> Ended {
    call(folder, parallelism, rest).run().expect(0)
}

fn call(folder: &Folder, parallelism: u32, rest: &str) -> Tidegate {
    let head = format!("[job]\nname = \"test\"\nparallelism = {parallelism}\n");
    let job = folder.write("job.toml", head + rest);
    Tidegate::run_job(&job).arg("--report").arg(folder.join("report.json"))
}

/// `component = …` of a crate.
fn of(crate_name: &str) -> String {
    format!("component = {:?}\n", component(crate_name))
}

fn file_sink(id: &str, from: &str) -> String {
    format!("[[sink]]\nid = {id:?}\nconnector = \"file\"\nfrom = {from:?}\npath = \"{id}/\"\n")
}

fn write_clicks(folder: &Folder, lines: &[String]) -> PathBuf {
    folder.write("clicks.csv", lines.join("\n") + "\n")
}

#[test]
fn late_events_at_several_delays() {
    let lines = clicks(2_000);
    for delay in [0, 500, 2_000, 10_000] {
        let folder = Folder::new("late");
        let path = write_clicks(&folder, &lines);
        let job = Job::new(folder, Source::clicks(&path, delay))
            .operator("pv", "periodic-pv", "0", "")
            .operator("window", "fake-window", "1", "")
            .parallelism(3);
        job.run().expect(0);
        let by_user = oracle::events(&lines, 0);
        let by_url = oracle::events(&lines, 1);
        job.sink("pv").assert_equals(&oracle::periodic_pv(&by_user, 10_000, delay), before_pv);
        let windows = oracle::fake_window(&by_url, 10_000, delay);
        job.sink("window").assert_equals(&windows, first_field);
    }
}

#[test]
fn other_keys_and_parameters() {
    let lines = clicks(1_000);
    let folder = Folder::new("keys");
    let path = write_clicks(&folder, &lines);
    let job = Job::new(folder, Source::clicks(&path, 2_000))
        .operator("window", "fake-window", "0", "[operator.params]\nsize = \"1m\"\n")
        .operator(
            "pv",
            "periodic-pv",
            "1",
            "parallelism = 2\n[operator.params]\nperiod = \"250ms\"\n",
        )
        // The timestamp itself as a key.
        .operator("avg", "avg-ts", "2", "[operator.params]\ncount = \"1\"\n")
        .parallelism(2);
    job.run().expect(0);
    let by = |field| oracle::events(&lines, field);
    let windows = oracle::fake_window(&by(0), 60_000, 2_000);
    job.sink("window").assert_equals(&windows, first_field);
    job.sink("pv").assert_equals(&oracle::periodic_pv(&by(1), 250, 2_000), before_pv);
    job.sink("avg").assert_equals(&oracle::avg_ts(&by(2), 1), first_field);
}

/// Fields with commas and quotes, and spaces around the fields of sensors.
#[test]
fn quoted_and_spaced_fields() {
    let folder = Folder::new("quotes");
    let text = "\"a,b\",\"say \"\"hi\"\"\",1\nc,\"say \"\"hi\"\"\",2\n\"a,b\",/,3\n";
    let path = folder.write("clicks.csv", text);
    let job = Job::new(folder, Source::clicks(&path, 0))
        .operator("pv", "periodic-pv", "0", "")
        .operator("window", "fake-window", "1", "");
    job.run().expect(0);
    assert_eq!(job.sink("pv").sorted(), ["a,b pv: 2", "c pv: 1"]);
    let windows = ["\"say \"\"hi\"\"\",2,0,10000", "/,1,0,10000"];
    assert_eq!(job.sink("window").sorted(), windows);

    let folder = Folder::new("spaces");
    let path = folder.write("sensors.csv", SPACED);
    let source = Source::sensors(&path);
    let job = Job::new(folder, source).operator("alert", "temp-alert", "0", "");
    job.run().expect(0);
    // Spaces are part of a field: `s1 ` and ` s1` are other sensors than `s1`.
    assert_eq!(job.sink("alert").sorted(), ["s1,20.0,31.0", "s1,31.0,20.0", "s2,1.0,11.5"]);
}

const SPACED: &str = "s1, 1, 20\ns1 ,2,0 \ns2,2,1\n s1, 3 , 31.0\ns2, 4,11.5\ns1,5,31\ns1, 3 ,20\n";

/// The function's own key leaves the spaces out.
#[test]
fn keys_that_the_function_finds() {
    for parallelism in [1, 3] {
        let folder = Folder::new("function");
        let source = Source::sensors(&folder.write("sensors.csv", SPACED));
        let alert = of("temp-alert");
        let rest = format!(
            "[[source]]\nid = \"in\"\n{source}\
             [[operator]]\nid = \"alert\"\n{alert}\
             inputs = [{{ from = \"in\", partition = \"function\" }}]\n{}",
            file_sink("out", "alert"),
        );
        run(&folder, parallelism, &rest);
        let expected = oracle::temp_alert(SPACED.lines(), 10.0);
        assert_eq!(expected.len(), 4);
        Sink::read(&folder.join("out")).assert_equals(&expected, first_field);
    }
}

/// A record in which the function finds no key is malformed where it was read.
#[test]
fn records_without_a_key_of_the_function() {
    let folder = Folder::new("keyless");
    let path = folder.write("sensors.csv", "s1,1,20.0,x\ns1,2,21.0\n");
    let alert = of("temp-alert");
    for (policy, status) in [("fail", 1), ("skip", 0)] {
        let rest = format!(
            "[[source]]\nid = \"in\"\nmalformed = {policy:?}\n{}\
             [[operator]]\nid = \"alert\"\n{alert}\
             inputs = [{{ from = \"in\", partition = \"function\" }}]\n",
            Source::sensors(&path),
        );
        let ended = call(&folder, 2, &rest).run().expect(status);
        ended.expect_story(["sensors.csv:1", "3 fields"]);
    }
}

/// Seconds and nanoseconds: windows are cut by the event times that the source makes of them.
#[test]
fn other_units_of_time() {
    let folder = Folder::new("units");
    let readings = "s1,-2,10\ns1,0,30\ns2,1,10\ns1,1,30.5\ns2,2,-5\n";
    let path = folder.write("sensors.csv", readings);
    let job = Job::new(folder, Source::sensors(&path)).operator("alert", "temp-alert", "0", "");
    job.run().expect(0);
    assert_eq!(job.sink("alert").sorted(), ["s1,10.0,30.0", "s2,10.0,-5.0"]);
}

/// JSON has names instead of positions. `count` takes any format.
#[test]
fn json_by_name() {
    let folder = Folder::new("json");
    let users = ["ann", "b\\u00e9n", "ann", "ann", "b\u{e9}n", "7"];
    let mut text = String::new();
    for (index, user) in users.iter().enumerate() {
        let number = if *user == "7" { "7".into() } else { format!("\"{user}\"") };
        writeln!(text, "{{\"at\":\"{index}\",\"user\":{number},\"more\":{{\"user\":\"x\"}}}}")
            .expect("a string takes everything");
    }
    let path = folder.write("clicks.json", text);
    let source = format!(
        "connector = \"file\"\npath = {path:?}\nformat = \"json\"\n\
         timestamp = {{ field = \"at\", unit = \"s\" }}\n"
    );
    let job = Job::new(folder, source).operator("op", "count", "\"user\"", "").parallelism(2);
    job.run().expect(0);
    let keys = ["ann", "b\u{e9}n", "ann", "ann", "b\u{e9}n", "7"];
    job.sink("op").assert_equals(&oracle::count(keys), first_field);
}

/// Windows per url, then how many windows each url had, at other parallelisms in between.
#[test]
fn a_chain_of_operators() {
    let lines = clicks(1_500);
    let windows = oracle::fake_window(&oracle::events(&lines, 1), 10_000, 2_000);
    let counts = oracle::count(windows.iter().map(|line| first_field(&line.text)));
    for (first, second) in [(1, 1), (2, 3), (4, 1)] {
        let folder = Folder::new("chain");
        let source = Source::clicks(&write_clicks(&folder, &lines), 2_000);
        let (window, count) = (of("fake-window"), of("count"));
        let rest = format!(
            "[[source]]\nid = \"in\"\n{source}\
             [[operator]]\nid = \"count\"\n{count}parallelism = {second}\n\
             inputs = [{{ from = \"window.main\", partition = {{ key = 0 }} }}]\n\
             [[operator]]\nid = \"window\"\n{window}parallelism = {first}\n\
             inputs = [{{ from = \"in\", partition = {{ key = 1 }} }}]\n{}{}",
            file_sink("windows", "window"),
            file_sink("counts", "count"),
        );
        run(&folder, 1, &rest);
        Sink::read(&folder.join("windows")).assert_equals(&windows, first_field);
        Sink::read(&folder.join("counts")).assert_equals(&counts, first_field);
    }
}

/// What a timer sends out has the timer's event time and is not late for the next operator, nor is
/// what a record sends out; and an operator's time is the minimum of all that it reads.
#[test]
fn event_time_goes_through_operators() {
    let lines = clicks(3_000);
    let windows = oracle::fake_window(&oracle::events(&lines, 0), 10_000, 2_000);
    let stamped = |Line { key, text }: &Line| {
        let end: i64 = text.rsplit(',').next().and_then(|end| end.parse().ok()).expect("an end");
        Line { key: key.clone(), text: format!("{text},{}", end - 1) }
    };
    let stamped: Vec<Line> = windows.iter().map(stamped).collect();
    for (first, second) in [(1, 1), (3, 2), (2, 4)] {
        let folder = Folder::new("times");
        let source = Source::clicks(&write_clicks(&folder, &lines), 2_000);
        let (split, window, stamp) = (of("split"), of("fake-window"), of("stamp"));
        let rest = format!(
            "[[source]]\nid = \"in\"\n{source}\
             [[operator]]\nid = \"pass\"\n{split}parallelism = {first}\n\
             inputs = [{{ from = \"in\", partition = \"rebalance\" }}]\n\
             [[operator]]\nid = \"window\"\n{window}parallelism = {second}\n\
             inputs = [{{ from = \"pass\", partition = {{ key = 0 }} }}]\n\
             [[operator]]\nid = \"stamp\"\n{stamp}parallelism = {second}\n\
             inputs = [{{ from = \"window\", partition = \"forward\" }}]\n{}",
            file_sink("stamped", "stamp"),
        );
        run(&folder, 1, &rest);
        Sink::read(&folder.join("stamped")).assert_equals(&stamped, first_field);
    }
}

/// Two readers of one source and two sinks of one operator; nobody takes another's records.
#[test]
fn several_readers_and_sinks() {
    let lines = clicks(500);
    let folder = Folder::new("readers");
    let source = Source::clicks(&write_clicks(&folder, &lines), 2_000);
    let (avg, count) = (of("avg-ts"), of("count"));
    let rest = format!(
        "[[source]]\nid = \"in\"\n{source}\
         [[operator]]\nid = \"avg\"\n{avg}\
         inputs = [{{ from = \"in\", partition = {{ key = 0 }} }}]\n\
         [[operator]]\nid = \"count\"\n{count}\
         inputs = [{{ from = \"in\", partition = {{ key = 1 }} }}]\n\
         [[sink]]\nid = \"nowhere\"\nconnector = \"discard\"\nfrom = \"avg\"\n{}{}{}{}",
        file_sink("raw", "in"),
        file_sink("avg-1", "avg"),
        file_sink("avg-2", "avg"),
        file_sink("counts", "count"),
    );
    run(&folder, 2, &rest);
    let averages = oracle::avg_ts(&oracle::events(&lines, 0), 5);
    for sink in ["avg-1", "avg-2"] {
        Sink::read(&folder.join(sink)).assert_equals(&averages, first_field);
    }
    let urls = lines.iter().map(|line| line.split(',').nth(1).expect("a url"));
    Sink::read(&folder.join("counts")).assert_equals(&oracle::count(urls), first_field);
    let raw = Sink::read(&folder.join("raw"));
    assert!(raw.parts() == 1 && raw.lines().eq(lines.iter().map(String::as_str)));
}

/// Named outputs: `operator.name`.
#[test]
fn side_outputs() {
    let lines = clicks(500);
    let folder = Folder::new("side");
    let source = Source::clicks(&write_clicks(&folder, &lines), 2_000);
    let (split, count) = (of("split"), of("count"));
    let rest = format!(
        "[[source]]\nid = \"in\"\n{source}\
         [[operator]]\nid = \"split\"\n{split}inputs = [{{ from = \"in\" }}]\n\
         [operator.params]\nword = \"/page/3\"\n\
         [[operator]]\nid = \"count\"\n{count}\
         inputs = [{{ from = \"split.marked\", partition = {{ key = 0 }} }}]\n{}{}{}",
        file_sink("rest", "split"),
        file_sink("marked", "split.marked"),
        file_sink("counts", "count"),
    );
    run(&folder, 1, &rest);
    let (marked, rest): (Vec<&str>, Vec<&str>) =
        lines.iter().map(String::as_str).partition(|line| line.contains("/page/3"));
    assert!(Sink::read(&folder.join("marked")).lines().eq(marked.iter().copied()));
    assert!(Sink::read(&folder.join("rest")).lines().eq(rest));
    let expected = oracle::count(marked.iter().map(|line| first_field(line)));
    Sink::read(&folder.join("counts")).assert_equals(&expected, first_field);
}

/// Every record once on a rebalanced edge, in every partition on a broadcast one, and in the same
/// partition on a forward one.
#[test]
fn edges_without_keys() {
    let lines = clicks(3_000);
    for partition in ["rebalance", "broadcast"] {
        let folder = Folder::new(partition);
        let source = Source::clicks(&write_clicks(&folder, &lines), 0);
        let split = of("split");
        let rest = format!(
            "[[source]]\nid = \"in\"\n{source}\
             [[operator]]\nid = \"first\"\n{split}\
             inputs = [{{ from = \"in\", partition = {partition:?} }}]\n\
             [[operator]]\nid = \"second\"\n{split}\
             inputs = [{{ from = \"first\", partition = \"forward\" }}]\n{}{}",
            file_sink("first-out", "first"),
            file_sink("second-out", "second"),
        );
        run(&folder, 3, &rest);
        let copies = if partition == "broadcast" { 3 } else { 1 };
        let mut wanted: Vec<&str> =
            lines.iter().flat_map(|line| std::iter::repeat_n(line.as_str(), copies)).collect();
        wanted.sort_unstable();
        let first = Sink::read(&folder.join("first-out"));
        assert_eq!(first.sorted(), wanted, "{partition}");
        for part in 0..3 {
            let read = |sink: &str| folder.read(format!("{sink}/part-{part}"));
            let (first, second) = (read("first-out"), read("second-out"));
            assert!(!first.is_empty(), "{partition}: partition {part} got nothing");
            assert_eq!(first, second, "forward keeps partition and order");
        }
    }
}

/// The files of a folder one after the other, by name; hidden ones are none.
#[test]
fn a_folder_of_files() {
    let lines = clicks(900);
    let folder = Folder::new("folder");
    for (name, range) in [("b.csv", 300..700), ("a.csv", 0..300), ("c.csv", 700..900)] {
        folder.write(&format!("in/{name}"), lines[range].join("\n"));
    }
    folder.write("in/.hidden", "no,record\n");
    folder.write("in/d.csv", "");
    let source = Source::clicks(&folder.join("in"), 2_000);
    let job = Job::new(folder, source).operator("pv", "periodic-pv", "0", "").parallelism(2);
    job.run().expect(0);
    let expected = oracle::periodic_pv(&oracle::events(&lines, 0), 10_000, 2_000);
    job.sink("pv").assert_equals(&expected, before_pv);
}

/// Positions name the file of the folder, and count its own lines.
#[test]
fn positions_in_a_folder_of_files() {
    let folder = Folder::new("positions");
    folder.write("in/a.csv", "u,/,1\nu,/,2\nu,/,3\n");
    folder.write("in/b.csv", "u,/,4\nu,/poison,5\n");
    let source = Source::clicks(&folder.join("in"), 0);
    let job = Job::new(folder, source).operator("op", "trap", "0", "");
    job.run().expect(3).expect_story(["b.csv:2", "\"u\""]);
}

#[test]
fn standard_input_and_output() {
    let lines = clicks(1_000);
    let folder = Folder::new("stdin");
    let pv = of("periodic-pv");
    let rest = format!(
        "[[source]]\nid = \"in\"\nconnector = \"stdin\"\nformat = \"csv\"\n\
         timestamp = {{ field = 2, unit = \"ms\" }}\n\
         [[operator]]\nid = \"pv\"\n{pv}\
         inputs = [{{ from = \"in\", partition = {{ key = 0 }} }}]\n\
         [[sink]]\nid = \"out\"\nconnector = \"stdout\"\nfrom = \"pv\"\n"
    );
    let ended = call(&folder, 2, &rest).stdin(lines.join("\n")).run().expect(0);
    let expected = oracle::periodic_pv(&oracle::events(&lines, 0), 10_000, 0);
    // Partitions share standard output; the order within a key stays.
    let out = folder.write("stdout/part-0", &ended.stdout);
    let out = Sink::read(out.parent().expect("a file is in a folder"));
    out.assert_equals(&expected, before_pv);
}

/// What the generator makes, as a raw sink shows it, is what the operator counts.
#[test]
fn generated_records() {
    let folder = Folder::new("generator");
    let (window, count) = (of("fake-window"), of("count"));
    let rest = format!(
        "[[source]]\nid = \"in\"\nconnector = \"generator\"\nshape = \"clicks\"\ncount = 20000\n\
         seed = 3\nkeys = 50\nstart_ms = -40000\nstep_ms = 3\n\
         timestamp = {{ field = 2, unit = \"ms\" }}\n\
         [[operator]]\nid = \"window\"\n{window}\
         inputs = [{{ from = \"in\", partition = {{ key = 1 }} }}]\n\
         [[operator]]\nid = \"count\"\n{count}\
         inputs = [{{ from = \"in\", partition = {{ key = 0 }} }}]\n{}{}{}",
        file_sink("raw", "in"),
        file_sink("windows", "window"),
        file_sink("counts", "count"),
    );
    run(&folder, 2, &rest);
    let raw = Sink::read(&folder.join("raw"));
    let raw: Vec<&str> = raw.lines().collect();
    assert_eq!(raw.len(), 20_000);
    let by_url: Vec<Event> = oracle::events(&raw, 1);
    assert_eq!((by_url[0].time, by_url[19_999].time), (-40_000, -40_000 + 3 * 19_999));
    let windows: Vec<Line> = oracle::fake_window(&by_url, 10_000, 0);
    Sink::read(&folder.join("windows")).assert_equals(&windows, first_field);
    let users = raw.iter().map(|line| first_field(line));
    Sink::read(&folder.join("counts")).assert_equals(&oracle::count(users), first_field);
}

/// No record at all: the job ends, and its output is empty files.
#[test]
fn an_empty_input() {
    let folder = Folder::new("empty");
    let path = folder.write("clicks.csv", "");
    let source = Source::clicks(&path, 0);
    let job = Job::new(folder, source).operator("pv", "periodic-pv", "0", "").parallelism(2);
    job.run().expect(0);
    assert_eq!(job.sink("pv").lines().count(), 0);
}

/// Two sources into one graph, each with its own time.
#[test]
fn two_sources() {
    let lines = clicks(600);
    let folder = Folder::new("sources");
    let path = write_clicks(&folder, &lines);
    let sensors = folder.write("sensors.csv", "s1,1,10\ns1,2,30\n");
    let (pv, alert) = (of("periodic-pv"), of("temp-alert"));
    let rest = format!(
        "[[source]]\nid = \"clicks\"\n{}[[source]]\nid = \"sensors\"\n{}\
         [[operator]]\nid = \"pv\"\n{pv}\
         inputs = [{{ from = \"clicks\", partition = {{ key = 0 }} }}]\n\
         [[operator]]\nid = \"alert\"\n{alert}\
         inputs = [{{ from = \"sensors\", partition = {{ key = 0 }} }}]\n{}{}",
        Source::clicks(&path, 2_000),
        Source::sensors(&sensors),
        file_sink("pv-out", "pv"),
        file_sink("alert-out", "alert"),
    );
    run(&folder, 2, &rest);
    let expected = oracle::periodic_pv(&oracle::events(&lines, 0), 10_000, 2_000);
    Sink::read(&folder.join("pv-out")).assert_equals(&expected, before_pv);
    assert_eq!(Sink::read(&folder.join("alert-out")).sorted(), ["s1,10.0,30.0"]);
}
