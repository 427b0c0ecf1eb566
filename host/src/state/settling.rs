//! Brings the cells of a partition into the columns that its function wants, after a swap or a
//! restore changed them: at the first access of a key, and for all others in the background.
//!
//! What only changes access times is done here. What changes the schema version is done by the
//! function, between [`KeyedState::cells_to_migrate`] and [`KeyedState::put_migrated`].

use super::cell::Encoded;
use super::column::Column;
use super::layout::{Fate, Layout, Move};
use super::{KeyedState, Slot};
use crate::error::Result;
use crate::model::KeyHash;

/// A cell that the function must take to another schema version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellToMigrate {
    /// Whose it is.
    pub slot: Slot,
    /// The index of its column.
    pub column: usize,
    /// What it holds, with the access times that its new column wants.
    pub cell: Vec<u8>,
}

/// How far the background has come.
#[derive(Debug)]
pub(super) enum Settling {
    /// It looks at keys in memory: the next slot, and the first that is younger than the layout.
    Memory(usize, usize),
    /// It looks at keys in the store: the place after which it goes on.
    Store(Option<Vec<u8>>),
    /// It has looked at all keys, of which the last are being dealt with.
    Over,
}

impl KeyedState {
    /// What columns there are.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Whether every cell is where the function wants it, and what it does not want is gone.
    pub fn is_settled(&self) -> bool {
        self.settling.is_none()
    }

    /// Changes the columns, between two batches. Those that there are keep their indices. With
    /// `is_settled`, cells are known to be where they belong.
    pub fn set_layout(&mut self, layout: Layout, is_settled: bool) {
        self.lifetimes.set_states(layout.columns.iter().map(Into::into));
        for column in &layout.columns[self.columns.len()..] {
            self.columns.push(Column::new(column.kind));
        }
        if let Some(cache) = &mut self.cache {
            cache.add_states(self.columns.len());
        }
        let has_work = |fate: &Fate| matches!(fate, Fate::Moves(_) | Fate::Gone);
        let has_work = layout.columns.iter().any(|column| has_work(&column.fate));
        self.layout = layout;
        let begin = Settling::Memory(0, self.keys.slots());
        self.settling = (has_work && !is_settled).then_some(begin);
        self.grow();
    }

    /// Removes in the background what was kept for the function before.
    pub fn release_kept(&mut self) {
        if self.layout.columns.iter().any(|column| column.fate == Fate::Kept) {
            let mut layout = self.layout.clone();
            layout.release();
            self.set_layout(layout, false);
        }
    }

    /// The cells of loaded keys that the function must migrate before it sees them.
    pub fn cells_to_migrate(&self, slots: &[Slot]) -> Vec<CellToMigrate> {
        let mut cells = Vec::new();
        if self.settling.is_none() {
            return cells;
        }
        for (column, step) in self.moves() {
            if step.from_version == step.to_version {
                continue;
            }
            for &slot in slots {
                if let Some(cell) = self.restamped(column, &step, slot) {
                    cells.push(CellToMigrate { slot, column, cell: cell.to_vec() });
                }
            }
        }
        // A slot can come twice among those of a call.
        cells.sort_by_key(|cell| (cell.column, cell.slot));
        cells.dedup_by_key(|cell| (cell.column, cell.slot));
        cells
    }

    /// The name and the schema versions of the state that a column's cells move to.
    ///
    /// # Panics
    /// If they do not move.
    pub fn move_of(&self, column: usize) -> (&str, Move) {
        let of = &self.layout.columns[column];
        let Fate::Moves(step) = of.fate else { panic!("the cells of column {column} stay") };
        (&of.name, step)
    }

    /// Puts what the function made of a cell in its new place; none = the key has no such state any
    /// more.
    pub fn put_migrated(&mut self, slot: Slot, column: usize, cell: Option<&[u8]>) {
        let (_, step) = self.move_of(column);
        self.move_cell(slot, column, step.to, cell);
    }

    /// Moves the cells of loaded keys that only need other access times, and removes those that
    /// nobody wants.
    pub(super) fn settle(&mut self, slots: &[Slot]) {
        if self.settling.is_none() {
            return;
        }
        let moves: Vec<(usize, Move)> = self.moves().collect();
        for (column, step) in
            moves.into_iter().filter(|(_, step)| step.from_version == step.to_version)
        {
            for &slot in slots {
                if let Some(cell) = self.restamped(column, &step, slot) {
                    self.move_cell(slot, column, step.to, Some(&cell));
                }
            }
        }
        for column in 0..self.layout.columns.len() {
            if self.layout.columns[column].fate == Fate::Gone {
                slots.iter().for_each(|&slot| self.set_cell(slot, column, None));
            }
        }
    }

    fn moves(&self) -> impl Iterator<Item = (usize, Move)> {
        let columns = self.layout.columns.iter().enumerate();
        columns.filter_map(|(index, column)| match column.fate {
            Fate::Moves(step) => Some((index, step)),
            _ => None,
        })
    }

    /// A cell with the access times that its new column wants.
    fn restamped(&self, column: usize, step: &Move, slot: Slot) -> Option<Encoded> {
        let column = &self.columns[column];
        let cell = column.get(slot)?;
        let restamped = step.restamp.apply(&cell, column.kind());
        Some(restamped.unwrap_or_else(|| Encoded::from_slice(&cell)))
    }

    fn move_cell(&mut self, slot: Slot, from: usize, to: usize, cell: Option<&[u8]>) {
        self.set_cell(slot, to, cell);
        self.set_cell(slot, from, None);
    }

    /// Puts a cell of a loaded key, or removes it.
    fn set_cell(&mut self, slot: Slot, column: usize, cell: Option<&[u8]>) {
        let before = self.columns[column].length(slot);
        if before.is_none() && cell.is_none() {
            return;
        }
        self.cells_about_to_change(slot);
        self.columns[column].set(slot, cell);
        match &mut self.cache {
            Some(cache) => {
                let length = |cell: Option<usize>| cell.unwrap_or(0);
                cache.note(slot, column, length(before), length(cell.map(<[u8]>::len)));
            }
            None => match (before.is_some(), cell.is_some()) {
                (false, true) => self.keys.retain(slot),
                (true, false) => self.keys.release(slot),
                _ => {}
            },
        }
    }

    /// The next keys that the background looks at, loaded, about so many; none if all have been
    /// looked at. What the function must migrate of them it gets before this is called again.
    ///
    /// # Errors
    /// If the store fails.
    pub fn next_unsettled(&mut self, keys_max: usize) -> Result<Option<Vec<Slot>>> {
        let Some(settling) = self.settling.take() else { return Ok(None) };
        let mut slots = Vec::new();
        let next = match settling {
            Settling::Over => return Ok(None),
            Settling::Memory(next, end) => {
                let until = end.min(next + keys_max);
                slots.extend((next..until).map(|slot| Slot(slot as u32)));
                // A slot without a key in memory has nothing; what it had is in the store.
                slots.retain(|slot| self.has_unsettled(*slot));
                match self.cache {
                    _ if until < end => Settling::Memory(until, end),
                    Some(_) => Settling::Store(None),
                    None => Settling::Over,
                }
            }
            Settling::Store(after) => {
                let cache = self.cache.as_mut().expect("only what has a store looks there");
                let (keys, after) = cache.store.scan(after.as_deref(), keys_max)?;
                slots.extend(keys.iter().map(|key| self.keys.enter(key, KeyHash::of(key))));
                self.grow();
                after.map_or(Settling::Over, |after| Settling::Store(Some(after)))
            }
        };
        self.settling = Some(next);
        self.load(&slots)?;
        Ok(Some(slots))
    }

    fn has_unsettled(&self, slot: Slot) -> bool {
        let mut columns = self.layout.columns.iter().zip(&self.columns);
        columns.any(|(of, column)| {
            matches!(of.fate, Fate::Moves(_) | Fate::Gone) && column.length(slot).is_some()
        })
    }
}
