//! Sends statements that `insert` has made.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Params};

use super::failure::Failure;
use super::insert::{Insert, Rows};
use super::session::Link;

/// Sends the statement of some rows, and empties them.
pub(super) fn send(
    insert: &Insert,
    rows: &mut Rows,
    link: &Link,
    connection: &mut Conn,
) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    let statement = insert.statement(rows);
    let values = std::mem::take(rows).values;
    link.answer(connection.exec_drop(statement, Params::Positional(values)))
}
