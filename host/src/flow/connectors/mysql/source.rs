//! The MySQL source: the rows of a query, read once or anew every period, by a thread of its own,
//! so that a server that is slow or away holds nobody up.
//!
//! Read once, it goes on after a restart behind the rows that it has given out: it counts them, so
//! the query must give the same rows in the same order. Read again and again, it reads anew.

use std::sync::Arc;

use futures_util::TryStreamExt;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::WakeAtEnd;
use super::failure::Failure;
use super::record::RecordWriter;
use super::session::{Link, Session};
use crate::checkpoint::manifest::SourcePosition;
use crate::env::Stopwatch;
use crate::error::{Error, Result};
use crate::flow::connectors::line_buffer::BEGINNING_BYTES;
use crate::flow::connectors::{Connector, Next};
use crate::flow::{BATCH_RECORDS_MAX, Waker};
use crate::job::plan::{MysqlSourcePlan, SourcePlan};
use crate::model::{Format, Packed};
use crate::wasm::LogSink;

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
        if from.done.is_empty() || !is_read_once {
            let (sender, messages) = channel(PORTIONS_MAX);
            opened.messages = Some(messages);
            let (gone, waker) = (sender.clone(), waker.clone());
            let session = Session::new(&plan.server, log, Box::new(move || gone.is_closed()))?;
            let reader = Reader {
                settings: plan.clone(),
                format: source.format,
                outbox: Outbox { sender, waker: waker.clone() },
                read: from.offset,
                given: row,
            };
            std::thread::Builder::new()
                .name(format!("{} reader", source.id))
                .spawn(move || {
                    // IMPORTANT: the last to go, when the way to the task is closed.
                    let _wake = WakeAtEnd(waker);
                    reader.run(session);
                })
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
    fn send(&self, message: Message) -> Result<(), Failure> {
        let sent = self.sender.blocking_send(message).map_err(|_| Failure::Unwanted);
        self.waker.wake();
        sent
    }
}

/// What the thread does.
struct Reader {
    settings: MysqlSourcePlan,
    format: Format,
    outbox: Outbox,
    read: u64,
    /// Rows handed over, of a query that is read once.
    given: u64,
}

impl Reader {
    /// Reads until there is no more to read, or until nobody wants it any more.
    fn run(mut self, mut session: Session) {
        let last = match self.read_all(&mut session) {
            Ok(()) => Message::End,
            Err(error) => Message::Failed(error),
        };
        // If the task is gone it has no use for it.
        let _ = self.outbox.send(last);
    }

    fn read_all(&mut self, session: &mut Session) -> Result<()> {
        loop {
            let stopwatch = Stopwatch::start();
            session.surely("read from", |link, connection| self.read(link, connection))?;
            let Some(every) = self.settings.every else { return Ok(()) };
            let rest = every.saturating_sub(stopwatch.elapsed());
            session.link().pause(rest).map_err(|failure| failure.into_error("cannot wait"))?;
        }
    }

    /// Reads all rows and hands them over; of a query that is read once, those that were not yet.
    fn read(&mut self, link: &Link, connection: &mut Conn) -> Result<(), Failure> {
        let query = self.settings.query.clone();
        let mut result = link.answer(connection.query_iter(query))?;
        let records = RecordWriter::new(self.format, result.columns_ref());
        if result.columns_ref().is_empty() {
            let message = format!("the query asks {} for nothing that has rows", link.name());
            return Err(Failure::Lasting(Error::input(message).hint("write a SELECT")));
        }
        self.begin()?;
        let is_read_once = self.settings.every.is_none();
        let passed_over = if is_read_once { self.given } else { 0 };
        let mut seen = 0;
        let mut record = Vec::new();
        let mut portion = Packed::default();
        if let Some(mut rows) = link.answer(result.stream::<Row>())? {
            while let Some(row) = link.answer(rows.try_next())? {
                link.note_progress();
                seen += 1;
                if seen <= passed_over {
                    continue;
                }
                record.clear();
                records.write(&mut record, &Row::unwrap(row));
                portion.push(&record);
                if portion.bytes.len() >= PORTION_BYTES || portion.len() >= BATCH_RECORDS_MAX {
                    self.hand_over(&mut portion)?;
                }
            }
        }
        self.hand_over(&mut portion)?;
        link.answer(result.drop_result())?;
        if seen >= passed_over {
            return Ok(());
        }
        let message =
            format!("the query gives {seen} rows now, fewer than the {passed_over} that were read");
        let hint = "a query that is read once must give the same rows in the same order: begin \
                    anew with `--restore none`";
        Err(Failure::Lasting(Error::input(message).hint(hint)))
    }

    /// Numbers the read. One that goes on where another has failed has its number.
    fn begin(&mut self) -> Result<(), Failure> {
        if self.settings.every.is_some() || self.read == 0 {
            self.read += 1;
        }
        self.outbox.send(Message::Begin(self.read))
    }

    fn hand_over(&mut self, portion: &mut Packed) -> Result<(), Failure> {
        if portion.is_empty() {
            return Ok(());
        }
        self.given += portion.len() as u64;
        self.outbox.send(Message::Rows(std::mem::take(portion)))
    }
}
