//! Numbers the records and timers of all keys of its partition in their order, by a field that the
//! hooks move, and tells of each: `NUMBER KEY WHAT at WATERMARK after KEY`, the last being the key
//! of the one before, which is in a list that is written as they come.
//!
//! Records say which timers to set or delete; some timers register others when they fire, also for
//! times already past.

use tidegate_sdk::prelude::*;

struct Notary {
    number: u64,
    kept_number: OperatorListState<u64>,
    before: OperatorListState<String>,
}

impl Notary {
    fn tell(&mut self, what: &str, ctx: &mut KeyedContext<'_, String>) -> Result<()> {
        self.number += 1;
        let key = ctx.key_str()?.to_owned();
        let before = self.before.get(ctx)?.pop().unwrap_or_default();
        let (number, watermark) = (self.number, ctx.current_watermark());
        ctx.collect(format!("{number} {key} {what} at {watermark} after {before}"));
        self.before.update(ctx, [key])
    }
}

impl KeyedProcessFunction for Notary {
    type In<'a> = Csv<(&'a str, &'a str, i64)>;
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self {
            number: 0,
            kept_number: setup.operator_list_state("number"),
            before: setup.operator_list_state("before"),
        })
    }

    fn process_element(
        &mut self,
        Csv((_key, action, time)): Self::In<'_>,
        ctx: &mut KeyedContext<'_, String>,
    ) -> Result<()> {
        match action {
            "set" => ctx.register_event_time_timer(time),
            "delete" => ctx.delete_event_time_timer(time),
            _ => {}
        }
        self.tell(action, ctx)
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut KeyedContext<'_, String>) -> Result<()> {
        let time = timer.timestamp;
        // By multiples of four, so that timers of one key stay apart from those of others.
        if time % 3 == 0 {
            ctx.register_event_time_timer(time + 8);
        }
        if time % 7 == 0 {
            ctx.register_event_time_timer(time - 20);
        }
        self.tell(&format!("timer {time}"), ctx)
    }

    fn initialize_state(&mut self, ctx: &mut InitializationContext<'_>) -> Result<()> {
        if let [number] = self.kept_number.get(ctx)?[..] {
            self.number = number;
        }
        Ok(())
    }

    fn snapshot_state(&mut self, ctx: &mut SnapshotContext<'_>) -> Result<()> {
        self.kept_number.update(ctx, [self.number])
    }
}

tidegate_sdk::export!(keyed_process: Notary);
