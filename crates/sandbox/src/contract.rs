//! The world in `sdk/wit`, the check that a component keeps to it, and the call that rests on the check.

use wasmtime::Store;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{
    Component, ComponentExportIndex, Func, HasSelf, Instance, InstancePre, Linker, Type, TypedFunc,
};

use super::guest::Guest;
use super::services::Services;

/// Typed bindings; their documentation is that of the WIT file.
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod bindings {
    wasmtime::component::bindgen!({
        path: "../../sdk/wit",
        world: "handler",
        imports: { default: trappable },
        exports: { default: async },
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

pub(crate) use bindings::floodgate::handler::types::{
    Change as ChangeResult, Child as ChildResult, Outcome as OutcomeResult, Response as ResponseResult,
};

pub(crate) use bindings::floodgate::handler::request::Request as RequestResult;

/// An event as a handler sees it.
pub use bindings::floodgate::handler::types::Event as Input;
/// The lane of an [`Input`].
pub use bindings::floodgate::handler::types::Lane as InputLane;

/// The package of the handler world.
const PACKAGE: &str = "floodgate:handler/";
/// The export that takes events.
const HANDLE: &str = "handle";
/// The export that checks parameters, of the world `checked-handler`.
pub(crate) const CHECK: &str = "check";
/// The interfaces that a component may import besides.
const WASI: [&str; 6] =
    ["wasi:io/", "wasi:cli/", "wasi:clocks/", "wasi:random/", "wasi:filesystem/", "wasi:sockets/"];

/// What `handle` returns.
pub(crate) type Answer = Result<OutcomeResult, String>;

/// A component that keeps to the world, ready to be instantiated.
pub(crate) struct Checked {
    pre: InstancePre<Guest>,
    handle: ComponentExportIndex,
}

impl Checked {
    /// Checks a component, its types too.
    pub(crate) fn new(linker: &Linker<Guest>, component: &Component) -> Result<Self, Breach> {
        check_imports(linker.engine(), component)?;
        let pre = linker.instantiate_pre(component).map_err(Breach::Type)?;
        let handle = check_exports(component)?;
        bindings::HandlerPre::new(pre.clone()).map_err(Breach::Type)?;
        Ok(Self { pre, handle })
    }

    pub(crate) async fn instantiate(&self, store: &mut Store<Guest>) -> wasmtime::Result<Instance> {
        self.pre.instantiate_async(store).await
    }

    /// An instance, by its `handle`.
    pub(crate) async fn start(&self, store: &mut Store<Guest>) -> wasmtime::Result<Handle> {
        let instance = self.instantiate(&mut *store).await?;
        let function = instance.get_func(store, self.handle);
        function.map(Handle).ok_or_else(|| wasmtime::format_err!("the instance has no `{HANDLE}`"))
    }
}

/// The export `handle` of an instance of a [`Checked`] component.
pub(crate) struct Handle(Func);

impl Handle {
    #[allow(unsafe_code)]
    pub(crate) async fn call(&self, store: &mut Store<Guest>, event: Input<'_>) -> wasmtime::Result<Answer> {
        // SAFETY: `new_unchecked` wants a function of this very type. `Checked::start` alone makes a
        // `Handle`, of the export whose type `HandlerPre::new` has compared with the same bindings in
        // `Checked::new`. The safe way compares them again for each event, field by field, a twentieth of
        // what the event costs. `hostile::upload` alters the world in one place after the other.
        let function = unsafe { TypedFunc::<(Input<'_>,), (Answer,)>::new_unchecked(self.0) };
        Ok(function.call_async(store, (event,)).await?.0)
    }
}

/// What a component finds when it is instantiated.
pub(crate) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::<Guest>::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    bindings::Handler::add_to_linker::<_, HasSelf<Services>>(&mut linker, Guest::services)?;
    Ok(linker)
}

/// Checks imports by name; what is imported from a known interface is checked by the linker.
fn check_imports(engine: &wasmtime::Engine, component: &Component) -> Result<(), Breach> {
    let ty = component.component_type();
    match ty.imports(engine).find(|(name, _)| !is_allowed(name)) {
        Some((name, _)) => Err(Breach::Import { name: name.to_owned() }),
        None => Ok(()),
    }
}

/// Finds what to call, whose type is checked by the bindings, and checks what else is exported
/// under a name of the world's.
fn check_exports(component: &Component) -> Result<ComponentExportIndex, Breach> {
    let handle = component.get_export_index(None, HANDLE).ok_or(Breach::NoExport)?;
    match component.get_export(None, CHECK) {
        Some((item, _)) if !is_check(&item) => Err(Breach::Check),
        _ => Ok(handle),
    }
}

/// Whether it is `func(params: string) -> result<_, string>`.
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
pub enum Breach {
    /// It wants something that handlers are not given.
    #[error(
        "the component imports `{name}`; a handler may import `{PACKAGE}types`, `{PACKAGE}request`, `{PACKAGE}log`, `{PACKAGE}panic`, `{PACKAGE}keys`, `{PACKAGE}counters` and, all of it inert, WASI 0.2: {}",
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
    /// It offers something else under the name of the check.
    #[error(
        "the component exports `check`, and not as the world `floodgate:handler/checked-handler@0.1.0` has it: `func(params: string) -> result<_, string>`"
    )]
    Check,
    /// It offers another function, or imports one with another type.
    #[error("the component does not fit the world `floodgate:handler/handler@0.1.0`")]
    Type(#[source] wasmtime::Error),
}
