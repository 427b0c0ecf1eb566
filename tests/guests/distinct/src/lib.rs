//! Lets the first record of each key and page pass.

use tidegate_sdk::prelude::*;

struct Distinct {
    pages: MapState<String, bool>,
}

impl RichFilterFunction for Distinct {
    type In<'a> = Csv<(&'a str, &'a str, i64)>;

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self { pages: setup.map_state("pages") })
    }

    fn filter(
        &mut self,
        Csv((_user, page, _time)): Self::In<'_>,
        ctx: &mut MapContext<'_>,
    ) -> Result<bool> {
        let page = page.to_owned();
        let is_new = !self.pages.contains(ctx, &page)?;
        self.pages.put(ctx, &page, &true)?;
        Ok(is_new)
    }
}

tidegate_sdk::export!(rich_filter: Distinct);
