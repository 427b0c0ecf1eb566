//! The time of a source: the least watermark of its lanes, those left out that give nothing for a
//! while. Most sources have one lane; a Kafka source has one for each partition.

use crate::model::{TIME_END, TIME_NONE};

/// Lanes and the watermark in force. A test and the source's loop drive it.
#[derive(Debug)]
pub(super) struct SourceTimes {
    lanes: Vec<Lane>,
    current: usize,
    /// After so long without a record a lane is idle; none = never.
    idle_after_ms: Option<i64>,
    /// The watermark after the last record. Never falls.
    pub(super) watermark: i64,
    /// The watermark of the current lane by itself.
    own: i64,
    /// The least of the other lanes while the current one is read.
    others: i64,
}

#[derive(Debug)]
struct Lane {
    watermark: i64,
    last_record_ms: i64,
}

/// Who is idle.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Idle {
    /// All lanes.
    All,
    /// Not all; the next one will be at this time, unless it gives something before.
    Next(Option<i64>),
}

impl SourceTimes {
    /// One lane, with this watermark in force at processing time `now`.
    pub(super) fn new(watermark: i64, idle_after_ms: Option<i64>, now: i64) -> Self {
        let lane = Lane { watermark, last_record_ms: now };
        Self {
            lanes: vec![lane],
            current: 0,
            idle_after_ms,
            watermark,
            own: watermark,
            others: TIME_END,
        }
    }

    fn is_idle(&self, lane: &Lane, now: i64) -> bool {
        self.idle_after_ms.is_some_and(|after| lane.last_record_ms.saturating_add(after) <= now)
    }

    fn minimum_without(&self, left_out: Option<usize>, now: i64) -> i64 {
        let lanes = self.lanes.iter().enumerate();
        let others = lanes.filter(|(index, _)| Some(*index) != left_out);
        let awake = others.map(|(_, lane)| lane).filter(|lane| !self.is_idle(lane, now));
        awake.map(|lane| lane.watermark).min().unwrap_or(TIME_END)
    }

    /// Before records of a step: there may be more lanes, and some may have become idle.
    pub(super) fn begin_step(&mut self, lanes: usize, now: i64) {
        while self.lanes.len() < lanes {
            // It holds time where it is.
            self.lanes.push(Lane { watermark: self.watermark, last_record_ms: now });
        }
        if self.lanes.len() > 1 {
            self.others = self.minimum_without(Some(self.current), now);
        }
    }

    /// Notes the event time of a record of the current lane, less the delay.
    #[inline]
    pub(super) fn note(&mut self, behind: i64) {
        self.own = self.own.max(behind);
        self.watermark = self.watermark.max(self.own.min(self.others));
    }

    /// After records of a step; with `read` there were some.
    pub(super) fn end_step(&mut self, read: bool, now: i64) {
        let own = self.own;
        let lane = &mut self.lanes[self.current];
        lane.watermark = own;
        if read {
            lane.last_record_ms = now;
        }
    }

    /// Records to come are of this lane.
    pub(super) fn select(&mut self, lane: usize) {
        self.current = lane;
        self.own = self.lanes[lane].watermark;
    }

    /// Lets time rise over lanes that have become idle. Where all are, it is that of the one that
    /// has come furthest, whichever became idle last.
    pub(super) fn rise(&mut self, now: i64) -> Idle {
        let minimum = self.minimum_without(None, now);
        if self.lanes.iter().all(|lane| self.is_idle(lane, now)) {
            let furthest = self.lanes.iter().map(|lane| lane.watermark).max();
            self.watermark = self.watermark.max(furthest.unwrap_or(TIME_NONE));
            return Idle::All;
        }
        if self.lanes.len() > 1 {
            self.watermark = self.watermark.max(minimum);
        }
        let Some(after) = self.idle_after_ms else { return Idle::Next(None) };
        let awake = self.lanes.iter().filter(|lane| !self.is_idle(lane, now));
        Idle::Next(awake.map(|lane| lane.last_record_ms.saturating_add(after)).min())
    }

    /// The watermark, if there is one yet.
    pub(super) fn known(&self) -> Option<i64> {
        Some(self.watermark).filter(|time| *time > TIME_NONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(times: &mut SourceTimes, lane: usize, now: i64, behind: &[i64]) -> i64 {
        times.select(lane);
        times.begin_step(3, now);
        behind.iter().for_each(|time| times.note(*time));
        times.end_step(!behind.is_empty(), now);
        times.watermark
    }

    #[test]
    fn one_lane_has_the_time_of_its_records() {
        let mut times = SourceTimes::new(TIME_NONE, None, 0);
        times.begin_step(1, 0);
        times.note(5);
        assert_eq!(times.watermark, 5);
        times.note(3);
        times.end_step(true, 0);
        assert_eq!(times.known(), Some(5));
        assert_eq!(times.rise(i64::MAX), Idle::Next(None));
    }

    #[test]
    fn time_is_the_least_of_all_lanes() {
        let mut times = SourceTimes::new(TIME_NONE, None, 0);
        assert_eq!(read(&mut times, 0, 0, &[10]), TIME_NONE);
        assert_eq!(read(&mut times, 1, 0, &[7]), TIME_NONE);
        assert_eq!(read(&mut times, 2, 0, &[3]), 3);
        assert_eq!(read(&mut times, 2, 0, &[20]), 7);
        assert_eq!(read(&mut times, 1, 0, &[8, 15]), 10);
        assert_eq!(times.rise(1 << 40), Idle::Next(None));
    }

    #[test]
    fn an_idle_lane_holds_nobody_back_and_never_turns_time_back() {
        let mut times = SourceTimes::new(TIME_NONE, Some(100), 0);
        times.begin_step(3, 0);
        assert_eq!(read(&mut times, 0, 50, &[10]), TIME_NONE);
        assert_eq!(times.rise(99), Idle::Next(Some(100)));
        assert_eq!(times.watermark, TIME_NONE);
        // The other two have given nothing since the start.
        assert_eq!(times.rise(100), Idle::Next(Some(150)));
        assert_eq!(times.watermark, 10);
        assert_eq!(read(&mut times, 1, 120, &[4]), 10);
        assert_eq!(read(&mut times, 0, 130, &[30]), 10);
        assert_eq!(times.rise(229), Idle::Next(Some(230)));
        assert_eq!(times.rise(230), Idle::All);
        assert_eq!(times.watermark, 30);
    }

    #[test]
    fn lanes_that_become_idle_at_once_hold_nobody_back() {
        let mut times = SourceTimes::new(TIME_NONE, Some(100), 0);
        assert_eq!(read(&mut times, 0, 0, &[10]), TIME_NONE);
        assert_eq!(times.rise(100), Idle::All);
        assert_eq!(times.watermark, 10);
    }

    #[test]
    fn a_lane_that_is_new_holds_time_where_it_is() {
        let mut times = SourceTimes::new(50, None, 0);
        assert_eq!(read(&mut times, 0, 0, &[70]), 50);
        assert_eq!(read(&mut times, 1, 0, &[60]), 50);
        assert_eq!(read(&mut times, 2, 0, &[80]), 60);
    }
}
