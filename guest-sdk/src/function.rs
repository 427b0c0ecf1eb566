//! The kinds of functions, by Flink's names.
//!
//! A function is made by `open` and lives as long as the partition, or until a call fails. What it
//! keeps in its fields are parameters and handles: results must depend on state alone, since the
//! host may at any time go on with a fresh instance.

use crate::codec::{Decode, Encode};
use crate::context::{FlatMapContext, KeyedContext, MapContext, ProcessContext, Timer};
use crate::error::Result;
use crate::setup::Setup;

/// A function on records with keys, with state and timers for each key.
///
/// Exported with `tidegate_sdk::export!(keyed_process: MyFunction)`.
pub trait KeyedProcessFunction: Sized + 'static {
    /// What a record is read into; it may borrow from the batch.
    type In<'a>: Decode<'a>;
    /// What goes to the main output.
    type Out: Encode;

    /// Reads parameters and declares states and outputs, the same whatever the parameters are.
    ///
    /// # Errors
    /// An error refuses the job. `open` must succeed on the defaults of all parameters.
    fn open(setup: &mut Setup) -> Result<Self>;

    /// Processes a record.
    ///
    /// # Errors
    /// An error makes the job's `on_fault` policy decide; nothing of the batch's effects is
    /// applied.
    fn process_element(
        &mut self,
        value: Self::In<'_>,
        ctx: &mut KeyedContext<'_, Self::Out>,
    ) -> Result<()>;

    /// Acts on a timer of a key. The timer is gone; it may be registered again.
    ///
    /// # Errors
    /// As for [`process_element`](Self::process_element).
    fn on_timer(&mut self, timer: Timer, ctx: &mut KeyedContext<'_, Self::Out>) -> Result<()> {
        let _ = (timer, ctx);
        Ok(())
    }

    /// The partition ends in good order. Not called after a fault.
    fn close(&mut self) {}
}

/// A function on two inputs with keys of one meaning, which share the state and timers of each key:
/// Flink's `KeyedCoProcessFunction`.
///
/// Records of one key and one input come in their order; those of different inputs in any order, so
/// a function whose results shall be the same on every run waits for both, as a join does.
///
/// Exported with `tidegate_sdk::export!(keyed_co_process: MyFunction)`. The job file lists the
/// inputs in the order of the methods.
pub trait KeyedCoProcessFunction: Sized + 'static {
    /// What a record of the first input is read into; it may borrow from the batch.
    type In1<'a>: Decode<'a>;
    /// What a record of the second input is read into.
    type In2<'a>: Decode<'a>;
    /// What goes to the main output.
    type Out: Encode;

    /// Reads parameters and declares states and outputs, the same whatever the parameters are.
    ///
    /// # Errors
    /// An error refuses the job. `open` must succeed on the defaults of all parameters.
    fn open(setup: &mut Setup) -> Result<Self>;

    /// Processes a record of the first input.
    ///
    /// # Errors
    /// An error makes the job's `on_fault` policy decide; nothing of the batch's effects is
    /// applied.
    fn process_element1(
        &mut self,
        value: Self::In1<'_>,
        ctx: &mut KeyedContext<'_, Self::Out>,
    ) -> Result<()>;

    /// Processes a record of the second input.
    ///
    /// # Errors
    /// As for [`process_element1`](Self::process_element1).
    fn process_element2(
        &mut self,
        value: Self::In2<'_>,
        ctx: &mut KeyedContext<'_, Self::Out>,
    ) -> Result<()>;

    /// Acts on a timer of a key. The timer is gone; it may be registered again.
    ///
    /// # Errors
    /// As for [`process_element1`](Self::process_element1).
    fn on_timer(&mut self, timer: Timer, ctx: &mut KeyedContext<'_, Self::Out>) -> Result<()> {
        let _ = (timer, ctx);
        Ok(())
    }

    /// The partition ends in good order. Not called after a fault.
    fn close(&mut self) {}
}

/// A function on records without keys: no state, no timers.
///
/// Exported with `tidegate_sdk::export!(process: MyFunction)`.
pub trait ProcessFunction: Sized + 'static {
    /// What a record is read into; it may borrow from the batch.
    type In<'a>: Decode<'a>;
    /// What goes to the main output.
    type Out: Encode;

    /// Reads parameters and declares side outputs, the same whatever the parameters are.
    ///
    /// # Errors
    /// An error refuses the job. `open` must succeed on the defaults of all parameters.
    fn open(setup: &mut Setup) -> Result<Self>;

    /// Processes a record.
    ///
    /// # Errors
    /// An error makes the job's `on_fault` policy decide; nothing of the batch's effects is
    /// applied.
    fn process_element(
        &mut self,
        value: Self::In<'_>,
        ctx: &mut ProcessContext<'_, Self::Out>,
    ) -> Result<()>;

    /// The partition ends in good order. Not called after a fault.
    fn close(&mut self) {}
}

/// A function on records with keys that makes any number of records of one, with state for each
/// key.
///
/// Exported with `tidegate_sdk::export!(rich_flat_map: MyFunction)`.
pub trait RichFlatMapFunction: Sized + 'static {
    /// What a record is read into; it may borrow from the batch.
    type In<'a>: Decode<'a>;
    /// What goes to the main output.
    type Out: Encode;

    /// Reads parameters and declares states and outputs, the same whatever the parameters are.
    ///
    /// # Errors
    /// An error refuses the job. `open` must succeed on the defaults of all parameters.
    fn open(setup: &mut Setup) -> Result<Self>;

    /// Processes a record.
    ///
    /// # Errors
    /// An error makes the job's `on_fault` policy decide; nothing of the batch's effects is
    /// applied.
    fn flat_map(
        &mut self,
        value: Self::In<'_>,
        ctx: &mut FlatMapContext<'_, Self::Out>,
    ) -> Result<()>;

    /// The partition ends in good order. Not called after a fault.
    fn close(&mut self) {}
}

/// A function on records with keys that makes one record of one, with state for each key.
///
/// Exported with `tidegate_sdk::export!(rich_map: MyFunction)`.
pub trait RichMapFunction: Sized + 'static {
    /// What a record is read into; it may borrow from the batch.
    type In<'a>: Decode<'a>;
    /// What goes to the main output.
    type Out: Encode;

    /// Reads parameters and declares states and outputs, the same whatever the parameters are.
    ///
    /// # Errors
    /// An error refuses the job. `open` must succeed on the defaults of all parameters.
    fn open(setup: &mut Setup) -> Result<Self>;

    /// Makes the record that goes to the main output.
    ///
    /// # Errors
    /// An error makes the job's `on_fault` policy decide; nothing of the batch's effects is
    /// applied.
    fn map(&mut self, value: Self::In<'_>, ctx: &mut MapContext<'_>) -> Result<Self::Out>;

    /// The partition ends in good order. Not called after a fault.
    fn close(&mut self) {}
}

/// Finds the key of a record, for a job file that says `partition = "function"`: a key that is no
/// field, or one that is normalised. Flink's `KeySelector`.
///
/// ```
/// use tidegate_sdk::prelude::*;
///
/// /// Users whatever the case of their names.
/// struct ByUser;
///
/// impl KeySelector for ByUser {
///     type In<'a> = Csv<(&'a str, &'a str, i64)>;
///
///     fn key(Csv((user, _, _)): Self::In<'_>) -> Result<Vec<u8>> {
///         Ok(user.to_lowercase().into_bytes())
///     }
/// }
///
/// assert_eq!(ByUser::key(Csv(("Alice", "/home", 1)))?, b"alice");
/// # Ok::<(), tidegate_sdk::Error>(())
/// ```
///
/// Exported with its function: `tidegate_sdk::export!(keyed_process: MyFunction, key_by: ByUser)`.
pub trait KeySelector: 'static {
    /// What a record is read into; it may borrow from the batch.
    type In<'a>: Decode<'a>;

    /// The key of a record. Must be the same for the same record, always: it decides where the
    /// record's state is.
    ///
    /// # Errors
    /// An error makes the job's `malformed` policy for the sending node decide.
    fn key(value: Self::In<'_>) -> Result<Vec<u8>>;
}
