//! All kinds of state in one partition, on both backends and from one to the other.

use proptest::prelude::*;

use super::cases;
use super::cluster::Cluster;
use super::partition::Disk;
use super::steps::{STATES, story};
use crate::model::StateKind;
use crate::state::StateSettings;

/// States of all kinds that live for ever.
pub(super) fn states() -> Vec<StateSettings> {
    let kinds: [StateKind; STATES] = [
        StateKind::Value,
        StateKind::List,
        StateKind::Map,
        StateKind::Reducing,
        StateKind::Aggregating,
    ];
    kinds.map(|kind| StateSettings { kind, ttl: None }).into()
}

proptest! {
    #![proptest_config(cases(128))]

    #[test]
    fn states_and_timers_are_those_of_plain_maps((start, steps, last) in story(1..=1)) {
        let disk = Disk::new();
        let mut cluster = Cluster::new(&disk, states(), start);
        steps.into_iter().for_each(|step| cluster.take(step));
        cluster.finish(last);
    }
}
