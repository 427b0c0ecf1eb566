//! `tidegate savepoint`: asks a running job for a savepoint.

use super::failure::Failure;
use super::ui::Ui;
use crate::error::{Error, Result};
use crate::job::control::{Registry, Request};

/// Take a savepoint of a running job and print where it is
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    tidegate savepoint periodic-pv\n  \
    tidegate savepoint periodic-pv s3://bucket/before-the-upgrade\n\n\
    The job goes on. A savepoint holds all that is needed: it can be moved, and restored with\n\
    another state backend or at another parallelism.")]
pub struct Arguments {
    /// The job's name, or NAME-PID where several have it
    #[arg(value_name = "JOB")]
    job: String,
    /// A folder, file://… or s3://…. Default: below the job's checkpoint storage
    #[arg(value_name = "PATH")]
    path: Option<String>,
}

/// Asks, waits, prints.
pub fn run(arguments: &Arguments, ui: &Ui) -> Result<(), Failure> {
    let path = arguments.path.as_deref().map(absolute).transpose()?;
    let job = Registry::of_user()?.find(&arguments.job)?;
    let answer = job.client.request(&Request::Savepoint { path })?;
    ui.answer(answer.savepoint.unwrap_or_default())
}

/// A place as the job understands it, which runs in another folder than this command.
pub fn absolute(place: &str) -> Result<String> {
    const FILE: &str = "file://";
    let (scheme, path) = match place.strip_prefix(FILE) {
        Some(path) => (FILE, path),
        None if place.contains("://") => return Ok(place.into()),
        None => ("", place),
    };
    let failed = |cause| Error::input(format!("cannot tell where {place:?} is")).caused_by(cause);
    let absolute = std::path::absolute(path).map_err(failed)?;
    Ok(format!("{scheme}{}", absolute.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_start_from_where_the_user_is() {
        let here = std::env::current_dir().unwrap();
        let here = here.display();
        assert_eq!(absolute("a/b").unwrap(), format!("{here}/a/b"));
        assert_eq!(absolute("file://./a").unwrap(), format!("file://{here}/a"));
        for whole in ["/a", "file:///a", "s3://bucket/a"] {
            assert_eq!(absolute(whole).unwrap(), whole);
        }
        assert!(absolute("").is_err());
    }
}
