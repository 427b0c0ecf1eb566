//! How long something outside that fails is tried again, and how often. Knows no connector: the
//! threads of those that reach over a network ask it.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use crate::env::Stopwatch;
use crate::job::plan::RetryPlan;

/// Before the second try.
const FIRST_DELAY: Duration = Duration::from_millis(100);

/// Failures in a row.
pub(super) struct Patience {
    plan: RetryPlan,
    failures: u32,
    since_first: Option<Stopwatch>,
}

/// What follows from a failure.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Try again after this time.
    Wait(Duration),
    /// It has lasted too long.
    GiveUp,
}

impl Patience {
    /// With something that has not failed yet.
    pub(super) fn new(plan: RetryPlan) -> Self {
        Self { plan, failures: 0, since_first: None }
    }

    /// Takes note of a success. Returns how many failures came before it.
    pub(super) fn worked(&mut self) -> u32 {
        self.since_first = None;
        std::mem::take(&mut self.failures)
    }

    /// Takes note of a failure.
    pub(super) fn failed(&mut self) -> Verdict {
        let lasted = self.since_first.get_or_insert_with(Stopwatch::start).elapsed();
        self.verdict(lasted)
    }

    fn verdict(&mut self, lasted: Duration) -> Verdict {
        if self.plan.give_up_after.is_some_and(|most| lasted >= most) {
            return Verdict::GiveUp;
        }
        // Past 2^20 the longest delay counts, whatever it is.
        let delay = FIRST_DELAY.saturating_mul(1 << self.failures.min(20));
        self.failures = self.failures.saturating_add(1);
        Verdict::Wait(delay.min(self.plan.max_delay))
    }
}

/// Waits, unless the other end of `gone` is dropped meanwhile: then there is nobody to go on for.
pub(super) fn wait<T>(gone: &Receiver<T>, delay: Duration) -> Result<(), ()> {
    match gone.recv_timeout(delay) {
        Err(RecvTimeoutError::Timeout) => Ok(()),
        Ok(_) | Err(RecvTimeoutError::Disconnected) => Err(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patience(give_up_after: Option<u64>) -> Patience {
        let give_up_after = give_up_after.map(Duration::from_millis);
        Patience::new(RetryPlan { give_up_after, max_delay: Duration::from_millis(500) })
    }

    fn ms(ms: u64) -> Verdict {
        Verdict::Wait(Duration::from_millis(ms))
    }

    #[test]
    fn waits_longer_each_time_until_it_worked() {
        let mut patience = patience(None);
        let mut next = || patience.verdict(Duration::from_secs(1_000_000));
        assert_eq!([next(), next(), next(), next(), next()], [100, 200, 400, 500, 500].map(ms));
        assert_eq!(patience.worked(), 5);
        assert_eq!(patience.failed(), ms(100));
        patience.failures = u32::MAX;
        assert_eq!(patience.failed(), ms(500));
    }

    #[test]
    fn gives_up_after_its_time() {
        let mut patience = patience(Some(300));
        assert_eq!(patience.verdict(Duration::ZERO), ms(100));
        assert_eq!(patience.verdict(Duration::from_millis(299)), ms(200));
        assert_eq!(patience.verdict(Duration::from_millis(300)), Verdict::GiveUp);
        assert_eq!(self::patience(Some(0)).failed(), Verdict::GiveUp);
    }

    #[test]
    fn nobody_waits_for_nobody() {
        let (here, gone) = std::sync::mpsc::channel::<()>();
        assert_eq!(wait(&gone, Duration::from_millis(1)), Ok(()));
        drop(here);
        assert_eq!(wait(&gone, Duration::from_secs(3600)), Err(()));
    }
}
