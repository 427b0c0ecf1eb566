//! Real data: the full year where it lies beside the repository, samples in the repository
//! otherwise.

use std::fs;
use std::path::{Path, PathBuf};

use crate::binary::repository;

/// Departures from New York in 2013, as `aircraft,route,departure_ms`, ordered by time.
pub fn departures() -> PathBuf {
    full_year("departures.csv").unwrap_or_else(|| repository().join("tests/data/departures.csv"))
}

/// Hourly temperatures at three airports in 2013, as `id,unix_seconds,temperature`.
pub fn sensors() -> PathBuf {
    full_year("sensors.csv").unwrap_or_else(|| repository().join("examples/temp-alert/sensors.csv"))
}

fn full_year(name: &str) -> Option<PathBuf> {
    Some(repository().join("../shared/data").join(name)).filter(|path| path.is_file())
}

/// The lines of a file.
pub fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.lines().map(str::to_owned).collect()
}
