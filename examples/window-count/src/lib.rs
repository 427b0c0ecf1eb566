//! Counts the clicks of each url in windows of fixed size.
//!
//! Shows a `WindowFunction`: the SDK assigns clicks to tumbling windows, keeps a count for each,
//! fires a window when the watermark passes its end, fires it again at each click that comes within
//! the allowed lateness, and puts later ones aside. The example `fake-window` makes the same of a
//! map and timers and is the lesson in how it works; this is how one writes it.
//!
//! Run it with
//!
//! ```text
//! tidegate build examples/window-count
//! tidegate run examples/window-count/job.toml
//! ```

use serde::de::IgnoredAny;
use tidegate_sdk::prelude::*;

/// A click: `user,url,timestamp_ms`. The url is the key and the time is the event time; both come
/// with the context, so nothing is read.
type Click = Csv<(IgnoredAny, IgnoredAny, IgnoredAny)>;

/// `key,count,start_ms,end_ms`: the window is from start up to, not including, end.
type Count = Csv<(String, u64, i64, i64)>;

struct WindowCount;

impl WindowFunction for WindowCount {
    type In<'a> = Click;
    type Acc = u64;
    type Out = Count;

    fn open(setup: &mut Setup) -> Result<(Self, Windows)> {
        let size = setup.param("size", Duration::from_secs(10))?;
        let lateness = setup.param("lateness", Duration::ZERO)?;
        Ok((Self, Windows::tumbling(size).allowed_lateness(lateness)))
    }

    fn create_accumulator(&self) -> u64 {
        0
    }

    fn add(&self, _click: &Click, count: &mut u64) -> Result<()> {
        *count += 1;
        Ok(())
    }

    fn merge(&self, earlier: u64, later: u64) -> u64 {
        earlier + later
    }

    fn window(
        &mut self,
        TimeWindow { start, end }: TimeWindow,
        count: u64,
        ctx: &mut WindowContext<'_, Count>,
    ) -> Result<()> {
        ctx.collect_as(Csv((ctx.key_str()?, count, start, end)));
        Ok(())
    }
}

tidegate_sdk::export!(window: WindowCount);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    fn counts_each_window_once_it_is_over() -> Result<()> {
        let mut window = Harness::window::<WindowCount>().open()?;
        window.push("/cart", "alice,/cart,10000", 10_000)?;
        window.push("/cart", "bob,/cart,19999", 19_999)?;
        window.push("/cart", "alice,/cart,20000", 20_000)?;
        window.advance_watermark(19_998)?;
        assert!(window.take_output().is_empty());
        window.advance_watermark(19_999)?;
        assert_eq!(window.take_output(), ["/cart,2,10000,20000"]);
        assert_eq!(window.finish()?, ["/cart,1,20000,30000"]);
        Ok(())
    }

    #[test]
    fn a_late_click_counts_within_the_lateness_and_is_put_aside_after() -> Result<()> {
        let mut window = Harness::window::<WindowCount>().param("lateness", "5s").open()?;
        window.push("/cart", "alice,/cart,500", 500)?;
        window.advance_watermark(14_998)?;
        window.push("/cart", "bob,/cart,700", 700)?;
        assert_eq!(window.take_output(), ["/cart,1,0,10000", "/cart,2,0,10000"]);
        window.advance_watermark(14_999)?;
        window.push("/cart", "cary,/cart,800", 800)?;
        assert_eq!(window.take_side_output("late"), ["cary,/cart,800"]);
        assert!(window.finish()?.is_empty());
        Ok(())
    }

    /// The job's own input and output, with the watermark that the job file asks for.
    #[test]
    fn the_example_writes_what_is_expected() -> Result<()> {
        let mut window = Harness::window::<WindowCount>().param("lateness", "5s").open()?;
        for line in include_str!("../clicks.csv").lines() {
            let Csv((_user, url, time)) = Csv::<(&str, &str, i64)>::decode(line.as_bytes())?;
            window.push(url, line, time)?;
            window.advance_watermark(time - 1_001)?;
        }
        assert_eq!(window.take_side_output("late"), ["Mary,./home,3000"]);
        let expected: Vec<&str> = include_str!("../expected.txt").lines().collect();
        assert_eq!(window.finish()?, expected);
        Ok(())
    }
}
