//! Real servers that tests run against, each on free ports of this machine with a folder of its
//! own. They end with the test's process, however that ends.

pub mod kafka;
mod process;

use std::env;
use std::net::TcpListener;

/// Says that a test does not run. Where `CI` is set that is a failure.
#[track_caller]
pub fn skip(reason: &str) {
    assert!(env::var_os("CI").is_none(), "skipped in CI: {reason}");
    eprintln!("skipped: {reason}");
}

/// Ports that nobody listens on.
pub fn free_ports<const N: usize>() -> [u16; N] {
    // Held until all are known, so that they differ.
    let bound = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port is free"));
    bound.map(|listener| listener.local_addr().expect("it is bound").port())
}
