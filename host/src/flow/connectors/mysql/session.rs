//! A connection to a server and the patience with it: no answer is waited for without a limit, and
//! what fails is done again as long as the server may come back. For threads that may wait; no task
//! calls it.

use std::cell::Cell;
use std::env;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{self, Either};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, SslOpts};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{sleep, timeout};

use super::failure::Failure;
use super::outage::{Next, Outage};
use crate::env::Stopwatch;
use crate::error::{Error, Result};
use crate::job::plan::{MysqlServerPlan, MysqlTls};
use crate::wasm::{LogLevel, LogSink};

/// How long a server keeps a result for whoever does not take it, because the job is slow.
const NET_WRITE_TIMEOUT_SECONDS: u32 = 24 * 3600;

/// How often a wait looks whether it is still wanted.
const UNWANTED_POLL: Duration = Duration::from_millis(50);

/// How long a good-bye may take.
const GOOD_BYE: Duration = Duration::from_millis(500);

/// Whether nobody waits for an answer any more.
pub(super) type IsUnwanted = Box<dyn Fn() -> bool + Send>;

/// Talks to a server.
pub(super) struct Session {
    link: Link,
    options: Opts,
    /// Kept from one use to the next.
    connection: Option<Conn>,
    retry_for: Duration,
    outage: Outage,
    first_failure: Option<Stopwatch>,
    log: LogSink,
}

/// What waits for answers.
pub(super) struct Link {
    runtime: Runtime,
    timeout: Duration,
    is_unwanted: IsUnwanted,
    has_answered: Cell<bool>,
    /// For people, without credentials.
    name: String,
}

impl Link {
    /// For people: `mysql at HOST:PORT/DATABASE`.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Waits for an answer, but not for ever.
    pub(super) fn answer<T>(
        &self,
        answer: impl Future<Output = mysql_async::Result<T>>,
    ) -> Result<T, Failure> {
        self.wait(async move { timeout(self.timeout, answer).await })?
            .map_err(|_| Failure::Timeout(self.timeout))?
            .map_err(Failure::from)
    }

    /// Lets time pass.
    pub(super) fn pause(&self, time: Duration) -> Result<(), Failure> {
        self.wait(async move { sleep(time).await })
    }

    /// Notes that the server does what it is asked, although there is more to come.
    pub(super) fn note_progress(&self) {
        self.has_answered.set(true);
    }

    fn wait<T>(&self, what: impl Future<Output = T>) -> Result<T, Failure> {
        let unwanted = async {
            while !(self.is_unwanted)() {
                sleep(UNWANTED_POLL).await;
            }
        };
        self.runtime.block_on(async {
            match future::select(pin!(what), pin!(unwanted)).await {
                Either::Left((done, _)) => Ok(done),
                Either::Right(((), _)) => Err(Failure::Unwanted),
            }
        })
    }
}

impl Session {
    /// Reads the credentials from the environment. Connects to nothing yet.
    ///
    /// # Errors
    /// If a variable is not set, or is not text.
    pub(super) fn new(
        plan: &MysqlServerPlan,
        log: LogSink,
        is_unwanted: IsUnwanted,
    ) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime =
            runtime.map_err(|cause| Error::storage("cannot wait for a server").caused_by(cause))?;
        let link = Link {
            runtime,
            timeout: plan.timeout,
            is_unwanted,
            has_answered: Cell::new(false),
            name: plan.to_string(),
        };
        Ok(Self {
            link,
            options: options(plan)?,
            connection: None,
            retry_for: plan.retry_for,
            outage: Outage::new(plan.retry_for),
            first_failure: None,
            log,
        })
    }

    /// What waits for answers.
    pub(super) fn link(&self) -> &Link {
        &self.link
    }

    /// Does something with a connection, as often as it takes, with a new one after each failure.
    /// `what` is the end of "cannot …".
    ///
    /// # Errors
    /// If it fails in a way that does not pass, or for longer than the job file allows.
    pub(super) fn surely<T>(
        &mut self,
        what: &str,
        mut done: impl FnMut(&Link, &mut Conn) -> Result<T, Failure>,
    ) -> Result<T> {
        loop {
            let is_reused = self.connection.is_some();
            let outcome = self.try_once(&mut done);
            if self.link.has_answered.take() || outcome.is_ok() {
                self.note_answer();
            }
            match outcome {
                Ok(value) => return Ok(value),
                // The server has ended a connection that was of no use for a while: no outage.
                Err(failure) if is_reused && failure.is_end_of_connection() => {}
                Err(failure) => self.wait_after(what, failure)?,
            }
        }
    }

    fn try_once<T>(
        &mut self,
        done: &mut impl FnMut(&Link, &mut Conn) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let value = done(&self.link, &mut connection)?;
        self.connection = Some(connection);
        Ok(value)
    }

    fn connect(&self) -> Result<Conn, Failure> {
        let mut connection = self.link.answer(Conn::new(self.options.clone()))?;
        let keep = format!("SET SESSION net_write_timeout = {NET_WRITE_TIMEOUT_SECONDS}");
        self.link.answer(connection.query_drop(keep))?;
        Ok(connection)
    }

    /// The server is there. Says so if it was not.
    fn note_answer(&mut self) {
        let first = self.first_failure.take();
        if let (true, Some(first)) = (self.outage.is_over(), first) {
            let seconds = first.elapsed().as_secs_f64();
            let line = format!("{} answers again after {seconds:.1} s", self.link.name);
            self.log.write(LogLevel::Info, &line);
        }
    }

    /// Waits until the next try. Says so if it is the first.
    fn wait_after(&mut self, what: &str, failure: Failure) -> Result<()> {
        let what = format!("cannot {what} {}", self.link.name);
        if !failure.may_pass() {
            return Err(failure.into_error(&what));
        }
        let since = self.first_failure.get_or_insert_with(Stopwatch::start).elapsed();
        let delay = match self.outage.failed(since) {
            Next::GiveUp => {
                // Whoever tries again, after a restart of the job, does so as long.
                self.outage.is_over();
                self.first_failure = None;
                return Err(failure.into_error(&what));
            }
            Next::Wait(delay) => delay,
            Next::TellAndWait(delay) => {
                let (why, most) = (failure.text(), self.retry_for);
                let line = format!("{what}: {why}; it is tried again for up to {most:?}");
                self.log.write(LogLevel::Warn, &line);
                delay
            }
        };
        self.link.pause(delay).map_err(|failure| failure.into_error(&what))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A server notes connections that end without a word. That is all that happens otherwise.
        if let Some(connection) = self.connection.take() {
            let _ = self
                .link
                .runtime
                .block_on(async move { timeout(GOOD_BYE, connection.disconnect()).await });
        }
    }
}

fn options(plan: &MysqlServerPlan) -> Result<Opts> {
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
        .prefer_socket(false);
    Ok(options.into())
}

/// What an environment variable holds. Messages name the variable, never that.
fn variable(name: &str) -> Result<String> {
    env::var(name).map_err(|_| {
        let message = format!("the environment variable {name} is not set, or is not text");
        Error::input(message).hint(format!("set it before the job runs: `export {name}=…`"))
    })
}
