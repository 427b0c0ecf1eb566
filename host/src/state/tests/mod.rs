//! Keyed state and timers of both backends against plain maps and sets: random changes, snapshots
//! at random moments, and crashes after which any backend goes on with any number of partitions.
//!
//! `PROPTEST_CASES` sets how many cases each test tries.

mod cluster;
mod content;
mod contents;
mod layouts;
mod lifetimes;
mod model;
mod partition;
mod redistribution;
mod steps;
mod timers;

use proptest::prelude::ProptestConfig;

/// So many cases, unless the environment asks for another number.
fn cases(number: u32) -> ProptestConfig {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig::with_cases(number),
    }
}
