//! Makes handlers of components on an engine: checks them, compiles them, and takes the code into use.

use std::time::Instant;

use crate::code::Code;
use crate::engine::Engine;
use crate::handler::{Handler, LoadError};
use crate::inspect;

impl Engine {
    /// Compiles a component in this process and checks that it is a handler. This blocks, for seconds if the
    /// component is large, and may take gigabytes. Call it for components that the caller wrote, or in a
    /// process under limits. A gateway uses a [`Loader`](crate::Loader).
    ///
    /// # Errors
    /// If the bytes are not a component or are too large, or if the component does not export `handle` as the
    /// world declares it or imports something else.
    pub fn load(&self, component: &[u8]) -> Result<Handler, LoadError> {
        let began = Instant::now();
        let code = self.precompile(component)?;
        let handler = self.adopt(&code)?;
        Ok(handler.compiled_in(began.elapsed()))
    }

    /// Compiles a component to machine code, which the compile command sends to the [`Loader`](crate::Loader)
    /// that started it.
    ///
    /// # Errors
    /// If it is not a component, too large, or does not compile.
    pub fn precompile(&self, component: &[u8]) -> Result<Code, LoadError> {
        self.inspect(component)?;
        let code = self.wasm().precompile_component(component).map_err(LoadError::Compile)?;
        Ok(Code::of_compiler(code))
    }

    /// Makes a handler of code that this program's compiler made.
    pub(crate) fn adopt(&self, code: &Code) -> Result<Handler, LoadError> {
        let component = code.to_component(self.wasm()).map_err(LoadError::Compile)?;
        self.start_ticking();
        Handler::new(self.clone(), &component)
    }

    /// Looks over a component, in time that grows with its size alone.
    pub(crate) fn inspect(&self, component: &[u8]) -> Result<(), LoadError> {
        Ok(inspect::check(component, self.limits().component_bytes)?)
    }
}
