//! Tidegate with the functions compiled into this program: what the engine costs without the
//! sandbox. The job file, the plan and everything around the calls are the same.
//!
//! `comparison` starts this program once more as `tidegate-bench engine JOB.toml --report FILE`, so
//! that time and memory are those of a process, as of the other contenders.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use tidegate::flow::{Metrics, StopFlag};
use tidegate::job::{self, CodeChoice, JobFile, Requests, Restore, RunOptions};
use tidegate::model::{Fault, FaultReason, Packed, TimeDomain};
use tidegate::wasm::{
    Call, CallInput, Effects, Engine, LogSink, NativeFunction, NativeOpener, OpenContext,
    OutputColumn, StateChanges, TimerChange, TimerOperation,
};
use tidegate_sdk::bindings::exports::tidegate::function::function as contract;
use tidegate_sdk::bindings::tidegate::function::types;
use tidegate_sdk::runtime::{Instance, Native};

/// The functions of the jobs, by the names of their components.
fn find(component: &str) -> Option<Native> {
    Some(match component {
        "count" => count::native_function(),
        "periodic_pv" => periodic_pv::native_function(),
        "fake_window" => fake_window::native_function(),
        "bench_alert" => bench_alert::native_function(),
        "bench_map" => bench_map::native_function(),
        "nexmark_q0" => nexmark_q0::native_function(),
        "nexmark_q3" => nexmark_q3::native_function(),
        "nexmark_q4_winner" => nexmark_q4_winner::native_function(),
        "nexmark_q4_average" => nexmark_q4_average::native_function(),
        "nexmark_q5_counts" => nexmark_q5_counts::native_function(),
        "nexmark_q5_most" => nexmark_q5_most::native_function(),
        "nexmark_q7_auction" => nexmark_q7_auction::native_function(),
        "nexmark_q7_highest" => nexmark_q7_highest::native_function(),
        "nexmark_q8" => nexmark_q8::native_function(),
        "nexmark_q11" => nexmark_q11::native_function(),
        "nexmark_q12" => nexmark_q12::native_function(),
        "nexmark_q18" => nexmark_q18::native_function(),
        _ => return None,
    })
}

/// Runs a job file to its end and writes its report.
///
/// # Errors
/// If the job is wrong, a function is not compiled in, or the job fails.
pub fn run(job: &Path, report: &Path) -> Result<bool> {
    let mut plan = job::check(JobFile::load(job, &[])?, &Engine::new()?)?;
    for operator in &mut plan.operators {
        let path = Path::new(operator.component.name());
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let function = find(name).with_context(|| format!("{name} is not compiled in"))?;
        let open = move |context: &OpenContext| -> Result<Box<dyn NativeFunction>, Fault> {
            Ok(Box::new(Function::new(function, context)))
        };
        operator.component = operator.component.clone().with_native(NativeOpener::new(open));
    }
    let metrics = Arc::new(Metrics::of(&plan));
    let options = RunOptions {
        stop: Arc::new(StopFlag::default()),
        log: LogSink::none(),
        capture: None,
        restore: Restore::Nothing,
        code: CodeChoice::default(),
        requests: Arc::new(Requests::new(&plan.name, Arc::clone(&metrics))),
        metrics,
    };
    let (told, outcome) = job::run(&plan, &options);
    outcome?;
    std::fs::write(report, serde_json::to_string_pretty(&told)?)?;
    Ok(true)
}

thread_local! {
    /// The functions that this thread has opened, by the numbers of their partitions. A function
    /// stays with its thread, while what the host hands around between threads is a number.
    static OPENED: RefCell<HashMap<u64, Instance>> = RefCell::default();
}

/// The number of the next partition.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// A function of one partition, opened at its first call.
struct Function {
    number: u64,
    function: Native,
    context: contract::OpenContext,
}

impl Function {
    fn new(function: Native, context: &OpenContext) -> Self {
        assert!(context.ttl.iter().all(Option::is_none), "no job here has a time to live");
        let context = contract::OpenContext {
            operator: context.operator.clone(),
            partition: context.partition,
            parallelism: context.parallelism,
            parameters: context.params.clone(),
            ttl: vec![None; context.ttl.len()],
        };
        Self { number: NEXT.fetch_add(1, Ordering::Relaxed), function, context }
    }
}

impl NativeFunction for Function {
    fn call(&mut self, call: &Call<'_>) -> Result<Effects, Fault> {
        let answer = OPENED.with_borrow_mut(|opened| {
            let instance = match opened.remove(&self.number) {
                Some(instance) => instance,
                None => (self.function.open)(self.context.clone())?,
            };
            let instance = opened.entry(self.number).or_insert(instance);
            match call.input {
                CallInput::Records { .. } => instance.process(batch(call)),
                CallInput::Timers { .. } => instance.fire(timers(call)),
            }
        });
        answer.map(effects).map_err(fault)
    }

    fn extract_keys(&mut self, values: &Packed) -> Result<Packed, Fault> {
        (self.function.extract_keys)(&packed(values)).map(unpacked).map_err(fault)
    }
}

fn batch(call: &Call<'_>) -> types::Batch {
    let CallInput::Records { input, values, timestamps, watermarks, key_of } = call.input else {
        unreachable!("a call about timers")
    };
    types::Batch {
        input,
        values: types::Packed { bytes: values.0.to_vec(), ends: values.1.to_vec() },
        timestamps: timestamps.to_vec(),
        watermarks: watermarks.to_vec(),
        keys: packed(call.keys),
        key_of: key_of.to_vec(),
        states: states(call),
        operator_states: Vec::new(),
        processing_time: call.processing_time,
    }
}

fn timers(call: &Call<'_>) -> types::TimerBatch {
    let CallInput::Timers { domain, timestamps, watermarks } = call.input else {
        unreachable!("a call about records")
    };
    types::TimerBatch {
        domain: u8::from(domain == TimeDomain::Processing),
        timestamps: timestamps.to_vec(),
        keys: packed(call.keys),
        states: states(call),
        operator_states: Vec::new(),
        watermarks: watermarks.to_vec(),
        processing_time: call.processing_time,
    }
}

fn states(call: &Call<'_>) -> Vec<types::StateColumn> {
    let columns = (0_u32..).zip(call.states);
    let column = |(state, column): (u32, &tidegate::wasm::StateColumn)| types::StateColumn {
        state,
        forms: column.forms.clone(),
        values: packed(&column.values),
    };
    columns.map(column).collect()
}

fn packed(packed: &Packed) -> types::Packed {
    types::Packed { bytes: packed.bytes.clone(), ends: packed.ends.clone() }
}

fn unpacked(packed: types::Packed) -> Packed {
    Packed { bytes: packed.bytes, ends: packed.ends }
}

fn effects(effects: types::Effects) -> Effects {
    let output = |column: types::OutputColumn| OutputColumn {
        output: column.output as usize,
        values: unpacked(column.values),
        origins: column.origins,
    };
    let state = |changes: types::StateChanges| StateChanges {
        state: changes.state as usize,
        keys: changes.keys,
        operations: changes.operations,
        entries: unpacked(changes.entries),
    };
    let types::TimerChanges { timestamps, operations, origins } = effects.timers;
    let timers = timestamps.into_iter().zip(operations).zip(origins);
    let timer = |((timestamp, operation), origin): ((i64, u8), u32)| TimerChange {
        timestamp,
        domain: if operation < 2 { TimeDomain::Event } else { TimeDomain::Processing },
        operation: match operation % 2 {
            0 => TimerOperation::Register,
            _ => TimerOperation::Delete,
        },
        origin,
    };
    Effects {
        outputs: effects.outputs.into_iter().map(output).collect(),
        states: effects.states.into_iter().map(state).collect(),
        operator_states: Vec::new(),
        timers: timers.map(timer).collect(),
    }
}

fn fault(fault: types::Fault) -> Fault {
    let reason = match fault.kind {
        types::FaultKind::Malformed => FaultReason::Malformed,
        types::FaultKind::Failed => FaultReason::Failed,
    };
    let at = fault.at.map(|at| at as usize);
    Fault { reason, at, message: fault.message, backtrace: Vec::new() }
}
