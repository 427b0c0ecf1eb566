//! Runs another version of a function beside the one that counts: on the same calls with the same
//! state, throwing its effects away and telling in what they differ.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Operator;
use crate::env::Stopwatch;
use crate::model::{Declaration, Fault, Limits, Packed};
use crate::state::{Held, OperatorStateColumn};
use crate::wasm::{
    Call, CallInput, Component, Effects, Instance, LogSink, NamedChange, NamedChanges,
    NamedEffects, NamedRecord, NamedTimer, OpenContext, StateColumn,
};

/// So many differences are shown of each partition.
const EXAMPLES_MAX: usize = 5;

/// Longer examples are cut.
const EXAMPLE_CHARS: usize = 400;

/// A function that runs beside another one.
pub struct Shadow {
    component: Component,
    context: OpenContext,
    limits: Limits,
    log: LogSink,
    instance: Instance,
    calls_left: u64,
    report: ShadowReport,
}

/// What a function beside another one has shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowReport {
    /// Calls that both got.
    pub calls: u64,
    /// Records in them.
    pub records: u64,
    /// Timers in them.
    pub timers: u64,
    /// Calls whose effects differ: in what they send out, …
    pub different_outputs: u64,
    /// … in what they make of state, …
    pub different_states: u64,
    /// … in timers, …
    pub different_timers: u64,
    /// … or in whether and how they fault.
    pub different_faults: u64,
    /// Time of the running function in all calls, in nanoseconds.
    pub running_ns: u64,
    /// Time of the new one.
    pub new_ns: u64,
    /// Some of the differences, for people.
    pub examples: Vec<String>,
}

impl ShadowReport {
    /// Whether both did the same.
    pub fn is_same(&self) -> bool {
        let of = [self.different_outputs, self.different_states, self.different_timers];
        of.iter().sum::<u64>() + self.different_faults == 0
    }

    /// Adds what another partition found.
    pub fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.records += other.records;
        self.timers += other.timers;
        self.different_outputs += other.different_outputs;
        self.different_states += other.different_states;
        self.different_timers += other.different_timers;
        self.different_faults += other.different_faults;
        self.running_ns += other.running_ns;
        self.new_ns += other.new_ns;
        let room = EXAMPLES_MAX.saturating_sub(self.examples.len());
        self.examples.extend(other.examples.into_iter().take(room));
    }
}

impl Shadow {
    /// A function that is called beside another one so many times.
    ///
    /// # Errors
    /// A fault if it refuses its parameters, or faults.
    pub fn open(
        component: &Component,
        context: OpenContext,
        limits: &Limits,
        log: LogSink,
        calls: u64,
    ) -> Result<Self, Fault> {
        let instance = Instance::open(component, &context, limits, log.clone())?;
        let (component, limits, report) = (component.clone(), limits.clone(), Default::default());
        Ok(Self { component, context, limits, log, instance, calls_left: calls, report })
    }

    /// Calls it as the running function was called, and compares.
    pub(super) fn compare(
        &mut self,
        call: &Call<'_>,
        running: &Declaration,
        answer: &Result<Effects, Fault>,
        running_ns: u64,
    ) {
        if self.calls_left == 0 {
            return;
        }
        self.calls_left -= 1;
        let watch = Stopwatch::start();
        let other = self.call(call, running);
        self.report.new_ns += nanos(&watch);
        self.report.running_ns += running_ns;
        self.report.calls += 1;
        let key_of: Vec<u32> = match call.input {
            CallInput::Records { values, key_of, .. } => {
                self.report.records += values.1.len() as u64;
                key_of.to_vec()
            }
            CallInput::Timers { timestamps, .. } => {
                self.report.timers += timestamps.len() as u64;
                (0..timestamps.len() as u32).collect()
            }
        };
        let named = |answer: &Result<Effects, Fault>, declaration: &Declaration| match answer {
            Ok(effects) => Ok(NamedEffects::of(effects, declaration, call.keys, &key_of)),
            Err(fault) => Err(fault.to_string()),
        };
        let of_running = named(answer, running);
        let of_new = named(&other, self.component.declaration());
        self.note(&of_running, &of_new);
        if other.is_err_and(|fault| !fault.leaves_instance_usable()) {
            let opened =
                Instance::open(&self.component, &self.context, &self.limits, self.log.clone());
            match opened {
                Ok(instance) => self.instance = instance,
                Err(_) => self.calls_left = 0,
            }
        }
    }

    /// Makes the same call with state in the order of its own declaration.
    fn call(&mut self, call: &Call<'_>, running: &Declaration) -> Result<Effects, Fault> {
        let declaration = self.component.declaration();
        let keys = call.keys.len();
        let nothing = || StateColumn { forms: vec![0; keys], values: empty(keys) };
        let place = |name: &str| running.states.iter().position(|state| state.name == name);
        let places: Vec<Option<usize>> =
            declaration.states.iter().map(|state| place(&state.name)).collect();
        let column =
            |place: &Option<usize>| place.map_or_else(nothing, |at| call.states[at].clone());
        let states: Vec<StateColumn> = places.iter().map(column).collect();
        let moved = |held: &Held| {
            let state = places.iter().position(|place| *place == Some(held.state as usize))?;
            Some(Held { state: state as u32, ..held.clone() })
        };
        let held: Vec<Held> = call.held.iter().filter_map(moved).collect();
        let operator_states: Vec<OperatorStateColumn<'_>> = declaration
            .operator_states
            .iter()
            .map(|state| {
                let mut had = running.operator_states.iter();
                had.position(|had| had.name == state.name)
                    .map_or(OperatorStateColumn::NotBegun, |at| call.operator_states[at].clone())
            })
            .collect();
        self.instance.call(&Call {
            input: call.input.clone(),
            keys: call.keys,
            states: &states,
            held: &held,
            operator_states: &operator_states,
            processing_time: call.processing_time,
        })
    }

    fn note(&mut self, running: &Result<NamedEffects, String>, new: &Result<NamedEffects, String>) {
        let report = &mut self.report;
        let (is, has) = match (running, new) {
            (Ok(is), Ok(has)) => (is, has),
            (Err(is), Err(has)) if is == has => return,
            _ => {
                report.different_faults += 1;
                let show = |answer: &Result<NamedEffects, String>| match answer {
                    Ok(_) => "no fault".to_owned(),
                    Err(fault) => fault.clone(),
                };
                report.example("fault", &show(running), &show(new));
                return;
            }
        };
        if is.outputs != has.outputs {
            report.different_outputs += 1;
            let names = is.outputs.keys().chain(has.outputs.keys());
            for name in names.collect::<std::collections::BTreeSet<_>>() {
                let (is, has) = (is.outputs.get(name), has.outputs.get(name));
                let (is, has) = (is.map_or(&[][..], |r| r), has.map_or(&[][..], |r| r));
                let differs = (0..is.len().max(has.len())).find(|&at| is.get(at) != has.get(at));
                if let Some(at) = differs {
                    let (is, has) = (show_record(is.get(at)), show_record(has.get(at)));
                    report.example(&format!("output {name}"), &is, &has);
                }
            }
        }
        if is.states != has.states || is.operator_states != has.operator_states {
            report.different_states += 1;
            let all = |of: &NamedEffects| {
                let both = of.states.iter().chain(&of.operator_states);
                let changes = |one: &NamedChanges| {
                    one.changes.iter().map(show_change).collect::<Vec<_>>().join(", ")
                };
                both.map(|one| ((one.state.clone(), one.key.clone()), changes(one)))
                    .collect::<BTreeMap<_, _>>()
            };
            report.first_example("state", &all(is), &all(has), |(state, key)| match key {
                Some(key) => format!("{state} of key {key}"),
                None => state.clone(),
            });
        }
        if is.timers != has.timers {
            report.different_timers += 1;
            let all = |of: &NamedEffects| {
                let place = |one: &NamedTimer| {
                    let domain = format!("{:?}", one.domain).to_lowercase();
                    format!("of key {} at {} in {domain} time", one.key, one.timestamp)
                };
                let timers = of.timers.iter();
                let operation = |one: &NamedTimer| format!("{:?}", one.operation).to_lowercase();
                timers.map(|one| (place(one), operation(one))).collect()
            };
            report.first_example("timer", &all(is), &all(has), Clone::clone);
        }
    }
}

impl ShadowReport {
    fn example(&mut self, what: &str, running: &str, new: &str) {
        if self.examples.len() < EXAMPLES_MAX {
            let text = format!("{what}: running {running}, new {new}");
            self.examples.push(text.chars().take(EXAMPLE_CHARS).collect());
        }
    }

    /// Shows the first thing in which two maps differ.
    fn first_example<K: Ord>(
        &mut self,
        what: &str,
        running: &BTreeMap<K, String>,
        new: &BTreeMap<K, String>,
        show: impl Fn(&K) -> String,
    ) {
        let nothing = "nothing".to_owned();
        let mut keys = running.keys().chain(new.keys());
        if let Some(key) = keys.find(|key| running.get(key) != new.get(key)) {
            let of = |map: &BTreeMap<K, String>| map.get(key).unwrap_or(&nothing).clone();
            self.example(&format!("{what} {}", show(key)), &of(running), &of(new));
        }
    }
}

fn show_record(record: Option<&NamedRecord>) -> String {
    record.map_or_else(
        || "nothing".to_owned(),
        |one| format!("{} (by record or timer {})", one.record, one.cause),
    )
}

fn show_change(change: &NamedChange) -> String {
    match change {
        NamedChange::Clear => "cleared".into(),
        NamedChange::Put(value) => value.to_string(),
        NamedChange::Append(element) => format!("+ {element}"),
        NamedChange::PutEntry(key, value) => format!("{key} = {value}"),
        NamedChange::RemoveEntry(key) => format!("- {key}"),
    }
}

fn empty(strings: usize) -> Packed {
    Packed { bytes: Vec::new(), ends: vec![0; strings] }
}

pub(super) fn nanos(watch: &Stopwatch) -> u64 {
    u64::try_from(watch.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

impl Operator {
    /// Runs another function beside its own from here on.
    pub fn run_beside(&mut self, shadow: Shadow) {
        self.state.operator.set_shared(true);
        self.shadow = Some(Box::new(shadow));
    }

    /// What the function beside has shown, once it has run long enough or `at_end`.
    pub fn take_shadow_report(&mut self, at_end: bool) -> Option<ShadowReport> {
        self.shadow.as_ref().filter(|shadow| at_end || shadow.calls_left == 0)?;
        self.state.operator.set_shared(false);
        self.shadow.take().map(|shadow| shadow.report)
    }
}
