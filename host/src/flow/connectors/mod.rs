//! What talks to the world outside: one file a connector.

pub(super) mod file;
pub(super) mod file_sink;
pub(crate) mod function;
pub mod generator;
mod line_buffer;
mod retry;
mod socket;
pub(super) mod stdout;
pub(super) mod stream;

use std::sync::Arc;

use super::Waker;
use crate::checkpoint::manifest::SourcePosition;
use crate::env::Clock;
use crate::error::Result;
use crate::job::plan::{SourceConnector, SourcePlan};
use crate::wasm::LogSink;

/// What a source's connector gives next.
#[derive(Debug)]
pub enum Next<'a> {
    /// A line without its end, and its number within the split, counted from 1.
    Line(&'a [u8], u64),
    /// A line that is longer than the source takes: its beginning, its number, and its bytes in
    /// all.
    TooLong(&'a [u8], u64, u64),
    /// Lines to come are from another split.
    Split(Arc<str>),
    /// Nothing now; somebody wakes the source, or it asks again at this processing time.
    Nothing(Option<i64>),
    /// Nothing ever again.
    End,
}

/// Where a source's records come from.
pub trait Connector: Send {
    /// The next line or event. Does not block for longer than a read from a disk.
    ///
    /// # Errors
    /// If the outside world fails. The connector is of no use any more.
    fn next(&mut self, now: i64) -> Result<Next<'_>>;

    /// Where it goes on after the last line that was given out.
    fn position(&self) -> SourcePosition;
}

/// Opens what a source reads, at its start or where a checkpoint says. `waker` wakes the source's
/// task; `log` takes what a function logs.
///
/// # Errors
/// If it cannot be opened, or is not what it was when the checkpoint was taken.
pub fn open_source(
    plan: &SourcePlan,
    waker: &Waker,
    clock: &Arc<dyn Clock>,
    log: LogSink,
    restored: Option<&SourcePosition>,
) -> Result<Box<dyn Connector>> {
    let start = SourcePosition::default();
    let from = restored.unwrap_or(&start);
    Ok(match &plan.connector {
        SourceConnector::File(files) => {
            let now = clock.now_ms();
            Box::new(file::Files::open(files, plan.line_bytes_max, waker, log, now, from)?)
        }
        SourceConnector::Stdin => {
            Box::new(stream::Stream::stdin(plan.line_bytes_max, waker, log, from)?)
        }
        SourceConnector::Socket(socket) => {
            Box::new(socket::open(socket, plan.line_bytes_max, waker, log, from)?)
        }
        SourceConnector::Generator(settings) => {
            let settings = settings.clone();
            Box::new(generator::Generator::new(&plan.id, settings, clock.now_ms(), restored))
        }
        SourceConnector::Function(function) => {
            Box::new(function::FunctionSource::open(&plan.id, function, log, restored)?)
        }
    })
}
