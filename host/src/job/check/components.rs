//! Finds, compiles and asks the components of a job.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::codes::Codes;
use super::{Findings, operators};
use crate::flow::function;
use crate::job::build::{open_context, open_error};
use crate::job::plan::{Plan, SourceConnector};
use crate::job::spec::{
    At, FunctionSourceSpec, JobFile, OperatorSpec, Origin, Problem, SourceConnectorSpec, SourceSpec,
};
use crate::model::{Declaration, Digest, Kind, Limits};
use crate::wasm::{Component, Engine, Instance, LogSink, OpenContext};

/// Loads the component of each operator, each file once; none where that is a problem. Those of
/// `codes` come first.
pub fn load(
    file: &JobFile,
    engine: &Engine,
    codes: &Codes,
    findings: &mut Findings,
) -> Vec<Option<Component>> {
    let mut loaded: HashMap<PathBuf, Option<Component>> = HashMap::new();
    let mut load = |operator: &OperatorSpec| {
        let at = operator.component.as_ref()?;
        let path = file.resolve(at);
        if let Some(code) = codes.get(operator.id.as_str()) {
            let is_same =
                std::fs::read(&path).is_ok_and(|file| Digest::of(&file) == *code.digest());
            if !is_same {
                findings.warning(format!(
                    "operator `{}` goes on with the function of the checkpoint, {}, and not with \
                     what is in {}: `tidegate swap` changes it while the job runs, `--code job` now",
                    operator.id.as_str(),
                    code.digest().short(),
                    path.display()
                ));
            }
            return Some(code.clone());
        }
        if let Some(component) = loaded.get(&path) {
            return component.clone();
        }
        let component = load_one(file, engine, at);
        let component = component.map_err(|problem| findings.problem(problem)).ok();
        loaded.insert(path, component.clone());
        component
    };
    file.operators.iter().map(&mut load).collect()
}

fn load_one(file: &JobFile, engine: &Engine, at: &At<String>) -> Result<Component, Problem> {
    let path = file.resolve(at);
    if !path.exists() {
        let missing = at.problem(format!("names {}, which is not there", path.display()));
        return Err(missing.hint(build_hint(&path)));
    }
    Component::load(engine, &path).map_err(|error| Problem { error, origin: at.origin.clone() })
}

/// Loads the component of each source function and takes from it how its records are written; none
/// where there is no function, or that is a problem.
pub fn load_sources(
    file: &mut JobFile,
    engine: &Engine,
    findings: &mut Findings,
) -> Vec<Option<Component>> {
    let mut loaded = Vec::new();
    for index in 0..file.sources.len() {
        let source = &file.sources[index];
        let Some(SourceConnectorSpec::Function(spec)) = &source.connector else {
            loaded.push(None);
            continue;
        };
        let component = load_one(file, engine, &spec.component)
            .map_err(|problem| findings.problem(problem))
            .ok();
        if let Some(component) = &component {
            check_source(source, spec, component.declaration(), findings);
            let declared = component.declaration().outputs.first().map(|output| output.format);
            let format = &mut file.sources[index].format;
            format.value = declared.unwrap_or(format.value);
        }
        loaded.push(component);
    }
    loaded
}

fn check_source(
    source: &SourceSpec,
    spec: &FunctionSourceSpec,
    declaration: &Declaration,
    findings: &mut Findings,
) {
    if declaration.kind != Kind::Source {
        let kind = declaration.kind.name();
        let problem = spec.component.problem(format!("is a {kind} function, no source function"));
        findings.problem(problem.hint("name it in an [[operator]]"));
        return;
    }
    let written = source.format.value;
    let declared = declaration.outputs[0].format;
    if spec.is_format_written && written != declared {
        let (written, declared) = (super::word(written), super::word(declared));
        let what = format!("is {written:?}, but the function writes {declared}");
        findings.problem(source.format.problem(what).hint("leave the format out"));
    }
    operators::check_params(&source.id, "source", &spec.params, declaration, findings);
}

/// Where the component of each operator and source is named, by its id.
pub fn origins(file: &JobFile) -> HashMap<String, Origin> {
    let origin = |operator: &OperatorSpec| {
        let component = operator.component.as_ref()?;
        Some((operator.id.value.clone(), component.origin.clone()))
    };
    let of_source = |source: &SourceSpec| match &source.connector {
        Some(SourceConnectorSpec::Function(spec)) => {
            Some((source.id.value.clone(), spec.component.origin.clone()))
        }
        _ => None,
    };
    let sources = file.sources.iter().filter_map(of_source);
    file.operators.iter().filter_map(origin).chain(sources).collect()
}

/// Opens each function once with its parameters and throws it away: what it refuses, it refuses
/// now.
pub fn open(plan: &Plan, origins: &HashMap<String, Origin>) -> Vec<Problem> {
    let open =
        |kind, id: &String, component: &Component, context: &OpenContext, limits: &Limits| {
            let opened = Instance::open(component, context, limits, LogSink::none());
            let error = open_error(kind, id, &opened.err()?);
            let origin = origins.get(id).cloned().unwrap_or(Origin::File);
            Some(Problem { error, origin })
        };
    let sources = plan.sources.iter().filter_map(|source| match &source.connector {
        SourceConnector::Function(one) => {
            let context = function::context(&source.id, one);
            open("source", &source.id, &one.component, &context, &one.limits)
        }
        _ => None,
    });
    let operators = plan.operators.iter().filter_map(|operator| {
        let context = open_context(operator, 0);
        open("operator", &operator.id, &operator.component, &context, &operator.limits)
    });
    sources.chain(operators).collect()
}

/// Which command makes the missing file.
fn build_hint(component: &Path) -> String {
    let folder = component.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let crate_folder = folder.ancestors().find(|folder| folder.join("Cargo.toml").is_file());
    match crate_folder {
        Some(folder) if folder != Path::new(".") && !folder.as_os_str().is_empty() => {
            format!("build it with `tidegate build {}`", folder.display())
        }
        Some(_) => "build it with `tidegate build`".into(),
        None => "check the path, or build the function with `tidegate build CRATE`".into(),
    }
}
