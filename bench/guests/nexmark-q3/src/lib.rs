//! Nexmark query 3: who in OR, ID or CA sells in category 10, told as each is known:
//! `name,city,state,auction`.

use serde::de::IgnoredAny as Any;
use tidegate_sdk::prelude::*;

struct Join {
    /// What the output says of a person.
    person: ValueState<String>,
    /// Auctions whose seller is not known yet.
    auctions: ListState<u64>,
}

impl KeyedCoProcessFunction for Join {
    /// `id,name,city,state,time_ms,extra`
    type In1<'a> = Csv<(Any, &'a str, &'a str, &'a str, Any, Any)>;
    /// `id,seller,category,reserve,time_ms,expires_ms,extra`
    type In2<'a> = Csv<(u64, Any, u64, Any, Any, Any, Any)>;
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self { person: setup.value_state("person"), auctions: setup.list_state("auctions") })
    }

    fn process_element1(
        &mut self,
        Csv((_, name, city, state, _, _)): Self::In1<'_>,
        ctx: &mut KeyedContext<'_, String>,
    ) -> Result<()> {
        if !matches!(state, "OR" | "ID" | "CA") {
            return Ok(());
        }
        let person = format!("{name},{city},{state}");
        for auction in self.auctions.get(ctx)? {
            ctx.collect_fmt(format_args!("{person},{auction}"));
        }
        self.auctions.clear(ctx);
        self.person.update(ctx, &person)
    }

    fn process_element2(
        &mut self,
        Csv((auction, _, category, _, _, _, _)): Self::In2<'_>,
        ctx: &mut KeyedContext<'_, String>,
    ) -> Result<()> {
        if category != 10 {
            return Ok(());
        }
        match self.person.value(ctx)? {
            Some(person) => ctx.collect_fmt(format_args!("{person},{auction}")),
            None => self.auctions.add(ctx, &auction)?,
        }
        Ok(())
    }
}

tidegate_sdk::export!(keyed_co_process: Join);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    fn whichever_comes_second_finds_the_first() -> Result<()> {
        let mut join = Harness::keyed_co_process::<Join>().open()?;
        join.push2("7", "1,7,10,0,1000,2000,x", 1_000)?;
        join.push2("7", "2,7,11,0,1000,2000,x", 1_000)?;
        join.push1("7", "7,ann,boise,ID,900,x", 900)?;
        join.push2("7", "3,7,10,0,1100,2000,x", 1_100)?;
        join.push1("8", "8,ben,phoenix,AZ,900,x", 900)?;
        join.push2("8", "4,8,10,0,1100,2000,x", 1_100)?;
        assert_eq!(join.finish()?, ["ann,boise,ID,1", "ann,boise,ID,3"]);
        Ok(())
    }
}
