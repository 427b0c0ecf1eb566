//! All kinds of windows behind one face, for the adaptor.

use super::panes::{Panes, STATE};
use super::timed::Timed;
use super::windows::{Kind, milliseconds};
use super::{TimeWindow, WindowFunction, Windows};
use crate::bail;
use crate::context::{Timer, WindowContext};
use crate::error::Result;
use crate::setup::Setup;
use crate::state::{StateBuilder, StateValue, ValueState};

/// The output of records that came too late.
pub(crate) const LATE: &str = "late";

/// The windows of a function whose accumulator is `A`.
pub(crate) enum Operator<A> {
    Timed(Timed<A>),
    /// Every `size` records; the state is how many there are so far, and their accumulator.
    Count {
        size: u64,
        state: ValueState<(u64, A)>,
    },
}

impl<A: StateValue> Operator<A> {
    /// Declares the state.
    ///
    /// # Errors
    /// If no window can be as `windows` says, or the function has a state or output of a name that
    /// is needed here.
    pub(crate) fn open(setup: &mut Setup, windows: &Windows) -> Result<Self> {
        // A required parameter has no value to check yet.
        if !setup.is_describing() {
            windows.check()?;
        }
        if setup.states.iter().any(|state| state.name == STATE) {
            bail!("the state `{STATE}` of a window function is the SDK's; name yours otherwise");
        }
        if setup.outputs.iter().any(|output| output.name == LATE) {
            bail!("the output `{LATE}` of a window function is the SDK's; name yours otherwise");
        }
        let state = setup.state(STATE).schema_version(windows.schema_version);
        let state = windows.steps.iter().cloned().fold(state, StateBuilder::step);
        let panes = match windows.kind {
            Kind::Tumbling { size } => Panes::Aligned(windows.aligned(size, size), state.map()),
            Kind::Sliding { size, slide } => {
                Panes::Aligned(windows.aligned(size, slide), state.map())
            }
            Kind::Session { gap } => {
                Panes::Session { gap: milliseconds(gap), sessions: state.map() }
            }
            Kind::Count { size } => return Ok(Self::Count { size, state: state.value() }),
        };
        Ok(Self::Timed(Timed { clock: windows.clock(), panes }))
    }

    /// Adds a record, and fires what is to be fired. Gives whether it was in time.
    ///
    /// # Errors
    /// What the function gives; if the record has no event time; if state cannot be read.
    #[inline]
    pub(crate) fn add<F: WindowFunction<Acc = A>>(
        &self,
        function: &mut F,
        value: &F::In<'_>,
        ctx: &mut WindowContext<'_, F::Out>,
    ) -> Result<bool> {
        let (size, state) = match self {
            Self::Timed(timed) => return timed.add(function, value, ctx),
            Self::Count { size, state } => (*size, state),
        };
        let before = state.value(ctx)?;
        let (count, mut accumulator) = before.unwrap_or_else(|| (0, function.create_accumulator()));
        let count = count + 1;
        function.add(value, &mut accumulator)?;
        // More than `size` are there if the job went on with a lower one.
        if count >= size {
            state.clear(ctx);
            function.window(TimeWindow::GLOBAL, accumulator, ctx)?;
        } else {
            state.update(ctx, &(count, accumulator))?;
        }
        Ok(true)
    }

    /// Acts on a timer.
    ///
    /// # Errors
    /// What the function gives; if state cannot be read.
    pub(crate) fn on_timer<F: WindowFunction<Acc = A>>(
        &self,
        timer: Timer,
        function: &mut F,
        ctx: &mut WindowContext<'_, F::Out>,
    ) -> Result<()> {
        match self {
            Self::Timed(timed) => timed.on_timer(timer.timestamp, function, ctx),
            Self::Count { .. } => Ok(()),
        }
    }
}
