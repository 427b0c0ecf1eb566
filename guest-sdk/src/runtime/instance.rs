//! A function that was described or opened.

use super::operator::{Adaptor, Operator, Shape, fault};
use crate::bindings::exports::tidegate::function::function::OpenContext;
use crate::bindings::tidegate::function::declarations::{
    Declaration, InputDeclaration, OutputDeclaration, StateDeclaration,
};
#[cfg(any(test, target_family = "wasm"))]
use crate::bindings::tidegate::function::types::Packed;
use crate::bindings::tidegate::function::types::{Batch, Effects, Fault, FaultKind, TimerBatch};
use crate::error::{Error, Result};
use crate::setup::Setup;

/// An opened function of any kind, with the shape of what it declared.
pub struct Instance {
    shape: Shape,
    operator: Box<dyn Operator>,
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
    pub fn process(&mut self, batch: Batch) -> Result<Effects, Fault> {
        self.operator.process(&self.shape, batch)
    }

    /// Fires timers.
    ///
    /// # Errors
    /// The fault of the first timer that failed.
    pub fn fire(&mut self, timers: TimerBatch) -> Result<Effects, Fault> {
        self.operator.fire(&self.shape, timers)
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
    let mut setup = Setup::new(None, A::MAIN_OUTPUT);
    A::open(&mut setup).map_err(|error| {
        let advice = "`open` failed while the function was described; it must succeed with every \
                      parameter at its default (see Setup::is_describing)";
        error.context(advice)
    })?;
    check::<A>(&mut setup)?;
    let input =
        |(name, type_name): (&str, String)| InputDeclaration { name: name.to_owned(), type_name };
    Ok(Declaration {
        kind: A::KIND,
        inputs: A::inputs().into_iter().map(input).collect(),
        outputs: setup.outputs,
        states: setup.states,
        parameters: setup.parameters,
        timers: A::HAS_TIMERS,
        extracts_keys: A::EXTRACTS_KEYS,
    })
}

/// The key of each record. Native tests of a key selector call it directly.
///
/// # Errors
/// The fault of the first record that has none.
#[cfg(any(test, target_family = "wasm"))]
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
    let declared = describe::<A>()?;
    let mut setup = Setup::new(Some(context), A::MAIN_OUTPUT);
    let operator = Box::new(A::open(&mut setup)?);
    check::<A>(&mut setup)?;
    // IMPORTANT: the host numbers states and outputs by what was described. With other numbers
    // here, state would be read and written under wrong names.
    let opened = names(&setup.states, &setup.outputs);
    let described = names(&declared.states, &declared.outputs);
    if opened != described {
        return Err(Error::msg(format_args!(
            "`open` must declare the same whatever the parameters are; with these it declares \
             [{opened}], and on defaults [{described}]"
        )));
    }
    let shape = Shape { outputs: setup.outputs.len(), states: setup.states };
    Ok(Instance { shape, operator })
}

/// The numbered part of a declaration, for comparison and for the message.
fn names(states: &[StateDeclaration], outputs: &[OutputDeclaration]) -> String {
    let states = states.iter().map(|state| format!("{:?} state `{}`", state.kind, state.name));
    let outputs = outputs.iter().map(|output| format!("output `{}`", output.name));
    states.chain(outputs).collect::<Vec<_>>().join(", ")
}

/// Refuses what a kind of function cannot have.
fn check<A: Adaptor>(setup: &mut Setup) -> Result<()> {
    setup.check()?;
    match setup.states.first() {
        Some(state) if !A::HAS_STATE => Err(Error::msg(format_args!(
            "state `{}`: this kind of function has no key, and so no keyed state",
            state.name
        ))),
        _ => Ok(()),
    }
}
