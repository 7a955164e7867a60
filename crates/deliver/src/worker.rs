//! One destination's deliveries: so many at once, so many per second, first attempts and retries in turn.

use std::sync::Arc;
use std::time::Duration;

use floodgate_event::Name;
use floodgate_routes::{Destination, Routes};
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::ForwardError;
use super::attempt::{Desk, Ended};
use super::courier::{Courier, Dispatch};
use super::discard::{self, Which, Why};
use super::feed::Feed;
use super::index::{Queue, Queued};

/// How long attempts that are under way at shutdown may still take.
const DRAIN: Duration = Duration::from_secs(10);
/// How often deliveries are looked at that were matched by routes which this process does not have yet.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
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
    /// What it works for now, as [`Destination::created`] and [`Destination::put`];
    /// none before the first look.
    created: Option<u64>,
    put: Option<u64>,
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
        let (retries, created, put) = (0, None, None);
        Self { name, desk, dispatch, routes, feed, running, retries, not_before, created, put }
    }

    /// Gives its name back.
    pub(super) async fn run(mut self) -> Result<Name, ForwardError> {
        while !self.desk.stop.is_cancelled() {
            let routes = Arc::clone(&self.routes.borrow_and_update());
            match routes.destinations.get(&self.name) {
                Some(destination) => self.work_for(Arc::clone(destination)).await?,
                None if self.clear(routes.revision).await? => break,
                None => {}
            }
        }
        if timeout(DRAIN, self.finish_running()).await.is_err() {
            tracing::warn!(destination = %self.name, "attempts were cut off at shutdown; they will be repeated");
        }
        Ok(self.name.clone())
    }

    /// Until the destination changes, or no attempt may begin any more.
    async fn work_for(&mut self, destination: Arc<Destination>) -> Result<(), ForwardError> {
        if self.created != Some(destination.created) {
            // Those of an earlier destination of this name; the one that is there now has
            // nothing to do with them.
            self.discard_before(destination.created).await?;
            self.created = Some(destination.created);
        }
        if self.put != Some(destination.put) {
            // What was asked for before was not asked for by what is there now.
            self.not_before = Instant::now();
            self.put = Some(destination.put);
        }
        match destination.held() {
            None => self.serve(destination).await,
            Some(_) => self.hold(destination).await,
        }
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
                () = changed(&mut self.routes) => if !self.is_still(&destination) { return Ok(()) },
            }
        }
        Ok(())
    }

    /// Keeps what is open, up to a limit, until the destination changes. What is under way ends as it may.
    async fn hold(&mut self, destination: Arc<Destination>) -> Result<(), ForwardError> {
        let wake = self.desk.index.wake(&self.name);
        let stop = self.desk.stop.clone();
        while !stop.is_cancelled() {
            let beyond = self.desk.index.waiting(&self.name).open.saturating_sub(self.desk.max_held);
            if beyond > 0 {
                self.discard(u64::MAX, beyond, Why::Limit).await?;
            }
            self.report();
            tokio::select! {
                () = stop.cancelled() => {}
                () = wake.notified() => {}
                Some(ended) = self.running.join_next() => self.ended(ended?),
                () = changed(&mut self.routes) => if !self.is_still(&destination) { return Ok(()) },
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
        // A delivery is in the index only after the routes that it was matched by were in force: one that is
        // not for the destination as it is known here shows by a change that was not looked at yet.
        while self.running.len() < concurrency
            && self.not_before <= Instant::now()
            && self.desk.is_open()
            && !self.routes.has_changed().unwrap_or(false)
        {
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
        // Matched by routes from before, and journaled after what was open had been looked through.
        let is_of_another = delivery.matched_by < courier.destination.created;
        self.running.spawn(async move {
            let ended = if is_of_another {
                desk.discard(&courier, delivery).await
            } else {
                desk.attempt(&courier, delivery).await
            };
            (queue, ended)
        });
    }

    fn ended(&mut self, (queue, ended): (Queue, Ended)) {
        self.retries -= usize::from(queue == Queue::Retry);
        self.feed.done(&ended.delivery);
        if let Some(hold) = ended.hold.filter(|_| self.put == Some(ended.put)) {
            self.not_before = self.not_before.max(Instant::now() + hold);
        }
    }

    /// How long nothing needs to be looked at.
    fn wait(&self) -> Duration {
        let now = Instant::now();
        let held = (self.not_before > now).then(|| self.not_before - now);
        held.map_or_else(|| self.feed.wait(), |held| held.min(self.feed.wait()))
    }

    /// The destination is not there, by the routes of this revision. What they or earlier ones matched is
    /// discarded; what later ones matched is for a destination that this process has yet to hear of.
    /// True once nothing is left.
    async fn clear(&mut self, revision: u64) -> Result<bool, ForwardError> {
        (self.created, self.put) = (None, None);
        self.discard_before(revision.saturating_add(1)).await?;
        if self.running.is_empty() && self.desk.index.waiting(&self.name).open == 0 {
            return Ok(true);
        }
        self.report();
        let stop = self.desk.stop.clone();
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(LOOK_AGAIN) => {}
            Some(ended) = self.running.join_next() => self.ended(ended?),
            () = changed(&mut self.routes) => {}
        }
        Ok(false)
    }

    /// Before revision 0 there was none: destinations of earlier versions' configurations have it.
    async fn discard_before(&mut self, revision: u64) -> Result<(), ForwardError> {
        if revision == 0 {
            return Ok(());
        }
        self.discard(revision, u64::MAX, Why::Removed).await
    }

    async fn discard(&mut self, before: u64, most: u64, why: Why) -> Result<(), ForwardError> {
        let under_way = &self.feed.rewind();
        discard::open(&self.desk, &self.name, Which { before, most, under_way, why }).await
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
        self.desk.metrics.waiting.set(&self.name, self.desk.shard, self.desk.index.waiting(&self.name));
    }
}

/// What another relay works for from now on is its to report.
impl Drop for Worker {
    fn drop(&mut self) {
        self.desk.metrics.waiting.leave(&self.name, self.desk.shard);
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
