//! What building the host, and running Flink beside it, needs beyond Rust: one line a need.

use crate::shell::{capture, is_on_path};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Something that must be there, and the Debian packages that bring it.
struct Need {
    is_met: fn() -> bool,
    packages: &'static [&'static str],
}

const NEEDS: &[Need] = &[
    // Links everything. Mostly there already: cargo linked this very program with it.
    Need { is_met: || is_on_path("cc"), packages: &["gcc", "libc6-dev"] },
    // RocksDB is C++, and its bindings are made from its headers with libclang.
    Need { is_met: || is_on_path("c++"), packages: &["g++"] },
    Need { is_met: has_libclang, packages: &["libclang-dev"] },
    // Kafka's client is C, which is configured by its own script and speaks TLS by OpenSSL.
    Need { is_met: || is_on_path("make"), packages: &["make"] },
    Need { is_met: has_openssl, packages: &["libssl-dev", "pkg-config"] },
];

/// Flink runs from version 11 of Java on; Debian's default is newer.
const FLINK_NEEDS: &[Need] = &[
    Need { is_met: || is_on_path("javac"), packages: &["default-jdk-headless"] },
    Need { is_met: || is_on_path("mvn"), packages: &["maven"] },
];

/// Whether a libclang that bindings can be made with is where Debian puts it, or where the user
/// says.
fn has_libclang() -> bool {
    if std::env::var_os("LIBCLANG_PATH").is_some() {
        return true;
    }
    let folders = ["/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/lib/x86_64-linux-gnu"];
    let llvm = Path::new("/usr/lib").read_dir().into_iter().flatten().flatten();
    let llvm = llvm.map(|entry| entry.path().join("lib"));
    folders.iter().map(PathBuf::from).chain(llvm).any(|folder| {
        let files = folder.read_dir().into_iter().flatten().flatten();
        files.map(|file| file.file_name()).any(|name| {
            let name = name.to_string_lossy();
            // Debian's libclang-cpp is another library.
            name.starts_with("libclang.so") || name.starts_with("libclang-") && is_version(&name)
        })
    })
}

/// Whether OpenSSL's headers are there, as pkg-config knows.
fn has_openssl() -> bool {
    capture(Command::new("pkg-config").args(["--exists", "openssl"])).is_ok()
}

/// Whether what follows `libclang-` is a version: `libclang-14.so.1`.
fn is_version(name: &str) -> bool {
    name["libclang-".len()..].starts_with(|first: char| first.is_ascii_digit())
}

/// The packages of all needs that are not met.
pub fn lacking() -> Vec<&'static str> {
    lacking_of(NEEDS)
}

/// The packages that running Flink takes.
pub fn lacking_for_flink() -> Vec<&'static str> {
    lacking_of(FLINK_NEEDS)
}

fn lacking_of(needs: &[Need]) -> Vec<&'static str> {
    let unmet = needs.iter().filter(|need| !(need.is_met)());
    unmet.flat_map(|need| need.packages).copied().collect()
}
