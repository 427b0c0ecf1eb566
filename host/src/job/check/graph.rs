//! The graph of a job: who reads from whom, in which order, and who is left out.

use std::collections::BTreeMap;

use super::Findings;
use crate::job::spec::{At, JobFile, name_hint};
use crate::model::{Declaration, Format, Kind};

/// The name of the first output of a function.
const MAIN_OUTPUT: &str = "main";

/// A node that can be read, by its index in the job file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Node {
    /// A source.
    Source(usize),
    /// An operator.
    Operator(usize),
}

/// A reference to an output that was found.
#[derive(Debug, Clone, Copy)]
pub struct Edge {
    /// The node.
    pub from: Node,
    /// Which output; none if the component of the node could not be loaded or has no such output.
    pub output: Option<Output>,
}

/// An output that a node has.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// Index in the declaration; 0 for a source.
    pub index: usize,
    /// How its records are written.
    pub format: Format,
}

/// All references of a job.
#[derive(Debug)]
pub struct Graph {
    /// For each operator, for each of its inputs: where it comes from, or none if that is a
    /// problem.
    pub inputs: Vec<Vec<Option<Edge>>>,
    /// For each sink: where it comes from, or none if that is a problem.
    pub sinks: Vec<Option<Edge>>,
    /// The operators, each after all that it reads from. Not all of them if there is a cycle.
    pub order: Vec<usize>,
}

/// Resolves every reference and looks at the whole.
pub fn resolve(
    file: &JobFile,
    declared: &[Option<&Declaration>],
    findings: &mut Findings,
) -> Graph {
    let resolver = Resolver { file, declared, ids: index(file, findings) };
    let mut input = |from: &Option<At<String>>| resolver.resolve(from.as_ref()?, findings);
    let inputs: Vec<Vec<Option<Edge>>> = file
        .operators
        .iter()
        .map(|operator| match &operator.inputs {
            Some(inputs) => inputs.iter().map(|i| input(&i.from)).collect(),
            None => vec![None],
        })
        .collect();
    let sinks: Vec<Option<Edge>> = file.sinks.iter().map(|sink| input(&sink.from)).collect();
    let graph = Graph { order: order(&inputs), inputs, sinks };
    report_cycle(file, &graph, findings);
    report_read_sinks(file, declared, &graph, findings);
    // A reference that was not found may be the missing reader.
    if graph.inputs.iter().flatten().chain(&graph.sinks).all(Option::is_some) {
        report_unread(file, declared, &graph, findings);
    }
    graph
}

#[derive(Clone, Copy)]
enum Id {
    Readable(Node),
    Sink,
}

/// All ids; the first of two that are the same wins, and the other is reported.
fn index<'f>(file: &'f JobFile, findings: &mut Findings) -> BTreeMap<&'f str, Id> {
    let sources = file.sources.iter().enumerate();
    let sources = sources.map(|(index, source)| (&source.id, Id::Readable(Node::Source(index))));
    let operators = file.operators.iter().enumerate();
    let operators =
        operators.map(|(index, operator)| (&operator.id, Id::Readable(Node::Operator(index))));
    let sinks = file.sinks.iter().map(|sink| (&sink.id, Id::Sink));
    let mut ids = BTreeMap::new();
    for (at, id) in sources.chain(operators).chain(sinks).filter(|(at, _)| !at.is_empty()) {
        if ids.contains_key(at.as_str()) {
            let problem = at.problem("is the id of another node, too");
            findings.problem(problem.hint("ids are unique over sources, operators and sinks"));
        } else {
            ids.insert(at.as_str(), id);
        }
    }
    ids
}

struct Resolver<'f> {
    file: &'f JobFile,
    declared: &'f [Option<&'f Declaration>],
    ids: BTreeMap<&'f str, Id>,
}

impl Resolver<'_> {
    fn resolve(&self, from: &At<String>, findings: &mut Findings) -> Option<Edge> {
        let (id, output) = match from.split_once('.') {
            Some((id, output)) => (id, Some(output)),
            None => (from.as_str(), None),
        };
        match self.ids.get(id) {
            None => {
                let readable = self.ids.iter().filter(|(_, id)| matches!(id, Id::Readable(_)));
                let hint = name_hint(id, "nodes", readable.map(|(id, _)| *id));
                let problem = from.problem(format!("names `{id}`, which is no node of the job"));
                findings.problem(problem.hint(hint));
                None
            }
            Some(Id::Sink) => {
                let problem = from.problem(format!("names the sink `{id}`, which has no output"));
                findings.problem(problem.hint("read from what the sink reads from"));
                None
            }
            Some(Id::Readable(from_node @ Node::Source(index))) => {
                if output.is_some() {
                    let what = format!("names an output of the source `{id}`, which has but one");
                    findings.problem(from.problem(what).hint(format!("write {id:?}")));
                }
                let format = self.file.sources[*index].format.value;
                Some(Edge { from: *from_node, output: Some(Output { index: 0, format }) })
            }
            Some(Id::Readable(from_node @ Node::Operator(index))) => {
                let output = output.unwrap_or(MAIN_OUTPUT);
                let declared = self.declared[*index];
                let output = declared.and_then(|d| find_output(from, id, output, d, findings));
                Some(Edge { from: *from_node, output })
            }
        }
    }
}

fn find_output(
    from: &At<String>,
    id: &str,
    name: &str,
    declaration: &Declaration,
    findings: &mut Findings,
) -> Option<Output> {
    let outputs = &declaration.outputs;
    let output = |index: usize| Output { index, format: outputs[index].format };
    // `main` is the first output, whatever its author called it.
    let found = match outputs.iter().position(|output| output.name == name) {
        None if name == MAIN_OUTPUT && !outputs.is_empty() => Some(0),
        found => found,
    };
    if found.is_none() {
        let hint = name_hint(name, "outputs", outputs.iter().map(|output| output.name.as_str()));
        let problem = from.problem(format!("names the output `{name}`, which `{id}` has not"));
        findings.problem(problem.hint(hint));
    }
    found.map(output)
}

/// Puts each operator after all that it reads from, and otherwise keeps the order of the job file.
fn order(inputs: &[Vec<Option<Edge>>]) -> Vec<usize> {
    let mut order: Vec<usize> = Vec::new();
    loop {
        let is_ready = |operator: &usize| {
            !order.contains(operator)
                && reads(&inputs[*operator]).all(|upstream| order.contains(&upstream))
        };
        match (0..inputs.len()).find(is_ready) {
            Some(operator) => order.push(operator),
            None => return order,
        }
    }
}

/// The operators that inputs come from.
fn reads(inputs: &[Option<Edge>]) -> impl Iterator<Item = usize> {
    inputs.iter().flatten().filter_map(|edge| match edge.from {
        Node::Operator(index) => Some(index),
        Node::Source(_) => None,
    })
}

/// Reports one cycle, if there is any. Every operator that has no place in the order reads from
/// another one that has none, so that going upstream among them must come back.
fn report_cycle(file: &JobFile, graph: &Graph, findings: &mut Findings) {
    let without_place = |operator: &usize| !graph.order.contains(operator);
    let Some(mut operator) = (0..file.operators.len()).find(without_place) else { return };
    let mut path: Vec<usize> = Vec::new();
    while !path.contains(&operator) {
        path.push(operator);
        let Some(upstream) = reads(&graph.inputs[operator]).find(without_place) else { return };
        operator = upstream;
    }
    let start = path.iter().position(|&visited| visited == operator).unwrap_or_default();
    // Downstream reads better: the first of the job file begins.
    let mut cycle: Vec<usize> = path[start..].iter().rev().copied().collect();
    let first = cycle.iter().enumerate().min_by_key(|(_, operator)| **operator);
    let first = first.map_or(0, |(index, _)| index);
    cycle.rotate_left(first);
    let id = |operator: &usize| file.operators[*operator].id.as_str();
    let names: Vec<&str> = cycle.iter().chain(&cycle[..1]).map(id).collect();
    let what = format!("is part of a cycle: {}", names.join(" -> "));
    let operator = &file.operators[cycle[0]];
    let at = operator.inputs.as_ref().map_or(operator.id.with(()), |inputs| inputs.with(()));
    let hint = "records flow one way: let one of them read from another node";
    findings.problem(at.problem(what).hint(hint));
}

/// Reports operators that read from a sink function, whose records go to sinks.
fn report_read_sinks(
    file: &JobFile,
    declared: &[Option<&Declaration>],
    graph: &Graph,
    findings: &mut Findings,
) {
    for (reader, edges) in file.operators.iter().zip(&graph.inputs) {
        let Some(inputs) = &reader.inputs else { continue };
        for (input, edge) in inputs.iter().zip(edges) {
            let (Some(Edge { from: Node::Operator(index), .. }), Some(at)) = (edge, &input.from)
            else {
                continue;
            };
            if declared[*index].is_some_and(|upstream| upstream.kind == Kind::Sink) {
                let id = file.operators[*index].id.as_str();
                let problem = at.problem(format!("reads from `{id}`, which is a sink function"));
                let hint = "only a [[sink]] reads from it; an operator reads from what it reads";
                findings.problem(problem.hint(hint));
            }
        }
    }
}

fn report_unread(
    file: &JobFile,
    declared: &[Option<&Declaration>],
    graph: &Graph,
    findings: &mut Findings,
) {
    let edges: Vec<&Edge> = graph.inputs.iter().flatten().chain(&graph.sinks).flatten().collect();
    for (index, source) in file.sources.iter().enumerate() {
        if !edges.iter().any(|edge| edge.from == Node::Source(index)) {
            let problem = source.id.problem(format!("is {:?}, which nothing reads", *source.id));
            let hint = "let an operator or a sink read from it, or remove the source";
            findings.problem(problem.hint(hint));
        }
    }
    if file.sinks.is_empty() {
        return;
    }
    for (index, operator) in file.operators.iter().enumerate() {
        let Some(declaration) = declared[index] else { continue };
        let is_main = |edge: &&Edge| {
            edge.from == Node::Operator(index)
                && edge.output.is_some_and(|output| output.index == 0)
        };
        if !declaration.outputs.is_empty() && !edges.iter().any(is_main) {
            let id = operator.id.as_str();
            findings.warning(format!("nothing reads the main output of operator `{id}`"));
        }
    }
}
