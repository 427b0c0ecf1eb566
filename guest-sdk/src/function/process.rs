//! Functions on records without keys.

use crate::codec::{Decode, Encode};
use crate::context::{InitializationContext, ProcessContext, SnapshotContext};
use crate::error::Result;
use crate::setup::Setup;

/// A function on records without keys: no keyed state, no timers.
///
/// Exported with `tidegate_sdk::export!(process: MyFunction)`.
pub trait ProcessFunction: Sized + 'static {
    /// What a record is read into; it may borrow from the batch.
    type In<'a>: Decode<'a>;
    /// What goes to the main output.
    type Out: Encode;

    /// Reads parameters and declares side outputs and operator state, the same whatever the
    /// parameters are.
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
