//! The host functions that a guest can call besides WASI.

use crate::bindings::{counters, keys, log, panic, request, types};
use crate::context::Context;
use crate::log::Lines;

/// The host's side of all interfaces with functions, for one run.
pub(crate) struct Services {
    pub(crate) context: Context,
    pub(crate) lines: Lines,
}

impl Services {
    /// What the guest wrote. The reason of a panic comes last.
    pub(crate) fn into_lines(mut self) -> Lines {
        self.lines.end_panic(self.context.granted().log);
        self.lines
    }
}

impl request::Host for Services {
    fn get(&mut self) -> wasmtime::Result<request::Request> {
        Ok(self.context.request())
    }
}

impl log::Host for Services {
    fn log(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        self.lines.push(level.into(), &message, self.context.granted().log);
        Ok(())
    }
}

impl panic::Host for Services {
    fn say(
        &mut self,
        a: u64,
        b: u64,
        c: u64,
        d: u64,
        e: u64,
        f: u64,
        g: u64,
        h: u64,
    ) -> wasmtime::Result<()> {
        self.lines.push_panic([a, b, c, d, e, f, g, h]);
        Ok(())
    }
}

impl keys::Host for Services {
    fn sign(&mut self, key: String, data: Vec<u8>) -> wasmtime::Result<Vec<u8>> {
        Ok(self.context.granted().sign(&key, &data)?)
    }

    fn verify(&mut self, key: String, data: Vec<u8>, signature: Vec<u8>) -> wasmtime::Result<bool> {
        Ok(self.context.granted().verify(&key, &data, &signature)?)
    }
}

impl counters::Host for Services {
    fn add(&mut self, name: String, amount: u64) -> wasmtime::Result<()> {
        Ok(self.context.granted().count(&name, amount)?)
    }
}

/// The interface of types has no functions.
impl types::Host for Services {}
