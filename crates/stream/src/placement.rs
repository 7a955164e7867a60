//! An operator's choices for streams: how many replicas they have and how many bytes they may hold.

use std::num::NonZeroU8;
use std::ops::RangeInclusive;
use std::time::Duration;

use floodgate_event::Lane;
use schemars::JsonSchema;
use serde::Deserialize;

/// The `[centre]` table: how the streams of the centre are kept.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Centre {
    /// On how many NATS servers the streams of the centre are kept: 3 for a cluster of three. If left out,
    /// new streams are on one server, and existing streams stay as they are.
    #[schemars(example = 3, extend("enum" = Replicas::ALLOWED))]
    pub replicas: Option<Replicas>,
}

/// How many replicas a stream has: 1 or 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "u8")]
pub struct Replicas(NonZeroU8);

impl Replicas {
    /// The counts that are allowed.
    pub const ALLOWED: [u8; 2] = [1, 3];

    /// As a stream's configuration has it.
    pub fn count(self) -> usize {
        self.0.get().into()
    }
}

impl TryFrom<u8> for Replicas {
    type Error = &'static str;

    fn try_from(count: u8) -> Result<Self, Self::Error> {
        match NonZeroU8::new(count) {
            Some(count) if Self::ALLOWED.contains(&count.get()) => Ok(Self(count)),
            Some(_) | None => Err("expected 1 or 3 replicas"),
        }
    }
}

/// The most bytes that the stream of each lane of a region may hold. A full stream refuses blocks, and
/// gateways answer 503.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaxBytes {
    /// Bytes of the lane `critical`. Without a limit the stream grows until the disk that JetStream may use
    /// is full.
    #[schemars(range(min = Self::LEAST), example = 5_000_000_000_u64)]
    critical: Option<u64>,
    /// Bytes of the lane `standard`.
    #[schemars(range(min = Self::LEAST), example = 20_000_000_000_u64)]
    standard: Option<u64>,
    /// Bytes of the lane `bulk`.
    #[schemars(range(min = Self::LEAST), example = 5_000_000_000_u64)]
    bulk: Option<u64>,
}

impl MaxBytes {
    /// The least bytes that a lane's stream may be limited to: two of the largest messages.
    pub const LEAST: u64 = 16 * 1024 * 1024;

    /// The limit of a lane's stream, if it has one.
    pub fn of(&self, lane: Lane) -> Option<i64> {
        let bytes = match lane {
            Lane::Critical => self.critical,
            Lane::Standard => self.standard,
            Lane::Bulk => self.bulk,
        };
        // A larger number is refused when the file is read.
        bytes.and_then(|bytes| i64::try_from(bytes).ok())
    }

    /// Returns true if each limit leaves room for two of the largest messages.
    pub fn is_within_bounds(self) -> bool {
        let bounds = Self::LEAST..=i64::MAX.unsigned_abs();
        [self.critical, self.standard, self.bulk].into_iter().flatten().all(|bytes| bounds.contains(&bytes))
    }
}

/// The `[rejects]` table: how much of refused requests is kept, and for how long.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rejects {
    /// For how many days regions and the centre keep the record of a refused request.
    #[schemars(range(min = *Self::DAYS.start(), max = *Self::DAYS.end()))]
    pub kept_days: u32,
    /// The most bytes of these records in a region. The centre keeps as many for each region. When they are
    /// used up, the oldest records go first.
    #[schemars(range(min = *Self::BYTES.start(), max = *Self::BYTES.end()))]
    pub max_bytes: u64,
    /// The most bytes of requests that a region holds because their signature failed. When they are used up,
    /// no further request is held. A request is held for as many days as a record is kept, and for no more
    /// than `dedup.window_days`.
    #[schemars(range(min = *Self::BYTES.start(), max = *Self::BYTES.end()))]
    pub held_max_bytes: u64,
}

impl Rejects {
    /// The least and the most that `kept_days` may be.
    pub const DAYS: RangeInclusive<u32> = 1..=90;
    /// The least and the most that `max_bytes` and `held_max_bytes` may be.
    pub const BYTES: RangeInclusive<u64> = 1024 * 1024..=1 << 40;

    /// How long a record is kept.
    pub fn max_age(self) -> Duration {
        Duration::from_secs(u64::from(self.kept_days) * 86_400)
    }

    /// The size limit of the stream of held requests.
    pub fn held_bytes(self) -> i64 {
        i64::try_from(self.held_max_bytes).unwrap_or(i64::MAX)
    }

    /// The size limit of the stream of this many regions.
    pub fn max_bytes_of(self, regions: usize) -> i64 {
        let regions = u64::try_from(regions).unwrap_or(u64::MAX);
        i64::try_from(self.max_bytes.saturating_mul(regions)).unwrap_or(i64::MAX)
    }
}

impl Default for Rejects {
    fn default() -> Self {
        Self { kept_days: 7, max_bytes: 64 * 1024 * 1024, held_max_bytes: 64 * 1024 * 1024 }
    }
}

/// The choices for a region's streams and buckets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Placement {
    /// The replicas of each stream. None leaves existing streams as they are, and new ones get one.
    pub replicas: Option<Replicas>,
    /// The size limits of the lanes.
    pub max_bytes: MaxBytes,
    /// How long refused requests are kept, and in how many bytes.
    pub rejects: Rejects,
    /// The most days that a request is held. None for as many as a record is kept. A request that is replayed
    /// after the dedup window would not be recognised as a duplicate.
    pub held_days: Option<u32>,
}

impl Placement {
    /// How long a request is held.
    pub fn held_max_age(&self) -> Duration {
        let days = self.held_days.unwrap_or(u32::MAX).min(self.rejects.kept_days);
        Rejects { kept_days: days, ..self.rejects }.max_age()
    }
}
