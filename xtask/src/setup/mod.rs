//! `cargo xtask setup`: installs what the machine lacks, and says so; quick when all is there.
//!
//! Two parts, each of which names the Debian packages it still wants: `native` (what the host's
//! build needs) and `guest_toolchain` (what compiles functions to wasm). `packages` installs them.
//! Servers that only tests need: `mysql`, `s3`, and `kafka`, which the test command fetches.

mod guest_toolchain;
pub mod kafka;
mod mysql;
mod native;
mod packages;
mod s3;

use crate::shell::{Outcome, say};

/// Brings the servers that tests use. Tests skip what cannot be had, which is said here.
pub fn servers() {
    if let Err(message) = mysql::install() {
        say(&format!("the tests of MySQL will be skipped: {message}"));
    }
    if let Err(message) = s3::install() {
        say(&format!("the tests of S3 will be skipped: {message}"));
    }
}

/// Brings the machine into a state in which everything here builds.
pub fn run() -> Outcome {
    let mut wanted = native::lacking();
    let lacks_toolchain = !guest_toolchain::is_ready() && !guest_toolchain::add_by_rustup();
    if lacks_toolchain {
        wanted.extend(guest_toolchain::PACKAGES);
    }
    if wanted.is_empty() {
        return Ok(());
    }
    packages::install(&wanted)?;
    if lacks_toolchain && !guest_toolchain::is_ready() {
        return Err(guest_toolchain::advice());
    }
    say("set-up is complete");
    Ok(())
}

/// Installs what builds and runs the Flink programs of the benchmark, which nothing else needs.
pub fn for_flink() -> Outcome {
    let lacking = native::lacking_for_flink();
    if lacking.is_empty() { Ok(()) } else { packages::install(&lacking) }
}
