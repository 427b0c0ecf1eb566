//! What all versions of the function that tests of swaps put in each other's place have in common.
//! The other crates take this file by its path: a crate of their own would be a guest without a
//! function, and one that exports a function cannot stand below another.
//!
//! Lines are `key,anything,line_number`, as the generator's clicks are; each sends out
//! `key,count,line_number,tag`, where the count is that of the records of the key so far. So the
//! output says of each record which version has seen it with which state.

use tidegate_sdk::prelude::*;

/// One version of the function.
pub trait Version: Sized + 'static {
    /// The last field of what it sends out.
    const TAG: &'static str;

    /// Declares its state.
    ///
    /// # Errors
    /// If a parameter is not what it should be.
    fn open(setup: &mut Setup) -> Result<Self>;

    /// Counts a record of the key, and gives how many there have been with it.
    ///
    /// # Errors
    /// If state cannot be read.
    fn count(&mut self, line_number: u64, ctx: &mut KeyedContext<'_, String>) -> Result<u64>;
}

/// A version as a function.
pub struct Swapped<V>(V);

impl<V: Version> KeyedProcessFunction for Swapped<V> {
    type In<'a> = Csv<(&'a str, &'a str, u64)>;
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self(V::open(setup)?))
    }

    fn process_element(
        &mut self,
        Csv((key, _, line_number)): Self::In<'_>,
        ctx: &mut KeyedContext<'_, String>,
    ) -> Result<()> {
        let count = self.0.count(line_number, ctx)?;
        ctx.collect_fmt(format_args!("{key},{count},{line_number},{}", V::TAG));
        Ok(())
    }
}

/// Counts in the state that most versions have.
///
/// # Errors
/// If it cannot be read.
pub fn count_one(count: &ValueState<u64>, ctx: &mut KeyedContext<'_, String>) -> Result<u64> {
    let counted = count.value(ctx)?.unwrap_or(0) + 1;
    count.update(ctx, &counted)?;
    Ok(counted)
}
