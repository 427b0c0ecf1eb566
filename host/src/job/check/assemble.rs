//! Puts the plan together once nothing is wrong any more.

use std::path::Path;

use super::graph::{Edge, Graph, Node};
use super::kafka;
use super::operators::CheckedOperator;
use super::recovery;
use crate::job::plan::kafka::{
    KafkaClientPlan, KafkaShape, KafkaSinkPlan, KafkaSourcePlan, Properties,
};
use crate::job::plan::{
    BackendPlan, CheckpointMode, CheckpointPlan, FileSourcePlan, FunctionSourcePlan, InputPlan,
    MysqlServerPlan, MysqlSinkPlan, MysqlSourcePlan, MysqlTls, OperatorPlan, Plan, RestartPlan,
    SinkConnector, SinkPlan, SourceConnector, SourcePlan, StatePlan, TimestampPlan, Upstream,
    is_in_bucket,
};
use crate::job::spec::{
    At, CheckpointSpec, FileSourceSpec, JobFile, KafkaClientSpec, KafkaSinkSpec, KafkaSourceSpec,
    MysqlServerSpec, OperatorSpec, SinkConnectorSpec, SinkSpec, SourceConnectorSpec, SourceSpec,
    StateSpec, StoreSpec, resolve,
};
use crate::job::version;
use crate::model::Format;
use crate::wasm::Component;

/// Why nothing is missing here.
const CHECKED: &str = "a part that is missing is a problem, and there are none";

/// S3 renames nothing: committed objects are copies, and it copies none above 5 GiB. With this a
/// batch more does not matter.
const OBJECT_BYTES_MAX: u64 = 1 << 30;

/// The components of a job, each at the place of its node in the job file.
pub struct Functions {
    /// Of sources, those that are functions.
    pub sources: Vec<Option<Component>>,
    /// Of operators.
    pub operators: Vec<Option<Component>>,
}

/// The plan of a job without problems.
///
/// # Panics
/// If something is missing that `check` should have reported.
pub fn assemble(
    file: JobFile,
    graph: &Graph,
    functions: Functions,
    checked: Vec<Option<CheckedOperator>>,
    warnings: Vec<String>,
) -> Plan {
    // Operators move from the order of the job file to the order of the flow.
    let place = |spec: usize| graph.order.iter().position(|&index| index == spec).expect(CHECKED);
    let upstream = |edge: &Edge| match edge.from {
        Node::Source(index) => Upstream::Source(index),
        Node::Operator(index) => {
            Upstream::Operator(place(index), edge.output.expect(CHECKED).index)
        }
    };
    let edge = |edge: &Option<Edge>| edge.expect(CHECKED);
    let JobFile { folder, job, state, checkpoint, restart, sources, operators, sinks, .. } = file;
    let sinks = sinks.into_iter().zip(&graph.sinks);
    let mode = checkpoint.as_ref().map(|checkpoint| checkpoint.mode);
    let of_job = &OfJob { name: &job.name, folder: &folder, mode };
    let sinks = sinks.map(|(spec, from)| {
        let from = edge(from);
        let format = from.output.expect(CHECKED).format;
        sink(spec, of_job, upstream(&from), format)
    });
    let sinks = sinks.collect();
    let sources = sources.into_iter().zip(functions.sources);
    let sources = sources.map(|(spec, function)| source(spec, of_job, function)).collect();

    let parts = operators.into_iter().zip(functions.operators).zip(checked).zip(&graph.inputs);
    let mut ordered: Vec<(usize, OperatorPlan)> = parts
        .enumerate()
        .map(|(index, (((spec, component), checked), edges))| {
            let (component, checked) = (component.expect(CHECKED), checked.expect(CHECKED));
            let inputs = edges.iter().zip(&checked.partitions).map(|(from, partition)| {
                let from = edge(from);
                let format = from.output.expect(CHECKED).format;
                InputPlan { from: upstream(&from), format, partition: partition.clone() }
            });
            let inputs = inputs.collect();
            (place(index), operator(spec, component, checked.parallelism, inputs))
        })
        .collect();
    ordered.sort_by_key(|(place, _)| *place);

    let restart = restart.unwrap_or_else(|| match checkpoint {
        Some(_) => RestartPlan::with_checkpoints(),
        None => RestartPlan::None,
    });
    let storage = checkpoint.as_ref().and_then(|checkpoint| recovery::storage(checkpoint, &state));
    Plan {
        name: job.name,
        max_parallelism: job.max_parallelism.value,
        state: state_plan(state, &folder),
        checkpoint: checkpoint.map(|spec| checkpoint_plan(spec, storage.expect(CHECKED))),
        restart,
        dead_letters: folder.join(job.dead_letters),
        sources,
        operators: ordered.into_iter().map(|(_, operator)| operator).collect(),
        sinks,
        warnings,
        folder,
    }
}

/// What a node must know of its job.
struct OfJob<'a> {
    name: &'a str,
    folder: &'a Path,
    mode: Option<CheckpointMode>,
}

fn state_plan(spec: StateSpec, folder: &Path) -> StatePlan {
    let backend = match spec.backend.store {
        StoreSpec::HashMap => BackendPlan::HashMap,
        StoreSpec::RocksDb => BackendPlan::RocksDb {
            memory_bytes: spec.memory_bytes,
            directory: spec.directory.map(|directory| folder.join(directory.value)),
        },
    };
    StatePlan { backend }
}

fn checkpoint_plan(spec: CheckpointSpec, storage: String) -> CheckpointPlan {
    let CheckpointSpec { policy, mode, retain, prefer_checkpoint, .. } = spec;
    CheckpointPlan { storage, policy, mode, retain, prefer_checkpoint }
}

fn source(spec: SourceSpec, job: &OfJob<'_>, function: Option<Component>) -> SourcePlan {
    let folder = job.folder;
    let record_time = spec.timestamp.is_none();
    let connector = match spec.connector.expect(CHECKED) {
        SourceConnectorSpec::File(spec) => SourceConnector::File(file_source(spec, folder)),
        SourceConnectorSpec::Stdin => SourceConnector::Stdin,
        SourceConnectorSpec::Socket(plan) => SourceConnector::Socket(plan),
        SourceConnectorSpec::Kafka(kafka) => {
            let plan = kafka_source(*kafka, &spec.id, job, record_time);
            SourceConnector::Kafka(Box::new(plan))
        }
        SourceConnectorSpec::Generator(plan) => SourceConnector::Generator(plan),
        SourceConnectorSpec::Function(spec) => SourceConnector::Function(FunctionSourcePlan {
            component: function.expect(CHECKED),
            params: texts(spec.params),
            limits: spec.limits,
        }),
        SourceConnectorSpec::Mysql(spec) => SourceConnector::Mysql(MysqlSourcePlan {
            server: mysql_server(spec.server, folder),
            query: spec.query,
            every: spec.every,
        }),
    };
    let timestamp = spec.timestamp;
    SourcePlan {
        id: spec.id.value,
        connector,
        format: spec.format.value,
        timestamp: timestamp.map(|spec| TimestampPlan { field: spec.field.value, unit: spec.unit }),
        out_of_orderness_ms: spec.out_of_orderness.as_millis() as i64,
        idle_after: spec.idle_after,
        malformed: spec.malformed,
        line_bytes_max: spec.line_bytes_max as usize,
    }
}

fn file_source(spec: FileSourceSpec, folder: &Path) -> FileSourcePlan {
    let FileSourceSpec { path, watch, compression, header, header_line, retry } = spec;
    FileSourcePlan {
        path: resolve(folder, &path),
        watch: watch.map(|at| at.value),
        compression,
        header,
        header_line,
        retry,
    }
}

fn operator(
    spec: OperatorSpec,
    component: Component,
    parallelism: u32,
    inputs: Vec<InputPlan>,
) -> OperatorPlan {
    let ttl_written: Vec<_> = spec.ttl.iter().map(|(name, at)| (name.clone(), at.value)).collect();
    let ttl = version::ttl(&ttl_written, &component.declaration().states);
    OperatorPlan {
        id: spec.id.value,
        component,
        parallelism,
        inputs,
        params: texts(spec.params),
        ttl_written,
        ttl,
        limits: spec.limits,
        malformed: spec.malformed,
        on_fault: spec.on_fault,
    }
}

fn texts(params: Vec<(String, At<String>)>) -> Vec<(String, String)> {
    params.into_iter().map(|(name, text)| (name, text.value)).collect()
}

/// The variables stay names: what they hold is read when a connection is made.
fn mysql_server(spec: MysqlServerSpec, folder: &Path) -> MysqlServerPlan {
    let MysqlServerSpec { url, user_env, password_env, tls, tls_ca, timeout, retry_for } = spec;
    let tls = match (tls, tls_ca) {
        (false, _) => MysqlTls::Off,
        (true, None) => MysqlTls::PublicAuthorities,
        (true, Some(path)) => MysqlTls::Authorities(folder.join(path.value)),
    };
    MysqlServerPlan {
        host: url.value.host,
        port: url.value.port,
        database: url.value.database,
        user_env: user_env.map(|at| at.value),
        password_env: password_env.map(|at| at.value),
        tls,
        timeout,
        retry_for,
    }
}

/// `format` is that of the records that come from `from`.
fn sink(spec: SinkSpec, job: &OfJob<'_>, from: Upstream, format: Format) -> SinkPlan {
    let folder = job.folder;
    let connector = match spec.connector.expect(CHECKED) {
        SinkConnectorSpec::File { path, replace, mut shape } => {
            let path = resolve(folder, &path);
            if is_in_bucket(&path) {
                shape.roll_bytes.get_or_insert(OBJECT_BYTES_MAX);
            }
            SinkConnector::File { path, replace, shape }
        }
        SinkConnectorSpec::Kafka(kafka) => {
            SinkConnector::Kafka(Box::new(kafka_sink(*kafka, &spec.id, job, format)))
        }
        SinkConnectorSpec::Stdout => SinkConnector::Stdout,
        SinkConnectorSpec::Discard => SinkConnector::Discard,
        SinkConnectorSpec::Mysql(spec) => SinkConnector::Mysql(MysqlSinkPlan {
            server: mysql_server(spec.server, folder),
            table: spec.table.value,
            columns: spec.columns.value,
            key: spec.key.map_or_else(Vec::new, |at| at.value),
            format,
        }),
    };
    SinkPlan { id: spec.id.value, from, connector }
}

/// By which Kafka knows a node, whichever process runs it.
fn kafka_id(job: &OfJob<'_>, node: &str) -> String {
    format!("tidegate-{}-{node}", job.name)
}

fn kafka_client(spec: KafkaClientSpec) -> KafkaClientPlan {
    let properties = spec.properties.into_iter().map(|at| at.value).collect();
    KafkaClientPlan {
        brokers: spec.brokers.value,
        timeout: spec.timeout,
        properties: Properties(properties),
    }
}

fn kafka_source(
    spec: KafkaSourceSpec,
    id: &str,
    job: &OfJob<'_>,
    record_time: bool,
) -> KafkaSourcePlan {
    KafkaSourcePlan {
        client: kafka_client(spec.client),
        topics: spec.topics.value,
        start: spec.start,
        ends: spec.ends,
        envelope: spec.envelope.is_some_and(|at| at.value),
        discovery_interval: spec.discovery_interval,
        commits_offsets: spec.group.is_some(),
        group: spec.group.unwrap_or_else(|| kafka_id(job, id)),
        record_time,
    }
}

fn kafka_sink(spec: KafkaSinkSpec, id: &str, job: &OfJob<'_>, format: Format) -> KafkaSinkPlan {
    let exactly_once = kafka::is_exactly_once(&spec, job.mode);
    let key = spec.key.map(|at| at.value);
    KafkaSinkPlan {
        client: kafka_client(spec.client),
        topic: spec.topic.value,
        shape: KafkaShape { format, key, envelope: spec.envelope.is_some_and(|at| at.value) },
        exactly_once,
        transactional_id: kafka_id(job, id),
    }
}
