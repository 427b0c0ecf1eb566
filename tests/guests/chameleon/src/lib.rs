//! A function that is whatever its settings say: tests of the matrix of changes put versions of it
//! in each other's place. It counts the records of each key as `swap-v1` does, in state of any
//! kind, and sends out `key,count,line_number,tag`, on a side output too if there is one.
//!
//! | setting | default | |
//! |---|---|---|
//! | `tag` | `none` | the last field of the output |
//! | `kind` | `value` | also `list`, `map`, `reducing`, `aggregating`, `even-split`, `union` |
//! | `name`, `version` | `count`, `1` | of the state |
//! | `type` | `u64` | also `String`, `Noted` |
//! | `ttl` | `none` | also `processing`, `longer`, `event` |
//! | `steps` | | `1` from `u64` to `String`, `2` on to `Noted`, or `1,2` |
//! | `extra` | | the name of a value state that counts too |
//! | `side` | | `name:format` of a side output, `lines` or `csv` |
//! | `param` | | `name:type:default`, `integer` or `text`; `required` is no default |

use tidegate_sdk::prelude::*;

use counters::Counter;
use settings::Settings;

mod counters;
mod settings;

/// A side output.
enum Side {
    None,
    Lines(SideOutput<String>),
    Csv(SideOutput<Csv<(String, u64, u64, String)>>),
}

/// The function.
pub struct Chameleon {
    tag: String,
    counter: Box<dyn Counter>,
    extra: Option<ValueState<u64>>,
    side: Side,
}

impl Chameleon {
    fn of(settings: &Settings, setup: &mut Setup) -> Result<Self> {
        let extra = Some(settings.get("extra", "")).filter(|name| !name.is_empty());
        declare_parameter(settings.get("param", ""), setup)?;
        let side = match settings.get("side", "").split_once(':') {
            None => Side::None,
            Some((name, "lines")) => Side::Lines(setup.side_output(name)),
            Some((name, "csv")) => Side::Csv(setup.side_output(name)),
            Some((_, other)) => bail!("there is no format {other:?}"),
        };
        Ok(Self {
            tag: settings.get("tag", "none").to_owned(),
            counter: counters::declare(settings, setup)?,
            extra: extra.map(|name| setup.value_state(name)),
            side,
        })
    }
}

fn declare_parameter(text: &str, setup: &mut Setup) -> Result<()> {
    match text.split(':').collect::<Vec<_>>()[..] {
        [_] => {}
        [name, "integer", "required"] => {
            setup.required_param::<u64>(name)?;
        }
        [name, "text", "required"] => {
            setup.required_param::<String>(name)?;
        }
        [name, "integer", default] => {
            let default = default.parse().map_err(|_| Error::msg("the default is no number"))?;
            setup.param::<u64>(name, default)?;
        }
        [name, "text", default] => {
            setup.param(name, default.to_owned())?;
        }
        _ => bail!("{text:?} is no parameter"),
    }
    Ok(())
}

impl KeyedProcessFunction for Chameleon {
    type In<'a> = Csv<(&'a str, &'a str, u64)>;
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        Self::of(&Settings::of_component()?, setup)
    }

    fn process_element(
        &mut self,
        Csv((key, _, line_number)): Self::In<'_>,
        ctx: &mut KeyedContext<'_, String>,
    ) -> Result<()> {
        let count = self.counter.count(line_number, ctx)?;
        if let Some(extra) = &self.extra {
            let counted = extra.value(ctx)?.unwrap_or(0) + 1;
            extra.update(ctx, &counted)?;
        }
        let tag = &self.tag;
        match &self.side {
            Side::None => {}
            Side::Lines(side) => ctx.output(side, format!("{key},{count},{line_number},{tag}")),
            Side::Csv(side) => {
                ctx.output(side, Csv((key.to_owned(), count, line_number, tag.clone())));
            }
        }
        ctx.collect_fmt(format_args!("{key},{count},{line_number},{tag}"));
        Ok(())
    }

    fn initialize_state(&mut self, ctx: &mut InitializationContext<'_>) -> Result<()> {
        self.counter.initialize(ctx)
    }

    fn snapshot_state(&mut self, ctx: &mut SnapshotContext<'_>) -> Result<()> {
        self.counter.snapshot(ctx)
    }
}

tidegate_sdk::export!(keyed_process: Chameleon);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    fn counts_without_settings() -> Result<()> {
        let mut chameleon = Harness::keyed_process::<Chameleon>().open()?;
        chameleon.push_all([("a", "a,/,1", 0), ("b", "b,/,2", 0), ("a", "a,/,3", 0)])?;
        assert_eq!(chameleon.take_output(), ["a,1,1,none", "b,1,2,none", "a,2,3,none"]);
        Ok(())
    }

    #[test]
    fn settings_are_pairs() -> Result<()> {
        let settings: Settings = "tag=one;kind=list".parse()?;
        assert_eq!(settings.get("kind", "value"), "list");
        assert_eq!(settings.get("name", "count"), "count");
        assert!("tag".parse::<Settings>().is_err());
        Ok(())
    }
}
