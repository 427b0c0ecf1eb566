//! What a job file says of an operator, held against what its function declares.

use super::graph::{Edge, Graph, Node};
use super::{Findings, check_field, too_parallel};
use crate::job::plan::Partitioning;
use crate::job::spec::{
    At, InputSpec, JobFile, OperatorSpec, PartitionSpec, name_hint, parse_duration,
};
use crate::model::{Declaration, Kind};

/// An operator of which nothing is wrong.
#[derive(Debug)]
pub struct CheckedOperator {
    /// How many partitions.
    pub parallelism: u32,
    /// One for each declared input.
    pub partitions: Vec<Partitioning>,
}

/// Checks each operator; none where something is a problem.
pub fn check(
    file: &JobFile,
    declared: &[Option<&Declaration>],
    graph: &Graph,
    findings: &mut Findings,
) -> Vec<Option<CheckedOperator>> {
    let mut check = |(index, spec): (usize, &OperatorSpec)| {
        let parallelism = parallelism_of(file, Node::Operator(index));
        if let Some(at) = &spec.parallelism
            && parallelism > file.job.max_parallelism.value
        {
            findings.problem(too_parallel(at, file.job.max_parallelism.value));
        }
        let declaration = declared[index]?;
        if !check_kind(spec, declaration.kind, findings) {
            return None;
        }
        check_params(&spec.id, "operator", &spec.params, declaration, findings);
        check_ttl(spec, declaration, findings);
        let edges = &graph.inputs[index];
        let checker = Checker { file, spec, declaration, parallelism };
        let partitions = checker.check_inputs(edges, findings)?;
        Some(CheckedOperator { parallelism, partitions })
    };
    file.operators.iter().enumerate().map(&mut check).collect()
}

/// Whether the function is one of an operator.
fn check_kind(spec: &OperatorSpec, kind: Kind, findings: &mut Findings) -> bool {
    if kind != Kind::Source {
        return true;
    }
    if let Some(at) = &spec.component {
        let problem = at.problem("is a source function, which is no operator");
        let hint = "name it in a [[source]] with `connector = \"function\"`";
        findings.problem(problem.hint(hint));
    }
    false
}

fn parallelism_of(file: &JobFile, node: Node) -> u32 {
    match node {
        // A source has one reader.
        Node::Source(_) => 1,
        Node::Operator(index) => {
            let own = file.operators[index].parallelism.as_ref();
            own.map_or(file.job.parallelism.value, |at| at.value)
        }
    }
}

struct Checker<'f> {
    file: &'f JobFile,
    spec: &'f OperatorSpec,
    declaration: &'f Declaration,
    parallelism: u32,
}

impl Checker<'_> {
    fn check_inputs(
        &self,
        edges: &[Option<Edge>],
        findings: &mut Findings,
    ) -> Option<Vec<Partitioning>> {
        let inputs = self.spec.inputs.as_ref()?;
        let declared = &self.declaration.inputs;
        if inputs.len() != declared.len() {
            let (written, wanted) = (inputs.len(), declared.len());
            let kind = self.declaration.kind.name();
            let problem = inputs.problem(format!(
                "has {written} {}, but `{}` is a {kind} function with {wanted}",
                if written == 1 { "element" } else { "elements" },
                self.spec.id.as_str(),
            ));
            let names: Vec<String> = declared
                .iter()
                .map(|input| format!("{} ({})", input.name, input.type_name))
                .collect();
            findings.problem(problem.hint(format!("it reads: {}", names.join(", "))));
            return None;
        }
        let inputs = inputs.iter().zip(edges).enumerate();
        let partitions: Vec<Option<Partitioning>> = inputs
            .map(|(index, (input, edge))| self.check_input(index, input, edge.as_ref(), findings))
            .collect();
        partitions.into_iter().collect()
    }

    fn check_input(
        &self,
        index: usize,
        input: &InputSpec,
        edge: Option<&Edge>,
        findings: &mut Findings,
    ) -> Option<Partitioning> {
        if input.partition_refused {
            return None;
        }
        let keyed = matches!(
            input.partition.as_deref(),
            Some(PartitionSpec::Key(_) | PartitionSpec::Function)
        );
        if self.declaration.kind.is_broadcast(index) {
            return self.check_broadcast(input, findings);
        }
        if self.declaration.kind.has_keys(index) && !keyed {
            self.report_keyless(index, input, findings);
            return None;
        }
        let upstream = edge.map(|edge| edge.from);
        let upstream_parallelism = upstream.map(|node| parallelism_of(self.file, node));
        let Some(partition) = &input.partition else {
            let same = upstream_parallelism? == self.parallelism;
            return Some(if same { Partitioning::Forward } else { Partitioning::Rebalance });
        };
        match &partition.value {
            PartitionSpec::Key(field) => {
                let output = edge?.output?;
                check_field(partition, field, output.format, findings);
                Some(Partitioning::Key(field.clone()))
            }
            PartitionSpec::Function => {
                if !self.declaration.extracts_keys {
                    let id = self.spec.id.as_str();
                    let what = format!("is \"function\", but `{id}` extracts no keys");
                    let hint = "write `{ key = FIELD }`, or give the function a key of its own";
                    findings.problem(partition.problem(what).hint(hint));
                }
                Some(Partitioning::KeyByFunction)
            }
            PartitionSpec::Forward => {
                let upstream_parallelism = upstream_parallelism?;
                if upstream_parallelism != self.parallelism {
                    self.report_forward(partition, upstream?, upstream_parallelism, findings);
                }
                Some(Partitioning::Forward)
            }
            PartitionSpec::Rebalance => Some(Partitioning::Rebalance),
            PartitionSpec::Broadcast => Some(Partitioning::Broadcast),
        }
    }

    /// An input whose records every partition gets, which nothing needs to say.
    fn check_broadcast(&self, input: &InputSpec, findings: &mut Findings) -> Option<Partitioning> {
        match &input.partition {
            None => Some(Partitioning::Broadcast),
            Some(at) if at.value == PartitionSpec::Broadcast => Some(Partitioning::Broadcast),
            Some(at) => {
                let (id, kind) = (self.spec.id.as_str(), self.declaration.kind.name());
                let what = format!(
                    "is of the broadcast input of `{id}`, a {kind} function, which every partition \
                     gets whole"
                );
                findings.problem(at.problem(what).hint("write \"broadcast\", or leave it out"));
                None
            }
        }
    }

    fn report_keyless(&self, index: usize, input: &InputSpec, findings: &mut Findings) {
        let id = self.spec.id.as_str();
        let kind = self.declaration.kind.name();
        let why = format!("but `{id}` is a {kind} function, whose state belongs to keys");
        let problem = match &input.partition {
            Some(partition) => {
                let word = match partition.value {
                    PartitionSpec::Broadcast => "broadcast",
                    PartitionSpec::Rebalance => "rebalance",
                    _ => "forward",
                };
                partition.problem(format!("is {word:?}, {why}"))
            }
            None => {
                let Some(at) = input.from.as_ref().or(self.spec.component.as_ref()) else { return };
                let path = format!("operator.{id}.inputs[{index}]");
                let at = At { path, ..at.clone() };
                at.problem(format!("has no key, {why}"))
            }
        };
        let by_function = match self.declaration.extracts_keys {
            true => ", or \"function\" for the key that it extracts itself",
            false => "",
        };
        findings
            .problem(problem.hint(format!("write `partition = {{ key = FIELD }}`{by_function}")));
    }

    fn report_forward(
        &self,
        partition: &At<PartitionSpec>,
        upstream: Node,
        upstream_parallelism: u32,
        findings: &mut Findings,
    ) {
        let from = match upstream {
            Node::Source(index) => format!("the source `{}`", *self.file.sources[index].id),
            Node::Operator(index) => format!("`{}`", *self.file.operators[index].id),
        };
        let what = format!(
            "is \"forward\", but {from} has {} and `{}` has {}",
            partitions(upstream_parallelism),
            self.spec.id.as_str(),
            partitions(self.parallelism),
        );
        let hint = "write \"rebalance\", or give both the same parallelism";
        findings.problem(partition.problem(what).hint(hint));
    }
}

fn partitions(count: u32) -> String {
    if count == 1 { "1 partition".into() } else { format!("{count} partitions") }
}

/// Checks the parameters of an operator or a source function.
pub fn check_params(
    id: &At<String>,
    section: &str,
    params: &[(String, At<String>)],
    declaration: &Declaration,
    findings: &mut Findings,
) {
    let declared = &declaration.parameters;
    for (name, at) in params {
        let Some(parameter) = declared.iter().find(|parameter| parameter.name == *name) else {
            let hint = name_hint(name, "parameters", declared.iter().map(|p| p.name.as_str()));
            if findings.restored.contains(id.as_str()) {
                findings.warning(format!(
                    "parameter {name:?} of `{}` is not passed on: the function of the checkpoint \
                     has none of that name",
                    **id
                ));
                continue;
            }
            let what = format!("is no parameter of the function of `{}`", **id);
            findings.problem(at.problem(what).hint(hint));
            continue;
        };
        if let Some(form) = expected_form(&parameter.type_name, at) {
            let what = format!("is {:?}, not a parameter of type {}", **at, parameter.type_name);
            findings.problem(at.problem(what).hint(format!("write {form}")));
        }
    }
    for parameter in declared.iter().filter(|parameter| parameter.default.is_none()) {
        let name = &parameter.name;
        if !params.iter().any(|(written, _)| written == name) {
            let what = format!("has no `{name}` in its params, which its function needs");
            let at = At { path: format!("{section}.{}", **id), ..id.with(()) };
            let hint = format!("add `params = {{ {name} = … }}` ({})", parameter.type_name);
            findings.problem(at.problem(what).hint(hint));
        }
    }
}

fn check_ttl(spec: &OperatorSpec, declaration: &Declaration, findings: &mut Findings) {
    let declared = &declaration.states;
    for (name, at) in &spec.ttl {
        if !declared.iter().any(|state| state.name == *name) {
            let hint = name_hint(name, "states", declared.iter().map(|s| s.name.as_str()));
            let what = format!("is no state of the function of `{}`", *spec.id);
            findings.problem(at.problem(what).hint(hint));
        }
    }
}

/// What to write instead, if a text is not of the type that a function declares. Types are words
/// for people; the ones that are not known here are left to the function.
fn expected_form(type_name: &str, text: &str) -> Option<&'static str> {
    match type_name {
        "duration" if parse_duration(text).is_none() => {
            Some("a whole number and ms, s, m, h or d, as in \"10s\"")
        }
        "integer" if text.parse::<i128>().is_err() => Some("a whole number"),
        "number" if text.parse::<f64>().is_err() => Some("a number"),
        "true or false" if text.parse::<bool>().is_err() => Some("true or false"),
        _ => None,
    }
}

/// Warns of functions with timers on streams without event times.
pub fn warn_of_timers(
    file: &JobFile,
    declared: &[Option<&Declaration>],
    graph: &Graph,
    findings: &mut Findings,
) {
    let mut timed = vec![false; file.operators.len()];
    for &operator in &graph.order {
        let mut edges = graph.inputs[operator].iter().flatten();
        timed[operator] = edges.any(|edge| match edge.from {
            Node::Source(index) => file.sources[index].has_event_times(),
            Node::Operator(index) => timed[index],
        });
        let has_timers = declared[operator].is_some_and(|declaration| declaration.timers);
        if has_timers && !timed[operator] {
            let id = file.operators[operator].id.as_str();
            findings.warning(format!(
                "operator `{id}` registers timers, but its records have no event times: its \
                 event-time timers fire only when the input ends (give the source a `timestamp`)"
            ));
        }
    }
}
