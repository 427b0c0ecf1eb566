//! Brings the logs of a sink into its table, each checkpoint in one transaction.
//!
//! ```text
//! tidegate_commits   job, sink | claim | checkpoint, attempt
//! ```
//! A row a sink, in the sink's database. `checkpoint` and `attempt` are the marker: they change in
//! the transaction that writes the rows, so they tell a restore whether it was done. `claim` rises
//! with each process that takes the sink over; one with an older claim writes nothing any more. A
//! lock by name, held by the connection, tells the next process whose transaction to end.

use std::sync::Arc;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error as MysqlError};

use super::failure::Failure;
use super::insert::{Insert, Rows};
use super::session::{Link, Session};
use super::{statement, table};
use crate::checkpoint::{Committer, Logs, Marker};
use crate::error::{Error, ErrorKind, Result};
use crate::flow::StopFlag;
use crate::job::plan::MysqlSinkPlan;
use crate::wasm::LogSink;

const CREATE: &str = "CREATE TABLE IF NOT EXISTS tidegate_commits (\
    job VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, \
    sink VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, \
    claim BIGINT UNSIGNED NOT NULL, \
    checkpoint BIGINT UNSIGNED NULL, \
    attempt VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NULL, \
    PRIMARY KEY (job, sink)) ENGINE = InnoDB";

const FIND: &str = "SELECT claim, checkpoint, attempt FROM tidegate_commits \
    WHERE job = ? AND sink = ?";

const FIND_AND_LOCK: &str = "SELECT claim, checkpoint, attempt FROM tidegate_commits \
    WHERE job = ? AND sink = ? FOR UPDATE";

/// The name of the lock that the connection of a sink's committer holds.
const LOCK_NAME: &str = "SHA1(CONCAT_WS('/', 'tidegate', DATABASE(), ?, ?))";

/// How long to wait until a connection that was ended has given up its lock.
const LOCK_SECONDS: u32 = 5;

/// The table is not there.
const NO_SUCH_TABLE: u16 = 1146;

/// A row of `tidegate_commits`.
type Row = (u64, Option<u64>, Option<String>);

/// Writes to one table.
pub(in crate::flow) struct MysqlCommitter {
    session: Session,
    sink: SinkOf,
    /// By which `tidegate_commits` knows that it is us; none = not claimed yet.
    claim: Option<u64>,
}

struct SinkOf {
    plan: MysqlSinkPlan,
    insert: Insert,
    job: String,
    id: String,
}

impl MysqlCommitter {
    /// Connects to nothing yet. `stop` ends every wait.
    ///
    /// # Errors
    /// If the environment lacks the credentials.
    pub(in crate::flow) fn new(
        job: &str,
        id: &str,
        plan: &MysqlSinkPlan,
        log: LogSink,
        stop: Arc<StopFlag>,
    ) -> Result<Self> {
        let session = Session::new(&plan.server, log, Box::new(move || stop.ends_at_once()))?;
        let insert = Insert::new(plan);
        let sink = SinkOf { plan: plan.clone(), insert, job: job.into(), id: id.into() };
        Ok(Self { session, sink, claim: None })
    }
}

impl Committer for MysqlCommitter {
    fn claim(&mut self) -> Result<()> {
        let Self { session, sink, claim } = self;
        *claim = Some(session.surely("claim a sink in", |link, connection| {
            table::inspect(&sink.plan, true, link, connection)?;
            sink.make_table(link, connection)?;
            sink.take_lock(link, connection)?;
            sink.claim(link, connection)
        })?);
        Ok(())
    }

    fn committed(&mut self) -> Result<Option<Marker>> {
        let Self { session, sink, claim } = self;
        session.surely("ask for the last commit in", |link, connection| {
            let row = link.answer(connection.exec_first(FIND, sink.names()))?;
            sink.marker(row, *claim)
        })
    }

    fn commit(&mut self, marker: &Marker, logs: &Logs<'_>) -> Result<()> {
        let Self { session, sink, claim } = self;
        session.surely("write to", |link, connection| {
            // A connection that was lost may have been lost after the commit.
            let row = link.answer(connection.exec_first(FIND, sink.names()))?;
            if sink.marker(row, *claim)?.as_ref() == Some(marker) {
                return Ok(());
            }
            sink.take_lock(link, connection)?;
            link.answer(connection.query_drop("START TRANSACTION"))?;
            let row = link.answer(connection.exec_first(FIND_AND_LOCK, sink.names()))?;
            sink.marker(row, *claim)?;
            sink.insert_all(link, connection, logs)?;
            link.answer(connection.exec_drop(
                "UPDATE tidegate_commits SET checkpoint = ?, attempt = ? \
                 WHERE job = ? AND sink = ?",
                (marker.checkpoint, marker.attempt.as_str(), sink.job.as_str(), sink.id.as_str()),
            ))?;
            link.answer(connection.query_drop("COMMIT"))
        })
    }
}

impl SinkOf {
    fn names(&self) -> (&str, &str) {
        (&self.job, &self.id)
    }

    /// Asks before it makes: a user who may only write needs no more than somebody who has made it.
    fn make_table(&self, link: &Link, connection: &mut Conn) -> Result<(), Failure> {
        let found: Result<Option<Row>, Failure> =
            link.answer(connection.exec_first(FIND, self.names()));
        match found {
            Err(Failure::Mysql(MysqlError::Server(error))) if error.code == NO_SUCH_TABLE => {
                link.answer(connection.query_drop(CREATE))
            }
            found => found.map(drop),
        }
    }

    /// Holds the lock of the sink. If another connection does, it is of a process that is gone or
    /// taken for gone, or one of our own that is lost: it ends, and its transaction with it.
    fn take_lock(&self, link: &Link, connection: &mut Conn) -> Result<(), Failure> {
        let holder = format!("SELECT IS_USED_LOCK({LOCK_NAME})");
        let holder: Option<Option<u64>> =
            link.answer(connection.exec_first(holder, self.names()))?;
        let holder = holder.flatten();
        if holder == Some(connection.id().into()) {
            return Ok(());
        }
        if let Some(other) = holder {
            match link.answer(connection.query_drop(format!("KILL {other}"))) {
                // It has ended meanwhile, or it is another user's: the lock will tell.
                Ok(()) | Err(Failure::Mysql(MysqlError::Server(_))) => {}
                Err(failure) => return Err(failure),
            }
        }
        let lock = format!("SELECT GET_LOCK({LOCK_NAME}, {LOCK_SECONDS})");
        let got: Option<Option<i64>> = link.answer(connection.exec_first(lock, self.names()))?;
        if got.flatten() == Some(1) {
            return Ok(());
        }
        let message = format!(
            "another connection holds sink {:?} of job {:?} in {}",
            self.id,
            self.job,
            link.name()
        );
        let hint = "stop the other process that runs this job, or end its connection";
        Err(Failure::Passing(Error::storage(message).hint(hint)))
    }

    fn claim(&self, link: &Link, connection: &mut Conn) -> Result<u64, Failure> {
        link.answer(connection.exec_drop(
            "INSERT INTO tidegate_commits (job, sink, claim) VALUES (?, ?, 1) \
             ON DUPLICATE KEY UPDATE claim = claim + 1",
            self.names(),
        ))?;
        // Nobody else has changed it meanwhile: we hold the lock.
        let row: Option<Row> = link.answer(connection.exec_first(FIND, self.names()))?;
        row.map(|(claim, _, _)| claim).ok_or_else(|| self.lost(link.name()))
    }

    /// The marker of a row, if it is still ours.
    fn marker(&self, row: Option<Row>, claim: Option<u64>) -> Result<Option<Marker>, Failure> {
        match row {
            Some((found, checkpoint, attempt)) if Some(found) == claim => {
                let marker = checkpoint.zip(attempt);
                Ok(marker.map(|(checkpoint, attempt)| Marker { checkpoint, attempt }))
            }
            _ => Err(self.lost(&self.plan.server.to_string())),
        }
    }

    fn lost(&self, server: &str) -> Failure {
        let message = format!(
            "another process has taken over sink {:?} of job {:?} in {server}",
            self.id, self.job
        );
        let hint = "run a job once at a time; jobs that share a database have names of their own";
        Failure::Lasting(Error::new(ErrorKind::Input, message).hint(hint))
    }

    /// Writes the records of all logs.
    fn insert_all(
        &self,
        link: &Link,
        connection: &mut Conn,
        logs: &Logs<'_>,
    ) -> Result<(), Failure> {
        let mut rows = Rows::default();
        let mut failure = None;
        let visited = logs.for_each(&mut |record| {
            if self.insert.is_full(&rows)
                && let Err(failed) = statement::send(&self.insert, &mut rows, link, connection)
            {
                failure = Some(failed);
                return Err(Error::storage("the server failed"));
            }
            let pushed = self.insert.push(&mut rows, record.value);
            pushed.map_err(|reason| unfit(&self.id, &reason))
        });
        if let Some(failure) = failure {
            return Err(failure);
        }
        visited.map_err(Failure::Lasting)?;
        statement::send(&self.insert, &mut rows, link, connection)
    }
}

/// A record that cannot become a row, although it was checked when it came: the job file has
/// changed since.
fn unfit(sink: &str, reason: &str) -> Error {
    let message = format!("a record that waits for sink {sink:?} does not fit: {reason}");
    Error::input(message).hint("put `columns` back as it was until the records are written")
}
