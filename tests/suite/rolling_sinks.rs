//! File sinks that begin new files by size, by time and by the event time of records: the same
//! lines, each once, in files of the right name, whatever ends the job in between.

use std::collections::BTreeSet;
use std::path::Path;

use tidegate_tests::Tidegate;
use tidegate_tests::counted::{Counted, clicks};

/// Records, one a minute: so many days.
const RECORDS: u64 = 400_000;
const DAYS: usize = 279;

fn source(rate: u64) -> String {
    format!(
        "connector = \"generator\"\nshape = \"clicks\"\ncount = {RECORDS}\nkeys = 500\n\
         rate = {rate}\nstart_ms = 1760000000000\nstep_ms = 60000\ntimestamp = {{ field = 2 }}\n"
    )
}

fn lines(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte == b'\n').count()
}

fn name(path: &Path) -> &str {
    path.to_str().expect("names are text")
}

#[test]
fn a_file_ends_when_it_is_long() {
    let sink = format!("{}roll_size = \"4KiB\"\n", Counted::file_sink());
    let job = Counted::new("sizes", &source(1_000_000_000), &sink, Counted::checkpoints());
    job.run().set("source.in.count", 50_000).run().expect(0);
    let output = job.output();
    assert!(output.len() > 100, "{} files", output.len());
    // A line more than the limit at most; what a barrier cuts off is shorter.
    assert!(output.values().all(|text| text.len() < 4096 + 32));
    assert!(output.values().filter(|text| text.len() >= 4096).count() > output.len() / 2);
    job.assert_exactly_once(50_000);
}

#[test]
fn a_file_ends_when_it_is_old() {
    let sink = format!("{}roll_after = \"20ms\"\n", Counted::file_sink());
    // Without checkpoints there is one barrier, at the end.
    let job = Counted::new("ages", &source(20_000), &sink, "");
    job.run().set("source.in.count", 10_000).run().expect(0);
    let output = job.output();
    assert!(output.len() >= 10, "{} files in half a second", output.len());
    assert!(output.keys().all(|path| name(path).starts_with("part-")), "{:?}", output.keys());
    job.assert_exactly_once(10_000);
}

/// The records of a source, as they are, in the folders of their days.
#[test]
fn records_go_to_the_folder_of_their_event_time() {
    let folder = tidegate_tests::Folder::new("days");
    folder.write("clicks.csv", clicks(0, 100_000));
    let job = folder.write(
        "job.toml",
        "[job]\nname = \"days\"\n[[source]]\nid = \"in\"\nconnector = \"file\"\n\
         path = \"clicks.csv\"\nformat = \"csv\"\ntimestamp = { field = 2 }\n\
         [[sink]]\nid = \"out\"\nconnector = \"file\"\nfrom = \"in\"\npath = \"out\"\n\
         partition_by = \"%Y-%m-%d\"\n",
    );
    let run = || Tidegate::run_job(&job);
    run().run().expect(0);
    let output = tidegate_tests::counting::files_below(&folder.join("out"));
    // Minutes since 1970, 1440 a day.
    assert_eq!(output.len(), 70);
    let mut all: Vec<String> = Vec::new();
    for (day, (path, text)) in output.iter().enumerate() {
        let (month, of_month) = match day {
            0..31 => (1, day + 1),
            31..59 => (2, day - 30),
            _ => (3, day - 58),
        };
        assert_eq!(name(path), format!("1970-{month:02}-{of_month:02}/part-0-0-{day}"));
        let text = std::str::from_utf8(text).expect("text");
        for line in text.lines() {
            let time: usize = line.rsplit(',').next().expect("a time").parse().expect("a number");
            assert_eq!(time / 86_400_000, day, "{line}");
            all.push(format!("{line}\n"));
        }
    }
    assert_eq!(all.concat(), clicks(0, 100_000));
    // The same again, by hours: what was there gives way, in folders of either kind.
    run().run().expect(0).expect_story(["out holds the output of an earlier run"]);
    let again = tidegate_tests::counting::files_below(&folder.join("out"));
    assert_eq!(again, output);
    run()
        .set("sink.out.on_existing", "refuse")
        .run()
        .expect(1)
        .expect_story(["remove that folder"]);
    folder.write("out/1970-01-02/notes", "of somebody");
    folder.write("out/late/part-0", "of another sink");
    run().set("sink.out.roll_size", "1MiB").run().expect(0);
    let again = tidegate_tests::counting::files_below(&folder.join("out"));
    assert_eq!(again.len(), output.len() + 2);
}

#[test]
fn records_without_event_times_have_a_folder_too() {
    let source = source(1_000_000_000).replace("timestamp = { field = 2 }\n", "");
    let sink = format!("{}partition_by = \"%Y\"\n", Counted::file_sink());
    let job = Counted::new("timeless", &source, &sink, "");
    let ended = job.run().set("source.in.count", 1000).run().expect(0);
    ended.expect_story(["no source has a `timestamp`", "no-event-time"]);
    let output = job.output();
    assert!(output.keys().all(|path| path.starts_with("no-event-time")), "{:?}", output.keys());
    job.assert_exactly_once(1000);
}

fn survives_kills(shape: &str, parallelisms: &[u32], seed: u64) -> Counted {
    let sink = format!("{}{shape}", Counted::file_sink());
    let job = Counted::new("killed", &source(20_000), &sink, Counted::checkpoints());
    for (turn, parallelism) in (0..).zip(parallelisms.iter().cycle().take(30)) {
        job.survive_kills(1, seed + turn, |call| call.set("job.parallelism", parallelism));
    }
    job.go_on().set("source.in.rate", 1_000_000_000_u64).run().expect(0);
    let hidden =
        |path: &std::path::PathBuf| name(path).split('/').any(|part| part.starts_with('.'));
    assert_eq!(job.output().keys().find(|path| hidden(path)), None);
    job
}

#[test]
fn rolled_files_survive_kills_and_rescaling() {
    survives_kills("roll_size = \"4KiB\"\n", &[2, 3, 1], 1).assert_exactly_once(RECORDS);
}

/// Files of several days are open at once, so that only the lines as a whole tell.
#[test]
fn folders_survive_kills_and_rescaling() {
    let shape = "partition_by = \"day=%Y-%m-%d/%H\"\nroll_size = \"8KiB\"\nroll_after = \"30ms\"\n";
    let job = survives_kills(shape, &[2, 3, 1], 2);
    let output = job.output();
    let all: BTreeSet<&str> =
        output.values().flat_map(|text| std::str::from_utf8(text).expect("text").lines()).collect();
    assert_eq!(all.len() as u64, RECORDS, "each line, once and not twice");
    assert_eq!(output.values().map(|text| lines(text)).sum::<usize>() as u64, RECORDS);
    let days: BTreeSet<&str> =
        output.keys().map(|path| name(path).split('/').next().expect("a folder")).collect();
    assert_eq!(days.len(), DAYS);
}

#[test]
fn what_cannot_be_a_shape_is_refused() {
    let job = Counted::new("refused", &source(1), Counted::file_sink(), "");
    let check = |key: &str, value: &str| {
        let check = Tidegate::check_job(&job.folder().join("job.toml"));
        check.set(&format!("sink.out.{key}"), value).run().expect(1)
    };
    check("roll_size", "1KiB").expect_story(["not a size from 4KiB"]);
    check("roll_after", "0s").expect_story(["not a duration above zero"]);
    check("partition_by", "%Y/%Q")
        .expect_story(["%Q, and that is no part of a time", "%Y-%m-%d/%H"]);
    check("partition_by", "day").expect_story(["which is the same at all times"]);
    check("roll_sise", "1MiB").expect_story(["did you mean `roll_size`?"]);
    check("path", "ftp://there").expect_story(["not a place that files can be in"]);
}
