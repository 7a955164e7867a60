//! What handlers may use up: what the process as a whole allows, and what one binding gets of it.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use floodgate_event::report::Maxima;
use floodgate_event::source::HandlerLimits;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::fault::{Fault, FaultKind};

const MIB: usize = 1024 * 1024;
/// The bytes of a WebAssembly page.
const PAGE: usize = 64 * 1024;
/// The milliseconds that a binding gets if it asks for none.
const DEFAULT_DEADLINE_MS: u32 = 50;
/// The milliseconds that an event gets if the file does not say.
const DEFAULT_EVENT_MS: u32 = 2_000;
/// The bytes of memory that a binding gets if it asks for none.
const DEFAULT_MEMORY_BYTES: usize = 16 * MIB;
/// The least memory that a binding can ask for: two pages.
const LEAST_MEMORY_BYTES: usize = 2 * PAGE;
/// The least output that a binding can ask for.
const LEAST_OUTPUT_BYTES: usize = 1024;

// The bounds of each limit.
const DEADLINE_MS: RangeInclusive<u32> = 1..=10_000;
/// An event always has the time of one handler at least.
const EVENT_MS: RangeInclusive<u32> = 1..=60_000;
const MEMORY_BYTES: RangeInclusive<usize> = MIB..=1024 * MIB;
const OUTPUT_BYTES: RangeInclusive<usize> = LEAST_OUTPUT_BYTES..=3 * MIB;
const COMPONENT_BYTES: RangeInclusive<usize> = 1..=64 * MIB;
const INSTANCES: RangeInclusive<u32> = 1..=4_096;
const BREAKER_FAULTS: RangeInclusive<u32> = 1..=1_000_000;
const BREAKER_SECONDS: RangeInclusive<u32> = 1..=3_600;
const CACHE_BYTES: RangeInclusive<u64> = 1 << 20..=1 << 40;

/// The `[handlers]` table of `gateway.toml`: the most that any binding may ask for, and the sizes of what all
/// bindings share.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The most milliseconds that a binding may give its handler for one event. Time that a handler waits for
    /// a processor while others run does not count, so a neighbour that spins costs nobody else an event.
    #[schemars(range(min = *DEADLINE_MS.start(), max = *DEADLINE_MS.end()))]
    pub max_deadline_ms: u32,
    /// The most milliseconds that all handlers of one event may run, those of its children included; at least
    /// `max_deadline_ms`. Versions on trial get as much again. If left out, it is 2,000 or `max_deadline_ms`,
    /// whichever is more. Providers wait 3 to 30 s for an answer.
    #[schemars(range(min = *EVENT_MS.start(), max = *EVENT_MS.end()))]
    pub max_event_ms: Option<u32>,
    /// The most bytes of memory that a binding may give an instance of its handler, in pages of 65,536.
    #[schemars(range(min = *MEMORY_BYTES.start(), max = *MEMORY_BYTES.end()))]
    pub max_memory_bytes: usize,
    /// The most bytes that a binding may let its handler return for one event. With the largest raw body they
    /// still fit into a block.
    #[schemars(range(min = *OUTPUT_BYTES.start(), max = *OUTPUT_BYTES.end()))]
    pub max_output_bytes: usize,
    /// The most bytes of a handler's component. The gateway reports a larger one and does not load it.
    #[schemars(range(min = *COMPONENT_BYTES.start(), max = *COMPONENT_BYTES.end()))]
    pub component_bytes: usize,
    /// The most events that are in handlers at once; others wait. One handler gets a quarter of it at most.
    /// Handlers do not wait for anything, so a few for each processor are enough.
    #[schemars(range(min = *INSTANCES.start(), max = *INSTANCES.end()))]
    pub instances: u32,
    /// After how many failures in a row a handler version is no longer run.
    #[schemars(range(min = *BREAKER_FAULTS.start(), max = *BREAKER_FAULTS.end()))]
    pub breaker_faults: u32,
    /// After how many seconds one event tries such a version again.
    #[schemars(range(min = *BREAKER_SECONDS.start(), max = *BREAKER_SECONDS.end()))]
    pub breaker_seconds: u32,
    /// The folder of compiled handlers. If left out, the gateway compiles its handlers anew at each start.
    #[schemars(example = "/var/lib/floodgate/cache")]
    pub cache_dir: Option<PathBuf>,
    /// The most bytes of that folder. Beyond that the gateway deletes what was not used for longest.
    #[schemars(range(min = *CACHE_BYTES.start(), max = *CACHE_BYTES.end()))]
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
    /// Returns how many events may be in one handler at the same time: a quarter of `instances`, so that a
    /// handler that spins on each event leaves room for others.
    pub fn share(&self) -> usize {
        (self.instances as usize / 4).max(1)
    }

    /// Returns how long all handlers together may run for one event.
    #[inline]
    pub fn event_time(&self) -> Duration {
        let default = DEFAULT_EVENT_MS.max(self.max_deadline_ms);
        Duration::from_millis(self.max_event_ms.unwrap_or(default).into())
    }

    /// Returns the most that a binding may ask for, as the gateway reports it.
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
        within("max_deadline_ms", &DEADLINE_MS, self.max_deadline_ms)?;
        let event_ms = self.max_event_ms.unwrap_or(*EVENT_MS.end());
        let expected = || format!("max_deadline_ms to {}", EVENT_MS.end());
        require(event_ms >= self.max_deadline_ms && EVENT_MS.contains(&event_ms), "max_event_ms", expected)?;
        within_bytes("max_memory_bytes", &MEMORY_BYTES, self.max_memory_bytes)?;
        let expected = || format!("a multiple of {PAGE}");
        require(self.max_memory_bytes.is_multiple_of(PAGE), "max_memory_bytes", expected)?;
        within_bytes("max_output_bytes", &OUTPUT_BYTES, self.max_output_bytes)?;
        within_bytes("component_bytes", &COMPONENT_BYTES, self.component_bytes)?;
        within("instances", &INSTANCES, self.instances)?;
        within("breaker_faults", &BREAKER_FAULTS, self.breaker_faults)?;
        within("breaker_seconds", &BREAKER_SECONDS, self.breaker_seconds)?;
        let expected = || format!("{} to {}", size(*CACHE_BYTES.start()), size(*CACHE_BYTES.end()));
        require(CACHE_BYTES.contains(&self.cache_bytes), "cache_bytes", expected)
    }
}

fn within(field: &'static str, bounds: &RangeInclusive<u32>, value: u32) -> Result<(), InvalidLimit> {
    require(bounds.contains(&value), field, || format!("{} to {}", bounds.start(), bounds.end()))
}

fn within_bytes(
    field: &'static str,
    bounds: &RangeInclusive<usize>,
    value: usize,
) -> Result<(), InvalidLimit> {
    let expected = || format!("{} to {}", size(*bounds.start() as u64), size(*bounds.end() as u64));
    require(bounds.contains(&value), field, expected)
}

fn require(holds: bool, field: &'static str, expected: impl Fn() -> String) -> Result<(), InvalidLimit> {
    if holds { Ok(()) } else { Err(InvalidLimit { field, expected: expected() }) }
}

/// Bytes in the largest unit of which they are a whole number.
fn size(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    match units.into_iter().find(|(bits, _)| bytes.is_multiple_of(1 << bits)) {
        Some((bits, unit)) => format!("{} {unit}", bytes >> bits),
        None => format!("{bytes} byte{}", if bytes == 1 { "" } else { "s" }),
    }
}

/// What one binding's handler may use up for one event. Made by [`Limits::resolve`] alone,
/// so it is within the maxima.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunLimits {
    deadline: Duration,
    /// True if the event has less time left than the binding asked for, and the deadline is that.
    cut: bool,
    memory_bytes: usize,
    output_bytes: usize,
}

impl RunLimits {
    /// Returns how long the handler may run for one event.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Returns the limits with the deadline cut to what the event has left.
    #[inline]
    pub fn within(self, left: Duration) -> Self {
        if left < self.deadline { Self { deadline: left, cut: true, ..self } } else { self }
    }

    /// A deadline that was cut is its event's, not the handler's.
    pub(crate) fn blame(&self, fault: Fault) -> Fault {
        if self.cut && fault.kind() == FaultKind::Deadline { Fault::event_time() } else { fault }
    }

    /// Returns the bytes of linear memory that an instance may have, over all of its memories.
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// Returns the bytes that the handler may return for one event.
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

/// A binding asks for more or less than this gateway gives. The message names the limit and its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("limits.{field}: {value} was asked for; this gateway gives {least} to {most}")]
pub struct OutOfRange {
    field: &'static str,
    value: u64,
    least: u64,
    most: u64,
}

/// A limit in the configuration is out of its bounds. The message names the limit and its bounds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("handlers.{field}: expected {expected}")]
pub struct InvalidLimit {
    field: &'static str,
    expected: String,
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
