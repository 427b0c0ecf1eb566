//! A function that was described or opened.

use super::call::Call;
use super::migrate;
use super::operator::{Adaptor, Operator, Shape, fault};
use crate::bindings::exports::tidegate::function::function::OpenContext;
use crate::bindings::exports::tidegate::function::migrations::Migrated;
#[cfg(any(test, target_family = "wasm"))]
use crate::bindings::exports::tidegate::function::migrations::Migration;
use crate::bindings::tidegate::function::declarations::{
    Declaration, InputDeclaration, Redistribution,
};
use crate::bindings::tidegate::function::types::{
    Batch, Effects, Fault, FaultKind, OperatorState, Packed, PollRequest, Polled, TimerBatch,
};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::setup::Setup;
use crate::state::{Known, Migrations};

/// An opened function of any kind, with the shape of what it declared.
pub struct Instance {
    shape: Shape,
    migrations: Vec<Migrations>,
    operator: Box<dyn Operator>,
    /// Opens the function again, since what it keeps by itself is not what the host knows.
    reopen: Box<dyn Fn() -> Result<Box<dyn Operator>>>,
    /// Whether the function has had a call.
    is_used: bool,
}

impl Instance {
    /// Opens a function with the parameters of the job.
    ///
    /// # Errors
    /// If the function refuses the parameters, or declares something else than it does on defaults.
    pub fn open<A: Adaptor>(context: OpenContext) -> Result<Self, Fault> {
        try_open::<A>(context).map_err(|error| fault(FaultKind::Failed, None, error))
    }

    /// Processes a batch.
    ///
    /// # Errors
    /// The fault of the first record that failed.
    pub fn process(&mut self, mut batch: Batch) -> Result<Effects, Fault> {
        let now = batch.processing_time;
        self.begin(std::mem::take(&mut batch.operator_states), now)?;
        let mut effects = self.operator.process(&self.shape, batch)?;
        self.end(&mut effects, now)?;
        Ok(effects)
    }

    /// Fires timers.
    ///
    /// # Errors
    /// The fault of the first timer that failed.
    pub fn fire(&mut self, mut timers: TimerBatch) -> Result<Effects, Fault> {
        let now = timers.processing_time;
        self.begin(std::mem::take(&mut timers.operator_states), now)?;
        let mut effects = self.operator.fire(&self.shape, timers)?;
        self.end(&mut effects, now)?;
        Ok(effects)
    }

    /// Asks a source for records.
    ///
    /// # Errors
    /// If it fails.
    pub fn poll(&mut self, mut poll: PollRequest) -> Result<Polled, Fault> {
        let now = poll.processing_time;
        self.begin(std::mem::take(&mut poll.operator_states), now)?;
        let mut polled = self.operator.poll(&self.shape, poll)?;
        self.end(&mut polled.effects, now)?;
        Ok(polled)
    }

    /// Takes cells of a state from a schema version to the next.
    ///
    /// # Errors
    /// The fault of the first cell that cannot be migrated; if there is no such step.
    pub fn migrate(
        &self,
        state: &str,
        from: u32,
        keys: &Packed,
        values: &Packed,
    ) -> Result<Migrated, Fault> {
        migrate::migrate(&self.migrations, state, from, keys, values)
    }

    /// Takes the operator state of a call. If it is not what this instance left, the function
    /// begins anew from it.
    fn begin(&mut self, states: Vec<OperatorState>, now: i64) -> Result<(), Fault> {
        if self.shape.operator_state_names.is_empty() {
            return Ok(());
        }
        let known = self.shape.operator_states.borrow_mut().take(states);
        let Known::Whole { is_restored } = known else { return Ok(()) };
        self.initialize(is_restored, now)
            .map_err(|error| fault(FaultKind::Failed, None, error.context("initialize_state")))
    }

    fn initialize(&mut self, is_restored: bool, now: i64) -> Result<()> {
        if std::mem::replace(&mut self.is_used, true) {
            self.operator = (self.reopen)()?;
        }
        let mut call = Call::without_records(&self.shape, now);
        call.is_restored = is_restored;
        self.operator.initialize_state(&mut Context::new(call))
    }

    /// Adds what has become of operator state.
    fn end(&mut self, effects: &mut Effects, now: i64) -> Result<(), Fault> {
        if self.shape.operator_state_names.is_empty() {
            return Ok(());
        }
        let mut ctx = Context::new(Call::without_records(&self.shape, now));
        self.operator
            .snapshot_state(&mut ctx)
            .map_err(|error| fault(FaultKind::Failed, None, error.context("snapshot_state")))?;
        effects.operator_states = self.shape.operator_states.borrow_mut().take_changes();
        Ok(())
    }

    /// Ends the function in good order.
    pub fn close(mut self) {
        self.operator.close();
    }
}

/// What a function declares, found by opening it on defaults.
///
/// # Errors
/// If its `open` fails on defaults, or declares something that cannot be.
pub fn describe<A: Adaptor>() -> Result<Declaration> {
    let setup = open_on_defaults::<A>()?;
    let input =
        |(name, type_name): (&str, String)| InputDeclaration { name: name.to_owned(), type_name };
    Ok(Declaration {
        kind: A::KIND,
        inputs: A::inputs().into_iter().map(input).collect(),
        outputs: setup.outputs,
        states: setup.states,
        operator_states: setup.operator_states,
        parameters: setup.parameters,
        timers: A::HAS_TIMERS,
        extracts_keys: A::EXTRACTS_KEYS,
    })
}

/// The steps that a function can take, found as [`describe`] finds the rest.
///
/// # Errors
/// As [`describe`].
#[cfg(any(test, target_family = "wasm"))]
pub fn describe_migrations<A: Adaptor>() -> Result<Vec<Migration>> {
    Ok(migrate::declared(&open_on_defaults::<A>()?.migrations))
}

/// What the function's `open` asks for where every parameter has its default.
fn open_on_defaults<A: Adaptor>() -> Result<Setup> {
    let mut setup = Setup::new(None, A::MAIN_OUTPUT);
    A::open(&mut setup).map_err(|error| {
        let advice = "`open` failed while the function was described; it must succeed with every \
                      parameter at its default (see Setup::is_describing)";
        error.context(advice)
    })?;
    check::<A>(&mut setup)?;
    Ok(setup)
}

/// The key of each record.
///
/// # Errors
/// The fault of the first record that has none.
pub fn extract_keys<A: Adaptor>(values: &Packed) -> Result<Packed, Fault> {
    let mut keys = Packed { bytes: Vec::new(), ends: Vec::with_capacity(values.ends.len()) };
    let mut start = 0;
    for (index, &end) in values.ends.iter().enumerate() {
        let key = A::extract_key(&values.bytes[start..end as usize])
            .map_err(|error| fault(FaultKind::Malformed, Some(index as u32), error))?;
        keys.bytes.extend_from_slice(&key);
        keys.ends.push(keys.bytes.len() as u32);
        start = end as usize;
    }
    Ok(keys)
}

fn try_open<A: Adaptor>(context: OpenContext) -> Result<Instance> {
    let described = names(&open_on_defaults::<A>()?);
    let mut setup = Setup::new(Some(context.clone()), A::MAIN_OUTPUT);
    let operator = Box::new(A::open(&mut setup)?);
    check::<A>(&mut setup)?;
    // IMPORTANT: the host numbers states and outputs by what was described. With other numbers
    // here, state would be read and written under wrong names.
    let opened = names(&setup);
    if opened != described {
        return Err(Error::msg(format_args!(
            "`open` must declare the same whatever the parameters are; with these it declares \
             [{opened}], and on defaults [{described}]"
        )));
    }
    let reopen = move || -> Result<Box<dyn Operator>> {
        Ok(Box::new(A::open(&mut Setup::new(Some(context.clone()), A::MAIN_OUTPUT))?))
    };
    let migrations = std::mem::take(&mut setup.migrations);
    let (shape, reopen) = (Shape::new(setup), Box::new(reopen));
    Ok(Instance { shape, migrations, operator, reopen, is_used: false })
}

/// What the host goes by of a declaration, for comparison and for the message.
fn names(setup: &Setup) -> String {
    let states = &setup.states;
    let states = states.iter().map(|state| format!("{:?} state `{}`", state.kind, state.name));
    let of_operator = &setup.operator_states;
    let of_operator = of_operator
        .iter()
        .map(|state| format!("{:?} operator state `{}`", state.redistribution, state.name));
    let migrations = migrate::declared(&setup.migrations)
        .into_iter()
        .map(|step| format!("migration of `{}` from version {}", step.state, step.from_version));
    let outputs = setup.outputs.iter().map(|output| format!("output `{}`", output.name));
    let all = states.chain(of_operator).chain(migrations).chain(outputs);
    all.collect::<Vec<_>>().join(", ")
}

/// Refuses what a kind of function cannot have.
fn check<A: Adaptor>(setup: &mut Setup) -> Result<()> {
    setup.check()?;
    if let Some(state) = setup.states.first()
        && !A::HAS_STATE
    {
        return Err(Error::msg(format_args!(
            "state `{}`: this kind of function has no key, and so no keyed state; it can have \
             operator state",
            state.name
        )));
    }
    let mut operator_states = setup.operator_states.iter();
    let broadcast = operator_states.find(|state| state.redistribution == Redistribution::Broadcast);
    match broadcast {
        Some(state) if !A::HAS_BROADCAST => Err(Error::msg(format_args!(
            "state `{}`: this kind of function has no broadcast input, and so no broadcast state",
            state.name
        ))),
        _ => Ok(()),
    }
}
