//! Sets and deletes timers as its records say, and tells all that it sees: the watermark, the
//! number of its calls for the key. Some timers register others when they fire, also for times
//! already past.

use tidegate_sdk::prelude::*;

struct Alarms {
    calls: ValueState<u64>,
}

impl Alarms {
    /// Counts this call, and tells of it with the time that the function sees.
    fn tell(&self, what: &str, ctx: &mut KeyedContext<'_, String>) -> Result<()> {
        let calls = self.calls.value(ctx)?.unwrap_or(0) + 1;
        self.calls.update(ctx, &calls)?;
        let watermark = ctx.current_watermark();
        let key = ctx.key_str()?;
        ctx.collect_fmt(format_args!("{key} {calls} {what} at {watermark}"));
        Ok(())
    }
}

impl KeyedProcessFunction for Alarms {
    type In<'a> = Csv<(&'a str, &'a str, i64)>;
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self { calls: setup.value_state("calls") })
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
        if time % 3 == 0 {
            ctx.register_event_time_timer(time + 2);
        }
        if time % 7 == 0 {
            ctx.register_event_time_timer(time - 5);
        }
        self.tell(&format!("timer {time}"), ctx)
    }
}

tidegate_sdk::export!(keyed_process: Alarms);
