//! Makes actions of four users, one each `every` (500ms): who, when, what, and the number of the
//! product, from 0 up to `products` (4) in turn. Without end, or `count` of them. They happen now,
//! or as if they had begun at `start_ms`: then they come as fast as they are taken.
//!
//! Shows a source function that wants to be asked again at a time, and randomness that a restart
//! does not change: users and kinds come from a sequence whose place is operator state. After the
//! `SourceFunction` beside a Flink program that reads a table of users again and again; the job
//! that uses it so is `examples/broadcast-config/job-mysql.toml`. Run it alone with
//!
//! ```text
//! tidegate build examples/user-actions
//! tidegate run examples/user-actions/job.toml
//! ```

use serde::Serialize;
use tidegate_sdk::prelude::*;

const USERS: u64 = 4;
const KINDS: [&str; 3] = ["browse", "click", "buy"];

/// What a user does.
#[derive(Serialize)]
struct Action {
    #[serde(rename = "userID")]
    user: String,
    #[serde(rename = "eventTime")]
    time: String,
    #[serde(rename = "eventType")]
    kind: &'static str,
    #[serde(rename = "productID")]
    product: u64,
}

struct UserActions {
    every_ms: i64,
    count: u64,
    start_ms: i64,
    products: u64,
    /// Actions so far.
    made: u64,
    position: OperatorListState<u64>,
}

/// A number that depends on `n` alone and looks as if it did not (SplitMix64).
fn scattered(n: u64) -> u64 {
    let z = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// `2019-08-17 12:19:47`, in UTC.
fn date_time(ms: i64) -> String {
    let seconds = ms.div_euclid(1000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days since 1 March 0000, in eras of 400 years (Howard Hinnant's `civil_from_days`).
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

impl SourceFunction for UserActions {
    type Out = Json<Action>;

    fn open(setup: &mut Setup) -> Result<Self> {
        let every = setup.param("every", Duration::from_millis(500))?;
        let products: u64 = setup.param("products", 4)?;
        Ok(Self {
            every_ms: i64::try_from(every.as_millis())?,
            count: setup.param("count", 0)?,
            start_ms: setup.param("start_ms", 0)?,
            products: products.max(1),
            made: 0,
            position: setup.operator_list_state("position"),
        })
    }

    fn poll_next(&mut self, ctx: &mut SourceContext<'_, Self::Out>) -> Result<NextPoll> {
        if self.count > 0 && self.made >= self.count {
            return Ok(NextPoll::Never);
        }
        let is_now = self.start_ms == 0;
        let time = match is_now {
            true => ctx.processing_time(),
            false => self.start_ms + self.every_ms * i64::try_from(self.made)?,
        };
        let number = scattered(self.made);
        ctx.collect(Json(Action {
            user: format!("user_{}", number % USERS + 1),
            time: date_time(time),
            kind: KINDS[(number / USERS % KINDS.len() as u64) as usize],
            product: self.made % self.products,
        }));
        self.made += 1;
        Ok(if is_now { NextPoll::At(time + self.every_ms) } else { NextPoll::Now })
    }

    fn snapshot_state(&mut self, ctx: &mut SnapshotContext<'_>) -> Result<()> {
        self.position.update(ctx, [self.made])
    }

    fn initialize_state(&mut self, ctx: &mut InitializationContext<'_>) -> Result<()> {
        if let Some(made) = self.position.get(ctx)?.first() {
            self.made = *made;
        }
        Ok(())
    }
}

tidegate_sdk::export!(source: UserActions);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    fn an_action_each_so_often_whatever_restarts() -> Result<()> {
        let mut source =
            Harness::source::<UserActions>().param("every", "2s").param("products", "10").open()?;
        source.advance_processing_time(1_566_044_387_000)?;
        assert_eq!(source.poll(100)?, NextPoll::At(1_566_044_389_000));
        source.restart()?;
        source.poll(100)?;
        let output = source.take_output();
        assert_eq!(output.len(), 2);
        for (number, action) in output.iter().enumerate() {
            assert!(action.starts_with(r#"{"userID":"user_"#), "{action}");
            assert!(action.contains(r#""eventTime":"2019-08-17 12:19:47""#), "{action}");
            assert!(action.ends_with(&format!(r#""productID":{number}}}"#)), "{action}");
        }
        Ok(())
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date_time(0), "1970-01-01 00:00:00");
        assert_eq!(date_time(951_782_399_999), "2000-02-28 23:59:59");
        assert_eq!(date_time(951_782_400_000), "2000-02-29 00:00:00");
        assert_eq!(date_time(-1), "1969-12-31 23:59:59");
        assert_eq!(date_time(4_107_542_400_000), "2100-03-01 00:00:00");
    }
}
