//! Runs the handlers of a source over its events: WebAssembly components of the world in `sdk/wit`, each on a
//! fresh instance per event, under limits of time, memory and output.
//!
//! A [`Loader`] turns components into [`Handler`]s, compiled in a process under limits or from
//! the cache; a [`Chain`] runs the handlers that a source binds and is the only thing that turns a
//! [`Verified`](crate::stage::Verified) event into a [`Handled`](crate::stage::Handled) one.

mod allowance;
mod breaker;
mod cache;
mod chain;
mod code;
mod compiler;
mod context;
mod contract;
mod draft;
mod engine;
mod fault;
mod grant;
mod guest;
mod handler;
mod header;
mod inspect;
mod limits;
mod loader;
mod log;
mod meter;
mod metrics;
mod outcome;
mod services;
mod setbacks;
mod split;
mod swap;
mod tap;
mod ticker;
mod trial;
mod trouble;
mod version;
mod wasi;

#[cfg(test)]
mod hostile;

pub use cache::Cache;
pub use chain::{Chain, Link, NotBound, NotHandled, Rejected};
pub use code::Code;
pub use compiler::{CompileError, Compiler};
pub use context::Context;
pub use contract::{Input, InputLane};
pub use engine::{Engine, EngineError};
pub use fault::{Fault, FaultKind};
pub use grant::{Granted, UnknownKey};
pub use handler::{Handler, LoadError, Run};
pub use inspect::Refused;
pub use limits::{InvalidLimit, Limits, OutOfRange, RunLimits};
pub use loader::Loader;
pub use log::{Level, Line};
pub use outcome::{Change, Child, Outcome};
pub use swap::Swaps;
pub use tap::{Entry, Tap};
pub use trial::{Score, Trial};
pub use version::{Version, VersionId, Versions};
