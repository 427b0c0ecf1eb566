//! Random records and clocks against the model, and that batches do not show.

use proptest::prelude::*;

use super::model::{Kind, Model};
use super::{Every, numbers};
use crate::prelude::*;
use crate::testing::{Builder, Harness, WithKeys};

const KEYS: [&str; 3] = ["a", "b", "c"];

/// What happens to the function.
#[derive(Clone, Debug)]
enum Step {
    /// Records of one batch: key, number, event time.
    Records(Vec<(usize, i64, i64)>),
    /// The watermark or the clock moves on by so much.
    Advance(i64),
}

/// How the steps reach the function.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    OneByOne,
    Batched,
    Restarted,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let record = (0..KEYS.len(), -9i64..9, -40i64..80);
    let step = prop_oneof![
        2 => proptest::collection::vec(record, 1..8).prop_map(Step::Records),
        1 => (1i64..25).prop_map(Step::Advance),
    ];
    proptest::collection::vec(step, 1..25)
}

fn kinds() -> impl Strategy<Value = Kind> {
    let tumbling = (1i64..20, 0i64..20).prop_map(|(size, offset)| Kind::Sliding {
        size,
        slide: size,
        offset: offset % size,
    });
    let sliding = (1i64..20, 1i64..20, 0i64..20).prop_map(|(size, slide, offset)| Kind::Sliding {
        size,
        slide,
        offset: offset % slide,
    });
    let session = (1i64..20).prop_map(|gap| Kind::Session { gap });
    prop_oneof![tumbling, sliding, session]
}

fn builder(model: &Model) -> Builder<WithKeys> {
    let windows = match model.kind {
        Kind::Sliding { size, slide, offset } if slide == size => {
            format!("kind=tumbling size={size}ms offset={offset}ms")
        }
        Kind::Sliding { size, slide, offset } => {
            format!("kind=sliding size={size}ms slide={slide}ms offset={offset}ms")
        }
        Kind::Session { gap } => format!("kind=session size={gap}ms"),
    };
    let (lateness, is_processing) = (model.lateness, model.is_processing);
    numbers(&format!("{windows} lateness={lateness}ms processing={is_processing}"))
}

/// The windows of a key in state, as the model has them.
fn windows(harness: &Harness<WithKeys>, kind: Kind, key: &str) -> Vec<(TimeWindow, Vec<i64>)> {
    let mut windows: Vec<(TimeWindow, Vec<i64>)> = match kind {
        Kind::Sliding { .. } => harness.map_state("windows", key).unwrap(),
        Kind::Session { .. } => {
            let sessions = harness.map_state::<i64, (i64, Vec<i64>)>("windows", key).unwrap();
            let window = |(start, (end, numbers))| (TimeWindow { start, end }, numbers);
            sessions.into_iter().map(window).collect()
        }
    };
    windows.iter_mut().for_each(|(_, numbers)| numbers.sort_unstable());
    windows.sort();
    windows
}

fn push(harness: &mut Harness<WithKeys>, records: &[(usize, i64, i64)], way: Way) {
    let record =
        |(key, number, time): &(usize, i64, i64)| (KEYS[*key], format!("n,{number}"), *time);
    if way == Way::Batched {
        harness.push_all(records.iter().map(record)).unwrap();
        return;
    }
    for (key, record, time) in records.iter().map(record) {
        harness.push(key, record, time).unwrap();
        if way == Way::Restarted {
            harness.restart().unwrap();
        }
    }
}

fn assert_same(steps: &[Step], mut model: Model, way: Way) {
    let builder = builder(&model);
    let builder = if way == Way::Batched { builder.batch_timers() } else { builder };
    let mut harness = builder.open().unwrap();
    for step in steps {
        match step {
            Step::Records(records) => {
                push(&mut harness, records, way);
                for (key, number, time) in records {
                    model.record(KEYS[*key], &format!("n,{number}"), *number, *time);
                }
            }
            Step::Advance(by) if model.is_processing => {
                model.advance(model.now + by);
                harness.advance_processing_time(model.now).unwrap();
            }
            Step::Advance(by) => {
                model.advance(model.now.max(-30) + by);
                harness.advance_watermark(model.now).unwrap();
            }
        }
        for key in KEYS {
            assert_eq!(windows(&harness, model.kind, key), model.windows(key));
            let timers = match model.is_processing {
                false => harness.event_time_timers(key),
                true => harness.processing_time_timers(key),
            };
            assert_eq!(timers, model.timers(key));
        }
    }
    // After this nothing is left to happen.
    let end = 1_000;
    model.advance(end);
    match model.is_processing {
        false => harness.advance_watermark(end).unwrap(),
        true => harness.advance_processing_time(end).unwrap(),
    }
    assert_eq!(harness.take_output(), model.output);
    assert_eq!(harness.take_side_output("late"), model.late);
    for key in KEYS {
        assert_eq!(windows(&harness, model.kind, key), []);
    }
}

proptest! {
    #[test]
    fn windows_in_event_time_are_those_of_the_model(
        steps in steps(),
        kind in kinds(),
        lateness in prop_oneof![Just(0i64), 1i64..30],
    ) {
        for way in [Way::OneByOne, Way::Batched, Way::Restarted] {
            assert_same(&steps, Model::new(kind, lateness, false), way);
        }
    }

    #[test]
    fn windows_in_processing_time_are_those_of_the_model(steps in steps(), kind in kinds()) {
        for way in [Way::OneByOne, Way::Batched, Way::Restarted] {
            assert_same(&steps, Model::new(kind, 0, true), way);
        }
    }

    #[test]
    fn every_few_records_of_a_key_are_a_count_window(steps in steps()) {
        let records = steps.iter().filter_map(|step| match step {
            Step::Records(records) => Some(records),
            Step::Advance(_) => None,
        });
        let mut expected = Vec::new();
        let mut pending = KEYS.map(|_| Vec::new());
        for (key, number, _) in records.clone().flatten() {
            pending[*key].push(*number);
            if pending[*key].len() == 3 {
                let sum: i64 = pending[*key].drain(..).sum();
                expected.push(format!("{} {sum}", KEYS[*key]));
            }
        }
        for way in [Way::OneByOne, Way::Batched, Way::Restarted] {
            let mut harness = Harness::window::<Every<3>>().open().unwrap();
            records.clone().for_each(|records| push(&mut harness, records, way));
            prop_assert_eq!(&harness.finish().unwrap(), &expected);
        }
    }
}
