//! Numbers the records of its partition: `PARTITION,NUMBER,RECORD`. The number is a field, moved by
//! the hooks; beside it a list that is written as records come has the last three records.
//!
//! At a record that contains `poison` it faults: by an error with the place of the record, or, with
//! `panics`, by a panic, whose place nobody knows.

use tidegate_sdk::prelude::*;

struct Tally {
    partition: u32,
    panics: bool,
    number: u64,
    last: Vec<String>,
    kept_number: OperatorListState<u64>,
    kept_last: OperatorListState<String>,
}

impl ProcessFunction for Tally {
    type In<'a> = &'a str;
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self {
            partition: setup.partition(),
            panics: setup.param("panics", false)?,
            number: 0,
            last: Vec::new(),
            kept_number: setup.operator_list_state("number"),
            kept_last: setup.operator_list_state("last"),
        })
    }

    fn process_element(&mut self, line: &str, ctx: &mut ProcessContext<'_, String>) -> Result<()> {
        // Changed before the fault, so that a test sees whether the fault takes it back.
        self.number += 1;
        self.kept_last.add(ctx, &line.to_owned())?;
        let mut last = self.kept_last.get(ctx)?;
        if last.len() > 3 {
            self.kept_last.update(ctx, last.split_off(1))?;
        }
        ctx.collect(format!("{},{},{line}", self.partition, self.number));
        if line.contains("poison") {
            if self.panics {
                panic!("swallowed {line:?}");
            }
            bail!("cannot digest {line:?}");
        }
        self.last.push(line.to_owned());
        if self.last.len() > 3 {
            self.last.remove(0);
        }
        if self.last != self.kept_last.get(ctx)? {
            bail!("{:?} in the field, {:?} in the list", self.last, self.kept_last.get(ctx)?);
        }
        Ok(())
    }

    fn initialize_state(&mut self, ctx: &mut InitializationContext<'_>) -> Result<()> {
        if let [number] = self.kept_number.get(ctx)?[..] {
            self.number = number;
        }
        self.last = self.kept_last.get(ctx)?;
        Ok(())
    }

    fn snapshot_state(&mut self, ctx: &mut SnapshotContext<'_>) -> Result<()> {
        self.kept_number.update(ctx, [self.number])
    }
}

tidegate_sdk::export!(process: Tally);
