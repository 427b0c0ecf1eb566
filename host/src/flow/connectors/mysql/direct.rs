//! Writes rows as they come, for jobs that take no checkpoints or are content with at least once: a
//! thread of its own, and a queue that says when it is full instead of blocking the task.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, OnceLock};

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::failure::Failure;
use super::insert::{Insert, Rows};
use super::session::{Link, Session};
use super::{WakeAtEnd, statement, table};
use crate::error::{Error, Result};
use crate::flow::sink::Prepared;
use crate::flow::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX, Waker};
use crate::job::plan::MysqlSinkPlan;
use crate::model::{Batch, Packed};
use crate::wasm::LogSink;

/// So many portions of rows wait for the thread at most.
const ORDERS_MAX: usize = 4;

/// What the thread is to do.
enum Order {
    /// Write these records.
    Write(Packed),
    /// Say that all that came before is written.
    Tell(SyncSender<()>),
}

/// What ended the thread, told to whoever asks.
type Fate = Arc<OnceLock<Error>>;

/// Hands records to the thread that writes them.
pub(super) struct DirectWriter {
    pending: Packed,
    /// What the queue has not taken yet.
    waiting: VecDeque<Order>,
    orders: SyncSender<Order>,
    fate: Fate,
    given_up: Arc<AtomicBool>,
    /// The thread has ended.
    is_gone: bool,
}

impl DirectWriter {
    /// Starts the thread. `waker` wakes the task when there is room again.
    ///
    /// # Errors
    /// If the environment lacks the credentials, or no thread can be started.
    pub(super) fn open(
        id: &str,
        plan: &MysqlSinkPlan,
        waker: &Waker,
        log: LogSink,
    ) -> Result<Self> {
        let (sender, orders) = mpsc::sync_channel(ORDERS_MAX);
        let (fate, given_up) = (Fate::default(), Arc::new(AtomicBool::new(false)));
        let is_unwanted = {
            let given_up = given_up.clone();
            Box::new(move || given_up.load(Ordering::Relaxed))
        };
        let session = Session::new(&plan.server, log, is_unwanted)?;
        let thread = Thread { session, plan: plan.clone(), insert: Insert::new(plan) };
        let (told, waker) = (fate.clone(), waker.clone());
        std::thread::Builder::new()
            .name(format!("{id} rows"))
            .spawn(move || {
                // IMPORTANT: the last to go, when the queue is closed; before, the fate is told.
                let _wake = WakeAtEnd(waker.clone());
                let orders = orders;
                if let Err(error) = thread.run(&orders, &waker) {
                    // Nobody else tells it.
                    let _ = told.set(error);
                }
            })
            .map_err(|cause| Error::input("cannot start a thread").caused_by(cause))?;
        let (pending, waiting) = (Packed::default(), VecDeque::new());
        Ok(Self { pending, waiting, orders: sender, fate, given_up, is_gone: false })
    }

    /// Takes the records of a batch, which can become rows.
    pub(super) fn write(&mut self, batch: &Batch) {
        for record in batch.values.iter() {
            self.pending.push(record);
            if self.pending.len() >= BATCH_RECORDS_MAX
                || self.pending.bytes.len() >= BATCH_BYTES_MAX
            {
                self.waiting.push_back(Order::Write(std::mem::take(&mut self.pending)));
            }
        }
    }

    /// Lets everything be written as soon as can be. What the queue has no room for stays, so that
    /// rows go in larger portions the slower the server is.
    ///
    /// # Errors
    /// What has ended the thread.
    pub(super) fn flush(&mut self) -> Result<()> {
        if self.send() && !self.pending.is_empty() {
            let order = Order::Write(std::mem::take(&mut self.pending));
            match self.orders.try_send(order) {
                Err(TrySendError::Full(Order::Write(records))) => self.pending = records,
                Err(_) => self.is_gone = true,
                Ok(()) => {}
            }
        }
        self.look()
    }

    fn look(&self) -> Result<()> {
        match self.fate.get() {
            Some(error) => Err(again(error)),
            None if self.is_gone => Err(gone()),
            None => Ok(()),
        }
    }

    /// Hands on what waits. Returns whether all of it could be; if not, the task is woken later.
    pub(super) fn send(&mut self) -> bool {
        while let Some(order) = self.waiting.pop_front() {
            match self.orders.try_send(order) {
                Ok(()) => {}
                Err(TrySendError::Full(order)) => {
                    self.waiting.push_front(order);
                    return false;
                }
                // `flush` tells why.
                Err(TrySendError::Disconnected(_)) => {
                    self.is_gone = true;
                    self.waiting.clear();
                }
            }
        }
        true
    }

    /// Ends what a barrier cuts off: it is written when that which is returned has been finished.
    pub(super) fn prepare(&mut self) -> Result<Prepared> {
        self.look()?;
        if !self.pending.is_empty() {
            self.waiting.push_back(Order::Write(std::mem::take(&mut self.pending)));
        }
        let (told, tell) = mpsc::sync_channel(1);
        self.waiting.push_back(Order::Tell(told));
        self.send();
        let fate = self.fate.clone();
        Ok(Prepared::Written(Box::new(move || {
            tell.recv().map_err(|_| match fate.get() {
                Some(error) => again(error),
                None => gone(),
            })
        })))
    }
}

impl Drop for DirectWriter {
    fn drop(&mut self) {
        self.given_up.store(true, Ordering::Relaxed);
    }
}

/// The thread has panicked, which tells why.
fn gone() -> Error {
    Error::storage("the writer of rows is gone")
}

/// The same error once more: the task and its barrier both want it.
fn again(error: &Error) -> Error {
    let mut again = Error::new(error.kind, error.message.clone());
    again.hint.clone_from(&error.hint);
    match &error.source {
        Some(cause) => again.caused_by(cause.to_string()),
        None => again,
    }
}

/// What the thread has.
struct Thread {
    session: Session,
    plan: MysqlSinkPlan,
    insert: Insert,
}

impl Thread {
    fn run(self, orders: &Receiver<Order>, waker: &Waker) -> Result<()> {
        let Self { mut session, plan, insert } = self;
        session.surely("write to", |link, connection| {
            table::inspect(&plan, false, link, connection)
        })?;
        for order in orders {
            match order {
                Order::Write(records) => session.surely("write to", |link, connection| {
                    write_all(&insert, &records, link, connection)
                })?,
                // If nobody waits for it any more the job is failing.
                Order::Tell(told) => drop(told.try_send(())),
            }
            waker.wake();
        }
        Ok(())
    }
}

/// All or nothing, so that a repetition doubles as little as can be.
fn write_all(
    insert: &Insert,
    records: &Packed,
    link: &Link,
    connection: &mut Conn,
) -> Result<(), Failure> {
    link.answer(connection.query_drop("START TRANSACTION"))?;
    let mut rows = Rows::default();
    for record in records.iter() {
        if insert.is_full(&rows) {
            statement::send(insert, &mut rows, link, connection)?;
        }
        insert.push(&mut rows, record).expect("the task has checked it");
    }
    statement::send(insert, &mut rows, link, connection)?;
    link.answer(connection.query_drop("COMMIT"))
}
