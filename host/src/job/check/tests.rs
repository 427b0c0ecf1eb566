//! Every refusal of a job that parses, with its words. Functions are declarations here: what a
//! component must be is tested beside the embedding.

mod kafka;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::*;
use crate::job::plan::Partitioning;
use crate::job::spec::Setting;
use crate::model::{Input, Kind, Output, Parameter};

const JOB: &str = r#"
[job]
name = "j"
parallelism = 2
[[source]]
id = "clicks"
connector = "file"
path = "in.csv"
format = "csv"
timestamp = { field = 2 }
[[operator]]
id = "pv"
component = "keyed.wasm"
inputs = [{ from = "clicks", partition = { key = 0 } }]
[[operator]]
id = "map"
component = "process.wasm"
inputs = [{ from = "pv" }]
[[sink]]
id = "out"
connector = "file"
from = "map"
path = "out"
"#;

fn declaration(component: &str) -> Declaration {
    let output = |name: &str, format| Output { name: name.into(), format };
    let parameter = |name: &str, type_name: &str, default: Option<&str>| Parameter {
        name: name.into(),
        type_name: type_name.into(),
        default: default.map(Into::into),
    };
    let keyed = component.starts_with("keyed");
    Declaration {
        kind: match component {
            "source.wasm" => Kind::Source,
            _ if keyed => Kind::KeyedProcess,
            _ => Kind::Process,
        },
        inputs: vec![Input { name: "in".into(), type_name: "csv".into() }],
        outputs: vec![output("main", Format::Csv), output("late", Format::Json)],
        states: Vec::new(),
        operator_states: Vec::new(),
        parameters: match component {
            "needy.wasm" => vec![parameter("who", "text", None)],
            _ => vec![parameter("period", "duration", Some("10s"))],
        },
        timers: keyed,
        extracts_keys: component == "keyed-by-itself.wasm",
    }
}

/// A folder with the input of `JOB`, removed with the value.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("tidegate-check-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("in.csv"), "a,b,1\n").unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct Checked {
    refusals: String,
    warnings: Vec<String>,
    graph: Graph,
    operators: Vec<Option<CheckedOperator>>,
}

fn check_in(folder: &Folder, text: &str, settings: &[&str]) -> Checked {
    let settings: Vec<Setting> = settings.iter().map(|s| Setting::parse(s).unwrap()).collect();
    let path = folder.0.join("job.toml");
    let mut file = JobFile::parse(&path, text, &settings).unwrap();
    let declarations: BTreeMap<&str, Declaration> = file
        .operators
        .iter()
        .filter_map(|operator| operator.component.as_deref())
        .map(|component| (component.as_str(), declaration(component)))
        .collect();
    let declared: Vec<Option<&Declaration>> = file
        .operators
        .iter()
        .map(|operator| declarations.get(operator.component.as_deref()?.as_str()))
        .collect();
    let problems = std::mem::take(&mut file.problems);
    let mut findings = Findings { problems, ..Findings::default() };
    let (graph, operators) = examine(&file, &declared, &mut findings);
    let refusals = match findings.problems.is_empty() {
        true => String::new(),
        false => Problems::new("job.toml".into(), findings.problems).to_string(),
    };
    let refusals = refusals.replace(&*folder.0.to_string_lossy(), "DIR");
    Checked { refusals, warnings: findings.warnings, graph, operators }
}

fn refusals(name: &str, settings: &[&str]) -> String {
    check_in(&Folder::new(name), JOB, settings).refusals
}

#[test]
fn a_good_job_has_no_problems() {
    let checked = check_in(&Folder::new("good"), JOB, &[]);
    assert_eq!(checked.refusals, "");
    assert_eq!(checked.warnings, [""; 0]);
    assert_eq!(checked.graph.order, [0, 1]);
    let partitions = |index: usize| &checked.operators[index].as_ref().unwrap().partitions;
    assert_eq!(*partitions(0), [Partitioning::Key(Field::Index(0))]);
    assert_eq!(*partitions(1), [Partitioning::Forward]);
}

#[test]
fn the_default_partitioning_follows_the_parallelism() {
    let settings = ["operator.map.parallelism=3"];
    let checked = check_in(&Folder::new("rebalance"), JOB, &settings);
    assert_eq!(checked.refusals, "");
    assert_eq!(checked.operators[1].as_ref().unwrap().partitions, [Partitioning::Rebalance]);
}

#[test]
fn operators_are_ordered_by_the_flow() {
    let text =
        JOB.replace("\"pv\"", "\"x\"").replace("\"map\"", "\"pv\"").replace("\"x\"", "\"map\"");
    let text = text.replace(
        "{ from = \"clicks\", partition = { key = 0 } }",
        "{ from = \"pv\", partition = { key = 0 } }",
    );
    let text = text.replace("inputs = [{ from = \"map\" }]", "inputs = [{ from = \"clicks\" }]");
    let text = text.replace("from = \"pv\"\npath", "from = \"map\"\npath");
    let checked = check_in(&Folder::new("order"), &text, &[]);
    assert_eq!(checked.refusals, "");
    assert_eq!(checked.graph.order, [1, 0]);
}

#[test]
fn references_must_lead_somewhere() {
    let name = "references";
    assert_eq!(
        refusals(name, &["operator.pv.inputs[0].from=click"]),
        "`operator.pv.inputs[0].from` names `click`, which is no node of the job\n  --> --set \
         operator.pv.inputs[0].from=click\n  hint: did you mean `clicks`?"
    );
    assert_eq!(
        refusals(name, &["sink.out.from=zzz"]),
        "`sink.out.from` names `zzz`, which is no node of the job\n  --> --set \
         sink.out.from=zzz\n  hint: known nodes: clicks, map, pv"
    );
    assert_eq!(
        refusals(name, &["operator.map.inputs[0].from=out"]),
        "`operator.map.inputs[0].from` names the sink `out`, which has no output\n  --> --set \
         operator.map.inputs[0].from=out\n  hint: read from what the sink reads from"
    );
    assert_eq!(
        refusals(name, &["sink.out.from=map.lat"]),
        "`sink.out.from` names the output `lat`, which `map` has not\n  --> --set \
         sink.out.from=map.lat\n  hint: did you mean `late`?"
    );
    assert_eq!(refusals(name, &["sink.out.from=map.main"]), "");
}

#[test]
fn an_unread_main_output_is_a_warning_and_an_unread_source_an_error() {
    let checked = check_in(&Folder::new("unread"), JOB, &["sink.out.from=map.late"]);
    assert_eq!(checked.warnings, ["nothing reads the main output of operator `map`"]);
    let text = format!("{JOB}[[source]]\nid='more'\nconnector='stdin'\n");
    assert_eq!(
        check_in(&Folder::new("unread2"), &text, &[]).refusals,
        "`source.more.id` is \"more\", which nothing reads\n  --> job.toml:25:1\n  hint: let an \
         operator or a sink read from it, or remove the source"
    );
}

#[test]
fn ids_are_unique_over_all_nodes() {
    let text = format!("{JOB}[[sink]]\nid='pv'\nconnector='stdout'\nfrom='map'\n");
    assert_eq!(
        check_in(&Folder::new("ids"), &text, &[]).refusals,
        "`sink.pv.id` is the id of another node, too\n  --> job.toml:25:1\n  hint: ids are unique \
         over sources, operators and sinks"
    );
}

#[test]
fn cycles_are_named() {
    let cycle =
        refusals("cycle", &["operator.pv.inputs=[{ from = 'map', partition = { key = 0 } }]"]);
    assert!(
        cycle.contains("`operator.pv.inputs` is part of a cycle: pv -> map -> pv\n"),
        "{cycle}"
    );
    let own = refusals("cycle2", &["operator.map.inputs[0].from=map"]);
    assert!(own.contains("`operator.map.inputs` is part of a cycle: map -> map\n"), "{own}");
}

#[test]
fn keyed_functions_need_a_key() {
    assert_eq!(
        refusals("keyless", &["operator.pv.inputs=[{ from = 'clicks' }]"]),
        "`operator.pv.inputs[0]` has no key, but `pv` is a keyed-process function, whose state \
         belongs to keys\n  --> --set operator.pv.inputs=[{ from = 'clicks' }]\n  hint: write \
         `partition = { key = FIELD }`"
    );
    assert_eq!(
        refusals(
            "keyless2",
            &[
                "operator.pv.component=keyed-by-itself.wasm",
                "operator.pv.inputs[0].partition=forward"
            ]
        ),
        "`operator.pv.inputs[0].partition` is \"forward\", but `pv` is a keyed-process function, \
         whose state belongs to keys\n  --> --set operator.pv.inputs[0].partition=forward\n  hint: \
         write `partition = { key = FIELD }`, or \"function\" for the key that it extracts itself"
    );
    assert_eq!(
        refusals("keyless3", &["operator.pv.inputs[0].partition=function"]),
        "`operator.pv.inputs[0].partition` is \"function\", but `pv` extracts no keys\n  --> --set \
         operator.pv.inputs[0].partition=function\n  hint: write `{ key = FIELD }`, or give the \
         function a key of its own"
    );
}

#[test]
fn fields_fit_the_format() {
    let key = "operator.pv.inputs[0].partition={ key = 'user' }";
    assert_eq!(
        refusals("fields", &[key]),
        format!(
            "`operator.pv.inputs[0].partition` names the field \"user\", but csv records have no \
             names\n  --> --set {key}\n  hint: write the position of the field, counted from 0"
        )
    );
    let json = refusals("fields2", &["source.clicks.format=json"]);
    assert!(
        json.starts_with(
            "`source.clicks.timestamp.field` is the position 2, but json records have names\n  --> \
         job.toml:10:15\n  hint: write the name of the field, in quotes\n\
         `operator.pv.inputs[0].partition` is the position 0, but json records have names\n"
        ),
        "{json}"
    );
    let bytes = refusals("fields3", &["source.clicks.format=bytes"]);
    assert!(bytes.contains("names a field, but records of format bytes have none"), "{bytes}");
}

#[test]
fn parallelism_has_limits() {
    assert_eq!(
        refusals("parallel", &["job.parallelism=200", "operator.map.parallelism=300"]),
        "`job.parallelism` is 200, more than the 128 key groups of the job\n  --> --set \
         job.parallelism=200\n  hint: lower it, or raise `job.max_parallelism`\n\
         `operator.map.parallelism` is 300, more than the 128 key groups of the job\n  --> --set \
         operator.map.parallelism=300\n  hint: lower it, or raise `job.max_parallelism`"
    );
    assert_eq!(
        refusals(
            "parallel2",
            &["operator.map.parallelism=3", "operator.map.inputs[0].partition=forward"]
        ),
        "`operator.map.inputs[0].partition` is \"forward\", but `pv` has 2 partitions and `map` \
         has 3 partitions\n  --> --set operator.map.inputs[0].partition=forward\n  hint: write \
         \"rebalance\", or give both the same parallelism"
    );
}

#[test]
fn parameters_are_the_declared_ones() {
    assert_eq!(
        refusals("params", &["operator.pv.params.perid=1s", "operator.map.params.period=10"]),
        "`operator.map.params.period` is \"10\", not a parameter of type duration\n  --> --set \
         operator.map.params.period=10\n  hint: write a whole number and ms, s, m, h or d, as in \
         \"10s\"\n\
         `operator.pv.params.perid` is no parameter of the function of `pv`\n  --> --set \
         operator.pv.params.perid=1s\n  hint: did you mean `period`?"
    );
    assert_eq!(
        refusals("params2", &["operator.map.component=needy.wasm"]),
        "`operator.map` has no `who` in its params, which its function needs\n  --> \
         job.toml:16:1\n  hint: add `params = { who = … }` (text)"
    );
}

#[test]
fn kinds_and_inputs_fit() {
    let kind = refusals("kinds", &["operator.map.component=source.wasm"]);
    assert!(
        kind.starts_with("`operator.map.component` is a source function, which is no operator\n"),
        "{kind}"
    );
    let inputs = "operator.map.inputs=[{ from = 'pv' }, { from = 'clicks' }]";
    assert_eq!(
        refusals("kinds2", &[inputs]),
        format!(
            "`operator.map.inputs` has 2 elements, but `map` is a process function with 1\n  --> \
             --set {inputs}\n  hint: it reads: in (csv)"
        )
    );
}

#[test]
fn timers_without_event_times_are_a_warning() {
    let text = JOB.replace("timestamp = { field = 2 }\n", "");
    let checked = check_in(&Folder::new("timers"), &text, &[]);
    assert_eq!(checked.refusals, "");
    assert_eq!(checked.warnings.len(), 1);
    assert!(checked.warnings[0].starts_with("operator `pv` registers timers, but its records"));
}

#[test]
fn sources_must_be_there() {
    assert_eq!(
        refusals("sources", &["source.clicks.path=none.csv"]),
        "`source.clicks.path` names DIR/none.csv, which is not there\n  --> --set \
         source.clicks.path=none.csv\n  hint: paths start from the folder of the job file"
    );
    let folder = Folder::new("sources2");
    std::fs::create_dir(folder.0.join("empty")).unwrap();
    std::fs::write(folder.0.join("empty/.hidden"), "").unwrap();
    assert_eq!(
        check_in(&folder, JOB, &["source.clicks.path=empty"]).refusals,
        "`source.clicks.path` is the folder DIR/empty, which holds no files\n  --> --set \
         source.clicks.path=empty\n  hint: put the input there, name another path, or add \
         `watch = \"1s\"`"
    );
}

#[test]
fn sinks_say_when_they_replace_earlier_output() {
    let folder = Folder::new("sinks");
    std::fs::create_dir(folder.0.join("out")).unwrap();
    assert_eq!(check_in(&folder, JOB, &[]).refusals, "");
    std::fs::write(folder.0.join("out/part-0"), "").unwrap();
    let replaced = check_in(&folder, JOB, &[]);
    assert_eq!(replaced.refusals, "");
    assert!(format!("{:?}", replaced.warnings).contains("gives way if this one ends well"));
    assert_eq!(
        check_in(&folder, JOB, &["sink.out.on_existing=refuse"]).refusals,
        "`sink.out.path` is DIR/out, which holds the output of an earlier run\n  --> \
         job.toml:23:1\n  hint: remove that folder, choose another with `--set sink.out.path=…`, \
         or leave `on_existing` out to replace it"
    );
    let beside_input = check_in(&folder, JOB, &["sink.out.path=."]).refusals;
    assert!(beside_input.contains("which the source `clicks` reads"), "{beside_input}");
    let file = check_in(&folder, JOB, &["sink.out.path=job.toml/../in.csv"]).refusals;
    assert!(file.contains("which the source `clicks` reads"), "{file}");
    let text =
        format!("{JOB}[[sink]]\nid='two'\nconnector='file'\nfrom='pv'\npath='./new/../out/'\n");
    let both = check_in(&folder, &text, &[]).refusals;
    assert!(
        both.starts_with("`sink.two.path` is DIR/./new/../out/, where `out` writes\n"),
        "{both}"
    );
}

#[test]
fn a_job_without_sources_is_refused_and_one_without_sinks_warned_of() {
    let folder = Folder::new("bare");
    let checked = check_in(&folder, "[job]\nname = 'a'\n", &[]);
    assert_eq!(
        checked.refusals,
        "the job has no source, so there is nothing to do\n  --> job.toml\n  hint: add a \
         `[[source]]`"
    );
    assert_eq!(checked.warnings, ["the job has no sink: nothing of what it computes is written"]);
}

/// The first lines of what is said of `JOB` with this section of a job file before it.
fn refusals_with(name: &str, sections: &str) -> String {
    let checked = check_in(&Folder::new(name), &format!("{sections}\n{JOB}"), &[]);
    checked.refusals
}

#[test]
fn checkpoints_need_a_storage() {
    assert_eq!(
        refusals_with("storage", "[checkpoint]"),
        "`checkpoint` has no `storage`\n  --> job.toml:1:2\n  hint: add `storage = \
         \"file://./checkpoints\"`"
    );
    assert_eq!(
        refusals_with("storage2", "[checkpoint]\n[state]\nbackend='RocksDBStateBackend'"),
        "`checkpoint` has no `storage`, but \"RocksDBStateBackend\" keeps checkpoints in files\n  \
         --> job.toml:1:2\n  hint: add `storage = \"file://./checkpoints\"`"
    );
    assert_eq!(refusals_with("storage3", "[checkpoint]\nstorage='file://./a/b'"), "");
    assert_eq!(refusals_with("storage4", "[checkpoint]\nstorage='s3://bucket/jobs'"), "");
}

#[test]
fn classic_names_say_which_storage_belongs_to_them() {
    let with = |backend: &str, storage: &str| {
        let state = format!("[state]\nbackend = '{backend}'");
        refusals_with("classic", &format!("[checkpoint]\nstorage = '{storage}'\n{state}"))
    };
    for (backend, storage) in [
        ("MemoryStateBackend", "memory"),
        ("FsStateBackend", "file://c"),
        ("RocksDBStateBackend", "file://c"),
        ("hashmap", "memory"),
        ("rocksdb", "memory"),
    ] {
        assert_eq!(with(backend, storage), "", "{backend} with {storage}");
    }
    assert_eq!(
        with("MemoryStateBackend", "file://c"),
        "`checkpoint.storage` is \"file://c\", but \"MemoryStateBackend\" keeps checkpoints in \
         memory\n  --> job.toml:2:1\n  hint: write \"memory\" here, or \"hashmap\" as \
         `state.backend`, which goes with any storage"
    );
    assert_eq!(
        with("RocksDBStateBackend", "s3://b"),
        "`checkpoint.storage` is \"s3://b\", but \"RocksDBStateBackend\" keeps checkpoints in \
         files\n  --> job.toml:2:1\n  hint: write \"file://FOLDER\" here, or \"rocksdb\" as \
         `state.backend`, which goes with any storage"
    );
    let folder = Folder::new("classic-warns");
    let text = format!("[checkpoint]\n[state]\nbackend = 'MemoryStateBackend'\n{JOB}");
    let checked = check_in(&folder, &text, &[]);
    assert_eq!(checked.refusals, "");
    assert!(checked.warnings[0].starts_with("checkpoints in memory are gone when"));
    // Without checkpoints only the store counts.
    assert_eq!(refusals_with("classic2", "[state]\nbackend = 'FsStateBackend'"), "");
}

#[test]
fn folders_of_checkpoints_and_state_can_be_folders() {
    let name = "folders";
    assert_eq!(
        refusals_with(name, "[checkpoint]\nstorage = 'file://in.csv/c'"),
        "`checkpoint.storage` is DIR/in.csv/c, but DIR/in.csv is a file\n  --> job.toml:2:1\n  \
         hint: name a folder"
    );
    let state = refusals_with(name, "[state]\nbackend = 'rocksdb'\ndirectory = 'in.csv'");
    assert!(state.starts_with("`state.directory` is DIR/in.csv, but DIR/in.csv is a file"));
    let folder = Folder::new("folders2");
    let text = format!("[checkpoint]\nstorage = 'file://c'\n{JOB}");
    assert_eq!(check_in(&folder, &text, &[]).refusals, "");
    assert!(!folder.0.join("c").exists(), "a check makes nothing");
}

#[test]
fn streams_that_cannot_go_back_are_warned_of() {
    let settings = ["source.clicks.connector=stdin", "sink.out.connector=stdout"];
    let folder = Folder::new("streams");
    let warnings =
        |sections: &str| check_in(&folder, &format!("{sections}\n{JOB}"), &settings).warnings;
    assert_eq!(warnings(""), [""; 0]);
    let stdout = "sink `out` writes standard output, which cannot be taken back: after a restart \
        records may appear again";
    assert_eq!(
        warnings("[checkpoint]\nstorage = 'file://c'"),
        [
            "source `clicks` reads standard input, which cannot be read again: a restart loses \
             what it has read since the last checkpoint",
            stdout
        ]
    );
    assert_eq!(
        warnings("[restart]\nstrategy = 'fixed-delay'"),
        [
            "source `clicks` reads standard input, which cannot be read again: a restart loses \
             what it has read until then",
            stdout
        ]
    );
    assert_eq!(warnings("[restart]\nstrategy = 'none'"), [""; 0]);
}

#[test]
fn a_missing_component_names_the_command_that_makes_it() {
    let engine = Engine::new().unwrap();
    let folder = Folder::new("component");
    std::fs::write(folder.0.join("Cargo.toml"), "").unwrap();
    std::fs::write(folder.0.join("process.wasm"), "no wasm").unwrap();
    let file = JobFile::parse(&folder.0.join("job.toml"), JOB, &[]).unwrap();
    let refusals = check(file, &engine).unwrap_err().to_string();
    let refusals = refusals.replace(&*folder.0.to_string_lossy(), "DIR");
    assert_eq!(
        refusals,
        "`operator.pv.component` names DIR/keyed.wasm, which is not there\n  --> \
         DIR/job.toml:13:1\n  hint: build it with `tidegate build DIR`\n\
         DIR/process.wasm is not a wasm file\n  --> DIR/job.toml:17:1"
    );
    assert!(Path::new(&folder.0).exists());
}
