//! Does one operation on operator state, which the parameter `operation` names, for each record,
//! and sends nothing out: the part of `operations` that is not about keys.

use serde::de::IgnoredAny;
use tidegate_sdk::prelude::*;

/// Elements of the list.
const SMALL: u64 = 16;

#[derive(PartialEq)]
enum Operation {
    Nothing,
    ListGet,
    ListUpdate,
    Snapshot,
}

struct Operations {
    operation: Operation,
    count: u64,
    list: OperatorListState<u64>,
}

impl ProcessFunction for Operations {
    /// A click of the generator: `user,url,timestamp_ms`.
    type In<'a> = Csv<(IgnoredAny, IgnoredAny, u64)>;
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        let name = setup.param("operation", "nothing".to_owned())?;
        let operation = match name.as_str() {
            "nothing" => Operation::Nothing,
            "operator-list-get" => Operation::ListGet,
            "operator-list-update" => Operation::ListUpdate,
            "snapshot-state" => Operation::Snapshot,
            other => bail!("parameter `operation` is {other:?}, which is none"),
        };
        Ok(Self { operation, count: 0, list: setup.operator_list_state("list") })
    }

    fn process_element(
        &mut self,
        Csv((_user, _url, number)): Self::In<'_>,
        ctx: &mut ProcessContext<'_, String>,
    ) -> Result<()> {
        match self.operation {
            Operation::Nothing => {}
            Operation::ListGet => {
                if self.list.get(ctx)?.is_empty() {
                    self.list.add_all(ctx, 0..SMALL)?;
                }
            }
            Operation::ListUpdate => self.list.update(ctx, [number])?,
            Operation::Snapshot => self.count += 1,
        }
        Ok(())
    }

    fn snapshot_state(&mut self, ctx: &mut SnapshotContext<'_>) -> Result<()> {
        if self.operation == Operation::Snapshot {
            self.list.update(ctx, [self.count])?;
        }
        Ok(())
    }
}

tidegate_sdk::export!(process: Operations);
