//! Finds, compiles and asks the components of a job.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::Findings;
use crate::job::build::{open_context, open_error};
use crate::job::plan::Plan;
use crate::job::spec::{JobFile, OperatorSpec, Origin, Problem};
use crate::wasm::{Component, Engine, Instance, LogSink};

/// Loads the component of each operator, each file once; none where that is a problem.
pub fn load(file: &JobFile, engine: &Engine, findings: &mut Findings) -> Vec<Option<Component>> {
    let mut loaded: HashMap<PathBuf, Option<Component>> = HashMap::new();
    let mut load = |operator: &OperatorSpec| {
        let at = operator.component.as_ref()?;
        let path = file.resolve(at);
        if let Some(component) = loaded.get(&path) {
            return component.clone();
        }
        let component = if path.exists() {
            Component::load(engine, &path)
                .map_err(|error| Problem { error, origin: at.origin.clone() })
        } else {
            let missing = at.problem(format!("names {}, which is not there", path.display()));
            Err(missing.hint(build_hint(&path)))
        };
        let component = component.map_err(|problem| findings.problem(problem)).ok();
        loaded.insert(path, component.clone());
        component
    };
    file.operators.iter().map(&mut load).collect()
}

/// Where the component of each operator is named, by the operator's id.
pub fn origins(file: &JobFile) -> HashMap<String, Origin> {
    let origin = |operator: &OperatorSpec| {
        let component = operator.component.as_ref()?;
        Some((operator.id.value.clone(), component.origin.clone()))
    };
    file.operators.iter().filter_map(origin).collect()
}

/// Opens each function once with its parameters and throws it away: what it refuses, it refuses
/// now.
pub fn open(plan: &Plan, origins: &HashMap<String, Origin>) -> Vec<Problem> {
    let open = |operator| {
        let context = open_context(operator, 0);
        let opened =
            Instance::open(&operator.component, &context, &operator.limits, LogSink::none());
        let error = open_error(&operator.id, &opened.err()?);
        let origin = origins.get(&operator.id).cloned().unwrap_or(Origin::File);
        Some(Problem { error, origin })
    };
    plan.operators.iter().filter_map(open).collect()
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
