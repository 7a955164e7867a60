//! The relay: copies every region into the central log, drops duplicates, forwards events to their consumers,
//! and holds the control plane. `replicate → dedup → forward`; `route` wires the rooms together.

pub mod api;
pub mod append;
pub mod backup;
pub mod books;
pub mod central;
pub mod clock;
pub mod config;
pub mod control;
pub mod dedup;
pub mod destination;
pub mod forward;
pub mod lease;
pub mod lookup;
pub mod metrics;
pub mod nats;
pub mod progress;
pub mod provision;
pub mod reader;
mod reload;
mod replay;
pub mod replicate;
mod route;
mod serve;
mod shard;

pub use route::{RelayError, run};
