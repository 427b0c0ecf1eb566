//! Does one operation on state, which the parameter `operation` names, for each record, and sends
//! nothing out: what the benchmark of state operations runs.
//!
//! Every state is declared whatever the operation is, so that the operation is all that differs.

use serde::de::IgnoredAny;
use tidegate_sdk::prelude::*;

/// A click of the generator: `user,url,timestamp_ms`.
type Click = Csv<(IgnoredAny, IgnoredAny, i64)>;

/// Elements of a list and entries of a map that stay within this.
const SMALL: u64 = 16;

enum Operation {
    Nothing,
    ValueRead,
    ValueUpdate,
    ValueClear,
    ListAdd,
    ListGet,
    ListUpdate,
    MapPut,
    MapGet,
    MapRemove,
    MapIterate,
    ReducingAdd,
    AggregatingAdd,
    TimerRegister,
    TimerFire,
}

struct Sum;

impl AggregateFunction for Sum {
    type In = u64;
    type Acc = u64;
    type Out = u64;

    fn create_accumulator(&self) -> u64 {
        0
    }
    fn add(&self, value: u64, sum: u64) -> u64 {
        sum + value
    }
    fn get_result(&self, sum: u64) -> u64 {
        sum
    }
}

struct Operations {
    operation: Operation,
    value: ValueState<u64>,
    list: ListState<u64>,
    map: MapState<u64, u64>,
    reducing: ReducingState<u64>,
    aggregating: AggregatingState<Sum>,
}

fn operation(name: &str) -> Result<Operation> {
    Ok(match name {
        "nothing" => Operation::Nothing,
        "value-read" => Operation::ValueRead,
        "value-update" => Operation::ValueUpdate,
        "value-clear" => Operation::ValueClear,
        "list-add" => Operation::ListAdd,
        "list-get" => Operation::ListGet,
        "list-update" => Operation::ListUpdate,
        "map-put" => Operation::MapPut,
        "map-get" => Operation::MapGet,
        "map-remove" => Operation::MapRemove,
        "map-iterate" => Operation::MapIterate,
        "reducing-add" => Operation::ReducingAdd,
        "aggregating-add" => Operation::AggregatingAdd,
        "timer-register" => Operation::TimerRegister,
        "timer-fire" => Operation::TimerFire,
        other => bail!("parameter `operation` is {other:?}, which is none"),
    })
}

impl KeyedProcessFunction for Operations {
    type In<'a> = Click;
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        let name = setup.param("operation", "nothing".to_owned())?;
        Ok(Self {
            operation: operation(&name)?,
            value: setup.value_state("value"),
            list: setup.list_state("list"),
            map: setup.map_state("map"),
            reducing: setup.reducing_state("reducing", |a: u64, b| a + b),
            aggregating: setup.aggregating_state("aggregating", Sum),
        })
    }

    fn process_element(
        &mut self,
        Csv((_user, _url, at)): Click,
        ctx: &mut KeyedContext<'_, String>,
    ) -> Result<()> {
        let number = at as u64;
        match self.operation {
            Operation::Nothing => {}
            Operation::ValueRead => {
                if self.value.value(ctx)?.is_none() {
                    self.value.update(ctx, &number)?;
                }
            }
            Operation::ValueUpdate => self.value.update(ctx, &number)?,
            Operation::ValueClear => self.value.clear(ctx),
            // A list that only grows would measure its length.
            Operation::ListAdd if number.is_multiple_of(SMALL) => self.list.clear(ctx),
            Operation::ListAdd => self.list.add(ctx, &number)?,
            Operation::ListGet => {
                if self.list.get(ctx)?.is_empty() {
                    self.list.add_all(ctx, 0..SMALL)?;
                }
            }
            Operation::ListUpdate => self.list.update(ctx, number..number + SMALL)?,
            Operation::MapPut => self.map.put(ctx, &(number % SMALL), &number)?,
            Operation::MapGet => {
                if self.map.get(ctx, &(number % SMALL))?.is_none() {
                    self.map.put(ctx, &(number % SMALL), &number)?;
                }
            }
            Operation::MapRemove => self.map.remove(ctx, &(number % SMALL))?,
            Operation::MapIterate => {
                if self.map.iter(ctx).count() < SMALL as usize {
                    self.map.put(ctx, &(number % SMALL), &number)?;
                }
            }
            Operation::ReducingAdd => self.reducing.add(ctx, 1)?,
            Operation::AggregatingAdd => self.aggregating.add(ctx, 1)?,
            // One that is far away and stays the same, and one that fires soon.
            Operation::TimerRegister => ctx.register_event_time_timer(1 << 60),
            Operation::TimerFire => ctx.register_event_time_timer(at / 10_000 * 10_000 + 9_999),
        }
        Ok(())
    }
}

tidegate_sdk::export!(keyed_process: Operations);
