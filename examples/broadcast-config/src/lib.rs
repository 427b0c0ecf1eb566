//! Adds the name and age of the user to what users do. What is known of users is read anew now and
//! then and reaches every partition.
//!
//! Shows a broadcast function without keys. After a Flink `BroadcastProcessFunction` over a MySQL
//! table, with one difference: there actions of users that are not known yet are left out, and
//! which those are differs from run to run; here they wait in operator state until their user is
//! known. The table comes as lines, so that the example runs by itself. Run it with
//!
//! ```text
//! tidegate build examples/broadcast-config
//! tidegate run examples/broadcast-config/job.toml
//! ```

use serde::{Deserialize, Serialize};
use tidegate_sdk::prelude::*;

/// What a user does.
#[derive(Serialize, Deserialize)]
struct Action {
    #[serde(rename = "userID")]
    user: String,
    /// `2019-08-17 12:19:47`
    #[serde(rename = "eventTime")]
    time: String,
    #[serde(rename = "eventType")]
    kind: String,
    #[serde(rename = "productID")]
    product: u64,
}

/// A row of the table: `userID,userName,userAge`.
type UserInfo<'a> = Csv<(&'a str, &'a str, u32)>;

/// Name and age.
type Known = (String, u32);

struct Enrich {
    users: BroadcastState<String, Known>,
    waiting: OperatorListState<Action>,
}

/// `(user,time,kind,product,name,age)`
fn enriched(action: &Action, (name, age): &Known) -> String {
    let Action { user, time, kind, product } = action;
    format!("({user},{time},{kind},{product},{name},{age})")
}

impl BroadcastProcessFunction for Enrich {
    type In<'a> = Json<Action>;
    type Broadcast<'a> = UserInfo<'a>;
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self {
            users: setup.broadcast_state("config"),
            waiting: setup.operator_list_state("waiting"),
        })
    }

    fn process_element(
        &mut self,
        Json(action): Self::In<'_>,
        ctx: &mut ProcessContext<'_, String>,
    ) -> Result<()> {
        match self.users.get(ctx, &action.user)? {
            Some(known) => ctx.collect(enriched(&action, &known)),
            None => self.waiting.add(ctx, &action)?,
        }
        Ok(())
    }

    fn process_broadcast_element(
        &mut self,
        Csv((user, name, age)): UserInfo<'_>,
        ctx: &mut BroadcastContext<'_, String>,
    ) -> Result<()> {
        let known = (name.to_owned(), age);
        let waiting = self.waiting.get(ctx)?;
        let (ready, waiting): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|action| action.user == user);
        if !ready.is_empty() {
            ready.iter().for_each(|action| ctx.collect(enriched(action, &known)));
            self.waiting.update(ctx, &waiting)?;
        }
        self.users.put(ctx, &user.to_owned(), &known)
    }
}

tidegate_sdk::export!(broadcast_process: Enrich);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    fn actions_wait_until_their_user_is_known() -> Result<()> {
        let action = r#"{"userID":"user_3","eventTime":"2019-08-17 12:19:47",
            "eventType":"browse","productID":1}"#;
        let mut enrich = Harness::broadcast_process::<Enrich>().open()?;
        enrich.push(action, 0)?;
        enrich.push_broadcast("user_3,王五,33", 0)?;
        let expected = "(user_3,2019-08-17 12:19:47,browse,1,王五,33)";
        assert_eq!(enrich.take_output(), [expected]);
        enrich.push(action, 0)?;
        assert_eq!(enrich.take_output(), [expected]);
        assert!(enrich.operator_list_state::<Action>("waiting")?.is_empty());
        Ok(())
    }
}
