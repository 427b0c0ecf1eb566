//! Counts the clicks of each url in windows of fixed size, without a window operator.
//!
//! Shows `MapState` and many timers a key. The map holds a count for each window that is still
//! open; a timer at the window's last millisecond sends the count out and forgets the window. A
//! click that comes after its window was sent out opens it again and is sent out at once, since its
//! timer is due already.
//!
//! After `FakeWindowResult`, a Flink `KeyedProcessFunction`. Run it with
//!
//! ```text
//! tidegate build examples/fake-window
//! tidegate run examples/fake-window/job.toml
//! ```

use serde::de::IgnoredAny;
use tidegate_sdk::prelude::*;

/// A click: `user,url,timestamp_ms`. One of the first two is the key, which comes with the context,
/// so only the time is read.
type Event = Csv<(IgnoredAny, IgnoredAny, i64)>;

/// `key,count,start_ms,end_ms`: the window is from start up to, not including, end.
type WindowCount = Csv<(String, u64, i64, i64)>;

struct FakeWindow {
    size_ms: i64,
    /// Window start to count.
    counts: MapState<i64, u64>,
}

impl KeyedProcessFunction for FakeWindow {
    type In<'a> = Event;
    type Out = WindowCount;

    fn open(setup: &mut Setup) -> Result<Self> {
        let size = setup.param("size", Duration::from_secs(10))?;
        if size.is_zero() {
            bail!("parameter `size` is {size:?}; a window lasts at least 1ms");
        }
        Ok(Self { size_ms: i64::try_from(size.as_millis())?, counts: setup.map_state("window-pv") })
    }

    fn process_element(
        &mut self,
        Csv((_user, _url, timestamp)): Event,
        ctx: &mut KeyedContext<'_, WindowCount>,
    ) -> Result<()> {
        // Euclid rounds down also before 1970, where `/` would round towards it.
        let start = timestamp.saturating_sub(timestamp.rem_euclid(self.size_ms));
        let Some(end) = start.checked_add(self.size_ms) else {
            bail!("the window of {timestamp} ends after the end of time");
        };
        ctx.register_event_time_timer(end - 1);

        let count = self.counts.get(ctx, &start)?.unwrap_or(0) + 1;
        self.counts.put(ctx, &start, &count)
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut KeyedContext<'_, WindowCount>) -> Result<()> {
        let end = timer.timestamp + 1;
        let start = end - self.size_ms;
        let Some(count) = self.counts.get(ctx, &start)? else {
            bail!("no window starts at {start}, but its timer fired");
        };
        ctx.collect_as(Csv((ctx.key_str()?, count, start, end)));
        self.counts.remove(ctx, &start)
    }
}

tidegate_sdk::export!(keyed_process: FakeWindow);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    fn counts_each_window_once_it_is_over() -> Result<()> {
        let mut window = Harness::keyed_process::<FakeWindow>().open()?;
        window.push("/home", "alice,/home,10000", 10_000)?;
        window.push("/home", "bob,/home,19999", 19_999)?;
        window.push("/home", "alice,/home,20000", 20_000)?;
        assert_eq!(window.event_time_timers("/home"), [19_999, 29_999]);

        window.advance_watermark(19_998)?;
        assert!(window.take_output().is_empty());
        window.advance_watermark(19_999)?;
        assert_eq!(window.take_output(), ["/home,2,10000,20000"]);
        assert_eq!(window.map_state::<i64, u64>("window-pv", "/home")?, [(20_000, 1)]);

        assert_eq!(window.finish()?, ["/home,1,20000,30000"]);
        Ok(())
    }

    #[test]
    fn a_late_click_is_sent_out_by_itself() -> Result<()> {
        let mut window = Harness::keyed_process::<FakeWindow>().param("size", "1s").open()?;
        window.push("/home", "alice,/home,500", 500)?;
        window.advance_watermark(5_000)?;
        window.push("/home", "bob,/home,700", 700)?;
        assert_eq!(window.finish()?, ["/home,1,0,1000", "/home,1,0,1000"]);
        Ok(())
    }

    #[test]
    fn windows_before_1970_begin_below_their_clicks() -> Result<()> {
        let mut window = Harness::keyed_process::<FakeWindow>().open()?;
        window.push("/home", "alice,/home,-1", -1)?;
        assert_eq!(window.finish()?, ["/home,1,-10000,0"]);
        Ok(())
    }

    #[test]
    fn a_window_without_length_is_refused() {
        let opened = Harness::keyed_process::<FakeWindow>().param("size", "0s").open();
        assert!(opened.is_err_and(|error| error.message().contains("parameter `size`")));
    }
}
