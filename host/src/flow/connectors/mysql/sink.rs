//! One partition of a sink that writes a table: to a log whose records are committed with a
//! checkpoint, or directly.

use super::direct::DirectWriter;
use super::insert::Insert;
use crate::error::{Error, Result};
use crate::flow::Waker;
use crate::flow::connectors::log_sink::LogSinkWriter;
use crate::flow::sink::Prepared;
use crate::job::plan::MysqlSinkPlan;
use crate::model::Batch;
use crate::wasm::LogSink;

/// Takes records and refuses those that cannot become rows.
pub(in crate::flow) struct MysqlWriter {
    id: String,
    insert: Insert,
    way: Way,
}

enum Way {
    Logged(LogSinkWriter),
    Direct(DirectWriter),
}

impl MysqlWriter {
    /// Writes to a log.
    pub(in crate::flow) fn logged(id: &str, plan: &MysqlSinkPlan, log: LogSinkWriter) -> Self {
        Self { id: id.into(), insert: Insert::new(plan), way: Way::Logged(log) }
    }

    /// Writes to the table. `waker` wakes the task when there is room for more.
    ///
    /// # Errors
    /// If the environment lacks the credentials, or no thread can be started.
    pub(in crate::flow) fn direct(
        id: &str,
        plan: &MysqlSinkPlan,
        waker: &Waker,
        log: LogSink,
    ) -> Result<Self> {
        let way = Way::Direct(DirectWriter::open(id, plan, waker, log)?);
        Ok(Self { id: id.into(), insert: Insert::new(plan), way })
    }

    /// Writes the records of a batch.
    ///
    /// # Errors
    /// If one of them cannot become a row: then none of them is written.
    pub(in crate::flow) fn write(&mut self, batch: &Batch) -> Result<()> {
        for (index, record) in batch.values.iter().enumerate() {
            if let Err(reason) = self.insert.check(record) {
                let (id, position) = (&self.id, batch.position(index));
                let message = format!("the record from {position} does not fit sink {id:?}");
                let hint = "a record fills `columns`: fields of CSV in their order, fields of JSON \
                            by their names";
                return Err(Error::input(message).caused_by(reason).hint(hint));
            }
        }
        match &mut self.way {
            Way::Logged(log) => log.write(batch),
            Way::Direct(direct) => {
                direct.write(batch);
                Ok(())
            }
        }
    }

    /// Makes what was written visible as soon as can be, if it is not held back.
    pub(in crate::flow) fn flush(&mut self) -> Result<()> {
        match &mut self.way {
            Way::Logged(_) => Ok(()),
            Way::Direct(direct) => direct.flush(),
        }
    }

    /// Whether there is room for more; if not, the task is woken later.
    pub(in crate::flow) fn send(&mut self) -> bool {
        match &mut self.way {
            Way::Logged(_) => true,
            Way::Direct(direct) => direct.send(),
        }
    }

    /// Cuts the output at a barrier.
    pub(in crate::flow) fn prepare(&mut self, barrier: u64) -> Result<Option<Prepared>> {
        match &mut self.way {
            Way::Logged(log) => Ok(log.prepare(barrier)?.map(Prepared::File)),
            Way::Direct(direct) => direct.prepare().map(Some),
        }
    }
}
