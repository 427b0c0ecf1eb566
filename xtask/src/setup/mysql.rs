//! The server that the tests of MySQL start, in folders of their own: MariaDB's programs alone,
//! without the service that Debian's package `mariadb-server` would start.

use super::packages;
use crate::shell::{Outcome, is_on_path};
use std::path::Path;

/// Programs that the tests call, and the packages that bring them.
const PROGRAMS: [(&str, &str); 4] = [
    ("mariadbd", "mariadb-server-core"),
    ("mariadb-install-db", "mariadb-server-core"),
    ("my_print_defaults", "mariadb-client-core"),
    ("mariadb", "mariadb-client-core"),
];

/// Installs what is missing.
pub fn install() -> Outcome {
    let mut wanted: Vec<&str> = Vec::new();
    for (program, package) in PROGRAMS {
        if !is_there(program) && !wanted.contains(&package) {
            wanted.push(package);
        }
    }
    if wanted.is_empty() { Ok(()) } else { packages::install(&wanted) }
}

/// Servers are where users' paths do not lead.
fn is_there(program: &str) -> bool {
    is_on_path(program) || Path::new("/usr/sbin").join(program).is_file()
}
