//! With which page did the session begin that a click belongs to?
//!
//! Shows the time to live of state. The first click of a user puts its page into a `ValueState`
//! that expires 10 s after the last access; a click that finds it expired begins the next session.
//! Whether reading counts as an access decides what a session is: with `on-create-and-write` it
//! lasts 10 s from its first click, with `on-read-and-write` until the user pauses for 10 s. The
//! job file switches that, and every other option.
//!
//! Run it with
//!
//! ```text
//! tidegate build examples/ttl-session
//! tidegate run examples/ttl-session/job.toml
//! ```

use serde::de::IgnoredAny;
use tidegate_sdk::prelude::*;

struct TtlSession {
    first_page: ValueState<String>,
}

impl RichFlatMapFunction for TtlSession {
    type In<'a> = Csv<(&'a str, &'a str, IgnoredAny)>;
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        let ttl = Ttl::new(Duration::from_secs(10));
        Ok(Self { first_page: setup.state("first-page").ttl(ttl).value() })
    }

    fn flat_map(
        &mut self,
        Csv((user, page, _time)): Self::In<'_>,
        ctx: &mut FlatMapContext<'_, String>,
    ) -> Result<()> {
        let first_page = match self.first_page.value(ctx)? {
            Some(first_page) => first_page,
            None => {
                self.first_page.update(ctx, &page.to_owned())?;
                page.to_owned()
            }
        };
        ctx.collect(format!("{user},{first_page},{page}"));
        Ok(())
    }
}

tidegate_sdk::export!(rich_flat_map: TtlSession);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    fn a_session_lasts_ten_seconds_from_its_first_click() -> Result<()> {
        let mut session = Harness::rich_flat_map::<TtlSession>().open()?;
        for (time, page) in [(0, "/home"), (9_999, "/cart"), (10_000, "/fav"), (12_000, "/buy")] {
            session.advance_processing_time(time)?;
            session.push("ann", format!("ann,{page},{time}"), time)?;
        }
        let lines = session.take_output();
        assert_eq!(lines, ["ann,/home,/home", "ann,/home,/cart", "ann,/fav,/fav", "ann,/fav,/buy"]);
        Ok(())
    }
}
