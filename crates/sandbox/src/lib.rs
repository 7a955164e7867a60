//! Runs handlers: WebAssembly components of the world in `sdk/wit`. Each event gets a fresh instance, under
//! limits of time, memory and output. This crate knows no NATS, no sockets and no gateway.
//!
//! An [`Engine`] makes a [`Handler`] of a component that the caller trusts. A [`Loader`] does so for a
//! stranger's component: it compiles the component in a process under limits, or takes the code from its
//! [`Cache`].

mod bindings;
mod cache;
mod checked;
mod code;
mod compiler;
mod context;
mod contract;
mod engine;
mod failures;
mod fault;
mod grant;
mod guest;
mod handler;
mod header;
mod inspect;
mod limits;
mod load;
mod loader;
mod log;
mod meter;
mod metrics;
mod outcome;
mod services;
mod swap;
mod ticker;
mod wasi;

pub use bindings::{Input, InputLane};
pub use cache::Cache;
pub use code::Code;
pub use compiler::{CompileError, Compiler};
pub use context::Context;
pub use contract::ContractError;
pub use engine::{Engine, EngineError};
pub use fault::{Fault, FaultKind};
pub use grant::{Granted, UnknownKey};
pub use handler::{Handler, LoadError, Run};
pub use header::Pair as HeaderPair;
pub use inspect::Refused;
pub use limits::{InvalidLimit, Limits, OutOfRange, RunLimits};
pub use loader::Loader;
pub use log::{Level, Line};
pub use metrics::{FAULT, Metrics, VersionMetrics};
pub use outcome::{Change, Child, HandlerAnswer, Outcome};
pub use swap::SwapDevices;
