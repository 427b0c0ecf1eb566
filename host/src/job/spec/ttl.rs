//! `[operator.ttl]`: how long states live, where the job file says otherwise than the function.

use super::document::Value;
use super::section::{At, Mismatch, Section};
use super::values;
use crate::model::{TimeDomain, Ttl, TtlUpdate, TtlVisibility, millis};

/// Keys that are looked at on the heap with each record, unless the job file says otherwise.
const CLEANUP_KEYS_DEFAULT: u32 = 5;

/// The time to live of a state, by its name; none = it lives for ever.
pub type TtlSpec = (String, At<Option<Ttl>>);

/// Reads `[operator.ttl]`.
pub fn read(operator: &mut Section<'_, '_>) -> Vec<TtlSpec> {
    let Some(mut section) = operator.section("ttl") else { return Vec::new() };
    let shape = "{ time = \"10s\" }, or \"none\"";
    section.tables(shape, forever, |mut section| {
        let time = section.required("time", "\"10s\"", values::positive_duration);
        let ttl = Ttl {
            time_ms: time.map_or(1, |time| millis(time.value).max(1) as u64),
            domain: section.or("domain", domain, TimeDomain::Processing),
            update: section.or("update", update, TtlUpdate::OnCreateAndWrite),
            visibility: section.or("visibility", visibility, TtlVisibility::NeverReturnExpired),
            cleanup_in_full_snapshot: section.or(
                "cleanup_in_full_snapshot",
                values::boolean,
                false,
            ),
            cleanup_incrementally: section.or(
                "cleanup_incrementally",
                values::count_u32,
                CLEANUP_KEYS_DEFAULT,
            ),
            cleanup_in_compaction: section.or("cleanup_in_compaction", values::boolean, true),
        };
        section.finish();
        Some(ttl)
    })
}

fn forever(value: &Value) -> Result<Option<Ttl>, Mismatch> {
    values::word(value, &[("none", None)])
}

fn domain(value: &Value) -> Result<TimeDomain, Mismatch> {
    values::word(value, &[("processing", TimeDomain::Processing), ("event", TimeDomain::Event)])
}

fn update(value: &Value) -> Result<TtlUpdate, Mismatch> {
    let words = [
        ("on-create-and-write", TtlUpdate::OnCreateAndWrite),
        ("on-read-and-write", TtlUpdate::OnReadAndWrite),
    ];
    values::word(value, &words)
}

fn visibility(value: &Value) -> Result<TtlVisibility, Mismatch> {
    let words = [
        ("never-return-expired", TtlVisibility::NeverReturnExpired),
        ("return-expired-if-not-cleaned-up", TtlVisibility::ReturnExpiredIfNotCleanedUp),
    ];
    values::word(value, &words)
}
