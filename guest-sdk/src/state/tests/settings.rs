//! What the model of keyed state knows nothing of: the visibility of expired state, and state of
//! the partition.

use std::collections::BTreeMap;

use crate::prelude::*;
use crate::testing::Harness;

/// Sends what it finds, and keeps the record.
struct Remember<const SHOWS_EXPIRED: bool> {
    last: ValueState<String>,
}

impl<const SHOWS_EXPIRED: bool> RichFlatMapFunction for Remember<SHOWS_EXPIRED> {
    type In<'a> = &'a str;
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        let ttl = Ttl::new(Duration::from_secs(10));
        let ttl = if SHOWS_EXPIRED { ttl.return_expired_if_not_cleaned_up() } else { ttl };
        Ok(Self { last: setup.state("last").ttl(ttl).value() })
    }

    fn flat_map(&mut self, line: &str, ctx: &mut FlatMapContext<'_, String>) -> Result<()> {
        ctx.collect(format!("{:?}", self.last.value(ctx)?));
        self.last.update(ctx, &line.to_owned())
    }
}

fn remembered<const SHOWS_EXPIRED: bool>() -> Vec<String> {
    let mut remember = Harness::rich_flat_map::<Remember<SHOWS_EXPIRED>>().open().unwrap();
    for (now, line) in [(0, "a"), (9_999, "b"), (19_999, "c")] {
        remember.advance_processing_time(now).unwrap();
        remember.push("key", line, 0).unwrap();
    }
    remember.take_output()
}

#[test]
fn expired_state_is_found_where_that_is_wanted() {
    assert_eq!(remembered::<false>(), ["None", "Some(\"a\")", "None"]);
    assert_eq!(remembered::<true>(), ["None", "Some(\"a\")", "Some(\"b\")"]);
}

/// A table that comes as one record and is kept as one value, as a Flink
/// `MapStateDescriptor<Void, Map<…>>` does.
struct Table {
    users: BroadcastState<(), BTreeMap<String, (String, u32)>>,
}

impl BroadcastProcessFunction for Table {
    type In<'a> = &'a str;
    type Broadcast<'a> = Json<BTreeMap<String, (String, u32)>>;
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self { users: setup.broadcast_state("config") })
    }

    fn process_element(&mut self, id: &str, ctx: &mut ProcessContext<'_, String>) -> Result<()> {
        let users = self.users.get(ctx, &())?.unwrap_or_default();
        if let Some((name, age)) = users.get(id) {
            ctx.collect(format!("{id},{name},{age}"));
        }
        Ok(())
    }

    fn process_broadcast_element(
        &mut self,
        Json(users): Self::Broadcast<'_>,
        ctx: &mut BroadcastContext<'_, String>,
    ) -> Result<()> {
        self.users.clear(ctx);
        self.users.put(ctx, &(), &users)
    }
}

#[test]
fn a_table_can_be_broadcast_whole() {
    let mut table = Harness::broadcast_process::<Table>().open().unwrap();
    table.push("user_1", 0).unwrap();
    table.push_broadcast(r#"{"user_1":["ann",10],"user_2":["bob",20]}"#, 0).unwrap();
    table.push("user_1", 0).unwrap();
    table.push_broadcast(r#"{"user_2":["bob",21]}"#, 0).unwrap();
    table.restart().unwrap();
    table.push("user_1", 0).unwrap();
    table.push("user_2", 0).unwrap();
    assert_eq!(table.take_output(), ["user_1,ann,10", "user_2,bob,21"]);
}

struct Mortal;

impl ProcessFunction for Mortal {
    type In<'a> = &'a str;
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        let ttl = Ttl::new(Duration::from_secs(10));
        let _: OperatorListState<u64> = setup.state("list").ttl(ttl).operator_list();
        Ok(Mortal)
    }

    fn process_element(&mut self, _: &str, _: &mut ProcessContext<'_, String>) -> Result<()> {
        Ok(())
    }
}

#[test]
fn operator_state_has_no_time_to_live() {
    let error = Harness::process::<Mortal>().open().err().map(|error| error.to_string());
    let message = "operator state `list` has a time to live, which only keyed state can have";
    assert_eq!(error.as_deref(), Some(message));
}
