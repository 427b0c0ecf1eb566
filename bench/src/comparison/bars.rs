//! What the figures are held to, and whether they reach it.

use super::cell::Backend;
use super::document::{BYTES, KEYS};
use super::results::{Results, Row};

/// The jobs that are held to bars against Flink.
pub const HELD: [&str; 4] = ["count", "pv", "window", "alert"];

/// State that does not fit the budget of the backend on disk.
const MANY_KEYS: u64 = 10_000_000;

/// A bar and what was measured.
pub struct Bar {
    pub what: String,
    pub measured: String,
    pub verdict: &'static str,
}

impl Bar {
    /// A bar on `found`, if it was measured: `is_met` of it.
    fn new(
        what: String,
        found: Option<f64>,
        is_met: impl Fn(f64) -> bool,
        show: impl Fn(f64) -> String,
    ) -> Self {
        let measured = found.map_or("not measured".into(), show);
        let verdict = match found.map(is_met) {
            Some(true) => "met",
            Some(false) => "missed",
            None => "–",
        };
        Self { what, measured, verdict }
    }

    fn at_least(what: String, bar: f64, found: Option<f64>) -> Self {
        let what = format!("{what}: at least {bar}");
        Self::new(what, found, |found| found >= bar, |found| format!("{found:.2}"))
    }
}

/// All bars.
pub fn all(results: &Results) -> Vec<Bar> {
    let mut bars = Vec::new();
    let row = |job: &str, backend, keys| results.row(job, backend, 2, keys, BYTES);
    let ratio = |job: &str, backend, keys| row(job, backend, keys).and_then(Row::over_flink);
    for job in HELD {
        let what = format!("{job}, times Flink on the heap");
        bars.push(Bar::at_least(what, 5.0, ratio(job, Backend::Hashmap, KEYS)));
    }
    for job in HELD {
        let what = format!("{job}, times Flink on RocksDB, 100 k keys");
        bars.push(Bar::at_least(what, 8.0, ratio(job, Backend::Rocksdb, KEYS)));
        let what = format!("{job}, times Flink on RocksDB, 10 M keys, a tenth of them in memory");
        bars.push(Bar::at_least(what, 3.0, ratio(job, Backend::Rocksdb, MANY_KEYS)));
    }
    for job in ["count", "alert"] {
        let found = row(job, Backend::Hashmap, KEYS).and_then(Row::of_native);
        bars.push(Bar::at_least(format!("{job}, share of the native loop"), 0.5, found));
    }
    let highest =
        |value: fn(&Row) -> Option<f64>| results.rows.iter().filter_map(value).reduce(f64::max);
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    bars.push(Bar::new(
        "what the sandbox costs, in the worst cell: at most 30 %".into(),
        highest(Row::sandbox_cost),
        |cost| cost <= 0.3,
        percent,
    ));
    bars.push(Bar::new(
        "peak memory, of Flink's, in the worst cell: at most a quarter".into(),
        highest(Row::of_flink_memory),
        |share| share <= 0.25,
        percent,
    ));
    bars.push(Bar::new(
        "count on the heap from 100 k to 10 M keys falls, beyond the loop: less than 10 %".into(),
        fall(results),
        |fall| fall < 0.1,
        percent,
    ));
    let latency = results.latencies.iter().filter(|latency| latency.percent == 50);
    bars.push(Bar::new(
        "p99 latency at half of the capacity: less than 10 ms".into(),
        latency.map(|latency| latency.p99).reduce(f64::max),
        |latency| latency < 10.0,
        |latency| format!("{latency:.1} ms"),
    ));
    bars.push(Bar::new(
        "from start to first output: less than 150 ms".into(),
        results.start.map(|start| start.median),
        |start| start < 150.0,
        |start| format!("{start:.0} ms"),
    ));
    bars
}

/// By which share more than the loop Tidegate falls from 100 k to 10 M keys.
fn fall(results: &Results) -> Option<f64> {
    let row = |keys| results.row("count", Backend::Hashmap, 2, keys, BYTES);
    let (few, many) = (row(KEYS)?, row(MANY_KEYS)?);
    let tidegate = many.rate(many.sandbox)? / few.rate(few.sandbox)?;
    let native = many.rate(many.native)? / few.rate(few.native)?;
    Some(1.0 - tidegate / native)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comparison::results::Figures;
    use crate::comparison::settings::Watermarks;

    fn row(keys: u64, native: f64, sandbox: f64, flink: f64) -> Row {
        let figures = |seconds| Some(Figures { seconds, ..Figures::default() });
        Row {
            job: "count".into(),
            backend: Backend::Hashmap,
            parallelism: 2,
            keys,
            bytes: BYTES,
            records: keys * 2,
            lines: keys * 2,
            rounds: 1,
            watermarks: Watermarks::Periodic,
            load: 0.0,
            native: figures(native),
            engine: None,
            sandbox: figures(sandbox),
            flink: figures(flink),
        }
    }

    #[test]
    fn bars_are_met_or_missed_or_not_measured() {
        let results = Results {
            rows: vec![row(KEYS, 0.5, 1.0, 5.0), row(MANY_KEYS, 100.0, 250.0, 600.0)],
            ..Results::default()
        };
        let bars = all(&results);
        let verdict = |start: &str| {
            let bar = bars.iter().find(|bar| bar.what.starts_with(start));
            bar.map(|bar| (bar.measured.as_str(), bar.verdict))
        };
        assert_eq!(verdict("count, times Flink on the heap"), Some(("5.00", "met")));
        assert_eq!(verdict("pv, times Flink on the heap"), Some(("not measured", "–")));
        assert_eq!(verdict("count, share"), Some(("0.50", "met")));
        // Of 200 records a second 80 are left, of the loop's 400 there are 200: a fifth more.
        assert_eq!(verdict("count on the heap from"), Some(("20 %", "missed")));
    }
}
