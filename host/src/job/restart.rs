//! Whether a job that failed starts again, and when. Flink's strategies as a state machine: told
//! the time of each failure, it decides. It neither waits nor starts anything.

use std::collections::VecDeque;
use std::time::Duration;

use super::plan::{ExponentialDelayPlan, RestartPlan};
use crate::env::Random;
use crate::model::millis;

/// What becomes of a job that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It starts again.
    Restart {
        /// After this time.
        after: Duration,
    },
    /// It ends.
    GiveUp {
        /// Why there is no restart, as a sentence without its full stop; empty if the strategy is
        /// none, which needs no reason.
        reason: String,
    },
}

/// A restart strategy and what it remembers of one run.
#[derive(Debug)]
pub struct Restarts {
    strategy: Strategy,
}

#[derive(Debug)]
enum Strategy {
    None,
    FixedDelay { attempts: u32, delay: Duration, done: u32 },
    FailureRate(FailureRate),
    ExponentialDelay(ExponentialDelay),
}

impl Restarts {
    /// A run that has not failed yet. Delays that differ at random do so by `seed`: runs of several
    /// machines should not all come back at once.
    pub fn new(plan: &RestartPlan, seed: u64) -> Self {
        let strategy = match *plan {
            RestartPlan::None => Strategy::None,
            RestartPlan::FixedDelay { attempts, delay } => {
                Strategy::FixedDelay { attempts, delay, done: 0 }
            }
            RestartPlan::FailureRate { failures, interval, delay } => {
                let recent_ms = VecDeque::new();
                Strategy::FailureRate(FailureRate { failures, interval, delay, recent_ms })
            }
            RestartPlan::ExponentialDelay(plan) => Strategy::ExponentialDelay(ExponentialDelay {
                plan,
                next_delay: plan.initial_delay,
                done: 0,
                restarted_ms: i64::MIN,
                random: Random::new(seed),
            }),
        };
        Self { strategy }
    }

    /// Decides what becomes of the job, which failed at `now_ms`. Restarting counts from there: who
    /// is told to restart does so after the delay.
    pub fn on_failure(&mut self, now_ms: i64) -> Decision {
        match &mut self.strategy {
            Strategy::None => Decision::GiveUp { reason: String::new() },
            Strategy::FixedDelay { attempts, done, .. } if *done >= *attempts => {
                give_up(format!("{} made, as many as `restart.attempts` allows", restarts(*done)))
            }
            Strategy::FixedDelay { delay, done, .. } => {
                *done += 1;
                Decision::Restart { after: *delay }
            }
            Strategy::FailureRate(strategy) => strategy.on_failure(now_ms),
            Strategy::ExponentialDelay(strategy) => strategy.on_failure(now_ms),
        }
    }
}

fn give_up(reason: String) -> Decision {
    Decision::GiveUp { reason }
}

/// "1 restart was", "3 restarts were".
fn restarts(count: u32) -> String {
    if count == 1 { "1 restart was".into() } else { format!("{count} restarts were") }
}

#[derive(Debug)]
struct FailureRate {
    failures: u32,
    interval: Duration,
    delay: Duration,
    /// When the last failures were; at most one more than `failures`.
    recent_ms: VecDeque<i64>,
}

impl FailureRate {
    fn on_failure(&mut self, now_ms: i64) -> Decision {
        self.recent_ms.push_back(now_ms);
        let begin = now_ms.saturating_sub(millis(self.interval));
        while self.recent_ms.front().is_some_and(|time| *time <= begin) {
            self.recent_ms.pop_front();
        }
        if self.recent_ms.len() <= self.failures as usize {
            return Decision::Restart { after: self.delay };
        }
        let (count, seconds) = (self.recent_ms.len(), self.interval.as_secs_f64());
        give_up(format!(
            "{count} failures within {seconds} s are more than `restart.failures` allows"
        ))
    }
}

#[derive(Debug)]
struct ExponentialDelay {
    plan: ExponentialDelayPlan,
    /// Before the next restart, without jitter.
    next_delay: Duration,
    /// Restarts since the delay was the initial one.
    done: u32,
    /// When the job last started again.
    restarted_ms: i64,
    random: Random,
}

impl ExponentialDelay {
    fn on_failure(&mut self, now_ms: i64) -> Decision {
        let ran = now_ms.saturating_sub(self.restarted_ms);
        if ran >= millis(self.plan.reset_after) {
            self.next_delay = self.plan.initial_delay;
            self.done = 0;
        }
        if self.plan.attempts.is_some_and(|attempts| self.done >= attempts) {
            let (done, seconds) = (restarts(self.done), self.plan.reset_after.as_secs_f64());
            return give_up(format!(
                "{done} made, as many as `restart.attempts` allows, and none ran well for \
                 {seconds} s"
            ));
        }
        let share = 1.0 + self.plan.jitter * (2.0 * self.random.share() - 1.0);
        let after =
            self.next_delay.mul_f64(share).clamp(self.plan.initial_delay, self.plan.max_delay);
        let longer = self.next_delay.as_secs_f64() * self.plan.multiplier;
        self.next_delay = match Duration::try_from_secs_f64(longer) {
            Ok(longer) => longer.min(self.plan.max_delay),
            Err(_) => self.plan.max_delay,
        };
        self.done = self.done.saturating_add(1);
        self.restarted_ms = now_ms.saturating_add(millis(after));
        Decision::Restart { after }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn exponential(jitter: f64, attempts: Option<u32>) -> RestartPlan {
        RestartPlan::ExponentialDelay(ExponentialDelayPlan {
            initial_delay: SECOND,
            max_delay: 10 * SECOND,
            multiplier: 2.0,
            jitter,
            reset_after: 60 * SECOND,
            attempts,
        })
    }

    fn after(decision: Decision) -> Duration {
        match decision {
            Decision::Restart { after } => after,
            Decision::GiveUp { reason } => panic!("gives up: {reason}"),
        }
    }

    fn reason(decision: Decision) -> String {
        match decision {
            Decision::GiveUp { reason } => reason,
            Decision::Restart { after } => panic!("restarts after {after:?}"),
        }
    }

    #[test]
    fn none_gives_up_without_a_word() {
        assert_eq!(reason(Restarts::new(&RestartPlan::None, 0).on_failure(5)), "");
    }

    #[test]
    fn fixed_delay_counts_all_restarts_of_a_run() {
        let plan = RestartPlan::FixedDelay { attempts: 2, delay: SECOND };
        let mut restarts = Restarts::new(&plan, 0);
        assert_eq!(after(restarts.on_failure(0)), SECOND);
        assert_eq!(after(restarts.on_failure(1_000_000_000)), SECOND);
        let reason = reason(restarts.on_failure(2_000_000_000));
        assert_eq!(reason, "2 restarts were made, as many as `restart.attempts` allows");
    }

    #[test]
    fn failure_rate_forgets_what_is_long_ago() {
        let interval = 10 * SECOND;
        let plan = RestartPlan::FailureRate { failures: 2, interval, delay: SECOND };
        let mut restarts = Restarts::new(&plan, 0);
        for now_ms in [0, 9_000, 10_000, 19_000, 29_000] {
            assert_eq!(after(restarts.on_failure(now_ms)), SECOND, "at {now_ms}");
        }
        after(restarts.on_failure(30_000));
        assert_eq!(
            reason(restarts.on_failure(38_999)),
            "3 failures within 10 s are more than `restart.failures` allows"
        );
    }

    #[test]
    fn exponential_delays_grow_up_to_a_limit_and_start_over_after_a_good_run() {
        let mut restarts = Restarts::new(&exponential(0.0, None), 0);
        let mut now_ms = 0;
        for seconds in [1, 2, 4, 8, 10, 10] {
            let delay = after(restarts.on_failure(now_ms));
            assert_eq!(delay, seconds * SECOND);
            now_ms += millis(delay) + 59_999;
        }
        let delay = after(restarts.on_failure(now_ms));
        assert_eq!(delay, 10 * SECOND);
        now_ms += millis(delay) + 60_000;
        assert_eq!(after(restarts.on_failure(now_ms)), SECOND, "it ran well for a minute");
    }

    #[test]
    fn exponential_attempts_count_from_the_last_good_run() {
        let mut restarts = Restarts::new(&exponential(0.0, Some(1)), 0);
        after(restarts.on_failure(0));
        after(restarts.on_failure(61_000));
        assert_eq!(
            reason(restarts.on_failure(121_999)),
            "1 restart was made, as many as `restart.attempts` allows, and none ran well for 60 s"
        );
    }

    #[test]
    fn the_strategy_of_a_job_that_names_none_lasts_for_minutes() {
        let mut restarts = Restarts::new(&RestartPlan::with_checkpoints(), 7);
        let mut waited = Duration::ZERO;
        while let Decision::Restart { after } = restarts.on_failure(millis(waited)) {
            waited += after;
        }
        let minutes = waited.as_secs_f64() / 60.0;
        assert!((11.0..13.0).contains(&minutes), "{minutes} minutes");
    }

    proptest! {
        /// Whenever failures come and whatever the numbers: delays stay within their limits and
        /// their jitter, and the same seed decides the same.
        #[test]
        fn exponential_delays_stay_within_limits(
            seed: u64,
            jitter in 0.0..=1.0,
            multiplier in 1.001..1e9_f64,
            initial_ms in 1_u64..100_000,
            more_ms in 0_u64..1_000_000_000,
            runs_ms in prop::collection::vec(0_i64..4_000_000, 1..50),
        ) {
            let initial_delay = Duration::from_millis(initial_ms);
            let max_delay = Duration::from_millis(initial_ms + more_ms);
            let plan = RestartPlan::ExponentialDelay(ExponentialDelayPlan {
                initial_delay,
                max_delay,
                multiplier,
                jitter,
                reset_after: Duration::from_secs(3600),
                attempts: None,
            });
            let mut restarts = Restarts::new(&plan, seed);
            let mut same = Restarts::new(&plan, seed);
            let (mut now_ms, mut plain) = (0_i64, initial_delay.as_secs_f64());
            for run_ms in runs_ms {
                if run_ms >= 3_600_000 {
                    plain = initial_delay.as_secs_f64();
                }
                now_ms += run_ms;
                let delay = after(restarts.on_failure(now_ms));
                prop_assert_eq!(delay, after(same.on_failure(now_ms)));
                prop_assert!(delay >= initial_delay && delay <= max_delay);
                let off = (delay.as_secs_f64() - plain).abs();
                // A millisecond for the rounding of times.
                prop_assert!(off <= plain * jitter + 0.001, "{delay:?} instead of {plain} s");
                plain = (plain * multiplier).min(max_delay.as_secs_f64());
                now_ms += millis(delay);
            }
        }

        /// Never more failures within the interval than allowed without giving up, and no giving up
        /// without that: as counted over the whole history.
        #[test]
        fn failure_rate_counts_as_the_whole_history_does(
            failures in 1_u32..5,
            steps_ms in prop::collection::vec(0_i64..3_000, 1..60),
        ) {
            let interval = 5 * SECOND;
            let plan = RestartPlan::FailureRate { failures, interval, delay: SECOND };
            let mut restarts = Restarts::new(&plan, 0);
            let (mut now_ms, mut history) = (0_i64, Vec::new());
            for step_ms in steps_ms {
                now_ms += step_ms;
                history.push(now_ms);
                let recent = history.iter().filter(|time| now_ms - **time < 5_000).count();
                let restarted = matches!(restarts.on_failure(now_ms), Decision::Restart { .. });
                prop_assert_eq!(restarted, recent <= failures as usize);
            }
        }
    }
}
