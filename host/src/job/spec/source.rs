//! `[[source]]`.

use std::time::Duration;

use super::document::Value;
use super::kafka::{self, KafkaSourceSpec};
use super::section::{At, Mismatch, Section};
use super::{mysql, operator, read_id, values};
use crate::job::plan::{Field, GeneratorPlan, MalformedPolicy, TimeUnit};
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
    File(At<String>),
    /// Standard input.
    Stdin,
    /// Lines that a server sends.
    Socket(At<String>),
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
    let default_format = match word.as_deref() {
        Some(Connector::Generator | Connector::Mysql) => Format::Csv,
        _ => Format::Lines,
    };
    let format = format.unwrap_or_else(|| section.at(default_format));
    let replaced = word.as_ref().is_some_and(At::is_argument);
    let connector = word.and_then(|word| match *word {
        Connector::File => {
            let path = section.required("path", "\"events.csv\"", values::text);
            path.map(SourceConnectorSpec::File)
        }
        Connector::Stdin => Some(SourceConnectorSpec::Stdin),
        Connector::Socket => {
            let address = section.required("address", "\"localhost:7777\"", address);
            address.map(SourceConnectorSpec::Socket)
        }
        Connector::Kafka => {
            kafka::read_source(&mut section).map(|spec| SourceConnectorSpec::Kafka(Box::new(spec)))
        }
        Connector::Generator => read_generator(&mut section, &format),
        Connector::Function => read_function(&mut section),
        Connector::Mysql => read_mysql(&mut section, &format),
        Connector::NotYet => {
            let problem = word.problem("asks for a connector that is not in this version yet");
            section.report(problem.hint(
                "this version has file, stdin, socket, kafka, mysql, generator and function",
            ));
            None
        }
    });
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

fn read_generator(
    section: &mut Section<'_, '_>,
    format: &At<Format>,
) -> Option<SourceConnectorSpec> {
    if !matches!(**format, Format::Csv | Format::Lines) {
        let message = "does not fit: the generator writes csv";
        section.report(format.problem(message).hint("leave the format out"));
    }
    let shape = section.required("shape", "\"clicks\"", values::shape);
    let count = section.optional("count", values::count);
    let rate = section.optional("rate", values::positive);
    let (seed, keys) =
        (section.or("seed", values::count, 0), section.or("keys", values::positive, 1000));
    let start_ms = section.or("start_ms", values::integer, 0);
    let step_ms = section.or("step_ms", step, 1);
    let plan = GeneratorPlan {
        shape: shape?.value,
        count: count.map(|at| at.value),
        rate: rate.map(|at| at.value),
        seed,
        keys,
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
