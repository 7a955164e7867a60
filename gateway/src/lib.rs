//! The gateway of a region: accepts webhooks, verifies their signatures, runs the source's handlers,
//! and answers 2xx once the event is on disk in the region's JetStream.
//! `accept → verify → chain → enqueue`; `region` wires the rooms together.

mod accept;
pub mod chain;
pub mod config;
mod enqueue;
mod metrics;
mod nats;
mod region;
pub mod stage;
mod tls;
mod verify;

pub use nats::{LinkError, connect};
pub use region::{GatewayError, run};
pub use tls::TlsError;
