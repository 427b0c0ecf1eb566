//! Counts from 1 to `count` (1000), a number a line, and tells the squares of the numbers so far.
//!
//! Shows a source function: the host asks it for records when it has room for more, and where it
//! goes on after a restart is operator state, kept with the checkpoint that knows which numbers
//! have arrived. It can name the time at which it wants to be asked again: with `every` (none) it
//! gives one number, then nothing for that long.
//!
//! After the `SourceFunction`s of Flink programs, without their thread and their lock. Run it with
//!
//! ```text
//! tidegate build examples/number-source
//! tidegate run examples/number-source/job.toml
//! ```

use tidegate_sdk::prelude::*;

struct NumberSource {
    count: u64,
    every: Duration,
    next: u64,
    position: OperatorListState<u64>,
}

impl SourceFunction for NumberSource {
    /// `number,number mod 10`
    type Out = Csv<(u64, u64)>;

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self {
            count: setup.param("count", 1000)?,
            every: setup.param("every", Duration::ZERO)?,
            next: 1,
            position: setup.operator_list_state("position"),
        })
    }

    fn poll_next(&mut self, ctx: &mut SourceContext<'_, Self::Out>) -> Result<NextPoll> {
        let most = if self.every.is_zero() { ctx.records_max() } else { 1 };
        for _ in 0..most {
            if self.next > self.count {
                return Ok(NextPoll::Never);
            }
            ctx.collect(Csv((self.next, self.next % 10)));
            self.next += 1;
        }
        if self.every.is_zero() {
            return Ok(NextPoll::Now);
        }
        Ok(NextPoll::At(ctx.processing_time() + i64::try_from(self.every.as_millis())?))
    }

    fn snapshot_state(&mut self, ctx: &mut SnapshotContext<'_>) -> Result<()> {
        self.position.update(ctx, [self.next])
    }

    fn initialize_state(&mut self, ctx: &mut InitializationContext<'_>) -> Result<()> {
        if let Some(next) = self.position.get(ctx)?.first() {
            self.next = *next;
        }
        Ok(())
    }
}

tidegate_sdk::export!(source: NumberSource);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    fn goes_on_where_it_was() -> Result<()> {
        let mut source = Harness::source::<NumberSource>().param("count", "3").open()?;
        assert_eq!(source.poll(2)?, NextPoll::Now);
        source.restart()?;
        assert_eq!(source.poll(2)?, NextPoll::Never);
        assert_eq!(source.take_output(), ["1,1", "2,2", "3,3"]);
        Ok(())
    }

    #[test]
    fn says_when_it_wants_to_be_asked_again() -> Result<()> {
        let mut source = Harness::source::<NumberSource>().param("every", "5s").open()?;
        source.advance_processing_time(7_000)?;
        assert_eq!(source.poll(100)?, NextPoll::At(12_000));
        assert_eq!(source.take_output(), ["1,1"]);
        Ok(())
    }
}
