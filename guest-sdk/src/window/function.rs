//! [`WindowFunction`]: what an author writes.

use super::{TimeWindow, Windows};
use crate::codec::{Decode, Encode};
use crate::context::WindowContext;
use crate::error::Result;
use crate::setup::Setup;
use crate::state::StateValue;

/// A function on the windows of records with keys: what Flink makes of an `AggregateFunction` and a
/// `ProcessWindowFunction`. See the [module](super) for examples.
///
/// Exported with `tidegate_sdk::export!(window: MyFunction)`.
pub trait WindowFunction: Sized + 'static {
    /// What a record is read into; it may borrow from the batch.
    type In<'a>: Decode<'a>;
    /// What is kept of the records of a window of a key.
    type Acc: StateValue;
    /// What goes to the main output.
    type Out: Encode;

    /// Reads parameters, declares states and outputs, the same whatever the parameters are, and
    /// says which windows there are. The state `windows` and the output `late` are the SDK's.
    ///
    /// # Errors
    /// An error refuses the job. `open` must succeed on the defaults of all parameters. Settings
    /// that no window can have, such as a size of zero, refuse the job too.
    fn open(setup: &mut Setup) -> Result<(Self, Windows)>;

    /// The accumulator of no records.
    fn create_accumulator(&self) -> Self::Acc;

    /// Adds a record to the accumulator of a window. A record in several windows is added to each.
    ///
    /// # Errors
    /// An error makes the job's `on_fault` policy decide; nothing of the batch's effects is
    /// applied.
    fn add(&self, value: &Self::In<'_>, accumulator: &mut Self::Acc) -> Result<()>;

    /// The accumulator of the records of two, `earlier` being that of the window that starts first.
    /// Only session windows are merged.
    fn merge(&self, earlier: Self::Acc, later: Self::Acc) -> Self::Acc;

    /// Acts on a window that fires, with all its records so far: when the watermark or the clock
    /// has passed it, and again at each record that comes within the allowed lateness. A count
    /// window fires when it is full, and is [`TimeWindow::GLOBAL`].
    ///
    /// # Errors
    /// As for [`add`](Self::add).
    fn window(
        &mut self,
        window: TimeWindow,
        accumulator: Self::Acc,
        ctx: &mut WindowContext<'_, Self::Out>,
    ) -> Result<()>;

    /// The partition ends in good order. Not called after a fault.
    fn close(&mut self) {}
}
