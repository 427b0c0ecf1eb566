//! The harness itself: clocks, timers, calls of several records, what a test can look at.

use proptest::prelude::*;

use super::{FaultKind, Harness};
use crate::prelude::*;

mod swap;

/// Registers and deletes timers as records say, and tells of those that fire.
struct Alarms {
    fired: ListState<i64>,
    repeat: ValueState<i64>,
}

impl KeyedProcessFunction for Alarms {
    type In<'a> = Csv<(&'a str, i64)>;
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self { fired: setup.list_state("fired"), repeat: setup.value_state("repeat") })
    }

    fn process_element(
        &mut self,
        Csv((what, time)): Self::In<'_>,
        ctx: &mut KeyedContext<'_, String>,
    ) -> Result<()> {
        match what {
            "event" => ctx.register_event_time_timer(time),
            "no event" => ctx.delete_event_time_timer(time),
            "processing" => ctx.register_processing_time_timer(time),
            "no processing" => ctx.delete_processing_time_timer(time),
            "repeat" => {
                self.repeat.update(ctx, &time)?;
                ctx.register_event_time_timer(ctx.timestamp()? + time);
            }
            _ => bail!("cannot {what:?}"),
        }
        Ok(())
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut KeyedContext<'_, String>) -> Result<()> {
        let Timer { timestamp, domain } = timer;
        ctx.collect(format!("{} {domain:?} {timestamp}", ctx.key_str()?));
        self.fired.add(ctx, &timestamp)?;
        if let Some(period) = self.repeat.value(ctx)? {
            let at = timestamp + period;
            if at <= 100 {
                ctx.register_event_time_timer(at);
            }
        }
        if timestamp == 13 {
            bail!("unlucky");
        }
        Ok(())
    }
}

#[test]
fn timers_fire_in_order_with_those_registered_meanwhile() {
    let mut alarms = Harness::keyed_process::<Alarms>().open().unwrap();
    alarms.push("a", "repeat,20", 0).unwrap();
    alarms.push_all([("b", "event,30", 0), ("b", "event,30", 0), ("b", "event,70", 0)]).unwrap();
    assert_eq!(alarms.event_time_timers("b"), [30, 70]);

    alarms.advance_watermark(60).unwrap();
    let fired = ["a EventTime 20", "b EventTime 30", "a EventTime 40", "a EventTime 60"];
    assert_eq!(alarms.take_output(), fired);
    assert_eq!(alarms.list_state::<i64>("fired", "a").unwrap(), [20, 40, 60]);
    alarms.advance_watermark(50).unwrap();
    assert_eq!(alarms.take_output(), Vec::<String>::new());

    assert_eq!(alarms.finish().unwrap(), ["b EventTime 70", "a EventTime 80", "a EventTime 100"]);
}

#[test]
fn each_clock_has_its_timers() {
    let mut alarms = Harness::keyed_process::<Alarms>().open().unwrap();
    let records = [
        ("a", "processing,10", 0),
        ("a", "event,10", 0),
        ("a", "processing,20", 0),
        ("a", "no processing,20", 0),
        ("a", "no event,99", 0),
    ];
    alarms.push_all(records).unwrap();
    assert_eq!(alarms.processing_time_timers("a"), [10]);
    alarms.advance_processing_time(30).unwrap();
    assert_eq!(alarms.take_output(), ["a ProcessingTime 10"]);
    alarms.push("a", "no event,10", 0).unwrap();
    alarms.advance_watermark(i64::MAX).unwrap();
    assert_eq!(alarms.take_output(), Vec::<String>::new());
}

#[test]
fn a_timer_that_fails_stays() {
    let mut alarms = Harness::keyed_process::<Alarms>().batch_timers().open().unwrap();
    alarms.push_all([("a", "event,12", 0), ("b", "event,13", 0)]).unwrap();
    let fault = alarms.advance_watermark(20).unwrap_err();
    assert_eq!((fault.kind, fault.at), (FaultKind::Failed, Some(1)));
    assert_eq!(fault.to_string(), "failed at record or timer 1 of the call: unlucky");
    assert_eq!(alarms.event_time_timers("a"), [12], "a fault has no effects");
    assert_eq!(alarms.event_time_timers("b"), [13]);
}

#[test]
fn endless_timers_are_a_fault() {
    struct Endless;

    impl KeyedProcessFunction for Endless {
        type In<'a> = &'a str;
        type Out = String;

        fn open(_setup: &mut Setup) -> Result<Self> {
            Ok(Self)
        }

        fn process_element(&mut self, _: &str, ctx: &mut KeyedContext<'_, String>) -> Result<()> {
            ctx.register_event_time_timer(0);
            Ok(())
        }

        fn on_timer(&mut self, _: Timer, ctx: &mut KeyedContext<'_, String>) -> Result<()> {
            ctx.register_event_time_timer(0);
            Ok(())
        }
    }

    let mut endless = Harness::keyed_process::<Endless>().open().unwrap();
    endless.push("a", "x", 0).unwrap();
    let fault = endless.advance_watermark(0).unwrap_err();
    assert!(fault.message.contains("already due"), "{fault}");
}

#[test]
fn a_timer_for_a_time_already_past_fires_at_once() {
    let mut alarms = Harness::keyed_process::<Alarms>().open().unwrap();
    alarms.advance_watermark(100).unwrap();
    alarms.push("a", "event,50", 50).unwrap();
    assert!(alarms.event_time_timers("a").is_empty());
    assert_eq!(alarms.list_state::<i64>("fired", "a").unwrap(), [50]);
}

#[test]
fn text_of_two_lines_is_a_fault() {
    struct Lines;

    impl ProcessFunction for Lines {
        type In<'a> = &'a str;
        type Out = String;

        fn open(_setup: &mut Setup) -> Result<Self> {
            Ok(Self)
        }

        fn process_element(
            &mut self,
            line: &str,
            ctx: &mut ProcessContext<'_, String>,
        ) -> Result<()> {
            ctx.collect(line.replace(' ', "\n"));
            Ok(())
        }
    }

    let mut lines = Harness::process::<Lines>().open().unwrap();
    lines.push_untimed("one").unwrap();
    let fault = lines.push_all([("one", 0), ("two three", 0)]).unwrap_err();
    assert_eq!(fault.message, "a record of output `main` is more than one line: \"two\\nthree\"");
    assert_eq!(lines.take_output(), ["one"]);
}

#[test]
fn looking_at_what_is_not_there_is_an_error() {
    let alarms = Harness::keyed_process::<Alarms>().open().unwrap();
    assert_eq!(
        alarms.value_state::<i64>("missing", "a").unwrap_err().to_string(),
        "the function declares no state `missing`, only [\"fired\", \"repeat\"]"
    );
    assert_eq!(
        alarms.value_state::<i64>("fired", "a").unwrap_err().to_string(),
        "state `fired` is of kind StateKind::List"
    );
    assert_eq!(alarms.value_state::<i64>("repeat", "a").unwrap(), None);
}

proptest! {
    /// How records and timers are cut into calls changes nothing for any key, as long as no timer
    /// is due between records of one call: a host sees to that, so late alarms are left out here.
    #[test]
    fn calls_are_invisible(
        steps in prop::collection::vec(
            (
                prop::collection::vec(
                    (
                        prop::sample::select(vec!["a", "b", "c"]),
                        prop::sample::select(vec!["event", "no event", "repeat"]),
                        14..60i64,
                    ),
                    0..12,
                ),
                0..100i64,
            ),
            1..5,
        ),
    ) {
        let mut single = Harness::keyed_process::<Alarms>().open().unwrap();
        let mut batched = Harness::keyed_process::<Alarms>().batch_timers().open().unwrap();
        let mut passed = i64::MIN;
        for (records, watermark) in &steps {
            let records: Vec<_> = records
                .iter()
                .filter(|(.., time)| *time > passed)
                .map(|(key, what, time)| (*key, format!("{what},{time}"), *time))
                .collect();
            for (key, record, time) in &records {
                single.push(key, record, *time).unwrap();
            }
            batched.push_all(records).unwrap();
            single.advance_watermark(*watermark).unwrap();
            batched.advance_watermark(*watermark).unwrap();
            passed = passed.max(*watermark);
        }
        let (mut one, mut many) = (single.take_output(), batched.take_output());
        for key in ["a", "b", "c"] {
            let timers = single.event_time_timers(key);
            prop_assert_eq!(timers, batched.event_time_timers(key));
            let fired = single.list_state::<i64>("fired", key).unwrap();
            prop_assert_eq!(fired, batched.list_state::<i64>("fired", key).unwrap());
        }
        // Between keys there is no order to keep.
        one.sort_by_key(|line| line.as_bytes()[0]);
        many.sort_by_key(|line| line.as_bytes()[0]);
        prop_assert_eq!(one, many);
    }
}
