//! The embedding without the dataflow: one partition of an operator inside somebody else's worker.
//!
//! The engine around it brings batches and watermarks and takes outputs; everything else (state,
//! timers, limits, isolation of faults) is here. Needs no default features:
//!
//!     cargo run --release -p tidegate --no-default-features --example embed -- \
//!         COMPONENT.wasm < events.csv
//!
//! where the component is `examples/periodic-pv` and an event is `user,url,timestamp_ms`.

use std::io::BufRead;
use std::path::Path;
use std::sync::Arc;

use tidegate::error::{Error, Result};
use tidegate::model::{Batch, KeyHash, Limits, MAX_PARALLELISM_DEFAULT, TIME_END, TIME_NONE};
use tidegate::operator::{Firings, Operator, OperatorSettings, Outputs, Rejected, Rejections};
use tidegate::state::{KeyedState, Layout, OperatorState};
use tidegate::wasm::{Component, Engine, LogSink, OpenContext};

/// The worker's policy for what the function faults at: the first one ends the worker.
struct FailFast;

impl Rejections for FailFast {
    fn reject(&mut self, rejected: &Rejected<'_>) -> Result<()> {
        Err(Error::guest(format!("{:?}: {}", rejected.cause, rejected.fault)))
    }
}

fn main() -> Result<()> {
    let path = std::env::args().nth(1).ok_or_else(|| Error::input("which component?"))?;
    let component = Component::load(&Engine::new()?, Path::new(&path))?;
    let mut out = Outputs::new(component.declaration().outputs.len());
    let mut operator = open(component)?;
    let mut batch = Batch { split: Some(Arc::from("standard input")), ..Batch::default() };
    let mut watermark = TIME_NONE;
    for (line, number) in std::io::stdin().lock().lines().zip(1..) {
        let line = line.map_err(|cause| Error::input("cannot read").caused_by(cause))?;
        let mut fields = line.split(',');
        let (Some(user), Some(timestamp)) = (fields.next(), fields.nth(1)) else {
            return Err(Error::input(format!("line {number}: {line:?} is no event")));
        };
        let timestamp =
            timestamp.parse().map_err(|cause| Error::input("no time").caused_by(cause))?;
        batch.values.push(line.as_bytes());
        batch.keys.push(user.as_bytes());
        batch.hashes.push(KeyHash::of(user.as_bytes()));
        batch.timestamps.push(timestamp);
        batch.watermarks.push(watermark);
        batch.lines.push(number);
        watermark = watermark.max(timestamp - 1);
        if batch.len() == 1024 {
            process(&mut operator, &mut batch, &mut out)?;
        }
    }
    process(&mut operator, &mut batch, &mut out)?;
    while operator.advance_watermark(TIME_END, 0, &mut out)? == Firings::More {
        print(&mut out);
    }
    print(&mut out);
    operator.close().map_err(|fault| Error::guest(fault.message))
}

fn open(component: Component) -> Result<Operator> {
    let settings = OperatorSettings {
        component,
        context: OpenContext {
            operator: "embedded".into(),
            partition: 0,
            parallelism: 1,
            params: vec![("period".into(), "10s".into())],
            ttl: Vec::new(),
        },
        limits: Limits::default(),
        log: LogSink::none(),
        rejections: Box::new(FailFast),
        captures: None,
    };
    let layout = Layout::of(settings.component.declaration());
    let state = KeyedState::on_heap(layout, MAX_PARALLELISM_DEFAULT);
    Operator::open(settings, state, OperatorState::new(&[]), TIME_NONE)
        .map_err(|fault| Error::input(fault.message))
}

fn process(operator: &mut Operator, batch: &mut Batch, out: &mut Outputs) -> Result<()> {
    let mut next = 0;
    while next < batch.len() {
        next = operator.process(0, batch, next, 0, out)?;
        print(out);
    }
    batch.clear();
    Ok(())
}

fn print(out: &mut Outputs) {
    for batch in &mut out.batches {
        batch.values.iter().for_each(|value| println!("{}", String::from_utf8_lossy(value)));
        batch.clear();
    }
}
