//! What a handler asks of its host. In a component these functions call the gateway; in a native test they
//! are stand-ins.

#[cfg(target_arch = "wasm32")]
mod component;
#[cfg(not(target_arch = "wasm32"))]
mod native;

#[cfg(target_arch = "wasm32")]
pub(crate) use component::{count, request, sign, verify, write};
#[cfg(not(target_arch = "wasm32"))]
pub use native::provide;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use native::{count, request, sign, verify, write};

/// How important a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}
