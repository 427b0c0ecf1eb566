//! Each kind of windows by hand.

use super::{Every, numbers};
use crate::prelude::*;
use crate::testing::{Fault, FaultKind, Harness};

#[test]
fn a_tumbling_window_fires_when_the_watermark_reaches_its_last_millisecond() -> Result<(), Fault> {
    let mut tumbling = numbers("").open().unwrap();
    tumbling.push_all([("a", "n,1", 10), ("b", "n,2", 19), ("a", "n,3", 19), ("a", "n,4", 20)])?;
    assert_eq!(tumbling.event_time_timers("a"), [19, 29]);
    tumbling.advance_watermark(18)?;
    assert!(tumbling.take_output().is_empty());
    tumbling.advance_watermark(19)?;
    assert_eq!(tumbling.take_output(), ["a 10 20 [1, 3]", "b 10 20 [2]"]);
    let windows = tumbling.map_state::<TimeWindow, Vec<i64>>("windows", "a").unwrap();
    assert_eq!(windows, [(TimeWindow { start: 20, end: 30 }, vec![4])]);
    assert_eq!(tumbling.value_state::<u64>("fired", "a").unwrap(), Some(1));
    assert_eq!(tumbling.finish()?, ["a 20 30 [4]"]);
    Ok(())
}

#[test]
fn windows_before_1970_and_with_an_offset_are_aligned() -> Result<(), Fault> {
    let mut tumbling = numbers("offset=3ms").open().unwrap();
    for (record, time) in [("n,1", -8), ("n,2", -7), ("n,3", 2), ("n,4", 3), ("n,5", -17)] {
        tumbling.push("a", record, time)?;
    }
    let lines = ["a -17 -7 [1, 5]", "a -7 3 [2, 3]", "a 3 13 [4]"];
    assert_eq!(tumbling.finish()?, lines);
    Ok(())
}

#[test]
fn a_record_is_in_each_sliding_window_of_its_time() -> Result<(), Fault> {
    let mut sliding = numbers("kind=sliding").open().unwrap();
    sliding.push_all([("a", "n,1", 4), ("a", "n,2", 5)])?;
    assert_eq!(sliding.finish()?, ["a -5 5 [1]", "a 0 10 [1, 2]", "a 5 15 [2]"]);

    // One in the gap between two windows is in none, and is not late unless it is behind.
    let mut gaps = numbers("kind=sliding size=5ms slide=10ms").open().unwrap();
    gaps.push_all([("a", "n,1", 4), ("a", "n,2", 5), ("a", "n,3", 10)])?;
    assert!(gaps.take_side_output("late").is_empty());
    gaps.advance_watermark(8)?;
    gaps.push_all([("a", "n,4", 8), ("a", "n,5", 9)])?;
    assert_eq!(gaps.take_side_output("late"), ["n,4"]);
    assert_eq!(gaps.finish()?, ["a 0 5 [1]", "a 10 15 [3]"]);
    Ok(())
}

#[test]
fn a_late_record_fires_again_within_the_lateness_and_goes_aside_after() -> Result<(), Fault> {
    let mut late = numbers("lateness=5ms").open().unwrap();
    late.push("a", "n,1", 10)?;
    late.advance_watermark(19)?;
    assert_eq!(late.take_output(), ["a 10 20 [1]"]);
    assert_eq!(late.event_time_timers("a"), [24]);

    late.advance_watermark(23)?;
    late.push_all([("a", "n,2", 12), ("a", "n,3", 13), ("b", "n,4", 19)])?;
    assert_eq!(late.take_output(), ["a 10 20 [1, 2]", "a 10 20 [1, 2, 3]", "b 10 20 [4]"]);
    assert_eq!(late.event_time_timers("b"), [24]);

    late.advance_watermark(24)?;
    assert!(late.map_state::<TimeWindow, Vec<i64>>("windows", "a").unwrap().is_empty());
    late.push_all([("a", "n,5", 19), ("a", "\"n\",6", 10)])?;
    assert!(late.take_output().is_empty());
    assert_eq!(late.take_side_output("late"), ["n,5", "\"n\",6"], "as they were written");
    assert!(late.finish()?.is_empty());
    Ok(())
}

#[test]
fn sessions_that_touch_become_one() -> Result<(), Fault> {
    let mut session = numbers("kind=session").open().unwrap();
    session.push_all([("a", "n,1", 0), ("a", "n,2", 20)])?;
    assert_eq!(session.event_time_timers("a"), [9, 29]);
    // From 10 to 20: touches the end of the one and the start of the other.
    session.push("a", "n,3", 10)?;
    assert_eq!(session.event_time_timers("a"), [29], "one timer for one window");
    // Within the session, which stays as it is.
    session.push("a", "n,4", 15)?;
    session.advance_watermark(29)?;
    assert_eq!(session.take_output(), ["a 0 30 [1, 2, 3, 4]"]);
    session.push("a", "n,5", 21)?;
    session.push("a", "n,6", 10)?;
    assert_eq!(session.take_side_output("late"), ["n,6"]);
    assert_eq!(session.take_output(), Vec::<String>::new());
    assert_eq!(session.finish()?, ["a 21 31 [5]"]);
    Ok(())
}

/// The window of a late record may reach beyond the watermark.
#[test]
fn a_session_that_has_fired_may_go_on() -> Result<(), Fault> {
    let mut session = numbers("kind=session lateness=20ms").open().unwrap();
    session.push("a", "n,1", 0)?;
    session.advance_watermark(12)?;
    assert_eq!(session.take_output(), ["a 0 10 [1]"]);
    session.push("a", "n,2", 8)?;
    assert!(session.take_output().is_empty(), "it is not over yet");
    assert_eq!(session.event_time_timers("a"), [17]);
    session.advance_watermark(17)?;
    assert_eq!(session.take_output(), ["a 0 18 [1, 2]"]);
    session.push("a", "n,3", 7)?;
    assert_eq!(session.take_output(), ["a 0 18 [1, 2, 3]"]);
    assert_eq!(session.event_time_timers("a"), [37]);
    Ok(())
}

/// Timers have no windows: one that two windows share must outlive the first.
#[test]
fn a_merged_session_leaves_the_timer_of_another_alone() -> Result<(), Fault> {
    let mut session = numbers("kind=session lateness=20ms").open().unwrap();
    session.push("a", "n,1", 0)?;
    session.advance_watermark(9)?;
    session.push("a", "n,2", 20)?;
    assert_eq!(session.event_time_timers("a"), [29], "the first is forgotten, the second fires");
    session.push("a", "n,3", 5)?;
    assert_eq!(session.event_time_timers("a"), [14, 29]);
    let lines = ["a 0 10 [1]", "a 0 15 [1, 3]", "a 20 30 [2]"];
    assert_eq!(session.finish()?, lines);
    Ok(())
}

#[test]
fn a_count_window_fires_when_it_is_full_and_starts_anew() -> Result<(), Fault> {
    let mut every = Harness::window::<Every<3>>().open().unwrap();
    let times = [(1, 50), (2, 1), (3, 7), (4, 7), (5, 9), (6, 9), (7, 9)];
    every.push_all(times.map(|(number, time)| ("a", format!("n,{number}"), time)))?;
    assert_eq!(every.take_output(), ["a 6", "a 15"]);
    assert_eq!(every.value_state::<(u64, i64)>("windows", "a").unwrap(), Some((1, 7)));
    every.advance_watermark(100)?;
    every.restart()?;
    every.push_untimed("a", "n,8")?;
    every.push_untimed("b", "n,8")?;
    every.push_untimed("a", "n,9")?;
    assert_eq!(every.take_output(), ["a 24"]);
    assert_eq!(every.value_state::<(u64, i64)>("windows", "a").unwrap(), None);
    assert!(every.finish()?.is_empty(), "one that is not full does not fire");
    Ok(())
}

#[test]
fn processing_time_goes_by_the_clock_and_knows_no_lateness() -> Result<(), Fault> {
    let mut tumbling = numbers("processing=true").open().unwrap();
    tumbling.advance_processing_time(19)?;
    tumbling.push_untimed("a", "n,1")?;
    tumbling.advance_watermark(1_000)?;
    tumbling.push("a", "n,2", 1)?;
    assert_eq!(tumbling.processing_time_timers("a"), [20], "records at 19 may still come");
    tumbling.advance_processing_time(20)?;
    assert_eq!(tumbling.take_output(), ["a 10 20 [1, 2]"]);
    assert!(tumbling.take_side_output("late").is_empty());

    let mut session = numbers("processing=true kind=session").open().unwrap();
    for (record, time) in [("n,1", 5), ("n,2", 14), ("n,3", 30)] {
        session.advance_processing_time(time)?;
        session.push_untimed("a", record)?;
    }
    assert_eq!(session.take_output(), ["a 5 24 [1, 2]"]);
    assert_eq!(session.processing_time_timers("a"), [40]);
    Ok(())
}

#[test]
fn event_time_needs_a_time() {
    let fault = numbers("").open().unwrap().push_untimed("a", "n,1").unwrap_err();
    assert!(fault.message.contains("set `timestamp` in the job file"), "{fault}");
}

#[test]
fn what_cannot_be_read_or_added_changes_nothing() {
    let mut tumbling = numbers("").open().unwrap();
    tumbling.advance_watermark(100).unwrap();
    let malformed = tumbling.push("a", "late,and malformed", 1).unwrap_err();
    assert_eq!(malformed.kind, FaultKind::Malformed);
    let records = [("a", "n,1", 200), ("a", "bad,2", 200)];
    let failed = tumbling.push_all(records).unwrap_err();
    assert_eq!((failed.kind, failed.at), (FaultKind::Failed, Some(1)));
    assert_eq!(failed.message, "2 is bad");
    assert!(tumbling.event_time_timers("a").is_empty());
}

#[test]
fn the_ends_of_time_have_windows() -> Result<(), Fault> {
    let ends = [i64::MIN + 1, i64::MIN + 2, -1, 0, i64::MAX - 1, i64::MAX];
    for parameters in [
        "lateness=3ms offset=7ms",
        "kind=sliding size=10ms slide=3ms offset=2ms",
        "kind=sliding size=9000000000000000000ms slide=5000000000000000000ms",
        "kind=session lateness=9000000000000000000ms",
        "size=18446744073709551615ms lateness=18446744073709551615ms",
        "kind=session size=18446744073709551615ms",
    ] {
        let mut harness = numbers(parameters).open().unwrap();
        for time in ends {
            harness.push("a", "n,1", time)?;
        }
        harness.advance_watermark(i64::MIN + 1)?;
        harness.advance_watermark(i64::MAX - 1)?;
        for time in ends {
            harness.push("a", "n,2", time)?;
        }
        harness.advance_watermark(i64::MAX)?;
        for time in ends {
            harness.push("a", "n,3", time)?;
        }
        assert!(!harness.take_output().is_empty(), "{parameters}");
        assert!(harness.event_time_timers("a").is_empty(), "{parameters}");
    }
    Ok(())
}

/// A job may go on with other settings: windows that are there end as they would have.
#[test]
fn settings_may_change_between_runs() -> Result<(), Fault> {
    let mut tumbling = numbers("lateness=5ms").open().unwrap();
    tumbling.push_all([("a", "n,1", 0), ("a", "n,2", 20)])?;
    tumbling.advance_watermark(9)?;
    tumbling.reopen(numbers("size=20ms lateness=30ms"))?;
    tumbling.push_all([("a", "n,3", 0), ("a", "n,4", 20)])?;
    let lines = ["a 0 10 [1]"];
    assert_eq!(tumbling.take_output(), lines);
    tumbling.advance_watermark(14)?;
    assert_eq!(tumbling.event_time_timers("a"), [19, 29, 39], "forgets the first later");
    tumbling.advance_watermark(39)?;
    assert_eq!(tumbling.take_output(), ["a 0 20 [3]", "a 20 30 [2]", "a 20 40 [4]"]);
    let windows = tumbling.map_state::<TimeWindow, Vec<i64>>("windows", "a").unwrap();
    assert_eq!(windows.len(), 3);
    Ok(())
}
