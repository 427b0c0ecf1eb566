//! One call of the host in progress: where it stands, and the effects so far.

use std::cell::{Cell, RefCell};
use std::mem;

use super::operator::Shape;
use crate::bindings::tidegate::function::types::{
    Effects, OutputColumn, Packed, StateColumn, TimerChanges,
};
use crate::context::TimeDomain;
use crate::error::{Error, Result};
use crate::state::Cells;

/// The record or timer at hand.
#[derive(Clone, Copy)]
pub(crate) struct Position<'a> {
    /// Its index in the batch.
    pub(crate) cause: u32,
    /// The index of its key in the batch.
    pub(crate) key: usize,
    pub(crate) key_bytes: &'a [u8],
    /// None where the stream has no event times.
    pub(crate) timestamp: Option<i64>,
    pub(crate) watermark: i64,
}

/// One call in progress. `'a` is the batch.
pub(crate) struct Call<'a> {
    pub(crate) shape: &'a Shape,
    pub(crate) position: Position<'a>,
    pub(crate) processing_time: i64,
    /// The clock of the timers, None if the call is about records.
    pub(crate) timer_domain: Option<TimeDomain>,
    /// For a source, the most records that it may send.
    pub(crate) records_max: usize,
    /// Where the function begins, whether it goes on from something.
    pub(crate) is_restored: bool,
    /// In a cell, since reading state can be an access that is noted.
    pub(crate) states: RefCell<Vec<Cells>>,
    /// Room for the encoding of a map's key.
    pub(crate) scratch: Cell<Vec<u8>>,
    outputs: Vec<OutputColumn>,
    timers: TimerChanges,
    /// The first output that could not be encoded, since `collect` gives no result.
    problem: Option<Error>,
}

impl<'a> Call<'a> {
    /// The contract's operations on timers.
    pub(crate) const REGISTER_EVENT_TIME: u8 = 0;
    pub(crate) const DELETE_EVENT_TIME: u8 = 1;
    pub(crate) const REGISTER_PROCESSING_TIME: u8 = 2;
    pub(crate) const DELETE_PROCESSING_TIME: u8 = 3;

    /// Begins a call on `keys` keys. It stands nowhere until the first [`seek`](Call::seek).
    pub(crate) fn new(
        shape: &'a Shape,
        keys: usize,
        columns: Vec<StateColumn>,
        processing_time: i64,
        timer_domain: Option<TimeDomain>,
    ) -> Self {
        assert_eq!(columns.len(), shape.states.len(), "the host sends a column for each state");
        let cells = |(index, column): (usize, StateColumn)| {
            assert_eq!(column.state as usize, index, "the host sends states as declared");
            Cells::new(shape.states[index].kind, column, keys)
        };
        let output = |output| OutputColumn { output, values: packed(), origins: Vec::new() };
        let timers =
            TimerChanges { timestamps: Vec::new(), operations: Vec::new(), origins: Vec::new() };
        Self {
            shape,
            position: Position {
                cause: 0,
                key: 0,
                key_bytes: &[],
                timestamp: None,
                watermark: i64::MIN,
            },
            processing_time,
            timer_domain,
            records_max: 0,
            is_restored: false,
            states: RefCell::new(columns.into_iter().enumerate().map(cells).collect()),
            scratch: Cell::default(),
            outputs: (0..shape.outputs as u32).map(output).collect(),
            timers,
            problem: None,
        }
    }

    /// A call about no record and no key: of a source, or around the calls of others.
    pub(crate) fn without_records(shape: &'a Shape, processing_time: i64) -> Self {
        let column = |state| StateColumn { state, forms: Vec::new(), values: packed() };
        let columns = (0..shape.states.len() as u32).map(column).collect();
        Self::new(shape, 0, columns, processing_time, None)
    }

    /// Moves to a record or timer.
    #[inline]
    pub(crate) fn seek(&mut self, position: Position<'a>) {
        self.position = position;
    }

    /// Adds the record that `write` appends to an output.
    #[inline]
    pub(crate) fn emit(&mut self, output: usize, write: impl FnOnce(&mut Vec<u8>) -> Result<()>) {
        let column = &mut self.outputs[output];
        let tail = column.values.bytes.len();
        match write(&mut column.values.bytes) {
            Ok(()) => {
                column.values.ends.push(column.values.bytes.len() as u32);
                column.origins.push(self.position.cause);
            }
            Err(error) => {
                column.values.bytes.truncate(tail);
                self.problem.get_or_insert(error);
            }
        }
    }

    /// Adds a change of a timer of the key at hand.
    #[inline]
    pub(crate) fn change_timer(&mut self, timestamp: i64, operation: u8) {
        self.timers.timestamps.push(timestamp);
        self.timers.operations.push(operation);
        self.timers.origins.push(self.position.cause);
    }

    /// Takes the problem that an output had at the record at hand.
    #[inline]
    pub(crate) fn check_outputs(&mut self) -> Result<()> {
        if self.problem.is_none() {
            return Ok(());
        }
        mem::take(&mut self.problem).map_or(Ok(()), Err)
    }

    /// Ends the call. Operator state is left where it is: its changes are taken last.
    pub(crate) fn into_effects(self) -> Effects {
        let states = self.states.into_inner().into_iter().enumerate();
        Effects {
            outputs: self
                .outputs
                .into_iter()
                .filter(|column| !column.values.ends.is_empty())
                .collect(),
            states: states.filter_map(|(index, cells)| cells.changes(index as u32)).collect(),
            operator_states: Vec::new(),
            timers: self.timers,
        }
    }
}

fn packed() -> Packed {
    Packed { bytes: Vec::new(), ends: Vec::new() }
}
