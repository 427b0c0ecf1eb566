//! Functions at the two ends of a job: sources and sinks.
//!
//! Neither reaches the world by itself, as no function does. A sink function sends what it makes of
//! its records to a sink of the job file; a source function makes its records.

use crate::codec::{Decode, Encode};
use crate::context::{InitializationContext, SinkContext, SnapshotContext, SourceContext};
use crate::error::Result;
use crate::setup::Setup;

/// A function at the end of a job, which decides what is written, when, and in which form: Flink's
/// `SinkFunction`. What it collects goes to a sink of the job file.
///
/// Exported with `tidegate_sdk::export!(sink: MyFunction)`.
pub trait SinkFunction: Sized + 'static {
    /// What a record is read into; it may borrow from the batch.
    type In<'a>: Decode<'a>;
    /// What is written.
    type Out: Encode;

    /// Reads parameters and declares states and outputs, the same whatever the parameters are.
    ///
    /// # Errors
    /// An error refuses the job. `open` must succeed on the defaults of all parameters.
    fn open(setup: &mut Setup) -> Result<Self>;

    /// Takes a record.
    ///
    /// # Errors
    /// An error makes the job's `on_fault` policy decide; nothing of the batch's effects is
    /// applied.
    fn invoke(&mut self, value: Self::In<'_>, ctx: &mut SinkContext<'_, Self::Out>) -> Result<()>;

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

/// When a source wants to be asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextPoll {
    /// As soon as its records have been taken.
    Now,
    /// When the host's clock reaches this time, in milliseconds.
    At(i64),
    /// Not any more: it has come to its end.
    Never,
}

/// A function that makes records, which the host asks for: Flink's `SourceFunction`, but pulled.
///
/// Where it goes on after a restart is operator state. It runs in one partition.
///
/// ```
/// use tidegate_sdk::prelude::*;
///
/// /// The numbers from 1 to `count`.
/// struct Numbers {
///     count: u64,
///     next: u64,
///     position: OperatorListState<u64>,
/// }
///
/// impl SourceFunction for Numbers {
///     type Out = String;
///
///     fn open(setup: &mut Setup) -> Result<Self> {
///         let count = setup.param("count", 1000)?;
///         Ok(Self { count, next: 1, position: setup.operator_list_state("position") })
///     }
///
///     fn poll_next(&mut self, ctx: &mut SourceContext<'_, String>) -> Result<NextPoll> {
///         for _ in 0..ctx.records_max() {
///             if self.next > self.count {
///                 return Ok(NextPoll::Never);
///             }
///             ctx.collect(self.next.to_string());
///             self.next += 1;
///         }
///         Ok(NextPoll::Now)
///     }
///
///     fn snapshot_state(&mut self, ctx: &mut SnapshotContext<'_>) -> Result<()> {
///         self.position.update(ctx, [self.next])
///     }
///
///     fn initialize_state(&mut self, ctx: &mut InitializationContext<'_>) -> Result<()> {
///         if let Some(next) = self.position.get(ctx)?.first() {
///             self.next = *next;
///         }
///         Ok(())
///     }
/// }
///
/// # fn main() -> Result<()> {
/// use tidegate_sdk::testing::Harness;
///
/// let mut numbers = Harness::source::<Numbers>().param("count", "3").open()?;
/// assert_eq!(numbers.poll(2)?, NextPoll::Now);
/// numbers.restart()?;
/// assert_eq!(numbers.poll(2)?, NextPoll::Never);
/// assert_eq!(numbers.take_output(), ["1", "2", "3"]);
/// # Ok(())
/// # }
/// ```
///
/// Exported with `tidegate_sdk::export!(source: MyFunction)`.
pub trait SourceFunction: Sized + 'static {
    /// What a record is.
    type Out: Encode;

    /// Reads parameters and declares operator state, the same whatever the parameters are.
    ///
    /// # Errors
    /// An error refuses the job. `open` must succeed on the defaults of all parameters.
    fn open(setup: &mut Setup) -> Result<Self>;

    /// Collects records, at most [`records_max`](crate::context::Context::records_max), and says
    /// when it wants to be asked again.
    ///
    /// # Errors
    /// An error fails the job.
    fn poll_next(&mut self, ctx: &mut SourceContext<'_, Self::Out>) -> Result<NextPoll>;

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
