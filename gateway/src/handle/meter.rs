//! Measures how long a guest runs and stops it at its deadline, without ever holding a worker for longer than a tick.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::time::Sleep;
use wasmtime::{Store, UpdateDeadline};

/// The time that one run may take and has taken. What it spends in the scheduler's queue after giving way is not its own
/// doing and does not count; what it spends waiting inside a host call does.
#[derive(Debug)]
pub(crate) struct Meter {
    origin: Instant,
    limit: Duration,
    ran_ns: AtomicU64,
    slice_began_ns: AtomicU64,
    gave_way: AtomicBool,
}

// Only one thread at a time runs a guest and its meter; the task that carries them orders their accesses, so
// `Relaxed` is enough everywhere.
impl Meter {
    pub(crate) fn new(limit: Duration) -> Arc<Self> {
        let origin = Instant::now();
        let zero = || AtomicU64::new(0);
        Arc::new(Self {
            origin,
            limit,
            ran_ns: zero(),
            slice_began_ns: zero(),
            gave_way: AtomicBool::new(false),
        })
    }

    /// How long the guest ran so far.
    pub(crate) fn ran(&self) -> Duration {
        Duration::from_nanos(self.ran_ns.load(Ordering::Relaxed))
    }

    fn begin_slice(&self) {
        self.slice_began_ns.store(self.now_ns(), Ordering::Relaxed);
        self.gave_way.store(false, Ordering::Relaxed);
    }

    fn end_slice(&self) {
        self.ran_ns.fetch_add(self.slice_ns(), Ordering::Relaxed);
    }

    fn left(&self) -> Duration {
        self.limit.saturating_sub(self.ran())
    }

    fn is_over(&self) -> bool {
        self.ran() + Duration::from_nanos(self.slice_ns()) >= self.limit
    }

    fn slice_ns(&self) -> u64 {
        self.now_ns().saturating_sub(self.slice_began_ns.load(Ordering::Relaxed))
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Has the guest in `store` give way at each tick, until its meter is over. The meter stands in the store, so that the
/// callback holds nothing. `meter` should be a function by its name: that has no size, and boxing it allocates nothing.
pub(crate) fn watch<T: 'static>(store: &mut Store<T>, meter: impl Fn(&T) -> &Meter + Send + Sync + 'static) {
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |context| {
        let meter = meter(context.data());
        if meter.is_over() {
            return Ok(UpdateDeadline::Interrupt);
        }
        meter.gave_way.store(true, Ordering::Relaxed);
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
    });
}

/// Runs a guest's call under its meter.
pub(crate) async fn metered<F: Future>(meter: &Meter, call: F) -> Result<F::Output, Overslept> {
    let mut call = pin!(call);
    // Made only once a guest waits for the host.
    let mut sleep: Option<Pin<Box<Sleep>>> = None;
    poll_fn(|context| {
        meter.begin_slice();
        let polled = call.as_mut().poll(context);
        meter.end_slice();
        match polled {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending if meter.gave_way.load(Ordering::Relaxed) => Poll::Pending,
            Poll::Pending => {
                let sleep = sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(meter.left())));
                sleep.as_mut().poll(context).map(|()| Err(Overslept))
            }
        }
    })
    .await
}

/// The guest waited inside a host call until its time was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overslept;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waiting_for_the_host_ends_at_the_limit() {
        let meter = Meter::new(Duration::from_millis(50));
        assert_eq!(metered(&meter, std::future::pending::<()>()).await, Err(Overslept));
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_the_queue_does_not_count() {
        let meter = Meter::new(Duration::from_millis(50));
        let giving_way = {
            let meter = Arc::clone(&meter);
            async move {
                meter.gave_way.store(true, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
        };
        assert_eq!(metered(&meter, giving_way).await, Ok(()));
    }
}
