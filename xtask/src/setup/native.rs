//! What building the host needs beyond Rust: one line a need.

use crate::shell::is_on_path;

/// A program, and the Debian packages that bring it.
struct Need {
    program: &'static str,
    packages: &'static [&'static str],
}

const NEEDS: &[Need] = &[
    // Links everything. Mostly there already: cargo linked this very program with it.
    Need { program: "cc", packages: &["gcc", "libc6-dev"] },
];

/// The packages of all needs that are not met.
pub fn lacking() -> Vec<&'static str> {
    let unmet = NEEDS.iter().filter(|need| !is_on_path(need.program));
    unmet.flat_map(|need| need.packages).copied().collect()
}
