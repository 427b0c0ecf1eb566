//! A TOML document as a tree in which every value knows where it was written.
//!
//! Knows TOML and positions, nothing of jobs. [`super::set`] changes the tree, [`super::section`]
//! reads it.

use std::collections::BTreeMap;
use std::sync::Arc;

use toml::de::{DeFloat, DeInteger, DeTable, DeValue};

/// Where something was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The job file as a whole.
    File,
    /// A place in the job file, both counted from 1.
    Line { line: usize, column: usize },
    /// An argument of the command line, as the user would type it again.
    Argument(Arc<str>),
}

/// A value and the place of its key; elements of arrays have no key and count from their own place.
#[derive(Debug, Clone)]
pub struct Node {
    /// What was written.
    pub value: Value,
    /// Where.
    pub origin: Origin,
}

/// A table, without the order of its keys.
pub type Table = BTreeMap<String, Node>;

/// What TOML can say. Dates are kept as text: no key takes one.
#[derive(Debug, Clone)]
pub enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Array(Vec<Node>),
    Table(Table),
}

impl Value {
    /// The value as people name it in a message: its kind and, if short, itself.
    pub fn describe(&self) -> String {
        match self {
            Value::Text(text) => format!("the text {text:?}"),
            Value::Integer(integer) => format!("the number {integer}"),
            Value::Float(float) => format!("the number {float}"),
            Value::Boolean(boolean) => format!("`{boolean}`"),
            Value::Array(_) => "a list".into(),
            Value::Table(_) => "a table".into(),
        }
    }
}

/// What is wrong with a text that is not TOML.
#[derive(Debug)]
pub struct SyntaxError {
    /// What the parser says.
    pub message: String,
    /// Where it gave up.
    pub origin: Origin,
}

/// Parses a document.
///
/// # Errors
/// Every syntax error that the parser can tell apart.
pub fn parse(text: &str) -> Result<Table, Vec<SyntaxError>> {
    let lines = Lines::of(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(read_table(table.get_ref(), &|offset| lines.origin(offset)));
    }
    let error = |error: &toml::de::Error| SyntaxError {
        message: error.message().to_owned(),
        origin: error.span().map_or(Origin::File, |span| lines.origin(span.start)),
    };
    Err(errors.iter().map(error).collect())
}

/// Parses a value of the command line: TOML where it is TOML other than a date, text otherwise.
pub fn parse_argument(text: &str, origin: &Origin) -> Node {
    let value = match DeValue::parse(text) {
        Ok(value) if !value.get_ref().is_datetime() => {
            read_value(value.get_ref(), &|_| origin.clone())
        }
        _ => Value::Text(text.to_owned()),
    };
    Node { value, origin: origin.clone() }
}

fn read_table(table: &DeTable<'_>, origin: &dyn Fn(usize) -> Origin) -> Table {
    let entry = |(key, value): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
        let node =
            Node { value: read_value(value.get_ref(), origin), origin: origin(key.span().start) };
        (AsRef::<str>::as_ref(key.get_ref() as &std::borrow::Cow<'_, str>).to_owned(), node)
    };
    table.iter().map(entry).collect()
}

fn read_value(value: &DeValue<'_>, origin: &dyn Fn(usize) -> Origin) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(integer) => read_integer(integer),
        DeValue::Float(float) => read_float(float),
        DeValue::Boolean(boolean) => Value::Boolean(*boolean),
        DeValue::Datetime(datetime) => Value::Text(datetime.to_string()),
        DeValue::Array(array) => {
            let element = |element: &toml::Spanned<DeValue<'_>>| Node {
                value: read_value(element.get_ref(), origin),
                origin: origin(element.span().start),
            };
            Value::Array(array.iter().map(element).collect())
        }
        DeValue::Table(table) => Value::Table(read_table(table, origin)),
    }
}

/// An integer past 64 bits stays text, so that the reader of the key refuses it with its value.
fn read_integer(integer: &DeInteger<'_>) -> Value {
    i64::from_str_radix(integer.as_str(), integer.radix())
        .map_or_else(|_| Value::Text(integer.as_str().to_owned()), Value::Integer)
}

fn read_float(float: &DeFloat<'_>) -> Value {
    let text = float.as_str();
    text.parse().map_or_else(|_| Value::Text(text.to_owned()), Value::Float)
}

/// Where the lines of a text begin.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        let after_line_ends = text.match_indices('\n').map(|(offset, _)| offset + 1);
        Self { text, starts: std::iter::once(0).chain(after_line_ends).collect() }
    }

    /// Columns count characters, as editors do.
    fn origin(&self, offset: usize) -> Origin {
        let line = self.starts.partition_point(|&start| start <= offset);
        let start = self.starts[line - 1];
        let column = self.text.get(start..offset).map_or(0, |before| before.chars().count()) + 1;
        Origin::Line { line, column }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(line: usize, column: usize) -> Origin {
        Origin::Line { line, column }
    }

    #[test]
    fn every_value_knows_its_place() {
        let table =
            parse("[job]\nname = \"ü\"\n[[source]]\nid = 'a'\nx = [1, { y = 2 }]\n").unwrap();
        assert_eq!(table["job"].origin, place(1, 2));
        let Value::Table(job) = &table["job"].value else { panic!() };
        assert_eq!(job["name"].origin, place(2, 1));
        let Value::Array(sources) = &table["source"].value else { panic!() };
        assert_eq!(sources[0].origin, place(3, 1));
        let Value::Table(source) = &sources[0].value else { panic!() };
        let Value::Array(elements) = &source["x"].value else { panic!() };
        assert_eq!(elements[0].origin, place(5, 6));
        let Value::Table(inline) = &elements[1].value else { panic!() };
        assert_eq!(inline["y"].origin, place(5, 11));
    }

    #[test]
    fn arguments_are_toml_where_they_can_be() {
        let parse = |text| parse_argument(text, &Origin::File).value;
        assert!(matches!(parse("4"), Value::Integer(4)));
        assert!(matches!(parse("0x10"), Value::Integer(16)));
        assert!(matches!(parse("1.5"), Value::Float(1.5)));
        assert!(matches!(parse("true"), Value::Boolean(true)));
        assert!(matches!(parse("[1]"), Value::Array(_)));
        assert!(matches!(parse("{ a = 1 }"), Value::Table(_)));
        assert!(matches!(parse("'q'"), Value::Text(text) if text == "q"));
        assert!(matches!(parse("a b/c.csv"), Value::Text(text) if text == "a b/c.csv"));
        assert!(matches!(parse("2019-08-17"), Value::Text(text) if text == "2019-08-17"));
        assert!(matches!(parse(""), Value::Text(text) if text.is_empty()));
        assert!(matches!(parse("99999999999999999999"), Value::Text(_)));
    }

    #[test]
    fn syntax_errors_have_places() {
        let errors = parse("[job\nname = 1\n").unwrap_err();
        assert_eq!(errors[0].origin, place(1, 5));
    }
}
