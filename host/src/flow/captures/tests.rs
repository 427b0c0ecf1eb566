//! Captured calls are read as they were written, and files that are none are refused.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::*;
use crate::model::{
    Bytes, Digest, Fault, FaultReason, Kind, Limits, Redistribution, StateKind, TIME_NONE,
    TimeDomain,
};
use crate::operator::{
    FIXTURE_VERSION, FixtureInput, FixtureKey, FixtureOperatorState, FixtureRecord, FixtureState,
};

fn fixture(key: &[u8], value: &[u8]) -> Fixture {
    let list = [&(value.len() as u32).to_le_bytes()[..], value].concat();
    let record =
        FixtureRecord { value: value.into(), timestamp: 5, watermark: TIME_NONE, key: Some(0) };
    Fixture {
        version: FIXTURE_VERSION,
        component: Digest::of(b"function"),
        contract: "0.1.0".into(),
        operator: "pv".into(),
        partition: 3,
        parallelism: 4,
        params: vec![("period".into(), "10s".into())],
        limits: Limits { timers: 7, ..Limits::default() },
        kind: Kind::KeyedBroadcastProcess,
        states: vec![FixtureState {
            name: "all".into(),
            kind: StateKind::List,
            schema_version: 2,
            type_name: "Vec<u8>".into(),
            ttl: None,
        }],
        operator_states: vec![FixtureOperatorState {
            name: "rules".into(),
            redistribution: Redistribution::Broadcast,
            schema_version: 1,
            type_name: "Rule".into(),
        }],
        processing_time: 1_700_000_000_000,
        keys: vec![FixtureKey {
            key: key.into(),
            states: BTreeMap::from([("all".into(), Bytes(list))]),
            event_timers: vec![i64::MIN, i64::MAX],
            processing_timers: Vec::new(),
        }],
        operator_state: Some(BTreeMap::from([("rules".into(), Bytes::default())])),
        input: FixtureInput::Records { input: 0, records: vec![record] },
        position: "clicks.csv:37".into(),
        fault: Fault::new(FaultReason::CallTime, "it took too long"),
    }
}

fn folder(name: &str) -> PathBuf {
    let path =
        std::env::temp_dir().join(format!("tidegate-captures-{}-{name}", std::process::id()));
    fs::create_dir_all(&path).unwrap();
    path
}

proptest! {
    /// Text, and bytes that are none.
    #[test]
    fn a_fixture_is_read_as_it_was_written(
        key in prop::collection::vec(any::<u8>(), 0..20),
        text in ".*",
        bytes in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        for value in [text.as_bytes(), &bytes] {
            let fixture = fixture(&key, value);
            let json = serde_json::to_string(&fixture).unwrap();
            let read: Fixture = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(&read, &fixture);
            prop_assert!(read.validate().is_ok());
        }
    }
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let refuse = |change: &dyn Fn(&mut Fixture), word: &str| {
        let mut fixture = fixture(b"a", b"x");
        change(&mut fixture);
        let message = fixture.validate().unwrap_err().message;
        assert!(message.contains(word), "{word:?} is not in {message}");
    };
    refuse(&|one| one.version = 2, "version 2");
    refuse(&|one| one.keys.push(one.keys[0].clone()), "twice");
    let state = |one: &mut Fixture, bytes: &[u8]| {
        one.keys[0].states.insert("all".into(), bytes.into());
    };
    refuse(&|one| state(one, b"\x09\0\0\0short"), "no list");
    refuse(&|one| drop(one.keys[0].states.insert("any".into(), Bytes::default())), "\"any\"");
    let rules = Some(BTreeMap::from([("rules".into(), Bytes(vec![1]))]));
    refuse(&|one| one.operator_state = rules.clone(), "no map");
    refuse(&|one| one.keys.clear(), "records");
    let timers = |domain| FixtureInput::Timers { domain, timestamps: vec![], watermarks: vec![] };
    refuse(&|one| one.input = timers(TimeDomain::Event), "timers");
}

#[test]
fn files_are_numbered_and_never_replaced() {
    let folder = folder("numbered");
    for number in 0..CAPTURES_MAX {
        let path = write(&folder, &fixture(b"a", &[number as u8])).unwrap().unwrap();
        assert_eq!(path.file_name().unwrap().to_str().unwrap(), format!("pv-3-{number}.json"));
    }
    assert_eq!(write(&folder, &fixture(b"a", b"more")).unwrap(), None);
    let read = read_fixture(&folder.join("pv-3-4.json")).unwrap();
    assert_eq!(read, fixture(b"a", &[4]));
    let path = folder.join("pv-3-5.json");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let refused = read_fixture(&path).unwrap_err();
    assert!(refused.message.contains("no captured call"), "{}", refused.message);
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_folder_that_takes_nothing_is_a_warning() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let heard = lines.clone();
    let log = LogSink::new(move |level, line| heard.lock().unwrap().push((level, line.to_owned())));
    let mut captures = captures_to(Path::new("/dev/null/faults"), log);
    captures.keep(&fixture(b"a", b"x"));
    let lines = lines.lock().unwrap();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].0, LogLevel::Warn);
    assert!(lines[0].1.contains("cannot be captured"), "{}", lines[0].1);
}
