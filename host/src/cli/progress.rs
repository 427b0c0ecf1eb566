//! One line on the terminal while a job runs: records and rate of each source. Shown after 250 ms,
//! removed at the end, and never shown where stderr is not a terminal.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::ui::Ui;
use crate::flow::{Metrics, NodeKind};

/// A job that is done by then shows no progress.
const SHOWN_AFTER: Duration = Duration::from_millis(250);

/// How often the line changes. Rates are of this interval.
const INTERVAL: Duration = Duration::from_millis(500);

/// The line. Removed when it is dropped.
pub struct Progress {
    bar: ProgressBar,
    /// Dropped to end the thread.
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Starts to watch `metrics`, if there is a terminal to show them and `wanted`.
    pub fn start(ui: &Ui, wanted: bool, metrics: Arc<Metrics>) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        if !wanted || !ui.shows_progress() {
            return Self { bar, end: None, thread: None };
        }
        let style = ProgressStyle::with_template("{wide_msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        let (end, ended) = channel::<()>();
        let shown = bar.clone();
        let watch = move || {
            let mut wait = SHOWN_AFTER;
            let mut before = vec![0; metrics.nodes.len()];
            while ended.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                if shown.is_hidden() {
                    shown.set_draw_target(ProgressDrawTarget::stderr());
                }
                shown.set_message(line(&metrics, &mut before, wait));
                wait = INTERVAL;
            }
        };
        // Without a thread there is no line, and the job runs all the same.
        let thread = thread::Builder::new().name("tidegate-progress".into()).spawn(watch).ok();
        Self { bar, end: Some(end), thread }
    }

    /// Lets others print without tearing the line.
    pub fn bar(&self) -> ProgressBar {
        self.bar.clone()
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so itself.
            let _ = thread.join();
        }
        self.bar.finish_and_clear();
    }
}

/// `clicks: 1,204,113 records, 602,056/s`
fn line(metrics: &Metrics, before: &mut [u64], interval: Duration) -> String {
    let mut parts = Vec::new();
    for (node, before) in metrics.nodes.iter().zip(before) {
        if node.kind != NodeKind::Source {
            continue;
        }
        let records = node.records_in.load(Ordering::Relaxed);
        let rate = (records - *before) as f64 / interval.as_secs_f64();
        *before = records;
        parts.push(format!(
            "{}: {} records, {}/s",
            node.id,
            grouped(records),
            grouped(rate as u64)
        ));
    }
    parts.join("; ")
}

/// A number with a comma after each thousand.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::NodeMetrics;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1000), "1,000");
        assert_eq!(grouped(1_234_567), "1,234,567");
    }

    #[test]
    fn the_line_tells_rates_of_sources() {
        let node = |id: &str, kind, records: u64| {
            let metrics = NodeMetrics {
                id: id.into(),
                kind,
                records_in: records.into(),
                records_out: 0.into(),
                malformed: 0.into(),
                faults: 0.into(),
            };
            Arc::new(metrics)
        };
        let source = node("clicks", NodeKind::Source, 3000);
        let sink = node("out", NodeKind::Sink, 7);
        let metrics = Metrics { nodes: vec![source, sink] };
        let mut before = vec![1000, 0];
        let line = line(&metrics, &mut before, Duration::from_millis(500));
        assert_eq!(line, "clicks: 3,000 records, 4,000/s");
        assert_eq!(before, [3000, 0]);
    }
}
