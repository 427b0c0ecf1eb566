//! The wasmtime engine, with the settings that the sandbox stands on, and the clock of call times.

use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use wasmtime::component::Linker;
use wasmtime::{Config, WasmBacktraceDetails};

use super::bindings;
use super::cache::Cache;
use super::guest_state::GuestState;
use crate::error::{Error, Result};

/// How often the clock of call times ticks. A call is interrupted at most two ticks after its time.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// Compiles components and measures their call times. Cheap to clone; one a process is enough.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    engine: wasmtime::Engine,
    linker: Linker<GuestState>,
    cache: Option<Cache>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}

impl Engine {
    /// Starts an engine and the thread that ticks its clock. The thread ends with the last clone.
    ///
    /// # Errors
    /// If this machine cannot run compiled wasm or start a thread.
    pub fn new() -> Result<Self> {
        Self::start(None)
    }

    /// Starts an engine that compiles only what the cache does not hold.
    ///
    /// # Errors
    /// As [`Engine::new`].
    pub fn with_cache(cache: Cache) -> Result<Self> {
        Self::start(Some(cache))
    }

    fn start(cache: Option<Cache>) -> Result<Self> {
        let unusable = |cause: wasmtime::Error| {
            Error::input("the wasm engine cannot run here").caused_by(cause)
        };
        let engine = wasmtime::Engine::new(&config()).map_err(unusable)?;
        let mut linker = Linker::new(&engine);
        // The whole world of a guest: nothing else is linked, so nothing else can be imported.
        type Has = wasmtime::component::HasSelf<GuestState>;
        bindings::host::add_to_linker::<_, Has>(&mut linker, |state: &mut GuestState| state)
            .map_err(unusable)?;
        bindings::held_state::add_to_linker::<_, Has>(&mut linker, |state: &mut GuestState| state)
            .map_err(unusable)?;
        let inner = Arc::new(Inner { engine, linker, cache });
        start_clock(&inner)?;
        Ok(Self { inner })
    }

    pub(super) fn wasmtime(&self) -> &wasmtime::Engine {
        &self.inner.engine
    }

    pub(super) fn cache(&self) -> Option<&Cache> {
        self.inner.cache.as_ref()
    }

    pub(super) fn linker(&self) -> &Linker<GuestState> {
        &self.inner.linker
    }
}

fn config() -> Config {
    let mut config = Config::new();
    config
        // A call is interrupted when its time is up (5 to 10 % of a guest's speed, see DESIGN).
        .epoch_interruption(true)
        // Replay must give the same bits on every machine.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        // A function is one thread of control; an empty call costs a third without this.
        .concurrency_support(false)
        .wasm_backtrace_details(WasmBacktraceDetails::Enable);
    config
}

/// Ticks the epoch until the engine is dropped. A weak handle, so that the thread does not keep it
/// alive.
fn start_clock(inner: &Arc<Inner>) -> Result<()> {
    let weak: Weak<Inner> = Arc::downgrade(inner);
    let tick = move || {
        while let Some(inner) = weak.upgrade() {
            inner.engine.increment_epoch();
            drop(inner);
            thread::sleep(TICK);
        }
    };
    thread::Builder::new()
        .name("tidegate-clock".into())
        .spawn(tick)
        .map(drop)
        .map_err(|cause| Error::input("cannot start a thread").caused_by(cause))
}
