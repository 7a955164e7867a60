//! The handler toolchain: starts a handler's folder from a template, builds its component, and tries the
//! component out under the gateway's own WebAssembly host.
//!
//! The library prints nothing to standard output and knows neither the command line nor the admin API. What
//! takes long reports to a callback. The programs that a build runs write to standard error.
//!
//! - [`create`] writes a new handler's folder; [`project`] reads one.
//! - [`build`] makes the component in the handler's [`language`].
//! - [`fixture`] reads the events to try, and [`load`] the component. [`test`](mod@test) compares outcomes,
//!   and [`bench`](mod@bench) measures time.
//! - [`check`] and [`compile`] are for a process of their own: they limit the process before they look at a
//!   stranger's component.

pub mod bench;
pub mod build;
pub mod check;
pub mod compile;
pub mod create;
mod error;
pub mod fixture;
pub mod language;
pub mod load;
mod outcome;
pub mod project;
mod restrict;
mod sdk;
mod template;
pub mod test;

pub use error::Error;
pub use restrict::ProcessError;
