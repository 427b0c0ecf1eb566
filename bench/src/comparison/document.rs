//! The section of docs/benchmarks.md that the comparison writes, between two marks, and its plots.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

use super::bars;
use super::cell::Backend;
use super::jobs::JOBS;
use super::plot::{self, Group};
use super::results::{Results, Row};

const BEGIN: &str = "<!-- comparison: written by `cargo xtask bench comparison` -->\n";
const END: &str = "<!-- /comparison -->\n";

/// The middle of the axes, where all jobs stand in one table.
pub const KEYS: u64 = 100_000;
pub const BYTES: usize = 30;

/// Writes the section and the plots.
///
/// # Errors
/// If the document cannot be read or written, or has no place for the section.
pub fn write(results: &Results, document: &Path, folder: &Path) -> Result<()> {
    let text = std::fs::read_to_string(document)
        .with_context(|| format!("cannot read {}", document.display()))?;
    let place = || format!("{} has no `{}`", document.display(), BEGIN.trim_end());
    let (before, rest) = text.split_once(BEGIN).with_context(place)?;
    let (_, after) = rest.split_once(END).with_context(place)?;
    let section = section(results)?;
    std::fs::write(document, format!("{before}{BEGIN}{section}{END}{after}"))?;
    for backend in [Backend::Hashmap, Backend::Rocksdb] {
        let word = backend.word();
        let title = format!("Throughput on {word}, parallelism 2, 100 k keys, 30 bytes");
        save(folder, &format!("throughput-{word}.svg"), &title, by_job(results, backend))?;
        let title = format!("Count on {word} by keys, parallelism 2, 30 bytes");
        save(folder, &format!("keys-{word}.svg"), &title, by_keys(results, backend))?;
    }
    let title = "Count on hashmap by bytes, parallelism 2, 100 k keys";
    save(folder, "bytes.svg", title, by_bytes(results))
}

fn save(folder: &Path, name: &str, title: &str, groups: Vec<Group>) -> Result<()> {
    let path = folder.join(name);
    if groups.is_empty() {
        return Ok(());
    }
    let series = ["native loop", "engine", "Tidegate", "Flink"];
    std::fs::write(&path, plot::bars(title, "thousand records a second", &series, &groups))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn by_job(results: &Results, backend: Backend) -> Vec<Group> {
    let row = |job: &str| results.row(job, backend, 2, KEYS, BYTES);
    JOBS.iter().filter_map(|job| row(job.name).map(|row| group(job.name.into(), row))).collect()
}

fn by_keys(results: &Results, backend: Backend) -> Vec<Group> {
    let row = |keys| results.row("count", backend, 2, keys, BYTES);
    let all = [1_000, KEYS, 10_000_000];
    all.iter().filter_map(|&keys| row(keys).map(|row| group(format!("{keys} keys"), row))).collect()
}

fn by_bytes(results: &Results) -> Vec<Group> {
    let row = |bytes| results.row("count", Backend::Hashmap, 2, KEYS, bytes);
    let all = [BYTES, 100, 1_000];
    all.iter().filter_map(|&bytes| row(bytes).map(|row| group(format!("{bytes} B"), row))).collect()
}

fn group(name: String, row: &Row) -> Group {
    let values = [row.native, row.engine, row.sandbox, row.flink];
    Group { name, values: values.map(|figures| row.rate(figures)).to_vec() }
}

fn section(results: &Results) -> Result<String> {
    let mut text = String::new();
    write_machine(&mut text, results)?;
    text += "| job | |\n|---|---|\n";
    for job in JOBS {
        writeln!(text, "| {} | {} |", job.name, job.about)?;
    }
    text += "\n### Bars\n\n| bar | measured | |\n|---|---|---|\n";
    for bar in bars::all(results) {
        writeln!(text, "| {} | {} | {} |", bar.what, bar.measured, bar.verdict)?;
    }
    for backend in [Backend::Hashmap, Backend::Rocksdb] {
        let word = backend.word();
        writeln!(
            text,
            "\n### All jobs on {word}\n\n![throughput](benchmarks/throughput-{word}.svg)\n"
        )?;
        let is_in = |row: &Row| row.backend == backend && row.keys == KEYS && row.bytes == BYTES;
        write_rows(&mut text, results, is_in)?;
    }
    text += "\n### More and fewer keys\n\n![keys](benchmarks/keys-hashmap.svg)\n\
             ![keys](benchmarks/keys-rocksdb.svg)\n\n";
    write_rows(&mut text, results, |row| row.keys != KEYS)?;
    text += "\n### Longer records\n\n![bytes](benchmarks/bytes.svg)\n\n";
    write_rows(&mut text, results, |row| row.keys == KEYS && row.bytes != BYTES)?;
    write_latencies(&mut text, results)?;
    Ok(text)
}

fn write_machine(text: &mut String, results: &Results) -> Result<()> {
    let machine = &results.machine;
    if machine.commit.is_empty() {
        *text += "\nNothing is measured yet.\n\n";
        return Ok(());
    }
    writeln!(
        text,
        "\nMeasured at commit {} on {} cores of {}, {} GiB, {}; {}; {}; Flink 2.3.0. {} cells.\n",
        machine.commit,
        machine.cores,
        machine.processor,
        machine.memory_gib,
        machine.kernel,
        machine.rustc,
        machine.java,
        results.rows.len()
    )?;
    Ok(())
}

/// The rows that `is_in` takes, in the order of jobs and axes.
fn write_rows(text: &mut String, results: &Results, is_in: impl Fn(&Row) -> bool) -> Result<()> {
    let place = |row: &Row| JOBS.iter().position(|job| job.name == row.job);
    let mut rows: Vec<&Row> = results.rows.iter().filter(|row| is_in(row)).collect();
    rows.sort_by_key(|row| (place(row), row.backend.word(), row.parallelism, row.keys, row.bytes));
    if rows.is_empty() {
        *text += "Not measured yet.\n";
        return Ok(());
    }
    writeln!(text, "{}", Row::table_head())?;
    for row in rows {
        writeln!(text, "{}", row.table_line())?;
    }
    Ok(())
}

fn write_latencies(text: &mut String, results: &Results) -> Result<()> {
    *text += "\n### Latency and start\n\n";
    if results.latencies.is_empty() {
        *text += "Latency is not measured yet.\n";
    } else {
        *text += "| backend | records/s | of capacity | p50 ms | p99 ms | p99.9 ms | highest ms | \
                  checkpoints |\n|---|---|---|---|---|---|---|---|\n";
    }
    for latency in &results.latencies {
        let rate = latency.capacity * latency.percent / 100;
        writeln!(
            text,
            "| {} | {rate} | {} % | {:.2} | {:.2} | {:.2} | {:.2} | {} |",
            latency.backend.word(),
            latency.percent,
            latency.p50,
            latency.p99,
            latency.p999,
            latency.highest,
            latency.checkpoints
        )?;
    }
    match results.start {
        Some(start) => writeln!(
            text,
            "\nFrom the start of the process to the first line of output: {:.0} ms the first time, \
             {:.0} ms the median of {} further times.",
            start.first, start.median, start.runs
        )?,
        None => *text += "\nThe start is not measured yet.\n",
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::results::{Figures, Latency, Start};
    use crate::comparison::settings::Watermarks;

    #[test]
    fn only_what_is_between_the_marks_changes() {
        let name = format!("tidegate-document-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let document = folder.join("benchmarks.md");
        std::fs::write(&document, format!("before\n{BEGIN}old\n{END}after\n")).unwrap();
        let figures = |seconds| Some(Figures { seconds, ..Figures::default() });
        let row = Row {
            job: "count".into(),
            backend: Backend::Rocksdb,
            parallelism: 2,
            keys: KEYS,
            bytes: BYTES,
            records: 1_000_000,
            lines: 1_000_000,
            rounds: 3,
            watermarks: Watermarks::Periodic,
            load: 0.0,
            native: figures(0.1),
            engine: figures(0.2),
            sandbox: figures(0.25),
            flink: figures(2.5),
        };
        let latency = Latency {
            backend: Backend::Hashmap,
            capacity: 1_000,
            percent: 50,
            p50: 1.0,
            p99: 2.0,
            p999: 3.0,
            highest: 4.0,
            checkpoints: 20,
        };
        let start = Some(Start { first: 90.0, median: 60.0, runs: 20 });
        let rows = vec![row];
        let results = Results { rows, latencies: vec![latency], start, ..Results::default() };
        write(&results, &document, &folder).unwrap();
        write(&results, &document, &folder).unwrap();
        let text = std::fs::read_to_string(&document).unwrap();
        let plot = std::fs::read_to_string(folder.join("throughput-rocksdb.svg")).unwrap();
        std::fs::remove_dir_all(folder).unwrap();
        assert!(text.starts_with("before\n<!-- comparison") && text.ends_with("-->\nafter\n"));
        assert!(!text.contains("old\n"));
        let line = "| count | rocksdb | 2 | 100000 | 30 | 10000 | 5000 | 4000 | 400 | – | 10.00 |";
        assert_eq!(text.matches(line).count(), 1, "{text}");
        assert!(text.contains("| hashmap | 500 | 50 % | 1.00 | 2.00 | 3.00 | 4.00 | 20 |"));
        assert!(plot.contains("<title>count: 4000.0</title>"), "{plot}");
    }
}
