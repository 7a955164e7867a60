//! Every bound of a gateway that an operator may move, with its own bounds.

use std::ops::RangeInclusive;
use std::time::Duration;

use floodgate_event::source::Intake;
use serde::Deserialize;

/// The `[limits]` table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections at once, on each port; more wait in the kernel's backlog.
    pub max_connections: usize,
    /// Requests at once on an HTTP/2 connection.
    pub max_streams: u32,
    /// Bytes of a request's headers.
    pub max_header_bytes: u32,
    /// How long a TLS handshake may take.
    pub tls_handshake_seconds: u64,
    /// How long a request's headers may take, and how long a kept-alive HTTP/1.1 connection may be idle.
    pub header_seconds: u64,
    /// How long a request's body may take.
    pub body_seconds: u64,
    /// Bytes of requests and events held at once, in all; past it requests get 503.
    pub memory_bytes: usize,
    /// Events that may wait for a block, per lane and shard; past it requests get 503.
    pub queue_events: usize,
    /// Events of a block.
    pub block_events: usize,
    /// Bytes of a block; an event that is larger goes alone.
    pub block_bytes: usize,
    /// Blocks under way at once, per lane and shard.
    pub blocks_in_flight: usize,
    /// How long a block may take until its publish ack, after which its requests get 503.
    pub publish_timeout_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            max_streams: 128,
            max_header_bytes: 32 * 1024,
            tls_handshake_seconds: 10,
            header_seconds: 30,
            body_seconds: 30,
            memory_bytes: 256 * 1024 * 1024,
            queue_events: 16_384,
            block_events: 64,
            block_bytes: 1024 * 1024,
            blocks_in_flight: 2,
            publish_timeout_ms: 5_000,
        }
    }
}

/// A limit outside of its own bounds.
pub(super) struct OutOfBounds {
    pub(super) key: &'static str,
    pub(super) reason: &'static str,
}

impl Limits {
    /// How long a TLS handshake may take.
    pub fn tls_handshake_timeout(&self) -> Duration {
        Duration::from_secs(self.tls_handshake_seconds)
    }

    /// How long headers may take.
    pub fn header_timeout(&self) -> Duration {
        Duration::from_secs(self.header_seconds)
    }

    /// How long a body may take.
    pub fn body_timeout(&self) -> Duration {
        Duration::from_secs(self.body_seconds)
    }

    /// How long a publish ack may take. The stream's duplicate window must be at least twice as long.
    pub fn publish_timeout(&self) -> Duration {
        Duration::from_millis(self.publish_timeout_ms)
    }

    pub(super) fn check(&self) -> Result<(), OutOfBounds> {
        // The largest event and its decoded form must fit, or no such event could ever pass.
        let least_memory = 4 * Intake::MAX_BODY_BYTES as usize;
        within("limits.max_connections", self.max_connections, 1..=1_000_000, "expected 1 to 1000000")?;
        within("limits.max_streams", self.max_streams, 1..=10_000, "expected 1 to 10000")?;
        within(
            "limits.max_header_bytes",
            self.max_header_bytes,
            8_192..=1_048_576,
            "expected 8192 to 1048576",
        )?;
        within("limits.tls_handshake_seconds", self.tls_handshake_seconds, 1..=300, "expected 1 to 300")?;
        within("limits.header_seconds", self.header_seconds, 1..=3_600, "expected 1 to 3600")?;
        within("limits.body_seconds", self.body_seconds, 1..=3_600, "expected 1 to 3600")?;
        within(
            "limits.memory_bytes",
            self.memory_bytes,
            least_memory..=1 << 40,
            "expected 12582912 to 2^40",
        )?;
        within("limits.queue_events", self.queue_events, 1..=1_000_000, "expected 1 to 1000000")?;
        within("limits.block_events", self.block_events, 1..=10_000, "expected 1 to 10000")?;
        within("limits.block_bytes", self.block_bytes, 1..=4 << 20, "expected 1 to 4194304")?;
        within("limits.blocks_in_flight", self.blocks_in_flight, 1..=256, "expected 1 to 256")?;
        within("limits.publish_timeout_ms", self.publish_timeout_ms, 100..=60_000, "expected 100 to 60000")
    }
}

fn within<T: PartialOrd>(
    key: &'static str,
    value: T,
    bounds: RangeInclusive<T>,
    reason: &'static str,
) -> Result<(), OutOfBounds> {
    if bounds.contains(&value) { Ok(()) } else { Err(OutOfBounds { key, reason }) }
}
