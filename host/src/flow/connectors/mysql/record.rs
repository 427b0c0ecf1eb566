//! A row as a record: CSV in the order of the columns, or a JSON object by their names.

use mysql_async::consts::ColumnType;
use mysql_async::{Column, Value};

use crate::model::Format;

/// How the rows of one result become records.
#[derive(Debug)]
pub(super) struct RecordWriter {
    format: Format,
    columns: Vec<JsonColumn>,
}

#[derive(Debug)]
struct JsonColumn {
    /// `"name":`
    name: Vec<u8>,
    is_number: bool,
}

impl RecordWriter {
    /// For a result with these columns.
    pub(super) fn new(format: Format, columns: &[Column]) -> Self {
        let column = |column: &Column| {
            let mut name = Vec::new();
            push_json_text(&mut name, column.name_str().as_bytes());
            name.push(b':');
            JsonColumn { name, is_number: is_number(column.column_type()) }
        };
        Self { format, columns: columns.iter().map(column).collect() }
    }

    /// Writes a row to `record`, which is empty before.
    pub(super) fn write(&self, record: &mut Vec<u8>, row: &[Value]) {
        match self.format {
            Format::Json => self.write_json(record, row),
            Format::Csv | Format::Lines | Format::Bytes => write_csv(record, row),
        }
    }

    fn write_json(&self, record: &mut Vec<u8>, row: &[Value]) {
        record.push(b'{');
        for (index, (column, value)) in self.columns.iter().zip(row).enumerate() {
            if index > 0 {
                record.push(b',');
            }
            record.extend_from_slice(&column.name);
            match bytes_of(value) {
                None => record.extend_from_slice(b"null"),
                Some(bytes) if column.is_number && is_json_number(&bytes) => {
                    record.extend_from_slice(&bytes);
                }
                Some(bytes) => push_json_text(record, &bytes),
            }
        }
        record.push(b'}');
    }
}

/// NULL is an empty field, an empty text two quotes.
fn write_csv(record: &mut Vec<u8>, row: &[Value]) {
    for (index, value) in row.iter().enumerate() {
        if index > 0 {
            record.push(b',');
        }
        let Some(bytes) = bytes_of(value) else { continue };
        let needs_quotes = bytes.iter().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r'));
        if !needs_quotes && !bytes.is_empty() {
            record.extend_from_slice(&bytes);
            continue;
        }
        record.push(b'"');
        for &byte in &*bytes {
            if byte == b'"' {
                record.push(b'"');
            }
            record.push(byte);
        }
        record.push(b'"');
    }
}

/// What the server wrote. The text protocol, which queries without parameters use, has nothing but
/// text and NULL.
fn bytes_of(value: &Value) -> Option<std::borrow::Cow<'_, [u8]>> {
    match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(bytes.as_slice().into()),
        other => Some(other.as_sql(true).into_bytes().into()),
    }
}

fn is_number(column: ColumnType) -> bool {
    matches!(
        column,
        ColumnType::MYSQL_TYPE_DECIMAL
            | ColumnType::MYSQL_TYPE_NEWDECIMAL
            | ColumnType::MYSQL_TYPE_TINY
            | ColumnType::MYSQL_TYPE_SHORT
            | ColumnType::MYSQL_TYPE_INT24
            | ColumnType::MYSQL_TYPE_LONG
            | ColumnType::MYSQL_TYPE_LONGLONG
            | ColumnType::MYSQL_TYPE_YEAR
            | ColumnType::MYSQL_TYPE_FLOAT
            | ColumnType::MYSQL_TYPE_DOUBLE
    )
}

/// A column with ZEROFILL has numbers that JSON does not.
fn is_json_number(bytes: &[u8]) -> bool {
    let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
    match digits {
        [b'0', b'0'..=b'9', ..] => false,
        [b'0'..=b'9', ..] => true,
        _ => false,
    }
}

/// Bytes that are not UTF-8 stay as they are: whoever reads the record says that it is malformed.
fn push_json_text(json: &mut Vec<u8>, text: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    json.push(b'"');
    for &byte in text {
        match byte {
            b'"' | b'\\' => json.extend_from_slice(&[b'\\', byte]),
            b'\n' => json.extend_from_slice(b"\\n"),
            0..0x20 => {
                json.extend_from_slice(b"\\u00");
                json.extend([HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            }
            _ => json.push(byte),
        }
    }
    json.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(format: Format, row: &[Value]) -> String {
        let column = |(name, kind)| Column::new(kind).with_name(str::as_bytes(name));
        let columns = [
            ("id", ColumnType::MYSQL_TYPE_LONG),
            ("a \"name\"", ColumnType::MYSQL_TYPE_VAR_STRING),
            ("note", ColumnType::MYSQL_TYPE_BLOB),
        ];
        let mut record = Vec::new();
        RecordWriter::new(format, &columns.map(column)).write(&mut record, row);
        String::from_utf8(record).expect("it is text")
    }

    fn text(text: &str) -> Value {
        Value::Bytes(text.into())
    }

    #[test]
    fn csv_tells_null_from_nothing_and_quotes_what_needs_it() {
        let csv = |row: [Value; 3]| write(Format::Csv, &row);
        assert_eq!(csv([text("7"), text("张三"), Value::NULL]), "7,张三,");
        assert_eq!(
            csv([text("-7"), text(""), text("a \"b\", c\n")]),
            "-7,\"\",\"a \"\"b\"\", c\n\""
        );
    }

    #[test]
    fn json_has_numbers_and_text() {
        let json = |row: [Value; 3]| write(Format::Json, &row);
        assert_eq!(
            json([text("-7"), text("王\u{1}\"\\\n"), Value::NULL]),
            r#"{"id":-7,"a \"name\"":"王\u0001\"\\\n","note":null}"#
        );
        assert_eq!(
            json([text("007"), text("1"), text("")]),
            r#"{"id":"007","a \"name\"":"1","note":""}"#
        );
        for row in
            [[text("0"), text("\u{1f}\t"), text("\u{7f}/")], [text("1.5e3"), text(""), text("")]]
        {
            let parsed = serde_json::from_str::<serde_json::Value>(&write(Format::Json, &row));
            assert!(parsed.is_ok_and(|parsed| parsed["id"].is_number()));
        }
    }
}
