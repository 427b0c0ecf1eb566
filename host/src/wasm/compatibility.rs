//! Whether a function can take the place of another one, by what both declare: the gate before a
//! swap, and before a restore with other code.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Component, Migration};
use crate::model::{
    Declaration, OperatorStateDeclaration, Redistribution, StateDeclaration, StateKind, Ttl,
};

/// What a comparison comes to, from the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Both declare the same.
    Identical,
    /// The new function can go on with what there is.
    Compatible,
    /// It can, with migrations that it brings along.
    Migrates,
    /// It could, if it brought migrations along.
    NeedsMigration,
    /// It cannot take the place of the other.
    Refused,
}

impl Verdict {
    /// Whether the new function can take the place of the other.
    pub fn allows(self) -> bool {
        self <= Verdict::Migrates
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Identical => "identical",
            Verdict::Compatible => "compatible",
            Verdict::Migrates => "compatible, with migrations",
            Verdict::NeedsMigration => "needs a migration",
            Verdict::Refused => "refused",
        })
    }
}

/// One thing in which two functions differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// What it alone would come to.
    pub verdict: Verdict,
    /// What is different.
    pub what: String,
    /// What follows, or what to do.
    pub advice: String,
}

/// All differences of two functions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// The worst of them.
    pub verdict: Verdict,
    /// In the order of the declaration.
    pub differences: Vec<Difference>,
}

/// How a job uses a function.
#[derive(Debug, Clone, Default)]
pub struct Usage<'a> {
    /// The outputs that somebody reads.
    pub outputs_read: Vec<&'a str>,
    /// The parameters that the job file sets.
    pub params: Vec<&'a str>,
    /// Whether somebody asks it for keys.
    pub extracts_keys: bool,
    /// How long each declared state of the function before lives.
    pub ttl_before: &'a [Option<Ttl>],
    /// How long each declared state of the new one lives.
    pub ttl_after: &'a [Option<Ttl>],
}

/// Compares a new function with the one whose place it is to take.
pub fn compare(before: &Component, after: &Component, usage: &Usage<'_>) -> Comparison {
    compare_declarations(before.declaration(), after.declaration(), after.migrations(), usage)
}

/// Compares what two functions declare; `migrations` are those of the new one.
pub fn compare_declarations(
    before: &Declaration,
    after: &Declaration,
    migrations: &[Migration],
    usage: &Usage<'_>,
) -> Comparison {
    let mut found = Found { differences: Vec::new(), migrations };
    found.compare_shape(before, after, usage);
    found.compare_outputs(before, after, usage);
    found.compare_states(before, after, usage);
    found.compare_operator_states(&before.operator_states, &after.operator_states);
    found.compare_parameters(before, after, usage);
    let verdicts = found.differences.iter().map(|difference| difference.verdict);
    let verdict = verdicts.max().unwrap_or(Verdict::Identical);
    Comparison { verdict, differences: found.differences }
}

struct Found<'a> {
    differences: Vec<Difference>,
    migrations: &'a [Migration],
}

impl Found<'_> {
    fn note(&mut self, verdict: Verdict, what: impl Into<String>, advice: impl Into<String>) {
        let (what, advice) = (what.into(), advice.into());
        self.differences.push(Difference { verdict, what, advice });
    }

    fn compare_shape(&mut self, before: &Declaration, after: &Declaration, usage: &Usage<'_>) {
        if before.kind != after.kind {
            self.note(
                Verdict::Refused,
                format!(
                    "it is a {} function, not a {} function",
                    after.kind.name(),
                    before.kind.name()
                ),
                "records would have to reach its partitions in another way: stop the job with a \
                 savepoint, change the job file and restore",
            );
        }
        for (had, has) in before.inputs.iter().zip(&after.inputs) {
            if had.name != has.name {
                self.note(
                    Verdict::Compatible,
                    format!("input {:?} is called {:?}", had.name, has.name),
                    "inputs are told apart by their order in the job file",
                );
            }
            if had.type_name != has.type_name {
                self.note(
                    Verdict::Compatible,
                    format!(
                        "input {:?} is decoded as {}, not {}",
                        has.name, has.type_name, had.type_name
                    ),
                    "records that cannot be decoded so are malformed",
                );
            }
        }
        if before.timers && !after.timers {
            self.note(
                Verdict::Refused,
                "it has no timers, but timers of the running function may be pending",
                "keep the callback for timers; it may ignore them",
            );
        }
        if !before.timers && after.timers {
            self.note(Verdict::Compatible, "it registers timers", "none is pending yet");
        }
        if usage.extracts_keys && !after.extracts_keys {
            self.note(
                Verdict::Refused,
                "it extracts no keys, which the job file asks it for",
                "export the key selector again, or partition by a field after a restart",
            );
        }
    }

    fn compare_outputs(&mut self, before: &Declaration, after: &Declaration, usage: &Usage<'_>) {
        for had in &before.outputs {
            let name = &had.name;
            let is_read = usage.outputs_read.contains(&name.as_str());
            match after.outputs.iter().find(|has| has.name == *name) {
                None if is_read => self.note(
                    Verdict::Refused,
                    format!("output {name:?} is gone, which the job reads"),
                    "keep the output, or take its readers out of the job file first",
                ),
                None => self.note(
                    Verdict::Compatible,
                    format!("output {name:?} is gone"),
                    "nobody reads it",
                ),
                Some(has) if has.format != had.format => {
                    let formats = format!("{:?} instead of {:?}", has.format, had.format);
                    let what = format!("output {name:?} is {}", formats.to_lowercase());
                    match is_read {
                        true => self.note(
                            Verdict::Refused,
                            what,
                            "its readers expect the format that it had: give the new format an \
                             output of its own",
                        ),
                        false => self.note(Verdict::Compatible, what, "nobody reads it"),
                    }
                }
                Some(_) => {}
            }
        }
        for has in &after.outputs {
            if before.outputs.iter().all(|had| had.name != has.name) {
                self.note(
                    Verdict::Compatible,
                    format!("output {:?} is new", has.name),
                    "nobody reads it before the job file says so and the job is restarted",
                );
            }
        }
    }

    fn compare_states(&mut self, before: &Declaration, after: &Declaration, usage: &Usage<'_>) {
        let ttl = |ttl: &[Option<Ttl>], index: usize| ttl.get(index).copied().flatten();
        for (index, had) in before.states.iter().enumerate() {
            let name = &had.name;
            let Some(place) = after.states.iter().position(|has| has.name == *name) else {
                self.note_gone(format!("state {name:?}"));
                continue;
            };
            let has = &after.states[place];
            if had.kind != has.kind {
                self.note_kind(name, word(had.kind), word(has.kind));
                continue;
            }
            let of = |one: &StateDeclaration| (one.schema_version, one.type_name.clone());
            self.compare_schema(&format!("state {name:?}"), name, of(had), of(has));
            self.compare_ttl(name, ttl(usage.ttl_before, index), ttl(usage.ttl_after, place));
        }
        for has in &after.states {
            if before.states.iter().all(|had| had.name != has.name) {
                self.note_new(format!("state {:?}", has.name));
            }
        }
    }

    fn compare_operator_states(
        &mut self,
        before: &[OperatorStateDeclaration],
        after: &[OperatorStateDeclaration],
    ) {
        for had in before {
            let name = &had.name;
            let Some(has) = after.iter().find(|has| has.name == *name) else {
                self.note_gone(format!("operator state {name:?}"));
                continue;
            };
            if had.redistribution != has.redistribution {
                let word = |how: Redistribution| how.name();
                self.note_kind(name, word(had.redistribution), word(has.redistribution));
                continue;
            }
            let of = |one: &OperatorStateDeclaration| (one.schema_version, one.type_name.clone());
            self.compare_schema(&format!("operator state {name:?}"), name, of(had), of(has));
        }
        for has in after {
            if before.iter().all(|had| had.name != has.name) {
                self.note_new(format!("operator state {:?}", has.name));
            }
        }
    }

    fn note_gone(&mut self, what: String) {
        self.note(
            Verdict::Compatible,
            format!("{what} is gone"),
            "it is kept until the swap is confirmed, then removed",
        );
    }

    fn note_new(&mut self, what: String) {
        self.note(Verdict::Compatible, format!("{what} is new"), "it begins empty");
    }

    fn note_kind(&mut self, name: &str, had: &str, has: &str) {
        self.note(
            Verdict::Refused,
            format!("state {name:?} is a {has}, not a {had}"),
            "a state of another kind needs another name",
        );
    }

    fn compare_schema(
        &mut self,
        what: &str,
        name: &str,
        (had, had_type): (u32, String),
        (has, has_type): (u32, String),
    ) {
        if has < had {
            return self.note(
                Verdict::Refused,
                format!("{what} has schema version {has}, less than the {had} of what is there"),
                "state cannot be taken to an earlier version; `swap --to-previous` undoes a swap \
                 that is not confirmed yet",
            );
        }
        if had == has {
            if had_type != has_type {
                self.note(
                    Verdict::NeedsMigration,
                    format!(
                        "{what} is of type {has_type}, not {had_type}, in the same schema version"
                    ),
                    format!(
                        "raise its schema version to {} and add a migration from {had}; if the \
                         encoding is the same, keep the type's name",
                        had + 1
                    ),
                );
            }
            return;
        }
        let has_step = |version: u32| {
            self.migrations.iter().any(|step| step.state == name && step.from_version == version)
        };
        match (had..has).find(|version| !has_step(*version)) {
            Some(version) => self.note(
                Verdict::NeedsMigration,
                format!("{what} has schema version {has}, what is there has {had}"),
                format!("add a migration from version {version} to {}", version + 1),
            ),
            None => self.note(
                Verdict::Migrates,
                format!("{what} goes from schema version {had} to {has}"),
                "entries migrate at their first access and in the background; nothing is committed \
                 before the swap is confirmed",
            ),
        }
    }

    fn compare_ttl(&mut self, name: &str, had: Option<Ttl>, has: Option<Ttl>) {
        if had == has {
            return;
        }
        let advice = match (had, has) {
            (None, Some(_)) => "what is there counts as accessed at the swap",
            (Some(_), None) => "what has not been cleaned up lives for ever",
            (Some(had), Some(has)) if had.domain != has.domain => {
                "what is there counts as accessed at the swap, by the new clock"
            }
            _ => "it holds for what is there too",
        };
        let show = |ttl: Option<Ttl>| match ttl {
            None => "none".to_owned(),
            Some(ttl) => format!("{} ms in {:?} time", ttl.time_ms, ttl.domain).to_lowercase(),
        };
        let what = match (had, has) {
            (Some(a), Some(b)) if a.time_ms == b.time_ms && a.domain == b.domain => {
                format!("the time to live of state {name:?} has other settings")
            }
            _ => format!("the time to live of state {name:?} is {}, not {}", show(has), show(had)),
        };
        self.note(Verdict::Compatible, what, advice);
    }

    fn compare_parameters(&mut self, before: &Declaration, after: &Declaration, usage: &Usage<'_>) {
        let is_set = |name: &str| usage.params.contains(&name);
        for has in &after.parameters {
            let name = &has.name;
            let had = before.parameters.iter().find(|had| had.name == *name);
            match (had, &has.default) {
                (_, None) if !is_set(name) => self.note(
                    Verdict::Refused,
                    format!(
                        "parameter {name:?} ({}) must be set, which the job file does not do",
                        has.type_name
                    ),
                    "give it a default, or set it in the job file and restart the job",
                ),
                (None, default) => {
                    let taken = default.as_ref().filter(|_| !is_set(name));
                    let advice = taken.map_or_else(
                        || "the job file sets it".to_owned(),
                        |default| format!("it is {default}"),
                    );
                    self.note(Verdict::Compatible, format!("parameter {name:?} is new"), advice);
                }
                (Some(had), _) if had.type_name != has.type_name => self.note(
                    Verdict::Compatible,
                    format!(
                        "parameter {name:?} is of type {}, not {}",
                        has.type_name, had.type_name
                    ),
                    "the function was opened with what the job file says, and took it",
                ),
                (Some(had), default) if had.default != *default && !is_set(name) => {
                    let show = |default: &Option<String>| default.clone().unwrap_or_default();
                    self.note(
                        Verdict::Compatible,
                        format!(
                            "parameter {name:?} is {} by default, not {}",
                            show(default),
                            show(&had.default)
                        ),
                        "the new default holds",
                    );
                }
                _ => {}
            }
        }
        for had in &before.parameters {
            if after.parameters.iter().all(|has| has.name != had.name) {
                let advice = match is_set(&had.name) {
                    true => "what the job file sets is not passed on",
                    false => "the job file does not set it",
                };
                self.note(Verdict::Compatible, format!("parameter {:?} is gone", had.name), advice);
            }
        }
    }
}

fn word(kind: StateKind) -> &'static str {
    match kind {
        StateKind::Value => "value",
        StateKind::List => "list",
        StateKind::Map => "map",
        StateKind::Reducing => "reducing state",
        StateKind::Aggregating => "aggregating state",
    }
}

#[cfg(test)]
mod tests;
