//! `check` finds what is wrong with a job before anything runs, says where it stands and what to
//! write instead, and finds all of it at once. `run` refuses what `check` refuses.

use std::fmt::Write;

use tidegate_tests::binary::component;
use tidegate_tests::{Ended, Folder, Tidegate};

/// A job without a fault, line by line as the tests name them.
fn good_job() -> String {
    let pv = component("periodic-pv");
    format!(
        r#"[job]
name = "test"

[[source]]
id = "clicks"
connector = "file"
path = "clicks.csv"
format = "csv"
timestamp = {{ field = 2, unit = "ms" }}

[[operator]]
id = "pv"
component = {pv:?}
inputs = [{{ from = "clicks", partition = {{ key = 0 }} }}]

[[sink]]
id = "out"
connector = "file"
from = "pv"
path = "out/"
"#
    )
}

/// A folder with the input of the good job and this job.
fn folder_with(job: &str) -> Folder {
    let folder = Folder::new("job");
    folder.write("clicks.csv", "a,/,1\n");
    folder.write("job.toml", job);
    folder
}

fn check(job: &str, more: &[&str]) -> Ended {
    let folder = folder_with(job);
    let call = |command: &str| {
        Tidegate::new([&[command, "job.toml"], more].concat()).in_folder(folder.path()).run()
    };
    let check = call("check");
    if check.status != Some(0) {
        let run = call("run").expect(check.status.unwrap_or(-1));
        assert_eq!(run.stderr, check.stderr, "`run` refuses as `check` does");
    }
    assert!(!folder.join("out").exists(), "a check writes nothing");
    check
}

/// The good job with `from` replaced by `to` is refused with these texts.
#[track_caller]
fn assert_refused(from: &str, to: &str, texts: &[&str]) {
    let job = good_job();
    assert!(job.contains(from), "{from:?} is in the job");
    let ended = check(&job.replace(from, to), &[]).expect(1).expect_story(texts);
    assert!(ended.stdout.is_empty(), "a refused job has no plan");
}

#[test]
fn a_good_job_shows_its_plan() {
    let ended = check(&good_job(), &[]).expect(0);
    for word in ["clicks", "pv", "out", "keyed-process"] {
        assert!(ended.stdout.contains(word), "{word} is not in\n{}", ended.stdout);
    }
}

#[test]
fn unknown_keys_name_the_nearest_known_key() {
    let cases = [
        ("format =", "fromat =", "`fromat`", "`format`", "job.toml:8:1"),
        ("name =", "nam =", "`nam`", "`name`", "job.toml:2:1"),
        ("unit =", "units =", "`units`", "`unit`", "job.toml:9"),
        ("component =", "compnent =", "`compnent`", "`component`", "job.toml:13:1"),
        ("[[sink]]", "[[sinks]]", "`sinks`", "`sink`", "job.toml:16"),
        ("key =", "kye =", "kye", "key", "job.toml:14"),
    ];
    for (from, to, wrong, right, place) in cases {
        assert_refused(from, to, &[wrong, right, place]);
    }
}

#[test]
fn unknown_sections_and_params_name_the_nearest() {
    let more = "[operator.params]\nperoid = \"1s\"\n\n[[sink]]";
    assert_refused("[[sink]]", more, &["peroid", "`period`", "job.toml:17:1"]);
    let more = "[operator.limit]\nmemory = \"1MiB\"\n\n[[sink]]";
    assert_refused("[[sink]]", more, &["`limit`", "`limits`"]);
    assert_refused("[job]", "[jobs]\nx = 1\n[job]", &["`jobs`", "`job`"]);
}

#[test]
fn unknown_ids_and_outputs_name_the_nearest() {
    assert_refused("from = \"pv\"", "from = \"vp\"", &["`vp`", "`pv`", "job.toml:19"]);
    assert_refused("from = \"clicks\"", "from = \"click\"", &["`click`", "`clicks`"]);
    assert_refused("from = \"pv\"", "from = \"pv.mian\"", &["`mian`", "`main`"]);
    assert_refused("from = \"pv\"", "from = \"out\"", &["`out`", "sink"]);
}

#[test]
fn an_id_belongs_to_one_node() {
    assert_refused("id = \"out\"", "id = \"pv\"", &["sink.pv.id", "another node"]);
}

#[test]
fn cycles_are_told_as_a_path() {
    assert_refused("from = \"clicks\"", "from = \"pv\"", &["cycle", "pv -> pv"]);
    let pv = component("periodic-pv");
    let input = |from: &str| format!("inputs = [{{ from = {from:?}, partition = {{ key = 0 }} }}]");
    let mut job = good_job().replace("from = \"clicks\"", "from = \"third\"");
    for (id, from) in [("second", "pv"), ("third", "second")] {
        let inputs = input(from);
        write!(job, "[[operator]]\nid = {id:?}\ncomponent = {pv:?}\n{inputs}\n")
            .expect("a string takes everything");
    }
    check(&job, &[]).expect(1).expect_story(["cycle", "pv -> second -> third -> pv"]);
}

#[test]
fn missing_files_are_told_with_their_paths() {
    assert_refused("clicks.csv", "nothing.csv", &["nothing.csv", "job.toml:7:1"]);
    let texts = ["missing.wasm", "tidegate build", "job.toml:13:1"];
    assert_refused("periodic_pv.wasm", "missing.wasm", &texts);
    let component = format!("{:?}", component("periodic-pv"));
    assert_refused(&component, "\"clicks.csv\"", &["clicks.csv", "not a wasm file"]);
    assert_refused("path = \"out/\"", "path = \"clicks.csv\"", &["clicks.csv"]);
}

#[test]
fn a_function_gets_the_inputs_of_its_kind() {
    assert_refused(", partition = { key = 0 }", "", &["no key", "keyed-process", "`pv`"]);
    let keyless = ", partition = \"rebalance\"";
    assert_refused(", partition = { key = 0 }", keyless, &["keyed-process", "`pv`"]);
    let function = ", partition = \"function\"";
    assert_refused(", partition = { key = 0 }", function, &["extracts no keys"]);
    let one = "{ from = \"clicks\", partition = { key = 0 } }";
    assert_refused(one, &format!("{one}, {one}"), &["2 elements", "keyed-process"]);
    assert_refused(one, "", &["0 elements"]);
}

#[test]
fn fields_fit_the_format() {
    assert_refused("key = 0", "key = \"user\"", &["\"user\"", "csv"]);
    assert_refused("format = \"csv\"", "format = \"json\"", &["json", "names"]);
    assert_refused("format = \"csv\"", "format = \"bytes\"", &["bytes"]);
    assert_refused("field = 2", "field = -1", &["-1", "timestamp"]);
}

#[test]
fn values_say_what_they_may_be() {
    let bounded = "timestamp = { field = 2, unit = \"ms\" }\nwatermark = ";
    let watermark = |watermark: &str| format!("{bounded}{{ {watermark} }}");
    let timestamp = "timestamp = { field = 2, unit = \"ms\" }";
    let cases = [
        ("strategy = \"bounded-out-of-orderness\", delay = \"1 s\"", "delay"),
        ("strategy = \"bounded-out-of-orderness\", delay = 5", "delay"),
        ("strategy = \"bounded-out-of-orderness\"", "delay"),
        ("strategy = \"bounded\"", "bounded-out-of-orderness"),
        ("idle_after = \"0s\"", "idle_after"),
    ];
    for (wrong, text) in cases {
        assert_refused(timestamp, &watermark(wrong), &[text, "job.toml:10"]);
    }
    assert_refused("unit = \"ms\"", "unit = \"min\"", &["unit", "\"ms\""]);
    assert_refused("name = \"test\"", "name = \"a test\"", &["job.name", "a test"]);
    assert_refused("name = \"test\"", "name = \"test\"\nparallelism = 0", &["parallelism", "1"]);
    let more = "parallelism = 9\nmax_parallelism = 8\n[[source]]";
    assert_refused("[[source]]", more, &["parallelism", "8 key groups"]);
}

#[test]
fn all_problems_are_told_at_once_in_the_order_of_lines() {
    let job = good_job()
        .replace("name =", "nmae =")
        .replace("clicks.csv", "nothing.csv")
        .replace("from = \"pv\"", "from = \"vp\"");
    let ended = check(&job, &[]).expect(1);
    let places = ["job.toml:2:1", "job.toml:7:1", "job.toml:19:1"];
    let found: Vec<usize> = places
        .iter()
        .map(|place| ended.stderr.find(place).unwrap_or_else(|| panic!("{}", ended.stderr)))
        .collect();
    assert!(found.is_sorted(), "{}", ended.stderr);
}

#[test]
fn what_is_no_toml_is_told_with_its_place() {
    assert_refused("[[sink]]", "[[sink]", &["job.toml:16"]);
}

#[test]
fn settings_change_the_job_for_once() {
    let set = ["--set", "operator.pv.params.period=5s", "--set", "job.name=other"];
    let ended = check(&good_job(), &[&set[..], &["--parallelism", "3"]].concat()).expect(0);
    assert!(ended.stdout.contains("other") && ended.stdout.contains("3 partitions"));
    let refused: [(&[&str], &[&str]); 6] = [
        (&["--set", "operator.vp.parallelism=2"], &["`vp`", "`pv`"]),
        (&["--set", "operators.pv.parallelism=2"], &["`operators`", "`operator`"]),
        (&["--set", "job.paralelism=2"], &["`paralelism`", "`parallelism`", "--set job"]),
        (&["--set", "operator.pv.params.period=soon"], &["soon", "duration"]),
        (&["--set", "job.name"], &["KEY=VALUE"]),
        (&["--parallelism", "129"], &["129", "128", "--parallelism 129"]),
    ];
    for (arguments, texts) in refused {
        check(&good_job(), arguments).expect(1).expect_story(texts);
    }
}

/// `check` opens functions with the job's parameters: what they refuse it refuses.
#[test]
fn parameters_that_a_function_refuses() {
    let window = format!("{:?}", component("fake-window"));
    let job = good_job().replace(&format!("{:?}", component("periodic-pv")), &window);
    let zero = ["--set", "operator.pv.params.size=0s"];
    check(&job, &zero).expect(1).expect_story(["`size`", "at least 1ms", "pv"]);
    check(&job, &["--set", "operator.pv.params.size=1ms"]).expect(0);
}

/// Where state and checkpoints lie is part of the plan, and checked before anything runs.
#[test]
fn state_checkpoints_and_restarts_are_part_of_the_plan() {
    let with =
        |sections: &str| good_job().replace("[[source]]", &format!("{sections}\n[[source]]"));
    let classic = with(
        "[state]\nbackend = \"RocksDBStateBackend\"\nmemory = \"64MiB\"\n\
         [checkpoint]\nstorage = \"file://./checkpoints\"\ninterval = \"1s\"",
    );
    let plan = check(&classic, &[]).expect(0).stdout;
    for text in ["RocksDB with 64.0 MiB", "every 1s in file://./checkpoints", "exponential-delay"] {
        assert!(plan.contains(text), "{text:?} is not in\n{plan}");
    }
    let memory = with(
        "[state]\nbackend = \"MemoryStateBackend\"\n[checkpoint]\n[restart]\n\
         strategy = \"fixed-delay\"",
    );
    let ended = check(&memory, &[]).expect(0).expect_story(["warning", "checkpoints in memory"]);
    assert!(ended.stdout.contains("in memory; restart: fixed-delay"), "{}", ended.stdout);
    let ended = check(&good_job(), &[]).expect(0);
    assert!(ended.stdout.contains("no checkpoints; restart: none"), "{}", ended.stdout);
    let contradiction = "[state]\nbackend = \"FsStateBackend\"\n[checkpoint]\n\
         storage = \"memory\"\n[[source]]";
    assert_refused("[[source]]", contradiction, &["FsStateBackend", "file://FOLDER", "job.toml:7"]);
}

/// What a later version has is refused in words.
#[test]
fn what_this_version_lacks_is_said() {
    assert_refused("connector = \"file\"\nfrom", "connector = \"socket\"\nfrom", &["connector"]);
}

#[test]
fn output_of_an_earlier_run_is_not_mixed_with_new() {
    let folder = folder_with(&good_job());
    let run = || Tidegate::new(["run", "job.toml"]).in_folder(folder.path());
    run().arg("--parallelism").arg("3").run().expect(0);
    assert!(folder.join("out/part-2").is_file());
    run().set("sink.out.on_existing", "refuse").run().expect(1).expect_story(["out/"]);
    run().run().expect(0).expect_story(["out/", "earlier run"]);
    assert_eq!(folder.read("out/part-0"), "a pv: 1\n");
    assert!(!folder.join("out/part-2").exists(), "three files gave way to one");
}
