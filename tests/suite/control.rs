//! Commands that talk to running jobs: what they say when there is none.

use tidegate_tests::{Folder, Tidegate};

/// A call that sees no jobs but those of this folder.
fn call(folder: &Folder, arguments: &[&str]) -> Tidegate {
    Tidegate::new(arguments).env("XDG_RUNTIME_DIR", folder.path()).env("TMPDIR", folder.path())
}

#[test]
fn without_a_running_job_there_is_nothing_to_ask() {
    let folder = Folder::new("control");
    let status = call(&folder, &["status"]).run().expect(0);
    assert_eq!(
        (status.stdout.as_str(), status.stderr.trim()),
        ("", "No job of yours is running here.")
    );
    assert_eq!(call(&folder, &["status", "--json"]).run().expect(0).stdout, "[]\n");
    let commands: [&[&str]; 5] = [
        &["status", "pv"],
        &["savepoint", "pv", "elsewhere"],
        &["stop", "pv"],
        &["stop", "pv", "--savepoint"],
        &["cancel", "pv"],
    ];
    for command in commands {
        let ended = call(&folder, command).run().expect(1);
        assert_eq!(ended.stdout, "");
        ended.expect_story(["no running job is called \"pv\"", "hint: no job of yours"]);
    }
    assert!(!folder.join("tidegate").exists(), "who asks makes nothing");
}
