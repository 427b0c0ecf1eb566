//! The folder that captured calls are written to: `<operator>-<partition>-<number>.json`, one file
//! a call, never one in place of another.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};
use crate::operator::{CAPTURES_MAX, Captures, Fixture};
use crate::wasm::{LogLevel, LogSink};

/// A longer file is no fixture of anybody's.
const FIXTURE_BYTES_MAX: u64 = 1 << 30;

/// Writes the calls that a partition captures to a folder, and tells where they are. One that
/// cannot be written is a warning: the job does not depend on it.
pub fn captures_to(folder: &Path, log: LogSink) -> Captures {
    let folder = folder.to_owned();
    let mut is_full = false;
    Captures::new(move |fixture| {
        if is_full {
            return;
        }
        let node = format!("{}/{}", fixture.operator, fixture.partition);
        match write(&folder, fixture) {
            Ok(Some(path)) => {
                let path = path.display();
                let line = format!("{node}: the call at which the function faulted is in {path}");
                log.write(LogLevel::Info, &line);
            }
            Ok(None) => {
                is_full = true;
                let line = format!(
                    "{node}: {} holds {CAPTURES_MAX} captured calls of it already, so no more are \
                     captured",
                    folder.display()
                );
                log.write(LogLevel::Warn, &line);
            }
            Err(cause) => {
                let line = format!(
                    "{node}: the call at which the function faulted cannot be captured in {}: \
                     {cause}",
                    folder.display()
                );
                log.write(LogLevel::Warn, &line);
            }
        }
    })
}

/// Writes a fixture, durably; none if there are too many already.
fn write(folder: &Path, fixture: &Fixture) -> io::Result<Option<PathBuf>> {
    let Some((path, mut file)) = create(folder, fixture)? else { return Ok(None) };
    let mut text = serde_json::to_vec_pretty(fixture).expect("a fixture is plain data");
    text.push(b'\n');
    match file.write_all(&text).and_then(|()| file.sync_all()) {
        Ok(()) => Ok(Some(path)),
        Err(cause) => {
            // Half of one is of no use, and would take a number.
            let _ = fs::remove_file(path);
            Err(cause)
        }
    }
}

/// The first file that is not there yet: earlier attempts and runs may have captured, too.
fn create(folder: &Path, fixture: &Fixture) -> io::Result<Option<(PathBuf, File)>> {
    for number in 0..CAPTURES_MAX {
        let name = format!("{}-{}-{number}.json", fixture.operator, fixture.partition);
        let path = folder.join(name);
        match File::create_new(&path) {
            Ok(file) => return Ok(Some((path, file))),
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
            Err(cause) => return Err(cause),
        }
    }
    Ok(None)
}

/// Reads a captured call.
///
/// # Errors
/// If the file cannot be read, or is no fixture.
pub fn read_fixture(path: &Path) -> Result<Fixture> {
    let shown = path.display();
    let unreadable =
        |cause| Error::input(format!("cannot read the fixture {shown}")).caused_by(cause);
    let length = fs::metadata(path).map_err(unreadable)?.len();
    if length > FIXTURE_BYTES_MAX {
        let message = format!("the fixture {shown} has {length} bytes, more than 1 GiB");
        return Err(Error::input(message));
    }
    let text = fs::read(path).map_err(unreadable)?;
    let fixture: Fixture = serde_json::from_slice(&text).map_err(|cause| {
        Error::new(ErrorKind::Input, format!("{shown} is no captured call"))
            .hint("`tidegate run --capture DIR` writes them")
            .caused_by(cause)
    })?;
    fixture.validate()?;
    Ok(fixture)
}

#[cfg(test)]
mod tests;
