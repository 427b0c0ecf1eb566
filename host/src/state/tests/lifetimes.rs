//! Times to live: what is removed has expired, whatever removes it, and nothing lives longer
//! because it was restored.

use proptest::prelude::*;

use super::cases;
use super::cluster::Cluster;
use super::contents::states;
use super::partition::Disk;
use super::steps::{STATES, form, story};
use crate::model::{TimeDomain, Ttl, TtlUpdate, TtlVisibility};
use crate::state::{Restamp, StateSettings};

fn ttl() -> impl Strategy<Value = Ttl> {
    let domain = prop_oneof![Just(TimeDomain::Event), Just(TimeDomain::Processing)];
    let update = prop_oneof![Just(TtlUpdate::OnCreateAndWrite), Just(TtlUpdate::OnReadAndWrite)];
    let visibility = prop_oneof![
        Just(TtlVisibility::NeverReturnExpired),
        Just(TtlVisibility::ReturnExpiredIfNotCleanedUp),
    ];
    let cleanup = (any::<bool>(), prop_oneof![Just(0), 1..4_u32], any::<bool>());
    (1..25_u64, domain, update, visibility, cleanup).prop_map(
        |(time_ms, domain, update, visibility, (snapshot, incrementally, compaction))| Ttl {
            time_ms,
            domain,
            update,
            visibility,
            cleanup_in_full_snapshot: snapshot,
            cleanup_incrementally: incrementally,
            cleanup_in_compaction: compaction,
        },
    )
}

/// States of which each lives as long as it says.
fn states_with(ttls: [Option<Ttl>; STATES]) -> Vec<StateSettings> {
    let states = states().into_iter().zip(ttls);
    states.map(|(state, ttl)| StateSettings { ttl, ..state }).collect()
}

fn ttls() -> impl Strategy<Value = [Option<Ttl>; STATES]> {
    prop::array::uniform(prop::option::weighted(0.8, ttl()))
}

/// What a job makes of access times of a state that has another time to live now.
fn restamp(had: &StateSettings, has: &StateSettings, cluster: &Cluster<'_>) -> Restamp {
    let stamp = |domain| match domain {
        TimeDomain::Event => cluster.model.watermark,
        TimeDomain::Processing => cluster.model.processing,
    };
    match [had, has].map(|state| state.ttl.map(|ttl| ttl.domain)) {
        [None, Some(has)] => Restamp::Add(stamp(has)),
        [Some(_), None] => Restamp::Remove,
        [Some(had), Some(has)] if had != has => Restamp::Replace(stamp(has)),
        _ => Restamp::Keep,
    }
}

proptest! {
    #![proptest_config(cases(160))]

    #[test]
    fn only_what_has_expired_is_removed(ttls in ttls(), (start, steps, last) in story(1..=2)) {
        let disk = Disk::new();
        let mut cluster = Cluster::new(&disk, states_with(ttls), start);
        steps.into_iter().for_each(|step| cluster.take(step));
        cluster.finish(last);
    }
}

proptest! {
    #![proptest_config(cases(32))]

    #[test]
    fn a_restore_adds_replaces_and_removes_access_times(
        had in ttls(),
        has in ttls(),
        (start, before, middle) in story(1..=2),
        (_, after, last) in story(1..=2),
        form in form(),
    ) {
        let disk = Disk::new();
        let never = |ttl: Ttl| Ttl {
            cleanup_in_full_snapshot: false,
            cleanup_incrementally: 0,
            cleanup_in_compaction: false,
            ..ttl
        };
        // Nobody removes anything, so that the model knows all that gets new access times.
        let had = states_with(had.map(|ttl| ttl.map(never)));
        let has = states_with(has);
        let mut cluster = Cluster::new(&disk, had.clone(), start);
        before.into_iter().for_each(|step| cluster.take(step));
        cluster.complete(form);
        let both = had.iter().zip(&has);
        let restamps: Vec<Restamp> =
            both.map(|(had, has)| restamp(had, has, &cluster)).collect();
        cluster.change_lifetimes(has, &restamps, middle);
        cluster.check_all();
        after.into_iter().for_each(|step| cluster.take(step));
        cluster.finish(last);
    }
}
