//! Takes state of older schema versions to that of the function: of the keys of a call before the
//! call, of all others in the background.

use super::partition::Operator;
use crate::error::{Error, Result};
use crate::model::{Fault, FaultReason, Packed};
use crate::state::{CellToMigrate, Slot};

/// So many keys are looked at in the background at a time.
const KEYS_A_STEP: usize = 256;

impl Operator {
    /// Migrates what these loaded keys have, in the name of the function that sees it next.
    ///
    /// # Errors
    /// If the function cannot migrate one of the cells; those before it may be migrated.
    pub(super) fn migrate(&mut self, slots: &[Slot]) -> Result<()> {
        if self.state.keyed.is_settled() {
            return Ok(());
        }
        let cells = self.state.keyed.cells_to_migrate(slots);
        for of_column in cells.chunk_by(|a, b| a.column == b.column) {
            self.migrate_column(of_column)?;
        }
        Ok(())
    }

    fn migrate_column(&mut self, cells: &[CellToMigrate]) -> Result<()> {
        let column = cells[0].column;
        let (name, step) = self.state.keyed.move_of(column);
        let name = name.to_owned();
        let keys: Vec<Vec<u8>> =
            cells.iter().map(|cell| self.state.keyed.keys.key(cell.slot).to_vec()).collect();
        // What is left of each, by index.
        let mut values: Vec<Option<Vec<u8>>> =
            cells.iter().map(|cell| Some(cell.cell.clone())).collect();
        for version in step.from_version..step.to_version {
            let left: Vec<usize> =
                (0..cells.len()).filter(|&cell| values[cell].is_some()).collect();
            let packed =
                |of: &dyn Fn(usize) -> Vec<u8>| left.iter().map(|&cell| of(cell)).collect();
            let keys_left: Packed = packed(&|cell| keys[cell].clone());
            let values_left: Packed =
                packed(&|cell| values[cell].clone().expect("it is among those that are left"));
            let migrated = self.take_step(&name, version, &keys_left, &values_left)?;
            for (at, &cell) in left.iter().enumerate() {
                let value = migrated.values.get(at).to_vec();
                values[cell] = (migrated.forms[at] == 1).then_some(value);
            }
        }
        let limit = self.settings.limits.state_bytes;
        for ((cell, key), value) in cells.iter().zip(&keys).zip(&values) {
            let bytes = value.as_ref().map_or(0, Vec::len);
            if bytes > limit {
                let message = format!(
                    "it would have {bytes} bytes, more than the limit state_bytes of {limit}"
                );
                let fault = Fault::new(FaultReason::Limit, message);
                return Err(self.migration_error(&name, step.from_version, Some(key), &fault));
            }
            self.state.keyed.put_migrated(cell.slot, column, value.as_deref());
        }
        Ok(())
    }

    /// Has the function take cells one version further. After a fault they are tried one by one, so
    /// that the error names the key.
    fn take_step(
        &mut self,
        name: &str,
        version: u32,
        keys: &Packed,
        values: &Packed,
    ) -> Result<crate::wasm::Migrated> {
        let fault = match self.call_migrate(name, version, keys, values) {
            Ok(migrated) => return Ok(migrated),
            Err(fault) => fault,
        };
        if let Some(at) = fault.at {
            return Err(self.migration_error(name, version, Some(keys.get(at)), &fault));
        }
        for at in 0..keys.len() {
            let one = |packed: &Packed| std::iter::once(packed.get(at)).collect::<Packed>();
            if let Err(fault) = self.call_migrate(name, version, &one(keys), &one(values)) {
                return Err(self.migration_error(name, version, Some(keys.get(at)), &fault));
            }
        }
        Err(self.migration_error(name, version, None, &fault))
    }

    fn call_migrate(
        &mut self,
        name: &str,
        version: u32,
        keys: &Packed,
        values: &Packed,
    ) -> Result<crate::wasm::Migrated, Fault> {
        let answer = self.instance.migrate(name, version, keys, values);
        if let Err(fault) = &answer
            && !fault.leaves_instance_usable()
        {
            self.reopen()?;
        }
        answer
    }

    fn migration_error(
        &self,
        state: &str,
        version: u32,
        key: Option<&[u8]>,
        fault: &Fault,
    ) -> Error {
        let operator = &self.settings.context.operator;
        let of_key = key.map(|key| format!(" of key {:?}", String::from_utf8_lossy(key)));
        let (of_key, next) = (of_key.unwrap_or_default(), version + 1);
        let message = format!(
            "operator {operator:?} cannot take state {state:?}{of_key} from schema version \
             {version} to {next}: {fault}"
        );
        let error = Error::guest(message).of_operator(operator);
        if fault.backtrace.is_empty() { error } else { error.caused_by(fault.frames()) }
    }

    /// Migrates operator states, which a function sees whole from its first call on.
    ///
    /// # Errors
    /// If the function cannot migrate one of them.
    pub fn migrate_operator_states(&mut self) -> Result<()> {
        let no_key: Packed = std::iter::once(&b""[..]).collect();
        while let Some((index, version, cell)) = self.state.operator.to_migrate() {
            let name = self.state.operator.name(index).to_owned();
            let cells: Packed = std::iter::once(&cell[..]).collect();
            let migrated = self
                .call_migrate(&name, version, &no_key, &cells)
                .map_err(|fault| self.migration_error(&name, version, None, &fault))?;
            let left = (migrated.forms[0] == 1).then(|| migrated.values.get(0));
            self.state.operator.put_migrated(index, left);
        }
        Ok(())
    }

    /// Brings some further keys where the function wants them, between two batches. Returns whether
    /// there may be more.
    ///
    /// # Errors
    /// If the function cannot migrate one of them, or the store fails.
    pub fn settle_some(&mut self) -> Result<bool> {
        let Some(slots) = self.state.keyed.next_unsettled(KEYS_A_STEP)? else { return Ok(false) };
        self.migrate(&slots)?;
        self.state.keyed.sweep();
        self.state.keyed.trim()?;
        Ok(!self.state.keyed.is_settled())
    }

    /// Whether all state is where the function wants it.
    pub fn is_settled(&self) -> bool {
        self.state.keyed.is_settled()
    }
}
