//! Packed files and files with headers: read as what they hold, gone on with in their middle after
//! a crash, and refused with their names where they are not what they seem.

use std::io::Write;

use tidegate_tests::counted::{Counted, clicks};
use tidegate_tests::{Ended, Folder, Tidegate};

/// Records of a file that is worth killing a job for.
const MANY: u64 = 2_000_000;

const HEADER: &str = "user,url,time\n";

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish()).expect("memory takes it")
}

fn zstd(text: &str) -> Vec<u8> {
    zstd::encode_all(text.as_bytes(), 1).expect("memory takes it")
}

/// A source of CSV files with headers, which names fields instead of positions.
fn with_headers(path: &str) -> String {
    format!(
        "connector = \"file\"\npath = {path:?}\nformat = \"csv\"\nheader = true\n\
         timestamp = {{ field = \"time\" }}\n"
    )
}

#[test]
fn files_are_read_as_what_they_hold() {
    let job = Counted::new("packed", &with_headers("in"), Counted::file_sink(), "");
    let part = |number: u64| clicks(number * 1000, 1000);
    job.folder().write("in/a.csv", format!("\u{feff}{HEADER}{}", part(0).replace('\n', "\r\n")));
    job.folder().write("in/b.csv.gz", [gzip(HEADER), gzip(&part(1)), gzip(&part(2))].concat());
    job.folder().write("in/c.csv.zst", [zstd(HEADER), zstd(&part(3))].concat());
    job.folder().write("in/d.csv.gz", "");
    job.folder().write("in/e.csv", HEADER.trim_end());
    // Keys by name too.
    let run = job.run().set("operator.count.inputs[0].partition", "{ key = \"user\" }");
    run.run().expect(0).expect_story(["4,000 in"]);
    job.assert_exactly_once_in_all(4000);
}

/// What is in the middle of a packed file can only be found by unpacking what comes before it.
fn survives_kills(file: &str, packed: Vec<u8>) {
    let source = format!("{}compression = \"auto\"\n", with_headers("in"));
    let job = Counted::new("killed", &source, Counted::file_sink(), Counted::checkpoints());
    job.folder().write("in/0.csv", format!("{HEADER}{}", clicks(0, 10)));
    job.folder().write(&format!("in/{file}"), packed);
    job.folder().write("in/z.csv", format!("{HEADER}{}", clicks(10 + MANY, 10)));
    job.survive_kills(20, 5, |call| call);
    job.go_on().run().expect(0);
    job.assert_exactly_once(MANY + 20);
}

#[test]
fn a_job_goes_on_within_a_gzip_file() {
    survives_kills("a.csv.gz", gzip(&format!("{HEADER}{}", clicks(10, MANY))));
}

#[test]
fn a_job_goes_on_within_a_zstd_file() {
    survives_kills("a.csv.zst", zstd(&format!("{HEADER}{}", clicks(10, MANY))));
}

/// Runs a job over these files, which must fail with this status.
fn refused(files: &[(&str, &[u8])], settings: &[(&str, &str)], status: i32) -> Ended {
    let folder = Folder::new("refused");
    for (name, bytes) in files {
        folder.write(&format!("in/{name}"), bytes);
    }
    let source = with_headers("in");
    let job = folder.write(
        "job.toml",
        format!(
            "[job]\nname = \"j\"\n[[source]]\nid = \"in\"\n{source}\n\
             [[sink]]\nid = \"out\"\nconnector = \"discard\"\nfrom = \"in\"\n"
        ),
    );
    let run =
        settings.iter().fold(Tidegate::run_job(&job), |run, (key, value)| run.set(key, value));
    run.run().expect(status)
}

#[test]
fn a_file_that_breaks_off_is_told_by_name() {
    let mut whole = gzip(&format!("{HEADER}{}", clicks(0, 1000)));
    whole.truncate(whole.len() / 2);
    refused(&[("a.csv.gz", &whole)], &[], 1).expect_story(["cannot read", "a.csv.gz"]);
    // One that is packed although its name does not say so.
    let hidden = gzip(&format!("{HEADER}{}", clicks(0, 10)));
    let settings = [("source.in.compression", "gzip")];
    let ended = refused(&[("a.csv", &hidden), ("b.csv", HEADER.as_bytes())], &settings, 1);
    ended.expect_story(["cannot read", "b.csv"]);
}

#[test]
fn files_of_one_source_have_the_same_header() {
    let files = [("a.csv", HEADER.as_bytes()), ("b.csv", &b"user,time,url\nm,1,/\n"[..])];
    let header = "b.csv has the header \"user,time,url\", but the first file has \"user,url,time\"";
    refused(&files, &[], 1).expect_story([header, "hint: files of one source"]);
}

#[test]
fn names_that_no_header_has_are_refused() {
    let files = [("a.csv", HEADER.as_bytes())];
    let ended = refused(&files, &[("source.in.timestamp.field", "tine")], 1);
    ended.expect_story(["names the field \"tine\", which `in` has not", "did you mean `time`?"]);
    let ended = refused(&files, &[("source.in.header", "false")], 1);
    ended.expect_story(["names the field \"time\", but csv records have no names"]);
    let ended = refused(&files, &[("source.in.format", "lines")], 1);
    ended.expect_story(["`source.in.header` is true, but only csv has headers"]);
    let ended = refused(&files, &[("source.in.compression", "gzipp")], 1);
    ended.expect_story(["did you mean \"gzip\"?"]);
}
