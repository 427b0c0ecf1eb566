//! `tidegate swap`: gives an operator of a running job another function.

use std::path::PathBuf;

use super::failure::Failure;
use super::ui::Ui;
use crate::error::{Error, Result};
use crate::job::control::{
    Confirm, OnFault, Registry, Request, SwapAnswer, SwapOutcome, SwapRequest,
};
use crate::job::spec::parse_duration;
use crate::operator::ShadowReport;
use crate::wasm::compatibility::{Comparison, Verdict};

/// Give an operator of a running job another function, without losing its state
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    tidegate swap periodic-pv pv new_pv.wasm --dry-run\n  \
    tidegate swap periodic-pv pv new_pv.wasm\n  \
    tidegate swap periodic-pv pv new_pv.wasm --shadow 1000 --promote\n  \
    tidegate swap periodic-pv pv --to-previous\n\n\
    All partitions change over at one barrier; sources, other operators and state stay up. Until\n\
    the swap is confirmed a fault of the new function brings the one before back by itself.\n\
    Exit status: 0 the function has changed, or would; 1 it cannot; 3 it faulted.")]
pub struct Arguments {
    /// The job's name, or NAME-PID where several have it
    #[arg(value_name = "JOB")]
    job: String,
    /// The operator's id in the job file
    #[arg(value_name = "OPERATOR")]
    operator: String,
    /// The new function
    #[arg(value_name = "FILE.wasm", required_unless_present = "to_previous")]
    component: Option<PathBuf>,
    /// Compare what both functions declare, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Run the new function beside the running one for so many calls of each partition, throw its
    /// effects away and tell in what they differ
    #[arg(long, value_name = "CALLS")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    shadow: Option<u64>,
    /// Change over if the shadow run shows no difference
    #[arg(long, requires = "shadow")]
    promote: bool,
    /// What a fault of the new function does before the swap is confirmed
    #[arg(long, value_name = "rollback|fail", default_value = "rollback")]
    on_fault: OnFaultArgument,
    /// When there is no way back any more: after so many checkpoints, or after a time such as 10m
    #[arg(long, value_name = "N|DURATION", default_value = "3", value_parser = parse_confirm)]
    confirm_after: Confirm,
    /// Go back to the function before: undo the swap that is not confirmed yet, or swap again
    #[arg(long, conflicts_with_all = ["component", "shadow"])]
    to_previous: bool,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum OnFaultArgument {
    /// The function before comes back.
    Rollback,
    /// What the job's policy says.
    Fail,
}

fn parse_confirm(text: &str) -> Result<Confirm, String> {
    if let Ok(count) = text.parse() {
        return Ok(Confirm::Checkpoints(count));
    }
    let duration = parse_duration(text);
    let duration = duration.ok_or("write a number of checkpoints, or a time such as \"10m\"")?;
    Ok(Confirm::AfterMs(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
}

/// Asks, waits, prints.
pub fn run(arguments: &Arguments, ui: &Ui) -> Result<(), Failure> {
    let absolute = |path: &PathBuf| {
        let failed =
            |cause| Error::input(format!("cannot tell where {path:?} is")).caused_by(cause);
        std::path::absolute(path).map_err(failed)
    };
    let request = SwapRequest {
        operator: arguments.operator.clone(),
        component: arguments.component.as_ref().map(absolute).transpose()?,
        dry_run: arguments.dry_run,
        shadow: arguments.shadow,
        promote: arguments.promote,
        on_fault: match arguments.on_fault {
            OnFaultArgument::Rollback => OnFault::Rollback,
            OnFaultArgument::Fail => OnFault::Fail,
        },
        confirm: arguments.confirm_after,
    };
    let job = Registry::of_user()?.find(&arguments.job)?;
    let answer = job.client.request(&Request::Swap(request))?;
    let answer = answer.swap.ok_or_else(|| {
        Error::input("the job's answer says nothing of a swap")
            .hint("is the job run by the same version?")
    })?;
    match arguments.json {
        true => {
            let text = serde_json::to_string_pretty(&answer).expect("an answer is plain data");
            ui.answer(text)?;
        }
        false => ui.answer(render(&answer, arguments.dry_run))?,
    }
    conclude(&answer, arguments.promote)
}

/// What the exit status says.
fn conclude(answer: &SwapAnswer, promote: bool) -> Result<(), Failure> {
    let differs = answer.shadow.as_ref().is_some_and(|report| !report.is_same());
    match &answer.outcome {
        SwapOutcome::Refused => {
            let message = match answer.comparison.verdict {
                Verdict::NeedsMigration => {
                    "the new function has no migration for the state there is"
                }
                _ => "the new function cannot take the place of the running one",
            };
            Err(Error::input(message).hint("nothing has changed; the differences are above").into())
        }
        SwapOutcome::Unchanged if promote && differs => {
            let message = "the shadow run showed differences, so the function was not changed";
            Err(Error::input(message).hint("swap without --shadow if they are wanted").into())
        }
        _ => Ok(()),
    }
}

fn render(answer: &SwapAnswer, dry_run: bool) -> String {
    let mut lines = vec![format!("{} -> {}", answer.from, answer.to)];
    lines.extend(comparison(&answer.comparison));
    if let Some(report) = &answer.shadow {
        lines.extend(shadow(report));
    }
    let last = match &answer.outcome {
        SwapOutcome::Unchanged if dry_run => "nothing has changed: a dry run".into(),
        SwapOutcome::Unchanged => "nothing has changed".into(),
        SwapOutcome::Refused => "nothing has changed".into(),
        SwapOutcome::RolledBack => "the function before is back".into(),
        SwapOutcome::Swapped { checkpoint, changeover_us, confirmed } => {
            let way_back = match confirmed {
                true => "confirmed",
                false => "not confirmed yet: a fault, or `--to-previous`, undoes it",
            };
            let millis = *changeover_us as f64 / 1000.0;
            format!("swapped at {checkpoint}, in {millis:.1} ms; {way_back}")
        }
    };
    lines.push(last);
    lines.join("\n")
}

fn comparison(comparison: &Comparison) -> Vec<String> {
    let mut lines = vec![comparison.verdict.to_string()];
    for difference in &comparison.differences {
        let (what, advice) = (&difference.what, &difference.advice);
        lines.push(format!("  {}: {what}", difference.verdict));
        lines.push(format!("    {advice}"));
    }
    lines
}

fn shadow(report: &ShadowReport) -> Vec<String> {
    let per = |ns: u64| ns as f64 / (report.records + report.timers).max(1) as f64;
    let mut lines = vec![
        format!(
            "shadow run: {} calls, {} records, {} timers; running {:.0} ns, new {:.0} ns a record",
            report.calls,
            report.records,
            report.timers,
            per(report.running_ns),
            per(report.new_ns)
        ),
        match report.is_same() {
            true => "  no difference".into(),
            false => format!(
                "  calls that differ: {} in outputs, {} in state, {} in timers, {} in faults",
                report.different_outputs,
                report.different_states,
                report.different_timers,
                report.different_faults
            ),
        },
    ];
    lines.extend(report.examples.iter().map(|example| format!("    {example}")));
    lines
}
