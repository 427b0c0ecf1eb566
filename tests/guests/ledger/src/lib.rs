//! Keeps operator state of each kind, and tells what it was given back when it began.
//!
//! Lines are `RUN PARTITION/PARALLELISM`, then what happened: `= LIST|RAW|TOTALS|MAP` for what the
//! partition began with, `+ RECORD` for a record, `! RECORD` for one of the broadcast input.

use tidegate_sdk::prelude::*;

struct Ledger {
    place: String,
    partition: u32,
    /// What this partition began with, until it has been told.
    beginning: Option<String>,
    /// How many records this partition answers for. Partition 0 takes over what others had.
    own: u64,
    list: OperatorListState<String>,
    raw: RawOperatorState,
    totals: OperatorListState<u64>,
    map: BroadcastState<u64, String>,
}

impl BroadcastProcessFunction for Ledger {
    type In<'a> = &'a str;
    /// `number,anything`
    type Broadcast<'a> = Csv<(u64, &'a str)>;
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        let run = setup.param("run", 0_u64)?;
        Ok(Self {
            place: format!("{run} {}/{}", setup.partition(), setup.parallelism()),
            partition: setup.partition(),
            beginning: None,
            own: 0,
            list: setup.operator_list_state("list"),
            raw: setup.raw_operator_state("raw"),
            totals: setup.union_list_state("totals"),
            map: setup.broadcast_state("map"),
        })
    }

    fn process_element(&mut self, line: &str, ctx: &mut ProcessContext<'_, String>) -> Result<()> {
        if let Some(beginning) = self.beginning.take() {
            ctx.collect(beginning);
        }
        self.own += 1;
        self.list.add(ctx, &line.to_owned())?;
        self.raw.add(ctx, line.as_bytes());
        ctx.collect(format!("{} + {line}", self.place));
        Ok(())
    }

    fn process_broadcast_element(
        &mut self,
        Csv((number, text)): Self::Broadcast<'_>,
        ctx: &mut BroadcastContext<'_, String>,
    ) -> Result<()> {
        if let Some(beginning) = self.beginning.take() {
            ctx.collect(beginning);
        }
        self.map.put(ctx, &(number % 5), &format!("{number}:{text}"))?;
        ctx.collect(format!("{} ! {number}:{text}", self.place));
        Ok(())
    }

    fn initialize_state(&mut self, ctx: &mut InitializationContext<'_>) -> Result<()> {
        if !ctx.is_restored() {
            return Ok(());
        }
        let raw: Result<Vec<String>, _> =
            self.raw.get(ctx).into_iter().map(String::from_utf8).collect();
        let totals = self.totals.get(ctx)?;
        let map = self.map.entries(ctx)?.into_iter().map(|(_, value)| value);
        self.beginning = Some(format!(
            "{} = {}|{}|{}|{}",
            self.place,
            self.list.get(ctx)?.join(" "),
            raw?.join(" "),
            totals.iter().map(u64::to_string).collect::<Vec<_>>().join(" "),
            map.collect::<Vec<_>>().join(" "),
        ));
        if self.partition == 0 {
            self.own = totals.iter().sum();
        }
        Ok(())
    }

    fn snapshot_state(&mut self, ctx: &mut SnapshotContext<'_>) -> Result<()> {
        self.totals.update(ctx, [self.own])
    }
}

tidegate_sdk::export!(broadcast_process: Ledger);
