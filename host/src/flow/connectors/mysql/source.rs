//! The MySQL source: the rows of a query, read once or anew every period, by a thread of its own,
//! so that a server that is slow or away holds nobody up.
//!
//! Read once, it goes on after a restart behind the rows that it has given out: it counts them, so
//! the query must give the same rows in the same order. Read again and again, it reads anew.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use futures_util::future::{self, Either};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};
use tokio::runtime::Builder;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::failure::Failure;
use super::outage::{Next as NextTry, Outage};
use super::record::RecordWriter;
use super::server::Server;
use crate::checkpoint::manifest::SourcePosition;
use crate::env::Stopwatch;
use crate::error::{Error, Result};
use crate::flow::connectors::line_buffer::BEGINNING_BYTES;
use crate::flow::connectors::{Connector, Next};
use crate::flow::{BATCH_RECORDS_MAX, Waker};
use crate::job::plan::{MysqlSourcePlan, SourcePlan};
use crate::job::show_duration;
use crate::model::{Format, Packed};
use crate::wasm::{LogLevel, LogSink};

/// So many bytes of rows are handed over at once, and so many portions wait at most.
const PORTION_BYTES: usize = 64 << 10;
const PORTIONS_MAX: usize = 4;

/// What a position says of a query that has been read to its end.
const ALL_ROWS: &str = "all rows";

/// What the thread tells the task.
enum Message {
    /// What follows is of the read of this number.
    Begin(u64),
    Rows(Packed),
    /// The query was to be read once, and has been.
    End,
    Failed(Error),
}

/// The rows of a query.
pub(in crate::flow) struct MysqlSource {
    id: Arc<str>,
    is_read_once: bool,
    /// By which a position knows the query.
    fingerprint: String,
    messages: Option<Receiver<Message>>,
    rows: Packed,
    next: usize,
    /// The number of the read, and how many of its rows have been given out.
    read: u64,
    row: u64,
    line_bytes_max: usize,
}

impl MysqlSource {
    /// Starts to read. The server need not be there yet.
    ///
    /// # Errors
    /// If the environment lacks the credentials, if the checkpoint is of another query, or if no
    /// thread can be started.
    pub(in crate::flow) fn open(
        source: &SourcePlan,
        plan: &MysqlSourcePlan,
        waker: &Waker,
        log: LogSink,
        from: &SourcePosition,
    ) -> Result<Self> {
        let fingerprint = format!("query {:08x}", crc32fast::hash(plan.query.as_bytes()));
        let is_read_once = plan.every.is_none();
        let row = if is_read_once { from.line } else { 0 };
        let is_of_another = from.split.as_ref().is_some_and(|split| *split != fingerprint);
        if row > 0 && is_of_another {
            let id = &source.id;
            let message =
                format!("the checkpoint stands at row {row} of another query of source {id:?}");
            return Err(Error::input(message).hint("put the query back as it was"));
        }
        let mut opened = Self {
            id: source.id.as_str().into(),
            is_read_once,
            fingerprint,
            messages: None,
            rows: Packed::default(),
            next: 0,
            read: from.offset,
            row,
            line_bytes_max: source.line_bytes_max,
        };
        if from.done.is_empty() {
            let (sender, messages) = channel(PORTIONS_MAX);
            opened.messages = Some(messages);
            let reader = Reader {
                server: Server::new(&plan.server)?,
                query: plan.query.clone(),
                every: plan.every,
                format: source.format,
                outbox: Outbox { sender, waker: waker.clone() },
                log,
                connection: None,
                outage: Outage::new(plan.server.retry_for),
                first_failure: None,
                read: from.offset,
                given: row,
            };
            std::thread::Builder::new()
                .name(format!("{} reader", source.id))
                .spawn(move || reader.run())
                .map_err(|cause| Error::input("cannot start a thread").caused_by(cause))?;
        }
        Ok(opened)
    }

    /// The next row of those that are here.
    fn give(&mut self) -> Next<'_> {
        let record = self.rows.get(self.next);
        self.next += 1;
        self.row += 1;
        if record.len() <= self.line_bytes_max {
            return Next::Line(record, self.row);
        }
        let beginning = &record[..record.len().min(BEGINNING_BYTES)];
        Next::TooLong(beginning, self.row, record.len() as u64)
    }
}

impl Connector for MysqlSource {
    fn next(&mut self, _now: i64) -> Result<Next<'_>> {
        loop {
            if self.next < self.rows.len() {
                return Ok(self.give());
            }
            let Some(messages) = &mut self.messages else { return Ok(Next::End) };
            match messages.try_recv() {
                Ok(Message::Rows(rows)) => (self.rows, self.next) = (rows, 0),
                Ok(Message::Begin(read)) => {
                    self.read = read;
                    if self.is_read_once {
                        return Ok(Next::Split(self.id.clone()));
                    }
                    self.row = 0;
                    return Ok(Next::Split(format!("{}, read {read}", self.id).into()));
                }
                Ok(Message::End) => self.messages = None,
                Ok(Message::Failed(error)) => return Err(error),
                Err(TryRecvError::Empty) => return Ok(Next::Nothing(None)),
                Err(TryRecvError::Disconnected) => {
                    let message = format!("the reader of source {:?} is gone", self.id);
                    return Err(Error::storage(message));
                }
            }
        }
    }

    fn position(&self) -> SourcePosition {
        let has_ended = self.messages.is_none() && self.next == self.rows.len();
        SourcePosition {
            done: if has_ended { vec![ALL_ROWS.into()] } else { Vec::new() },
            split: Some(self.fingerprint.clone()),
            offset: self.read,
            line: self.row,
            ..SourcePosition::default()
        }
    }
}

/// The way to the task.
struct Outbox {
    sender: Sender<Message>,
    waker: Waker,
}

impl Outbox {
    async fn send(&self, message: Message) {
        // If the task is gone this thread ends: `run` sees to it.
        let _ = self.sender.send(message).await;
        self.waker.wake();
    }
}

/// What the thread does.
struct Reader {
    server: Server,
    query: String,
    every: Option<Duration>,
    format: Format,
    outbox: Outbox,
    log: LogSink,
    /// Kept from one read to the next.
    connection: Option<Conn>,
    outage: Outage,
    first_failure: Option<Stopwatch>,
    read: u64,
    /// Rows handed over, of a query that is read once.
    given: u64,
}

impl Reader {
    /// Reads until there is no more to read, or until nobody wants it any more.
    fn run(mut self) {
        let gone = self.outbox.sender.clone();
        let waker = self.outbox.waker.clone();
        let runtime = match Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(cause) => {
                let error = Error::storage("cannot start to read").caused_by(cause);
                // The channel is empty, unless the task is gone.
                let _ = gone.try_send(Message::Failed(error));
                return waker.wake();
            }
        };
        runtime.block_on(async move {
            let reading = pin!(async move { self.read_all().await });
            let unwanted = pin!(gone.closed());
            match future::select(reading, unwanted).await {
                Either::Left(((), _)) | Either::Right(((), _)) => {}
            }
        });
        waker.wake();
    }

    async fn read_all(&mut self) {
        loop {
            let stopwatch = Stopwatch::start();
            if let Err(error) = self.read_surely().await {
                return self.outbox.send(Message::Failed(error)).await;
            }
            let Some(every) = self.every else { return self.outbox.send(Message::End).await };
            tokio::time::sleep(every.saturating_sub(stopwatch.elapsed())).await;
        }
    }

    /// Reads all rows, as often as it takes.
    async fn read_surely(&mut self) -> Result<()> {
        loop {
            let is_reused = self.connection.is_some();
            let Err(failure) = self.read().await else { return Ok(()) };
            self.connection = None;
            let what = format!("cannot read from {}", self.server.name());
            if !failure.may_pass() {
                return Err(failure.into_error(&what));
            }
            // The server has ended a connection that was of no use for a while: that is no outage.
            if is_reused && !matches!(failure, Failure::Timeout(_)) {
                continue;
            }
            let since = self.first_failure.get_or_insert_with(Stopwatch::start).elapsed();
            match self.outage.failed(since) {
                NextTry::GiveUp => return Err(failure.into_error(&what)),
                NextTry::Wait(delay) => tokio::time::sleep(delay).await,
                NextTry::TellAndWait(delay) => {
                    let (why, most) = (failure.text(), self.server.retry_for());
                    let most = show_duration(most);
                    let line = format!("{what}: {why}; it is tried again for up to {most}");
                    self.log.write(LogLevel::Warn, &line);
                    tokio::time::sleep(delay).await;
                }
            }
        }
    }

    /// The server has answered.
    fn note_answer(&mut self) {
        let first = self.first_failure.take();
        if let (true, Some(first)) = (self.outage.is_over(), first) {
            let seconds = first.elapsed().as_secs_f64();
            let line = format!("{} answers again after {seconds:.1} s", self.server.name());
            self.log.write(LogLevel::Info, &line);
        }
    }

    /// Reads all rows and hands them over; of a query that is read once, those that were not yet.
    async fn read(&mut self) -> Result<(), Failure> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.server.connect().await?,
        };
        let mut result = self.server.answer(connection.query_iter(self.query.as_str())).await?;
        self.note_answer();
        let records = RecordWriter::new(self.format, result.columns_ref());
        let rows = self.server.answer(result.stream::<Row>()).await?;
        let Some(mut rows) = rows else {
            let name = self.server.name();
            let message = format!("the query asks {name} for nothing that has rows");
            return Err(Failure::Lasting(Error::input(message).hint("write a SELECT")));
        };
        self.begin().await;
        let passed_over = if self.every.is_none() { self.given } else { 0 };
        let mut seen = 0;
        let mut record = Vec::new();
        let mut portion = Packed::default();
        while let Some(row) = self.server.answer(rows.try_next()).await? {
            seen += 1;
            if seen <= passed_over {
                continue;
            }
            record.clear();
            records.write(&mut record, &row.unwrap());
            portion.push(&record);
            if portion.bytes.len() >= PORTION_BYTES || portion.len() >= BATCH_RECORDS_MAX {
                self.hand_over(&mut portion).await;
            }
        }
        drop(rows);
        self.hand_over(&mut portion).await;
        self.server.answer(result.drop_result()).await?;
        if seen < passed_over {
            let message = format!(
                "the query gives {seen} rows now, fewer than the {passed_over} that were read"
            );
            let hint = "a query that is read once must give the same rows in the same order: \
                        begin anew with `--restore none`";
            return Err(Failure::Lasting(Error::input(message).hint(hint)));
        }
        self.connection = Some(connection);
        Ok(())
    }

    /// Numbers the read. One that goes on where another has failed has its number.
    async fn begin(&mut self) {
        if self.every.is_some() || self.read == 0 {
            self.read += 1;
        }
        self.outbox.send(Message::Begin(self.read)).await;
    }

    async fn hand_over(&mut self, portion: &mut Packed) {
        if !portion.is_empty() {
            self.given += portion.len() as u64;
            self.outbox.send(Message::Rows(std::mem::take(portion))).await;
        }
    }
}
