//! What handlers may use up: what the process as a whole allows, and what one binding gets of it.

use std::path::PathBuf;
use std::time::Duration;

use floodgate_event::report::Maxima;
use floodgate_event::source::HandlerLimits;
use serde::Deserialize;

use crate::fault::{Fault, FaultKind};

const MIB: usize = 1024 * 1024;
/// WebAssembly's page.
const PAGE: usize = 64 * 1024;
/// What a binding gets that asks for nothing.
const DEFAULT_DEADLINE_MS: u32 = 50;
/// What an event gets where the file does not say.
const DEFAULT_EVENT_MS: u32 = 2_000;
/// The most that an event can get.
const MOST_EVENT_MS: u32 = 60_000;
/// The same.
const DEFAULT_MEMORY_BYTES: usize = 16 * MIB;
/// The least memory that can be asked for: two pages.
const LEAST_MEMORY_BYTES: usize = 2 * PAGE;
/// The least output that can be asked for.
const LEAST_OUTPUT_BYTES: usize = 1024;

/// `[handlers]` in `gateway.toml`: the most that any binding may ask for, and the
/// sizes of what all of them share.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The most milliseconds that a handler may run for one event, 1 to 10,000. Time that it waits for a
    /// processor while others run does not count, so that a spinning neighbour costs nobody else an event.
    pub max_deadline_ms: u32,
    /// The most milliseconds that all handlers together may run for one event, its children included; at
    /// least `max_deadline_ms` and at most 60,000. Versions that are tried beside others have as much again.
    /// Left out, it is 2,000, or `max_deadline_ms` where that is more: providers wait 3 to 30 s for an
    /// answer.
    pub max_event_ms: Option<u32>,
    /// The most bytes of linear memory of one instance, in pages of 64 KiB, 1 MiB to 1 GiB.
    pub max_memory_bytes: usize,
    /// The most bytes that a handler may return for one event, 1 KiB to 3 MiB:
    /// with the largest raw body they still fit a block.
    pub max_output_bytes: usize,
    /// Bytes of a component, at most 64 MiB.
    pub component_bytes: usize,
    /// Events that are in handlers at the same time, 1 to 4,096; others wait their turn.
    /// One handler gets at most [a quarter](Self::share) of it. Handlers never wait for anything, so a
    /// few per processor are enough.
    pub instances: u32,
    /// Failures in a row after which a handler version is not run, 1 to 1,000,000.
    pub breaker_faults: u32,
    /// Seconds after which one event tries it again, 1 to 3,600.
    pub breaker_seconds: u32,
    /// The folder of compiled code, relative to the configuration file's; none means that handlers are
    /// compiled anew at each start.
    pub cache_dir: Option<PathBuf>,
    /// Bytes of that folder, 1 MiB to 1 TiB; what was not used for longest goes first.
    pub cache_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_deadline_ms: 1_000,
            max_event_ms: None,
            max_memory_bytes: 128 * MIB,
            max_output_bytes: 3 * MIB,
            component_bytes: 32 * MIB,
            instances: 64,
            breaker_faults: 20,
            breaker_seconds: 5,
            cache_dir: None,
            cache_bytes: 1 << 30,
        }
    }
}

impl Limits {
    /// Events that are in one handler at the same time: a quarter, so that a handler which spins on each
    /// event leaves room for others.
    pub fn share(&self) -> usize {
        (self.instances as usize / 4).max(1)
    }

    /// How long all handlers together may run for one event.
    #[inline]
    pub fn event_time(&self) -> Duration {
        let default = DEFAULT_EVENT_MS.max(self.max_deadline_ms);
        Duration::from_millis(self.max_event_ms.unwrap_or(default).into())
    }

    /// The most that a binding may ask for, as the gateway reports it.
    pub fn maxima(&self) -> Maxima {
        Maxima {
            deadline_ms: self.max_deadline_ms.into(),
            memory_bytes: self.max_memory_bytes as u64,
            output_bytes: self.max_output_bytes as u64,
            component_bytes: self.component_bytes as u64,
        }
    }

    /// What one binding gets: what it asks for, and the defaults where it asks for nothing.
    ///
    /// # Errors
    /// If it asks for more than the maximum, or for too little to run at all.
    pub fn resolve(&self, asked: &HandlerLimits) -> Result<RunLimits, OutOfRange> {
        let deadline = Asked { field: "deadline_ms", least: 1, most: self.max_deadline_ms.into() };
        let memory = Asked {
            field: "memory_bytes",
            least: LEAST_MEMORY_BYTES as u64,
            most: self.max_memory_bytes as u64,
        };
        let output = Asked {
            field: "output_bytes",
            least: LEAST_OUTPUT_BYTES as u64,
            most: self.max_output_bytes as u64,
        };
        let millis = deadline.resolve(asked.deadline_ms.map(u64::from), DEFAULT_DEADLINE_MS.into())?;
        let memory = memory.resolve(asked.memory_bytes, DEFAULT_MEMORY_BYTES as u64)?;
        let output = output.resolve(asked.output_bytes, self.max_output_bytes as u64)?;
        Ok(RunLimits {
            deadline: Duration::from_millis(millis),
            cut: false,
            // All three stay within maxima that are `usize` themselves.
            memory_bytes: usize::try_from(memory).unwrap_or(self.max_memory_bytes),
            output_bytes: usize::try_from(output).unwrap_or(self.max_output_bytes),
        })
    }

    /// Checks each limit against its bounds.
    ///
    /// # Errors
    /// Names the first limit that is out of its bounds.
    pub fn check(&self) -> Result<(), InvalidLimit> {
        let require =
            |holds, field, expected| if holds { Ok(()) } else { Err(InvalidLimit { field, expected }) };
        require((1..=10_000).contains(&self.max_deadline_ms), "max_deadline_ms", "1 to 10000")?;
        let event_ms = self.max_event_ms.unwrap_or(MOST_EVENT_MS);
        require(
            (self.max_deadline_ms..=MOST_EVENT_MS).contains(&event_ms),
            "max_event_ms",
            "max_deadline_ms to 60000",
        )?;
        require((MIB..=1024 * MIB).contains(&self.max_memory_bytes), "max_memory_bytes", "1 MiB to 1 GiB")?;
        require(self.max_memory_bytes.is_multiple_of(PAGE), "max_memory_bytes", "a multiple of 65536")?;
        require(
            (LEAST_OUTPUT_BYTES..=3 * MIB).contains(&self.max_output_bytes),
            "max_output_bytes",
            "1 KiB to 3 MiB",
        )?;
        require((1..=64 * MIB).contains(&self.component_bytes), "component_bytes", "1 byte to 64 MiB")?;
        require((1..=4_096).contains(&self.instances), "instances", "1 to 4096")?;
        require((1..=1_000_000).contains(&self.breaker_faults), "breaker_faults", "1 to 1000000")?;
        require((1..=3_600).contains(&self.breaker_seconds), "breaker_seconds", "1 to 3600")?;
        require((1 << 20..=1 << 40).contains(&self.cache_bytes), "cache_bytes", "1 MiB to 1 TiB")
    }
}

/// What one binding's handler may use up for one event. Made by [`Limits::resolve`] alone,
/// so it is within the maxima.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunLimits {
    deadline: Duration,
    /// Whether the deadline is what its event has left, and less than was asked for.
    cut: bool,
    memory_bytes: usize,
    output_bytes: usize,
}

impl RunLimits {
    /// How long it may run.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// The same within what its event has left.
    #[inline]
    pub fn within(self, left: Duration) -> Self {
        if left < self.deadline { Self { deadline: left, cut: true, ..self } } else { self }
    }

    /// A deadline that was cut is its event's, not the handler's.
    pub(crate) fn blame(&self, fault: Fault) -> Fault {
        if self.cut && fault.kind() == FaultKind::Deadline { Fault::event_time() } else { fault }
    }

    /// Bytes of linear memory, over all memories of an instance.
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// Bytes that it may return.
    pub fn output_bytes(&self) -> usize {
        self.output_bytes
    }
}

/// One of the things that can be asked for.
struct Asked {
    field: &'static str,
    least: u64,
    most: u64,
}

impl Asked {
    fn resolve(&self, asked: Option<u64>, default: u64) -> Result<u64, OutOfRange> {
        let Self { field, least, most } = *self;
        match asked {
            None => Ok(default.min(most)),
            Some(value) if (least..=most).contains(&value) => Ok(value),
            Some(value) => Err(OutOfRange { field, value, least, most }),
        }
    }
}

/// A binding asks for what this gateway does not give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("limits.{field}: {value} was asked for; this gateway gives {least} to {most}")]
pub struct OutOfRange {
    field: &'static str,
    value: u64,
    least: u64,
    most: u64,
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
        let odd = Limits { max_memory_bytes: 2 * MIB + 1, ..Limits::default() };
        assert_eq!(
            odd.check().unwrap_err().to_string(),
            "handlers.max_memory_bytes: expected a multiple of 65536"
        );
        for (max_event_ms, event_time) in [(None, 2_000), (Some(1_000), 1_000), (Some(60_000), 60_000)] {
            let limits = Limits { max_event_ms, ..Limits::default() };
            assert_eq!((limits.check(), limits.event_time()), (Ok(()), Duration::from_millis(event_time)));
        }
        let long = Limits { max_deadline_ms: 10_000, ..Limits::default() };
        assert_eq!((long.check(), long.event_time()), (Ok(()), Duration::from_secs(10)));
        let short = Limits { max_event_ms: Some(999), ..Limits::default() };
        let message = "handlers.max_event_ms: expected max_deadline_ms to 60000";
        assert_eq!(short.check().unwrap_err().to_string(), message);
        let never = Limits { max_deadline_ms: 0, ..Limits::default() };
        assert_eq!(never.check().unwrap_err().to_string(), "handlers.max_deadline_ms: expected 1 to 10000");
    }

    #[test]
    fn a_binding_gets_what_it_asks_for_within_the_maxima() {
        let limits = Limits::default();
        let default = limits.resolve(&HandlerLimits::default()).unwrap();
        assert_eq!(default.deadline(), Duration::from_millis(50));
        assert_eq!((default.memory_bytes(), default.output_bytes()), (16 * MIB, 3 * MIB));

        let asked =
            HandlerLimits { deadline_ms: Some(1_000), memory_bytes: Some(1 << 27), output_bytes: Some(1024) };
        let given = limits.resolve(&asked).unwrap();
        assert_eq!(given.deadline(), Duration::from_secs(1));
        assert_eq!((given.memory_bytes(), given.output_bytes()), (128 * MIB, 1024));

        let small = Limits { max_deadline_ms: 10, max_memory_bytes: MIB, ..Limits::default() };
        let least = small.resolve(&HandlerLimits::default()).unwrap();
        assert_eq!((least.deadline(), least.memory_bytes()), (Duration::from_millis(10), MIB));
    }

    #[test]
    fn what_is_over_a_maximum_is_named_with_it() {
        let over = HandlerLimits { memory_bytes: Some((1 << 27) + 1), ..HandlerLimits::default() };
        let error = Limits::default().resolve(&over).unwrap_err();
        let expected = "limits.memory_bytes: 134217729 was asked for; this gateway gives 131072 to 134217728";
        assert_eq!(error.to_string(), expected);
        let never = HandlerLimits { deadline_ms: Some(0), ..HandlerLimits::default() };
        assert!(Limits::default().resolve(&never).is_err());
    }
}
