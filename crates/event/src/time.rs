//! Unix time in microseconds, the resolution that every format uses.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Returns the microseconds since the Unix epoch; 0 for a time before it.
pub fn unix_micros(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

/// Returns the time that is `micros` after the Unix epoch.
pub fn from_unix_micros(micros: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(micros)
}

/// Returns the days since the Unix epoch in UTC: the partition of the ledger that `micros` falls in.
pub fn unix_day(micros: u64) -> u32 {
    const MICROS_PER_DAY: u64 = 86_400 * 1_000_000;
    u32::try_from(micros / MICROS_PER_DAY).unwrap_or(u32::MAX)
}
