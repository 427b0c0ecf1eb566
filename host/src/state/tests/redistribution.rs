//! Checkpoints of some partitions that others go on from, by key group.

use proptest::prelude::*;

use super::cases;
use super::cluster::Cluster;
use super::contents::states;
use super::partition::{Backend, Disk};
use super::steps::{Crash, Step, story};
use crate::state::SnapshotForm;

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn any_number_of_partitions_goes_on_from_any_other((start, steps, last) in story(1..=4)) {
        let disk = Disk::new();
        let mut cluster = Cluster::new(&disk, states(), start);
        steps.into_iter().for_each(|step| cluster.take(step));
        cluster.finish(last);
    }
}

#[test]
fn one_to_four_partitions_go_on_from_one_to_four() {
    let disk = Disk::new();
    let backends = [Backend::HashMap, Backend::RocksDb(2_000)];
    let all = || {
        backends.into_iter().flat_map(|backend| {
            let of = move |parallelism| Crash { backend, parallelism, is_reversed: false };
            (1..=4).map(of)
        })
    };
    for (from, form) in all()
        .flat_map(|from| [SnapshotForm::Native, SnapshotForm::Canonical].map(|form| (from, form)))
    {
        let mut cluster = Cluster::new(&disk, states(), from);
        cluster.take(Step::Fill(100));
        cluster.complete(form);
        cluster.take(Step::Fill(40));
        all().for_each(|to| cluster.crash(to));
    }
}
