//! Keys and timers beside a broadcast map. Records and timers tell the number of their call for the
//! key and what is in the map; records of the broadcast input change it, and tell it too.

use tidegate_sdk::prelude::*;

struct Edicts {
    calls: ValueState<u64>,
    map: BroadcastState<String, i64>,
}

/// `a=1 b=2`
fn shown(entries: Vec<(String, i64)>) -> String {
    let entries: Vec<String> =
        entries.iter().map(|(name, time)| format!("{name}={time}")).collect();
    entries.join(" ")
}

impl Edicts {
    fn tell(&self, what: &str, ctx: &mut KeyedContext<'_, String>) -> Result<()> {
        let calls = self.calls.value(ctx)?.unwrap_or(0) + 1;
        self.calls.update(ctx, &calls)?;
        let (key, watermark) = (ctx.key_str()?, ctx.current_watermark());
        let map = shown(self.map.entries(ctx)?);
        ctx.collect(format!("{key} {calls} {what} at {watermark} under {map}"));
        Ok(())
    }
}

impl KeyedBroadcastProcessFunction for Edicts {
    type In<'a> = Csv<(&'a str, &'a str, i64)>;
    type Broadcast<'a> = Csv<(&'a str, &'a str, i64)>;
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self { calls: setup.value_state("calls"), map: setup.broadcast_state("map") })
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

    fn process_broadcast_element(
        &mut self,
        Csv((name, action, time)): Self::Broadcast<'_>,
        ctx: &mut BroadcastContext<'_, String>,
    ) -> Result<()> {
        match action {
            "delete" => self.map.remove(ctx, &name.to_owned())?,
            _ => self.map.put(ctx, &name.to_owned(), &time)?,
        }
        let map = shown(self.map.entries(ctx)?);
        ctx.collect(format!("all {action} at {} under {map}", ctx.current_watermark()));
        Ok(())
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut KeyedContext<'_, String>) -> Result<()> {
        let time = timer.timestamp;
        if time % 3 == 0 {
            ctx.register_event_time_timer(time + 8);
        }
        if time % 7 == 0 {
            ctx.register_event_time_timer(time - 20);
        }
        self.tell(&format!("timer {time}"), ctx)
    }
}

tidegate_sdk::export!(keyed_broadcast_process: Edicts);
