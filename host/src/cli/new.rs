//! `tidegate new`: a function crate that builds and passes its test.

use std::fs;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::failure::Failure;
use super::ui::Ui;
use crate::error::{Error, Result};

/// Create a function crate, with a test, a job file and some input
#[derive(clap::Args)]
#[command(after_help = "Example:\n  tidegate new page-views --kind keyed")]
pub struct Arguments {
    /// The name of the crate: lower-case letters, digits, `-` and `_`
    name: String,
    /// What the function is
    #[arg(long)]
    kind: Kind,
    /// The folder to create; default: the name, below the current folder
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// The folder of the tidegate-sdk crate; default: the one this program was built with, if it is
    /// there
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// Keys, with state and timers for each
    Keyed,
    /// Records one by one: no keys, no state
    Process,
    /// A second input that every partition gets, in broadcast state
    Broadcast,
    /// The end of a job: what is written, when and how
    Sink,
    /// No input: makes its records
    Source,
}

/// A file of the crate: its path and its template.
type Template = (&'static str, &'static str);

const COMMON: [Template; 2] = [
    ("Cargo.toml", include_str!("../../templates/Cargo.toml.in")),
    (".gitignore", include_str!("../../templates/gitignore.in")),
];

const EVENTS: Template = ("events.csv", include_str!("../../templates/events.csv.in"));

/// The files of a kind beside its input.
macro_rules! templates {
    ($kind:literal $(, $input:expr)*) => {
        &[
            ("src/lib.rs", include_str!(concat!("../../templates/", $kind, "/lib.rs.in"))),
            ("job.toml", include_str!(concat!("../../templates/", $kind, "/job.toml.in"))),
            $($input,)*
        ]
    };
}

impl Kind {
    fn templates(self) -> (&'static str, &'static [Template]) {
        const NAMES: Template = ("names.csv", include_str!("../../templates/names.csv.in"));
        match self {
            Kind::Keyed => ("keyed", templates!("keyed", EVENTS)),
            Kind::Process => ("process", templates!("process", EVENTS)),
            Kind::Broadcast => ("broadcast", templates!("broadcast", EVENTS, NAMES)),
            Kind::Sink => ("sink", templates!("sink", EVENTS)),
            Kind::Source => ("source", templates!("source")),
        }
    }
}

/// Names that cargo or the language takes for something else.
const RESERVED: [&str; 12] = [
    "alloc",
    "core",
    "std",
    "test",
    "self",
    "super",
    "crate",
    "proc_macro",
    "proc-macro",
    "tidegate-sdk",
    "tidegate_sdk",
    "build",
];

/// Writes the crate and says what to do next.
pub fn run(arguments: &Arguments, ui: &Ui) -> Result<(), Failure> {
    let name = &arguments.name;
    check_name(name)?;
    let (kind, templates) = arguments.kind.templates();
    let folder = arguments.path.clone().unwrap_or_else(|| PathBuf::from(name));
    check_folder(&folder)?;
    let sdk = sdk_dependency(arguments.sdk.as_deref())?;
    for (path, template) in COMMON.iter().chain(templates) {
        write(&folder.join(path), &fill(template, name, &sdk))?;
    }
    ui.answer(folder.display().to_string())?;
    ui.story(format!(
        "Created the {kind} function `{name}`. Next:\n  cd {}\n  cargo test\n  tidegate build\n  \
         tidegate run job.toml",
        folder.display()
    ));
    Ok(())
}

fn check_name(name: &str) -> Result<()> {
    let hint = "write lower-case letters, digits, `-` and `_`, beginning with a letter";
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(allowed) {
        return Err(Error::input(format!("`{name}` is no name for a crate")).hint(hint));
    }
    // Keywords cannot name a library; the list of the language is longer, but these are what people
    // try.
    const KEYWORDS: [&str; 14] = [
        "as", "async", "fn", "for", "if", "impl", "in", "loop", "match", "move", "type", "use",
        "where", "while",
    ];
    if RESERVED.contains(&name) || KEYWORDS.contains(&name) {
        let message = format!("`{name}` means something else to Rust");
        return Err(Error::input(message).hint(format!("add a word: `{name}-function`")));
    }
    Ok(())
}

fn check_folder(folder: &Path) -> Result<()> {
    let shown = folder.display();
    let hint = "choose another name, or another folder with --path";
    let is_empty = fs::read_dir(folder).map(|mut entries| entries.next().is_none());
    match is_empty {
        Ok(false) => {
            Err(Error::input(format!("the folder {shown} is there and not empty")).hint(hint))
        }
        Err(_) if folder.exists() => {
            Err(Error::input(format!("{shown} is there and no folder that can be read")).hint(hint))
        }
        Ok(true) | Err(_) => Ok(()),
    }
}

/// What the crate writes after `tidegate-sdk =`.
fn sdk_dependency(wanted: Option<&Path>) -> Result<String> {
    let beside_the_host = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-sdk");
    let is_crate = |folder: &Path| folder.join("Cargo.toml").is_file();
    let folder = match wanted {
        Some(folder) if !is_crate(folder) => {
            let message = format!("there is no crate in {}", folder.display());
            return Err(
                Error::input(message).hint("--sdk names the folder of the tidegate-sdk crate")
            );
        }
        Some(folder) => Some(folder.to_owned()),
        None => Some(beside_the_host).filter(|folder| is_crate(folder)),
    };
    let Some(folder) = folder else { return Ok(format!("{:?}", env!("CARGO_PKG_VERSION"))) };
    let failed = |cause| Error::input(format!("cannot find {}", folder.display())).caused_by(cause);
    let folder = folder.canonicalize().map_err(failed)?;
    // TOML's basic strings and Rust's debug form escape paths alike.
    Ok(format!("{{ path = {:?} }}", folder.to_string_lossy()))
}

fn fill(template: &str, name: &str, sdk: &str) -> String {
    template
        .replace("{{name}}", name)
        .replace("{{library}}", &name.replace('-', "_"))
        .replace("{{Type}}", &type_name(name))
        .replace("{{sdk}}", sdk)
}

/// `page-views` -> `PageViews`.
fn type_name(name: &str) -> String {
    let capitalize = |word: &str| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_uppercase() + rest
    };
    name.split(['-', '_']).map(capitalize).collect()
}

fn write(path: &Path, text: &str) -> Result<()> {
    let failed =
        |cause| Error::storage(format!("cannot write {}", path.display())).caused_by(cause);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    fs::write(path, text).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_crates() {
        for name in ["pv", "page-views", "a1_b"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", "1a", "-a", "Pv", "a b", "ü", "test", "fn", "../x"] {
            assert!(check_name(name).is_err(), "{name}");
        }
        assert_eq!(type_name("page-views_2x"), "PageViews2x");
    }

    #[test]
    fn templates_have_no_blanks_left() {
        for kind in Kind::value_variants() {
            for (path, template) in COMMON.iter().chain(kind.templates().1) {
                let filled = fill(template, "page-views", "\"1\"");
                assert!(!filled.contains("{{"), "{path}: {filled}");
            }
        }
    }
}
