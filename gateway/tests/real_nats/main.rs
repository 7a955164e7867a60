//! The gateway against a real nats-server: `FLOODGATE_NATS_SERVER`,
//! `.tools/nats-server`, or the one on `PATH`.

// A harness for tests may stop at the first surprise.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod access_log;
mod answers;
mod client;
mod cluster;
mod compile;
mod configuration;
mod drain;
mod durability;
mod http1;
mod http1_table;
mod http2;
mod http2_outside;
mod limits;
mod mtls;
mod nats;
mod own_applications;
mod proxies;
mod region;
mod reload;
mod shedding;
mod swap;
mod tls;
