//! One partition of an operator as a task: its inputs, the operator itself, its outputs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::dead_letters::{Letter, Malformed, Rejects, encode};
use super::fields::excerpt;
use super::inputs::{Incoming, Inputs};
use super::outlet::Outlets;
use super::snapshotter::{PartitionOf, Snapshotter};
use super::{Barrier, Event, NodeMetrics, OperatorCommand, OperatorControl, Step, Task};
use crate::env::{Clock, Stopwatch};
use crate::error::{Error, Result};
use crate::job::plan::FaultPolicy;
use crate::model::{Batch, Fault, FaultReason, TIME_END};
use crate::operator::{Cause, Firings, Operator, Outputs, Rejected, Rejections};

/// Work that sends out so much that it takes several steps.
enum Unfinished {
    /// The records of a batch of an input, from one on.
    Batch(u32, Box<Batch>, usize),
    /// The timers that a watermark makes due.
    Watermark(i64),
}

/// A partition of an operator with everything around it.
pub struct OperatorTask {
    inputs: Inputs,
    operator: Option<Operator>,
    outputs: Outputs,
    outlets: Outlets,
    /// For records of this operator in which a reader finds no key.
    keyless: Rejects,
    watermark: i64,
    /// What has come in and is not done yet: nothing else comes in before it is.
    unfinished: Option<Unfinished>,
    clock: Arc<dyn Clock>,
    metrics: Arc<NodeMetrics>,
    snapshotter: Snapshotter,
    /// Which partition it is; the watermark in it is that of the last barrier.
    partition: PartitionOf,
    control: Arc<OperatorControl>,
    /// Whether a fault rolls back the swap that brought the function.
    is_fresh: Arc<AtomicBool>,
    ended: bool,
}

/// What an operator's task is made of.
pub struct OperatorParts {
    /// What comes in.
    pub inputs: Inputs,
    /// The operator, open.
    pub operator: Operator,
    /// How many outputs its function declares.
    pub outputs: usize,
    /// Who reads them.
    pub outlets: Outlets,
    /// What becomes of records in which a reader finds no key.
    pub keyless: Rejects,
    /// Tells processing time.
    pub clock: Arc<dyn Clock>,
    /// Counts.
    pub metrics: Arc<NodeMetrics>,
    /// Takes its part in checkpoints.
    pub snapshotter: Snapshotter,
    /// Which partition it is.
    pub partition: PartitionOf,
    /// What it is told.
    pub control: Arc<OperatorControl>,
    /// Whether a fault rolls back the swap that brought the function; shared with its
    /// [`OperatorRejections`].
    pub is_fresh: Arc<AtomicBool>,
}

impl OperatorTask {
    /// A task around an open operator.
    pub fn new(parts: OperatorParts) -> Self {
        Self {
            inputs: parts.inputs,
            watermark: parts.operator.watermark(),
            operator: Some(parts.operator),
            outputs: Outputs::new(parts.outputs),
            outlets: parts.outlets,
            keyless: parts.keyless,
            unfinished: None,
            clock: parts.clock,
            metrics: parts.metrics,
            snapshotter: parts.snapshotter,
            partition: parts.partition,
            control: parts.control,
            is_fresh: parts.is_fresh,
            ended: false,
        }
    }

    fn operator(&mut self) -> &mut Operator {
        self.operator.as_mut().expect("an operator is closed only at the end")
    }

    fn take(&mut self, incoming: Incoming, now: i64) -> Result<()> {
        match incoming {
            Incoming::Batch(input, batch) => {
                NodeMetrics::add(&self.metrics.records_in, batch.len());
                self.work(Unfinished::Batch(input, batch, 0), now)
            }
            Incoming::Watermark(watermark) => self.work(Unfinished::Watermark(watermark), now),
            Incoming::Barrier(barrier) => self.pass_barrier(&barrier, now),
            Incoming::Idle => self.outlets.set_idle(),
            Incoming::Nothing => Ok(()),
            Incoming::End => {
                self.report_shadow(true);
                let operator = self.operator.take().expect("inputs end once");
                self.ended = true;
                self.outlets.end(self.watermark)?;
                let id = &self.metrics.id;
                operator.close().map_err(|fault| fault_error(id, "when it was closed", &fault))
            }
        }
    }

    /// Does some of the work, hands on what it sent out, and keeps the rest for later.
    fn work(&mut self, work: Unfinished, now: i64) -> Result<()> {
        let Self { operator, outputs, .. } = self;
        let operator = operator.as_mut().expect("an operator is closed only at the end");
        match work {
            Unfinished::Batch(input, batch, from) => {
                let next = operator.process(input, &batch, from, now, outputs)?;
                if next < batch.len() {
                    self.unfinished = Some(Unfinished::Batch(input, batch, next));
                } else if let Some(&last) = batch.watermarks.last() {
                    self.watermark = last;
                }
            }
            Unfinished::Watermark(watermark) => {
                match operator.advance_watermark(watermark, now, outputs)? {
                    Firings::Done => self.watermark = watermark,
                    Firings::More => self.unfinished = Some(Unfinished::Watermark(watermark)),
                }
            }
        }
        self.route()
    }

    /// Takes a snapshot of the moment of a barrier, and changes the function if it is time to.
    fn pass_barrier(&mut self, barrier: &Barrier, now: i64) -> Result<()> {
        let watch = Stopwatch::start();
        let order = barrier.swap.as_ref().filter(|one| one.operator == self.partition.operator);
        self.begin_snapshot(barrier, order.is_some_and(|order| order.unsettles))?;
        let Some(order) = order else { return Ok(()) };
        self.outlets.rearrange(&order.outputs);
        self.outputs = Outputs::new(order.outputs.len());
        self.is_fresh.store(order.rolls_back, Ordering::Relaxed);
        let replacement = order.take(self.partition.partition);
        self.operator().swap(replacement, now)?;
        order.took(watch.elapsed());
        Ok(())
    }

    /// Passes a barrier on and begins a snapshot of the moment. With `unsettles`, what goes on from
    /// the snapshot wants its state elsewhere.
    fn begin_snapshot(&mut self, barrier: &Barrier, unsettles: bool) -> Result<()> {
        // Two at a time would be two copies of what changes meanwhile.
        while self.snapshotter.is_open() {
            self.copy_some()?;
        }
        let outputs = self.outlets.pass_barrier(barrier, self.watermark)?;
        let Some(target) = barrier.target.clone() else {
            self.snapshotter.acknowledge(barrier.id, None, outputs);
            return Ok(());
        };
        let operator = self.operator().operator_snapshot();
        self.operator().begin_snapshot(target.form)?;
        let partition = PartitionOf {
            watermark: self.watermark,
            is_settled: !unsettles && self.operator().is_settled(),
            ..self.partition.clone()
        };
        self.snapshotter.begin(barrier, target, partition, operator, outputs);
        Ok(())
    }

    /// Goes on with the snapshot, if there is one and its writer keeps up. Returns whether it did.
    fn advance_snapshot(&mut self) -> Result<bool> {
        self.snapshotter.pump();
        if !self.snapshotter.is_open() || self.snapshotter.is_clogged() {
            return Ok(false);
        }
        self.copy_some()?;
        Ok(true)
    }

    fn copy_some(&mut self) -> Result<()> {
        let Self { operator, snapshotter, .. } = self;
        let operator = operator.as_mut().expect("an operator is closed only at the end");
        let hand_on = &mut |group, entries| snapshotter.write(group, entries);
        if let Some(frozen) = operator.advance_snapshot(hand_on)? {
            snapshotter.finish(frozen);
        }
        Ok(())
    }

    /// Does what it is told.
    fn obey(&mut self, command: OperatorCommand) {
        match command {
            OperatorCommand::ConfirmSwap => {
                self.is_fresh.store(false, Ordering::Relaxed);
                self.operator().confirm_swap();
            }
            OperatorCommand::Shadow(shadow) => self.operator().run_beside(*shadow),
        }
    }

    /// Tells what the function beside has shown, once it has run long enough.
    fn report_shadow(&mut self, at_end: bool) {
        if let Some(report) = self.operator().take_shadow_report(at_end) {
            let operator = self.partition.operator;
            self.snapshotter.tell(Event::Shadowed(operator, Box::new(report)));
        }
    }

    /// Fires some of the processing-time timers that are due. Returns whether there were any.
    fn fire_processing_timers(&mut self, now: i64) -> Result<bool> {
        let Self { operator, outputs, .. } = self;
        let operator = operator.as_mut().expect("an operator is closed only at the end");
        if operator.next_processing_timer(now).is_none() {
            return Ok(false);
        }
        operator.advance_processing_time(now, outputs)?;
        self.route()?;
        Ok(true)
    }

    /// Hands what the operator sent out to those who read it.
    fn route(&mut self) -> Result<()> {
        let keyless = &mut self.keyless;
        for (output, batch) in self.outputs.batches.iter_mut().enumerate() {
            if batch.is_empty() {
                continue;
            }
            NodeMetrics::add(&self.metrics.records_out, batch.len());
            self.outlets.route(output, batch, &mut |batch: &Batch, index, reason| {
                let record = batch.values.get(index);
                let position = batch.position(index);
                let reason = &format!("as the next operator's input: {reason}");
                keyless.reject(&Malformed { position, record, bytes: None, key: None, reason })
            })?;
            batch.clear();
        }
        Ok(())
    }
}

impl Task for OperatorTask {
    fn step(&mut self) -> Result<Step> {
        let copied = self.advance_snapshot()?;
        if !self.outlets.send() {
            return Ok(if copied { Step::Worked } else { Step::Idle(None) });
        }
        if self.ended {
            return Ok(Step::Done);
        }
        if let Some(command) = self.control.take() {
            self.obey(command);
        }
        self.report_shadow(false);
        let now = self.clock.now_ms();
        if let Some(work) = self.unfinished.take() {
            self.work(work, now)?;
            self.outlets.end_step(self.watermark, true)?;
            return Ok(Step::Worked);
        }
        if self.fire_processing_timers(now)? {
            self.outlets.end_step(self.watermark, true)?;
            return Ok(Step::Worked);
        }
        match self.inputs.try_next() {
            Some(incoming) => {
                self.take(incoming, now)?;
                if !self.ended {
                    self.outlets.end_step(self.watermark, true)?;
                    if self.unfinished.is_none() {
                        self.operator().settle_some()?;
                    }
                }
                Ok(Step::Worked)
            }
            None => {
                self.outlets.flush(self.watermark)?;
                if copied | self.operator().settle_some()? {
                    Ok(Step::Worked)
                } else if self.outlets.send() {
                    Ok(Step::Idle(self.operator().next_processing_timer(TIME_END)))
                } else {
                    Ok(Step::Idle(None))
                }
            }
        }
    }
}

/// Applies the policies of one operator to what its function faults at.
pub struct OperatorRejections {
    /// For records that the function cannot decode.
    pub malformed: Rejects,
    /// For everything else.
    pub on_fault: FaultPolicy,
    /// Counts.
    pub metrics: Arc<NodeMetrics>,
    /// Whether a fault rolls back the swap that brought the function.
    pub is_fresh: Arc<AtomicBool>,
}

impl Rejections for OperatorRejections {
    fn reject(&mut self, rejected: &Rejected<'_>) -> Result<()> {
        let Rejected { fault, key, cause } = rejected;
        if let (FaultReason::Malformed, Cause::Record { value, position }) = (fault.reason, cause) {
            return self.malformed.reject(&Malformed {
                position: position.clone(),
                record: value,
                bytes: None,
                key: *key,
                reason: &fault.message,
            });
        }
        self.metrics.faults.fetch_add(1, Ordering::Relaxed);
        if self.is_fresh.load(Ordering::Relaxed) {
            return Err(self.fault_error(rejected));
        }
        match self.on_fault {
            FaultPolicy::Fail => Err(self.fault_error(rejected)),
            FaultPolicy::DeadLetter => {
                let (record, encoding) = match cause {
                    Cause::Record { value, .. } => {
                        let (record, encoding) = encode(value);
                        (Some(record), encoding)
                    }
                    Cause::Timer { .. } => (None, None),
                };
                let letters = self.malformed.letters();
                let (node, partition) = letters.node();
                let node = node.to_owned();
                letters.write(&Letter {
                    node: &node,
                    partition,
                    key: key.map(|key| String::from_utf8_lossy(key).into_owned()),
                    position: describe(cause),
                    reason: &fault.message,
                    backtrace: &fault.backtrace,
                    record,
                    encoding,
                    bytes: None,
                })
            }
        }
    }
}

impl OperatorRejections {
    fn fault_error(&self, rejected: &Rejected<'_>) -> Error {
        let key = rejected.key.map(|key| format!("key {}, ", excerpt(key))).unwrap_or_default();
        let at = format!("at {key}{}", describe(&rejected.cause));
        let error = fault_error(&self.metrics.id, &at, rejected.fault);
        match rejected.cause {
            Cause::Record { value, .. } => error.hint(format!(
                "the record is {}; to go on without such records, set \
                 on_fault = \"dead-letter\" on {:?}",
                excerpt(value),
                self.metrics.id
            )),
            Cause::Timer { .. } => error,
        }
    }
}

fn describe(cause: &Cause<'_>) -> String {
    match cause {
        Cause::Record { position, .. } => position.to_string(),
        Cause::Timer { timestamp, domain } => {
            let domain = format!("{domain:?}").to_lowercase();
            format!("{domain}-time timer {timestamp}")
        }
    }
}

/// The error of an operator whose function faulted.
pub(crate) fn fault_error(operator: &str, at: &str, fault: &Fault) -> Error {
    node_fault_error("operator", operator, at, fault).of_operator(operator)
}

/// The error of a node of some kind whose function faulted.
pub(crate) fn node_fault_error(kind: &str, id: &str, at: &str, fault: &Fault) -> Error {
    let error = Error::guest(format!("{kind} {id:?} faulted {at}: {fault}"));
    if fault.backtrace.is_empty() {
        return error;
    }
    error.caused_by(fault.frames())
}
