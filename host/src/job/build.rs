//! Makes the tasks of a plan and the channels between them.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};

use super::backends::Backends;
use super::environment::Environment;
use super::plan::{
    InputPlan, MalformedPolicy, OperatorPlan, Partitioning, Plan, SourcePlan, Upstream,
};
use super::restore::{Restored, groups_of};
use super::run::RunOptions;
use crate::checkpoint::Commits;
use crate::checkpoint::manifest::TableFile;
use crate::env::Clock;
use crate::error::{Error, Result};
use crate::flow::{
    DeadLetters, Edge, EdgeKey, Event, Extractor, InputChannel, Inputs, NodeMetrics,
    OperatorControl, OperatorParts, OperatorRejections, OperatorTask, Outlet, Outlets, PartitionOf,
    Rejects, SinkSettings, Snapshotter, SourceControl, SourceSettings, SourceTask, StopFlag, Task,
    Waker, Wanted, captures_to, channel, node_fault_error, open_sink, open_source,
};
use crate::model::{Fault, FaultReason, TIME_NONE};
use crate::operator::{Captures, Operator, OperatorSettings};
use crate::state::OperatorState;
use crate::wasm::{LogSink, OpenContext};

/// Log lines of one partition's function that pass in a second.
const LOG_LINES_A_SECOND: u32 = 50;

/// A partition of a node, ready to run.
pub struct NamedTask {
    /// The node, and for an operator the partition.
    pub name: String,
    /// Wakes whoever drives it.
    pub waker: Waker,
    /// What to drive.
    pub task: Box<dyn Task>,
}

/// All that runs.
pub(super) struct Built {
    /// Sources first, each at the index by which it acknowledges.
    pub(super) tasks: Vec<NamedTask>,
    /// By source.
    pub(super) controls: Vec<Arc<SourceControl>>,
    /// By operator and partition.
    pub(super) operator_controls: Vec<Vec<Arc<OperatorControl>>>,
}

/// What one attempt to run a plan is built from.
pub(super) struct Parts<'a> {
    pub(super) plan: &'a Plan,
    pub(super) options: &'a RunOptions,
    pub(super) environment: &'a Environment,
    /// Ends the tasks of this attempt.
    pub(super) stop: &'a Arc<StopFlag>,
    /// The folders of file sinks.
    pub(super) commits: &'a Commits,
    /// Where tasks tell what they did.
    pub(super) events: &'a Sender<Event>,
    /// What is restored.
    pub(super) restored: Option<&'a Restored<'a>>,
    /// Makes the state of partitions.
    pub(super) backends: &'a mut Backends,
    /// Index of the operator whose function a fault replaces by the one before.
    pub(super) fresh: Option<usize>,
    /// Distinguishes this attempt's files from those of others.
    pub(super) run: String,
}

struct Builder<'a> {
    plan: &'a Plan,
    parts: Parts<'a>,
    source_wakers: Vec<Waker>,
    /// By operator and partition.
    operator_wakers: Vec<Vec<Waker>>,
    /// By operator and partition, what comes in.
    inputs: Vec<Vec<Vec<InputChannel>>>,
    /// By node, output and partition, what goes out.
    outlets: HashMap<(Node, usize, usize), Outlet>,
}

/// A node that sends records out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Node {
    Source(usize),
    Operator(usize),
}

/// Makes everything that runs: opens functions, inputs and outputs, restores state.
///
/// # Errors
/// If something cannot be opened or restored. Nothing runs then.
pub(super) fn build(parts: Parts<'_>) -> Result<Built> {
    let plan = parts.plan;
    let partitions = |operator: &OperatorPlan| 0..operator.parallelism;
    let wakers = |operator| partitions(operator).map(|_| Waker::default()).collect();
    let inputs = |operator| partitions(operator).map(|_| Vec::new()).collect();
    let mut builder = Builder {
        plan,
        parts,
        source_wakers: plan.sources.iter().map(|_| Waker::default()).collect(),
        operator_wakers: plan.operators.iter().map(wakers).collect(),
        inputs: plan.operators.iter().map(inputs).collect(),
        outlets: HashMap::new(),
    };
    builder.connect_operators()?;
    builder.open_sinks()?;
    let (mut tasks, mut controls) = (Vec::new(), Vec::new());
    for source in 0..plan.sources.len() {
        let control = Arc::new(SourceControl::new(builder.source_wakers[source].clone()));
        tasks.push(builder.make_source(source, control.clone())?);
        controls.push(control);
    }
    let mut operator_controls = Vec::new();
    for operator in 0..plan.operators.len() {
        operator_controls.push(builder.make_operator(operator, &mut tasks)?);
    }
    Ok(Built { tasks, controls, operator_controls })
}

impl Builder<'_> {
    fn source_metrics(&self, source: usize) -> Arc<NodeMetrics> {
        self.parts.options.metrics.nodes[source].clone()
    }

    fn operator_metrics(&self, operator: usize) -> Arc<NodeMetrics> {
        self.parts.options.metrics.nodes[self.plan.sources.len() + operator].clone()
    }

    fn sink_metrics(&self, sink: usize) -> Arc<NodeMetrics> {
        let before = self.plan.sources.len() + self.plan.operators.len();
        self.parts.options.metrics.nodes[before + sink].clone()
    }

    /// The wakers of the partitions that send what is read from `upstream`.
    fn senders(&self, upstream: Upstream) -> Vec<Waker> {
        match upstream {
            Upstream::Source(source) => vec![self.source_wakers[source].clone()],
            Upstream::Operator(operator, _) => self.operator_wakers[operator].clone(),
        }
    }

    fn outlet(&mut self, upstream: Upstream, partition: usize) -> &mut Outlet {
        let (node, output) = match upstream {
            Upstream::Source(source) => (Node::Source(source), 0),
            Upstream::Operator(operator, output) => (Node::Operator(operator), output),
        };
        self.outlets.entry((node, output, partition)).or_default()
    }

    fn connect_operators(&mut self) -> Result<()> {
        let plan = self.plan;
        for (index, operator) in plan.operators.iter().enumerate() {
            for (input, edge) in operator.inputs.iter().enumerate() {
                let input = u32::try_from(input).expect("a function declares few inputs");
                for (partition, sender) in self.senders(edge.from).into_iter().enumerate() {
                    self.connect(index, input, edge, partition, &sender)?;
                }
            }
        }
        Ok(())
    }

    /// Connects one sending partition to the partitions of an operator.
    fn connect(
        &mut self,
        operator: usize,
        input: u32,
        edge: &InputPlan,
        partition: usize,
        sender: &Waker,
    ) -> Result<()> {
        let plan = self.plan;
        let key = match &edge.partition {
            Partitioning::Key(field) => match edge.from {
                Upstream::Source(source) => EdgeKey::Found(Wanted::of(plan, source).place(field)),
                Upstream::Operator(..) => EdgeKey::Field(field.clone()),
            },
            Partitioning::KeyByFunction => {
                EdgeKey::Function(Box::new(self.open_extractor(operator, partition, input)?))
            }
            Partitioning::Forward => EdgeKey::Forward,
            Partitioning::Rebalance => EdgeKey::Rebalance,
            Partitioning::Broadcast => EdgeKey::Broadcast,
        };
        let mut senders = Vec::new();
        for (target, waker) in self.operator_wakers[operator].iter().enumerate() {
            if matches!(key, EdgeKey::Forward) && target != partition {
                continue;
            }
            let (tx, rx) = channel(sender, waker);
            senders.push(tx);
            self.inputs[operator][target].push(InputChannel::new(rx, input));
        }
        let edge_out = Edge::new(key, edge.format, plan.max_parallelism, senders);
        self.outlet(edge.from, partition).edges.push(edge_out);
        Ok(())
    }

    fn open_sinks(&mut self) -> Result<()> {
        for (index, sink) in self.plan.sinks.iter().enumerate() {
            for partition in 0..self.senders(sink.from).len() {
                let number = u32::try_from(partition).expect("parallelism is checked");
                let settings = SinkSettings {
                    partition: number,
                    folder: self.parts.commits.folders.get(&sink.id).cloned(),
                    logs: self.parts.commits.logs.get(&sink.id).map(|one| one.storage.clone()),
                    attempt: self.parts.run.clone(),
                    after: self.parts.restored.map_or(0, |from| from.located.manifest.id),
                    checkpoints: self.plan.checkpoint.is_some(),
                    waker: self.senders(sink.from)[partition].clone(),
                    log: self.guest_log(&sink.id, number),
                    clock: self.parts.environment.clock.clone(),
                    metrics: self.sink_metrics(index),
                    stop: self.parts.stop.clone(),
                };
                let writer = open_sink(sink, settings)?;
                self.outlet(sink.from, partition).sinks.push(writer);
            }
        }
        Ok(())
    }

    fn take_outlets(&mut self, node: Node, outputs: usize, partition: usize) -> Outlets {
        let outlets = (0..outputs)
            .map(|output| self.outlets.remove(&(node, output, partition)).unwrap_or_default());
        Outlets::new(outlets.collect())
    }

    fn rejects(
        &self,
        policy: MalformedPolicy,
        node: &str,
        partition: u32,
        metrics: Arc<NodeMetrics>,
    ) -> Rejects {
        let letters = DeadLetters::new(&self.plan.dead_letters, node, partition);
        Rejects::new(policy, letters, metrics, self.parts.options.log.clone())
    }

    /// Takes part in checkpoints for the task of this index.
    fn snapshotter(
        &self,
        task: usize,
        name: &str,
        waker: &Waker,
        shared: Vec<TableFile>,
    ) -> Snapshotter {
        let Parts { environment, events, run, .. } = &self.parts;
        let lane = environment.lanes.lane(name, waker);
        Snapshotter::new(task, lane, (*events).clone(), run.clone(), shared)
    }

    fn make_source(&mut self, source: usize, control: Arc<SourceControl>) -> Result<NamedTask> {
        let plan: &SourcePlan = &self.plan.sources[source];
        let waker = self.source_wakers[source].clone();
        let metrics = self.source_metrics(source);
        let clock = &self.parts.environment.clock.clone();
        let restored = self.parts.restored.and_then(|from| from.source(&plan.id)).cloned();
        let position = restored.as_ref().map(|state| &state.position);
        let settings = SourceSettings {
            connector: open_source(plan, &waker, clock, self.guest_log(&plan.id, 0), position)?,
            outlets: self.take_outlets(Node::Source(source), 1, 0),
            rejects: self.rejects(plan.malformed, &plan.id, 0, metrics.clone()),
            clock: clock.clone(),
            metrics,
            control,
            snapshotter: self.snapshotter(source, &plan.id, &waker, Vec::new()),
            index: source,
            restored,
        };
        let task = Box::new(SourceTask::new(plan, Wanted::of(self.plan, source), settings));
        Ok(NamedTask { name: plan.id.clone(), waker, task })
    }

    fn make_operator(
        &mut self,
        operator: usize,
        tasks: &mut Vec<NamedTask>,
    ) -> Result<Vec<Arc<OperatorControl>>> {
        let inputs = std::mem::take(&mut self.inputs[operator]);
        let mut controls = Vec::new();
        for (partition, channels) in (0_u32..).zip(inputs) {
            let waker = self.operator_wakers[operator][partition as usize].clone();
            let control = Arc::new(OperatorControl::new(waker));
            let at = (operator, partition);
            tasks.push(self.make_partition(at, channels, tasks.len(), control.clone())?);
            controls.push(control);
        }
        Ok(controls)
    }

    fn make_partition(
        &mut self,
        (operator, partition): (usize, u32),
        channels: Vec<InputChannel>,
        task: usize,
        control: Arc<OperatorControl>,
    ) -> Result<NamedTask> {
        let plan: &OperatorPlan = &self.plan.operators[operator];
        let metrics = self.operator_metrics(operator);
        let outputs = plan.component.declaration().outputs.len();
        let groups = groups_of(partition, plan.parallelism, self.plan.max_parallelism);
        let restored = self.parts.restored;
        let start = restored.and_then(|restored| restored.partition(&plan.id, &groups));
        let watermark = start.as_ref().map_or(TIME_NONE, |start| start.watermark);
        let rejects = || self.rejects(plan.malformed, &plan.id, partition, metrics.clone());
        let is_fresh = Arc::new(AtomicBool::new(self.parts.fresh == Some(operator)));
        let rejections = OperatorRejections {
            malformed: rejects(),
            on_fault: plan.on_fault,
            metrics: metrics.clone(),
            is_fresh: is_fresh.clone(),
        };
        let keyless = rejects();
        let settings = OperatorSettings {
            component: plan.component.clone(),
            context: open_context(plan, partition),
            limits: plan.limits.clone(),
            log: self.guest_log(&plan.id, partition),
            rejections: Box::new(rejections),
            captures: self.captures(),
        };
        let located = self.parts.restored.map(|from| from.located);
        let (keyed, shared) =
            self.parts.backends.make(plan, partition, &groups, located.zip(start.as_ref()))?;
        let declared = &plan.component.declaration().operator_states;
        let operator_state = restored.map_or_else(
            || OperatorState::new(declared),
            |restored| restored.operator_state(plan, partition),
        );
        let mut opened = Operator::open(settings, keyed, operator_state, watermark)
            .map_err(|fault| open_error("operator", &plan.id, &fault))?;
        opened.migrate_operator_states()?;
        let now = self.parts.environment.clock.now_ms();
        opened.take_over(now).map_err(|fault| open_error("operator", &plan.id, &fault))?;
        let name = format!("{}/{partition}", plan.id);
        let waker = self.operator_wakers[operator][partition as usize].clone();
        let aligned = self.plan.is_exactly_once();
        let parts = OperatorParts {
            inputs: Inputs::new(channels, watermark, aligned),
            operator: opened,
            outputs,
            outlets: self.take_outlets(Node::Operator(operator), outputs, partition as usize),
            keyless,
            clock: self.parts.environment.clock.clone(),
            metrics: metrics.clone(),
            snapshotter: self.snapshotter(task, &name, &waker, shared),
            partition: PartitionOf {
                operator,
                partition: partition as usize,
                name: format!("{}-{partition}", plan.id),
                groups,
                watermark,
                is_settled: true,
            },
            control,
            is_fresh,
        };
        Ok(NamedTask { name, waker, task: Box::new(OperatorTask::new(parts)) })
    }

    /// What extracts the keys of an operator's input, on the sending side.
    fn open_extractor(&self, operator: usize, partition: usize, input: u32) -> Result<Extractor> {
        let plan = &self.plan.operators[operator];
        let partition = u32::try_from(partition).expect("parallelism is checked");
        let log = self.guest_log(&plan.id, partition);
        let (context, at) = (open_context(plan, 0), (operator, input));
        Extractor::open(&plan.component, context, &plan.limits, log, at)
            .map_err(|fault| open_error("operator", &plan.id, &fault))
    }

    fn captures(&self) -> Option<Captures> {
        let RunOptions { capture, log, .. } = self.parts.options;
        capture.as_ref().map(|folder| captures_to(folder, log.clone()))
    }

    fn guest_log(&self, operator: &str, partition: u32) -> LogSink {
        let clock = self.parts.environment.clock.clone();
        guest_log(&self.parts.options.log, clock, operator, partition)
    }
}

/// The job's log for one partition's function: says whose line it is, and drops lines past a rate.
pub(super) fn guest_log(
    log: &LogSink,
    clock: Arc<dyn Clock>,
    operator: &str,
    partition: u32,
) -> LogSink {
    let prefix = format!("{operator}/{partition}");
    let log = log.clone();
    let window = Mutex::new((0_i64, 0_u32));
    LogSink::new(move |level, line| {
        let second = clock.now_ms().div_euclid(1000);
        let mut window = window.lock().expect("nobody panics with this lock");
        if window.0 != second {
            if let Some(dropped) = window.1.checked_sub(LOG_LINES_A_SECOND).filter(|&n| n > 0) {
                log.write(level, &format!("{prefix}: {dropped} log lines were dropped"));
            }
            *window = (second, 0);
        }
        window.1 = window.1.saturating_add(1);
        if window.1 <= LOG_LINES_A_SECOND {
            log.write(level, &format!("{prefix}: {line}"));
        }
    })
}

/// What partition `partition` of an operator is told about its place in the job.
pub(super) fn open_context(plan: &OperatorPlan, partition: u32) -> OpenContext {
    OpenContext {
        operator: plan.id.clone(),
        partition,
        parallelism: plan.parallelism,
        params: plan.params_declared(),
        ttl: plan.ttl.clone(),
    }
}

/// A function that refuses to open tells the user what is wrong with the job file; one that traps
/// is at fault.
pub(super) fn open_error(kind: &str, id: &str, fault: &Fault) -> Error {
    match fault.reason {
        FaultReason::Failed | FaultReason::Malformed => {
            Error::input(format!("{kind} {id:?} refuses to open: {fault}"))
                .hint(format!("look at the params of {id:?}"))
        }
        _ => node_fault_error(kind, id, "when it was opened", fault),
    }
}
