//! Machine code of handlers.

use wasmtime::component::Component;

/// The most bytes of a handler's machine code; Python's has a third.
pub(crate) const MAX_BYTES: usize = 256 * 1024 * 1024;

/// Machine code that this program's own compiler made. It runs without any check, so a value of this type is
/// made in three places alone: where the compiler returns, where the process that compiles has answered, and
/// where a file's MAC was found right.
pub struct Code(Vec<u8>);

impl Code {
    /// What `precompile_component` returned, here or in a process of this program.
    pub(super) fn of_compiler(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// What was found in the cache under a MAC that holds.
    pub(super) fn authenticated(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The code, to be sent or stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Takes the code into use. The engine checks that it was made by its version and with its settings.
    #[allow(unsafe_code)]
    pub(super) fn to_component(&self, engine: &wasmtime::Engine) -> wasmtime::Result<Component> {
        // SAFETY: `deserialize` wants unaltered output of `precompile_component`. Only that is ever made a
        // `Code`: see the type. What a stranger uploads is refused if it is machine code (`inspect`) and else
        // goes through the compiler; what lies on disk goes through `Cache::get`, whose MAC key no guest and
        // no other user has. `cache::tests` alters files, cuts them and moves them.
        unsafe { Component::deserialize(engine, &self.0) }
    }
}

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Code({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_of_other_settings_is_refused() {
        let fuelled = wasmtime::Engine::new(wasmtime::Config::new().consume_fuel(true)).unwrap();
        let code = fuelled.precompile_component(&wat::parse_str("(component)").unwrap()).unwrap();
        let plain = wasmtime::Engine::default();
        assert!(Code::of_compiler(code).to_component(&plain).is_err());
    }
}
