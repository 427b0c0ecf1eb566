//! Finds, compiles and asks the components of a job.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::Findings;
use crate::job::spec::{JobFile, OperatorSpec, Problem};
use crate::wasm::{Component, Engine};

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
