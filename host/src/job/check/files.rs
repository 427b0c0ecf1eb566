//! What sources read and sinks write, held against the file system and against each other.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};

use super::{Findings, recovery};
use crate::checkpoint::is_output;
use crate::job::plan::is_in_bucket;
use crate::job::spec::{
    At, FileSourceSpec, JobFile, Problem, SinkConnectorSpec, SourceConnectorSpec, SourceSpec,
};
use crate::model::{FolderPattern, NO_TIME_FOLDER};

/// Checks the connectors of all sources and sinks.
pub fn check(file: &JobFile, findings: &mut Findings) {
    let mut stdin_reader: Option<&str> = None;
    let mut read: HashMap<PathBuf, &str> = HashMap::new();
    for source in &file.sources {
        match &source.connector {
            Some(SourceConnectorSpec::File(spec)) => {
                let path = file.resolve(&spec.path);
                read.insert(normal(&path), &source.id);
                if is_in_bucket(&path) {
                    recovery::check_s3(&spec.path, "name a path", findings);
                } else if let Err(problem) = check_source(spec, &path) {
                    findings.problem(problem);
                }
            }
            Some(SourceConnectorSpec::Stdin) => {
                if let Some(other) = stdin_reader.replace(&source.id) {
                    let what = format!("reads standard input, which `{other}` reads already");
                    findings
                        .problem(source.id.problem(what).hint("let both nodes read one source"));
                }
            }
            Some(
                SourceConnectorSpec::Socket(_)
                | SourceConnectorSpec::Kafka(_)
                | SourceConnectorSpec::Generator(_)
                | SourceConnectorSpec::Function(_)
                | SourceConnectorSpec::Mysql(_),
            )
            | None => {}
        }
    }
    let mut written: HashMap<PathBuf, &str> = HashMap::new();
    for sink in &file.sinks {
        let Some(SinkConnectorSpec::File { path, replace, shape }) = &sink.connector else {
            continue;
        };
        let resolved = file.resolve(path);
        let place = normal(&resolved);
        let reads = |(path, _): &(&PathBuf, &&str)| {
            **path == place || path.parent() == Some(place.as_path())
        };
        if let Some((_, source)) = read.iter().find(reads) {
            let what = format!("is {}, which the source `{source}` reads", place.display());
            findings.problem(path.problem(what).hint("give the sink a folder of its own"));
        } else if let Some(other) = written.insert(place, &sink.id) {
            let what = format!("is {}, where `{other}` writes", resolved.display());
            findings.problem(path.problem(what).hint("give each sink a folder of its own"));
        } else if is_in_bucket(&resolved) {
            recovery::check_s3(path, "name a path", findings);
        } else {
            let restores = file.checkpoint.is_some();
            let pattern = shape.folders.as_ref();
            check_sink(&sink.id, path, (&resolved, pattern), *replace, restores, findings);
        }
        if shape.folders.is_some() && !file.sources.iter().any(SourceSpec::has_event_times) {
            findings.warning(format!(
                "sink `{}` sorts records by event time, but no source has a `timestamp`: they all \
                 go to the folder {NO_TIME_FOLDER}",
                *sink.id
            ));
        }
    }
}

fn check_source(spec: &FileSourceSpec, path: &Path) -> Result<(), Problem> {
    let at = &spec.path;
    let metadata = fs::metadata(path).map_err(|cause| unreadable(at, path, cause))?;
    if !metadata.is_dir() {
        if let Some(watch) = &spec.watch {
            let what = format!("asks to watch {}, which is a file", path.display());
            let hint = "watch the folder that files appear in, or leave `watch` out";
            return Err(watch.problem(what).hint(hint));
        }
        return File::open(path).map(drop).map_err(|cause| unreadable(at, path, cause));
    }
    let mut files = 0;
    for name in names(path).map_err(|cause| unreadable(at, path, cause))? {
        let file = path.join(&name);
        if !name.as_encoded_bytes().starts_with(b".") && !file.is_dir() {
            File::open(&file).map_err(|cause| unreadable(at, &file, cause))?;
            files += 1;
        }
    }
    if files == 0 && spec.watch.is_none() {
        let what = format!("is the folder {}, which holds no files", path.display());
        return Err(at
            .problem(what)
            .hint("put the input there, name another path, or add `watch = \"1s\"`"));
    }
    Ok(())
}

/// `restores` = the job takes checkpoints: whether it goes on with output that is there or begins
/// anew shows only when it runs.
fn check_sink(
    id: &str,
    at: &At<String>,
    (path, pattern): (&Path, Option<&FolderPattern>),
    replace: bool,
    restores: bool,
    findings: &mut Findings,
) {
    let holds_output = match holds_output(path, "", pattern) {
        Ok(holds) => holds,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return,
        Err(_) if path.is_file() => {
            let what = format!("is {}, which is a file", path.display());
            let problem = at.problem(what).hint("a sink writes a folder: name another path");
            return findings.problem(problem);
        }
        Err(cause) => return findings.problem(unreadable(at, path, cause)),
    };
    if restores || !holds_output {
        return;
    }
    let shown = path.display();
    if replace {
        return findings.warning(format!(
            "{shown} holds the output of an earlier run, which gives way if this one ends well"
        ));
    }
    let what = format!("is {shown}, which holds the output of an earlier run");
    findings.problem(at.problem(what).hint(make_way(id)));
}

/// Whether there is output of a sink in its folder, or in those below it that its pattern makes.
fn holds_output(root: &Path, below: &str, pattern: Option<&FolderPattern>) -> io::Result<bool> {
    let depth = |text: &str| text.split('/').count();
    for name in names(&root.join(below))? {
        let name = name.to_string_lossy();
        let name = if below.is_empty() { name.into_owned() } else { format!("{below}/{name}") };
        let is_folder = root.join(&name).is_dir();
        if !is_folder && is_output(&name, pattern) {
            return Ok(true);
        }
        let is_near = pattern.is_some_and(|pattern| depth(&name) <= depth(pattern.text()));
        if is_folder && is_near && holds_output(root, &name, pattern)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What to do about earlier output that does not give way to that of a sink.
pub fn make_way(sink: &str) -> String {
    format!(
        "remove that folder, choose another with `--set sink.{sink}.path=…`, or leave \
         `on_existing` out to replace it"
    )
}

fn names(folder: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.file_name())).collect()
}

fn unreadable(at: &At<String>, path: &Path, cause: io::Error) -> Problem {
    let missing = cause.kind() == io::ErrorKind::NotFound;
    let what = match missing {
        true => format!("names {}, which is not there", path.display()),
        false => format!("names {}, which cannot be read", path.display()),
    };
    let mut problem = at.problem(what);
    if missing {
        problem = problem.hint("paths start from the folder of the job file");
    } else {
        problem.error = problem.error.caused_by(cause);
    }
    problem
}

/// One spelling for one place, though it need not be there yet: absolute, without `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    if let Ok(canonical) = fs::canonicalize(path) {
        return canonical;
    }
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut normal = PathBuf::new();
    for component in absolute.components() {
        match component {
            Component::ParentDir => {
                normal.pop();
            }
            Component::CurDir => {}
            other => normal.push(other),
        }
    }
    normal
}
