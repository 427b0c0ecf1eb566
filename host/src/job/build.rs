//! Makes the tasks of a plan and the channels between them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::plan::{
    InputPlan, MalformedPolicy, OperatorPlan, Partitioning, Plan, SourcePlan, Upstream,
};
use super::run::{NamedTask, RunOptions};
use crate::env::Clock;
use crate::error::{Error, Result};
use crate::flow::{
    DeadLetters, Edge, EdgeKey, Extractor, InputChannel, Inputs, NodeMetrics, OperatorRejections,
    OperatorTask, Outlet, Outlets, PendingFiles, Rejects, SourceSettings, SourceTask, Waker,
    channel, fault_error, open_sink, open_source, required_fields,
};
use crate::model::{Fault, FaultReason};
use crate::operator::{Operator, OperatorSettings};
use crate::wasm::{LogSink, OpenContext};

/// Log lines of one partition's function that pass in a second.
const LOG_LINES_A_SECOND: u32 = 50;

/// All that runs.
pub(super) struct Built {
    pub(super) tasks: Vec<NamedTask>,
    pub(super) pending: PendingFiles,
}

struct Builder<'a> {
    plan: &'a Plan,
    options: &'a RunOptions,
    clock: &'a Arc<dyn Clock>,
    pending: PendingFiles,
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

/// Makes everything that runs: opens functions, inputs and outputs.
///
/// # Errors
/// If something cannot be opened. Nothing runs then.
pub(super) fn build(plan: &Plan, options: &RunOptions, clock: &Arc<dyn Clock>) -> Result<Built> {
    let partitions = |operator: &OperatorPlan| 0..operator.parallelism;
    let wakers = |operator| partitions(operator).map(|_| Waker::default()).collect();
    let inputs = |operator| partitions(operator).map(|_| Vec::new()).collect();
    let mut builder = Builder {
        plan,
        options,
        clock,
        pending: PendingFiles::default(),
        source_wakers: plan.sources.iter().map(|_| Waker::default()).collect(),
        operator_wakers: plan.operators.iter().map(wakers).collect(),
        inputs: plan.operators.iter().map(inputs).collect(),
        outlets: HashMap::new(),
    };
    builder.connect_operators()?;
    builder.open_sinks()?;
    let mut tasks = Vec::new();
    for operator in 0..plan.operators.len() {
        builder.make_operator(operator, &mut tasks)?;
    }
    for source in 0..plan.sources.len() {
        tasks.push(builder.make_source(source)?);
    }
    Ok(Built { tasks, pending: builder.pending })
}

impl Builder<'_> {
    fn source_metrics(&self, source: usize) -> Arc<NodeMetrics> {
        self.options.metrics.nodes[source].clone()
    }

    fn operator_metrics(&self, operator: usize) -> Arc<NodeMetrics> {
        self.options.metrics.nodes[self.plan.sources.len() + operator].clone()
    }

    fn sink_metrics(&self, sink: usize) -> Arc<NodeMetrics> {
        let before = self.plan.sources.len() + self.plan.operators.len();
        self.options.metrics.nodes[before + sink].clone()
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
            Partitioning::Key(field) => EdgeKey::Field(field.clone()),
            Partitioning::KeyByFunction => {
                let operator = &plan.operators[operator];
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
                let metrics = self.sink_metrics(index);
                let writer = open_sink(sink, number, &self.pending, metrics, &self.options.stop)?;
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
        Rejects::new(policy, letters, metrics, self.options.log.clone())
    }

    fn make_source(&mut self, source: usize) -> Result<NamedTask> {
        let plan: &SourcePlan = &self.plan.sources[source];
        let waker = self.source_wakers[source].clone();
        let metrics = self.source_metrics(source);
        let settings = SourceSettings {
            connector: open_source(plan, &waker, self.clock)?,
            outlets: self.take_outlets(Node::Source(source), 1, 0),
            rejects: self.rejects(plan.malformed, &plan.id, 0, metrics.clone()),
            required: required_fields(self.plan, source),
            clock: self.clock.clone(),
            metrics,
            stop: self.options.stop.clone(),
        };
        let task = Box::new(SourceTask::new(plan, settings));
        Ok(NamedTask { name: plan.id.clone(), waker, task })
    }

    fn make_operator(&mut self, operator: usize, tasks: &mut Vec<NamedTask>) -> Result<()> {
        let plan: &OperatorPlan = &self.plan.operators[operator];
        let metrics = self.operator_metrics(operator);
        let outputs = plan.component.declaration().outputs.len();
        let inputs = std::mem::take(&mut self.inputs[operator]);
        for (partition, channels) in (0_u32..).zip(inputs) {
            let rejects = || self.rejects(plan.malformed, &plan.id, partition, metrics.clone());
            let rejections = OperatorRejections {
                malformed: rejects(),
                on_fault: plan.on_fault,
                metrics: metrics.clone(),
            };
            let keyless = rejects();
            let settings = OperatorSettings {
                component: plan.component.clone(),
                context: open_context(plan, partition),
                limits: plan.limits.clone(),
                log: self.guest_log(&plan.id, partition),
                rejections: Box::new(rejections),
            };
            let opened = Operator::open(settings).map_err(|fault| open_error(&plan.id, &fault))?;
            let outlets = self.take_outlets(Node::Operator(operator), outputs, partition as usize);
            let task = OperatorTask::new(
                Inputs::new(channels),
                opened,
                outputs,
                outlets,
                keyless,
                self.clock.clone(),
                metrics.clone(),
            );
            let waker = self.operator_wakers[operator][partition as usize].clone();
            let name = format!("{}/{partition}", plan.id);
            tasks.push(NamedTask { name, waker, task: Box::new(task) });
        }
        Ok(())
    }

    /// What extracts the keys of an operator's input, on the sending side.
    fn open_extractor(
        &self,
        plan: &OperatorPlan,
        partition: usize,
        input: u32,
    ) -> Result<Extractor> {
        let partition = u32::try_from(partition).expect("parallelism is checked");
        let log = self.guest_log(&plan.id, partition);
        Extractor::open(&plan.component, open_context(plan, 0), &plan.limits, log, input)
            .map_err(|fault| open_error(&plan.id, &fault))
    }

    /// The job's log for one partition's function: says whose line it is, and drops lines past a
    /// rate.
    fn guest_log(&self, operator: &str, partition: u32) -> LogSink {
        let prefix = format!("{operator}/{partition}");
        let (log, clock) = (self.options.log.clone(), self.clock.clone());
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
}

/// What partition `partition` of an operator is told about its place in the job.
pub(super) fn open_context(plan: &OperatorPlan, partition: u32) -> OpenContext {
    OpenContext {
        operator: plan.id.clone(),
        partition,
        parallelism: plan.parallelism,
        params: plan.params.clone(),
    }
}

/// A function that refuses to open tells the user what is wrong with the job file; one that traps
/// is at fault.
pub(super) fn open_error(operator: &str, fault: &Fault) -> Error {
    match fault.reason {
        FaultReason::Failed | FaultReason::Malformed => {
            Error::input(format!("operator {operator:?} refuses to open: {fault}"))
                .hint(format!("look at [operator.params] of {operator:?}"))
        }
        _ => fault_error(operator, "when it was opened", fault),
    }
}
