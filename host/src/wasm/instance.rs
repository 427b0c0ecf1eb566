//! One instance of a component: the only door through which untrusted code is entered.
//!
//! Every call is bounded in time (the engine's epoch) and memory (the store's limiter), and
//! everything it returns is checked by `effects`. After a trap an instance is dead; its owner opens
//! another.

use std::fmt;

use wasmtime::{Store, Trap, WasmBacktrace};

use super::bindings::{self, Operator, OperatorPre, types};
use super::effects::{self, Effects, Extent, NextPoll};
use super::engine::TICK;
use super::guest_state::{GuestState, LogSink, printable};
use super::migrations::{self, Migrated, Migration};
use super::{Component, Engine, NativeFunction, bindings::declarations, ttl};
use crate::model::{Fault, FaultReason, Limits, Packed, TimeDomain, Ttl};
use crate::state::{Held, OperatorStateColumn};

/// What an instance is told about its place in the job.
#[derive(Debug, Clone)]
pub struct OpenContext {
    /// The operator's id.
    pub operator: String,
    /// Index of the partition.
    pub partition: u32,
    /// How many partitions there are.
    pub parallelism: u32,
    /// Parameters as text.
    pub params: Vec<(String, String)>,
    /// For each declared state, how long it lives in this job.
    pub ttl: Vec<Option<Ttl>>,
}

/// One declared state for the keys of a call, as the contract's `state-column`.
#[derive(Debug, Clone, Default)]
pub struct StateColumn {
    /// For each key, 0 if it has no such state, 1 if it is in `values`, 2 if it is held back.
    pub forms: Vec<u8>,
    /// For each key, the state, or nothing.
    pub values: Packed,
}

/// What a call is about.
#[derive(Debug, Clone)]
pub enum CallInput<'a> {
    /// Records to process.
    Records {
        /// Index of the declared input.
        input: u32,
        /// The bytes of the records, and where each ends in them.
        values: (&'a [u8], &'a [u32]),
        /// Event times, `TIME_NONE` where there is none.
        timestamps: &'a [i64],
        /// The watermark before each record.
        watermarks: &'a [i64],
        /// For each record, the index of its key; empty without keys.
        key_of: &'a [u32],
    },
    /// Timers to fire, one for each key.
    Timers {
        /// All of one domain.
        domain: TimeDomain,
        /// Ascending.
        timestamps: &'a [i64],
        /// The watermark as each timer sees it.
        watermarks: &'a [i64],
    },
}

/// Everything that a call gets.
#[derive(Debug)]
pub struct Call<'a> {
    /// Records or timers.
    pub input: CallInput<'a>,
    /// The distinct keys.
    pub keys: &'a Packed,
    /// One column for each declared state.
    pub states: &'a [StateColumn],
    /// Lists and maps that are too long to be brought whole.
    pub held: &'a [Held],
    /// One for each declared operator state.
    pub operator_states: &'a [OperatorStateColumn<'a>],
    /// The host's clock, in milliseconds.
    pub processing_time: i64,
}

/// A component that has been opened and can be called.
pub struct Instance {
    store: Store<GuestState>,
    raw: wasmtime::component::Instance,
    guest: Operator,
    component: Component,
    limits: Limits,
    /// For each declared state, whether what it holds begins with access times.
    stamped: Vec<bool>,
    /// What is called instead of the guest, if anything.
    native: Option<Box<dyn NativeFunction>>,
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Instance of {:?}", self.component)
    }
}

impl Instance {
    /// Instantiates a component and opens it.
    ///
    /// # Errors
    /// A fault if the function refuses its parameters, or faults.
    pub fn open(
        component: &Component,
        context: &OpenContext,
        limits: &Limits,
        log: LogSink,
    ) -> Result<Self, Fault> {
        let opened = instantiate(component.engine(), component.pre(), limits, log)?;
        let (mut store, raw, guest) = opened;
        let parameters: Vec<(&str, &str)> =
            context.params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let ttl: Vec<_> =
            context.ttl.iter().map(|ttl| ttl.as_ref().map(ttl::to_contract)).collect();
        let stamped = context.ttl.iter().map(Option::is_some).collect();
        let native = component.native().map(|native| native.open(context)).transpose()?;
        let context = bindings::OpenContext {
            operator: &context.operator,
            partition: context.partition,
            parallelism: context.parallelism,
            parameters: &parameters,
            ttl: &ttl,
        };
        let answer = guest.tidegate_function_function().call_open(&mut store, context);
        finish(&mut store, limits, answer)?.map_err(|fault| convert_fault(fault, 0))?;
        let (component, limits) = (component.clone(), limits.clone());
        Ok(Self { store, raw, guest, component, limits, stamped, native })
    }

    /// Asks a fresh instance what it is, and which migrations it has.
    pub(super) fn describe(
        engine: &Engine,
        pre: &OperatorPre<GuestState>,
        limits: &Limits,
        log: LogSink,
    ) -> Result<(declarations::Declaration, Vec<Migration>), Fault> {
        let (mut store, raw, guest) = instantiate(engine, pre, limits, log)?;
        let answer = guest.tidegate_function_function().call_describe(&mut store);
        let declaration = finish(&mut store, limits, answer)?;
        let Some(interface) = migrations::find(&mut store, &raw) else {
            return Ok((declaration, Vec::new()));
        };
        prepare(&mut store, limits);
        let answer = migrations::describe(&mut store, &raw, &interface);
        Ok((declaration, finish(&mut store, limits, answer)?))
    }

    /// Takes the state `state` of some keys from schema version `from_version` to the next: a step
    /// that the component has.
    ///
    /// # Errors
    /// A fault, with the index of the cell if the function knows it.
    pub fn migrate(
        &mut self,
        state: &str,
        from_version: u32,
        keys: &Packed,
        values: &Packed,
    ) -> Result<Migrated, Fault> {
        prepare(&mut self.store, &self.limits);
        let interface = migrations::find(&mut self.store, &self.raw).ok_or_else(|| {
            Fault::new(FaultReason::BadEffects, "the function exports no migrations")
        })?;
        let (store, raw) = (&mut self.store, &self.raw);
        let step = (state, from_version);
        let answer =
            migrations::migrate(store, raw, &interface, step, packed(keys), packed(values));
        let answer = finish(&mut self.store, &self.limits, answer)?;
        let migrated = answer.map_err(|fault| convert_fault(fault, keys.len()))?;
        migrations::check(migrated, keys.len())
    }

    /// Makes one call and checks its effects. After a fault that does not leave the instance
    /// usable, it must be dropped.
    ///
    /// # Errors
    /// A fault; then nothing that the call did counts.
    pub fn call(&mut self, call: &Call<'_>) -> Result<Effects, Fault> {
        if let Some(native) = &mut self.native {
            return native.call(call);
        }
        prepare(&mut self.store, &self.limits);
        self.store.data_mut().held = call.held.to_vec();
        let states: Vec<types::StateColumn<'_>> =
            call.states.iter().enumerate().map(column).collect();
        let operator_states: Vec<_> = call.operator_states.iter().map(operator_state).collect();
        let function = self.guest.tidegate_function_function();
        let is_broadcast = match call.input {
            CallInput::Records { input, .. } => {
                self.component.declaration().kind.is_broadcast(input as usize)
            }
            CallInput::Timers { .. } => false,
        };
        let (causes, answer) = match call.input {
            CallInput::Records { input, values, timestamps, watermarks, key_of } => {
                let batch = types::Batch {
                    input,
                    values: types::PackedParam { bytes: values.0, ends: values.1 },
                    timestamps,
                    watermarks,
                    keys: packed(call.keys),
                    key_of,
                    states: &states,
                    operator_states: &operator_states,
                    processing_time: call.processing_time,
                };
                (values.1.len(), function.call_process(&mut self.store, batch))
            }
            CallInput::Timers { domain, timestamps, watermarks } => {
                let timers = types::TimerBatch {
                    domain: u8::from(domain == TimeDomain::Processing),
                    timestamps,
                    keys: packed(call.keys),
                    states: &states,
                    operator_states: &operator_states,
                    watermarks,
                    processing_time: call.processing_time,
                };
                (timestamps.len(), function.call_fire(&mut self.store, timers))
            }
        };
        // Nobody else may hold on to what is about to change.
        self.store.data_mut().held.clear();
        let answer = finish(&mut self.store, &self.limits, answer)?;
        let raw = answer.map_err(|fault| convert_fault(fault, causes))?;
        let declaration = self.component.declaration();
        let keys = call.keys.len();
        let call = Extent { causes, keys, stamped: &self.stamped, is_broadcast };
        effects::check(raw, declaration, &call, &self.limits)
    }

    /// Asks a source for at most `records_max` records and checks the answer.
    ///
    /// # Errors
    /// A fault, as of [`call`](Self::call).
    pub fn poll(
        &mut self,
        records_max: u32,
        operator_states: &[OperatorStateColumn<'_>],
        processing_time: i64,
    ) -> Result<(Effects, NextPoll), Fault> {
        prepare(&mut self.store, &self.limits);
        let operator_states: Vec<_> = operator_states.iter().map(operator_state).collect();
        let request =
            types::PollRequest { records_max, operator_states: &operator_states, processing_time };
        let answer = self.guest.tidegate_function_function().call_poll(&mut self.store, request);
        let answer = finish(&mut self.store, &self.limits, answer)?;
        let raw = answer.map_err(|fault| convert_fault(fault, 0))?;
        let next = match raw.next {
            types::NextPoll::Now => NextPoll::Now,
            types::NextPoll::At(time) => NextPoll::At(time),
            types::NextPoll::Never => NextPoll::Never,
        };
        let call = Extent { causes: 1, keys: 0, stamped: &self.stamped, is_broadcast: false };
        let effects =
            effects::check(raw.effects, self.component.declaration(), &call, &self.limits)?;
        let sent: usize = effects.outputs.iter().map(|column| column.values.len()).sum();
        if sent > records_max as usize {
            let message =
                format!("malformed effects: {sent} records, but {records_max} were asked");
            return Err(Fault::new(FaultReason::BadEffects, message));
        }
        Ok((effects, next))
    }

    /// Asks for the key of each record.
    ///
    /// # Errors
    /// A fault, also if the answer has not one key a record.
    pub fn extract_keys(&mut self, input: u32, values: &Packed) -> Result<Packed, Fault> {
        if let Some(native) = &mut self.native {
            return native.extract_keys(values);
        }
        prepare(&mut self.store, &self.limits);
        let function = self.guest.tidegate_function_function();
        let answer = function.call_extract_keys(&mut self.store, input, packed(values));
        let answer = finish(&mut self.store, &self.limits, answer)?;
        let raw = answer.map_err(|fault| convert_fault(fault, values.len()))?;
        effects::check_keys(raw, values.len())
    }

    /// Tells the guest that its partition ends in good order.
    ///
    /// # Errors
    /// A fault.
    pub fn close(mut self) -> Result<(), Fault> {
        prepare(&mut self.store, &self.limits);
        let answer = self.guest.tidegate_function_function().call_close(&mut self.store);
        finish(&mut self.store, &self.limits, answer)
    }
}

fn column((state, column): (usize, &StateColumn)) -> types::StateColumn<'_> {
    types::StateColumn {
        state: u32::try_from(state).expect("a function declares few states"),
        forms: &column.forms,
        values: packed(&column.values),
    }
}

fn operator_state<'a>(column: &'a OperatorStateColumn<'_>) -> types::OperatorState<'a> {
    let (form, value): (u8, &[u8]) = match column {
        OperatorStateColumn::NotBegun => (0, &[]),
        OperatorStateColumn::Whole(value) => (1, value.as_ref()),
        OperatorStateColumn::AsLeft => (2, &[]),
    };
    types::OperatorState { form, value }
}

fn packed(packed: &Packed) -> types::PackedParam<'_> {
    types::PackedParam { bytes: &packed.bytes, ends: &packed.ends }
}

fn instantiate(
    engine: &Engine,
    pre: &OperatorPre<GuestState>,
    limits: &Limits,
    log: LogSink,
) -> Result<(Store<GuestState>, wasmtime::component::Instance, Operator), Fault> {
    let state = GuestState::new(limits, log);
    let mut store = Store::new(engine.wasmtime(), state);
    store.limiter(|state| state);
    // What one call may copy out of the guest. A guest cannot hold more than its memory, but it can
    // name the same bytes many times over.
    store.set_hostcall_fuel(limits.memory_bytes.saturating_add(limits.output_bytes).max(128 << 20));
    prepare(&mut store, limits);
    let raw = pre.instance_pre().instantiate(&mut store);
    let raw = finish(&mut store, limits, raw)?;
    let guest = Operator::new(&mut store, &raw);
    let guest = finish(&mut store, limits, guest)?;
    Ok((store, raw, guest))
}

/// Starts the clock of a call.
fn prepare(store: &mut Store<GuestState>, limits: &Limits) {
    // One tick more, since the first may come at once.
    let ticks = limits.call_time.as_millis().div_ceil(TICK.as_millis()) + 1;
    store.set_epoch_deadline(u64::try_from(ticks).unwrap_or(u64::MAX));
    let state = store.data_mut();
    state.memory_denied = None;
    state.last_error = None;
}

/// Turns wasmtime's answer to a call into a value or a fault.
fn finish<T>(
    store: &mut Store<GuestState>,
    limits: &Limits,
    answer: wasmtime::Result<T>,
) -> Result<T, Fault> {
    let error = match answer {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let state = store.data_mut();
    let (reason, message) = match (error.downcast_ref::<Trap>(), state.memory_denied) {
        (Some(Trap::Interrupt), _) => {
            let time = limits.call_time;
            (
                FaultReason::CallTime,
                format!("the call took longer than its limit call_time of {time:?}"),
            )
        }
        (_, Some(denied)) => {
            let limit = limits.memory_bytes;
            let message = format!(
                "the function wanted {denied} bytes of memory; its limit memory is {limit}"
            );
            (FaultReason::Memory, message)
        }
        (Some(trap), None) => {
            let message = match state.last_error.take() {
                Some(panic) => format!("the function trapped: {panic}"),
                None => format!("the function trapped: {trap}"),
            };
            (FaultReason::Trap, message)
        }
        // An answer that the component model itself refuses: a string that is no UTF-8, a bad
        // variant, …
        (None, None) => (FaultReason::BadEffects, format!("malformed effects: {error:#}")),
    };
    let mut fault = Fault::new(reason, message);
    fault.backtrace = error.downcast_ref::<WasmBacktrace>().map(frames).unwrap_or_default();
    Err(fault)
}

/// The frames of a trap, innermost first, from the one in which the author's or a library's code
/// gave up: what lies within is the language's own machinery of panics and allocation.
fn frames(backtrace: &WasmBacktrace) -> Vec<String> {
    let frames: Vec<String> = backtrace.frames().iter().map(frame).collect();
    let machinery = ["__rustc::", "std::", "core::", "alloc::"];
    let is_machinery = |frame: &&String| machinery.iter().any(|name| frame.starts_with(name));
    let inner = frames.iter().take_while(is_machinery).count();
    frames[if inner == frames.len() { 0 } else { inner }..].to_vec()
}

fn frame(frame: &wasmtime::FrameInfo) -> String {
    let function = frame.func_name().map_or_else(
        || format!("function {}", frame.func_index()),
        // The alternate form leaves out the hashes.
        |name| format!("{:#}", rustc_demangle::demangle(name)),
    );
    match frame.symbols().first().and_then(|symbol| Some((symbol.file()?, symbol.line()?))) {
        Some((file, line)) => format!("{function} ({file}:{line})"),
        None => function,
    }
}

fn convert_fault(fault: types::Fault, causes: usize) -> Fault {
    let reason = match fault.kind {
        types::FaultKind::Malformed => FaultReason::Malformed,
        types::FaultKind::Failed => FaultReason::Failed,
    };
    // An index out of range is a guest's mistake in telling; the fault itself stands.
    let at = fault.at.map(|at| at as usize).filter(|&at| at < causes);
    Fault { reason, at, message: printable(&fault.message), backtrace: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn what_guests_say_cannot_play_with_the_terminal() {
        assert_eq!(printable("é\u{1b}[2J\n"), "é\\u{1b}[2J\\n");
        assert_eq!(printable(&"ü".repeat(5000)).chars().count(), 2048 + 2);
    }
}
