//! The examples on the pages of connectors are jobs: `check` takes them as they stand.

use tidegate_tests::binary::repository;
use tidegate_tests::{Folder, Tidegate};

/// The blocks of TOML on a page, put together.
fn blocks(page: &str) -> String {
    let text = std::fs::read_to_string(repository().join("docs/connectors").join(page));
    let text = text.expect("the page is there");
    let blocks = text.split("```toml\n").skip(1);
    blocks.map(|block| block.split("```").next().expect("a block ends")).collect()
}

/// Checks the examples of a page, with somebody who reads the source `source`.
#[track_caller]
fn assert_page(page: &str, source: &str) {
    let folder = Folder::new("page");
    folder.write("incoming/clicks.csv", "user,url,time\n");
    let job = folder.write(
        "job.toml",
        format!(
            "[job]\nname = \"page\"\n{}\n\
             [[sink]]\nid = \"reader\"\nconnector = \"discard\"\nfrom = {source:?}\n",
            blocks(page)
        ),
    );
    Tidegate::check_job(&job).run().expect(0);
}

#[test]
fn files() {
    assert_page("file.md", "clicks");
}

#[test]
fn sockets() {
    assert_page("socket.md", "sensors");
}

#[test]
fn buckets() {
    assert_page("s3.md", "clicks");
}

#[test]
fn the_generator() {
    assert_page("generator.md", "clicks");
}
