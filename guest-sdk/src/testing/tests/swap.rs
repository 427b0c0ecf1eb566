//! One version of a function in the place of another.

use super::Harness;
use crate::prelude::*;

/// What a version of the function below does otherwise.
trait Version: 'static {
    const TAG: &'static str;

    fn count(setup: &mut Setup) -> ValueState<u64>;

    fn lines(setup: &mut Setup) -> OperatorListState<String> {
        setup.operator_list_state("lines")
    }
}

/// Counts the lines of each key, keeps all of them for the partition, and tells the count later.
struct Counter<V> {
    count: ValueState<u64>,
    lines: OperatorListState<String>,
    side: SideOutput<String>,
    _version: std::marker::PhantomData<V>,
}

impl<V: Version> KeyedProcessFunction for Counter<V> {
    type In<'a> = &'a str;
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        let (count, lines) = (V::count(setup), V::lines(setup));
        let side = setup.side_output("side");
        Ok(Self { count, lines, side, _version: std::marker::PhantomData })
    }

    fn process_element(&mut self, line: &str, ctx: &mut KeyedContext<'_, String>) -> Result<()> {
        let count = self.count.value(ctx)?.unwrap_or(0) + 1;
        self.count.update(ctx, &count)?;
        self.lines.add(ctx, &line.to_owned())?;
        let time = ctx.timestamp()?;
        ctx.register_event_time_timer(time + 10);
        ctx.output(&self.side, format!("{} {line}", V::TAG));
        Ok(())
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut KeyedContext<'_, String>) -> Result<()> {
        let (key, count) = (ctx.key_str()?, self.count.value(ctx)?);
        let (at, now) = (timer.timestamp, ctx.processing_time());
        ctx.collect(format!("{} {key} {count:?} at {at}, {now}", V::TAG));
        Ok(())
    }
}

struct First;

impl Version for First {
    const TAG: &'static str = "first";

    fn count(setup: &mut Setup) -> ValueState<u64> {
        setup.value_state("count")
    }
}

/// Counts in steps of a hundred, and keeps lines in capitals.
struct Second;

impl Version for Second {
    const TAG: &'static str = "second";

    fn count(setup: &mut Setup) -> ValueState<u64> {
        let count = setup.state("count").schema_version(2);
        count.migrate(1, |count: u64| Ok(count * 100)).value()
    }

    fn lines(setup: &mut Setup) -> OperatorListState<String> {
        let lines = setup.state("lines").schema_version(2);
        lines.migrate(1, |line: String| Ok(line.to_uppercase())).operator_list()
    }
}

#[test]
fn everything_goes_over_to_the_other_version() -> Result<()> {
    let mut first = Harness::keyed_process::<Counter<First>>().open()?;
    first.push_all([("a", "one", 0), ("b", "two", 5), ("a", "three", 20)])?;
    first.advance_watermark(12)?;
    first.advance_processing_time(7)?;

    let mut second = first.swap(Harness::keyed_process::<Counter<Second>>())?;
    assert_eq!(second.value_state::<u64>("count", "a")?, Some(200));
    assert_eq!(second.event_time_timers("a"), [30]);
    assert_eq!(second.operator_list_state::<String>("lines")?, ["ONE", "TWO", "THREE"]);
    second.push("b", "four", 6)?;
    second.advance_watermark(15)?;
    second.push("a", "five", 3)?;
    assert_eq!(second.operator_list_state::<String>("lines")?.len(), 5);
    let side = ["first one", "first two", "first three", "second four", "second five"];
    assert_eq!(second.take_side_output("side"), side);
    let expected = [
        "first a Some(2) at 10, 0",
        "second b Some(101) at 15, 7",
        "second b Some(101) at 16, 7",
        "second a Some(201) at 13, 7",
        "second a Some(201) at 30, 7",
    ];
    let output = second.finish()?;
    assert_eq!(output.len(), expected.len(), "{output:?}");
    expected.iter().for_each(|line| assert!(output.iter().any(|sent| sent == line), "{output:?}"));
    Ok(())
}

/// A version that cannot take the place of the first, in one of several ways.
struct Misfit<const HOW: usize>;

impl<const HOW: usize> Version for Misfit<HOW> {
    const TAG: &'static str = "misfit";

    fn count(setup: &mut Setup) -> ValueState<u64> {
        match HOW {
            0 => setup.value_state("other"),
            1 => {
                setup.list_state::<u64>("count");
                setup.value_state("other")
            }
            2 => {
                setup.value_state::<i64>("count");
                setup.value_state("other")
            }
            3 => setup.state("count").schema_version(2).value(),
            4 => {
                let count = setup.state("count").schema_version(2);
                let step = |count: u64| -> Result<u64> { bail!("{count} is too much") };
                count.migrate(1, step).value()
            }
            _ => setup.value_state("count"),
        }
    }

    fn lines(setup: &mut Setup) -> OperatorListState<String> {
        match HOW {
            5 => setup.union_list_state("lines"),
            6 => setup.operator_list_state("others"),
            _ => setup.operator_list_state("lines"),
        }
    }
}

fn refuse<const HOW: usize>() -> String {
    let mut first = Harness::keyed_process::<Counter<First>>().open().unwrap();
    first.push("a", "one", 0).unwrap();
    let swapped = first.swap(Harness::keyed_process::<Counter<Misfit<HOW>>>());
    swapped.err().map_or_else(|| "it was not refused".to_owned(), |error| error.to_string())
}

#[test]
fn a_version_that_does_not_fit_is_refused() {
    assert_eq!(refuse::<1>(), "state `count` was StateKind::Value and is StateKind::List now");
    assert_eq!(
        refuse::<2>(),
        "state `count` held `u64` and holds `i64` now, both as schema version 1; raise it, and \
         migrate"
    );
    assert_eq!(
        refuse::<3>(),
        "state `count` has no migration from schema version 1; declare one with `.migrate(1, …)`"
    );
    assert_eq!(refuse::<4>(), "state `count` of key \"a\", from version 1 to 2: 1 is too much");
    assert_eq!(
        refuse::<5>(),
        "state `lines` was Redistribution::EvenSplit and is Redistribution::Union now"
    );
    for fits in [refuse::<0>(), refuse::<6>(), refuse::<7>()] {
        assert_eq!(fits, "it was not refused");
    }
}

/// Tells whether it goes on from something.
struct Fresh(OperatorListState<u64>);

impl ProcessFunction for Fresh {
    type In<'a> = &'a str;
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self(setup.operator_list_state("numbers")))
    }

    fn process_element(&mut self, _: &str, ctx: &mut ProcessContext<'_, String>) -> Result<()> {
        let numbers = self.0.get(ctx)?;
        ctx.collect(format!("{numbers:?}"));
        Ok(())
    }

    fn initialize_state(&mut self, ctx: &mut InitializationContext<'_>) -> Result<()> {
        let start = if ctx.is_restored() { 1 } else { 0 };
        self.0.add(ctx, &start)
    }
}

#[test]
fn is_restored_only_what_has_had_a_call() -> Result<()> {
    let fresh = || Harness::process::<Fresh>();
    let mut swapped = fresh().open()?.swap(fresh())?;
    swapped.push("", 0)?;
    let mut swapped = swapped.swap(fresh())?;
    swapped.push("", 0)?;
    assert_eq!(swapped.take_output(), ["[0]", "[0, 1]"]);
    let mut restored = fresh().open()?;
    restored.restore_operator_list("numbers", 1, &[7_u64])?;
    restored.push("", 0)?;
    assert_eq!(restored.take_output(), ["[7, 1]"]);
    Ok(())
}
