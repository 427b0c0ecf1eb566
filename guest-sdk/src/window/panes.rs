//! Where the accumulators of a key's windows are kept: the only state of windows.

use super::TimeWindow;
use super::windows::Aligned;
use crate::context::WindowContext;
use crate::error::Result;
use crate::state::{MapState, StateValue, decode_start};

/// The name of the state.
pub(super) const STATE: &str = "windows";

/// The accumulators of windows in time.
pub(super) enum Panes<A> {
    /// The end is in the key too: windows of a job that goes on with another size stay apart.
    Aligned(Aligned, MapState<TimeWindow, A>),
    /// Start to end and accumulator: a session that grows replaces itself. Sessions of a key have
    /// different starts, since those that touch are merged.
    Session { gap: i64, sessions: MapState<i64, (i64, A)> },
}

impl<A: StateValue> Panes<A> {
    /// The windows of which there is state, in an order that is the same on every run.
    pub(super) fn windows<O>(&self, ctx: &WindowContext<'_, O>) -> Result<Vec<TimeWindow>> {
        match self {
            Panes::Aligned(_, windows) => windows.keys(ctx),
            Panes::Session { sessions, .. } => sessions.scan(ctx, |start, session| {
                // Accumulators can be large, so they are not decoded.
                Ok(TimeWindow { start, end: decode_start(session)? })
            }),
        }
    }

    #[inline]
    pub(super) fn get<O>(
        &self,
        ctx: &WindowContext<'_, O>,
        window: TimeWindow,
    ) -> Result<Option<A>> {
        match self {
            Panes::Aligned(_, windows) => windows.get(ctx, &window),
            Panes::Session { sessions, .. } => {
                Ok(sessions.get(ctx, &window.start)?.map(|(_, accumulator)| accumulator))
            }
        }
    }

    /// Keeps the accumulator, and gives it back.
    #[inline]
    pub(super) fn put<O>(
        &self,
        ctx: &mut WindowContext<'_, O>,
        window: TimeWindow,
        accumulator: A,
    ) -> Result<A> {
        match self {
            Panes::Aligned(_, windows) => {
                windows.put(ctx, &window, &accumulator)?;
                Ok(accumulator)
            }
            Panes::Session { sessions, .. } => {
                let session = (window.end, accumulator);
                sessions.put(ctx, &window.start, &session)?;
                Ok(session.1)
            }
        }
    }

    pub(super) fn remove<O>(
        &self,
        ctx: &mut WindowContext<'_, O>,
        window: TimeWindow,
    ) -> Result<()> {
        match self {
            Panes::Aligned(_, windows) => windows.remove(ctx, &window),
            Panes::Session { sessions, .. } => sessions.remove(ctx, &window.start),
        }
    }
}
