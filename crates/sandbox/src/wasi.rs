//! WASI as handlers find it: all there, because standard libraries import it even unused, and without effect.

use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::ChaCha12Rng;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx};

use crate::context::Context;

/// The most random bytes of one call.
const MAX_RANDOM_BYTES: u64 = 64 * 1024;

/// What makes a run repeatable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// The event's id, which seeds the random numbers.
    pub(crate) seed: [u8; 16],
    /// The event's time since the Unix epoch, where the clocks stand.
    pub(crate) received_at: Duration,
}

impl Moment {
    /// The event's, as far as it is granted.
    pub(crate) fn of(context: &Context) -> Self {
        let (event, granted) = (context.envelope(), context.granted());
        // Only an event that nobody sent has another id.
        let id: [u8; 16] = event.id.as_slice().try_into().unwrap_or_default();
        let seed = if granted.random { id } else { [0; 16] };
        let received_at =
            if granted.clock { Duration::from_micros(event.received_at_us) } else { Duration::ZERO };
        Self { seed, received_at }
    }
}

/// A context without files, sockets, environment, arguments or output.
///
/// Random numbers are the same for each run over an event, so a replay gives the same bytes.
/// They are therefore no secret, and no handler may make keys of them.
pub(crate) fn inert(moment: Moment) -> WasiCtx {
    WasiCtx::builder()
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .wall_clock(Still(moment.received_at))
        .monotonic_clock(Still(moment.received_at))
        .secure_random(generator(moment.seed, 0))
        .insecure_random(generator(moment.seed, 1))
        .insecure_random_seed(u128::from_be_bytes(moment.seed))
        .max_random_size(MAX_RANDOM_BYTES)
        .build()
}

/// ChaCha12 by name: what the crate calls its standard generator may become another one.
fn generator(seed: [u8; 16], stream: u8) -> ChaCha12Rng {
    let mut key = [stream; 32];
    key[..16].copy_from_slice(&seed);
    ChaCha12Rng::from_seed(key)
}

/// A clock that stands still.
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
