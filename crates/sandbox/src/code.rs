//! The machine code of handlers. Taking it into use is `unsafe`, and in a module of its own: [`deserialize`].

mod deserialize;

/// The most bytes of a handler's machine code. Python's code has a third of it.
pub(crate) const MAX_BYTES: usize = 256 * 1024 * 1024;

/// Machine code that this program's own compiler made. It runs without any check, so a value of this type is
/// made in three places only: where the compiler returns, where the compiling process has answered, and where
/// a file's MAC was verified.
pub struct Code(Vec<u8>);

impl Code {
    /// Code that `precompile_component` returned, in this process or in one that it started.
    pub(super) fn of_compiler(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Code from a file of the cache whose MAC was verified.
    pub(super) fn authenticated(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Returns the code, to be sent to another process or stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
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
