//! Serves the control API of one job on a thread of its own.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::Json;
use axum::routing::{get, post};
use serde::de::DeserializeOwned;
use tokio::net::UnixListener;
use tokio::sync::watch;

use super::protocol::{
    Answer, CANCEL, JOB, Refusal, Request, SAVEPOINTS, STOP, SWAP, SavepointBody, StopBody,
    SwapRequest,
};
use super::registry::{Entry, Registry};
use super::{Control, Reply};
use crate::error::{Error, ErrorKind, Result};

/// How long a server that closes waits for clients to take their answers.
const CLOSE_TIME_MAX: Duration = Duration::from_secs(5);

type Shared = State<Arc<dyn Control>>;
type Answered = Result<Json<Answer>, Refused>;
type Refused = (StatusCode, Json<Refusal>);

/// The control API of a running job. Dropping it closes the socket: answers that are under way are
/// still given.
#[derive(Debug)]
pub struct Server {
    /// Dropped to close.
    open: Option<watch::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    _entry: Entry,
}

impl Server {
    /// Starts to serve the job of this name and process. When it returns the job can be found.
    ///
    /// # Errors
    /// If there can be no socket; the job can run without.
    pub fn start(
        registry: &Registry,
        job: &str,
        pid: u32,
        control: Arc<dyn Control>,
    ) -> Result<Self> {
        let failed = |cause| Error::input("cannot serve the control socket").caused_by(cause);
        let (listener, entry) = registry.bind(job, pid)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(failed)?;
        let (open, closed) = watch::channel(());
        let router = router(control);
        let serve = move || {
            runtime.block_on(async {
                match UnixListener::from_std(listener) {
                    Ok(listener) => serve(listener, router, closed).await,
                    // Clients are refused, as they are when the job has ended.
                    Err(_) => drop(router),
                }
            });
        };
        let thread = thread::Builder::new().name("tidegate-control".into()).spawn(serve);
        Ok(Self { open: Some(open), thread: Some(thread.map_err(failed)?), _entry: entry })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.open.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so itself.
            let _ = thread.join();
        }
    }
}

async fn serve(listener: UnixListener, router: Router, closed: watch::Receiver<()>) {
    let until = |mut closed: watch::Receiver<()>| async move {
        // An error: the sender is dropped.
        let _ = closed.changed().await;
    };
    let serving = axum::serve(listener, router).with_graceful_shutdown(until(closed.clone()));
    let serving = tokio::spawn(serving.into_future());
    until(closed).await;
    // Who connects and says nothing must not hold the job.
    let _ = tokio::time::timeout(CLOSE_TIME_MAX, serving).await;
}

fn router(control: Arc<dyn Control>) -> Router {
    Router::new()
        .route(JOB, get(async |State(control): Shared| Json(control.status())))
        .route(SAVEPOINTS, post(take_savepoint))
        .route(STOP, post(stop))
        .route(SWAP, post(swap))
        .route(CANCEL, post(async |State(control): Shared| ask(&control, Request::Cancel).await))
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .with_state(control)
}

async fn take_savepoint(State(control): Shared, body: Bytes) -> Answered {
    ask(&control, read::<SavepointBody>(&body)?.into()).await
}

async fn stop(State(control): Shared, body: Bytes) -> Answered {
    ask(&control, read::<StopBody>(&body)?.into()).await
}

async fn swap(State(control): Shared, body: Bytes) -> Answered {
    ask(&control, Request::Swap(parse::<SwapRequest>(&body)?)).await
}

async fn unknown(method: Method, uri: Uri) -> Refused {
    let error = format!("there is no {method} {}", uri.path());
    let hint = format!(
        "there are GET {JOB}, POST {SAVEPOINTS}, POST {SWAP}, POST {STOP} and POST {CANCEL}"
    );
    (StatusCode::NOT_FOUND, Json(Refusal { error, hint: Some(hint) }))
}

async fn ask(control: &Arc<dyn Control>, request: Request) -> Answered {
    let (reply, answer) = Reply::new();
    control.request(request, reply);
    let ended = |_| Err(Error::new(ErrorKind::Interrupted, "the job ended before it answered"));
    answer.await.unwrap_or_else(ended).map(Json).map_err(|error| {
        let (status, refusal) = Refusal::of(&error);
        (status, Json(refusal))
    })
}

/// Reads a body; none at all is one that says nothing.
fn read<T: Default + DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    if body.is_empty() {
        return Ok(T::default());
    }
    parse(body)
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|cause| {
        let error = format!("cannot read the request: {cause}");
        (StatusCode::BAD_REQUEST, Json(Refusal { error, hint: None }))
    })
}
