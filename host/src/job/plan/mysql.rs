//! What is planned of sources and sinks that talk to MySQL.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::model::Format;

/// A MySQL server, and how it is talked to. Credentials are no part of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MysqlServerPlan {
    /// A name or an address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The database that names of tables are looked for in.
    pub database: String,
    /// The environment variable that holds the name of the user; none = the server's anonymous one.
    pub user_env: Option<String>,
    /// The environment variable that holds the password; none = there is none.
    pub password_env: Option<String>,
    /// Whether the connection is encrypted, and whom it trusts.
    pub tls: MysqlTls,
    /// How long it may take to connect, and then to answer. Default 30 s.
    pub timeout: Duration,
    /// How long the server may be away before the job fails. Default 60 s; 0 = it fails at once.
    pub retry_for: Duration,
}

/// For people: `mysql at HOST:PORT/DATABASE`.
impl fmt::Display for MysqlServerPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mysql at {}:{}/{}", self.host, self.port, self.database)
    }
}

/// Whether a connection is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MysqlTls {
    /// It is not.
    Off,
    /// It is; a public authority has signed the server's certificate.
    PublicAuthorities,
    /// It is; the server's certificate is signed by one of this file.
    Authorities(PathBuf),
}

/// A query.
#[derive(Debug, Clone)]
pub struct MysqlSourcePlan {
    /// The server.
    pub server: MysqlServerPlan,
    /// What is read.
    pub query: String,
    /// From the start of one read to the start of the next; none = it is read once.
    pub every: Option<Duration>,
}

/// A table that is written.
#[derive(Debug, Clone)]
pub struct MysqlSinkPlan {
    /// The server.
    pub server: MysqlServerPlan,
    /// The table, or `database.table`.
    pub table: String,
    /// The columns that a record fills, in the order of the fields of CSV, or by their names.
    pub columns: Vec<String>,
    /// Those by which a row replaces another; empty = rows are added.
    pub key: Vec<String>,
    /// How records are written.
    pub format: Format,
}
