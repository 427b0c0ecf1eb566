//! Finds keys by asking the function that reads the records, on the side that sends them.

use super::SwapOrder;
use super::operator::fault_error;
use crate::error::{Error, Result};
use crate::model::{Batch, Fault, FaultReason, Limits, Packed};
use crate::wasm::{Component, Instance, LogSink, OpenContext};

/// An instance that extracts keys and processes nothing.
#[derive(Debug)]
pub struct Extractor {
    component: Component,
    context: OpenContext,
    limits: Limits,
    log: LogSink,
    instance: Instance,
    /// Index of the operator in the plan.
    operator: usize,
    /// Index of the function's declared input.
    input: u32,
}

/// Why a record has no key.
pub(super) enum NoKey {
    /// The function says that it has none.
    Malformed(String),
    /// The function faulted.
    Fault(Error),
}

impl Extractor {
    /// Opens an instance for declared input `input` of the operator of this index.
    ///
    /// # Errors
    /// A fault if the function refuses its parameters, or faults.
    pub fn open(
        component: &Component,
        context: OpenContext,
        limits: &Limits,
        log: LogSink,
        (operator, input): (usize, u32),
    ) -> Result<Self, Fault> {
        let (component, limits) = (component.clone(), limits.clone());
        let instance = Instance::open(&component, &context, &limits, log.clone())?;
        Ok(Self { component, context, limits, log, instance, operator, input })
    }

    /// Goes on with the function of this order, if it is one for its operator.
    ///
    /// # Errors
    /// If the function faults when it is opened once more.
    pub(super) fn swap(&mut self, order: &SwapOrder) -> crate::error::Result<()> {
        if order.operator != self.operator {
            return Ok(());
        }
        let (component, context) = (order.component.clone(), order.context.clone());
        self.instance = Instance::open(&component, &context, &self.limits, self.log.clone())
            .map_err(|fault| fault_error(&context.operator, "when it was opened", &fault))?;
        (self.component, self.context) = (component, context);
        Ok(())
    }

    /// The key of each record. After a fault the caller asks for them one by one.
    pub(super) fn keys(&mut self, values: &Packed) -> Result<Packed, Fault> {
        let answer = self.instance.extract_keys(self.input, values);
        if let Err(fault) = &answer
            && !fault.leaves_instance_usable()
        {
            let Self { component, context, limits, log, .. } = self;
            self.instance = Instance::open(component, context, limits, log.clone())?;
        }
        answer
    }

    /// The key of record `index` of a batch.
    pub(super) fn key(&mut self, batch: &Batch, index: usize) -> Result<Packed, NoKey> {
        let value = std::iter::once(batch.values.get(index)).collect();
        self.keys(&value).map_err(|fault| match fault.reason {
            FaultReason::Malformed => NoKey::Malformed(format!("its key: {fault}")),
            _ => {
                let at = format!("when asked for the key of {}", batch.position(index));
                NoKey::Fault(fault_error(&self.context.operator, &at, &fault))
            }
        })
    }
}
