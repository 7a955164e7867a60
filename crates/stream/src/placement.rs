//! How an operator wants streams to be kept: on how many servers, and with how many bytes.

use std::num::NonZeroU8;

use floodgate_event::Lane;
use serde::Deserialize;

/// The least that a lane's stream may be limited to: two of the largest messages.
const LEAST_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// The centre's streams.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Centre {
    /// On how many servers they are kept; left out, as for a region.
    pub replicas: Option<Replicas>,
}

/// On how many servers a stream is kept: 1 or 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u8")]
pub struct Replicas(NonZeroU8);

impl Replicas {
    /// As a stream's configuration has it.
    pub fn count(self) -> usize {
        self.0.get().into()
    }
}

impl TryFrom<u8> for Replicas {
    type Error = &'static str;

    fn try_from(count: u8) -> Result<Self, Self::Error> {
        match NonZeroU8::new(count) {
            Some(count) if matches!(count.get(), 1 | 3) => Ok(Self(count)),
            Some(_) | None => Err("expected 1 or 3 replicas"),
        }
    }
}

/// The most bytes that each lane's stream of a region may hold; then it refuses, and
/// senders are asked to come back.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaxBytes {
    critical: Option<u64>,
    standard: Option<u64>,
    bulk: Option<u64>,
}

impl MaxBytes {
    /// The limit of a lane's stream, if it has one.
    pub fn of(&self, lane: Lane) -> Option<i64> {
        let bytes = match lane {
            Lane::Critical => self.critical,
            Lane::Standard => self.standard,
            Lane::Bulk => self.bulk,
        };
        // What does not fit is refused when the file is read.
        bytes.and_then(|bytes| i64::try_from(bytes).ok())
    }

    /// Whether each limit leaves room for two of the largest messages.
    pub fn is_within_bounds(self) -> bool {
        let bounds = LEAST_MAX_BYTES..=i64::MAX.unsigned_abs();
        [self.critical, self.standard, self.bulk].into_iter().flatten().all(|bytes| bounds.contains(&bytes))
    }
}

/// How a region's streams are kept.
#[derive(Clone, Copy, Debug, Default)]
pub struct Placement {
    /// On how many servers; `None` leaves existing streams as they are.
    pub replicas: Option<Replicas>,
    /// What each lane may hold.
    pub max_bytes: MaxBytes,
}
