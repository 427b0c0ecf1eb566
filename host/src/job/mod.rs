//! A job: as written (`spec`), as checked (`plan`, made by `check`), as it runs (`run`).

mod build;
mod check;
pub mod control;
pub mod plan;
mod report;
pub mod restart;
mod run;
pub mod spec;

pub use check::check;
pub use plan::Plan;
pub use report::{NodeReport, Report, Status};
pub use run::{RunOptions, run};
pub use spec::{JobFile, Problems, Setting, show_bytes, show_duration};
