//! Times to live: what is removed has expired, whatever removes it, and nothing lives longer
//! because it was restored.

use proptest::prelude::*;

use super::cases;
use super::cluster::Cluster;
use super::contents::states;
use super::partition::Disk;
use super::steps::{STATES, story};
use crate::model::{TimeDomain, Ttl, TtlUpdate, TtlVisibility};

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

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn only_what_has_expired_is_removed(
        ttls in prop::array::uniform5(prop::option::weighted(0.8, ttl())),
        (start, steps, last) in story(1..=2),
    ) {
        let disk = Disk::new();
        let mut states = states();
        assert_eq!(states.len(), STATES);
        states.iter_mut().zip(ttls).for_each(|(state, ttl)| state.ttl = ttl);
        let mut cluster = Cluster::new(&disk, states, start);
        steps.into_iter().for_each(|step| cluster.take(step));
        cluster.finish(last);
    }
}
