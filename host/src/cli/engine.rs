//! The engine of the commands that load components, with the user's cache of compiled ones.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::ui::Ui;
use crate::env;
use crate::error::{Error, Result};
use crate::wasm::{Cache, Engine};

/// Starts the engine. Without a cache, if there can be none: that is told, and costs time alone.
///
/// # Errors
/// As [`Engine::new`].
pub fn start(ui: &Ui) -> Result<Engine> {
    match open_cache() {
        Ok(Some(cache)) => Engine::with_cache(cache),
        Ok(None) => Engine::new(),
        Err(error) => {
            let why = error.full_text();
            let hint = error.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
            ui.warning(&format!("components are compiled anew at each start: {why}{hint}"));
            Engine::new()
        }
    }
}

/// The cache of this user; none where they have no place for one.
fn open_cache() -> Result<Option<Cache>> {
    let unknown = |cause| Error::input("cannot tell who runs this process").caused_by(cause);
    let user = env::user_id().map_err(unknown)?;
    let Some(folder) = folder(user) else { return Ok(None) };
    Cache::open(&folder, user, env::fill_randomly).map(Some)
}

fn folder(user: u32) -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    let absolute = |path: &PathBuf| path.is_absolute();
    // After `sudo` the variable can name the home of somebody else, who could use nothing of what
    // would be made there.
    let is_own = |path: &PathBuf| std::fs::metadata(path).is_ok_and(|folder| folder.uid() == user);
    let caches = variable("XDG_CACHE_HOME").filter(absolute).or_else(|| {
        let home = variable("HOME").filter(absolute).filter(is_own)?;
        Some(home.join(".cache"))
    })?;
    Some(caches.join("tidegate").join("components"))
}
