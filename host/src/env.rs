//! The weather outside: what the engine may not ask for directly, so that tests can make it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Tells the processing time.
pub trait Clock: Send + Sync {
    /// Milliseconds since the epoch.
    fn now_ms(&self) -> i64;
}

/// The machine's clock.
#[derive(Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        since_epoch.map_or(0, |time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
    }
}

/// Measures how long something takes.
#[derive(Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Since the start.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014). Written out because its numbers are part of a promise: the
/// same seed gives the same in every version, whether records or delays.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// Numbers of a seed, or those that follow a [`state`](Self::state).
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Where it stands.
    pub fn state(&self) -> u64 {
        self.0
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to but not including 1.
    pub fn share(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The number of the user who runs this process.
///
/// # Errors
/// If the system gives no sockets.
#[cfg(feature = "engine")]
pub fn user_id() -> std::io::Result<u32> {
    use tokio::net::UnixStream;

    // The standard library does not tell, but every socket knows who made it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _entered = runtime.enter();
    let (socket, _other) = UnixStream::pair()?;
    socket.peer_cred().map(|credentials| credentials.uid())
}

/// Fills memory with bytes that nobody can foretell.
///
/// # Errors
/// If the system gives none.
#[cfg(feature = "engine")]
pub fn fill_randomly(bytes: &mut [u8]) -> std::io::Result<()> {
    getrandom::fill(bytes).map_err(|cause| std::io::Error::other(cause.to_string()))
}

#[cfg(all(test, feature = "engine"))]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn the_user_owns_what_the_process_writes() {
        let path = std::env::temp_dir().join(format!("tidegate-user-{}", std::process::id()));
        std::fs::write(&path, "").unwrap();
        let owner = std::fs::metadata(&path).unwrap().uid();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(user_id().unwrap(), owner);
    }
}
