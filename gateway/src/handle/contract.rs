//! The world in `sdk/wit`, and the check that a component keeps to it.

use wasmtime::component::{Component, HasSelf, Linker};

use super::guest::Guest;
use super::log;

/// Typed bindings; their documentation is that of the WIT file.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod bindings {
    wasmtime::component::bindgen!({
        path: "../sdk/wit",
        world: "handler",
        imports: { default: trappable },
        exports: { default: async },
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

pub(crate) use bindings::HandlerPre;
pub(crate) use bindings::floodgate::handler::types::{
    Change as ChangeResult, Child as ChildResult, Outcome as OutcomeResult, Response as ResponseResult,
};

/// An event as a handler sees it.
pub use bindings::floodgate::handler::types::Event as Input;
/// The lane of an [`Input`].
pub use bindings::floodgate::handler::types::Lane as InputLane;

/// The package of the handler world.
const PACKAGE: &str = "floodgate:handler/";
/// The interfaces that a component may import besides.
const WASI: [&str; 6] =
    ["wasi:io/", "wasi:cli/", "wasi:clocks/", "wasi:random/", "wasi:filesystem/", "wasi:sockets/"];

/// What a component finds when it is instantiated.
pub(crate) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::<Guest>::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    bindings::Handler::add_to_linker::<_, HasSelf<log::Lines>>(&mut linker, |guest| guest.log())?;
    Ok(linker)
}

/// Checks imports by name; what is imported from a known interface is checked by the linker.
pub(crate) fn check_imports(engine: &wasmtime::Engine, component: &Component) -> Result<(), Breach> {
    let ty = component.component_type();
    match ty.imports(engine).find(|(name, _)| !is_allowed(name)) {
        Some((name, _)) => Err(Breach::Import { name: name.to_owned() }),
        None => Ok(()),
    }
}

/// Checks that there is something to call; its type is checked by the bindings.
pub(crate) fn check_export(engine: &wasmtime::Engine, component: &Component) -> Result<(), Breach> {
    match component.component_type().get_export(engine, "handle") {
        Some(_) => Ok(()),
        None => Err(Breach::NoExport),
    }
}

fn is_allowed(import: &str) -> bool {
    import.starts_with(PACKAGE) || WASI.iter().any(|interface| import.starts_with(interface))
}

/// How a component breaks the contract. Always its author's fault.
#[derive(Debug, thiserror::Error)]
pub enum Breach {
    /// It wants something that handlers are not given.
    #[error(
        "the component imports `{name}`; a handler may import `{PACKAGE}types`, `{PACKAGE}log` and, all of it inert, WASI 0.2: {}",
        WASI.map(|name| name.trim_end_matches('/')).join(", ")
    )]
    Import {
        /// The import.
        name: String,
    },
    /// It offers nothing to call.
    #[error(
        "the component does not export `handle`, the function of the world `floodgate:handler/handler@0.1.0`"
    )]
    NoExport,
    /// It offers another function, or imports one with another type.
    #[error("the component does not fit the world `floodgate:handler/handler@0.1.0`")]
    Type(#[source] wasmtime::Error),
}
