//! Keeps a long list and a long map of a key, and does with them what records say:
//! `key,add,from,to` adds numbers to both, `key,remove,from,to` takes some from the map,
//! `key,sum,,` reads all of them, `key,slice,from,to` some of the list, and `key,get,from,to` some
//! of the map.

use tidegate_sdk::prelude::*;

/// Key, operation, two numbers and something that only makes the record long.
type Operation<'a> = Csv<(&'a str, &'a str, Option<u64>, Option<u64>, &'a str)>;

struct Large {
    list: ListState<u64>,
    map: MapState<u64, u64>,
}

impl RichFlatMapFunction for Large {
    type In<'a> = Operation<'a>;
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self { list: setup.list_state("list"), map: setup.map_state("map") })
    }

    fn flat_map(
        &mut self,
        Csv((key, operation, from, to, _)): Operation<'_>,
        ctx: &mut FlatMapContext<'_, String>,
    ) -> Result<()> {
        let range = from.unwrap_or(0)..to.unwrap_or(0);
        match operation {
            "add" => {
                for number in range {
                    self.list.add(ctx, &number)?;
                    self.map.put(ctx, &number, &(2 * number))?;
                }
            }
            "remove" => {
                for number in range {
                    self.map.remove(ctx, &number)?;
                }
            }
            "sum" => {
                let (mut elements, mut entries, mut keys) = (0, 0, 0);
                for element in self.list.iter(ctx) {
                    elements += element?;
                }
                for entry in self.map.iter(ctx) {
                    let (number, double) = entry?;
                    entries += double;
                    keys += number;
                }
                let length = self.list.len(ctx);
                ctx.collect(format!("{key} has {length}: {elements} {keys} {entries}"));
            }
            "slice" => {
                let slice = self.list.slice(ctx, range.start as usize..range.end as usize)?;
                ctx.collect(format!("{key} slice {slice:?}"));
            }
            "get" => {
                let values = self.map.get_many(ctx, &Vec::from_iter(range))?;
                ctx.collect(format!("{key} values {values:?}"));
            }
            other => bail!("unknown operation {other:?}"),
        }
        Ok(())
    }
}

tidegate_sdk::export!(rich_flat_map: Large);
