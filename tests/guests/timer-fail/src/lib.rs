//! Counts the records of each key up to a timer 10 ms after each, and gives up at the timers of
//! keys that contain `poison`.

use tidegate_sdk::prelude::*;

struct TimerFail {
    count: ValueState<u64>,
}

impl KeyedProcessFunction for TimerFail {
    type In<'a> = &'a str;
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self { count: setup.value_state("count") })
    }

    fn process_element(&mut self, _line: &str, ctx: &mut KeyedContext<'_, String>) -> Result<()> {
        let count = self.count.value(ctx)?.unwrap_or(0) + 1;
        self.count.update(ctx, &count)?;
        let timestamp = ctx.timestamp()?;
        ctx.register_event_time_timer(timestamp + 10);
        Ok(())
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut KeyedContext<'_, String>) -> Result<()> {
        let key = ctx.key_str()?;
        if key.contains("poison") {
            bail!("cannot digest the timer {}", timer.timestamp);
        }
        let count = self.count.value(ctx)?.unwrap_or(0);
        ctx.collect_fmt(format_args!("{key},{count},{}", timer.timestamp));
        Ok(())
    }
}

tidegate_sdk::export!(keyed_process: TimerFail);
