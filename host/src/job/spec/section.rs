//! Reads the keys of one table of a job file; knows which were asked for, and so which are unknown.
//!
//! ```text
//! Section::new(problems, "sink.out", &node)
//!   .required("path", values::text)  -> the value with its place, or a problem
//!   .finish()                        -> a problem for each key that nobody asked for
//! ```
//! A value that cannot be read is a problem and counts as absent, so that reading goes on and finds
//! the rest.

use std::ops::Deref;

use super::document::{Node, Origin, Table, Value};
use super::names;
use super::problem::Problem;

/// A value and where it was written.
#[derive(Debug, Clone)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// The path of its key, as in `operator.pv.inputs[0].from`.
    pub path: String,
    /// Where the key is.
    pub origin: Origin,
}

impl<T> At<T> {
    /// A problem with this value: "`path` …".
    pub fn problem(&self, what: impl std::fmt::Display) -> Problem {
        Problem::new(&self.origin, format!("`{}` {what}", self.path))
    }

    /// Whether it was written on the command line.
    pub fn is_argument(&self) -> bool {
        matches!(self.origin, Origin::Argument(_))
    }

    /// Another value at the same place.
    pub fn with<U>(&self, value: U) -> At<U> {
        At { value, path: self.path.clone(), origin: self.origin.clone() }
    }
}

impl<T> Deref for At<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// What is wrong with a value: the end of a sentence that begins with its key, and what to write
/// instead.
pub struct Mismatch {
    /// "is …, not …".
    pub what: String,
    /// The next step.
    pub hint: String,
}

/// Reads a value.
pub type Read<T> = fn(&Value) -> Result<T, Mismatch>;

/// A table that is being read.
pub struct Section<'p, 'n> {
    problems: &'p mut Vec<Problem>,
    path: String,
    origin: Origin,
    table: &'n Table,
    asked: Vec<&'static str>,
}

impl<'p, 'n> Section<'p, 'n> {
    /// Starts to read a table. The path of the document itself is empty.
    pub fn new(
        problems: &'p mut Vec<Problem>,
        path: impl Into<String>,
        origin: &Origin,
        table: &'n Table,
    ) -> Self {
        Self { problems, path: path.into(), origin: origin.clone(), table, asked: Vec::new() }
    }

    /// Whether the key is there, whatever its value.
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The text of a key, whatever its reader would say to it.
    pub fn text(&self, key: &str) -> Option<String> {
        match self.table.get(key).map(|node| &node.value) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => None,
        }
    }

    /// Whether the value of a key is a list.
    pub fn is_list(&self, key: &str) -> bool {
        matches!(self.table.get(key).map(|node| &node.value), Some(Value::Array(_)))
    }

    /// Whether the value of a key is a table.
    pub fn is_table(&self, key: &str) -> bool {
        matches!(self.table.get(key).map(|node| &node.value), Some(Value::Table(_)))
    }

    /// Names the table otherwise, once its id is known.
    pub fn rename(&mut self, path: String) {
        self.path = path;
    }

    /// Something at the place of the table itself.
    pub fn at<T>(&self, value: T) -> At<T> {
        At { value, path: self.path.clone(), origin: self.origin.clone() }
    }

    /// Notes a problem.
    pub fn report(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// The value of a key, or none if it is absent or cannot be read.
    pub fn optional<T>(&mut self, key: &'static str, read: Read<T>) -> Option<At<T>> {
        let node = self.ask(key)?;
        let at = self.place(key, node);
        match read(&node.value) {
            Ok(value) => Some(at.with(value)),
            Err(mismatch) => {
                self.report(at.problem(mismatch.what).hint(mismatch.hint));
                None
            }
        }
    }

    /// The value of a key that must be there; none if that is reported.
    pub fn required<T>(
        &mut self,
        key: &'static str,
        example: &str,
        read: Read<T>,
    ) -> Option<At<T>> {
        if !self.has(key) {
            self.asked.push(key);
            self.report_missing(key, example);
        }
        self.optional(key, read)
    }

    /// Reports that a key is missing.
    pub fn report_missing(&mut self, key: &str, example: &str) {
        let message = format!("`{}` has no `{key}`", self.path);
        let problem = Problem::new(&self.origin, message);
        self.report(problem.hint(format!("add `{key} = {example}`")));
    }

    /// The value of a key, or its default.
    pub fn or<T>(&mut self, key: &'static str, read: Read<T>, default: T) -> T {
        self.optional(key, read).map_or(default, |at| at.value)
    }

    /// The table below a key, if there is one.
    pub fn section(&mut self, key: &'static str) -> Option<Section<'_, 'n>> {
        let node = self.ask(key)?;
        let at = self.place(key, node);
        match &node.value {
            Value::Table(table) => {
                Some(Section::new(&mut *self.problems, at.path, &at.origin, table))
            }
            other => {
                let problem = at.problem(format!("is {}, not a table", other.describe()));
                self.report(problem.hint(format!("write it as `{key} = {{ … }}`")));
                None
            }
        }
    }

    /// Reads each table of a list of tables.
    pub fn sections<T>(
        &mut self,
        key: &'static str,
        shape: &str,
        mut read: impl FnMut(Section<'_, 'n>) -> Option<T>,
    ) -> Vec<T> {
        let Some(node) = self.ask(key) else { return Vec::new() };
        let at = self.place(key, node);
        let Value::Array(elements) = &node.value else {
            let problem = at.problem(format!("is {}, not a list", node.value.describe()));
            self.report(problem.hint(format!("write {shape}")));
            return Vec::new();
        };
        let mut values = Vec::new();
        for (index, element) in elements.iter().enumerate() {
            let path = format!("{}[{index}]", at.path);
            if let Value::Table(table) = &element.value {
                let section = Section::new(&mut *self.problems, path, &element.origin, table);
                values.extend(read(section));
            } else {
                let what = format!("`{path}` is {}, not a table", element.value.describe());
                let problem = Problem::new(&element.origin, what);
                self.report(problem.hint(format!("write {shape}")));
            }
        }
        values
    }

    /// All keys of a table whose keys are free, as `params` is.
    pub fn entries<T>(&mut self, read: Read<T>) -> Vec<(String, At<T>)> {
        let table = self.table;
        let mut entries = Vec::new();
        for (key, node) in table {
            let at = self.place(key, node);
            match read(&node.value) {
                Ok(value) => entries.push((key.clone(), at.with(value))),
                Err(mismatch) => self.report(at.problem(mismatch.what).hint(mismatch.hint)),
            }
        }
        entries
    }

    /// All keys of a table whose keys are free and whose values are tables, or what `other` reads.
    pub fn tables<T>(
        &mut self,
        shape: &str,
        other: Read<T>,
        mut read: impl FnMut(Section<'_, 'n>) -> T,
    ) -> Vec<(String, At<T>)> {
        let table = self.table;
        let mut entries = Vec::new();
        for (key, node) in table {
            let at = self.place(key, node);
            let value = match &node.value {
                Value::Table(table) => {
                    let path = at.path.clone();
                    Ok(read(Section::new(&mut *self.problems, path, &at.origin, table)))
                }
                Value::Text(_) => other(&node.value),
                other => {
                    let what = format!("is {}, not a table", other.describe());
                    Err(Mismatch { what, hint: format!("write `{key} = {shape}`") })
                }
            };
            match value {
                Ok(value) => entries.push((key.clone(), at.with(value))),
                Err(mismatch) => self.report(at.problem(mismatch.what).hint(mismatch.hint)),
            }
        }
        entries
    }

    /// Reports every key that was not asked for.
    pub fn finish(self) {
        for (key, node) in self.table.iter().filter(|(key, _)| !self.asked.contains(&key.as_str()))
        {
            let message = match self.path.as_str() {
                "" => format!("unknown section `{key}`"),
                path => format!("unknown key `{key}` in `{path}`"),
            };
            let known = self.asked.iter().copied();
            let hint = match self.path.as_str() {
                "" => names::hint(key, "sections", known),
                _ => names::hint(key, "keys", known),
            };
            self.problems.push(Problem::new(&node.origin, message).hint(hint));
        }
    }

    fn ask(&mut self, key: &'static str) -> Option<&'n Node> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        self.table.get(key)
    }

    fn place(&self, key: &str, node: &Node) -> At<()> {
        let path = match self.path.as_str() {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        };
        At { value: (), path, origin: node.origin.clone() }
    }
}
