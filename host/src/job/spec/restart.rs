//! `[restart]`. Defaults are Flink's.

use std::time::Duration;

use super::document::Value;
use super::section::{At, Mismatch, Section};
use super::values;
use crate::job::plan::{ExponentialDelayPlan, RestartPlan};

const DELAY_DEFAULT: Duration = Duration::from_secs(1);
const DELAY_MAX_DEFAULT: Duration = Duration::from_secs(60);
const FAILURE_INTERVAL_DEFAULT: Duration = Duration::from_secs(60);
const MULTIPLIER_DEFAULT: f64 = 1.5;
const JITTER_DEFAULT: f64 = 0.1;
const RESET_AFTER_DEFAULT: Duration = Duration::from_secs(3600);

/// Reads `[restart]`; none if there is none, or if that is reported.
pub fn read(root: &mut Section<'_, '_>) -> Option<RestartPlan> {
    let mut section = root.section("restart")?;
    let strategy = section.required("strategy", "\"fixed-delay\"", strategy);
    // Without a strategy it is not known which keys belong to it.
    let strategy = strategy?;
    let plan = match *strategy {
        Strategy::None => RestartPlan::None,
        Strategy::FixedDelay => RestartPlan::FixedDelay {
            attempts: section.or("attempts", values::positive_u32, 1),
            delay: section.or("delay", values::duration, DELAY_DEFAULT),
        },
        Strategy::FailureRate => RestartPlan::FailureRate {
            failures: section.or("failures", values::positive_u32, 1),
            interval: section.or("interval", values::positive_duration, FAILURE_INTERVAL_DEFAULT),
            delay: section.or("delay", values::duration, DELAY_DEFAULT),
        },
        Strategy::ExponentialDelay => read_exponential(&mut section),
    };
    // Keys of the strategy that `--set` replaces are no mistake.
    if !strategy.is_argument() {
        section.finish();
    }
    Some(plan)
}

fn read_exponential(section: &mut Section<'_, '_>) -> RestartPlan {
    let initial = section.optional("initial_delay", values::positive_duration);
    let max = section.optional("max_delay", values::positive_duration);
    let initial_delay = initial.as_ref().map_or(DELAY_DEFAULT, |at| at.value);
    let max_delay = max.as_ref().map_or(DELAY_MAX_DEFAULT, |at| at.value);
    if let Some(at) = max.as_ref().or(initial.as_ref())
        && max_delay < initial_delay
    {
        let problem = at.problem("does not fit: `max_delay` is below `initial_delay`");
        section.report(problem.hint("raise `max_delay`, or lower `initial_delay`"));
    }
    RestartPlan::ExponentialDelay(ExponentialDelayPlan {
        initial_delay,
        max_delay,
        multiplier: section.or("multiplier", values::factor, MULTIPLIER_DEFAULT),
        jitter: section.or("jitter", values::share, JITTER_DEFAULT),
        reset_after: section.or("reset_after", values::positive_duration, RESET_AFTER_DEFAULT),
        attempts: section.optional("attempts", values::positive_u32).map(|at: At<u32>| at.value),
    })
}

#[derive(Clone, Copy)]
enum Strategy {
    None,
    FixedDelay,
    FailureRate,
    ExponentialDelay,
}

fn strategy(value: &Value) -> Result<Strategy, Mismatch> {
    let words = [
        ("none", Strategy::None),
        ("fixed-delay", Strategy::FixedDelay),
        ("failure-rate", Strategy::FailureRate),
        ("exponential-delay", Strategy::ExponentialDelay),
    ];
    values::word(value, &words)
}
