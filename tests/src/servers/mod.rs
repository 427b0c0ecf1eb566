//! Real servers that tests run against, each on free ports of this machine with a folder of its
//! own. They end with the test's process, however that ends.

pub mod kafka;
mod process;
pub mod s3;

use std::net::TcpListener;
use std::time::{Duration, Instant};
use std::{env, thread};

/// Between two looks at something that takes a while.
const POLL: Duration = Duration::from_millis(20);

/// Says that a test does not run. Where `CI` is set that is a failure.
#[track_caller]
pub fn skip(reason: &str) {
    assert!(env::var_os("CI").is_none(), "skipped in CI: {reason}");
    eprintln!("skipped: {reason}");
}

/// A port of this machine that nobody listens on now.
pub fn free_port() -> u16 {
    let bound = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    bound.expect("a port is free").port()
}

/// Looks until it is so; fails the test with `what` if it is not within `most`.
#[track_caller]
pub fn wait_until(what: &str, most: Duration, mut is_so: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < most, "{what}: not within {most:?}");
        thread::park_timeout(POLL);
    }
    start.elapsed()
}

/// Ports that nobody listens on.
pub fn free_ports<const N: usize>() -> [u16; N] {
    // Held until all are known, so that they differ.
    let bound = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port is free"));
    bound.map(|listener| listener.local_addr().expect("it is bound").port())
}
