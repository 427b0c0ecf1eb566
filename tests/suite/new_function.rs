//! `new` makes a crate that builds, passes its own test and runs, as it is.
//!
//! The slowest test of the suite: it compiles the SDK once natively and once to wasm, into a folder
//! that later runs find again.

use std::path::{Path, PathBuf};
use std::process::Command;

use tidegate_tests::binary::{self, repository};
use tidegate_tests::{Folder, Tidegate};

/// Where the crates' products go, apart from all else: their profile is another one.
fn target() -> PathBuf {
    let release = binary::path();
    let target = release.ancestors().nth(2).expect("the binary is in target/release");
    target.join("new-function")
}

/// Makes a function crate in `folder`.
fn make(folder: &Folder, name: &str, kind: &str) -> PathBuf {
    let ended =
        Tidegate::new(["new", name, "--kind", kind]).in_folder(folder.path()).run().expect(0);
    assert_eq!(ended.stdout.trim(), name, "the answer is the path");
    let path = folder.join(name);
    // The versions that the repository has, so that nothing is downloaded for this test.
    let lock = repository().join("Cargo.lock");
    std::fs::copy(lock, path.join("Cargo.lock")).expect("the repository has a lock file");
    path
}

fn cargo_test(path: &Path) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["test", "--release", "--quiet"])
        .current_dir(path)
        .env("CARGO_TARGET_DIR", target())
        .output()
        .expect("cargo is there");
    let story = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{story}\n{}", String::from_utf8_lossy(&output.stdout));
    let results = String::from_utf8_lossy(&output.stdout);
    let mut passed = results.lines().filter_map(|line| line.strip_prefix("test result: ok. "));
    assert!(passed.any(|line| !line.starts_with("0 passed")), "no test ran: {results}");
}

#[test]
fn a_new_function_builds_passes_its_test_and_runs() {
    let folder = Folder::new("new");
    for kind in ["keyed", "process", "broadcast", "sink", "source"] {
        let name = format!("my-{kind}");
        let path = make(&folder, &name, kind);
        cargo_test(&path);
        let run = |arguments: &[&str]| {
            Tidegate::new(arguments).in_folder(&path).env("CARGO_TARGET_DIR", target()).run()
        };
        let component = format!("my_{kind}.wasm");
        let built = run(&["build"]).expect(0);
        assert!(built.stdout.trim().ends_with(&component), "{}", built.stdout);
        let declared = run(&["inspect", &component]).expect(0);
        assert!(declared.stdout.contains("function"), "{}", declared.stdout);
        run(&["check", "job.toml"]).expect(0);
        let ended = run(&["run", "job.toml"]).expect(0);
        assert!(!ended.stdout.is_empty(), "its job shows its output: {}", ended.stderr);
    }
}

#[test]
fn names_and_kinds_that_cannot_be_are_refused() {
    let folder = Folder::new("refused");
    folder.write("taken/file", "");
    let cases = [
        (["Upper", "keyed"], 1, "lower-case"),
        (["../up", "keyed"], 1, "no name"),
        (["match", "keyed"], 1, "match"),
        (["taken", "keyed"], 1, "not empty"),
        (["fine", "window"], 2, "window"),
    ];
    for ([name, kind], status, text) in cases {
        let call = Tidegate::new(["new", name, "--kind", kind]).in_folder(folder.path());
        call.run().expect(status).expect_story([text]);
    }
}
