//! What a handler may use up.

use std::time::Duration;

use serde::Deserialize;

use super::breaker::Threshold;

const MIB: usize = 1024 * 1024;
/// WebAssembly's page.
const PAGE: usize = 64 * 1024;

/// What a handler may use up: `[handlers]` in `gateway.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Milliseconds that a handler may run for one event, 1 to 10,000. Time that it waits for a processor while
    /// others run does not count, so that a spinning neighbour costs nobody else an event.
    pub deadline_ms: u32,
    /// Bytes of linear memory of one instance, in pages of 64 KiB, 1 MiB to 1 GiB.
    pub memory_bytes: usize,
    /// Bytes that a handler may return for one event, 1 KiB to 3 MiB: with the largest raw body they still fit a block.
    pub output_bytes: usize,
    /// Bytes of a component, at most 64 MiB.
    pub component_bytes: usize,
    /// Events that are in handlers at the same time, 1 to 4,096; others wait their turn. One handler gets at most
    /// [a quarter](Self::share) of it. Handlers never wait for anything, so a few per processor are enough.
    pub instances: u32,
    /// Failures in a row after which a handler version is not run, 1 to 1,000,000.
    pub breaker_faults: u32,
    /// Seconds after which one event tries it again, 1 to 3,600.
    pub breaker_seconds: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline_ms: 50,
            memory_bytes: 16 * MIB,
            output_bytes: 3 * MIB,
            component_bytes: 32 * MIB,
            instances: 64,
            breaker_faults: 20,
            breaker_seconds: 5,
        }
    }
}

impl Limits {
    /// How long a handler may run for one event.
    pub fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline_ms.into())
    }

    /// Events that are in one handler at the same time: a quarter, so that a handler which spins on each event leaves
    /// room for others.
    pub fn share(&self) -> usize {
        (self.instances as usize / 4).max(1)
    }

    pub(crate) fn breaker(&self) -> Threshold {
        Threshold { faults: self.breaker_faults, pause: Duration::from_secs(self.breaker_seconds.into()) }
    }

    pub(crate) fn check(&self) -> Result<(), InvalidLimit> {
        let require =
            |holds, field, expected| if holds { Ok(()) } else { Err(InvalidLimit { field, expected }) };
        require((1..=10_000).contains(&self.deadline_ms), "deadline_ms", "1 to 10000")?;
        require((MIB..=1024 * MIB).contains(&self.memory_bytes), "memory_bytes", "1 MiB to 1 GiB")?;
        require(self.memory_bytes.is_multiple_of(PAGE), "memory_bytes", "a multiple of 65536")?;
        require((1024..=3 * MIB).contains(&self.output_bytes), "output_bytes", "1 KiB to 3 MiB")?;
        require((1..=64 * MIB).contains(&self.component_bytes), "component_bytes", "1 byte to 64 MiB")?;
        require((1..=4_096).contains(&self.instances), "instances", "1 to 4096")?;
        require((1..=1_000_000).contains(&self.breaker_faults), "breaker_faults", "1 to 1000000")?;
        require((1..=3_600).contains(&self.breaker_seconds), "breaker_seconds", "1 to 3600")
    }
}

/// A limit outside of what makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("handlers.{field}: expected {expected}")]
pub struct InvalidLimit {
    field: &'static str,
    expected: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_out_of_range_are_named() {
        assert_eq!(Limits::default().check(), Ok(()));
        let odd = Limits { memory_bytes: 2 * MIB + 1, ..Limits::default() };
        assert_eq!(
            odd.check().unwrap_err().to_string(),
            "handlers.memory_bytes: expected a multiple of 65536"
        );
        let never = Limits { deadline_ms: 0, ..Limits::default() };
        assert_eq!(never.check().unwrap_err().to_string(), "handlers.deadline_ms: expected 1 to 10000");
    }
}
