//! Job files that parse, and every refusal of one with its words.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::job::plan::{CheckpointMode, ExponentialDelayPlan, Field, RetainPlan};
use crate::model::Format;

/// Section 7 of the design, as it stands there.
const DESIGN: &str = include_str!("design.toml");

fn parse(text: &str, settings: &[&str]) -> Result<JobFile, Problems> {
    let settings: Vec<Setting> = settings.iter().map(|s| Setting::parse(s).unwrap()).collect();
    JobFile::parse(Path::new("jobs/job.toml"), text, &settings)
}

/// Everything that reading finds, as the user sees it.
fn refusals(text: &str, settings: &[&str]) -> String {
    match parse(text, settings) {
        Ok(file) if file.problems.is_empty() => "none".into(),
        Ok(file) => Problems::new(file.path, file.problems).to_string(),
        Err(problems) => problems.to_string(),
    }
}

#[test]
fn the_job_file_of_the_design_parses_as_it_stands() {
    let file = parse(DESIGN, &[]).unwrap();
    assert_eq!(refusals(DESIGN, &[]), "none");
    assert_eq!(file.job.name, "periodic-pv");
    assert_eq!((*file.job.parallelism, *file.job.max_parallelism), (2, 128));
    assert_eq!(file.resolve("events.csv"), Path::new("jobs/events.csv"));
    let source = &file.sources[0];
    assert_eq!((*source.format, source.out_of_orderness), (Format::Csv, Duration::from_secs(1)));
    assert_eq!(source.idle_after, Some(Duration::from_secs(30)));
    assert_eq!(*source.timestamp.as_ref().unwrap().field, Field::Index(2));
    let operator = &file.operators[0];
    let input = &operator.inputs.as_ref().unwrap()[0];
    assert_eq!(**input.from.as_ref().unwrap(), "clicks");
    assert_eq!(**input.partition.as_ref().unwrap(), PartitionSpec::Key(Field::Index(0)));
    assert_eq!(operator.params[0].0, "period");
    assert_eq!(*operator.params[0].1, "10s");
    assert_eq!(operator.limits.memory_bytes, 64 << 20);
    assert!(matches!(
        &file.sinks[0].connector,
        Some(SinkConnectorSpec::File { replace: true, .. })
    ));
    assert_eq!((file.state.backend.word, file.state.directory.is_none()), ("hashmap", true));
    let checkpoint = file.checkpoint.unwrap();
    let StorageSpec::Written(storage) = &checkpoint.storage else { panic!() };
    assert_eq!(**storage, "file://./checkpoints");
    assert_eq!(checkpoint.policy.interval, Duration::from_secs(1));
    assert_eq!(checkpoint.mode, CheckpointMode::ExactlyOnce);
    let delay = Duration::from_secs(1);
    assert_eq!(file.restart, Some(RestartPlan::FixedDelay { attempts: 3, delay }));
}

#[test]
fn defaults_are_those_of_the_documentation() {
    let text = "[job]\nname = 'a'\n[[source]]\nid = 's'\nconnector = 'stdin'\n";
    let file = parse(text, &[]).unwrap();
    assert_eq!(refusals(text, &[]), "none");
    assert_eq!((*file.job.parallelism, *file.job.max_parallelism), (1, 128));
    assert_eq!(file.job.dead_letters, "dead-letters");
    let source = &file.sources[0];
    assert_eq!((*source.format, source.line_bytes_max), (Format::Lines, 1 << 20));
}

#[test]
fn unknown_keys_name_the_nearest_or_list_all() {
    let text = "[job]\nname = 'a'\nparalelism = 2\n[[sink]]\nid = 'o'\nconnector = 'stdout'\n\
                form = 'x'\nzzz = 1\n[jobs]\n";
    assert_eq!(
        refusals(text, &[]),
        "unknown key `paralelism` in `job`\n  --> jobs/job.toml:3:1\n  hint: did you mean \
         `parallelism`?\n\
         `sink.o` has no `from`\n  --> jobs/job.toml:4:1\n  hint: add `from = \"a-node\"`\n\
         unknown key `form` in `sink.o`\n  --> jobs/job.toml:7:1\n  hint: did you mean `from`?\n\
         unknown key `zzz` in `sink.o`\n  --> jobs/job.toml:8:1\n  hint: known keys: id, \
         connector, from\n\
         unknown section `jobs`\n  --> jobs/job.toml:9:2\n  hint: did you mean `job`?"
    );
}

#[test]
fn what_is_wrong_with_a_database_is_said_without_its_password() {
    let text = "[job]\nname = 'a'\n[[source]]\nid = 's'\nconnector = 'mysql'\n\
                url = 'mysql://me:hush@h/db'\nformat = 'lines'\ntls_ca = 'ca.pem'\n\
                [[sink]]\nid = 'o'\nfrom = 's'\nconnector = 'mysql'\nurl = 'mysql://h/db'\n\
                table = 'a.b.c'\ncolumns = ['x', 'x']\n\
                [[sink]]\nid = 'p'\nfrom = 's'\nconnector = 'mysql'\nurl = 'mysql://h/db'\n\
                table = 't'\ncolumns = ['x']\nkey = ['y']\nretry = '1s'\n";
    let told = refusals(text, &[]);
    for problem in [
        "`source.s.format` does not fit: rows have columns",
        "`source.s.url` holds a user or a password, which no job file should",
        "`source.s` has no `query`",
        "`source.s.tls_ca` needs `tls = true`",
        "`sink.o.table` is the text \"a.b.c\", not the name of a table",
        "`sink.o.columns` is the text \"x\", not a new column",
        "`sink.p.key` has \"y\", which is none of `columns`",
        "unknown key `retry` in `sink.p`",
    ] {
        assert!(told.contains(problem), "{problem}\nis not in\n{told}");
    }
    assert!(!told.contains("hush"), "{told}");
}

/// A setting of a wrong value, and what is said of it.
const WRONG_VALUES: [(&str, &str); 38] = [
    ("job.parallelism=0", "`job.parallelism` is the number 0, not a whole number from 1 to 32768"),
    (
        "job.max_parallelism=40000",
        "`job.max_parallelism` is the number 40000, not a whole number from 1 to 32768",
    ),
    ("job.name=a b", "`job.name` is the text \"a b\", not a name"),
    ("state.memory=1GiB", "`state.memory` goes with `backend = \"rocksdb\"` only"),
    ("state.memory=1MiB", "`state.memory` is the text \"1MiB\", not a size from 16MiB"),
    ("state.directory=x", "`state.directory` goes with `backend = \"rocksdb\"` only"),
    ("state.backend=heap", "`state.backend` is \"heap\", which is not known"),
    ("checkpoint.storage=ftp://x", "`checkpoint.storage` is the text \"ftp://x\", not a storage"),
    ("checkpoint.interval=10", "`checkpoint.interval` is the number 10, not a duration"),
    (
        "checkpoint.interval=0s",
        "`checkpoint.interval` is the text \"0s\", not a duration above zero",
    ),
    ("checkpoint.mode=twice", "`checkpoint.mode` is \"twice\", which is not known"),
    ("checkpoint.retain=always", "`checkpoint.retain` is \"always\", which is not known"),
    (
        "checkpoint.keep=0",
        "`checkpoint.keep` is the number 0, not a whole number from 1, below 2^32",
    ),
    (
        "checkpoint.max_concurrent=4294967296",
        "`checkpoint.max_concurrent` is the number 4294967296, not a whole number from 1, below \
         2^32",
    ),
    (
        "checkpoint.prefer_checkpoint=yes",
        "`checkpoint.prefer_checkpoint` is the text \"yes\", not true or false",
    ),
    (
        "restart.attempts=0",
        "`restart.attempts` is the number 0, not a whole number from 1, below 2^32",
    ),
    ("restart.strategy=fixed", "`restart.strategy` is \"fixed\", which is not known"),
    (
        "source.clicks.connector=s3",
        "`source.clicks.connector` asks for a connector that is not in this version yet",
    ),
    ("source.clicks.connector=fil", "`source.clicks.connector` is \"fil\", which is not known"),
    ("source.clicks.format=xml", "`source.clicks.format` is \"xml\", which is not known"),
    (
        "source.clicks.timestamp.unit=sec",
        "`source.clicks.timestamp.unit` is \"sec\", which is not known",
    ),
    (
        "source.clicks.timestamp.field=-1",
        "`source.clicks.timestamp.field` is the number -1, not a field",
    ),
    ("source.clicks.timestamp=2", "`source.clicks.timestamp` is the number 2, not a table"),
    (
        "source.clicks.max_line=2GiB",
        "`source.clicks.max_line` is the text \"2GiB\", not a size up to 1GiB",
    ),
    (
        "source.clicks.malformed=ignore",
        "`source.clicks.malformed` is \"ignore\", which is not known",
    ),
    (
        "source.clicks.watermark={ strategy = 'bounded-out-of-orderness' }",
        "`source.clicks.watermark` has no `delay`",
    ),
    (
        "source.clicks.watermark={ delay = '1s' }",
        "`source.clicks.watermark.delay` goes with `strategy = \"bounded-out-of-orderness\"` only",
    ),
    ("operator.pv.inputs=clicks", "`operator.pv.inputs` is the text \"clicks\", not a list"),
    (
        "operator.pv.inputs=['clicks']",
        "`operator.pv.inputs[0]` is the text \"clicks\", not a table",
    ),
    (
        "operator.pv.inputs[0].partition=keyed",
        "`operator.pv.inputs[0].partition` is \"keyed\", which is not known",
    ),
    (
        "operator.pv.inputs[0].partition={ field = 0 }",
        "`operator.pv.inputs[0].partition` has the key `field`, which is not known",
    ),
    (
        "operator.pv.params.period=[1]",
        "`operator.pv.params.period` is a list, not text, a number, true or false",
    ),
    (
        "operator.pv.limits.memory=1KiB",
        "`operator.pv.limits.memory` is the text \"1KiB\", not a size from 64KiB to 4GiB",
    ),
    (
        "operator.pv.limits.timers=0",
        "`operator.pv.limits.timers` is the number 0, not a whole number from 1",
    ),
    ("operator.pv.on_fault=skip", "`operator.pv.on_fault` is \"skip\", which is not known"),
    (
        "sink.out.connector=s3",
        "`sink.out.connector` asks for a connector that is not in this version yet",
    ),
    ("sink.out.path=7", "`sink.out.path` is the number 7, not text"),
    ("sink.out.on_existing=append", "`sink.out.on_existing` is \"append\", which is not known"),
];

#[test]
fn wrong_values_say_what_is_expected() {
    for (setting, message) in WRONG_VALUES {
        let refusals = refusals(DESIGN, &[setting]);
        let expected = format!("{message}\n  --> --set {setting}\n  hint: ");
        assert!(refusals.starts_with(&expected), "{refusals}\n instead of \n{expected}");
        assert_eq!(refusals.lines().count(), 3, "follow-on problems: {refusals}");
    }
}

#[test]
fn keys_of_restart_follow_its_strategy() {
    let restart = |keys: &str| refusals(&format!("[job]\nname = 'a'\n[restart]\n{keys}"), &[]);
    let strategies = [
        "strategy = 'none'",
        "strategy = 'failure-rate'\nfailures = 3\ninterval = '1m'\ndelay = '1s'",
        "strategy = 'exponential-delay'\ninitial_delay = '1s'\nmax_delay = '1m'\n\
         multiplier = 2.0\njitter = 0.1\nreset_after = '1h'\nattempts = 9",
    ];
    for keys in strategies {
        assert_eq!(restart(keys), "none", "{keys}");
    }
    assert_eq!(
        restart("strategy = 'none'\nattempts = 1"),
        "unknown key `attempts` in `restart`\n  --> jobs/job.toml:5:1\n  hint: known keys: strategy"
    );
}

#[test]
fn defaults_of_checkpoint_and_restart_are_those_of_flink() {
    let read = |more: &str| parse(&format!("[job]\nname = 'a'\n{more}"), &[]).unwrap();
    let file = read("");
    assert_eq!((file.state.backend.word, file.state.memory_bytes), ("hashmap", 256 << 20));
    assert!(file.checkpoint.is_none() && file.restart.is_none());
    let checkpoint = read("[checkpoint]").checkpoint.unwrap();
    assert!(matches!(checkpoint.storage, StorageSpec::Missing(_)));
    let seconds = Duration::from_secs;
    assert_eq!(
        (checkpoint.policy.interval, checkpoint.policy.timeout),
        (seconds(10), seconds(600))
    );
    assert_eq!(
        (checkpoint.policy.min_pause, checkpoint.policy.max_concurrent),
        (Duration::ZERO, 1)
    );
    assert_eq!((checkpoint.policy.tolerable_failures, checkpoint.policy.keep), (0, 2));
    assert_eq!((checkpoint.retain, checkpoint.prefer_checkpoint), (RetainPlan::OnCancel, false));
    let restart =
        |strategy: &str| read(&format!("[restart]\nstrategy = '{strategy}'")).restart.unwrap();
    let delay = seconds(1);
    assert_eq!(restart("none"), RestartPlan::None);
    assert_eq!(restart("fixed-delay"), RestartPlan::FixedDelay { attempts: 1, delay });
    let interval = seconds(60);
    assert_eq!(restart("failure-rate"), RestartPlan::FailureRate { failures: 1, interval, delay });
    assert_eq!(
        restart("exponential-delay"),
        RestartPlan::ExponentialDelay(ExponentialDelayPlan {
            initial_delay: delay,
            max_delay: seconds(60),
            multiplier: 1.5,
            jitter: 0.1,
            reset_after: seconds(3600),
            attempts: None,
        })
    );
}

#[test]
fn retain_is_a_word_or_a_flag() {
    let retain = |value: &str| {
        let text = format!("[job]\nname = 'a'\n[checkpoint]\nretain = {value}");
        parse(&text, &[]).unwrap().checkpoint.unwrap().retain
    };
    for (value, expected) in [
        ("true", RetainPlan::OnCancel),
        ("'on-cancel'", RetainPlan::OnCancel),
        ("false", RetainPlan::Never),
        ("'never'", RetainPlan::Never),
    ] {
        assert_eq!(retain(value), expected, "{value}");
    }
}

#[test]
fn delays_do_not_shrink() {
    let restart = "[job]\nname = 'a'\n[restart]\nstrategy = 'exponential-delay'\n";
    assert_eq!(
        refusals(&format!("{restart}initial_delay = '2m'"), &[]),
        "`restart.initial_delay` does not fit: `max_delay` is below `initial_delay`\n  --> \
         jobs/job.toml:5:1\n  hint: raise `max_delay`, or lower `initial_delay`"
    );
    let both = format!("{restart}initial_delay = '2s'\nmax_delay = '1s'");
    assert!(refusals(&both, &[]).starts_with("`restart.max_delay` does not fit: "));
}

#[test]
fn a_replaced_backend_or_strategy_leaves_its_keys_behind() {
    let rocksdb = DESIGN.replace("backend = \"hashmap\"", "backend = \"rocksdb\"\nmemory = '1GiB'");
    let file = parse(&rocksdb, &[]).unwrap();
    assert_eq!((refusals(&rocksdb, &[]).as_str(), file.state.memory_bytes), ("none", 1 << 30));
    assert_eq!(refusals(&rocksdb, &["state.backend=hashmap"]), "none");
    assert_eq!(refusals(DESIGN, &["restart.strategy=none"]), "none");
}

#[test]
fn a_watermark_needs_a_timestamp() {
    let text =
        "[job]\nname='a'\n[[source]]\nid='s'\nconnector='stdin'\nwatermark = { idle_after = '1s' }";
    assert_eq!(
        refusals(text, &[]),
        "`source.s.watermark` needs event times, but the source has no `timestamp`\n  --> \
         jobs/job.toml:6:1\n  hint: add `timestamp = { field = 0, unit = \"ms\" }`"
    );
}

#[test]
fn settings_change_the_job_for_one_run() {
    let file = parse(
        DESIGN,
        &[
            "job.parallelism=4",
            "state.backend=FsStateBackend",
            "source.clicks.path=other.csv",
            "source.clicks.watermark.delay=5s",
            "operator.pv.params.period=5s",
            "operator.pv.params.loud=true",
            "operator.pv.limits.timers=7",
            "operator.pv.inputs[0].partition={ key = 'user' }",
            "sink.out.path=/x/y=z",
        ],
    )
    .unwrap();
    assert!(file.problems.is_empty());
    assert_eq!(*file.job.parallelism, 4);
    assert_eq!(file.sources[0].out_of_orderness, Duration::from_secs(5));
    let Some(SourceConnectorSpec::File(spec)) = &file.sources[0].connector else { panic!() };
    assert_eq!(*spec.path, "other.csv");
    let operator = &file.operators[0];
    let params: Vec<_> = operator.params.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(params, [("loud", "true"), ("period", "5s")]);
    assert_eq!(operator.limits.timers, 7);
    let partition = &operator.inputs.as_ref().unwrap()[0].partition;
    assert_eq!(**partition.as_ref().unwrap(), PartitionSpec::Key(Field::Name("user".into())));
    let Some(SinkConnectorSpec::File { path, .. }) = &file.sinks[0].connector else { panic!() };
    assert_eq!(**path, "/x/y=z");
}

#[test]
fn a_replaced_connector_leaves_its_keys_behind() {
    assert_eq!(refusals(DESIGN, &["sink.out.connector=discard"]), "none");
    assert_eq!(refusals(DESIGN, &["source.clicks.connector=stdin"]), "none");
    let text = DESIGN.replace(
        "connector = \"file\"                   # file | stdout",
        "connector = \"discard\" #",
    );
    assert!(refusals(&text, &[]).starts_with("unknown key `path` in `sink.out`"));
}

#[test]
fn settings_that_name_nothing_are_refused() {
    let cases = [
        ("jobs.parallelism=4", "there is no section `jobs`", "did you mean `job`?"),
        ("source.click.path=x", "there is no source `click`", "did you mean `clicks`?"),
        ("operator.zzz.params.x=1", "there is no operator `zzz`", "known operators: pv"),
        ("job.name.x=1", "`x` cannot be set within the text \"periodic-pv\"", ""),
        ("operator.pv.inputs[1].from=x", "there is no element 1: the list has 1", ""),
        ("job.paralelism=4", "unknown key `paralelism` in `job`", "did you mean `parallelism`?"),
    ];
    for (setting, message, hint) in cases {
        let mut expected = format!("{message}\n  --> --set {setting}");
        if !hint.is_empty() {
            expected += &format!("\n  hint: {hint}");
        }
        assert_eq!(refusals(DESIGN, &[setting]), expected);
    }
    for malformed in ["job.parallelism", "job=1", "=1", ".x=1", "a.b[x=1"] {
        let error = Setting::parse(malformed).unwrap_err();
        assert_eq!(error.message, format!("`--set {malformed}` is not KEY=VALUE"));
    }
}

#[test]
fn a_file_that_is_not_toml_says_where() {
    let refusals = refusals("[job]\nname = \n", &[]);
    assert!(refusals.starts_with("not TOML: "), "{refusals}");
    assert!(refusals.contains("\n  --> jobs/job.toml:2:"), "{refusals}");
}

#[test]
fn generators_take_their_own_keys() {
    let text = "[job]\nname='a'\n[[source]]\nid='g'\nconnector='generator'\nshape='clicks'\n\
                count=10\nkeys=5";
    let file = parse(text, &[]).unwrap();
    let Some(SourceConnectorSpec::Generator(plan)) = &file.sources[0].connector else { panic!() };
    assert_eq!((plan.count, plan.rate, plan.keys, plan.step_ms), (Some(10), None, 5, 1));
    assert_eq!(*file.sources[0].format, Format::Csv);
    assert_eq!(
        refusals(text, &["source.g.format=json"]),
        "`source.g.format` does not fit: the generator writes csv\n  --> --set \
         source.g.format=json\n  hint: leave the format out"
    );
}
