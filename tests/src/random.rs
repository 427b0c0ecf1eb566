//! Numbers that look random and are the same for the same seed.

/// The seed that `TIDEGATE_TEST_SEED` names, or the usual one.
pub fn seed() -> u64 {
    let named = std::env::var("TIDEGATE_TEST_SEED").ok();
    named.map_or(1, |seed| seed.parse().expect("TIDEGATE_TEST_SEED is a number"))
}

/// Chooses test inputs.
pub struct Random(tidegate::env::Random);

impl Random {
    /// Numbers of a seed.
    pub fn new(seed: u64) -> Self {
        Self(tidegate::env::Random::new(seed))
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0.number()
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        let count = u64::try_from(high - low).expect("low is not above high") + 1;
        low + (self.number() % count) as i64
    }

    /// One of these.
    pub fn choose<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.between(0, items.len() as i64 - 1) as usize]
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: i64) -> bool {
        self.between(1, times) == 1
    }
}
