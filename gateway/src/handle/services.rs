//! What a running guest calls besides WASI.

use std::sync::Arc;

use super::contract::bindings::floodgate::handler::{counters, keys, log, types};
use super::grant::Granted;
use super::log::Lines;

/// The host's side of the interfaces `log`, `keys` and `counters`, for one run.
pub(crate) struct Services {
    pub(crate) granted: Arc<Granted>,
    pub(crate) lines: Lines,
}

impl log::Host for Services {
    fn log(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        self.lines.push(level.into(), &message, self.granted.log);
        Ok(())
    }
}

impl keys::Host for Services {
    fn sign(&mut self, key: String, data: Vec<u8>) -> wasmtime::Result<Vec<u8>> {
        Ok(self.granted.sign(&key, &data)?)
    }

    fn verify(&mut self, key: String, data: Vec<u8>, signature: Vec<u8>) -> wasmtime::Result<bool> {
        Ok(self.granted.verify(&key, &data, &signature)?)
    }
}

impl counters::Host for Services {
    fn add(&mut self, name: String, amount: u64) -> wasmtime::Result<()> {
        Ok(self.granted.count(&name, amount)?)
    }
}

/// The interface of types has no functions.
impl types::Host for Services {}
