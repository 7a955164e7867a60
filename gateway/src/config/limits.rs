//! Every bound of a gateway that an operator may move, with its own bounds.

use std::ops::RangeInclusive;
use std::time::Duration;

use floodgate_event::source::Intake;
use floodgate_listen::{Bounds, Shares};
use serde::Deserialize;

use crate::accept::body::Pauses;

/// How many times the limit HTTP/2's headers may have to be told why they are refused.
const EXPLAINED: u32 = 2;
/// What the largest event may take: its body as sent, decoded and changed by handlers, and twice in a block.
const LARGEST_EVENT: usize = 32 * 1024 * 1024;

/// The `[limits]` table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections at once, on each port; more wait in the kernel's backlog.
    pub max_connections: usize,
    /// Connections that wait to be accepted; the kernel cuts this to `net.core.somaxconn`.
    pub listen_backlog: u32,
    /// Requests at once on an HTTP/2 connection.
    pub max_streams: u32,
    /// Bytes of a request's headers.
    pub max_header_bytes: u32,
    /// How long a TLS handshake may take.
    pub tls_handshake_seconds: u64,
    /// How long the next request of a connection may take to begin and to have its headers here, in either
    /// protocol: so long may a connection be idle.
    pub header_seconds: u64,
    /// How long a request's body may take.
    pub body_seconds: u64,
    /// How long a body may bring less than a kilobyte; half a second while memory is short.
    pub body_idle_seconds: u64,
    /// How long a peer may take no byte of an answer.
    pub write_seconds: u64,
    /// Bytes of connections, requests, events and answers held at once, in all; past it requests get 503.
    /// What the process takes besides is its code, its handlers and its streams: 60 to 150 MiB.
    pub memory_bytes: usize,
    /// The part of `memory_bytes` that is kept for small requests.
    pub small_share_percent: usize,
    /// Up to where a request is small, with all that it takes until it is answered:
    /// three to four times its body.
    pub small_request_bytes: usize,
    /// The part of `memory_bytes` that the requests of one address may take that are not small.
    pub address_share_percent: usize,
    /// The part of `memory_bytes` that one connection may take.
    pub connection_share_percent: usize,
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
            listen_backlog: 4_096,
            max_streams: 128,
            max_header_bytes: 32 * 1024,
            tls_handshake_seconds: 10,
            header_seconds: 30,
            body_seconds: 30,
            body_idle_seconds: 10,
            write_seconds: 10,
            memory_bytes: 256 * 1024 * 1024,
            small_share_percent: 25,
            small_request_bytes: 128 * 1024,
            address_share_percent: 50,
            connection_share_percent: 12,
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
    /// How long a body may take.
    pub(crate) fn pauses(&self) -> Pauses {
        Pauses {
            whole: Duration::from_secs(self.body_seconds),
            longest: Duration::from_secs(self.body_idle_seconds),
        }
    }

    /// How memory is shared out. The largest event can pass, however small a share would be.
    pub(crate) fn shares(&self) -> Shares {
        let total = self.memory_bytes;
        let largest = LARGEST_EVENT.min(total);
        let share = |percent: usize| (total / 100 * percent).max(largest);
        Shares {
            total,
            kept: (total / 100 * self.small_share_percent).min(total - largest),
            address: share(self.address_share_percent),
            connection: share(self.connection_share_percent),
            small: self.small_request_bytes,
        }
    }

    /// What a port allows. `last_bytes` is how long what is not here whole may take when it stops.
    pub(crate) fn bounds(&self, last_bytes: Duration) -> Bounds {
        Bounds {
            connections: self.max_connections,
            backlog: self.listen_backlog,
            streams: self.max_streams,
            head_bytes: self.max_header_bytes as usize,
            // What is over the limit, and not over this, gets a problem document; the
            // rest a bare 431 from h2.
            list_bytes: self.max_header_bytes.saturating_mul(EXPLAINED),
            handshake: Duration::from_secs(self.tls_handshake_seconds),
            head: Duration::from_secs(self.header_seconds),
            write: Duration::from_secs(self.write_seconds),
            last_bytes,
        }
    }

    /// How long a publish ack may take. The stream's duplicate window must be at least twice as long.
    pub fn publish_timeout(&self) -> Duration {
        Duration::from_millis(self.publish_timeout_ms)
    }

    pub(super) fn check(&self) -> Result<(), OutOfBounds> {
        // The largest event and its decoded form must fit, or no such event could ever pass.
        let least_memory = 4 * Intake::MAX_BODY_BYTES as usize;
        within("limits.max_connections", self.max_connections, 1..=1_000_000, "expected 1 to 1000000")?;
        within("limits.listen_backlog", self.listen_backlog, 128..=65_535, "expected 128 to 65535")?;
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
        within("limits.body_idle_seconds", self.body_idle_seconds, 1..=3_600, "expected 1 to 3600")?;
        within("limits.write_seconds", self.write_seconds, 1..=3_600, "expected 1 to 3600")?;
        self.check_shares()?;
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

impl Limits {
    fn check_shares(&self) -> Result<(), OutOfBounds> {
        within("limits.small_share_percent", self.small_share_percent, 0..=90, "expected 0 to 90")?;
        within(
            "limits.small_request_bytes",
            self.small_request_bytes,
            16_384..=16_777_216,
            "expected 16384 to 16777216",
        )?;
        within("limits.address_share_percent", self.address_share_percent, 1..=100, "expected 1 to 100")?;
        within("limits.connection_share_percent", self.connection_share_percent, 1..=100, "expected 1 to 100")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_leave_room_for_the_largest_event_and_for_small_ones() {
        let Shares { total, kept, address, connection, .. } = Limits::default().shares();
        assert_eq!((total, kept, address), (256 << 20, (256 << 20) / 100 * 25, (256 << 20) / 100 * 50));
        assert_eq!(connection, LARGEST_EVENT);
        let least = Limits { memory_bytes: 12_582_912, ..Limits::default() }.shares();
        assert_eq!((least.kept, least.address, least.connection), (0, 12_582_912, 12_582_912));
    }
}
