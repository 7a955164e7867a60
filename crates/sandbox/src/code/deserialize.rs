//! Takes machine code into use, which nothing checks. This is one of the two `unsafe` calls of this crate.
//! The other is in `checked::call`.

use wasmtime::component::Component;

use super::Code;

impl Code {
    /// Takes the code into use. The engine checks that its own version made it, with its own settings.
    #[allow(unsafe_code)]
    pub(crate) fn to_component(&self, engine: &wasmtime::Engine) -> wasmtime::Result<Component> {
        // SAFETY: `deserialize` wants unaltered output of `precompile_component`. Only that is ever made a
        // `Code`: see the type. What a stranger uploads is refused if it is machine code (`inspect`) and else
        // goes through the compiler; what lies on disk goes through `Cache::get`, whose MAC key no guest and
        // no other user has. `cache::tests` alters files, cuts them and moves them.
        unsafe { Component::deserialize(engine, &self.0) }
    }
}
