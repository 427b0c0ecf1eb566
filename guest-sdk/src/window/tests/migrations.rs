//! Accumulators of another type.

use crate::prelude::*;
use crate::testing::Harness;

/// Which windows, by a parameter of the type: the function is the same for all.
fn windows(kind: usize) -> Windows {
    match kind {
        0 => Windows::tumbling(Duration::from_millis(10)),
        1 => Windows::sliding(Duration::from_millis(10), Duration::from_millis(5)),
        2 => Windows::session(Duration::from_millis(10)),
        _ => Windows::count(3),
    }
}

/// Adds up the numbers of a window.
struct Sum<const KIND: usize>;

impl<const KIND: usize> WindowFunction for Sum<KIND> {
    type In<'a> = Csv<(i64,)>;
    type Acc = i64;
    type Out = String;

    fn open(_setup: &mut Setup) -> Result<(Self, Windows)> {
        Ok((Self, windows(KIND)))
    }

    fn create_accumulator(&self) -> i64 {
        0
    }

    fn add(&self, Csv((number,)): &Self::In<'_>, sum: &mut i64) -> Result<()> {
        *sum += number;
        Ok(())
    }

    fn merge(&self, earlier: i64, later: i64) -> i64 {
        earlier + later
    }

    fn window(
        &mut self,
        window: TimeWindow,
        sum: i64,
        ctx: &mut WindowContext<'_, String>,
    ) -> Result<()> {
        ctx.collect(format!("{} {sum}", window.start));
        Ok(())
    }
}

/// Also tells what was added, as far as it knows.
struct Terms<const KIND: usize>;

impl<const KIND: usize> WindowFunction for Terms<KIND> {
    type In<'a> = Csv<(i64,)>;
    type Acc = (i64, String);
    type Out = String;

    fn open(_setup: &mut Setup) -> Result<(Self, Windows)> {
        let windows = windows(KIND).schema_version(2);
        Ok((Self, windows.migrate(1, |sum: i64| Ok((sum, format!("({sum})"))))))
    }

    fn create_accumulator(&self) -> (i64, String) {
        (0, String::new())
    }

    fn add(&self, Csv((number,)): &Self::In<'_>, (sum, terms): &mut (i64, String)) -> Result<()> {
        *sum += number;
        terms.push_str(&format!("+{number}"));
        Ok(())
    }

    fn merge(&self, earlier: (i64, String), later: (i64, String)) -> (i64, String) {
        (earlier.0 + later.0, earlier.1 + &later.1)
    }

    fn window(
        &mut self,
        window: TimeWindow,
        (sum, terms): (i64, String),
        ctx: &mut WindowContext<'_, String>,
    ) -> Result<()> {
        ctx.collect(format!("{} {sum}={terms}", window.start));
        Ok(())
    }
}

fn swapped<const KIND: usize>() -> Result<Vec<String>> {
    let mut sum = Harness::window::<Sum<KIND>>().open()?;
    sum.push_all([("a", "1", 6), ("a", "2", 7)])?;
    let mut terms = sum.swap(Harness::window::<Terms<KIND>>())?;
    terms.push("a", "4", 8)?;
    Ok(terms.finish()?)
}

#[test]
fn the_accumulators_of_open_windows_are_migrated() -> Result<()> {
    assert_eq!(swapped::<0>()?, ["0 7=(3)+4"]);
    assert_eq!(swapped::<1>()?, ["0 7=(3)+4", "5 7=(3)+4"]);
    assert_eq!(swapped::<2>()?, ["6 7=(3)+4"]);
    let count = swapped::<3>()?;
    assert_eq!(count.len(), 1);
    assert!(count[0].ends_with(" 7=(3)+4"), "{count:?}");
    Ok(())
}
