//! Asks a running job through its socket. Blocks; not for use within tokio.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::protocol::{Answer, JOB, JobStatus, Refusal, Request};
use crate::error::{Error, Result};

/// A job tells at once how it is doing.
const STATUS_TIME_MAX: Duration = Duration::from_secs(5);

/// What can go wrong between two processes.
type Broken = Box<dyn std::error::Error + Send + Sync>;

/// The other end of a job's socket.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// For the job behind this socket. Nothing is connected yet.
    pub fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// How the job is doing.
    ///
    /// # Errors
    /// If it does not answer within 5 s.
    pub fn status(&self) -> Result<JobStatus> {
        let exchange = self.exchange(Method::GET, JOB, String::new());
        self.wait(async { tokio::time::timeout(STATUS_TIME_MAX, exchange).await? })
    }

    /// Asks the job for something and waits until it is done, however long that takes.
    ///
    /// # Errors
    /// If the job refuses, fails at it, or ends before.
    pub fn request(&self, request: &Request) -> Result<Answer> {
        let (route, body) = request.encode();
        self.wait(self.exchange(Method::POST, route, body))
    }

    fn wait<T: DeserializeOwned>(
        &self,
        exchange: impl Future<Output = Result<(StatusCode, Bytes), Broken>>,
    ) -> Result<T> {
        let broken = |cause: Broken| {
            let message = format!("the job behind {} does not answer", self.socket.display());
            Error::input(message).hint("it may have just ended").caused_by(cause)
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|cause| broken(cause.into()))?;
        let (status, body) = runtime.block_on(exchange).map_err(broken)?;
        let unreadable = |cause: serde_json::Error| {
            let message = format!("cannot read the answer of {}", self.socket.display());
            Error::input(message).hint("is the job run by the same version?").caused_by(cause)
        };
        if status == StatusCode::OK {
            return serde_json::from_slice(&body).map_err(unreadable);
        }
        let refusal: Refusal = serde_json::from_slice(&body).map_err(unreadable)?;
        Err(refusal.into_error(status))
    }

    async fn exchange(
        &self,
        method: Method,
        route: &str,
        body: String,
    ) -> Result<(StatusCode, Bytes), Broken> {
        let stream = UnixStream::connect(&self.socket).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends with `sender`; what goes wrong is told to whoever waits for the response.
        tokio::spawn(connection);
        let request = hyper::Request::builder()
            .method(method)
            .uri(route)
            // HTTP wants one; there is but one job behind a socket.
            .header(HOST, "tidegate")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        Ok((status, body))
    }
}
