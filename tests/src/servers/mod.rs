//! Real servers that tests run against, each on free ports of this machine with a folder of its
//! own. They end with the test's process, however that ends. What a machine lacks is said and
//! skipped, but not in CI.

pub mod kafka;
pub mod mysql;
mod process;
pub mod s3;

use std::io::Write;
use std::net::TcpListener;
use std::time::{Duration, Instant};
use std::{env, io, thread};

/// Between two looks at something that takes a while.
const POLL: Duration = Duration::from_millis(20);

/// Ports that nobody listens on.
pub fn free_ports<const N: usize>() -> [u16; N] {
    // Held until all are known, so that they differ.
    let bound = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port is free"));
    bound.map(|listener| listener.local_addr().expect("it is bound").port())
}

/// A port of this machine that nobody listens on now.
pub fn free_port() -> u16 {
    free_ports::<1>()[0]
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

/// Says that a test is skipped for want of something, whatever the test runner hides.
///
/// # Panics
/// In CI (`CI=true`), where nothing may be skipped.
#[track_caller]
pub fn skip(what: &str) {
    let in_ci = env::var("CI").is_ok_and(|value| value == "true" || value == "1");
    assert!(!in_ci, "{what}; in CI that is a failure: `cargo xtask setup` installs it");
    let test = thread::current().name().unwrap_or("a test").to_owned();
    let line = format!("skipped: {test}: {what}; `cargo xtask setup` installs it\n");
    io::stderr().write_all(line.as_bytes()).expect("standard error can be written");
}
