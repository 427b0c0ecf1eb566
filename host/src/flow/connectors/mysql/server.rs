//! Connections to a server, with a limit on the time of every answer.

use std::env;
use std::future::Future;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, SslOpts};

use super::failure::Failure;
use crate::error::{Error, Result};
use crate::job::plan::{MysqlServerPlan, MysqlTls};

/// How long a server keeps a result for whoever does not take it, because the job is slow.
const NET_WRITE_TIMEOUT_SECONDS: u32 = 24 * 3600;

/// A server to connect to.
pub(super) struct Server {
    options: Opts,
    timeout: Duration,
    retry_for: Duration,
    /// For people, without credentials.
    name: String,
}

impl Server {
    /// Reads the credentials from the environment. Connects to nothing.
    ///
    /// # Errors
    /// If a variable is not set, or is not text.
    pub(super) fn new(plan: &MysqlServerPlan) -> Result<Self> {
        let user = plan.user_env.as_deref().map(variable).transpose()?;
        let password = plan.password_env.as_deref().map(variable).transpose()?;
        let tls = match &plan.tls {
            MysqlTls::Off => None,
            MysqlTls::PublicAuthorities => Some(SslOpts::default()),
            MysqlTls::Authorities(path) => {
                let roots = SslOpts::default().with_root_certs(vec![path.clone().into()]);
                Some(roots.with_disable_built_in_roots(true))
            }
        };
        // Whoever was first has installed the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let options = OptsBuilder::default()
            .ip_or_hostname(plan.host.clone())
            .tcp_port(plan.port)
            .db_name(Some(plan.database.clone()))
            .user(user)
            .pass(password)
            .ssl_opts(tls)
            // What the job file names, and not a socket that the server knows.
            .prefer_socket(false)
            .tcp_keepalive(Some(plan.timeout));
        Ok(Self {
            options: options.into(),
            timeout: plan.timeout,
            retry_for: plan.retry_for,
            name: plan.to_string(),
        })
    }

    /// For people: `mysql at HOST:PORT/DATABASE`.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// How long it may be away.
    pub(super) fn retry_for(&self) -> Duration {
        self.retry_for
    }

    /// A new connection.
    pub(super) async fn connect(&self) -> Result<Conn, Failure> {
        let mut connection = self.answer(Conn::new(self.options.clone())).await?;
        let keep = format!("SET SESSION net_write_timeout = {NET_WRITE_TIMEOUT_SECONDS}");
        self.answer(connection.query_drop(keep)).await?;
        Ok(connection)
    }

    /// Waits for an answer, but not for ever.
    pub(super) async fn answer<T>(
        &self,
        answer: impl Future<Output = mysql_async::Result<T>>,
    ) -> Result<T, Failure> {
        match tokio::time::timeout(self.timeout, answer).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Failure::Timeout(self.timeout)),
        }
    }
}

/// What an environment variable holds. Messages name the variable, never that.
fn variable(name: &str) -> Result<String> {
    env::var(name).map_err(|_| {
        let message = format!("the environment variable {name} is not set, or is not text");
        Error::input(message).hint(format!("set it before the job runs: `export {name}=…`"))
    })
}
