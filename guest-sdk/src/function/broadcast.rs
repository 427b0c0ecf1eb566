//! Functions with a broadcast input: rules, configurations, tables that every partition must have.

use crate::codec::{Decode, Encode};
use crate::context::{
    BroadcastContext, InitializationContext, KeyedContext, ProcessContext, SnapshotContext, Timer,
};
use crate::error::Result;
use crate::setup::Setup;

/// A function on a data input without keys and a broadcast input: Flink's
/// `BroadcastProcessFunction`.
///
/// Records of the two inputs come in any order to each other, and a partition may be ahead of
/// others: a function waits for what it cannot do without, or says what it does until then.
///
/// ```
/// use tidegate_sdk::prelude::*;
///
/// /// Adds the name to each product number that has one.
/// struct Enrich {
///     names: BroadcastState<u32, String>,
/// }
///
/// impl BroadcastProcessFunction for Enrich {
///     type In<'a> = Csv<(u32, &'a str)>;
///     type Broadcast<'a> = Csv<(u32, String)>;
///     type Out = String;
///
///     fn open(setup: &mut Setup) -> Result<Self> {
///         Ok(Self { names: setup.broadcast_state("names") })
///     }
///
///     fn process_element(
///         &mut self,
///         Csv((product, buyer)): Self::In<'_>,
///         ctx: &mut ProcessContext<'_, String>,
///     ) -> Result<()> {
///         if let Some(name) = self.names.get(ctx, &product)? {
///             ctx.collect(format!("{buyer} buys {name}"));
///         }
///         Ok(())
///     }
///
///     fn process_broadcast_element(
///         &mut self,
///         Csv((product, name)): Self::Broadcast<'_>,
///         ctx: &mut BroadcastContext<'_, String>,
///     ) -> Result<()> {
///         self.names.put(ctx, &product, &name)
///     }
/// }
///
/// # fn main() -> Result<()> {
/// use tidegate_sdk::testing::Harness;
///
/// let mut enrich = Harness::broadcast_process::<Enrich>().open()?;
/// enrich.push("7,ann", 0)?;
/// enrich.push_broadcast("7,pen", 0)?;
/// enrich.push("7,bob", 0)?;
/// assert_eq!(enrich.take_output(), ["bob buys pen"]);
/// # Ok(())
/// # }
/// ```
///
/// What only reads cannot write; this does not compile:
///
/// ```compile_fail
/// use tidegate_sdk::prelude::*;
///
/// fn process_element(
///     names: &BroadcastState<u32, String>,
///     ctx: &mut ProcessContext<'_, String>,
/// ) -> Result<()> {
///     names.put(ctx, &7, &"pen".to_owned())
/// }
/// ```
///
/// Exported with `tidegate_sdk::export!(broadcast_process: MyFunction)`. The job file lists the
/// data input first.
pub trait BroadcastProcessFunction: Sized + 'static {
    /// What a record is read into; it may borrow from the batch.
    type In<'a>: Decode<'a>;
    /// What a record of the broadcast input is read into.
    type Broadcast<'a>: Decode<'a>;
    /// What goes to the main output.
    type Out: Encode;

    /// Reads parameters and declares states and outputs, the same whatever the parameters are.
    ///
    /// # Errors
    /// An error refuses the job. `open` must succeed on the defaults of all parameters.
    fn open(setup: &mut Setup) -> Result<Self>;

    /// Processes a record of the data input. Broadcast state can be read.
    ///
    /// # Errors
    /// An error makes the job's `on_fault` policy decide; nothing of the batch's effects is
    /// applied.
    fn process_element(
        &mut self,
        value: Self::In<'_>,
        ctx: &mut ProcessContext<'_, Self::Out>,
    ) -> Result<()>;

    /// Processes a record of the broadcast input, which every partition gets. Broadcast state can
    /// be written here, and only here.
    ///
    /// # Errors
    /// As for [`process_element`](Self::process_element).
    fn process_broadcast_element(
        &mut self,
        value: Self::Broadcast<'_>,
        ctx: &mut BroadcastContext<'_, Self::Out>,
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

/// A function on a data input with keys, with state and timers for each key, and a broadcast input:
/// Flink's `KeyedBroadcastProcessFunction`.
///
/// A record of the broadcast input has no key, so that its context gives neither keyed state nor
/// timers.
///
/// Exported with `tidegate_sdk::export!(keyed_broadcast_process: MyFunction)`. The job file lists
/// the data input first.
pub trait KeyedBroadcastProcessFunction: Sized + 'static {
    /// What a record is read into; it may borrow from the batch.
    type In<'a>: Decode<'a>;
    /// What a record of the broadcast input is read into.
    type Broadcast<'a>: Decode<'a>;
    /// What goes to the main output.
    type Out: Encode;

    /// Reads parameters and declares states and outputs, the same whatever the parameters are.
    ///
    /// # Errors
    /// An error refuses the job. `open` must succeed on the defaults of all parameters.
    fn open(setup: &mut Setup) -> Result<Self>;

    /// Processes a record of the data input. Broadcast state can be read.
    ///
    /// # Errors
    /// An error makes the job's `on_fault` policy decide; nothing of the batch's effects is
    /// applied.
    fn process_element(
        &mut self,
        value: Self::In<'_>,
        ctx: &mut KeyedContext<'_, Self::Out>,
    ) -> Result<()>;

    /// Processes a record of the broadcast input, which every partition gets. Broadcast state can
    /// be written here, and only here.
    ///
    /// # Errors
    /// As for [`process_element`](Self::process_element).
    fn process_broadcast_element(
        &mut self,
        value: Self::Broadcast<'_>,
        ctx: &mut BroadcastContext<'_, Self::Out>,
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
