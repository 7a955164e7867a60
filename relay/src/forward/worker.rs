//! One destination's deliveries: so many at once, so many per second, first attempts and retries in turn.

use std::sync::Arc;
use std::time::Duration;

use floodgate_event::Name;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::attempt::{Desk, Ended};
use super::courier::{Courier, Dispatch};
use super::feed::Feed;
use super::index::{Queue, Queued};
use super::{ForwardError, discard};
use crate::destination::{Destination, Routes};

/// How long attempts that are under way at shutdown may still take.
const DRAIN: Duration = Duration::from_secs(10);
/// How often the number of deliveries that wait for a held destination is reported.
const HELD_REPORT: Duration = Duration::from_secs(5);
/// Of a destination's concurrency, one part in this many is kept free of retries.
const RESERVED_PART: usize = 4;

/// Works for one destination until it is gone and nothing is left of it.
pub(super) struct Worker {
    name: Name,
    desk: Arc<Desk>,
    dispatch: Dispatch,
    routes: watch::Receiver<Arc<Routes>>,
    feed: Feed,
    running: JoinSet<(Queue, Ended)>,
    retries: usize,
    /// No attempt begins before this: the consumer asked for it, or the rate does.
    not_before: Instant,
}

/// A destination as it is configured now.
struct Route {
    courier: Courier,
    pace: Option<Pace>,
}

struct Pace {
    limiter: DefaultDirectRateLimiter,
    clock: DefaultClock,
}

impl Worker {
    pub(super) fn new(
        name: Name,
        desk: Arc<Desk>,
        dispatch: Dispatch,
        routes: watch::Receiver<Arc<Routes>>,
    ) -> Self {
        let feed = Feed::new(Arc::clone(&desk.index), desk.clock.clone(), name.clone());
        let (running, not_before) = (JoinSet::new(), Instant::now());
        Self { name, desk, dispatch, routes, feed, running, retries: 0, not_before }
    }

    /// Gives its name back.
    pub(super) async fn run(mut self) -> Result<Name, ForwardError> {
        while !self.desk.stop.is_cancelled() {
            let destination = self.routes.borrow_and_update().destinations.get(&self.name).cloned();
            match destination {
                Some(destination) if destination.held.is_some() => self.hold(&destination).await?,
                Some(destination) if destination.enabled => self.serve(destination).await?,
                gone => {
                    self.close(gone.is_some()).await?;
                    break;
                }
            }
        }
        if timeout(DRAIN, self.finish_running()).await.is_err() {
            tracing::warn!(destination = %self.name, "attempts were cut off at shutdown; they will be repeated");
        }
        Ok(self.name)
    }

    /// Delivers until the destination changes, or no attempt may begin any more.
    async fn serve(&mut self, destination: Arc<Destination>) -> Result<(), ForwardError> {
        let route = Route::new(&self.dispatch, Arc::clone(&destination))?;
        let wake = self.desk.index.wake(&self.name);
        let stop = self.desk.stop.clone();
        while !stop.is_cancelled() {
            self.feed.refill().await?;
            self.start(&route);
            self.report();
            tokio::select! {
                () = stop.cancelled() => {}
                () = wake.notified() => {}
                () = sleep(self.wait()) => {}
                Some(ended) = self.running.join_next() => self.ended(ended?),
                () = changed(&mut self.routes) => {
                    if !self.is_still(&destination) {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// Waits until the destination changes: what is open stays open, as nothing can be signed.
    async fn hold(&mut self, destination: &Arc<Destination>) -> Result<(), ForwardError> {
        let stop = self.desk.stop.clone();
        while !stop.is_cancelled() && self.is_still(destination) {
            self.report();
            tokio::select! {
                () = stop.cancelled() => {}
                () = sleep(HELD_REPORT) => {}
                Some(ended) = self.running.join_next() => self.ended(ended?),
                () = changed(&mut self.routes) => {}
            }
        }
        Ok(())
    }

    fn is_still(&self, destination: &Arc<Destination>) -> bool {
        let routes = self.routes.borrow();
        routes.destinations.get(&self.name).is_some_and(|now| Arc::ptr_eq(now, destination))
    }

    /// Begins attempts while there is room and something to do.
    fn start(&mut self, route: &Route) {
        let concurrency = usize::from(route.courier.destination.concurrency.get());
        while self.running.len() < concurrency && self.not_before <= Instant::now() && self.desk.is_open() {
            let retries_may_start = self.retries < max_retries(concurrency);
            if !self.feed.has_ready(retries_may_start) || !self.may_go(route) {
                break;
            }
            if let Some((queue, delivery)) = self.feed.take(retries_may_start) {
                self.begin(route, queue, delivery);
            }
        }
    }

    fn may_go(&mut self, route: &Route) -> bool {
        let Some(wait) = route.pace.as_ref().and_then(Pace::wait) else {
            return true;
        };
        self.not_before = Instant::now() + wait;
        false
    }

    fn begin(&mut self, route: &Route, queue: Queue, delivery: Queued) {
        self.retries += usize::from(queue == Queue::Retry);
        let (desk, courier) = (Arc::clone(&self.desk), route.courier.clone());
        self.running.spawn(async move { (queue, desk.attempt(&courier, delivery).await) });
    }

    fn ended(&mut self, (queue, ended): (Queue, Ended)) {
        self.retries -= usize::from(queue == Queue::Retry);
        self.feed.done(&ended.delivery);
        if let Some(hold) = ended.hold {
            self.not_before = self.not_before.max(Instant::now() + hold);
        }
    }

    /// How long nothing needs to be looked at.
    fn wait(&self) -> Duration {
        let now = Instant::now();
        let held = (self.not_before > now).then(|| self.not_before - now);
        held.map_or_else(|| self.feed.wait(), |held| held.min(self.feed.wait()))
    }

    /// The destination was removed or disabled: what is open is discarded. It may come back, for new events only.
    async fn close(&mut self, disabled: bool) -> Result<(), ForwardError> {
        let stop = self.desk.stop.clone();
        if stop.run_until_cancelled(self.finish_running()).await.is_none() {
            return Ok(());
        }
        let reason = if disabled { "the destination is disabled" } else { "the destination was removed" };
        discard::all_open(&self.desk, &self.name, reason).await?;
        let labels = [self.name.as_str()];
        // It is not there if no delivery was ever served.
        let _ = self.desk.metrics.pending.remove_label_values(&labels);
        Ok(())
    }

    async fn finish_running(&mut self) {
        while let Some(ended) = self.running.join_next().await {
            match ended {
                Ok(ended) => self.ended(ended),
                Err(error) => tracing::error!(destination = %self.name, %error, "an attempt broke down"),
            }
        }
    }

    fn report(&self) {
        let open = i64::try_from(self.desk.index.open_count(&self.name)).unwrap_or(i64::MAX);
        self.desk.metrics.pending.with_label_values(&[self.name.as_str()]).set(open);
    }
}

impl Route {
    fn new(dispatch: &Dispatch, destination: Arc<Destination>) -> Result<Self, ForwardError> {
        let pace = destination.rate_per_second.map(|rate| Pace {
            limiter: RateLimiter::direct(Quota::per_second(rate)),
            clock: DefaultClock::default(),
        });
        Ok(Self { courier: dispatch.courier(destination)?, pace })
    }
}

impl Pace {
    /// Takes a place; if there is none, how long until there is.
    fn wait(&self) -> Option<Duration> {
        self.limiter.check().err().map(|later| later.wait_time_from(self.clock.now()))
    }
}

/// The most retries under way at once: first attempts always find a free place soon.
fn max_retries(concurrency: usize) -> usize {
    let reserved = (concurrency / RESERVED_PART).max(1);
    concurrency.saturating_sub(reserved).max(1)
}

/// Waits for a change; for ever once no change can come.
pub(super) async fn changed<T>(receiver: &mut watch::Receiver<T>) {
    if receiver.changed().await.is_err() {
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use super::max_retries;

    #[test]
    fn a_part_is_kept_for_first_attempts() {
        let most = [1, 2, 4, 16, 100].map(max_retries);
        assert_eq!(most, [1, 1, 3, 12, 75]);
    }
}
