//! `--set section.key=value`: a change to the job file for one run, made before anything is read.

use std::sync::Arc;

use super::document::{Node, Origin, Table, Value, parse_argument};
use super::names;
use super::problem::Problem;
use crate::error::{Error, Result};

/// The sections that are one table.
const TABLES: [&str; 4] = ["job", "state", "checkpoint", "restart"];

/// The sections that are lists of nodes with ids.
const LISTS: [&str; 3] = ["source", "operator", "sink"];

/// The shape, for hints.
const SHAPE: &str =
    "write `--set job.parallelism=4`, `--set operator.ID.params.NAME=VALUE` or the like";

/// One change.
#[derive(Debug, Clone)]
pub struct Setting {
    path: Vec<Step>,
    value: Node,
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

impl Setting {
    /// Reads `section.key=value`.
    ///
    /// # Errors
    /// If there is no `=`, or what stands before it is no path of keys.
    pub fn parse(text: &str) -> Result<Self> {
        let malformed = || Error::input(format!("`--set {text}` is not KEY=VALUE")).hint(SHAPE);
        let (path, value) = text.split_once('=').ok_or_else(malformed)?;
        let path = parse_path(path.trim()).filter(|path| path.len() > 1).ok_or_else(malformed)?;
        let origin = Origin::Argument(format!("--set {text}").into());
        Ok(Self { path, value: parse_argument(value.trim(), &origin) })
    }

    /// What `--parallelism N` stands for.
    pub fn parallelism(parallelism: u32) -> Self {
        let origin = Origin::Argument(Arc::from(format!("--parallelism {parallelism}")));
        let key = |key: &str| Step::Key(key.to_owned());
        let value = Value::Integer(parallelism.into());
        Self { path: vec![key("job"), key("parallelism")], value: Node { value, origin } }
    }

    /// Changes the document.
    ///
    /// # Errors
    /// If the path names a section or an id that is not there, or goes through a value that is no
    /// table.
    pub fn apply(&self, document: &mut Table) -> Result<(), Problem> {
        let Some((Step::Key(section), rest)) = self.path.split_first() else {
            return Err(self.problem("no section is named").hint(SHAPE));
        };
        if TABLES.contains(&section.as_str()) {
            let origin = self.value.origin.clone();
            let empty = || Node { value: Value::Table(Table::new()), origin };
            return self.descend(document.entry(section.clone()).or_insert_with(empty), rest);
        }
        if !LISTS.contains(&section.as_str()) {
            let known = TABLES.into_iter().chain(LISTS);
            let problem = self.problem(format!("there is no section `{section}`"));
            return Err(problem.hint(names::hint(section, "sections", known)));
        }
        let Some((Step::Key(id), rest)) = rest.split_first() else {
            return Err(self.problem(format!("no {section} is named")).hint(SHAPE));
        };
        if rest.is_empty() {
            return Err(self.problem(format!("no key of {section} `{id}` is named")).hint(SHAPE));
        }
        self.descend(self.find_node(document, section, id)?, rest)
    }

    fn find_node<'d>(
        &self,
        document: &'d mut Table,
        section: &str,
        id: &str,
    ) -> Result<&'d mut Node, Problem> {
        let nodes = match document.get_mut(section).map(|node| &mut node.value) {
            Some(Value::Array(nodes)) => nodes.as_mut_slice(),
            _ => &mut [],
        };
        let ids: Vec<String> = nodes.iter().filter_map(id_of).map(str::to_owned).collect();
        let hint = || names::hint(id, &format!("{section}s"), ids.iter().map(String::as_str));
        nodes
            .iter_mut()
            .find(|node| id_of(node) == Some(id))
            .ok_or_else(|| self.problem(format!("there is no {section} `{id}`")).hint(hint()))
    }

    fn descend(&self, node: &mut Node, path: &[Step]) -> Result<(), Problem> {
        let Some((step, rest)) = path.split_first() else {
            *node = self.value.clone();
            return Ok(());
        };
        match (step, &mut node.value) {
            (Step::Key(key), Value::Table(table)) => {
                let empty = || Node {
                    value: Value::Table(Table::new()),
                    origin: self.value.origin.clone(),
                };
                self.descend(table.entry(key.clone()).or_insert_with(empty), rest)
            }
            (Step::Index(index), Value::Array(elements)) => {
                let count = elements.len();
                let missing =
                    || self.problem(format!("there is no element {index}: the list has {count}"));
                self.descend(elements.get_mut(*index).ok_or_else(missing)?, rest)
            }
            (Step::Key(key), other) => {
                let what = other.describe();
                Err(self.problem(format!("`{key}` cannot be set within {what}")))
            }
            (Step::Index(_), other) => {
                let what = other.describe();
                Err(self.problem(format!("{what} has no elements")))
            }
        }
    }

    fn problem(&self, message: impl Into<String>) -> Problem {
        Problem::new(&self.value.origin, message)
    }
}

/// `a.b[0].c`, as problems print paths.
fn parse_path(text: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    for part in text.split('.') {
        let mut pieces = part.split('[');
        let key = pieces.next().filter(|key| !key.is_empty())?;
        steps.push(Step::Key(key.to_owned()));
        for piece in pieces {
            steps.push(Step::Index(piece.strip_suffix(']')?.parse().ok()?));
        }
    }
    Some(steps)
}

fn id_of(node: &Node) -> Option<&str> {
    let Value::Table(table) = &node.value else { return None };
    match table.get("id").map(|node| &node.value) {
        Some(Value::Text(id)) => Some(id),
        _ => None,
    }
}
