//! Counts of a key in state of each kind, and in each type that it can have.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tidegate_sdk::prelude::*;

use crate::settings::Settings;

/// A type in which a number is kept.
pub trait Number: Serialize + DeserializeOwned + Clone + 'static {
    /// The number in this type.
    fn of(number: u64) -> Self;

    /// The number again.
    ///
    /// # Errors
    /// If there is none in it.
    fn number(&self) -> Result<u64>;
}

impl Number for u64 {
    fn of(number: u64) -> Self {
        number
    }

    fn number(&self) -> Result<u64> {
        Ok(*self)
    }
}

impl Number for String {
    fn of(number: u64) -> Self {
        number.to_string()
    }

    fn number(&self) -> Result<u64> {
        self.parse().map_err(|_| Error::msg(format_args!("{self:?} is no number")))
    }
}

/// What version 3 of the state holds.
#[derive(Clone, Serialize, Deserialize)]
pub struct Noted {
    number: u64,
    /// More than earlier versions have.
    note: String,
}

impl Number for Noted {
    fn of(number: u64) -> Self {
        Self { number, note: format!("it is {number}") }
    }

    fn number(&self) -> Result<u64> {
        if self.note != format!("it is {}", self.number) {
            bail!("the note of {} says {:?}", self.number, self.note);
        }
        Ok(self.number)
    }
}

/// State that counts the records of a key.
pub trait Counter {
    /// Counts a record, and gives how many there have been with it.
    ///
    /// # Errors
    /// If the state cannot be read, or does not hold what was counted.
    fn count(&mut self, line_number: u64, ctx: &mut KeyedContext<'_, String>) -> Result<u64>;

    /// Reads operator state.
    ///
    /// # Errors
    /// If it cannot be read.
    fn initialize(&mut self, _ctx: &mut InitializationContext<'_>) -> Result<()> {
        Ok(())
    }

    /// Writes operator state.
    ///
    /// # Errors
    /// If it cannot be written.
    fn snapshot(&mut self, _ctx: &mut SnapshotContext<'_>) -> Result<()> {
        Ok(())
    }
}

/// Declares the state that the settings ask for.
///
/// # Errors
/// If they make no sense.
pub fn declare(settings: &Settings, setup: &mut Setup) -> Result<Box<dyn Counter>> {
    match settings.get("type", "u64") {
        "u64" => declare_of::<u64>(settings, setup),
        "String" => declare_of::<String>(settings, setup),
        "Noted" => declare_of::<Noted>(settings, setup),
        other => bail!("there is no type {other:?}"),
    }
}

fn declare_of<T: Number>(settings: &Settings, setup: &mut Setup) -> Result<Box<dyn Counter>> {
    let kind = settings.get("kind", "value");
    let version = settings.get("version", "1").parse();
    let version = version.map_err(|_| Error::msg("the schema version is no number"))?;
    let mut state = setup.state(settings.get("name", "count")).schema_version(version);
    let hour = Duration::from_secs(3600);
    state = match settings.get("ttl", "none") {
        "none" => state,
        "processing" => state.ttl(Ttl::new(hour)),
        "longer" => state.ttl(Ttl::new(2 * hour)),
        "event" => state.ttl(Ttl::new(hour).event_time()),
        other => bail!("there is no time to live {other:?}"),
    };
    let is_of_operator = matches!(kind, "even-split" | "union");
    for step in settings.get("steps", "").split(',').filter(|step| !step.is_empty()) {
        state = match (step, is_of_operator) {
            ("1", false) => state.migrate(1, |old: u64| Ok(String::of(old))),
            ("2", false) => state.migrate(2, |old: String| Ok(Noted::of(old.number()?))),
            ("1", true) => state.migrate(1, |(key, old): (String, u64)| Ok((key, String::of(old)))),
            ("2", true) => {
                state.migrate(2, |(key, old): (String, String)| Ok((key, Noted::of(old.number()?))))
            }
            (other, _) => bail!("there is no step from {other:?}"),
        };
    }
    let counter: Box<dyn Counter> = match kind {
        "value" => Box::new(state.value::<T>()),
        "list" => Box::new(state.list::<T>()),
        "map" => Box::new(state.map::<u64, T>()),
        "reducing" => Box::new(state.reducing::<T>(sum)),
        "aggregating" => Box::new(state.aggregating(Counts(std::marker::PhantomData::<T>))),
        "even-split" => Box::new(OfPartition::new(state.operator_list::<(String, T)>())),
        "union" => Box::new(OfPartition::new(state.union_list::<(String, T)>())),
        other => bail!("there is no kind {other:?}"),
    };
    Ok(counter)
}

impl<T: Number> Counter for ValueState<T> {
    fn count(&mut self, _line_number: u64, ctx: &mut KeyedContext<'_, String>) -> Result<u64> {
        let counted = self.value(ctx)?.map_or(Ok(0), |before| before.number())? + 1;
        self.update(ctx, &T::of(counted))?;
        Ok(counted)
    }
}

/// The list holds 1, 2, 3, …
impl<T: Number> Counter for ListState<T> {
    fn count(&mut self, _line_number: u64, ctx: &mut KeyedContext<'_, String>) -> Result<u64> {
        let elements = self.get(ctx)?;
        for (element, wanted) in elements.iter().zip(1..) {
            if element.number()? != wanted {
                bail!("element {wanted} is {}", element.number()?);
            }
        }
        let counted = elements.len() as u64 + 1;
        self.add(ctx, &T::of(counted))?;
        Ok(counted)
    }
}

/// The map holds the count of each line.
impl<T: Number> Counter for MapState<u64, T> {
    fn count(&mut self, line_number: u64, ctx: &mut KeyedContext<'_, String>) -> Result<u64> {
        let mut entries = self.entries(ctx)?;
        entries.sort_by_key(|(line, _)| *line);
        for ((line, count), wanted) in entries.iter().zip(1..) {
            if count.number()? != wanted {
                bail!("line {line} has count {}, not {wanted}", count.number()?);
            }
        }
        let counted = entries.len() as u64 + 1;
        self.put(ctx, &line_number, &T::of(counted))?;
        Ok(counted)
    }
}

fn sum<T: Number>(one: T, other: T) -> T {
    // A reduction cannot fail; what is no number shows in the count.
    T::of(one.number().unwrap_or(0) + other.number().unwrap_or(0))
}

impl<T: Number> Counter for ReducingState<T> {
    fn count(&mut self, _line_number: u64, ctx: &mut KeyedContext<'_, String>) -> Result<u64> {
        self.add(ctx, T::of(1))?;
        self.get(ctx)?.map_or(Ok(0), |reduced| reduced.number())
    }
}

/// Counts in an accumulator of this type.
pub struct Counts<T>(std::marker::PhantomData<T>);

impl<T: Number> AggregateFunction for Counts<T> {
    type In = ();
    type Acc = T;
    type Out = T;

    fn create_accumulator(&self) -> T {
        T::of(0)
    }

    fn add(&self, (): (), accumulator: T) -> T {
        sum(accumulator, T::of(1))
    }

    fn get_result(&self, accumulator: T) -> T {
        accumulator
    }
}

impl<T: Number> Counter for AggregatingState<Counts<T>> {
    fn count(&mut self, _line_number: u64, ctx: &mut KeyedContext<'_, String>) -> Result<u64> {
        self.add(ctx, ())?;
        self.get(ctx)?.map_or(Ok(0), |counted| counted.number())
    }
}

/// Counts of all keys of a partition in operator state.
struct OfPartition<T> {
    state: OperatorListState<(String, T)>,
    counts: BTreeMap<String, u64>,
}

impl<T> OfPartition<T> {
    fn new(state: OperatorListState<(String, T)>) -> Self {
        Self { state, counts: BTreeMap::new() }
    }
}

impl<T: Number> Counter for OfPartition<T> {
    fn count(&mut self, _line_number: u64, ctx: &mut KeyedContext<'_, String>) -> Result<u64> {
        let counted = self.counts.entry(ctx.key_str()?.to_owned()).or_default();
        *counted += 1;
        Ok(*counted)
    }

    fn initialize(&mut self, ctx: &mut InitializationContext<'_>) -> Result<()> {
        let counts = &mut self.counts;
        counts.clear();
        for (key, count) in self.state.get(ctx)? {
            // Of a union everyone gets all: what others once had of a key is less.
            let most = counts.entry(key).or_default();
            *most = count.number()?.max(*most);
        }
        Ok(())
    }

    fn snapshot(&mut self, ctx: &mut SnapshotContext<'_>) -> Result<()> {
        let counts = self.counts.iter();
        self.state.update(ctx, counts.map(|(key, count)| (key.clone(), T::of(*count))))
    }
}
