//! Registers a timer a second after each timer, for ever, also when the input has ended.

use tidegate_sdk::prelude::*;

struct Heartbeat;

impl KeyedProcessFunction for Heartbeat {
    type In<'a> = &'a str;
    type Out = String;

    fn open(_setup: &mut Setup) -> Result<Self> {
        Ok(Self)
    }

    fn process_element(&mut self, _: &str, ctx: &mut KeyedContext<'_, String>) -> Result<()> {
        let now = ctx.timestamp()?;
        ctx.register_event_time_timer(now + 1000);
        Ok(())
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut KeyedContext<'_, String>) -> Result<()> {
        ctx.register_event_time_timer(timer.timestamp + 1000);
        Ok(())
    }
}

tidegate_sdk::export!(keyed_process: Heartbeat);
