//! Which order was paid, and which was not within `wait`?
//!
//! Shows a function with two inputs that share the state of a key. An order waits for its payment
//! in a `ValueState`, a payment for its order in another; whichever comes second finds the first.
//! An event-time timer ends the waiting. Records of different inputs come in any order, and the
//! result is the same for each.
//!
//! After Flink's `KeyedCoProcessFunction`. Run it with
//!
//! ```text
//! tidegate build examples/match-payments
//! tidegate run examples/match-payments/job.toml
//! ```

use tidegate_sdk::prelude::*;

struct MatchPayments {
    wait_ms: i64,
    order: ValueState<(String, i64)>,
    payment: ValueState<(f64, i64)>,
}

impl MatchPayments {
    /// Waits for the other side, which may come up to `wait` later.
    fn wait(&self, time: i64, ctx: &mut KeyedContext<'_, String>) {
        ctx.register_event_time_timer(time.saturating_add(self.wait_ms));
    }
}

impl KeyedCoProcessFunction for MatchPayments {
    /// `order,user,time_ms`
    type In1<'a> = Csv<(&'a str, &'a str, i64)>;
    /// `order,amount,time_ms`
    type In2<'a> = Csv<(&'a str, f64, i64)>;
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        let wait = setup.param("wait", Duration::from_secs(10))?;
        Ok(Self {
            wait_ms: i64::try_from(wait.as_millis())?,
            order: setup.value_state("order"),
            payment: setup.value_state("payment"),
        })
    }

    fn process_element1(
        &mut self,
        Csv((order, user, time)): Self::In1<'_>,
        ctx: &mut KeyedContext<'_, String>,
    ) -> Result<()> {
        match self.payment.value(ctx)? {
            Some((amount, paid)) if (time - paid).abs() <= self.wait_ms => {
                ctx.collect(format!("{order},{user},{amount}"));
                self.payment.clear(ctx);
            }
            _ => {
                self.order.update(ctx, &(user.to_owned(), time))?;
                self.wait(time, ctx);
            }
        }
        Ok(())
    }

    fn process_element2(
        &mut self,
        Csv((order, amount, time)): Self::In2<'_>,
        ctx: &mut KeyedContext<'_, String>,
    ) -> Result<()> {
        match self.order.value(ctx)? {
            Some((user, ordered)) if (time - ordered).abs() <= self.wait_ms => {
                ctx.collect(format!("{order},{user},{amount}"));
                self.order.clear(ctx);
            }
            _ => {
                self.payment.update(ctx, &(amount, time))?;
                self.wait(time, ctx);
            }
        }
        Ok(())
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut KeyedContext<'_, String>) -> Result<()> {
        let order = ctx.key_str()?;
        let is_over = |time: i64| time.saturating_add(self.wait_ms) <= timer.timestamp;
        if let Some((user, time)) = self.order.value(ctx)?
            && is_over(time)
        {
            ctx.collect(format!("{order},{user},not paid"));
            self.order.clear(ctx);
        }
        if let Some((amount, time)) = self.payment.value(ctx)?
            && is_over(time)
        {
            ctx.collect(format!("{order},not ordered,{amount}"));
            self.payment.clear(ctx);
        }
        Ok(())
    }
}

tidegate_sdk::export!(keyed_co_process: MatchPayments);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    fn whichever_comes_second_finds_the_first() -> Result<()> {
        let mut payments = Harness::keyed_co_process::<MatchPayments>().open()?;
        payments.push1("o1", "o1,ann,1000", 1_000)?;
        payments.push2("o1", "o1,9.5,3000", 3_000)?;
        payments.push2("o2", "o2,7.25,4000", 4_000)?;
        payments.push1("o2", "o2,ben,2000", 2_000)?;
        assert_eq!(payments.take_output(), ["o1,ann,9.5", "o2,ben,7.25"]);
        assert!(payments.finish()?.is_empty());
        Ok(())
    }

    #[test]
    fn the_waiting_ends() -> Result<()> {
        let mut payments =
            Harness::keyed_co_process::<MatchPayments>().param("wait", "1s").open()?;
        payments.push1("o1", "o1,ann,1000", 1_000)?;
        payments.push2("o2", "o2,7.25,1500", 1_500)?;
        payments.advance_watermark(2_000)?;
        assert_eq!(payments.take_output(), ["o1,ann,not paid"]);
        assert_eq!(payments.finish()?, ["o2,not ordered,7.25"]);
        Ok(())
    }
}
