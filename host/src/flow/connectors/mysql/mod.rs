//! MySQL, and whatever speaks its protocol (MariaDB): a query as a source, a table as a sink.
//!
//! ```text
//! source: query --rows--> record (csv, json) --channel--> task      source.rs, a thread
//! sink:   record --log--> checkpoint --committer--> rows, marker    committer.rs
//!         record --channel--> rows                                  direct.rs, a thread
//! ```
//! `session` keeps a connection and does again what fails, `failure` says what passes by itself,
//! `outage` how long to wait for that.

mod committer;
mod direct;
mod failure;
mod insert;
mod outage;
mod record;
mod session;
mod sink;
mod source;
mod statement;
mod table;

pub(in crate::flow) use committer::MysqlCommitter;
pub(in crate::flow) use sink::MysqlWriter;
pub(in crate::flow) use source::MysqlSource;

use crate::flow::Waker;

/// Wakes a task when its thread is gone, however it ended.
struct WakeAtEnd(Waker);

impl Drop for WakeAtEnd {
    fn drop(&mut self) {
        self.0.wake();
    }
}
