//! A job: as written (`spec`), as checked (`plan`, made by `check`), as it runs (`run`).

pub mod attempt;
mod backends;
mod build;
mod check;
mod conductor;
pub mod control;
mod environment;
mod ground;
pub mod plan;
mod report;
mod requests;
pub mod restart;
mod restore;
mod run;
pub mod spec;
mod swap;
mod version;

pub use build::NamedTask;
pub use check::{Codes, check, check_with, codes_of, latest};
pub use environment::{Environment, Storages};
pub use plan::Plan;
pub use report::{NodeReport, Report, Status};
pub use requests::Requests;
pub use run::{CodeChoice, Restore, RunOptions, finish, run};
pub use spec::{JobFile, Problems, Setting, show_bytes, show_duration};
