//! A server that is away: how long to wait until the next try, when to give up, and what to tell of
//! it, once. It neither waits nor connects.

use std::time::Duration;

/// Before the second try.
const DELAY_FIRST: Duration = Duration::from_millis(100);

/// The longest delay.
const DELAY_MAX: Duration = Duration::from_secs(5);

/// Failures in a row.
#[derive(Debug)]
pub(super) struct Outage {
    retry_for: Duration,
    delay: Duration,
    is_told: bool,
}

/// What to do after a failure.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Wait so long and try again. It is the first failure: say so.
    TellAndWait(Duration),
    /// Wait so long and try again.
    Wait(Duration),
    /// It has been too long.
    GiveUp,
}

impl Outage {
    /// No failure yet. `retry_for` counts from the first one.
    pub(super) fn new(retry_for: Duration) -> Self {
        Self { retry_for, delay: DELAY_FIRST, is_told: false }
    }

    /// Another failure, so long after the first one.
    pub(super) fn failed(&mut self, since_first: Duration) -> Next {
        if since_first >= self.retry_for {
            return Next::GiveUp;
        }
        // The last try is at the very end of the time.
        let delay = self.delay.min(self.retry_for - since_first);
        self.delay = (self.delay * 2).min(DELAY_MAX);
        match std::mem::replace(&mut self.is_told, true) {
            false => Next::TellAndWait(delay),
            true => Next::Wait(delay),
        }
    }

    /// The server is there. Returns whether that is news.
    pub(super) fn is_over(&mut self) -> bool {
        self.delay = DELAY_FIRST;
        std::mem::take(&mut self.is_told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn waits_longer_each_time_and_tries_once_more_at_the_end() {
        let mut outage = Outage::new(ms(1000));
        assert_eq!(outage.failed(ms(0)), Next::TellAndWait(ms(100)));
        assert_eq!(outage.failed(ms(100)), Next::Wait(ms(200)));
        assert_eq!(outage.failed(ms(300)), Next::Wait(ms(400)));
        assert_eq!(outage.failed(ms(700)), Next::Wait(ms(300)));
        assert_eq!(outage.failed(ms(1000)), Next::GiveUp);
    }

    #[test]
    fn each_outage_is_told_once() {
        let mut outage = Outage::new(ms(60_000));
        assert!(!outage.is_over());
        for _ in 0..2 {
            assert_eq!(outage.failed(ms(0)), Next::TellAndWait(ms(100)));
            for _ in 0..20 {
                assert!(matches!(outage.failed(ms(1)), Next::Wait(delay) if delay <= DELAY_MAX));
            }
            assert!(outage.is_over());
            assert!(!outage.is_over());
        }
    }

    #[test]
    fn no_time_is_no_second_try() {
        assert_eq!(Outage::new(Duration::ZERO).failed(Duration::ZERO), Next::GiveUp);
    }
}
