//! The ledger over days, and clocks that jump, on a real nats-server: real streams, the relay's own parts in
//! this process, and a time that passes as fast as the test says.

#[path = "../../../crates/clock/src/world.rs"]
#[allow(
    dead_code,
    clippy::unwrap_used,
    reason = "the unit tests use the rest; it is compiled into tests alone"
)]
mod world;

mod another_log;
mod busy;
mod clocks;
mod growth;
mod readiness;
mod site;

use floodgate_clock::{Clock, ClockId, HostClocks};
