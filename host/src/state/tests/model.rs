//! The model: what the partitions of an operator should hold all together.

use std::collections::{BTreeMap, BTreeSet};

use super::content::Content;
use crate::model::{TIME_END, TIME_NONE, TimeDomain, Ttl};
use crate::state::StateSettings;

/// What all partitions together should hold.
#[derive(Debug, Clone)]
pub(super) struct Model {
    /// By key and state.
    pub(super) states: BTreeMap<(Vec<u8>, usize), Content>,
    /// Whether it is in event time, when it is due, and whose it is.
    pub(super) timers: BTreeSet<(bool, i64, Vec<u8>)>,
    pub(super) watermark: i64,
    pub(super) processing: i64,
    /// By state: what was last accessed then or before may have been removed.
    pub(super) lost: Vec<Option<i64>>,
}

/// Whether a value was last accessed at `horizon` or before.
pub(super) fn is_over(value: &[u8], horizon: i64) -> bool {
    let stamp = i64::from_le_bytes(value[..8].try_into().unwrap());
    stamp != TIME_NONE && stamp <= horizon
}

impl Model {
    pub(super) fn new(states: usize, processing: i64) -> Self {
        let (watermark, lost) = (TIME_NONE, vec![None; states]);
        Self { states: BTreeMap::new(), timers: BTreeSet::new(), watermark, processing, lost }
    }

    /// The last accesses that have expired now.
    pub(super) fn horizon(&self, ttl: &Ttl) -> Option<i64> {
        let now = match ttl.domain {
            TimeDomain::Event => self.watermark,
            TimeDomain::Processing => self.processing,
        };
        let tells = now != TIME_NONE && now != TIME_END;
        tells.then(|| now - i64::try_from(ttl.time_ms).unwrap())
    }

    /// Takes note that what has expired may be removed from some states.
    pub(super) fn lose(&mut self, states: &[StateSettings], may_go: impl Fn(&Ttl) -> bool) {
        for (state, settings) in states.iter().enumerate() {
            if let Some(ttl) = settings.ttl.filter(&may_go) {
                self.lost[state] = self.lost[state].max(self.horizon(&ttl));
            }
        }
    }

    pub(super) fn get(&self, key: &[u8], state: usize) -> Option<&Content> {
        self.states.get(&(key.to_vec(), state))
    }

    /// Holds what was found against what should be there, and goes on with what was found.
    pub(super) fn settle(&mut self, key: &[u8], state: usize, found: Option<Content>) {
        let lost = self.lost[state];
        let may_go = |value: &[u8]| lost.is_some_and(|lost| is_over(value, lost));
        let place = (key.to_vec(), state);
        let expected = self.states.remove(&place);
        let fits = match (&found, &expected) {
            (None, None) => true,
            (None, Some(all)) => all.values().into_iter().all(may_go),
            (Some(found), Some(all)) => found.is_left_of(all, may_go),
            (Some(_), None) => false,
        };
        assert!(fits, "{place:?} is {found:?} in place of {expected:?}, of which {lost:?} may go");
        if let Some(found) = found {
            self.states.insert(place, found);
        }
    }

    /// The time of an access.
    pub(super) fn stamp(&self, ttl: &Ttl, ahead: Option<i64>) -> i64 {
        match (ttl.domain, ahead, self.watermark) {
            (TimeDomain::Processing, ..) => self.processing,
            (_, None, watermark) => watermark,
            (_, _, TIME_END) => TIME_NONE,
            (_, Some(ahead), TIME_NONE) => ahead,
            (_, Some(ahead), watermark) => watermark + ahead,
        }
    }
}
