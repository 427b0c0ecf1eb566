//! Windows in the harness: each kind by hand, then all against a plain model.

mod behaviour;
mod cost;
mod migrations;
mod model;
mod random;
mod settings;

use crate::prelude::*;
use crate::testing::{Builder, Harness, WithKeys};

/// Lists the numbers of each window of a key: `key start end numbers`. Parameters say which windows
/// there are; durations of 0 are left out.
struct Numbers {
    /// How often each key had a window: a state of the author's own.
    fired: ValueState<u64>,
}

impl WindowFunction for Numbers {
    type In<'a> = Csv<(&'a str, i64)>;
    type Acc = Vec<i64>;
    type Out = String;

    fn open(setup: &mut Setup) -> Result<(Self, Windows)> {
        let kind = setup.param("kind", "tumbling".to_owned())?;
        let size = setup.param("size", Duration::from_millis(10))?;
        let slide = setup.param("slide", Duration::from_millis(5))?;
        let windows = match kind.as_str() {
            "tumbling" => Windows::tumbling(size),
            "sliding" => Windows::sliding(size, slide),
            "session" => Windows::session(size),
            _ => bail!("no windows are {kind}"),
        };
        let windows = windows
            .offset(setup.param("offset", Duration::ZERO)?)
            .allowed_lateness(setup.param("lateness", Duration::ZERO)?);
        let is_processing = setup.param("processing", false)?;
        let windows = if is_processing { windows.processing_time() } else { windows };
        Ok((Self { fired: setup.value_state("fired") }, windows))
    }

    fn create_accumulator(&self) -> Vec<i64> {
        Vec::new()
    }

    fn add(&self, Csv((what, number)): &Self::In<'_>, numbers: &mut Vec<i64>) -> Result<()> {
        if *what == "bad" {
            bail!("{number} is bad");
        }
        numbers.push(*number);
        Ok(())
    }

    fn merge(&self, mut earlier: Vec<i64>, later: Vec<i64>) -> Vec<i64> {
        earlier.extend(later);
        earlier
    }

    fn window(
        &mut self,
        TimeWindow { start, end }: TimeWindow,
        mut numbers: Vec<i64>,
        ctx: &mut WindowContext<'_, String>,
    ) -> Result<()> {
        numbers.sort_unstable();
        let fired = self.fired.value(ctx)?.unwrap_or(0) + 1;
        self.fired.update(ctx, &fired)?;
        ctx.collect(format!("{} {start} {end} {numbers:?}", ctx.key_str()?));
        Ok(())
    }
}

/// Sums every `N` numbers of a key.
struct Every<const N: u64>;

impl<const N: u64> WindowFunction for Every<N> {
    type In<'a> = Csv<(&'a str, i64)>;
    type Acc = i64;
    type Out = String;

    fn open(_setup: &mut Setup) -> Result<(Self, Windows)> {
        Ok((Self, Windows::count(N)))
    }

    fn create_accumulator(&self) -> i64 {
        0
    }

    fn add(&self, Csv((_, number)): &Self::In<'_>, sum: &mut i64) -> Result<()> {
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
        assert_eq!(window, TimeWindow::GLOBAL);
        ctx.collect(format!("{} {sum}", ctx.key_str()?));
        Ok(())
    }
}

/// [`Numbers`] with parameters given as `name=text`, separated by blanks.
fn numbers(parameters: &str) -> Builder<WithKeys> {
    parameters.split_whitespace().fold(Harness::window::<Numbers>(), |builder, parameter| {
        let (name, text) = parameter.split_once('=').unwrap();
        builder.param(name, text)
    })
}
