//! `[[source]]`.

use std::time::Duration;

use super::document::Value;
use super::kafka::{self, KafkaSourceSpec};
use super::section::{At, Mismatch, Section};
use super::{mysql, operator, read_id, values};
use crate::job::plan::{
    Compression, Field, GeneratorPlan, MalformedPolicy, OnClose, RetryPlan, S3, SocketPlan,
    TimeUnit,
};
use crate::model::{Format, Limits};

/// The longest line of a source that does not say otherwise.
const LINE_BYTES_MAX_DEFAULT: u64 = 1 << 20;

/// A line fits a batch, whose columns have 32-bit ends.
const LINE_BYTES_MAX_LIMIT: u64 = 1 << 30;

/// A source.
#[derive(Debug)]
pub struct SourceSpec {
    /// The id; empty if it is missing, which is reported.
    pub id: At<String>,
    /// What to read; none if that is reported.
    pub connector: Option<SourceConnectorSpec>,
    /// How records are written. Default lines.
    pub format: At<Format>,
    /// Where the event time of a record is.
    pub timestamp: Option<TimestampSpec>,
    /// How far the watermark stays behind. Zero = monotonous.
    pub out_of_orderness: Duration,
    /// After how long without records the source is idle.
    pub idle_after: Option<Duration>,
    /// What becomes of a line that cannot be a record.
    pub malformed: MalformedPolicy,
    /// The longest line in bytes.
    pub line_bytes_max: u64,
}

/// What a source reads.
#[derive(Debug)]
pub enum SourceConnectorSpec {
    /// A file, or the files of a folder.
    File(FileSourceSpec),
    /// Standard input.
    Stdin,
    /// Lines that a server sends.
    Socket(SocketPlan),
    /// Records of topics of Kafka.
    Kafka(Box<KafkaSourceSpec>),
    /// Made-up records.
    Generator(GeneratorPlan),
    /// Records that a function makes.
    Function(FunctionSourceSpec),
    /// Rows of a database.
    Mysql(mysql::MysqlSourceSpec),
}

impl SourceSpec {
    /// Whether its records have event times.
    pub fn has_event_times(&self) -> bool {
        let is_kafka = matches!(self.connector, Some(SourceConnectorSpec::Kafka(_)));
        self.timestamp.is_some() || is_kafka
    }
}

/// Files to read.
#[derive(Debug)]
pub struct FileSourceSpec {
    /// The file or folder, or a place in a bucket.
    pub path: At<String>,
    /// How often the folder is looked at for new files.
    pub watch: Option<At<Duration>>,
    /// How files are packed.
    pub compression: Compression,
    /// Whether the first line of each file names the fields.
    pub header: bool,
    /// That line, once it is known.
    pub header_line: Option<String>,
    /// What a bucket gets that does not answer.
    pub retry: RetryPlan,
}

/// A source function.
#[derive(Debug)]
pub struct FunctionSourceSpec {
    /// The file of the function.
    pub component: At<String>,
    /// Parameters as text.
    pub params: Vec<(String, At<String>)>,
    /// What the function may use.
    pub limits: Limits,
    /// Whether the job file says how records are written; otherwise the function does.
    pub is_format_written: bool,
}

/// Where the event time of a record is.
#[derive(Debug)]
pub struct TimestampSpec {
    /// Which field.
    pub field: At<Field>,
    /// How to read it.
    pub unit: TimeUnit,
}

#[derive(Clone, Copy)]
enum Connector {
    File,
    Stdin,
    Socket,
    Kafka,
    Generator,
    Function,
    Mysql,
    NotYet,
}

fn connector(value: &Value) -> Result<Connector, Mismatch> {
    let words = [
        ("file", Connector::File),
        ("stdin", Connector::Stdin),
        ("socket", Connector::Socket),
        ("generator", Connector::Generator),
        ("function", Connector::Function),
        ("kafka", Connector::Kafka),
        ("mysql", Connector::Mysql),
        ("s3", Connector::NotYet),
    ];
    values::word(value, &words)
}

/// Reads one `[[source]]`.
pub fn read(mut section: Section<'_, '_>) -> SourceSpec {
    let id = read_id(&mut section, "source");
    let word = section.required("connector", "\"file\"", connector);
    let format = section.optional("format", values::format);
    let (timestamp, out_of_orderness, idle_after) = read_event_time(&mut section, word.as_deref());
    let malformed = section.or("malformed", values::malformed, MalformedPolicy::default());
    let line_bytes_max = section.or("max_line", line_bytes_max, LINE_BYTES_MAX_DEFAULT);
    let replaced = word.as_ref().is_some_and(At::is_argument);
    // Some connectors have another one; the generator's goes by its shape.
    let mut default_format = Format::Lines;
    let connector = word.and_then(|word| match *word {
        Connector::File => read_file(&mut section, format.as_ref()),
        Connector::Stdin => Some(SourceConnectorSpec::Stdin),
        Connector::Socket => read_socket(&mut section),
        Connector::Kafka => {
            kafka::read_source(&mut section).map(|spec| SourceConnectorSpec::Kafka(Box::new(spec)))
        }
        Connector::Generator => read_generator(&mut section, format.as_ref(), &mut default_format),
        Connector::Function => read_function(&mut section),
        Connector::Mysql => {
            default_format = Format::Csv;
            let written = format.clone().unwrap_or_else(|| section.at(default_format));
            read_mysql(&mut section, &written)
        }
        Connector::NotYet => {
            let problem = word.problem("asks for a connector that is not in this version yet");
            section.report(problem.hint(
                "this version has file, stdin, socket, kafka, mysql, generator and function",
            ));
            None
        }
    });
    let format = format.unwrap_or_else(|| section.at(default_format));
    // Which keys belong is known only with the connector, and those of the one that `--set`
    // replaces are no mistake.
    if connector.is_some() && !replaced {
        section.finish();
    }
    SourceSpec {
        id,
        connector,
        format,
        timestamp,
        out_of_orderness,
        idle_after,
        malformed,
        line_bytes_max,
    }
}

fn line_bytes_max(value: &Value) -> Result<u64, Mismatch> {
    let bytes = values::bytes(value)?;
    if bytes > LINE_BYTES_MAX_LIMIT {
        return values::mismatch(value, "a size up to 1GiB", "write a smaller size");
    }
    Ok(bytes)
}

/// Reads `timestamp` and `watermark`: the field, how far the watermark stays behind, and the
/// idleness.
fn read_event_time(
    section: &mut Section<'_, '_>,
    connector: Option<&Connector>,
) -> (Option<TimestampSpec>, Duration, Option<Duration>) {
    // Records of Kafka have a time in any case.
    let is_kafka = matches!(connector, Some(Connector::Kafka));
    let is_record_time = is_kafka && section.text("timestamp").is_some();
    if is_record_time {
        section.optional("timestamp", kafka::record_time);
    }
    let timestamp = if is_record_time { None } else { section.section("timestamp") };
    let timestamp = timestamp.and_then(|mut section| {
        let field = section.required("field", "0", values::field);
        let unit = section.or("unit", values::time_unit, TimeUnit::Milliseconds);
        section.finish();
        field.map(|field| TimestampSpec { field, unit })
    });
    let has_timestamp = is_kafka || section.has("timestamp");
    let watermark = section.section("watermark").map(|mut section| {
        if !has_timestamp {
            let problem =
                section.at(()).problem("needs event times, but the source has no `timestamp`");
            section.report(problem.hint("add `timestamp = { field = 0, unit = \"ms\" }`"));
        }
        let delay = read_delay(&mut section);
        let idle_after = section.optional("idle_after", values::positive_duration);
        section.finish();
        (delay, idle_after.map(|at| at.value))
    });
    let (delay, idle_after) = watermark.unwrap_or_default();
    (timestamp, delay, idle_after)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Strategy {
    Monotonous,
    Bounded,
}

fn strategy(value: &Value) -> Result<Strategy, Mismatch> {
    let words =
        [("monotonous", Strategy::Monotonous), ("bounded-out-of-orderness", Strategy::Bounded)];
    values::word(value, &words)
}

fn read_delay(section: &mut Section<'_, '_>) -> Duration {
    let strategy = section.optional("strategy", strategy);
    let bounded = strategy.as_deref() == Some(&Strategy::Bounded);
    let unknown = section.has("strategy") && strategy.is_none();
    if bounded && !section.has("delay") {
        section.report_missing("delay", "\"1s\"");
    }
    let delay = section.optional("delay", values::duration);
    match delay {
        Some(delay) if bounded => delay.value,
        Some(delay) if !unknown => {
            let problem = delay.problem("goes with `strategy = \"bounded-out-of-orderness\"` only");
            section.report(problem.hint("add that strategy, or leave the delay out"));
            Duration::ZERO
        }
        _ => Duration::ZERO,
    }
}

fn read_file(
    section: &mut Section<'_, '_>,
    format: Option<&At<Format>>,
) -> Option<SourceConnectorSpec> {
    let path = section.required("path", "\"events.csv\"", values::place);
    let watch = section.optional("watch", values::positive_duration);
    let compression = section.or("compression", compression, Compression::default());
    let header = section.optional("header", values::boolean);
    if let Some(header) = &header
        && **header
        && format.is_none_or(|format| **format != Format::Csv)
    {
        let problem = header.problem("is true, but only csv has headers");
        section.report(problem.hint("add `format = \"csv\"`, or leave `header` out"));
    }
    let in_bucket = path.as_ref().is_some_and(|path| path.starts_with(S3));
    let spec = FileSourceSpec {
        path: path?,
        watch,
        compression,
        header: header.is_some_and(|at| at.value),
        header_line: None,
        // A disk that fails is not asked again.
        retry: if in_bucket { read_retry(section) } else { RetryPlan::default() },
    };
    Some(SourceConnectorSpec::File(spec))
}

fn compression(value: &Value) -> Result<Compression, Mismatch> {
    let words = [
        ("auto", Compression::ByName),
        ("none", Compression::None),
        ("gzip", Compression::Gzip),
        ("zstd", Compression::Zstd),
    ];
    values::word(value, &words)
}

fn read_retry(section: &mut Section<'_, '_>) -> RetryPlan {
    let default = RetryPlan::default();
    RetryPlan {
        give_up_after: section.or("retry_for", retry_for, default.give_up_after),
        max_delay: section.or("retry_max_delay", values::positive_duration, default.max_delay),
    }
}

fn retry_for(value: &Value) -> Result<Option<Duration>, Mismatch> {
    match value {
        Value::Text(text) if text == "ever" => Ok(None),
        other => values::duration(other).map(Some).map_err(|mismatch| {
            let hint = format!("{}, or \"ever\"", mismatch.hint);
            Mismatch { hint, ..mismatch }
        }),
    }
}

fn read_socket(section: &mut Section<'_, '_>) -> Option<SourceConnectorSpec> {
    let address = section.required("address", "\"localhost:7777\"", address);
    let on_close = section.or("on_close", on_close, OnClose::default());
    let silence = section.optional("silence", values::positive_duration).map(|at| at.value);
    let retry = read_retry(section);
    let address = address?.value;
    Some(SourceConnectorSpec::Socket(SocketPlan { address, on_close, silence, retry }))
}

fn on_close(value: &Value) -> Result<OnClose, Mismatch> {
    values::word(value, &[("end", OnClose::End), ("reconnect", OnClose::Reconnect)])
}

fn read_generator(
    section: &mut Section<'_, '_>,
    format: Option<&At<Format>>,
    default_format: &mut Format,
) -> Option<SourceConnectorSpec> {
    let shape = section.required("shape", "\"clicks\"", values::shape);
    let count = section.optional("count", values::count);
    let rate = section.optional("rate", values::positive);
    let seed = section.or("seed", values::count, 0);
    let keys = section.optional("keys", values::positive);
    let start_ms = section.or("start_ms", values::integer, 0);
    let step_ms = section.or("step_ms", step, 1);
    let shape = shape?.value;
    *default_format = shape.format();
    let fits = |format: Format| format == shape.format() || format == Format::Lines;
    if let Some(format) = format.filter(|format| !fits(***format)) {
        let is = if shape.format() == Format::Json { "json" } else { "csv" };
        let message = format!("does not fit: the generator writes {is}");
        section.report(format.problem(message).hint("leave the format out"));
    }
    let plan = GeneratorPlan {
        shape,
        count: count.map(|at| at.value),
        rate: rate.map(|at| at.value),
        seed,
        keys: keys.map_or(shape.keys_default(), |at| at.value),
        start_ms,
        step_ms,
    };
    Some(SourceConnectorSpec::Generator(plan))
}

fn read_function(section: &mut Section<'_, '_>) -> Option<SourceConnectorSpec> {
    let is_format_written = section.has("format");
    let component = section.required("component", "\"function.wasm\"", values::text);
    let params = operator::read_params(section);
    let limits = operator::read_limits(section);
    let component = component?;
    let spec = FunctionSourceSpec { component, params, limits, is_format_written };
    Some(SourceConnectorSpec::Function(spec))
}

fn read_mysql(section: &mut Section<'_, '_>, format: &At<Format>) -> Option<SourceConnectorSpec> {
    if !matches!(**format, Format::Csv | Format::Json) {
        let message = "does not fit: rows have columns";
        section.report(format.problem(message).hint("write \"csv\" or \"json\""));
    }
    mysql::read_source(section).map(SourceConnectorSpec::Mysql)
}

fn address(value: &Value) -> Result<String, Mismatch> {
    let address = values::text(value)?;
    let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    match port.and_then(|(_, port)| port.parse::<u16>().ok()) {
        Some(_) => Ok(address),
        None => {
            values::mismatch(value, "an address", "write host and port, as in \"localhost:7777\"")
        }
    }
}

fn step(value: &Value) -> Result<i64, Mismatch> {
    values::count(value).map(|count| count as i64)
}
