//! The control API: how other processes of the same user look at a running job and ask it for
//! something. HTTP over a Unix domain socket, one a job.
//!
//! ```text
//! tidegate savepoint pv --client--> pv-4711.sock --server--> Control (the run loop)
//! curl --unix-socket …              a folder that only its user can enter, see `registry`
//! ```
//! Who may reach the socket may do everything: the file system decides who that is, so there are
//! neither tokens nor ports. What goes over it is in `protocol`.

mod client;
mod protocol;
mod registry;
mod server;
#[cfg(test)]
mod tests;

use tokio::sync::oneshot;

pub use client::Client;
pub use protocol::{
    Answer, CheckpointsStatus, Confirm, FunctionStatus, JobState, JobStatus, OnFault, Request,
    SwapAnswer, SwapOutcome, SwapRequest,
};
pub use registry::{Registry, RunningJob};
pub use server::Server;

use crate::error::Result;

/// What a running job offers to the outside. Called on the thread of the server.
pub trait Control: Send + Sync {
    /// How the job is doing. Must not wait for anything that takes long.
    fn status(&self) -> JobStatus;

    /// Hands a request to the job, which answers when it has done what was asked or cannot; returns
    /// at once.
    fn request(&self, request: Request, reply: Reply);
}

/// Whoever waits for the answer to a request. One that is dropped tells them that the job has
/// ended.
#[derive(Debug)]
pub struct Reply(oneshot::Sender<Result<Answer>>);

impl Reply {
    /// A reply, and where it arrives.
    pub fn new() -> (Self, oneshot::Receiver<Result<Answer>>) {
        let (sender, receiver) = oneshot::channel();
        (Self(sender), receiver)
    }

    /// Answers.
    pub fn send(self, answer: Result<Answer>) {
        // Somebody who no longer waits has decided so.
        let _ = self.0.send(answer);
    }
}
