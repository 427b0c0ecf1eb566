//! A core module that carries its interface becomes a component, in process.

use std::path::{Path, PathBuf};

use wit_component::ComponentEncoder;

use crate::error::{Error, Result};

/// The eighth byte of a wasm file tells components from core modules.
const COMPONENT_LAYER: u8 = 1;

/// Makes the component of the file `from` and writes it to `to`. Returns `to`.
///
/// # Errors
/// If the file cannot be read, is no function, or the component cannot be written.
pub fn file(from: &Path, to: &Path) -> Result<PathBuf> {
    let bytes = read(from)?;
    let component = match kind(from, &bytes)? {
        Kind::Component => bytes,
        Kind::Core => encode(from, &bytes)?,
    };
    write(to, &component)?;
    Ok(to.to_owned())
}

/// As [`file`], but leaves a component where it is unless `copy` is wanted. Returns where it is.
///
/// # Errors
/// As [`file`].
pub fn file_unless_done(from: &Path, to: &Path, copy: bool) -> Result<PathBuf> {
    if !copy && kind(from, &read(from)?)? == Kind::Component {
        return Ok(from.to_owned());
    }
    file(from, to)
}

#[derive(PartialEq, Eq)]
enum Kind {
    Core,
    Component,
}

fn kind(path: &Path, bytes: &[u8]) -> Result<Kind> {
    match bytes {
        [0, b'a', b's', b'm', _, _, COMPONENT_LAYER, 0, ..] => Ok(Kind::Component),
        [0, b'a', b's', b'm', _, _, 0, 0, ..] => Ok(Kind::Core),
        _ => Err(Error::input(format!("{} is not a wasm file", path.display()))),
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let failed = |cause| Error::input(format!("cannot read {}", path.display())).caused_by(cause);
    std::fs::read(path).map_err(failed)
}

fn encode(path: &Path, module: &[u8]) -> Result<Vec<u8>> {
    let shown = path.display();
    let failed = |cause| {
        Error::input(format!("{shown} cannot become a component"))
            .hint("a function is compiled for wasm32-unknown-unknown, with the SDK of this version")
            .caused_by(cause)
    };
    // An encoder makes an empty component of a module without an interface.
    let (interface, _) = wit_component::metadata::decode(module).map_err(failed)?;
    if interface.is_none() {
        return Err(Error::input(format!("{shown} exports no Tidegate function")).hint(
            "the crate needs `tidegate_sdk::export!(keyed_process: MyFunction);` or the like",
        ));
    }
    let encoder = ComponentEncoder::default().validate(true).module(module).map_err(failed)?;
    let mut encoder = encoder;
    encoder.encode().map_err(failed)
}

/// Writes beside the place and renames, so that a job that starts meanwhile sees the old one or the
/// new one.
fn write(to: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |cause| Error::storage(format!("cannot write {}", to.display())).caused_by(cause);
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    let beside = to.with_file_name(format!(".{name}.{}", std::process::id()));
    let written = std::fs::write(&beside, bytes).and_then(|()| std::fs::rename(&beside, to));
    written.map_err(|cause| {
        // The error is told; what is left of the attempt is of no use.
        let _ = std::fs::remove_file(&beside);
        failed(cause)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY_CORE: &[u8] = b"\0asm\x01\0\0\0";
    const EMPTY_COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

    #[test]
    fn files_are_told_apart() {
        let path = Path::new("x.wasm");
        assert!(kind(path, EMPTY_CORE).unwrap() == Kind::Core);
        assert!(kind(path, EMPTY_COMPONENT).unwrap() == Kind::Component);
        assert_eq!(kind(path, b"ELF").err().unwrap().message, "x.wasm is not a wasm file");
    }

    #[test]
    fn a_module_without_an_interface_is_refused() {
        let error = encode(Path::new("x.wasm"), EMPTY_CORE).unwrap_err();
        assert_eq!(error.message, "x.wasm exports no Tidegate function");
    }

    #[test]
    fn components_appear_whole_or_not_at_all() {
        let folder = std::env::temp_dir().join(format!("tidegate-build-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let from = folder.join("a.wasm");
        std::fs::write(&from, EMPTY_COMPONENT).unwrap();
        assert_eq!(file_unless_done(&from, &folder.join("b.wasm"), false).unwrap(), from);
        assert_eq!(file(&from, &folder.join("b.wasm")).unwrap(), folder.join("b.wasm"));
        assert_eq!(std::fs::read(folder.join("b.wasm")).unwrap(), EMPTY_COMPONENT);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
