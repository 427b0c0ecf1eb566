//! MySQL, and whatever speaks its protocol (MariaDB): a query as a source, a table as a sink.
//!
//! ```text
//! source: query --rows--> record (csv, json) --channel--> task       source.rs, a thread of its own
//! sink:   record --values--> INSERT … ON DUPLICATE KEY UPDATE        sink.rs, never in a task
//! ```
//! `server` makes connections, `failure` says which failures pass, `outage` how long to wait for
//! that.

mod failure;
mod outage;
mod record;
mod server;
pub(super) mod source;
