//! The gateway of a region: it accepts webhooks, verifies their signatures, runs the source's handlers, and
//! answers 2xx once the event is on disk in the region's JetStream. The modules are `accept → verify →
//! chain`, `crates/enqueue` writes the events, and `region` wires them together.

mod accept;
pub mod chain;
pub mod config;
mod metrics;
mod nats;
mod region;
pub mod stage;
mod verify;

pub use floodgate_tls::TlsError;
pub use nats::{ClientError, connect};
pub use region::{GatewayError, run};
pub use verify::preview::{Preview, preview};
