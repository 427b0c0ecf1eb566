//! Records as rows of a table: their values, and the statement that inserts or replaces them. Talks
//! to nobody.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write;

use mysql_async::Value;
use serde_json::value::RawValue;

use crate::flow::fields;
use crate::job::plan::MysqlSinkPlan;
use crate::model::Format;

/// Rows of one statement, unless they have so many columns that it takes no more values.
const ROWS_MAX: usize = 256;

/// The protocol's limit of values of one statement.
const VALUES_MAX: usize = 65_535;

/// Bytes of values after which a statement is sent: far below what servers take (4 MiB and more).
const BYTES_MAX: usize = 1 << 20;

/// Makes statements for one table.
#[derive(Debug)]
pub(super) struct Insert {
    plan: MysqlSinkPlan,
    before: String,
    row: String,
    after: String,
}

/// Rows of one statement that is being filled.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub(super) values: Vec<Value>,
    rows: usize,
    bytes: usize,
}

impl Insert {
    /// For the table of a sink.
    pub(super) fn new(plan: &MysqlSinkPlan) -> Self {
        let names: Vec<String> = plan.columns.iter().map(|name| quoted(name)).collect();
        let before =
            format!("INSERT INTO {} ({}) VALUES ", quoted_table(&plan.table), names.join(","));
        let row = format!("({})", vec!["?"; names.len()].join(","));
        let mut after = String::new();
        if !plan.key.is_empty() {
            let is_key = |name: &&String| plan.key.iter().any(|key| quoted(key) == **name);
            let mut updates: Vec<String> = names
                .iter()
                .filter(|name| !is_key(name))
                .map(|name| format!("{name}=VALUES({name})"))
                .collect();
            if updates.is_empty() {
                // A row that is there already stays as it is.
                updates.push(format!("{0}={0}", names[0]));
            }
            write!(after, " ON DUPLICATE KEY UPDATE {}", updates.join(","))
                .expect("a string takes everything");
        }
        Self { plan: plan.clone(), before, row, after }
    }

    /// The statement for so many rows.
    pub(super) fn statement(&self, rows: &Rows) -> String {
        let Self { before, row, after, .. } = self;
        let mut statement = String::with_capacity(before.len() + rows.rows * (row.len() + 1));
        statement.push_str(before);
        for index in 0..rows.rows {
            if index > 0 {
                statement.push(',');
            }
            statement.push_str(row);
        }
        statement.push_str(after);
        statement
    }

    /// Whether the statement should be sent before another row is added.
    pub(super) fn is_full(&self, rows: &Rows) -> bool {
        let rows_max = ROWS_MAX.min(VALUES_MAX / self.plan.columns.len());
        rows.rows >= rows_max || rows.bytes >= BYTES_MAX
    }

    /// Adds a record to the rows.
    ///
    /// # Errors
    /// If it has not the fields that the table needs. The rows are as before.
    pub(super) fn push(&self, rows: &mut Rows, record: &[u8]) -> Result<(), String> {
        let values = self.values(record)?;
        rows.values.extend(values);
        rows.rows += 1;
        rows.bytes += record.len();
        Ok(())
    }

    /// Whether a record can become a row.
    ///
    /// # Errors
    /// Why it cannot.
    pub(super) fn check(&self, record: &[u8]) -> Result<(), String> {
        self.values(record).map(drop)
    }

    fn values(&self, record: &[u8]) -> Result<Vec<Value>, String> {
        let columns = self.plan.columns.len();
        match self.plan.format {
            Format::Json => self.json_values(record),
            // A line is what it is: commas in it need not separate anything.
            Format::Lines if columns == 1 => Ok(vec![Value::Bytes(record.to_vec())]),
            Format::Csv | Format::Lines | Format::Bytes => {
                let fields = fields::split_all(record)?;
                if fields.len() != columns {
                    let found = fields.len();
                    return Err(format!("it has {found} fields, but `columns` names {columns}"));
                }
                let value = |field: Option<Cow<'_, [u8]>>| {
                    field.map_or(Value::NULL, |bytes| Value::Bytes(bytes.into_owned()))
                };
                Ok(fields.into_iter().map(value).collect())
            }
        }
    }

    fn json_values(&self, record: &[u8]) -> Result<Vec<Value>, String> {
        let object: HashMap<String, &RawValue> = serde_json::from_slice(record)
            .map_err(|error| format!("it is no JSON object: {error}"))?;
        let value = |name: &String| match object.get(name.as_str()).map(|raw| raw.get()) {
            None | Some("null") => Ok(Value::NULL),
            Some("true") => Ok(Value::Int(1)),
            Some("false") => Ok(Value::Int(0)),
            Some(text) if text.starts_with('"') => {
                let text: String = serde_json::from_str(text)
                    .map_err(|error| format!("its field {name:?} is no text: {error}"))?;
                Ok(Value::Bytes(text.into_bytes()))
            }
            // Numbers as they are written, lists and objects as JSON.
            Some(text) => Ok(Value::Bytes(text.as_bytes().to_vec())),
        };
        self.plan.columns.iter().map(value).collect()
    }
}

impl Rows {
    /// Whether there is nothing to send.
    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0
    }
}

/// A name as SQL takes it. `check` has seen that there is no back quote in it.
pub(super) fn quoted(name: &str) -> String {
    format!("`{name}`")
}

fn quoted_table(table: &str) -> String {
    let parts: Vec<String> = table.split('.').map(quoted).collect();
    parts.join(".")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::job::plan::{MysqlServerPlan, MysqlTls};

    fn insert(format: Format, columns: &[&str], key: &[&str]) -> Insert {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let server = MysqlServerPlan {
            host: "localhost".into(),
            port: 3306,
            database: "db".into(),
            user_env: None,
            password_env: None,
            tls: MysqlTls::Off,
            timeout: Duration::from_secs(1),
            retry_for: Duration::ZERO,
        };
        let (columns, key) = (names(columns), names(key));
        Insert::new(&MysqlSinkPlan { server, table: "db.t".into(), columns, key, format })
    }

    fn rows(insert: &Insert, records: &[&str]) -> Rows {
        let mut rows = Rows::default();
        records.iter().try_for_each(|one| insert.push(&mut rows, one.as_bytes())).expect("rows");
        rows
    }

    fn text(text: &str) -> Value {
        Value::Bytes(text.into())
    }

    #[test]
    fn statements_insert_or_replace() {
        let plain = insert(Format::Csv, &["a", "b"], &[]);
        let statement = plain.statement(&rows(&plain, &["1,2", "3,4"]));
        assert_eq!(statement, "INSERT INTO `db`.`t` (`a`,`b`) VALUES (?,?),(?,?)");
        let upsert = insert(Format::Csv, &["a", "b", "c"], &["a"]);
        let statement = upsert.statement(&rows(&upsert, &["1,2,3"]));
        assert!(
            statement.ends_with(
                "VALUES (?,?,?) ON DUPLICATE KEY UPDATE `b`=VALUES(`b`),`c`=VALUES(`c`)"
            ),
            "{statement}"
        );
        let key_alone = insert(Format::Csv, &["a"], &["a"]);
        let statement = key_alone.statement(&rows(&key_alone, &["1"]));
        assert!(statement.ends_with("VALUES (?) ON DUPLICATE KEY UPDATE `a`=`a`"), "{statement}");
    }

    #[test]
    fn csv_has_a_field_a_column() {
        let csv = insert(Format::Csv, &["a", "b", "c"], &[]);
        let found = rows(&csv, &["x,,\"\"", "\"1,\"\"2\",3,4"]).values;
        let expected = [text("x"), Value::NULL, text(""), text("1,\"2"), text("3"), text("4")];
        assert_eq!(found, expected);
        let error = csv.check(b"1,2").expect_err("a field is missing");
        assert_eq!(error, "it has 2 fields, but `columns` names 3");
        assert!(csv.check(b"1,2,3,4").is_err());
    }

    #[test]
    fn a_line_is_one_value_if_there_is_one_column() {
        let lines = insert(Format::Lines, &["a"], &[]);
        assert_eq!(rows(&lines, &["a,\"b"]).values, [text("a,\"b")]);
    }

    #[test]
    fn json_has_its_fields_by_name() {
        let json = insert(Format::Json, &["a", "b", "c", "d", "e"], &[]);
        let record = r#"{"b":1.50,"a":"王\n","x":0,"c":true,"d":{"k":[1]}}"#;
        let expected =
            [text("王\n"), text("1.50"), Value::Int(1), text(r#"{"k":[1]}"#), Value::NULL];
        assert_eq!(rows(&json, &[record]).values, expected);
        assert!(json.check(b"[1]").is_err_and(|error| error.starts_with("it is no JSON object")));
    }

    #[test]
    fn a_statement_is_full_before_it_is_too_large() {
        let wide: Vec<String> = (0..1000).map(|column| format!("c{column}")).collect();
        let wide: Vec<&str> = wide.iter().map(String::as_str).collect();
        let record = vec!["1"; 1000].join(",");
        for (columns, record, limit) in
            [(&["a"][..], "1", ROWS_MAX), (&wide, record.as_str(), VALUES_MAX / 1000)]
        {
            let insert = insert(Format::Csv, columns, &[]);
            assert!(!insert.is_full(&rows(&insert, &vec![record; limit - 1])));
            assert!(insert.is_full(&rows(&insert, &vec![record; limit])));
        }
        let insert = insert(Format::Csv, &["a"], &[]);
        assert!(insert.is_full(&rows(&insert, &["x".repeat(BYTES_MAX).as_str()])));
    }
}
