//! Names of CSV fields: where the files of a source have headers, event times and keys may name
//! fields. Here the names become positions, so that nothing behind this knows of headers.

use std::path::{Path, PathBuf};

use super::Findings;
use crate::flow::read_header;
use crate::job::plan::{Field, is_in_bucket};
use crate::job::spec::{
    At, FileSourceSpec, JobFile, PartitionSpec, SourceConnectorSpec, name_hint,
};

/// Reads the headers of a job's sources, as far as they are there, and puts positions in place of
/// the names that refer to them.
pub fn resolve(file: &mut JobFile, findings: &mut Findings) {
    let folder = file.folder.clone();
    for index in 0..file.sources.len() {
        let Some(SourceConnectorSpec::File(spec)) = &mut file.sources[index].connector else {
            continue;
        };
        if !spec.header {
            continue;
        }
        let names = read_names(spec, &folder, findings);
        let source = &mut file.sources[index];
        if let Some(timestamp) = &mut source.timestamp {
            let field = timestamp.field.value.clone();
            timestamp.field.value =
                position(&timestamp.field, field, names.as_deref(), &source.id, findings);
        }
        let id = source.id.value.clone();
        let operators = file.operators.iter_mut().filter_map(|operator| operator.inputs.as_mut());
        for input in operators.flat_map(|inputs| &mut inputs.value) {
            if input.from.as_deref().is_none_or(|from| *from != id) {
                continue;
            }
            let Some(partition) = &mut input.partition else { continue };
            if let PartitionSpec::Key(field) = partition.value.clone() {
                let field = position(partition, field, names.as_deref(), &id, findings);
                partition.value = PartitionSpec::Key(field);
            }
        }
    }
}

/// The names in the header of a source's first file, which all others must have too; none if there
/// is no file yet, or none that can be read: that is told elsewhere.
fn read_names(
    spec: &mut FileSourceSpec,
    folder: &Path,
    findings: &mut Findings,
) -> Option<Vec<String>> {
    let path = first_file(&crate::job::spec::resolve(folder, &spec.path))?;
    match read_header(&path, spec.compression) {
        Ok(Some((line, names))) => {
            spec.header_line = Some(line);
            Some(names)
        }
        Ok(None) => None,
        Err(error) => {
            let mut problem = spec.path.problem("has a file whose header cannot be read");
            problem.error = problem.error.caused_by(error);
            findings.problem(problem);
            None
        }
    }
}

/// The file itself, or the first of a folder by name, without hidden ones.
fn first_file(path: &Path) -> Option<PathBuf> {
    if is_in_bucket(path) {
        return None;
    }
    if path.is_file() {
        return Some(path.to_owned());
    }
    let entries = path.read_dir().ok()?.flatten();
    let is_shown = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default();
        !name.as_encoded_bytes().starts_with(b".") && path.is_file()
    };
    entries.map(|entry| entry.path()).filter(is_shown).min()
}

/// The position of a field.
fn position<T>(
    at: &At<T>,
    field: Field,
    names: Option<&[String]>,
    source: &str,
    findings: &mut Findings,
) -> Field {
    let Field::Name(name) = field else { return field };
    let found = names.map(|names| names.iter().position(|one| *one == name));
    match (found, names) {
        (Some(Some(index)), _) => return Field::Index(index),
        (_, Some(names)) => {
            let what = format!("names the field {name:?}, which `{source}` has not");
            let hint = name_hint(&name, "fields", names.iter().map(String::as_str));
            findings.problem(at.problem(what).hint(hint));
        }
        (_, None) => {
            let what = format!(
                "names the field {name:?}, but the header of `{source}` is not known before it runs"
            );
            let hint = "write the position of the field, counted from 0";
            findings.problem(at.problem(what).hint(hint));
        }
    }
    // Any will do: the job does not run.
    Field::Index(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::spec::Problems;

    const JOB: &str = r#"
        [job]
        name = "j"
        [[source]]
        id = "in"
        connector = "file"
        path = "in"
        format = "csv"
        header = true
        timestamp = { field = "time" }
        [[operator]]
        id = "x"
        component = "x.wasm"
        inputs = [{ from = "in", partition = { key = "user" } }]
    "#;

    /// What becomes of the names, with these files.
    fn resolved(name: &str, files: &[(&str, &str)]) -> (JobFile, String) {
        let folder =
            std::env::temp_dir().join(format!("tidegate-headers-{}-{name}", std::process::id()));
        std::fs::create_dir_all(folder.join("in")).unwrap();
        for (name, text) in files {
            std::fs::write(folder.join("in").join(name), text).unwrap();
        }
        let mut file = JobFile::parse(&folder.join("job.toml"), JOB, &[]).unwrap();
        assert!(file.problems.is_empty());
        let mut findings = Findings::default();
        resolve(&mut file, &mut findings);
        std::fs::remove_dir_all(&folder).unwrap();
        let problems = match findings.problems.is_empty() {
            true => String::new(),
            false => Problems::new("job.toml".into(), findings.problems).to_string(),
        };
        (file, problems)
    }

    #[test]
    fn names_become_positions() {
        let files = [("b.csv", "other\n"), ("a.csv", "\u{feff}user, \"the url\",time\r\nm,u,1\n")];
        let (file, problems) = resolved("names", &files);
        assert_eq!(problems, "");
        let source = &file.sources[0];
        assert_eq!(source.timestamp.as_ref().unwrap().field.value, Field::Index(2));
        let Some(SourceConnectorSpec::File(spec)) = &source.connector else { panic!() };
        assert_eq!(spec.header_line.as_deref(), Some("user, \"the url\",time"));
        let input = &file.operators[0].inputs.as_ref().unwrap()[0];
        let key = PartitionSpec::Key(Field::Index(0));
        assert_eq!(input.partition.as_ref().unwrap().value, key);
    }

    #[test]
    fn names_that_are_none_are_refused() {
        let (_, problems) = resolved("near", &[("a", "usr,time\n")]);
        assert!(problems.contains("names the field \"user\", which `in` has not"), "{problems}");
        assert!(problems.contains("did you mean `usr`?"), "{problems}");
        for files in [&[][..], &[("a", "")], &[(".a", "user,time\n")]] {
            let (_, problems) = resolved("unknown", files);
            assert_eq!(problems.matches("is not known before it runs").count(), 2, "{problems}");
        }
        let (_, problems) = resolved("broken", &[("a.gz", "user,time\n")]);
        assert!(problems.contains("whose header cannot be read"), "{problems}");
    }
}
