//! Whether a table can take what a sink writes, as far as the server's catalog tells.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::failure::Failure;
use super::session::Link;
use crate::error::Error;
use crate::job::plan::MysqlSinkPlan;

/// Engines that write each row at once, whatever becomes of its transaction.
const WITHOUT_TRANSACTIONS: [&str; 6] = ["MyISAM", "Aria", "MEMORY", "CSV", "ARCHIVE", "BLACKHOLE"];

/// Looks at the table of a sink.
///
/// # Errors
/// If it is not there, lacks a column, has no unique index of the sink's key, or cannot keep
/// `needs_transactions`; if the server cannot be asked.
pub(super) fn inspect(
    plan: &MysqlSinkPlan,
    needs_transactions: bool,
    link: &Link,
    connection: &mut Conn,
) -> Result<(), Failure> {
    let (database, table) = match plan.table.split_once('.') {
        Some((database, table)) => (database, table),
        None => (plan.server.database.as_str(), plan.table.as_str()),
    };
    let at = (database, table);
    let engine: Option<Option<String>> = link.answer(connection.exec_first(
        "SELECT ENGINE FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?",
        at,
    ))?;
    let Some(engine) = engine else {
        let hint = format!("make it in database {database}, or let this user see it");
        return Err(refused(plan, "is not there", hint));
    };
    let columns: Vec<String> = link.answer(connection.exec(
        "SELECT COLUMN_NAME FROM information_schema.COLUMNS \
         WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?",
        at,
    ))?;
    let is_there = |name: &&String| columns.iter().any(|column| column.eq_ignore_ascii_case(name));
    if let Some(name) = plan.columns.iter().find(|name| !is_there(name)) {
        let hint = format!("it has {}", columns.join(", "));
        return Err(refused(plan, &format!("has no column {name}"), hint));
    }
    if !plan.key.is_empty() {
        let indexes: Vec<(String, String)> = link.answer(connection.exec(
            "SELECT INDEX_NAME, COLUMN_NAME FROM information_schema.STATISTICS \
             WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND NON_UNIQUE = 0 AND COLUMN_NAME IS NOT \
             NULL",
            at,
        ))?;
        if !has_index(&indexes, &plan.key) {
            let key = plan.key.join(", ");
            let what = format!("has no unique index of the key {key}, so rows would be doubled");
            let hint = format!("ALTER TABLE {} ADD UNIQUE ({key})", plan.table);
            return Err(refused(plan, &what, hint));
        }
    }
    let engine = engine.unwrap_or_default();
    // A row that is written again by its key is the same row.
    if needs_transactions && plan.key.is_empty() && WITHOUT_TRANSACTIONS.contains(&engine.as_str())
    {
        let what = format!("has the engine {engine}, which knows no transactions");
        let hint = format!(
            "ALTER TABLE {} ENGINE = InnoDB; or give the sink a `key`, by which a row that is \
             written twice is one row",
            plan.table
        );
        return Err(refused(plan, &what, hint));
    }
    Ok(())
}

/// Whether one index has exactly these columns.
fn has_index(indexes: &[(String, String)], key: &[String]) -> bool {
    indexes.iter().any(|(name, _)| {
        let of_index: Vec<&String> =
            indexes.iter().filter(|(other, _)| other == name).map(|(_, column)| column).collect();
        let is_in = |column: &String| of_index.iter().any(|one| one.eq_ignore_ascii_case(column));
        of_index.len() == key.len() && key.iter().all(is_in)
    })
}

fn refused(plan: &MysqlSinkPlan, what: &str, hint: String) -> Failure {
    let message = format!("table {} of {} {what}", plan.table, plan.server);
    Failure::Lasting(Error::input(message).hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_whole_unique_index() {
        let index = |name: &str, column: &str| (name.to_owned(), column.to_owned());
        let indexes = [index("PRIMARY", "id"), index("two", "A"), index("two", "b")];
        let has = |key: &[&str]| {
            has_index(&indexes, &key.iter().map(|&name| name.to_owned()).collect::<Vec<_>>())
        };
        assert!(has(&["id"]) && has(&["ID"]) && has(&["b", "a"]));
        assert!(!has(&["a"]) && !has(&["id", "a"]) && !has(&["a", "b", "id"]) && !has(&["c"]));
        assert!(!has_index(&[], &["id".to_owned()]));
    }
}
