//! An interrupt stops a job in good order: what was put out so far is there and whole, and the exit
//! status is that of an interrupt.

use std::collections::BTreeMap;

use tidegate_tests::binary::component;
use tidegate_tests::job::Report;
use tidegate_tests::lines::first_field;
use tidegate_tests::{Folder, Sink, Tidegate, oracle};

/// A job without end that writes to a file and to standard output.
fn endless(folder: &Folder, rate: &str) -> Tidegate {
    let count = component("count");
    let job = folder.write(
        "job.toml",
        format!(
            "[job]\nname = \"endless\"\nparallelism = 2\n\
             [[source]]\nid = \"in\"\nconnector = \"generator\"\nshape = \"clicks\"\n{rate}\n\
             timestamp = {{ field = 2, unit = \"ms\" }}\n\
             [[operator]]\nid = \"count\"\ncomponent = {count:?}\n\
             inputs = [{{ from = \"in\", partition = {{ key = 0 }} }}]\n\
             [[sink]]\nid = \"file\"\nconnector = \"file\"\nfrom = \"count\"\npath = \"out/\"\n\
             [[sink]]\nid = \"shown\"\nconnector = \"stdout\"\nfrom = \"count\"\n"
        ),
    );
    Tidegate::run_job(&job).arg("--report").arg(folder.join("report.json"))
}

#[track_caller]
fn assert_stops(rate: &str, lines_before: usize) {
    let folder = Folder::new("endless");
    let mut running = endless(&folder, rate).start();
    let shown: Vec<String> = (0..lines_before).map_while(|_| running.next_line()).collect();
    assert_eq!(shown.len(), lines_before, "the job ended by itself");
    running.interrupt();
    let ended = running.wait().expect(130);

    let out = Sink::read(&folder.join("out"));
    let report = Report::read(&folder.join("report.json"));
    let written = out.lines().count();
    assert_eq!(report.0["status"], "stopped");
    assert_eq!(report.counter("count", "records_out"), written as u64);
    assert_eq!(report.counter("in", "records_out"), written as u64, "nothing is lost on the way");
    assert_eq!(written, lines_before + ended.stdout.lines().count());
    // Each key's counts go up by one from 1: no line is missing, twice or cut.
    let keys: Vec<String> = out.lines().map(first_field).collect();
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    keys.iter().for_each(|key| *counts.entry(key).or_default() += 1);
    let in_order =
        counts.iter().flat_map(|(key, count)| std::iter::repeat_n(*key, *count as usize));
    out.assert_equals(&oracle::count(in_order), first_field);
}

#[test]
fn stops_a_slow_job() {
    assert_stops("rate = 500", 20);
}

#[test]
fn stops_a_job_at_full_speed() {
    assert_stops("", 5_000);
}

/// Nobody reads any more, as after `| head`: no error, and no endless run.
#[test]
fn ends_when_standard_output_is_closed() {
    let folder = Folder::new("head");
    let mut running = endless(&folder, "").start();
    assert!(running.next_line().is_some());
    running.close_stdout().expect(0);
    assert_eq!(Report::read(&folder.join("report.json")).0["status"], "output-closed");
}
