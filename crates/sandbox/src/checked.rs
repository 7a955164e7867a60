//! A component whose types were checked once. The call that relies on that check is in a module of its own:
//! [`call`].

mod call;

use wasmtime::Store;
use wasmtime::component::{Component, ComponentExportIndex, Instance, InstancePre, Linker};

pub(crate) use self::call::Handle;
use crate::bindings::HandlerPre;
use crate::contract::{self, ContractError};
use crate::guest::Guest;

/// A component that fits the world, ready to be instantiated.
pub(crate) struct Checked {
    pre: InstancePre<Guest>,
    handle: ComponentExportIndex,
}

impl Checked {
    /// Checks a component, including its types.
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

    /// Starts an instance, and returns its export `handle`.
    pub(crate) async fn start(&self, store: &mut Store<Guest>) -> wasmtime::Result<Handle> {
        let instance = self.instantiate(&mut *store).await?;
        let function = instance.get_func(store, self.handle);
        function
            .map(Handle::of_checked)
            .ok_or_else(|| wasmtime::format_err!("the instance has no `{}`", contract::HANDLE))
    }
}
