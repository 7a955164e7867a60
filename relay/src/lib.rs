//! The relay: copies every region into the central log, drops duplicates, delivers events to their consumers,
//! and holds the control plane. The mechanisms are crates of their own; this one wires them together
//! ([`run()`]) and serves the admin API.

mod api;
mod central;
pub mod config;
mod held;
mod jobs;
mod metrics;
mod provision;
pub mod readiness;
mod reload;
mod replay;
mod run;
mod serve;
mod shard;
mod store;

pub use run::{RelayError, run};
