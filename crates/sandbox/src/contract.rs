//! What a component must import and export to be a handler, and what the host provides.

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentExportIndex, HasSelf, Linker, Type};

use crate::bindings;
use crate::guest::Guest;
use crate::services::Services;

/// The package of the handler world.
const PACKAGE: &str = "floodgate:handler/";
/// The export that takes events.
pub(crate) const HANDLE: &str = "handle";
/// The export that checks parameters, of the world `checked-handler`.
pub(crate) const CHECK: &str = "check";
/// The WASI interfaces that a component may import too.
const WASI: [&str; 6] =
    ["wasi:io/", "wasi:cli/", "wasi:clocks/", "wasi:random/", "wasi:filesystem/", "wasi:sockets/"];

/// Makes the linker with everything that the host provides.
pub(crate) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::<Guest>::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    bindings::Handler::add_to_linker::<_, HasSelf<Services>>(&mut linker, Guest::services)?;
    Ok(linker)
}

/// Checks the names of imports. The linker checks the types of those from known interfaces.
pub(crate) fn check_imports(engine: &wasmtime::Engine, component: &Component) -> Result<(), ContractError> {
    let ty = component.component_type();
    match ty.imports(engine).find(|(name, _)| !is_allowed(name)) {
        Some((name, _)) => Err(ContractError::Import { name: name.to_owned() }),
        None => Ok(()),
    }
}

/// Finds the export `handle`, whose type the bindings check, and checks the other exports that have a name of
/// the world's.
pub(crate) fn check_exports(component: &Component) -> Result<ComponentExportIndex, ContractError> {
    let handle = component.get_export_index(None, HANDLE).ok_or(ContractError::NoExport)?;
    match component.get_export(None, CHECK) {
        Some((item, _)) if !is_check(&item) => Err(ContractError::Check),
        _ => Ok(handle),
    }
}

/// Returns true if the export is `func(params: string) -> result<_, string>`.
fn is_check(item: &ComponentItem) -> bool {
    let ComponentItem::ComponentFunc(function) = item else { return false };
    let takes_text = function.params().map(|(_, ty)| ty).eq([Type::String]);
    let answers =
        |ty: Type| matches!(ty, Type::Result(ty) if ty.ok().is_none() && ty.err() == Some(Type::String));
    takes_text && function.results().map(answers).eq([true])
}

fn is_allowed(import: &str) -> bool {
    import.starts_with(PACKAGE) || WASI.iter().any(|interface| import.starts_with(interface))
}

/// How a component breaks the contract. Always its author's fault.
#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    /// The component imports something that handlers are not given.
    #[error(
        "the component imports `{name}`; a handler may import `{PACKAGE}types`, `{PACKAGE}request`, `{PACKAGE}log`, `{PACKAGE}panic`, `{PACKAGE}keys`, `{PACKAGE}counters` and, all of it inert, WASI 0.2: {}",
        WASI.map(|name| name.trim_end_matches('/')).join(", ")
    )]
    Import {
        /// The name of the import.
        name: String,
    },
    /// The component does not export `handle`.
    #[error(
        "the component does not export `handle`, the function of the world `floodgate:handler/handler@0.1.0`"
    )]
    NoExport,
    /// The component exports something else under the name `check`.
    #[error(
        "the component exports `check`, and not as the world `floodgate:handler/checked-handler@0.1.0` has it: `func(params: string) -> result<_, string>`"
    )]
    Check,
    /// The component exports `handle`, or imports a function, with another type.
    #[error("the component does not fit the world `floodgate:handler/handler@0.1.0`")]
    Type(#[source] wasmtime::Error),
}
