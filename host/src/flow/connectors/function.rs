//! The source whose records a function makes.
//!
//! The function is asked for as many records as a step of the task takes. What it has sent and the
//! task has not taken yet when a barrier passes is part of the position, so that nothing depends on
//! the function making the same records again.

use std::sync::Arc;

use super::{Connector, Next};
use crate::checkpoint::manifest::{FunctionPosition, FunctionState, SourcePosition};
use crate::error::{Error, Result};
use crate::flow::{BATCH_RECORDS_MAX, node_fault_error};
use crate::job::plan::FunctionSourcePlan;
use crate::model::{Fault, OperatorStateDeclaration, Packed};
use crate::state::{OperatorState, changed_forms};
use crate::wasm::{Instance, LogSink, NextPoll, OpenContext};

/// The word for the node in messages.
const SOURCE: &str = "source";

/// A source function, open.
#[derive(Debug)]
pub struct FunctionSource {
    id: String,
    name: Arc<str>,
    is_named: bool,
    instance: Instance,
    /// The names of its operator states.
    states: Vec<String>,
    state: OperatorState,
    /// What the function sent last, and the index of the first record that has not been taken.
    records: Packed,
    taken: usize,
    next: NextPoll,
    /// Records taken in all.
    count: u64,
    /// What operator state must fit into.
    memory_bytes: usize,
}

impl FunctionSource {
    /// Opens the function of source `id`, at its start or where a checkpoint says.
    ///
    /// # Errors
    /// If the function refuses to open, or does not declare a state that it had.
    pub fn open(
        id: &str,
        plan: &FunctionSourcePlan,
        log: LogSink,
        restored: Option<&SourcePosition>,
    ) -> Result<Self> {
        let context = context(id, plan);
        let instance = Instance::open(&plan.component, &context, &plan.limits, log)
            .map_err(|fault| node_fault_error(SOURCE, id, "when it was opened", &fault))?;
        let declared = &plan.component.declaration().operator_states;
        let mut source = Self {
            id: id.into(),
            name: format!("function {id}").into(),
            is_named: false,
            instance,
            states: declared.iter().map(|state| state.name.clone()).collect(),
            state: OperatorState::new(declared),
            records: Packed::default(),
            taken: 0,
            next: NextPoll::Now,
            count: restored.map_or(0, |position| position.line),
            memory_bytes: plan.limits.memory_bytes,
        };
        let Some(position) = restored.and_then(|position| position.function.as_ref()) else {
            return Ok(source);
        };
        if let Some(states) = &position.states {
            let version = |state: &OperatorStateDeclaration| (Vec::new(), state.schema_version);
            let mut cells: Vec<_> = declared.iter().map(version).collect();
            for had in states {
                let place = source.states.iter().position(|name| *name == had.name);
                let place = place.ok_or_else(|| undeclared(id, &had.name))?;
                cells[place].0.clone_from(&had.value);
            }
            source.state = OperatorState::restored(changed_forms(&[], declared), cells);
        }
        position.records.iter().for_each(|record| source.records.push(record));
        source.next = match position.at_ms {
            Some(time) => NextPoll::At(time),
            None => NextPoll::Now,
        };
        if position.has_ended {
            source.next = NextPoll::Never;
        }
        Ok(source)
    }

    fn poll(&mut self, now: i64) -> Result<(), Fault> {
        let most = u32::try_from(BATCH_RECORDS_MAX).expect("a batch is small");
        let (effects, next) = self.instance.poll(most, &self.state.for_call(), now)?;
        let changes = effects.operator_changes().map(|(.., entries)| entries);
        self.state.check_limit(changes, self.memory_bytes)?;
        self.state.apply(effects.operator_changes());
        self.taken = 0;
        // It declares one output.
        let sent = effects.outputs.into_iter().next();
        self.records = sent.map(|column| column.values).unwrap_or_default();
        self.next = next;
        Ok(())
    }
}

impl Connector for FunctionSource {
    fn next(&mut self, now: i64) -> Result<Next<'_>> {
        if !self.is_named {
            self.is_named = true;
            return Ok(Next::Split(self.name.clone()));
        }
        if self.taken == self.records.len() {
            match self.next {
                NextPoll::Never => return Ok(Next::End),
                NextPoll::At(time) if time > now => return Ok(Next::Nothing(Some(time))),
                NextPoll::At(_) | NextPoll::Now => {}
            }
            self.poll(now).map_err(|fault| {
                node_fault_error(SOURCE, &self.id, "when it was polled", &fault)
            })?;
            if self.records.is_empty() {
                return Ok(match self.next {
                    NextPoll::Never => Next::End,
                    NextPoll::At(time) => Next::Nothing(Some(time)),
                    // In the next step, so that one that makes nothing holds up no barriers.
                    NextPoll::Now => Next::Nothing(Some(now)),
                });
            }
        }
        let record = self.records.get(self.taken);
        self.taken += 1;
        self.count += 1;
        Ok(Next::Line(record, self.count))
    }

    fn position(&self) -> SourcePosition {
        let state = |(index, name): (usize, &String)| FunctionState {
            name: name.clone(),
            value: self.state.get(index).to_vec(),
        };
        let states = self.states.iter().enumerate().map(state).collect();
        let function = FunctionPosition {
            states: self.state.has_begun().then_some(states),
            records: (self.taken..self.records.len())
                .map(|index| self.records.get(index).to_vec())
                .collect(),
            at_ms: match self.next {
                NextPoll::At(time) => Some(time),
                NextPoll::Now | NextPoll::Never => None,
            },
            has_ended: self.next == NextPoll::Never,
        };
        SourcePosition { line: self.count, function: Some(function), ..SourcePosition::default() }
    }
}

/// What the function of a source is told about its place in the job.
pub fn context(id: &str, plan: &FunctionSourcePlan) -> OpenContext {
    OpenContext {
        operator: id.into(),
        partition: 0,
        parallelism: 1,
        params: plan.params.clone(),
        ttl: Vec::new(),
    }
}

fn undeclared(id: &str, name: &str) -> Error {
    Error::input(format!(
        "source {id:?} had an operator state {name:?}, which its function does not declare"
    ))
    .hint("nothing is restored in part: give the source a function that declares it")
}
