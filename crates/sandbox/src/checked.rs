//! A component whose types were checked once, and the call that rests on the check.

use wasmtime::Store;
use wasmtime::component::{Component, ComponentExportIndex, Func, Instance, InstancePre, Linker, TypedFunc};

use crate::bindings::{Answer, HandlerPre, Input};
use crate::contract::{self, ContractError};
use crate::guest::Guest;

/// A component that keeps to the world, ready to be instantiated.
pub(crate) struct Checked {
    pre: InstancePre<Guest>,
    handle: ComponentExportIndex,
}

impl Checked {
    /// Checks a component, its types too.
    pub(crate) fn new(linker: &Linker<Guest>, component: &Component) -> Result<Self, ContractError> {
        contract::check_imports(linker.engine(), component)?;
        let pre = linker.instantiate_pre(component).map_err(ContractError::Type)?;
        let handle = contract::check_exports(component)?;
        HandlerPre::new(pre.clone()).map_err(ContractError::Type)?;
        Ok(Self { pre, handle })
    }

    pub(crate) async fn instantiate(&self, store: &mut Store<Guest>) -> wasmtime::Result<Instance> {
        self.pre.instantiate_async(store).await
    }

    /// An instance, by its `handle`.
    pub(crate) async fn start(&self, store: &mut Store<Guest>) -> wasmtime::Result<Handle> {
        let instance = self.instantiate(&mut *store).await?;
        let function = instance.get_func(store, self.handle);
        function
            .map(Handle)
            .ok_or_else(|| wasmtime::format_err!("the instance has no `{}`", contract::HANDLE))
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
        // what the event costs. `tests/hostile/upload.rs` alters the world in one place after the other.
        let function = unsafe { TypedFunc::<(Input<'_>,), (Answer,)>::new_unchecked(self.0) };
        Ok(function.call_async(store, (event,)).await?.0)
    }
}
