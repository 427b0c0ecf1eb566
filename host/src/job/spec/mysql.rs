//! What `connector = "mysql"` adds to `[[source]]` and `[[sink]]`.

use std::time::Duration;

use super::document::Value;
use super::section::{At, Mismatch, Section};
use super::values;

/// The port of a server whose URL names none.
const PORT_DEFAULT: u16 = 3306;

/// How long a server may take to answer, unless the job file says otherwise.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// How long a server may be away, unless the job file says otherwise.
const RETRY_FOR_DEFAULT: Duration = Duration::from_secs(60);

/// The most columns of a sink: one row of them still fits a statement.
const COLUMNS_MAX: usize = 1000;

const URL_EXAMPLE: &str = "\"mysql://localhost:3306/bigdata\"";

/// A server, and how it is talked to.
#[derive(Debug)]
pub struct MysqlServerSpec {
    /// Where it is.
    pub url: At<MysqlUrl>,
    /// The environment variable that holds the name of the user.
    pub user_env: Option<At<String>>,
    /// The environment variable that holds the password.
    pub password_env: Option<At<String>>,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// The file of certificates that the server's is signed by; none = the public authorities.
    pub tls_ca: Option<At<String>>,
    /// How long it may take to answer.
    pub timeout: Duration,
    /// How long it may be away before the job fails.
    pub retry_for: Duration,
}

/// `mysql://HOST:PORT/DATABASE`, without credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MysqlUrl {
    /// A name or an address.
    pub host: String,
    /// Default 3306.
    pub port: u16,
    /// The database that names of tables are looked for in.
    pub database: String,
}

/// A query that is read once or again and again.
#[derive(Debug)]
pub struct MysqlSourceSpec {
    /// The server.
    pub server: MysqlServerSpec,
    /// What is read.
    pub query: String,
    /// From the start of one read to the start of the next; none = it is read once.
    pub every: Option<Duration>,
}

/// A table that is written.
#[derive(Debug)]
pub struct MysqlSinkSpec {
    /// The server.
    pub server: MysqlServerSpec,
    /// The table, or `database.table`.
    pub table: At<String>,
    /// The columns that a record fills.
    pub columns: At<Vec<String>>,
    /// Those by which a row replaces another; none = rows are added.
    pub key: Option<At<Vec<String>>>,
}

/// Reads the keys of a source; none if something is missing, which is reported.
pub fn read_source(section: &mut Section<'_, '_>) -> Option<MysqlSourceSpec> {
    let server = read_server(section);
    let query = section.required("query", "\"SELECT id, name FROM users\"", values::text);
    let every = section.optional("every", values::positive_duration);
    let every = every.map(|at| at.value);
    Some(MysqlSourceSpec { server: server?, query: query?.value, every })
}

/// Reads the keys of a sink; none if something is missing, which is reported.
pub fn read_sink(section: &mut Section<'_, '_>) -> Option<MysqlSinkSpec> {
    let server = read_server(section);
    let table = section.required("table", "\"results\"", table);
    let named = section.required("columns", "[\"id\", \"total\"]", columns);
    let key = section.optional("key", columns);
    if let (Some(named), Some(key)) = (&named, &key) {
        for name in key.iter().filter(|name| !named.contains(*name)) {
            let problem = key.problem(format!("has {name:?}, which is none of `columns`"));
            section.report(problem.hint("add it to `columns`, in the order of the fields"));
        }
    }
    Some(MysqlSinkSpec { server: server?, table: table?, columns: named?, key })
}

fn read_server(section: &mut Section<'_, '_>) -> Option<MysqlServerSpec> {
    let url = section.required("url", URL_EXAMPLE, url);
    let user_env = section.optional("user_env", values::text);
    let password_env = section.optional("password_env", values::text);
    let tls = section.or("tls", values::boolean, false);
    let tls_ca = section.optional("tls_ca", values::text);
    let timeout = section.or("timeout", values::positive_duration, TIMEOUT_DEFAULT);
    let retry_for = section.or("retry_for", values::duration, RETRY_FOR_DEFAULT);
    if let Some(tls_ca) = tls_ca.as_ref().filter(|_| !tls) {
        let problem = tls_ca.problem("needs `tls = true`");
        section.report(problem.hint("add `tls = true`, or leave `tls_ca` out"));
    }
    let url = url?;
    Some(MysqlServerSpec { url, user_env, password_env, tls, tls_ca, timeout, retry_for })
}

/// Never shows the value: a URL that is not as it should be may hold a password.
fn url(value: &Value) -> Result<MysqlUrl, Mismatch> {
    let text = values::text(value)?;
    let wrong = |what: &str, hint: &str| Mismatch { what: what.into(), hint: hint.into() };
    let shape = || wrong("is no address of a MySQL server", &format!("write {URL_EXAMPLE}"));
    let rest = text.strip_prefix("mysql://").ok_or_else(shape)?;
    if rest.contains('@') {
        let hint = "leave them out, and name the environment variables that hold them: \
                    `user_env = \"…\"` and `password_env = \"…\"`";
        return Err(wrong("holds a user or a password, which no job file should", hint));
    }
    let (address, database) = rest.split_once('/').ok_or_else(shape)?;
    if database.is_empty() || database.contains(['/', '?', '#']) {
        let hint = format!("end it with the database's name alone, as in {URL_EXAMPLE}");
        return Err(wrong("names no database", &hint));
    }
    let (host, port) = match address.rsplit_once(':') {
        // The colons of an IPv6 address are within brackets.
        Some((host, port)) if !port.ends_with(']') => {
            (host, port.parse().ok().filter(|port| *port > 0).ok_or_else(shape)?)
        }
        _ => (address, PORT_DEFAULT),
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if host.is_empty() {
        return Err(shape());
    }
    Ok(MysqlUrl { host: host.into(), port, database: database.into() })
}

fn table(value: &Value) -> Result<String, Mismatch> {
    let table = values::text(value)?;
    if table.split('.').count() <= 2 && table.split('.').all(is_name) {
        return Ok(table);
    }
    values::mismatch(value, "the name of a table", "write \"table\" or \"database.table\"")
}

fn columns(value: &Value) -> Result<Vec<String>, Mismatch> {
    let hint = "write each column once, as in [\"id\", \"total\"]";
    let Value::Array(elements) = value else {
        return values::mismatch(value, "a list of columns", hint);
    };
    let mut names = Vec::new();
    for element in elements {
        let name = values::text(&element.value)?;
        if !is_name(&name) || names.contains(&name) || names.len() == COLUMNS_MAX {
            return values::mismatch(&element.value, "a new column", hint);
        }
        names.push(name);
    }
    if names.is_empty() { values::mismatch(value, "a list of columns", hint) } else { Ok(names) }
}

/// Whatever the server takes between back quotes, but those and dots.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(['`', '.', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(String, u16, String), String> {
        match url(&Value::Text(text.into())) {
            Ok(MysqlUrl { host, port, database }) => Ok((host, port, database)),
            Err(mismatch) => Err(format!("{}; {}", mismatch.what, mismatch.hint)),
        }
    }

    #[test]
    fn a_url_names_host_port_and_database() {
        let is = |text: &str, host: &str, port| {
            assert_eq!(read(text), Ok((host.into(), port, "db".into())), "{text}");
        };
        is("mysql://localhost:3307/db", "localhost", 3307);
        is("mysql://10.0.0.1/db", "10.0.0.1", 3306);
        is("mysql://[::1]:4000/db", "::1", 4000);
        is("mysql://[::1]/db", "::1", 3306);
        for wrong in ["localhost/db", "mysql://h:0/db", "mysql://h:x/db", "mysql://:1/db"] {
            assert!(read(wrong).is_err_and(|text| text.contains("no address")), "{wrong}");
        }
        for wrong in ["mysql://h/", "mysql://h/a/b", "mysql://h/db?ssl=1"] {
            assert!(read(wrong).is_err_and(|text| text.contains("no database")), "{wrong}");
        }
    }

    #[test]
    fn a_password_in_a_url_is_refused_and_not_shown() {
        let text = read("mysql://root:secret@h:1/db").expect_err("it holds a password");
        assert!(text.contains("`password_env"), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }

    #[test]
    fn names_can_be_quoted() {
        assert!(is_name("用户 info") && !is_name("a`b") && !is_name("a.b") && !is_name(""));
        assert!(table(&Value::Text("db.users".into())).is_ok());
        assert!(table(&Value::Text("a.b.c".into())).is_err());
        assert!(table(&Value::Text("a.".into())).is_err());
    }
}
