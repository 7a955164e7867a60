//! WASI for handlers. All of it exists, because standard libraries import it even if they do not use it, and
//! none of it has an effect.

use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::ChaCha12Rng;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx};

use crate::context::Context;

/// The most random bytes of one call.
const MAX_RANDOM_BYTES: u64 = 64 * 1024;

/// The source of a run's clocks and random numbers, so that a replay gives the same bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClockAndSeed {
    /// The event's id, which seeds the random numbers.
    pub(crate) seed: [u8; 16],
    /// The time of receipt since the Unix epoch, which all clocks show.
    pub(crate) received_at: Duration,
}

impl ClockAndSeed {
    /// Takes id and time from the event, as far as the binding grants them.
    pub(crate) fn of(context: &Context) -> Self {
        let (event, granted) = (context.envelope(), context.granted());
        // Only an event for a measurement, which nobody sent, has another id.
        let id: [u8; 16] = event.id.as_slice().try_into().unwrap_or_default();
        let seed = if granted.random { id } else { [0; 16] };
        let received_at =
            if granted.clock { Duration::from_micros(event.received_at_us) } else { Duration::ZERO };
        Self { seed, received_at }
    }
}

/// Makes a context without files, sockets, environment, arguments or output.
///
/// Random numbers are the same for each run over an event, so a replay gives the same bytes. They are
/// therefore no secret, and a handler must not make keys of them.
pub(crate) fn inert(clock_and_seed: ClockAndSeed) -> WasiCtx {
    WasiCtx::builder()
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .wall_clock(Still(clock_and_seed.received_at))
        .monotonic_clock(Still(clock_and_seed.received_at))
        .secure_random(generator(clock_and_seed.seed, 0))
        .insecure_random(generator(clock_and_seed.seed, 1))
        .insecure_random_seed(u128::from_be_bytes(clock_and_seed.seed))
        .max_random_size(MAX_RANDOM_BYTES)
        .build()
}

/// ChaCha12 by name, because the crate may make its standard generator another one.
fn generator(seed: [u8; 16], stream: u8) -> ChaCha12Rng {
    let mut key = [stream; 32];
    key[..16].copy_from_slice(&seed);
    ChaCha12Rng::from_seed(key)
}

/// A clock that always shows the same time.
struct Still(Duration);

impl HostWallClock for Still {
    fn resolution(&self) -> Duration {
        Duration::from_micros(1)
    }

    fn now(&self) -> Duration {
        self.0
    }
}

impl HostMonotonicClock for Still {
    fn resolution(&self) -> u64 {
        1_000
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX)
    }
}
