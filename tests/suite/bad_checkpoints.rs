//! Checkpoints that are not what was written, or not what the job can go on from: it goes back to
//! one that is whole, or says what is wrong and changes nothing.

use std::fs;
use std::path::{Path, PathBuf};

use tidegate::checkpoint::Manifest;
use tidegate::model::StateKind;
use tidegate_tests::binary::component;
use tidegate_tests::counting::{Counting, NAME};

/// What is done to a checkpoint: given its manifest and the largest file that no other uses.
type Damage = fn(&Path, &Path);

fn flip(path: &Path) {
    let mut bytes = fs::read(path).expect("it is there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).expect("it can be written");
}

fn truncate(path: &Path) {
    let bytes = fs::read(path).expect("it is there");
    fs::write(path, &bytes[..bytes.len() / 2]).expect("it can be written");
}

fn remove(path: &Path) {
    fs::remove_file(path).expect("it is there");
}

/// The largest file of a checkpoint that no other complete one uses.
fn own_file(job: &Counting, checkpoint: u64) -> PathBuf {
    let others = job.checkpoints().into_iter().filter(|other| *other != checkpoint);
    let others: Vec<Manifest> = others.map(|other| job.manifest(other)).collect();
    let is_own = |name: &str| !others.iter().any(|one| one.files().any(|file| file.name == name));
    let manifest = job.manifest(checkpoint);
    let own = manifest.files().filter(|file| is_own(&file.name)).max_by_key(|file| file.bytes);
    job.folder().join("checkpoints").join(&own.expect("each has files of its own").name)
}

/// The newest checkpoint is damaged in each of these ways: it is skipped with a warning, the job
/// goes on from the one before, and the output is right.
fn goes_back(backend: &str, damages: &[(Damage, &str)]) {
    let whole = Counting::cancelled("whole", backend);
    let (newest, before) = match whole.checkpoints()[..] {
        [_, before, newest] => (newest, before),
        ref other => panic!("three are kept, not {other:?}"),
    };
    for (damage, what) in damages {
        let job = whole.copy("damaged");
        damage(&job.manifest_path(newest), &own_file(&job, newest));
        let text = job.folder().read("job.toml");
        let section = format!("[state]\nbackend = {backend:?}\n[checkpoint]");
        job.folder().write("job.toml", text.replace("[checkpoint]", &section));
        let (story, restored_from) = job.finish("latest");
        assert_eq!(restored_from, Some(before), "{what}: {story}");
        let skipped = format!("warning: chk-{newest} is skipped: ");
        let instead = format!("warning: the job goes on from chk-{before} instead");
        for words in [&skipped, *what, &instead] {
            assert!(story.contains(words), "{words:?} is not in\n{story}");
        }
    }
}

const DAMAGES: [(Damage, &str); 5] = [
    (|manifest, _| flip(manifest), "manifest is not what was written: its length or checksum"),
    (|manifest, _| truncate(manifest), "manifest is not what was written: its length or checksum"),
    (|_, file| flip(file), "is not what was written: "),
    (|_, file| truncate(file), "is not what was written: it ends at byte"),
    (|_, file| remove(file), "No such file or directory"),
];

#[test]
fn a_damaged_checkpoint_of_hashmap_is_skipped() {
    goes_back("hashmap", &DAMAGES);
}

#[test]
fn a_damaged_checkpoint_of_rocksdb_is_skipped() {
    goes_back("rocksdb", &DAMAGES);
}

/// A job that shall not replace output is not made to by a damaged checkpoint.
#[test]
fn output_that_shall_not_be_replaced_is_not() {
    let job = Counting::cancelled("refuses", "hashmap");
    let text = job.folder().read("job.toml");
    job.folder().write("job.toml", text + "on_existing = \"refuse\"\n");
    let checkpoints = job.checkpoints();
    flip(&job.manifest_path(checkpoints[2]));
    let files = job.files();
    let ended = job.run().arg("--restore").arg("latest").run().expect(1);
    let held = format!("out/ holds output from after checkpoint {}", checkpoints[1]);
    ended.expect_story([&*held, "hint: the job would write it twice", "on_existing"]);
    assert_eq!(job.files(), files);
}

#[test]
fn nothing_is_whole() {
    let job = Counting::cancelled("nothing", "hashmap");
    job.checkpoints().iter().for_each(|id| flip(&job.manifest_path(*id)));
    let files = job.files();
    let ended = job.run().arg("--restore").arg("latest").run().expect(4);
    let skipped = ended.stderr.matches("is skipped: ").count();
    assert_eq!(skipped, 3, "{}", ended.stderr);
    ended.expect_story([
        "error: none of the 3 checkpoints can be restored",
        "hint: the warnings above say why; `--restore PATH` takes a savepoint",
        "`--restore none` begins anew",
    ]);
    assert_eq!(job.files(), files);
}

/// Somebody names a checkpoint: that one or none.
#[test]
fn a_damaged_checkpoint_that_was_asked_for_is_no_reason_to_take_another() {
    let job = Counting::cancelled("asked", "hashmap");
    let newest = *job.checkpoints().last().expect("there are some");
    let name = format!("checkpoints/chk-{newest}");
    for (damage, what) in DAMAGES {
        let job = job.copy("damaged");
        damage(&job.manifest_path(newest), &own_file(&job, newest));
        let ended = job.run().arg("--restore").arg(&name).run().expect(4);
        ended.expect_story([what, &format!("chk-{newest}/")]);
        assert_eq!(job.checkpoints().len(), 3);
    }
}

/// Whether the last run came to its end cannot be told: nothing is guessed.
#[test]
fn an_end_that_cannot_be_read_is_told() {
    let job = Counting::new("end");
    job.finish("latest");
    let list = job.ask(&["checkpoints", "list", "checkpoints"]).run().expect(0);
    assert!(list.stdout.is_empty(), "{}", list.stdout);
    list.expect_story(["The job has finished"]);
    let again = job.run().arg("--restore").arg("latest").run().expect(0);
    again.expect_story(["the job has finished before", "`--restore none` runs it anew"]);
    job.assert_exactly_once();
    truncate(&job.folder().join("checkpoints/finished"));
    for restore in ["latest", "none"] {
        let files = job.files();
        let ended = job.run().arg("--restore").arg(restore).run().expect(4);
        ended.expect_story(["checkpoints/finished is not what was written", "remove the file"]);
        assert_eq!(job.files(), files);
    }
}

/// Runs with `--restore latest` and more arguments: the job is refused and nothing is touched.
#[track_caller]
fn assert_refused(job: &Counting, file: &str, settings: &[(&str, &str)], story: &[&str]) {
    let files = job.files();
    let run = job.run_file(file).arg("--restore").arg("latest");
    let run = settings.iter().fold(run, |run, (key, value)| run.set(key, value));
    run.run().expect(1).expect_story(story);
    assert_eq!(job.files(), files, "{story:?}");
}

#[test]
fn a_job_that_the_checkpoint_does_not_fit_is_refused() {
    let job = Counting::cancelled("other", "hashmap");
    let newest = *job.checkpoints().last().expect("there are some");
    let other = format!("of job {NAME:?}, not of \"other\"");
    assert_refused(&job, "job.toml", &[("job.name", "other")], &[&other, "hint: give each job"]);
    let groups = format!("the job has 32 key groups, but checkpoint {newest} was taken with 16");
    let hint = "hint: set job.max_parallelism to 16";
    assert_refused(&job, "job.toml", &[("job.max_parallelism", "32")], &[&groups, hint]);
    let settings = &[("job.parallelism", "17")];
    assert_refused(&job, "job.toml", settings, &["job.max_parallelism", "16", "17"]);

    let lacks = |what: &str| format!("checkpoint {newest} holds {what}, which the job lacks");
    let text = job.folder().read("job.toml");
    let renamed = text.replace("\"count\"", "\"counter\"");
    job.folder().write("operator.toml", renamed);
    let operator = lacks("state of an operator \"count\"");
    assert_refused(&job, "operator.toml", &[], &[&operator, "hint: nothing is restored in part"]);
    job.folder().write("source.toml", text.replace("\"in\"", "\"clicks\""));
    let source = lacks("the position of a source \"in\"");
    assert_refused(&job, "source.toml", &[], &[&source, "put the id back into the job file"]);

    let stamp = component("stamp");
    let undeclared =
        "operator \"count\" had a state \"count\", which its function does not declare";
    // Without `--code job` the function of the checkpoint would go on.
    let run = job.run().arg("--restore").arg("latest").arg("--code").arg("job");
    let refused = run.set("operator.count.component", stamp.display()).run().expect(1);
    refused.expect_story([undeclared, "hint: nothing is restored in part"]);
}

#[test]
fn a_state_of_another_kind_is_refused() {
    let job = Counting::cancelled("kind", "hashmap");
    for checkpoint in job.checkpoints() {
        let mut manifest = job.manifest(checkpoint);
        manifest.operators[0].states[0].kind = StateKind::List;
        fs::write(job.manifest_path(checkpoint), manifest.encode()).expect("it can be written");
    }
    let kinds = "state \"count\" of operator \"count\" was of kind list, its function declares it \
                 with kind value";
    assert_refused(&job, "job.toml", &[], &[kinds, "hint: restore with the function that it had"]);
}

/// As a newer program would write it: the checksum is right.
#[test]
fn a_format_from_the_future_is_refused() {
    const FORMAT: u32 = 3;
    let job = Counting::cancelled("future", "hashmap");
    let newest = job.manifest_path(*job.checkpoints().last().expect("there are some"));
    let json = b"{ \"from\": \"the future\" }\n";
    let checksum = crc32(&[&FORMAT.to_le_bytes()[..], json].concat());
    let mut bytes = format!("tidegate-manifest {FORMAT} {} {checksum:08x}\n", json.len());
    bytes.push_str(std::str::from_utf8(json).expect("it is text"));
    fs::write(newest, bytes).expect("it can be written");
    let format = "manifest has format 3, written by a newer tidegate; this one reads up to 2";
    assert_refused(&job, "job.toml", &[], &[format, "hint: use the newer tidegate"]);
}

/// The usual CRC-32, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let bit = |crc: u32, _| (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
    !bytes.iter().fold(!0, |crc: u32, byte| (0..8).fold(crc ^ u32::from(*byte), bit))
}
