//! `[[sink]]`.

use super::document::Value;
use super::kafka::{self, KafkaSinkSpec};
use super::section::{At, Mismatch, Section};
use super::{mysql, read_id, values};
use crate::job::plan::FileShape;

/// A sink.
#[derive(Debug)]
pub struct SinkSpec {
    /// The id; empty if it is missing, which is reported.
    pub id: At<String>,
    /// `node` or `operator.output`; none if that is reported.
    pub from: Option<At<String>>,
    /// Where records go; none if that is reported.
    pub connector: Option<SinkConnectorSpec>,
}

/// Where a sink writes.
#[expect(clippy::large_enum_variant, reason = "a job file has a handful")]
#[derive(Debug)]
pub enum SinkConnectorSpec {
    /// Files in a folder.
    File {
        /// The folder.
        path: At<String>,
        /// Whether files of an earlier run give way. Default yes; otherwise they refuse the job.
        replace: bool,
        /// How output is cut into files.
        shape: FileShape,
    },
    /// A topic of Kafka.
    Kafka(Box<KafkaSinkSpec>),
    /// Standard output.
    Stdout,
    /// Nowhere.
    Discard,
    /// A table of a database.
    Mysql(mysql::MysqlSinkSpec),
}

#[derive(Clone, Copy)]
enum Connector {
    File,
    Kafka,
    Stdout,
    Discard,
    Mysql,
    NotYet,
}

fn connector(value: &Value) -> Result<Connector, Mismatch> {
    let words = [
        ("file", Connector::File),
        ("stdout", Connector::Stdout),
        ("discard", Connector::Discard),
        ("kafka", Connector::Kafka),
        ("mysql", Connector::Mysql),
        ("socket", Connector::NotYet),
        ("s3", Connector::NotYet),
    ];
    values::word(value, &words)
}

/// Reads one `[[sink]]`.
pub fn read(mut section: Section<'_, '_>) -> SinkSpec {
    let id = read_id(&mut section, "sink");
    let word = section.required("connector", "\"file\"", connector);
    let from = section.required("from", "\"a-node\"", values::text);
    let replaced = word.as_ref().is_some_and(At::is_argument);
    let connector = word.and_then(|word| match *word {
        Connector::File => {
            let path = section.required("path", "\"out/\"", values::place);
            let replace = section.or("on_existing", on_existing, true);
            let shape = read_shape(&mut section);
            path.map(|path| SinkConnectorSpec::File { path, replace, shape })
        }
        Connector::Kafka => {
            kafka::read_sink(&mut section).map(|spec| SinkConnectorSpec::Kafka(Box::new(spec)))
        }
        Connector::Stdout => Some(SinkConnectorSpec::Stdout),
        Connector::Discard => Some(SinkConnectorSpec::Discard),
        Connector::Mysql => mysql::read_sink(&mut section).map(SinkConnectorSpec::Mysql),
        Connector::NotYet => {
            let problem = word.problem("asks for a connector that is not in this version yet");
            section.report(problem.hint("this version has file, kafka, mysql, stdout and discard"));
            None
        }
    });
    // Which keys belong is known only with the connector, and those of the one that `--set`
    // replaces are no mistake.
    if connector.is_some() && !replaced {
        section.finish();
    }
    SinkSpec { id, from, connector }
}

fn read_shape(section: &mut Section<'_, '_>) -> FileShape {
    FileShape {
        roll_bytes: section.optional("roll_size", values::file_bytes).map(|at| at.value),
        roll_after: section.optional("roll_after", values::positive_duration).map(|at| at.value),
        folders: section.optional("partition_by", values::folders).map(|at| at.value),
    }
}

fn on_existing(value: &Value) -> Result<bool, Mismatch> {
    values::word(value, &[("refuse", false), ("replace", true)])
}
