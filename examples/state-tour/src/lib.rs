//! Follows the sales of each boss with every kind of keyed state that a rich map function has.
//!
//! | state | kind | what it holds for a boss |
//! |---|---|---|
//! | `price` | `ValueState` | the price of the last sale |
//! | `recent-prices` | `ListState` | the prices of the last three sales, oldest first |
//! | `products` | `MapState` | how often each product was sold |
//! | `total` | `ReducingState` | the sum of all prices |
//!
//! After `MyRichMapper`, a Flink `RichMapFunction` over `SalePrice(time, boss_name, product_name,
//! price)` that declares the same four. Run it with
//!
//! ```text
//! tidegate build examples/state-tour
//! tidegate run examples/state-tour/job.toml
//! ```

use serde::{Deserialize, Serialize};
use tidegate_sdk::prelude::*;

/// How many prices the list keeps.
const RECENT_PRICES_MAX: usize = 3;

/// `time,boss_name,product_name,price`.
#[derive(Deserialize)]
struct SalePrice {
    _time: i64,
    boss_name: String,
    product_name: String,
    price: f64,
}

/// `boss,product,price,previous,recent_average,times_sold,total`.
#[derive(Serialize)]
struct Tour {
    boss: String,
    product: String,
    price: f64,
    /// Empty for the first sale of a boss.
    previous: Option<f64>,
    /// The mean of the last three prices, this one among them.
    recent_average: f64,
    /// How often this product was sold, this time included.
    times_sold: u64,
    /// What was sold for in all, this sale included.
    total: f64,
}

struct StateTour {
    price: ValueState<f64>,
    recent_prices: ListState<f64>,
    products: MapState<String, u64>,
    total: ReducingState<f64>,
}

impl RichMapFunction for StateTour {
    type In<'a> = Csv<SalePrice>;
    type Out = Csv<Tour>;

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self {
            price: setup.value_state("price"),
            recent_prices: setup.list_state("recent-prices"),
            products: setup.map_state("products"),
            total: setup.reducing_state("total", |a: f64, b: f64| a + b),
        })
    }

    fn map(&mut self, Csv(sale): Csv<SalePrice>, ctx: &mut MapContext<'_>) -> Result<Csv<Tour>> {
        // ValueState: read, then write.
        let previous = self.price.value(ctx)?;
        self.price.update(ctx, &sale.price)?;

        // ListState: append; once it is too long, write it anew without its oldest element.
        self.recent_prices.add(ctx, &sale.price)?;
        let mut recent = self.recent_prices.get(ctx)?;
        if recent.len() > RECENT_PRICES_MAX {
            recent.remove(0);
            self.recent_prices.update(ctx, &recent)?;
        }

        // MapState: one entry of the map, the others stay as they are.
        let product = sale.product_name;
        let times_sold = self.products.get(ctx, &product)?.unwrap_or(0) + 1;
        self.products.put(ctx, &product, &times_sold)?;

        // ReducingState: what is added is reduced at once, so only the sum is kept.
        self.total.add(ctx, sale.price)?;
        let total = self.total.get(ctx)?.unwrap_or(sale.price);

        let boss = sale.boss_name;
        let recent_average = recent.iter().sum::<f64>() / recent.len() as f64;
        let price = sale.price;
        Ok(Csv(Tour { boss, product, price, previous, recent_average, times_sold, total }))
    }
}

tidegate_sdk::export!(rich_map: StateTour);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    fn each_boss_has_states_of_their_own() -> Result<()> {
        let mut tour = Harness::rich_map::<StateTour>().open()?;
        tour.push("ann", "1,ann,apple,2.0", 1)?;
        tour.push("ben", "2,ben,apple,3.0", 2)?;
        tour.push("ann", "3,ann,apple,4.0", 3)?;
        let expected =
            ["ann,apple,2.0,,2.0,1,2.0", "ben,apple,3.0,,3.0,1,3.0", "ann,apple,4.0,2.0,3.0,2,6.0"];
        assert_eq!(tour.take_output(), expected);
        assert_eq!(tour.map_state::<String, u64>("products", "ann")?, [("apple".to_owned(), 2)]);
        assert_eq!(tour.value_state::<f64>("total", "ann")?, Some(6.0));
        Ok(())
    }

    #[test]
    fn the_list_keeps_three_prices() -> Result<()> {
        let mut tour = Harness::rich_map::<StateTour>().open()?;
        for price in ["1", "2", "3", "4"] {
            tour.push("ann", format!("1,ann,apple,{price}"), 1)?;
        }
        assert_eq!(tour.list_state::<f64>("recent-prices", "ann")?, [2.0, 3.0, 4.0]);
        assert_eq!(tour.take_output().last().unwrap(), "ann,apple,4.0,3.0,3.0,4,10.0");
        Ok(())
    }
}
