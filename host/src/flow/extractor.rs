//! Finds keys by asking the function that reads the records, on the side that sends them.

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
    /// Opens an instance for declared input `input`.
    ///
    /// # Errors
    /// A fault if the function refuses its parameters, or faults.
    pub fn open(
        component: &Component,
        context: OpenContext,
        limits: &Limits,
        log: LogSink,
        input: u32,
    ) -> Result<Self, Fault> {
        let (component, limits) = (component.clone(), limits.clone());
        let instance = Instance::open(&component, &context, &limits, log.clone())?;
        Ok(Self { component, context, limits, log, instance, input })
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
