//! The gateway, through the imports of the world `floodgate:handler`.

use super::Level;
use crate::bindings::floodgate::handler::{counters, keys, log, request as wit};
use crate::request::Request;

pub(crate) fn request() -> Request {
    let wit::Request { method, path, query, headers } = wit::get();
    Request { method, path, query, headers }
}

pub(crate) fn sign(key: &str, data: &[u8]) -> Vec<u8> {
    keys::sign(key, data)
}

pub(crate) fn verify(key: &str, data: &[u8], signature: &[u8]) -> bool {
    keys::verify(key, data, signature)
}

pub(crate) fn count(name: &str, amount: u64) {
    counters::add(name, amount);
}

pub(crate) fn write(level: Level, message: &str) {
    let level = match level {
        Level::Trace => log::Level::Trace,
        Level::Debug => log::Level::Debug,
        Level::Info => log::Level::Info,
        Level::Warn => log::Level::Warn,
        Level::Error => log::Level::Error,
    };
    log::log(level, message);
}
