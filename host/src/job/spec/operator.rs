//! `[[operator]]`.

use super::document::Value;
use super::section::{At, Mismatch, Section};
use super::ttl::TtlSpec;
use super::{names, read_id, values};
use crate::job::plan::{FaultPolicy, Field, MalformedPolicy};
use crate::model::Limits;
use crate::state::LONG_BYTES;

/// The least memory an instance of wasm can do with: one page.
const MEMORY_BYTES_MIN: u64 = 64 << 10;

/// 32-bit wasm reaches no further.
const MEMORY_BYTES_MAX: u64 = 4 << 30;

/// What can cross in one column, whose ends have 32 bits.
const COLUMN_BYTES_MAX: u64 = u32::MAX as u64;

/// Shorter lists and maps always cross whole.
const WHOLE_STATE_BYTES_MIN: u64 = LONG_BYTES as u64;

/// An operator.
#[derive(Debug)]
pub struct OperatorSpec {
    /// The id; empty if it is missing, which is reported.
    pub id: At<String>,
    /// The file of its function; none if that is reported.
    pub component: Option<At<String>>,
    /// How many partitions; none = the job's default.
    pub parallelism: Option<At<u32>>,
    /// Where its records come from; none if the key is missing or no list, which is reported.
    pub inputs: Option<At<Vec<InputSpec>>>,
    /// Parameters as text.
    pub params: Vec<(String, At<String>)>,
    /// How long states live, where it is not as declared.
    pub ttl: Vec<TtlSpec>,
    /// What the function may use.
    pub limits: Limits,
    /// What becomes of records that it cannot decode.
    pub malformed: MalformedPolicy,
    /// What becomes of records at which it faults.
    pub on_fault: FaultPolicy,
}

/// One element of `inputs`.
#[derive(Debug)]
pub struct InputSpec {
    /// `node` or `operator.output`; none if that is reported.
    pub from: Option<At<String>>,
    /// Which partition gets which record; none = the default.
    pub partition: Option<At<PartitionSpec>>,
    /// Whether `partition` is there and cannot be read, which is reported.
    pub partition_refused: bool,
}

/// `partition` of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartitionSpec {
    /// `{ key = FIELD }`.
    Key(Field),
    /// `"function"`.
    Function,
    /// `"forward"`.
    Forward,
    /// `"rebalance"`.
    Rebalance,
    /// `"broadcast"`.
    Broadcast,
}

/// Reads one `[[operator]]`.
pub fn read(mut section: Section<'_, '_>) -> OperatorSpec {
    let id = read_id(&mut section, "operator");
    let component = section.required("component", "\"function.wasm\"", values::text);
    let parallelism = section.optional("parallelism", values::parallelism);
    let inputs = read_inputs(&mut section);
    let params = read_params(&mut section);
    let ttl = super::ttl::read(&mut section);
    let limits = read_limits(&mut section);
    let malformed = section.or("malformed", values::malformed, MalformedPolicy::default());
    let on_fault = section.or("on_fault", values::on_fault, FaultPolicy::default());
    section.finish();
    OperatorSpec { id, component, parallelism, inputs, params, ttl, limits, malformed, on_fault }
}

const INPUTS_SHAPE: &str = "inputs = [{ from = \"clicks\", partition = { key = 0 } }]";

fn read_inputs(section: &mut Section<'_, '_>) -> Option<At<Vec<InputSpec>>> {
    if !section.has("inputs") {
        let example = INPUTS_SHAPE.trim_start_matches("inputs = ");
        section.report_missing("inputs", example);
        return None;
    }
    let place = section.optional("inputs", |_| Ok(()))?;
    let is_list = section.is_list("inputs");
    let inputs = section.sections("inputs", INPUTS_SHAPE, |mut section| {
        let from = section.required("from", "\"a-node\"", values::text);
        let partition = section.optional("partition", partition);
        let partition_refused = section.has("partition") && partition.is_none();
        section.finish();
        Some(InputSpec { from, partition, partition_refused })
    });
    is_list.then(|| place.with(inputs))
}

fn partition(value: &Value) -> Result<PartitionSpec, Mismatch> {
    if let Value::Table(table) = value {
        let hint = "write `{ key = 0 }` or `{ key = \"name\" }`";
        if let Some(unknown) = table.keys().find(|name| *name != "key") {
            let near = names::hint(unknown, "keys", ["key"]);
            let what = format!("has the key `{unknown}`, which is not known");
            return Err(Mismatch { what, hint: format!("{near} ({hint})") });
        }
        return match table.get("key") {
            Some(node) => values::field(&node.value).map(PartitionSpec::Key),
            None => values::mismatch(value, "a table with the key `key`", hint),
        };
    }
    let Value::Text(_) = value else {
        let hint = "write `{ key = 0 }`, \"function\", \"forward\", \"rebalance\" or \"broadcast\"";
        return values::mismatch(value, "a partitioning", hint);
    };
    let words = [
        ("function", &PartitionSpec::Function),
        ("forward", &PartitionSpec::Forward),
        ("rebalance", &PartitionSpec::Rebalance),
        ("broadcast", &PartitionSpec::Broadcast),
    ];
    values::word(value, &words).cloned()
}

/// Reads `params`.
pub(super) fn read_params(section: &mut Section<'_, '_>) -> Vec<(String, At<String>)> {
    let params = section.section("params").map(|mut section| section.entries(values::parameter));
    params.unwrap_or_default()
}

/// Reads `limits`.
pub(super) fn read_limits(section: &mut Section<'_, '_>) -> Limits {
    let mut limits = Limits::default();
    let Some(mut section) = section.section("limits") else { return limits };
    if let Some(memory) = section.optional("memory", memory) {
        limits.memory_bytes = *memory;
    }
    if let Some(call_time) = section.optional("call_time", values::positive_duration) {
        limits.call_time = *call_time;
    }
    if let Some(output_bytes) = section.optional("output_bytes", column) {
        limits.output_bytes = *output_bytes;
    }
    if let Some(state_bytes) = section.optional("state_bytes", column) {
        limits.state_bytes = *state_bytes;
    }
    if let Some(bytes) = section.optional("whole_state_bytes", whole_state) {
        limits.whole_state_bytes = *bytes;
    }
    if let Some(timers) = section.optional("timers", timers) {
        limits.timers = *timers;
    }
    section.finish();
    limits
}

fn memory(value: &Value) -> Result<usize, Mismatch> {
    match values::bytes(value)? {
        bytes @ MEMORY_BYTES_MIN..=MEMORY_BYTES_MAX => Ok(bytes as usize),
        _ => values::mismatch(value, "a size from 64KiB to 4GiB", "write a size in that range"),
    }
}

fn column(value: &Value) -> Result<usize, Mismatch> {
    match values::bytes(value)? {
        bytes @ 1..=COLUMN_BYTES_MAX => Ok(bytes as usize),
        _ => values::mismatch(value, "a size below 4GiB", "write a smaller size"),
    }
}

fn whole_state(value: &Value) -> Result<usize, Mismatch> {
    match values::bytes(value)? {
        bytes @ WHOLE_STATE_BYTES_MIN..=COLUMN_BYTES_MAX => Ok(bytes as usize),
        _ => values::mismatch(value, "a size of 4KiB or more", "write a larger size"),
    }
}

fn timers(value: &Value) -> Result<usize, Mismatch> {
    values::positive(value).map(|count| count as usize)
}
