//! `[checkpoint]`.

use std::time::Duration;

use super::document::Value;
use super::section::{At, Mismatch, Section};
use super::values;
use crate::checkpoint::Policy;
use crate::job::plan::{CheckpointMode, RetainPlan};

const INTERVAL_DEFAULT: Duration = Duration::from_secs(10);
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(600);
const KEEP_DEFAULT: u32 = 2;

/// `[checkpoint]`. What has no place here is checked already; see
/// [`CheckpointPlan`](crate::job::plan::CheckpointPlan) for meanings and defaults.
#[derive(Debug)]
pub struct CheckpointSpec {
    /// Where checkpoints lie.
    pub storage: StorageSpec,
    /// When they are taken, and how many are kept.
    pub policy: Policy,
    /// Whether barriers are aligned.
    pub mode: CheckpointMode,
    /// Whether they outlive a cancelled job.
    pub retain: RetainPlan,
    /// Whether a checkpoint is restored although there is a newer savepoint.
    pub prefer_checkpoint: bool,
}

/// Where checkpoints lie.
#[derive(Debug)]
pub enum StorageSpec {
    /// `memory`, `file://…` or `s3://…`.
    Written(At<String>),
    /// Not said; with the place of the section.
    Missing(At<()>),
    /// Cannot be read, which is reported.
    Unreadable,
}

/// Reads `[checkpoint]`; none if there is none.
pub fn read(root: &mut Section<'_, '_>) -> Option<CheckpointSpec> {
    let mut section = root.section("checkpoint")?;
    let storage = match section.optional("storage", storage) {
        Some(storage) => StorageSpec::Written(storage),
        None if section.has("storage") => StorageSpec::Unreadable,
        None => StorageSpec::Missing(section.at(())),
    };
    let policy = Policy {
        interval: section.or("interval", values::positive_duration, INTERVAL_DEFAULT),
        timeout: section.or("timeout", values::positive_duration, TIMEOUT_DEFAULT),
        min_pause: section.or("min_pause", values::duration, Duration::ZERO),
        max_concurrent: section.or("max_concurrent", values::positive_u32, 1),
        tolerable_failures: section.or("tolerable_failures", values::count_u32, 0),
        keep: section.or("keep", values::positive_u32, KEEP_DEFAULT),
    };
    let checkpoint = CheckpointSpec {
        storage,
        policy,
        mode: section.or("mode", mode, CheckpointMode::default()),
        retain: section.or("retain", retain, RetainPlan::default()),
        prefer_checkpoint: section.or("prefer_checkpoint", values::boolean, false),
    };
    section.finish();
    Some(checkpoint)
}

fn storage(value: &Value) -> Result<String, Mismatch> {
    let text = values::text(value)?;
    let has_place = |scheme: &str| text.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty());
    if text == "memory" || has_place("file://") || has_place("s3://") {
        return Ok(text);
    }
    let hint = "write \"memory\", \"file://FOLDER\" or \"s3://BUCKET/PREFIX\"";
    values::mismatch(value, "a storage", hint)
}

fn mode(value: &Value) -> Result<CheckpointMode, Mismatch> {
    let words = [
        ("exactly-once", CheckpointMode::ExactlyOnce),
        ("at-least-once", CheckpointMode::AtLeastOnce),
    ];
    values::word(value, &words)
}

/// `true` and `false` are what the two words mean.
fn retain(value: &Value) -> Result<RetainPlan, Mismatch> {
    match value {
        Value::Boolean(true) => Ok(RetainPlan::OnCancel),
        Value::Boolean(false) => Ok(RetainPlan::Never),
        other => values::word(
            other,
            &[("on-cancel", RetainPlan::OnCancel), ("never", RetainPlan::Never)],
        ),
    }
}
