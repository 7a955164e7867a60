//! Measures how long a guest runs, and stops it at its deadline. A guest never holds a worker for longer than
//! a tick.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{self, Poll, ready};
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use tokio::time::Sleep;
use wasmtime::{Store, UpdateDeadline};

use crate::ticker::TICK;

/// The longest step of a wait in a host call. A process that is stopped meanwhile is charged one step,
/// however long it was stopped.
const WAIT_STEP: Duration = Duration::from_millis(10);

/// The time that one run may take and has taken. It is processor time. The time that a run spends in the
/// scheduler's queue after it yielded does not count, and neither does the time without a processor because
/// the machine is busy or stopped. Waiting inside a host call counts.
///
/// To read a thread's processor time is a system call of some 0.3 µs, and most runs end within 10 µs. So a
/// run is measured from its first tick on. What it did before counts as one tick at most, and cannot end it.
#[derive(Debug)]
pub(crate) struct Meter {
    origin: Instant,
    limit: Duration,
    /// Reads the thread's processor time, in nanoseconds.
    processor: fn() -> u64,
    ran_ns: AtomicU64,
    slice_began_ns: AtomicU64,
    /// The thread's processor time when the slice began, or [`UNREAD`].
    slice_processor_ns: AtomicU64,
    /// True if slices are measured by the thread's processor time.
    measures: AtomicBool,
    /// True if a slice that was not measured took so long that its processor time is unknown.
    unclear: AtomicBool,
    yielded: AtomicBool,
}

/// Stands for a processor time that was not read.
const UNREAD: u64 = u64::MAX;
const TICK_NS: u64 = TICK.as_micros() as u64 * 1_000;

// Only one thread at a time runs a guest and its meter. The task that moves them between threads orders their
// accesses, so `Relaxed` is enough everywhere.
impl Meter {
    /// Makes a meter that reads the processor time from the beginning, or only from the first tick on.
    pub(crate) fn new(limit: Duration, from_the_beginning: bool) -> Arc<Self> {
        Self::with(limit, from_the_beginning, processor_ns)
    }

    fn with(limit: Duration, from_the_beginning: bool, processor: fn() -> u64) -> Arc<Self> {
        let zero = || AtomicU64::new(0);
        Arc::new(Self {
            origin: Instant::now(),
            limit,
            processor,
            ran_ns: zero(),
            slice_began_ns: zero(),
            slice_processor_ns: AtomicU64::new(UNREAD),
            measures: AtomicBool::new(from_the_beginning),
            unclear: AtomicBool::new(false),
            yielded: AtomicBool::new(false),
        })
    }

    /// How long the guest ran so far.
    pub(crate) fn ran(&self) -> Duration {
        Duration::from_nanos(self.ran_ns.load(Ordering::Relaxed))
    }

    /// Returns true if the guest may have run for longer than [`Self::ran`] says.
    pub(crate) fn is_unclear(&self) -> bool {
        self.unclear.load(Ordering::Relaxed)
    }

    fn begin_slice(&self) {
        let measures = self.measures.load(Ordering::Relaxed);
        let processor = if measures { (self.processor)() } else { UNREAD };
        self.slice_processor_ns.store(processor, Ordering::Relaxed);
        self.slice_began_ns.store(self.now_ns(), Ordering::Relaxed);
        self.yielded.store(false, Ordering::Relaxed);
    }

    fn end_slice(&self) {
        self.charge(Duration::from_nanos(self.slice_ns()));
    }

    fn charge(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.ran_ns.fetch_add(nanos, Ordering::Relaxed);
    }

    fn left(&self) -> Duration {
        self.limit.saturating_sub(self.ran())
    }

    /// Called at a tick. False at the first tick of a run that is not measured, because the run may have been
    /// without a processor until then.
    fn is_over(&self) -> bool {
        let measured = self.measures.swap(true, Ordering::Relaxed);
        measured && self.ran() + Duration::from_nanos(self.slice_ns()) >= self.limit
    }

    fn slice_ns(&self) -> u64 {
        let began = self.slice_processor_ns.load(Ordering::Relaxed);
        if began != UNREAD {
            return (self.processor)().saturating_sub(began);
        }
        let wall = self.now_ns().saturating_sub(self.slice_began_ns.load(Ordering::Relaxed));
        if wall > 2 * TICK_NS {
            self.unclear.store(true, Ordering::Relaxed);
        }
        wall.min(TICK_NS)
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// The processor time of this thread. Linux always provides it. Other systems may not, and get the wall
/// clock.
fn processor_ns() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
        .or_else(|_| clock_gettime(ClockId::CLOCK_MONOTONIC))
        .map(Duration::from);
    time.ok().and_then(|time| u64::try_from(time.as_nanos()).ok()).unwrap_or_default()
}

/// Makes the guest in `store` yield at each tick, and stops it once its meter is over. The meter is in the
/// store, so the callback captures nothing. `meter` should be a function item, which has no size, so that
/// boxing it allocates nothing.
pub(crate) fn watch<T: 'static>(store: &mut Store<T>, meter: impl Fn(&T) -> &Meter + Send + Sync + 'static) {
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |context| {
        let meter = meter(context.data());
        if meter.is_over() {
            return Ok(UpdateDeadline::Interrupt);
        }
        meter.yielded.store(true, Ordering::Relaxed);
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
    });
}

/// Runs a guest's call under its meter.
pub(crate) async fn metered<F: Future>(meter: &Meter, call: F) -> Result<F::Output, TimedOut> {
    let mut call = pin!(call);
    // Created only once a guest waits for the host.
    let mut wait: Option<Wait> = None;
    poll_fn(|context| {
        meter.begin_slice();
        let polled = call.as_mut().poll(context);
        meter.end_slice();
        match polled {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending if meter.yielded.load(Ordering::Relaxed) => Poll::Pending,
            Poll::Pending => {
                wait.get_or_insert_with(|| Wait::begin(meter)).poll(meter, context).map(|()| Err(TimedOut))
            }
        }
    })
    .await
}

/// Waits for the host, in steps.
struct Wait {
    step: Duration,
    sleep: Pin<Box<Sleep>>,
}

impl Wait {
    fn begin(meter: &Meter) -> Self {
        let step = meter.left().min(WAIT_STEP);
        Self { step, sleep: Box::pin(tokio::time::sleep(step)) }
    }

    /// Ready once the meter's time is over.
    fn poll(&mut self, meter: &Meter, context: &mut task::Context<'_>) -> Poll<()> {
        loop {
            ready!(self.sleep.as_mut().poll(context));
            meter.charge(self.step);
            if meter.left().is_zero() {
                return Poll::Ready(());
            }
            self.step = meter.left().min(WAIT_STEP);
            self.sleep.as_mut().reset(tokio::time::Instant::now() + self.step);
        }
    }
}

/// The guest's time ended while it waited inside a host call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimedOut;

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// A guest that gives way once for each of these slices, and looks at its deadline at the end of each.
    async fn slices(meter: &Meter, count: usize, slice: fn()) -> Vec<bool> {
        let mut over = Vec::new();
        let guest = async {
            for _ in 0..count {
                slice();
                over.push(meter.is_over());
                meter.yielded.store(true, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        };
        metered(meter, guest).await.unwrap();
        over
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_the_host_ends_at_the_limit() {
        let meter = Meter::new(Duration::from_millis(55), false);
        assert_eq!(metered(&meter, std::future::pending::<()>()).await, Err(TimedOut));
        assert!(meter.left().is_zero());
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_takes_longer_because_nothing_ran_counts_as_one_step() {
        let meter = Meter::new(Duration::from_millis(50), false);
        let mut wait = Wait::begin(&meter);
        assert!(poll_fn(|context| Poll::Ready(wait.poll(&meter, context))).await.is_pending());
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(poll_fn(|context| Poll::Ready(wait.poll(&meter, context))).await.is_pending());
        assert_eq!(meter.ran(), WAIT_STEP);
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_the_queue_does_not_count() {
        let meter = Meter::new(Duration::from_millis(50), false);
        let giving_way = {
            let meter = Arc::clone(&meter);
            async move {
                meter.yielded.store(true, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
        };
        assert_eq!(metered(&meter, giving_way).await, Ok(()));
    }

    /// What sleeps has no processor, as a thread that was descheduled or stopped.
    #[tokio::test]
    async fn time_off_the_processor_does_not_count() {
        for from_the_beginning in [false, true] {
            let meter = Meter::new(Duration::from_millis(50), from_the_beginning);
            let over = slices(&meter, 4, || thread::sleep(Duration::from_millis(80))).await;
            assert_eq!(over, [false; 4]);
            assert!(meter.ran() < Duration::from_millis(50), "{:?}", meter.ran());
        }
    }

    /// A processor that is busy for 20 ms between any two looks at it.
    fn busy() -> u64 {
        static NOW: AtomicU64 = AtomicU64::new(0);
        NOW.fetch_add(20_000_000, Ordering::Relaxed)
    }

    #[tokio::test]
    async fn time_on_the_processor_counts() {
        let meter = Meter::with(Duration::from_millis(50), true, busy);
        // Each slice is looked at twice, at its tick and at its end: 20 ms, then 40 ms until there.
        assert_eq!(slices(&meter, 3, || ()).await, [false, true, true]);
        // Until the first tick nothing is measured, nor over.
        let meter = Meter::with(Duration::from_millis(1), false, busy);
        assert_eq!(slices(&meter, 2, || ()).await, [false, true]);
    }

    #[tokio::test]
    async fn a_long_slice_that_was_not_measured_is_unclear() {
        let meter = Meter::new(Duration::from_millis(50), false);
        metered(&meter, async { thread::sleep(Duration::from_millis(20)) }).await.unwrap();
        assert!(meter.is_unclear() && meter.ran() <= TICK);
        let measured = Meter::new(Duration::from_millis(50), true);
        metered(&measured, async { thread::sleep(Duration::from_millis(20)) }).await.unwrap();
        assert!(!measured.is_unclear());
    }
}
