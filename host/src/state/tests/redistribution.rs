//! Checkpoints of some partitions that others go on from, by key group.

use proptest::prelude::*;

use super::cases;
use super::cluster::Cluster;
use super::contents::states;
use super::partition::Disk;
use super::steps::story;

proptest! {
    #![proptest_config(cases(128))]

    #[test]
    fn any_number_of_partitions_goes_on_from_any_other((start, steps, last) in story(1..=4)) {
        let disk = Disk::new();
        let mut cluster = Cluster::new(&disk, states(), start);
        steps.into_iter().for_each(|step| cluster.take(step));
        cluster.finish(last);
    }
}
