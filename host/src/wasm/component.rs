//! A component: read, refused if it wants more than the host offers, compiled, asked what it is.

use std::path::Path;
use std::sync::Arc;

use wasmtime::component::types::ComponentItem;

use super::bindings::{OperatorPre, declarations};
use super::guest_state::GuestState;
use super::instance::Instance;
use super::migrations::{Migration, check_steps};
use super::{Engine, LogSink, NativeOpener, ttl};
use crate::error::{Error, Result};
use crate::model::{
    Declaration, Digest, Fault, Format, Input, Kind, Limits, OperatorStateDeclaration, Output,
    Parameter, Redistribution, StateDeclaration, StateKind,
};

/// The version of the contract that this host runs: that of the package in `wit/`.
pub const CONTRACT_VERSION: &str = "0.1.0";

pub(super) const CONTRACT_PACKAGE: &str = "tidegate:function/";

/// The interface of the contract that reads long lists and maps.
const HELD_STATE: &str = "held-state";

/// A larger file is no function of anybody's.
const COMPONENT_BYTES_MAX: u64 = 256 << 20;

/// A compiled component and its declaration. Cheap to clone.
#[derive(Clone)]
pub struct Component {
    inner: Arc<Inner>,
    native: Option<NativeOpener>,
}

struct Inner {
    engine: Engine,
    name: String,
    bytes: Arc<[u8]>,
    digest: Digest,
    pre: OperatorPre<GuestState>,
    imports: Vec<String>,
    declaration: Declaration,
    migrations: Vec<Migration>,
}

impl std::fmt::Debug for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Component({})", self.inner.name)
    }
}

impl Component {
    /// Reads and compiles a component file.
    ///
    /// # Errors
    /// As [`Component::from_bytes`], and if the file cannot be read.
    pub fn load(engine: &Engine, path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let unreadable =
            |cause| Error::input(format!("cannot read component {name}")).caused_by(cause);
        let size = std::fs::metadata(path).map_err(unreadable)?.len();
        if size > COMPONENT_BYTES_MAX {
            let message = format!("component {name} has {size} bytes, more than 256 MiB");
            return Err(Error::input(message));
        }
        let bytes = std::fs::read(path).map_err(unreadable)?;
        Self::from_bytes(engine, &name, &bytes)
    }

    /// Compiles a component, or finds it compiled in the engine's cache. `name` is for messages.
    ///
    /// # Errors
    /// If the bytes are no component, import what the host does not offer, lack an export of the
    /// contract, speak another version of it, or declare nonsense.
    pub fn from_bytes(engine: &Engine, name: &str, bytes: &[u8]) -> Result<Self> {
        check_preamble(name, bytes)?;
        let digest = Digest::of(bytes);
        let kept = engine.cache().and_then(|cache| cache.load(engine.wasmtime(), &digest));
        let is_kept = kept.is_some();
        let component = kept.map_or_else(|| compile(engine, name, bytes), Ok)?;
        let imports = check_imports(engine, name, &component)?;
        check_exports(engine, name, &component)?;
        let mismatch = |cause: wasmtime::Error| {
            Error::input(format!("{name} does not fit contract {CONTRACT_VERSION}"))
                .caused_by(cause)
                .hint("build it again with the SDK of this version")
        };
        let pre = engine.linker().instantiate_pre(&component).map_err(mismatch)?;
        let pre = OperatorPre::new(pre).map_err(mismatch)?;
        let (declaration, migrations) = describe(engine, name, &pre)?;
        check_declaration(name, &declaration)?;
        check_steps(name, &migrations, &declaration)?;
        // Only now: what is refused is not worth its place.
        if let Some(cache) = engine.cache().filter(|_| !is_kept) {
            cache.store(engine.wasmtime(), &digest, &component);
        }
        let inner = Inner {
            engine: engine.clone(),
            name: name.into(),
            bytes: bytes.into(),
            digest,
            pre,
            imports,
            declaration,
            migrations,
        };
        Ok(Self { inner: Arc::new(inner), native: None })
    }

    /// The same declaration with other code: instances call what `opener` opens, not the component.
    pub fn with_native(self, opener: NativeOpener) -> Self {
        Self { native: Some(opener), ..self }
    }

    /// What the function says about itself.
    pub fn declaration(&self) -> &Declaration {
        &self.inner.declaration
    }

    /// The steps by which it takes older state to its own schema versions.
    pub fn migrations(&self) -> &[Migration] {
        &self.inner.migrations
    }

    /// What it imports: interfaces of the contract, or nothing.
    pub fn imports(&self) -> &[String] {
        &self.inner.imports
    }

    /// Whether it can read lists and maps in part.
    pub fn reads_held_state(&self) -> bool {
        let interface = format!("{CONTRACT_PACKAGE}{HELD_STATE}@{CONTRACT_VERSION}");
        self.inner.imports.contains(&interface)
    }

    /// The name it was loaded under.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    pub(super) fn native(&self) -> Option<&NativeOpener> {
        self.native.as_ref()
    }

    /// The file that it was made from.
    pub fn bytes(&self) -> &Arc<[u8]> {
        &self.inner.bytes
    }

    /// The digest of that file.
    pub fn digest(&self) -> &Digest {
        &self.inner.digest
    }

    /// What compiled it.
    pub fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    pub(super) fn pre(&self) -> &OperatorPre<GuestState> {
        &self.inner.pre
    }
}

/// Tells the three kinds of file apart by their first eight bytes.
fn check_preamble(name: &str, bytes: &[u8]) -> Result<()> {
    match bytes {
        [0, b'a', b's', b'm', _, 0, 1, 0, ..] => Ok(()),
        [0, b'a', b's', b'm', _, 0, 0, 0, ..] => {
            Err(Error::input(format!("{name} is a core wasm module, not a component"))
                .hint(format!("make it a component with `tidegate build {name}`")))
        }
        _ => Err(Error::input(format!("{name} is not a wasm file"))),
    }
}

fn compile(engine: &Engine, name: &str, bytes: &[u8]) -> Result<wasmtime::component::Component> {
    wasmtime::component::Component::from_binary(engine.wasmtime(), bytes)
        .map_err(|cause| Error::input(format!("{name} is not a valid component")).caused_by(cause))
}

/// Refuses every import that is not the host interface of this version, by name.
fn check_imports(
    engine: &Engine,
    name: &str,
    component: &wasmtime::component::Component,
) -> Result<Vec<String>> {
    let offered = ["host", HELD_STATE, "types", "declarations"]
        .map(|interface| format!("{CONTRACT_PACKAGE}{interface}@{CONTRACT_VERSION}"));
    let imports: Vec<String> = component
        .component_type()
        .imports(engine.wasmtime())
        .map(|(import, _)| import.to_string())
        .collect();
    let known = |import: &&String| offered.contains(import);
    let refused: Vec<&str> =
        imports.iter().filter(|import| !known(import)).map(String::as_str).collect();
    let Some(first) = refused.first() else { return Ok(imports) };
    if first.starts_with(CONTRACT_PACKAGE) {
        return Err(other_version(name, first));
    }
    Err(Error::input(format!(
        "{name} imports {}, which functions are not given",
        refused.join(", ")
    ))
    .hint(
        "a function has no clock, files, network or randomness of its own: take times from its \
             context, and build Rust for wasm32-unknown-unknown with `tidegate build`",
    ))
}

fn check_exports(
    engine: &Engine,
    name: &str,
    component: &wasmtime::component::Component,
) -> Result<()> {
    let wanted = format!("{CONTRACT_PACKAGE}function@{CONTRACT_VERSION}");
    let component_type = component.component_type();
    let mut other = None;
    for (export, item) in component_type.exports(engine.wasmtime()) {
        let is_instance = matches!(item.ty, ComponentItem::ComponentInstance(_));
        if export == wanted && is_instance {
            return Ok(());
        }
        if export.starts_with(&format!("{CONTRACT_PACKAGE}function@")) {
            other = Some(export.to_string());
        }
    }
    Err(match other {
        Some(export) => other_version(name, &export),
        None => Error::input(format!("{name} is a component, but no Tidegate function"))
            .hint(format!("a function exports {wanted}; with the Rust SDK, `export!` does that")),
    })
}

fn other_version(name: &str, interface: &str) -> Error {
    let version = interface.rsplit_once('@').map_or("without a version", |(_, version)| version);
    Error::input(format!(
        "{name} speaks contract {version} ({interface}); this host runs {CONTRACT_VERSION}"
    ))
    .hint("build it again with the SDK of this version")
}

/// Asks a throw-away instance what it is.
fn describe(
    engine: &Engine,
    name: &str,
    pre: &OperatorPre<GuestState>,
) -> Result<(Declaration, Vec<Migration>)> {
    let faulted = |fault: Fault| {
        let mut error =
            Error::input(format!("{name} faulted when asked to describe itself: {fault}"));
        if !fault.backtrace.is_empty() {
            error = error.hint(format!("guest backtrace: {}", fault.backtrace.join(" <- ")));
        }
        error
    };
    let described = Instance::describe(engine, pre, &Limits::default(), LogSink::none());
    let (declaration, migrations) = described.map_err(faulted)?;
    Ok((convert(declaration), migrations))
}

fn convert(declared: declarations::Declaration) -> Declaration {
    use declarations::{Format as F, Kind as K, Redistribution as R, StateKind as S};
    let kind = match declared.kind {
        K::Process => Kind::Process,
        K::KeyedProcess => Kind::KeyedProcess,
        K::CoProcess => Kind::CoProcess,
        K::BroadcastProcess => Kind::BroadcastProcess,
        K::KeyedBroadcastProcess => Kind::KeyedBroadcastProcess,
        K::Sink => Kind::Sink,
        K::Source => Kind::Source,
    };
    let format = |format| match format {
        F::Csv => Format::Csv,
        F::Json => Format::Json,
        F::Lines => Format::Lines,
        F::Bytes => Format::Bytes,
    };
    let state_kind = |kind| match kind {
        S::Value => StateKind::Value,
        S::List => StateKind::List,
        S::Map => StateKind::Map,
        S::Reducing => StateKind::Reducing,
        S::Aggregating => StateKind::Aggregating,
    };
    let input = |i: declarations::InputDeclaration| Input { name: i.name, type_name: i.type_name };
    let output =
        |o: declarations::OutputDeclaration| Output { name: o.name, format: format(o.format) };
    let state = |s: declarations::StateDeclaration| StateDeclaration {
        name: s.name,
        kind: state_kind(s.kind),
        schema_version: s.schema_version,
        type_name: s.type_name,
        ttl: s.ttl.map(ttl::from_contract),
    };
    let redistribution = |how| match how {
        R::EvenSplit => Redistribution::EvenSplit,
        R::Union => Redistribution::Union,
        R::Broadcast => Redistribution::Broadcast,
    };
    let operator_state = |s: declarations::OperatorStateDeclaration| OperatorStateDeclaration {
        name: s.name,
        redistribution: redistribution(s.redistribution),
        schema_version: s.schema_version,
        type_name: s.type_name,
    };
    let parameter = |p: declarations::ParameterDeclaration| Parameter {
        name: p.name,
        type_name: p.type_name,
        default: p.default,
    };
    Declaration {
        kind,
        inputs: declared.inputs.into_iter().map(input).collect(),
        outputs: declared.outputs.into_iter().map(output).collect(),
        states: declared.states.into_iter().map(state).collect(),
        operator_states: declared.operator_states.into_iter().map(operator_state).collect(),
        parameters: declared.parameters.into_iter().map(parameter).collect(),
        timers: declared.timers,
        extracts_keys: declared.extracts_keys,
    }
}

/// A declaration is a guest's word: it is checked like everything else that a guest says.
fn check_declaration(name: &str, declaration: &Declaration) -> Result<()> {
    let refuse = |what: String| Err(Error::input(format!("{name} declares {what}")));
    let inputs = match declaration.kind {
        Kind::Source => 0,
        Kind::Process | Kind::KeyedProcess | Kind::Sink => 1,
        Kind::CoProcess | Kind::BroadcastProcess | Kind::KeyedBroadcastProcess => 2,
    };
    let kind = declaration.kind.name();
    if declaration.inputs.len() != inputs {
        let declared = declaration.inputs.len();
        return refuse(format!("{declared} inputs, but a {kind} function has {inputs}"));
    }
    if !declaration.kind.is_keyed() && (!declaration.states.is_empty() || declaration.timers) {
        return refuse(format!("keyed state or timers, but a {kind} function has no keys"));
    }
    let mut operator_states = declaration.operator_states.iter();
    let broadcast = operator_states.find(|s| s.redistribution == Redistribution::Broadcast);
    if let Some(state) = broadcast.filter(|_| !declaration.kind.has_broadcast()) {
        let name = &state.name;
        return refuse(format!(
            "broadcast state {name:?}, but a {kind} function has no broadcast input"
        ));
    }
    if declaration.kind == Kind::Source && declaration.outputs.len() != 1 {
        let declared = declaration.outputs.len();
        return refuse(format!("{declared} outputs, but a source function has one"));
    }
    let names = |names: Vec<&String>, what: &str| {
        let mut seen = std::collections::HashSet::new();
        names
            .into_iter()
            .find(|name| name.is_empty() || !seen.insert(*name))
            .map_or(Ok(()), |twice| refuse(format!("{what} {twice:?} twice or without a name")))
    };
    names(declaration.inputs.iter().map(|i| &i.name).collect(), "input")?;
    names(declaration.outputs.iter().map(|o| &o.name).collect(), "output")?;
    let of_operator = declaration.operator_states.iter().map(|s| &s.name);
    names(declaration.states.iter().map(|s| &s.name).chain(of_operator).collect(), "state")?;
    names(declaration.parameters.iter().map(|p| &p.name).collect(), "parameter")
}
