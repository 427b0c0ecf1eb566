//! `tidegate checkpoints` and `tidegate state`: what they answer for checkpoints and savepoints of
//! both backends, and what they say when a name is wrong.

use std::path::PathBuf;

use tidegate::job::show_bytes;
use tidegate_tests::binary::{component, repository};
use tidegate_tests::{Ended, Folder, Tidegate, counting};

/// The folder of a job that has processed `examples/state-tour/sales.csv`, and was stopped after
/// savepoint 1 with checkpoint 2.
fn stopped(backend: &str) -> Folder {
    let folder = Folder::new("commands");
    let (tour, sales) = (component("state-tour"), repository().join("examples/state-tour"));
    let sales = sales.join("sales.csv");
    // The heartbeat keeps the job from coming to its end.
    let job = format!(
        "[job]\nname = \"tour\"\nparallelism = 2\n[state]\nbackend = {backend:?}\n\
         [checkpoint]\nstorage = \"file://checkpoints\"\ninterval = \"1h\"\n\
         [[source]]\nid = \"sales\"\nconnector = \"file\"\npath = {sales:?}\nformat = \"csv\"\n\
         [[source]]\nid = \"heartbeat\"\nconnector = \"generator\"\nshape = \"clicks\"\nrate = 10\n\
         [[operator]]\nid = \"tour\"\ncomponent = {tour:?}\n\
         inputs = [{{ from = \"sales\", partition = {{ key = 1 }} }}]\n\
         [[sink]]\nid = \"out\"\nconnector = \"file\"\nfrom = \"tour\"\npath = \"out/\"\n\
         [[sink]]\nid = \"nothing\"\nconnector = \"discard\"\nfrom = \"heartbeat\"\n"
    );
    folder.write("job.toml", job);
    let ask = |arguments: &[&str]| {
        let call = Tidegate::new(arguments).in_folder(folder.path());
        call.env("XDG_RUNTIME_DIR", folder.path())
    };
    let running = ask(&["run", "job.toml"]).start();
    counting::wait("tour", ask, |status| {
        let nodes = status["nodes"].as_array().expect("nodes are a list");
        nodes.iter().any(|node| node["id"] == "tour" && node["records_in"] == 12)
    });
    let savepoint = ask(&["savepoint", "tour"]).run().expect(0);
    assert!(savepoint.stdout.ends_with("/checkpoints/savepoints/sp-1\n"), "{savepoint:?}");
    let stop = ask(&["stop", "tour"]).run().expect(0);
    assert!(stop.stdout.ends_with("/checkpoints/chk-2\n"), "{stop:?}");
    running.wait().expect(130);
    folder
}

/// Runs a command of two words and more arguments in the folder.
fn call(folder: &Folder, command: &str, arguments: &[&str]) -> Ended {
    let words = command.split(' ').chain(arguments.iter().copied());
    Tidegate::new(words).in_folder(folder.path()).run()
}

#[track_caller]
fn answer(folder: &Folder, command: &str, arguments: &[&str]) -> String {
    call(folder, command, arguments).expect(0).stdout
}

const CHECKPOINT: &str = "checkpoints/chk-2";
const SAVEPOINT: &str = "checkpoints/savepoints/sp-1";

/// An entry as it is printed: values are as the function encoded them.
fn entry(key: &str, kind: &str, state: &str, value: &str) -> String {
    let place = format!(r#""key":"{key}","kind":"{kind}","operator":"tour","state":"{state}""#);
    format!("{{{place},\"value\":{value}}}\n")
}

fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(r#"{{"hex":"{digits}"}}"#)
}

fn price(price: f64) -> String {
    hex(&price.to_le_bytes())
}

fn price_of_ann() -> String {
    entry("ann", "value", "price", &price(5.0))
}

/// A text is written after its length; numbers take as many bytes as they need.
fn products_of_cem() -> String {
    let product = |text: &[u8], count| format!("[{},{}]", hex(text), hex(&[count]));
    let products = [product(b"\x04pear", 1), product(b"\x0aplum, blue", 2)];
    entry("cem", "map", "products", &format!("[{}]", products.join(",")))
}

/// By partition and key group.
fn all_recent_prices() -> String {
    let of = |key: &str, prices: [f64; 3]| {
        let prices = prices.map(price).join(",");
        entry(key, "list", "recent-prices", &format!("[{prices}]"))
    };
    of("cem", [4.5, 4.0, 3.5]) + &of("ben", [3.25, 2.5, 3.0]) + &of("ann", [2.25, 2.5, 5.0])
}

/// What is the same for both backends.
fn show_what_is_there(folder: &Folder) {
    for (path, id, kind) in [(CHECKPOINT, 2, "checkpoint"), (SAVEPOINT, 1, "savepoint")] {
        let shown = answer(folder, "checkpoints show", &[path]);
        let manifest: serde_json::Value = serde_json::from_str(&shown).expect("it is JSON");
        assert_eq!(manifest["id"], id);
        assert_eq!(manifest["kind"], kind);
        assert_eq!(manifest["job"], "tour");
        // In the order in which they acknowledged.
        let sources = manifest["sources"].as_array().expect("a list");
        let sales = sources.iter().find(|source| source["id"] == "sales").expect("it is there");
        assert!(sales["position"]["done"][0].as_str().is_some_and(|path| path.ends_with(".csv")));
        assert_eq!(manifest["operators"][0]["partitions"].as_array().map(Vec::len), Some(2));
        let by_its_file = answer(folder, "checkpoints show", &[&format!("{path}/manifest")]);
        assert_eq!(by_its_file, shown);

        let states = "tour: 2 partitions, price (value), recent-prices (list), products (map), \
                      total (reducing)\n";
        assert_eq!(answer(folder, "state list", &[path]), states);
        let get = |state, key| answer(folder, "state get", &[path, "tour", state, key]);
        assert_eq!(get("price", "ann"), price_of_ann());
        assert_eq!(get("products", "cem"), products_of_cem());
        assert_eq!(
            answer(folder, "state export", &[path, "tour", "recent-prices"]),
            all_recent_prices()
        );
        let all = answer(folder, "state export", &[path]);
        assert_eq!(all, answer(folder, "state export", &[path, "tour"]));
        assert_eq!(all.lines().count(), 12, "four states of three keys:\n{all}");
        assert!(all.contains(&price_of_ann()) && all.contains(&products_of_cem()), "{all}");
    }
}

/// So many bytes of state, and the component of the function, as people read it.
fn bytes_with_code(state: u64) -> String {
    let code = std::fs::metadata(component("state-tour")).expect("it is built");
    show_bytes(state + code.len())
}

#[test]
fn checkpoints_of_hashmap() {
    let folder = stopped("hashmap");
    let bytes = bytes_with_code(428);
    assert_eq!(
        answer(&folder, "checkpoints list", &["checkpoints"]),
        format!(
            "savepoints/sp-1  savepoint of job tour  {bytes}  1 operator\n\
             chk-2  checkpoint of job tour  {bytes}  1 operator\n"
        )
    );
    let place = format!("file://{}", folder.path().display());
    for path in [CHECKPOINT, SAVEPOINT] {
        let verified = answer(&folder, "checkpoints verify", &[path]);
        assert_eq!(verified, format!("{place}/{path} is whole: 3 files, {bytes}\n"));
    }
    show_what_is_there(&folder);
}

#[test]
fn checkpoints_of_rocksdb() {
    let folder = stopped("rocksdb");
    let list = answer(&folder, "checkpoints list", &["checkpoints/"]);
    let savepoint = bytes_with_code(428);
    let savepoint = format!("savepoints/sp-1  savepoint of job tour  {savepoint}  1 operator\n");
    assert!(list.starts_with(&savepoint), "{list}");
    assert!(list.contains("\nchk-2  checkpoint of job tour  "), "{list}");
    for path in [CHECKPOINT, SAVEPOINT] {
        let verified = answer(&folder, "checkpoints verify", &[path]);
        assert!(verified.contains(&format!("/{path} is whole: ")), "{verified}");
    }
    show_what_is_there(&folder);

    // Deleting takes along what the checkpoint shares with no other; the savepoint needs none.
    let deleted = call(&folder, "checkpoints delete", &["checkpoints", "2"]).expect(0);
    assert_eq!((&*deleted.stdout, &*deleted.stderr), ("", "Deleted chk-2.\n"));
    let left = counting::files_below(&folder.join("checkpoints")).into_keys();
    let left: Vec<PathBuf> = left.filter(|path| !path.starts_with("savepoints")).collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(answer(&folder, "state get", &[SAVEPOINT, "tour", "price", "ann"]), price_of_ann());
}

#[test]
fn wrong_names_are_answered_with_right_ones() {
    let folder = stopped("hashmap");
    let files = counting::files_below(&folder.join("checkpoints"));
    let held = "checkpoints holds savepoints/sp-1, chk-2: name one of them";
    let calls: [(&str, &[&str], [&str; 2]); 15] = [
        ("checkpoints list", &["out"], ["out holds no checkpoints", "`checkpoint.storage`"]),
        (
            "checkpoints list",
            &["nowhere"],
            ["nowhere holds no checkpoints", "`checkpoint.storage`"],
        ),
        ("checkpoints list", &[CHECKPOINT], ["chk-2 holds no checkpoints", "`checkpoint.storage`"]),
        ("checkpoints show", &["checkpoints"], ["checkpoints is no checkpoint or savepoint", held]),
        ("checkpoints verify", &["checkpoints/chk-7"], ["chk-7 is no checkpoint", held]),
        ("checkpoints verify", &["nowhere"], ["nowhere is no checkpoint", "name a folder chk-N"]),
        ("checkpoints verify", &["job.toml"], ["job.toml is no checkpoint", "name a folder chk-N"]),
        ("state list", &["checkpoints/chk2"], ["chk2 is no checkpoint", held]),
        ("run job.toml --restore", &["checkpoints/chk-7"], ["chk-7 is no checkpoint", held]),
        ("run job.toml", &[], ["the newest chk-2", "`--restore latest` goes on, `--restore none`"]),
        (
            "checkpoints delete",
            &["checkpoints", "2", "7"],
            ["holds no checkpoint 7; nothing was deleted", "it holds savepoints/sp-1, chk-2"],
        ),
        (
            "checkpoints delete",
            &["nowhere", "2"],
            ["nowhere holds no checkpoint 2; nothing was deleted", "`checkpoint.storage`"],
        ),
        (
            "state get",
            &[CHECKPOINT, "pv", "price", "ann"],
            ["chk-2 has no operator \"pv\"", "it has tour"],
        ),
        (
            "state get",
            &[CHECKPOINT, "tour", "prices", "ann"],
            ["operator \"tour\" has no state \"prices\"", "it has price, recent-prices, products"],
        ),
        (
            "state get",
            &[CHECKPOINT, "tour", "price", "dan"],
            ["key \"dan\" has no state \"price\" in operator \"tour\"", "chk-2"],
        ),
    ];
    for (command, arguments, story) in calls {
        let ended = call(&folder, command, arguments).expect(1);
        assert!(ended.stdout.is_empty(), "{command} answers {}", ended.stdout);
        ended.expect_story(story);
    }
    assert_eq!(counting::files_below(&folder.join("checkpoints")), files);
}

/// Reading the manifest is not enough: what it names has changed.
#[test]
fn a_checkpoint_that_is_not_whole_is_status_4() {
    let folder = stopped("hashmap");
    let file = counting::files_below(&folder.join(CHECKPOINT)).into_keys();
    let mut states = file.filter(|path| path.extension().is_some_and(|end| end == "state"));
    let state = states.next().expect("there is state");
    folder.write(&format!("{CHECKPOINT}/{}", state.display()), "TGSTATE?");
    for command in ["checkpoints verify", "state export"] {
        let story = ["is not what was written: it does not begin as a state file", "chk-2"];
        call(&folder, command, &[CHECKPOINT]).expect(4).expect_story(story);
    }
    folder.write("checkpoints/chk-2/manifest", "tidegate-manifest 1 0 00000000\n");
    let story = ["chk-2/manifest is not what was written: its length or checksum"];
    call(&folder, "checkpoints verify", &[CHECKPOINT]).expect(4).expect_story(story);
    let list = answer(&folder, "checkpoints list", &["checkpoints"]);
    assert!(list.contains(story[0]), "{list}");
}
