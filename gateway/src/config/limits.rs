//! The limits of a gateway that an operator may set, each with its default and its bounds.

use std::fmt::Display;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

use floodgate_event::source::Intake;
use floodgate_ingress::{AddressRate, Rate, Room};
use floodgate_listen::{Bounds, HeadLimits, Shares};
use schemars::JsonSchema;
use serde::Deserialize;

/// HTTP/2 headers of up to this many times the limit get an answer that says why they are refused.
const EXPLAINED: u32 = 2;
/// What the largest event may take: its body as sent, decoded and changed by handlers, and twice in a block.
const LARGEST_EVENT: usize = 32 * 1024 * 1024;
/// The least memory: the largest event and its decoded form must fit, or no such event could ever pass.
const LEAST_MEMORY: usize = 4 * Intake::MAX_BODY_BYTES as usize;

/// Declares the `[limits]` table. A line gives the name of a limit, its type, its default and its bounds; the
/// check of a file and the configuration reference both read them there.
macro_rules! limits {
    ($($(#[$doc:meta])+ $name:ident: $type:ty = $default:expr, $bounds:expr;)+) => {
        /// The `[limits]` table: bounds of connections, requests, memory, queues and publishes.
        #[derive(Debug, Clone, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields, default)]
        pub struct Limits {
            $(
                $(#[$doc])+
                #[schemars(range(
                    min = *RangeInclusive::<$type>::start(&($bounds)),
                    max = *RangeInclusive::<$type>::end(&($bounds))
                ))]
                pub $name: $type,
            )+
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        impl Limits {
            /// Checks each limit against its bounds.
            fn check_each(&self) -> Result<(), OutOfBounds> {
                $(within(concat!("limits.", stringify!($name)), self.$name, &($bounds))?;)+
                Ok(())
            }
        }
    };
}

limits! {
    /// The most connections that are open at once on each port. Further ones wait in the kernel's backlog.
    max_connections: usize = 10_000, 1..=1_000_000;
    /// The percentage of `max_connections` that one address may have open; in IPv6 a /64 counts as one.
    /// Further ones are closed at once. Addresses of `proxies.trusted` have no such limit. Set it to 100
    /// behind a balancer that hides the addresses of senders.
    address_connections_percent: usize = 80, 1..=100;
    /// The most connections that wait to be accepted on each port. The kernel uses `net.core.somaxconn` if
    /// that is less.
    listen_backlog: u32 = 4_096, 128..=65_535;
    /// The most requests at once on one HTTP/2 connection.
    max_streams: u32 = 64, 1..=10_000;
    /// The most requests on one connection. The answer to the last one says `connection: close`; an HTTP/2
    /// connection gets GOAWAY, and requests under way are answered. Lower it if senders that keep connections
    /// for long leave new gateways idle.
    max_connection_requests: u64 = 1_000_000, 1..=1_000_000_000;
    /// The most bytes of a request's headers. Larger ones get 431. A connection also holds up to this many
    /// bytes (at least 8 KiB) of HTTP/1 requests that were sent before the one before them was answered. They
    /// count in `memory_bytes`, and no more is read until their turn comes.
    max_header_bytes: u32 = 32 * 1024, 8_192..=1_048_576;
    /// The most headers of a request, in either protocol. More get 431.
    max_header_fields: usize = 100, 16..=1_000;
    /// The most TLS handshakes under way at once. A connection whose handshake would be one more waits for
    /// its turn, at most until `tls_handshake_seconds` have passed. A connection on which nothing was sent
    /// yet does not count.
    max_tls_handshakes: usize = 1_024, 1..=100_000;
    /// The percentage of `max_tls_handshakes` that one address may have under way; in IPv6 a /64 counts as
    /// one. Further ones wait. Addresses of `proxies.trusted` have no such limit. Set it to 100 behind a
    /// balancer that hides the addresses of senders.
    address_tls_handshakes_percent: usize = 50, 1..=100;
    /// The most seconds that a TLS handshake may take. Then the gateway closes the connection.
    tls_handshake_seconds: u64 = 10, 1..=300;
    /// The most seconds from the start of a connection, or from its last request, until the headers of the
    /// next request are complete. A connection that is idle for longer is closed.
    header_seconds: u64 = 30, 1..=3_600;
    /// The most seconds that the body of a request may take. Then the sender gets 408.
    body_seconds: u64 = 30, 1..=3_600;
    /// The most seconds in which a sender may send less than 1 KiB of a body. Then it gets 408. While memory
    /// is short the gateway waits for half a second only.
    body_idle_seconds: u64 = 10, 1..=3_600;
    /// The most seconds in which a peer may read nothing of an answer. Then the gateway closes the
    /// connection.
    write_seconds: u64 = 10, 1..=3_600;
    /// The most bytes that connections, requests, events and answers may take together. Beyond that requests
    /// get 503. A connection counts as 16 KiB, a request as 4 KiB and what its headers and body take, and an
    /// HTTP/2 stream as 16 KiB more. The process itself takes 60 to 150 MiB more: its code and its handlers.
    memory_bytes: usize = 256 * 1024 * 1024, LEAST_MEMORY..=1 << 40;
    /// The percentage of `memory_bytes` that only small requests may use, so that large ones cannot keep them
    /// out.
    small_share_percent: usize = 25, 0..=90;
    /// The most bytes that a small request may take in memory until it is answered, which is three to four
    /// times its body.
    small_request_bytes: usize = 128 * 1024, 16_384..=16_777_216;
    /// The percentage of `memory_bytes` that the requests of one address may use, small ones aside. Set it to
    /// 100 behind a balancer that hides the addresses of senders (see `proxies`): they all have its address.
    address_share_percent: usize = 50, 1..=100;
    /// The percentage of `memory_bytes` that the requests of one connection may use.
    connection_share_percent: usize = 12, 1..=100;
    /// The most requests of one address in a second, on all paths; in IPv6 a /64 counts as one address.
    /// Beyond that they get 429 with `Retry-After` before anything is read of their bodies. 0 is no limit.
    /// Leave it at 0 behind a balancer that hides the addresses of senders (see `proxies`).
    address_per_second: u32 = 0, 0..=1_000_000;
    /// The most requests of one address at once, if it has sent none for a while. 0 is as many as
    /// `address_per_second`.
    address_burst: u32 = 0, 0..=1_000_000;
    /// The most addresses whose rate is known, of some 64 bytes each. An address is forgotten within a second
    /// after it may send its whole burst again. If there are more, new ones share a rate with each other.
    rated_addresses: usize = 100_000, 1_024..=10_000_000;
    /// The percentage of `memory_bytes`, or of the `queue_events` of any lane, above which events of the lane
    /// `bulk` get 503. `/readyz` names the lanes that are shed, and why. With 100 the lane is never shed.
    shed_bulk_percent: usize = 75, 1..=100;
    /// The same for the lane `standard`. Not less than `shed_bulk_percent`. The lane `critical` is never
    /// shed: it gets 503 only when all memory or its own queue is used up.
    shed_standard_percent: usize = 90, 1..=100;
    /// The most events that wait for a block, for each lane and shard. Beyond that requests get 503.
    queue_events: usize = 16_384, 1..=1_000_000;
    /// The most events in a block, which is one message in the region's stream.
    block_events: usize = 64, 1..=10_000;
    /// The most bytes of a block. An event that is larger gets a block of its own.
    block_bytes: usize = 1024 * 1024, 1..=4 << 20;
    /// The most blocks that wait for their acknowledgement, for each lane and shard.
    blocks_in_flight: usize = 2, 1..=256;
    /// The most milliseconds until NATS acknowledges a block, retries included. Then its requests get 503.
    /// Choose 20,000 for a cluster, which takes up to ten seconds to elect a leader. The duplicate window of
    /// the region's streams must be at least twice as long.
    publish_timeout_ms: u64 = 5_000, 100..=60_000;
}

/// A limit that is out of its bounds.
pub(super) struct OutOfBounds {
    pub(super) key: &'static str,
    pub(super) reason: String,
}

impl Limits {
    /// Checks each limit against its bounds, and those that go together.
    pub(super) fn check(&self) -> Result<(), OutOfBounds> {
        self.check_each()?;
        if self.shed_standard_percent < self.shed_bulk_percent {
            let reason =
                format!("expected at least `shed_bulk_percent`, which is {}", self.shed_bulk_percent);
            return Err(OutOfBounds { key: "limits.shed_standard_percent", reason });
        }
        if self.address_burst > 0 && self.address_per_second == 0 {
            let reason = "nothing uses it: set `address_per_second` as well".to_owned();
            return Err(OutOfBounds { key: "limits.address_burst", reason });
        }
        Ok(())
    }

    /// The rate of each address. None if addresses have no limit.
    pub(crate) fn address_rate(&self) -> Option<AddressRate> {
        let per_second = NonZeroU32::new(self.address_per_second)?;
        let burst = NonZeroU32::new(self.address_burst).unwrap_or(per_second);
        Some(AddressRate::new(Rate { per_second, burst }, self.rated_addresses))
    }

    /// How much may be used until a lane is shed.
    pub(crate) fn room(&self) -> Room {
        Room {
            memory_bytes: self.memory_bytes,
            queue_events: self.queue_events,
            bulk_percent: self.shed_bulk_percent,
            standard_percent: self.shed_standard_percent,
        }
    }

    /// The limits of a request's head.
    pub(crate) fn head(&self) -> HeadLimits {
        HeadLimits { bytes: self.max_header_bytes as usize, fields: self.max_header_fields }
    }

    /// How the memory is divided. A share is never smaller than what the largest event needs.
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

    /// What a port allows. `last_bytes` is how long incomplete requests may still take after the gateway
    /// stopped accepting.
    pub(crate) fn bounds(&self, last_bytes: Duration) -> Bounds {
        // One is always allowed.
        let share = |of: usize, percent: usize| (of.saturating_mul(percent) / 100).max(1);
        Bounds {
            connections: self.max_connections,
            address_connections: share(self.max_connections, self.address_connections_percent),
            backlog: self.listen_backlog,
            streams: self.max_streams,
            connection_requests: self.max_connection_requests,
            head_fields: self.max_header_fields,
            head_bytes: self.max_header_bytes as usize,
            // Headers over the limit get a problem document up to this size, and a bare
            // 431 from h2 beyond it.
            list_bytes: self.max_header_bytes.saturating_mul(EXPLAINED),
            handshakes: self.max_tls_handshakes,
            address_handshakes: share(self.max_tls_handshakes, self.address_tls_handshakes_percent),
            handshake: Duration::from_secs(self.tls_handshake_seconds),
            head: Duration::from_secs(self.header_seconds),
            write: Duration::from_secs(self.write_seconds),
            last_bytes,
        }
    }

    /// The bounds of the lanes' queues and of their blocks.
    pub(crate) fn blocks(&self) -> floodgate_enqueue::Bounds {
        floodgate_enqueue::Bounds {
            waiting: self.queue_events,
            events: self.block_events,
            bytes: self.block_bytes,
            in_flight: self.blocks_in_flight,
            timeout: self.publish_timeout(),
        }
    }

    /// How long a publish ack may take. The stream's duplicate window must be at least twice as long.
    pub fn publish_timeout(&self) -> Duration {
        Duration::from_millis(self.publish_timeout_ms)
    }
}

fn within<T: PartialOrd + Display>(
    key: &'static str,
    value: T,
    bounds: &RangeInclusive<T>,
) -> Result<(), OutOfBounds> {
    if bounds.contains(&value) {
        return Ok(());
    }
    Err(OutOfBounds { key, reason: format!("expected {} to {}", bounds.start(), bounds.end()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_connection_of_an_address_is_always_allowed() {
        let bounds = Limits { max_connections: 1, max_tls_handshakes: 1, ..Limits::default() };
        let bounds = bounds.bounds(Duration::ZERO);
        assert_eq!((bounds.address_connections, bounds.address_handshakes), (1, 1));
    }

    #[test]
    fn shares_leave_room_for_the_largest_event_and_for_small_ones() {
        let Shares { total, kept, address, connection, .. } = Limits::default().shares();
        assert_eq!((total, kept, address), (256 << 20, (256 << 20) / 100 * 25, (256 << 20) / 100 * 50));
        assert_eq!(connection, LARGEST_EVENT);
        let least = Limits { memory_bytes: 12_582_912, ..Limits::default() }.shares();
        assert_eq!((least.kept, least.address, least.connection), (0, 12_582_912, 12_582_912));
    }
}
