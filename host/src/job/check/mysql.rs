//! What can be seen of sources and sinks that talk to MySQL before they do: nothing is connected.

use std::env;
use std::fs::File;

use super::graph::Graph;
use super::{Findings, word};
use crate::job::spec::{At, JobFile, MysqlServerSpec, SinkConnectorSpec, SourceConnectorSpec};
use crate::model::Format;

/// Checks the connectors of all sources and sinks.
pub fn check(file: &JobFile, graph: &Graph, findings: &mut Findings) {
    for source in &file.sources {
        if let Some(SourceConnectorSpec::Mysql(spec)) = &source.connector {
            check_server(file, &spec.server, findings);
        }
    }
    for (sink, edge) in file.sinks.iter().zip(&graph.sinks) {
        let Some(SinkConnectorSpec::Mysql(spec)) = &sink.connector else { continue };
        check_server(file, &spec.server, findings);
        let format = edge.and_then(|edge| edge.output).map(|output| output.format);
        if let (Some(Format::Bytes), Some(from)) = (format, &sink.from) {
            let bytes = word(Format::Bytes);
            let what = format!("names records of format {bytes}, which have no columns");
            findings.problem(from.problem(what).hint("let them be csv, json or lines"));
        }
    }
}

fn check_server(file: &JobFile, server: &MysqlServerSpec, findings: &mut Findings) {
    if !cfg!(feature = "mysql") {
        let problem = server.url.problem("asks for MySQL, which this tidegate is built without");
        findings.problem(problem.hint("build tidegate with its default features"));
    }
    for name in [&server.user_env, &server.password_env].into_iter().flatten() {
        check_variable(name, findings);
    }
    if let Some(at) = &server.tls_ca
        && let Err(cause) = File::open(file.resolve(at))
    {
        let mut problem = at.problem(format!("is {:?}, which cannot be read", at.value));
        problem.error = problem.error.caused_by(cause);
        findings.problem(problem.hint("paths start from the folder of the job file"));
    }
}

/// What it holds is not looked at.
fn check_variable(name: &At<String>, findings: &mut Findings) {
    if env::var_os(&name.value).is_none() {
        let what = format!("names the environment variable {}, which is not set", name.value);
        let hint = format!("set it before the job runs: `export {}=…`", name.value);
        findings.problem(name.problem(what).hint(hint));
    }
}
