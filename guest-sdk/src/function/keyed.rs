//! Functions on records with keys, with state and timers for each key.

use crate::codec::{Decode, Encode};
use crate::context::{InitializationContext, KeyedContext, SnapshotContext, Timer};
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

    /// Fills fields from operator state, before the first call of this instance and whenever the
    /// host goes on from something else than its last call: as Flink's
    /// `CheckpointedFunction.initializeState`, and `ctx.is_restored()` says the same.
    ///
    /// Only called if the function declares operator state, as is `snapshot_state`.
    ///
    /// # Errors
    /// An error is a fault of the call that follows.
    fn initialize_state(&mut self, ctx: &mut InitializationContext<'_>) -> Result<()> {
        let _ = ctx;
        Ok(())
    }

    /// Brings what fields hold into operator state: as Flink's
    /// `CheckpointedFunction.snapshotState`, but called at the end of each call, not once a
    /// checkpoint. So what the fields hold must be small; for more, write to the state as you go.
    ///
    /// # Errors
    /// An error is a fault of the call.
    fn snapshot_state(&mut self, ctx: &mut SnapshotContext<'_>) -> Result<()> {
        let _ = ctx;
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

    /// Fills fields from operator state, before the first call of this instance and whenever the
    /// host goes on from something else than its last call: as Flink's
    /// `CheckpointedFunction.initializeState`, and `ctx.is_restored()` says the same.
    ///
    /// Only called if the function declares operator state, as is `snapshot_state`.
    ///
    /// # Errors
    /// An error is a fault of the call that follows.
    fn initialize_state(&mut self, ctx: &mut InitializationContext<'_>) -> Result<()> {
        let _ = ctx;
        Ok(())
    }

    /// Brings what fields hold into operator state: as Flink's
    /// `CheckpointedFunction.snapshotState`, but called at the end of each call, not once a
    /// checkpoint. So what the fields hold must be small; for more, write to the state as you go.
    ///
    /// # Errors
    /// An error is a fault of the call.
    fn snapshot_state(&mut self, ctx: &mut SnapshotContext<'_>) -> Result<()> {
        let _ = ctx;
        Ok(())
    }

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
