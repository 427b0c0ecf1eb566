//! The number of clicks of each key so far, and their mean time.

use tidegate_sdk::prelude::*;

struct Mean;

impl RollingAggregateFunction for Mean {
    type In<'a> = Csv<(&'a str, &'a str, i64)>;
    /// Clicks, and the sum of their times; the user.
    type Acc = (u64, i64, String);
    /// `user,clicks,mean`, rounded down.
    type Out = Csv<(String, u64, i64)>;

    fn open(_setup: &mut Setup) -> Result<Self> {
        Ok(Self)
    }

    fn create_accumulator(&self) -> Self::Acc {
        (0, 0, String::new())
    }

    fn add(
        &mut self,
        Csv((user, _page, time)): Self::In<'_>,
        (clicks, sum, _): Self::Acc,
    ) -> Result<Self::Acc> {
        Ok((clicks + 1, sum + time, user.to_owned()))
    }

    fn get_result(&mut self, (clicks, sum, user): Self::Acc) -> Result<Self::Out> {
        Ok(Csv((user, clicks, sum.div_euclid(i64::try_from(clicks)?))))
    }
}

tidegate_sdk::export!(aggregate: Mean);
